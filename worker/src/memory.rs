//! What an isolate remembers between requests: so much and no more, whatever is asked of it.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::mem;
use std::sync::Mutex;

/// A bounded memory of two generations. What is used stays; when the young one is full, what nobody used since the last time goes.
pub struct Memory<K, V> {
    generations: Mutex<Generations<K, V>>,
    each_max: usize,
}

struct Generations<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
}

impl<K: Eq + Hash + Clone, V: Clone> Memory<K, V> {
    /// One of at most so many entries.
    pub fn of(entries_max: usize) -> Self {
        let generations = Generations { young: HashMap::new(), old: HashMap::new() };
        Self { generations: Mutex::new(generations), each_max: (entries_max / 2).max(1) }
    }

    /// What is remembered of this.
    pub fn get(&self, key: &K) -> Option<V> {
        let mut both = self.generations.lock().ok()?;
        if let Some(value) = both.young.get(key) {
            return Some(value.clone());
        }
        let value = both.old.remove(key)?;
        self.put(&mut both, key.clone(), value.clone());
        Some(value)
    }

    /// Changes what is remembered of this, where there is anything.
    pub fn change<Q, R>(&self, key: &Q, change: impl FnOnce(&mut V) -> R) -> Option<R>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let mut both = self.generations.lock().ok()?;
        if let Some(value) = both.young.get_mut(key) {
            return Some(change(value));
        }
        let (key, mut value) = both.old.remove_entry(key)?;
        let changed = change(&mut value);
        self.put(&mut both, key, value);
        Some(changed)
    }

    /// Remembers this.
    pub fn insert(&self, key: K, value: V) {
        if let Ok(mut both) = self.generations.lock() {
            both.old.remove(&key);
            self.put(&mut both, key, value);
        }
    }

    /// Forgets this, and gives what was remembered of it.
    pub fn remove(&self, key: &K) -> Option<V> {
        let mut both = self.generations.lock().ok()?;
        let young = both.young.remove(key);
        both.old.remove(key).or(young)
    }

    fn put(&self, both: &mut Generations<K, V>, key: K, value: V) {
        if both.young.len() >= self.each_max && !both.young.contains_key(&key) {
            both.old = mem::take(&mut both.young);
        }
        both.young.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_does_not_drive_out_what_is_used() {
        let memory = Memory::of(100);
        memory.insert(0, "used");
        for number in 1..10_000 {
            memory.insert(number, "once");
            assert_eq!(memory.get(&0), Some("used"), "after {number}");
            let both = memory.generations.lock().unwrap();
            assert!(both.young.len() + both.old.len() <= 100);
        }
        assert_eq!(memory.get(&1), None);
    }

    #[test]
    fn what_is_forgotten_is_gone_from_both_generations() {
        let memory = Memory::of(4);
        memory.insert(1, 'a');
        memory.insert(2, 'b');
        memory.insert(3, 'c');
        memory.insert(1, 'd');
        assert_eq!(memory.remove(&1), Some('d'));
        assert_eq!((memory.get(&1), memory.get(&2), memory.get(&3)), (None, Some('b'), Some('c')));
    }
}
