//! Clocks, and waiting for a condition with a deadline.

use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail};

const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Measures how long something takes.
pub struct Timer(Instant);

impl Timer {
    /// Starts now.
    #[expect(clippy::disallowed_methods, reason = "a test is no Worker; this clock times its own waits")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// How long ago the start was.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// The wall clock's time since 1970, as the server on this machine sees it too.
#[expect(clippy::disallowed_methods, reason = "a test is no Worker; Stripe signs with its own clock too")]
pub fn now() -> Result<Duration> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?)
}

/// Looks until there is something to see.
pub fn wait_for<T>(what: &str, within: Duration, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let timer = Timer::start();
    loop {
        if let Some(seen) = look()? {
            return Ok(seen);
        }
        if timer.elapsed() > within {
            bail!("waited {} s in vain for {what}", within.as_secs());
        }
        thread::sleep(LOOK_EVERY);
    }
}
