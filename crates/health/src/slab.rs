//! Things that are known by a small number as long as they are there.

use std::ops::{Index, IndexMut};

#[derive(Clone, Debug)]
pub(crate) struct Slab<T> {
    places: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self {
            places: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T> Slab<T> {
    pub(crate) fn add(&mut self, thing: T) -> u32 {
        if let Some(slot) = self.free.pop() {
            self.places[slot as usize] = Some(thing);
            return slot;
        }
        self.places.push(Some(thing));
        self.places.len() as u32 - 1
    }

    pub(crate) fn remove(&mut self, slot: u32) -> Option<T> {
        let thing = self.places.get_mut(slot as usize)?.take()?;
        self.free.push(slot);
        Some(thing)
    }

    pub(crate) fn get(&self, slot: u32) -> Option<&T> {
        self.places.get(slot as usize)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, slot: u32) -> Option<&mut T> {
        self.places.get_mut(slot as usize)?.as_mut()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        let places = self.places.iter().enumerate();
        places.filter_map(|(slot, thing)| Some((slot as u32, thing.as_ref()?)))
    }
}

impl<T> Index<u32> for Slab<T> {
    type Output = T;

    fn index(&self, slot: u32) -> &T {
        self.get(slot).expect("who holds a slot has filled it")
    }
}

impl<T> IndexMut<u32> for Slab<T> {
    fn index_mut(&mut self, slot: u32) -> &mut T {
        self.get_mut(slot).expect("who holds a slot has filled it")
    }
}
