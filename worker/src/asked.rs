//! What this isolate has asked of the platform so far, so that a local server can tell what an answer cost.

use std::cell::Cell;

/// How often, and how much.
#[derive(Clone, Copy, Default)]
pub struct Asked {
    /// Round trips to D1.
    pub trips: u32,
    /// Rows that were read for them, as D1 counts them.
    pub rows_read: u32,
    /// Rows that were written by them, as D1 counts them.
    pub rows_written: u32,
    /// Operations on Workers KV.
    pub shelf: u32,
    /// Requests to Durable Objects.
    pub objects: u32,
}

thread_local! {
    static ASKED: Cell<Asked> = const { Cell::new(Asked { trips: 0, rows_read: 0, rows_written: 0, shelf: 0, objects: 0 }) };
}

impl Asked {
    /// What was asked after an earlier moment.
    pub fn since(self, before: Self) -> Self {
        Self {
            trips: self.trips.wrapping_sub(before.trips),
            rows_read: self.rows_read.wrapping_sub(before.rows_read),
            rows_written: self.rows_written.wrapping_sub(before.rows_written),
            shelf: self.shelf.wrapping_sub(before.shelf),
            objects: self.objects.wrapping_sub(before.objects),
        }
    }
}

/// Until now.
pub fn asked() -> Asked {
    ASKED.get()
}

/// Notes a round trip to D1.
pub fn note_trip(rows_read: u32, rows_written: u32) {
    note(|asked| {
        asked.trips = asked.trips.wrapping_add(1);
        asked.rows_read = asked.rows_read.wrapping_add(rows_read);
        asked.rows_written = asked.rows_written.wrapping_add(rows_written);
    });
}

/// Notes an operation on Workers KV.
pub fn note_shelf() {
    note(|asked| asked.shelf = asked.shelf.wrapping_add(1));
}

/// Notes a request to a Durable Object.
pub fn note_object() {
    note(|asked| asked.objects = asked.objects.wrapping_add(1));
}

fn note(change: impl FnOnce(&mut Asked)) {
    let mut asked = ASKED.get();
    change(&mut asked);
    ASKED.set(asked);
}
