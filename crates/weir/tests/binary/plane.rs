//! A packet path that takes no packets: tables in plain memory.

use std::collections::HashSet;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use weir::plane::Plane;
use weir_abi::connection::{Connection4, Connection6};
use weir_abi::counters::Counters;
use weir_abi::fragment::AddressKey;
use weir_abi::hash_table::BucketPage;
use weir_abi::keys::{ServerKey, ServiceKey};
use weir_abi::mark::MarkRecord;
use weir_abi::reason::Reason;
use weir_abi::service::{Destination, Service};
use weir_abi::settings::{Interface, Settings};
use weir_control::Tables;
use weir_control::testing::MemoryTables;
use weir_dataplane::CheckWays;
use weir_host::interface::State;
use weir_host::mode::Hook;

/// The tables are shared with the test, which does what packets would do.
pub struct MemoryPlane {
    pub tables: Arc<MemoryTables>,
    pub connections4: Vec<Connection4>,
    pub connections6: Vec<Connection6>,
    pub reasons: Vec<(Reason, u64)>,
    pub adopted: bool,
}

impl Plane for MemoryPlane {
    fn adopted(&self) -> bool {
        self.adopted
    }

    fn attach(&mut self, _: u32, _: &str, _: Hook) -> Result<(), Infallible> {
        Ok(())
    }

    fn attached(&self) -> Result<Vec<(u32, String, Hook)>, Infallible> {
        Ok(Vec::new())
    }

    fn carry_checks(&mut self, _: bool) -> Result<(), Infallible> {
        Ok(())
    }

    fn serve_local_clients(&mut self, _: bool) -> Result<(), Infallible> {
        Ok(())
    }

    fn translate_local_replies(&mut self, _: bool) -> Result<(), Infallible> {
        Ok(())
    }

    fn check_ways(&self) -> Option<CheckWays> {
        None
    }

    fn forget_interface(&self, _: u32) -> Result<(), Infallible> {
        Ok(())
    }

    fn interface_index(&self, _: u16) -> Option<u32> {
        None
    }

    fn set_interface(&self, _: u32, _: Interface) -> Result<(), Infallible> {
        Ok(())
    }

    fn set_addresses(&self, _: HashSet<AddressKey>) -> Result<(), Infallible> {
        Ok(())
    }

    fn reasons(&self) -> Result<Vec<(Reason, u64)>, Infallible> {
        Ok(self.reasons.clone())
    }

    /// Those of the machine on which ipvsadm was recorded.
    fn interface_state(&self, name: &str) -> io::Result<Option<State>> {
        let (mtu, up) = match name {
            "lo" => (65_536, true),
            "d1500" => (1_500, true),
            "d9000" => (9_000, true),
            "d1400" => (1_400, false),
            _ => return Ok(None),
        };
        Ok(Some(State { mtu, up }))
    }

    fn processor_counters(&self) -> Result<Vec<Counters>, Infallible> {
        let all = self.tables.all_counters()?.into_iter();
        // As if one processor of two had done it all.
        let one = all.fold(Counters::default(), Counters::plus);
        Ok(vec![one, Counters::default()])
    }

    fn call_id(&self, _key: weir_abi::call::CallKey) -> Option<weir_abi::call::CallId> {
        None
    }

    fn connections4(&self) -> &[Connection4] {
        &self.connections4
    }

    fn connections6(&self) -> &[Connection6] {
        &self.connections6
    }
}

impl Tables for MemoryPlane {
    type Error = Infallible;

    fn settings(&self) -> &Settings {
        self.tables.settings()
    }

    fn services(&self) -> &[Service] {
        self.tables.services()
    }

    fn destinations(&self) -> &[Destination] {
        self.tables.destinations()
    }

    fn insert_service(&self, key: ServiceKey, slot: u32) -> Result<(), Infallible> {
        self.tables.insert_service(key, slot)
    }

    fn remove_service(&self, key: ServiceKey) -> Result<(), Infallible> {
        self.tables.remove_service(key)
    }

    fn bucket_pages(&self) -> &[BucketPage] {
        self.tables.bucket_pages()
    }

    fn insert_server(&self, key: ServerKey, slot: u32) -> Result<(), Infallible> {
        self.tables.insert_server(key, slot)
    }

    fn remove_server(&self, key: ServerKey) -> Result<(), Infallible> {
        self.tables.remove_server(key)
    }

    fn indexed_servers(&self) -> Result<Vec<ServerKey>, Infallible> {
        self.tables.indexed_servers()
    }

    fn marks(&self) -> &[MarkRecord] {
        self.tables.marks()
    }

    fn pools(&self) -> &[weir_abi::pool::PoolAddress] {
        self.tables.pools()
    }

    fn farewells(&self) -> &[weir_abi::farewell::Farewell] {
        &[]
    }

    fn localities(
        &self,
    ) -> Result<Vec<(weir_abi::locality::LocalityKey, weir_control::LocalityUse)>, Infallible> {
        self.tables.localities()
    }

    fn remove_localities(
        &self,
        keys: &[weir_abi::locality::LocalityKey],
    ) -> Result<(), Infallible> {
        self.tables.remove_localities(keys)
    }

    fn counters(&self, destination: u32) -> Result<Counters, Infallible> {
        self.tables.counters(destination)
    }

    fn all_counters(&self) -> Result<Vec<Counters>, Infallible> {
        self.tables.all_counters()
    }

    fn wait_for_packets(&self) -> Result<(), Infallible> {
        self.tables.wait_for_packets()
    }

    fn clear_counters(&self, destination: u32) -> Result<(), Infallible> {
        self.tables.clear_counters(destination)
    }
}
