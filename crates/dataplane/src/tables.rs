//! The tables, as the director uses them.

use std::os::fd::AsFd as _;

use aya::Pod;
use aya::maps::{IterableMap as _, MapError, PerCpuValues};
use aya::util::nr_cpus;
use weir_abi::call::{CallId, CallKey};
use weir_abi::counters::Counters;
use weir_abi::farewell::Farewell;
use weir_abi::hash_table::BucketPage;
use weir_abi::keys::{ServerKey, ServiceKey};
use weir_abi::locality::{Locality, LocalityKey};
use weir_abi::mark::MarkRecord;
use weir_abi::pool::PoolAddress;
use weir_abi::service::{Destination, PRESENT, Service};
use weir_abi::settings::Settings;
use weir_abi::shared::{Shared32, Shared64};
use weir_control::{LocalityUse, Tables};

use crate::{Dataplane, Error, batch, lock};

macro_rules! row {
    ($(#[$doc:meta])* $name:ident, $inner:ty) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        #[repr(transparent)]
        pub struct $name(pub $inner);

        // SAFETY: a record of integers without padding, from the border crate.
        unsafe impl Pod for $name {}
    };
}

row!(
    /// A key of the service index.
    KeyRow,
    ServiceKey
);
row!(
    /// A key of the index of real servers.
    ServerRow,
    ServerKey
);
row!(
    /// A key of the localities.
    LocalityKeyRow,
    LocalityKey
);
row!(
    /// A locality, whose first two words are its epoch and its last use.
    LocalityRow,
    [u64; size_of::<Locality>() / 8]
);
row!(
    /// A key of the calls.
    CallRow,
    CallKey
);
row!(
    /// A Call-ID, whose first word is its length.
    CallIdRow,
    [u64; size_of::<CallId>() / 8]
);
row!(
    /// A value of the counters.
    CountersRow,
    Counters
);

impl Tables for Dataplane {
    type Error = Error;

    fn settings(&self) -> &Settings {
        self.settings.first()
    }

    fn services(&self) -> &[Service] {
        self.services.all()
    }

    fn destinations(&self) -> &[Destination] {
        self.destinations.all()
    }

    fn insert_service(&self, key: ServiceKey, slot: u32) -> Result<(), Error> {
        // A firewall mark is no address.
        if key.protocol != 0 {
            lock(&self.addresses).add(key.address, key.family)?;
        }
        Ok(lock(&self.service_index).insert(KeyRow(key), slot, 0)?)
    }

    fn remove_service(&self, key: ServiceKey) -> Result<(), Error> {
        gone(lock(&self.service_index).remove(&KeyRow(key)))
    }

    fn bucket_pages(&self) -> &[BucketPage] {
        self.bucket_pages.all()
    }

    fn insert_server(&self, key: ServerKey, slot: u32) -> Result<(), Error> {
        lock(&self.addresses).add(key.address, key.family)?;
        Ok(lock(&self.server_index).insert(ServerRow(key), slot, 0)?)
    }

    fn remove_server(&self, key: ServerKey) -> Result<(), Error> {
        gone(lock(&self.server_index).remove(&ServerRow(key)))
    }

    fn indexed_servers(&self) -> Result<Vec<ServerKey>, Error> {
        let index = lock(&self.server_index);
        let keys: Result<Vec<ServerRow>, MapError> = index.keys().collect();
        Ok(keys?.into_iter().map(|row| row.0).collect())
    }

    fn marks(&self) -> &[MarkRecord] {
        self.marks.all()
    }

    fn pools(&self) -> &[PoolAddress] {
        self.pools.all()
    }

    fn farewells(&self) -> &[Farewell] {
        self.farewells.all()
    }

    fn localities(&self) -> Result<Vec<(LocalityKey, LocalityUse)>, Error> {
        let table = lock(&self.localities);
        let mut all = Vec::new();
        for entry in table.iter() {
            match entry {
                Ok((key, LocalityRow([first, ..]))) => {
                    let (epoch, last_use) = (first as u32, (first >> 32) as u32);
                    all.push((key.0, LocalityUse { epoch, last_use }));
                }
                // Removed while we look.
                Err(error) => gone(Err(error))?,
            }
        }
        Ok(all)
    }

    fn remove_localities(&self, keys: &[LocalityKey]) -> Result<(), Error> {
        let mut table = lock(&self.localities);
        keys.iter()
            .try_for_each(|key| gone(table.remove(&LocalityKeyRow(*key))))
    }

    fn counters(&self, destination: u32) -> Result<Counters, Error> {
        let counts = lock(&self.counters).get(&destination, 0)?;
        Ok(counts
            .iter()
            .fold(Counters::default(), |sum, row| sum.plus(row.0)))
    }

    fn all_counters(&self) -> Result<Vec<Counters>, Error> {
        let mut sums = vec![Counters::default(); self.destinations().len()];
        self.each_counters(|slot, row| {
            let none = Counters::default();
            sums[slot] = row.iter().fold(none, |sum, one| sum.plus(*one));
        })?;
        Ok(sums)
    }

    /// One grace period of RCU, in which all programs run.
    fn wait_for_packets(&self) -> Result<(), Error> {
        const GLOBAL: libc::c_int = 1;
        // SAFETY: a call without pointers.
        let done = unsafe { libc::syscall(libc::SYS_membarrier, GLOBAL, 0, 0) };
        if done == 0 {
            return Ok(());
        }
        Err(Error::Table(MapError::IoError(
            std::io::Error::last_os_error(),
        )))
    }

    fn clear_counters(&self, destination: u32) -> Result<(), Error> {
        let none = PerCpuValues::try_from(vec![CountersRow(Counters::default()); processors()?])
            .map_err(|source| Error::Table(MapError::IoError(source)))?;
        Ok(lock(&self.counters).set(destination, none, 0)?)
    }
}

impl Dataplane {
    /// The Call-ID of a call's template.
    pub fn call_id(&self, key: CallKey) -> Option<CallId> {
        let CallIdRow([length, text @ ..]) = lock(&self.calls).get(&CallRow(key), 0).ok()?;
        Some(CallId {
            length: Shared32::new(length as u32),
            padding: Shared32::new(0),
            text: text.map(Shared64::new),
        })
    }

    /// What each processor has counted for the real servers that there are.
    pub fn processor_counters(&self) -> Result<Vec<Counters>, Error> {
        let mut sums = vec![Counters::default(); processors()?];
        self.each_counters(|_, row| {
            for (sum, one) in sums.iter_mut().zip(row) {
                *sum = sum.plus(*one);
            }
        })?;
        Ok(sums)
    }

    /// Shows what every processor has counted for each real server that there is, by its slot.
    fn each_counters(&self, mut show: impl FnMut(usize, &[Counters])) -> Result<(), Error> {
        let destinations = self.destinations();
        let is_there = |record: &Destination| record.flags.load() & PRESENT != 0;
        let last = destinations.iter().rposition(is_there);
        let slots = last.map_or(0, |last| last + 1);
        let table = lock(&self.counters);
        let mut records = destinations.iter().enumerate();
        batch::each(table.map().fd().as_fd(), slots, processors()?, |row| {
            if let Some((slot, record)) = records.next()
                && is_there(record)
            {
                show(slot, row);
            }
        })
        .map_err(|source| Error::Table(MapError::IoError(source)))
    }
}

/// For how many processors a table per processor has values.
fn processors() -> Result<usize, Error> {
    nr_cpus().map_err(|(path, source)| Error::File {
        path: path.into(),
        source,
    })
}

/// What was not there is as good as removed.
pub fn gone(result: Result<(), MapError>) -> Result<(), Error> {
    match result {
        Err(MapError::KeyNotFound) | Ok(()) => Ok(()),
        Err(MapError::SyscallError(error))
            if error.io_error.kind() == std::io::ErrorKind::NotFound =>
        {
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}
