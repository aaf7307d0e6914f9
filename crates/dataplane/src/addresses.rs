//! The addresses that fragments may wait for.

use std::collections::HashSet;

use aya::Pod;
use aya::maps::{HashMap, Map, MapData};
use weir_abi::fragment::AddressKey;

use crate::Error;
use crate::tables::gone;

/// A key of the table.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Row(AddressKey);

// SAFETY: a record of integers without padding, from the border crate.
unsafe impl Pod for Row {}

/// The table, and what is in it.
pub struct Addresses {
    table: HashMap<MapData, Row, u32>,
    known: HashSet<AddressKey>,
}

impl Addresses {
    /// The table as it is, with what an earlier daemon has put there.
    pub fn new(table: Map) -> Result<Self, Error> {
        let table: HashMap<MapData, Row, u32> = HashMap::try_from(table)?;
        let known = table
            .keys()
            .map(|key| key.map(|row| row.0))
            .collect::<Result<_, _>>()?;
        Ok(Self { table, known })
    }

    /// Adds one, at once: the next [`Addresses::set`] keeps or removes it.
    pub fn add(&mut self, address: [u32; 4], family: u8) -> Result<(), Error> {
        let key = AddressKey {
            address,
            family: family.into(),
        };
        if self.known.insert(key) {
            self.table.insert(Row(key), 1, 0)?;
        }
        Ok(())
    }

    /// Makes the table hold these and no others.
    pub fn set(&mut self, wanted: HashSet<AddressKey>) -> Result<(), Error> {
        for key in wanted.difference(&self.known) {
            self.table.insert(Row(*key), 1, 0)?;
        }
        for key in self.known.difference(&wanted) {
            gone(self.table.remove(&Row(*key)))?;
        }
        self.known = wanted;
        Ok(())
    }
}
