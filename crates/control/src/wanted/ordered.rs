//! A map that remembers in which order its entries came.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// A map that remembers in which order its entries came. All is found by key in constant time, and
/// removed without moving the others.
#[derive(Clone, Debug)]
pub(super) struct Ordered<K, V> {
    places: HashMap<K, u64>,
    entries: BTreeMap<u64, V>,
    next: u64,
}

impl<K, V> Default for Ordered<K, V> {
    fn default() -> Self {
        Self {
            places: HashMap::new(),
            entries: BTreeMap::new(),
            next: 0,
        }
    }
}

impl<K: Eq + Hash, V> Ordered<K, V> {
    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(self.places.get(key)?)
    }

    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.entries.get_mut(self.places.get(key)?)
    }

    /// Puts a value at the end, or in the place of the one that has this key.
    pub(super) fn put(&mut self, key: K, value: V) {
        let place = *self.places.entry(key).or_insert(self.next);
        self.entries.insert(place, value);
        self.next += 1;
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        self.entries.remove(&self.places.remove(key)?)
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &V> {
        self.entries.values()
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}
