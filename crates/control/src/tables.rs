//! What a director needs of the tables.

use weir_abi::counters::Counters;
use weir_abi::farewell::Farewell;
use weir_abi::hash_table::BucketPage;
use weir_abi::keys::{ServerKey, ServiceKey};
use weir_abi::locality::LocalityKey;
use weir_abi::mark::MarkRecord;
use weir_abi::pool::PoolAddress;
use weir_abi::service::{Destination, Service};
use weir_abi::settings::Settings;

/// The tables that the packet programs work with. Records are written through their shared cells;
/// what is not mapped memory has a method.
pub trait Tables {
    /// What can go wrong in the tables.
    type Error: std::error::Error;

    /// The one record for the whole director.
    fn settings(&self) -> &Settings;

    /// All slots for virtual services.
    fn services(&self) -> &[Service];

    /// All slots for real servers.
    fn destinations(&self) -> &[Destination];

    /// Lets packets find the service in `slot`; an entry that is there already is replaced.
    fn insert_service(&self, key: ServiceKey, slot: u32) -> Result<(), Self::Error>;

    /// Lets packets find this service no more; not an error when there is no entry.
    fn remove_service(&self, key: ServiceKey) -> Result<(), Self::Error>;

    /// The pages of the hashing schedulers' tables.
    fn bucket_pages(&self) -> &[BucketPage];

    /// Lets packets find the real server in `slot` by what it or its tunnel sends; an entry that is
    /// there already is replaced.
    fn insert_server(&self, key: ServerKey, slot: u32) -> Result<(), Self::Error>;

    /// Lets packets find this real server no more; not an error when there is no entry.
    fn remove_server(&self, key: ServerKey) -> Result<(), Self::Error>;

    /// All keys by which packets find real servers.
    fn indexed_servers(&self) -> Result<Vec<ServerKey>, Self::Error>;

    /// The rules that mark packets; those below `settings().marks` are in force.
    fn marks(&self) -> &[MarkRecord];

    /// The services' own addresses, as many places for each as [`POOL_PLACES`](weir_abi::pool::POOL_PLACES).
    fn pools(&self) -> &[PoolAddress];
    /// Connections that have expired, whose ends are to be told.
    fn farewells(&self) -> &[Farewell];

    /// All addresses that lblc and lblcr remember.
    fn localities(&self) -> Result<Vec<(LocalityKey, LocalityUse)>, Self::Error>;

    /// Lets these addresses be forgotten; not an error when one is not known.
    fn remove_localities(&self, keys: &[LocalityKey]) -> Result<(), Self::Error>;

    /// What the real server in this slot has counted, summed over processors.
    fn counters(&self, destination: u32) -> Result<Counters, Self::Error>;

    /// The same for all slots, by slot.
    fn all_counters(&self) -> Result<Vec<Counters>, Self::Error>;

    /// Waits until every packet that is on its way through the programs has left them: none of them
    /// stands on a record any more that was taken out before.
    fn wait_for_packets(&self) -> Result<(), Self::Error>;

    /// Sets the counters of this slot to zero: it gets a new tenant.
    fn clear_counters(&self, destination: u32) -> Result<(), Self::Error>;
}

/// What an address that lblc or lblcr remembers says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalityUse {
    /// Its [`Locality::epoch`](weir_abi::locality::Locality::epoch).
    pub epoch: u32,
    /// The tick of its last connection.
    pub last_use: u32,
}
