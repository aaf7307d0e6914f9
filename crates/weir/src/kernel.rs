//! The packet path in the kernel, as the daemon sees it.

use std::collections::HashSet;
use std::io;
use std::path::Path;

use abi::connection::{Connection4, Connection6};
use abi::counters::Counters;
use abi::fragment::AddressKey;
use abi::keys::{ServerKey, ServiceKey};
use abi::mark::MarkRecord;
use abi::reason::Reason;
use abi::service::{Destination, Service};
use abi::settings::{Interface, Settings};
use config::file::TableSizes;
use dataplane::{Attachment, CheckWays, Dataplane, Error};
use host::interface::{self, State};
use host::mode::Hook;
use weir_abi as abi;
use weir_config as config;
use weir_control::Tables;
use weir_dataplane as dataplane;
use weir_host as host;

use crate::plane::Plane;

/// The tables and programs in the kernel.
pub struct Kernel(Dataplane);

/// Makes the tables, or adopts those that are pinned in `bpffs`.
pub fn open(bpffs: &Path, sizes: TableSizes) -> Result<Kernel, Error> {
    let sizes = dataplane::TableSizes {
        services: sizes.services,
        real_servers: sizes.real_servers,
        connections4: sizes.connections4,
        connections6: sizes.connections6,
    };
    Dataplane::open(bpffs, sizes).map(Kernel)
}

/// Whether an earlier daemon has left its programs on all these interfaces.
pub fn takes_packets_of(bpffs: &Path, interfaces: &[String]) -> bool {
    dataplane::attached(bpffs).is_ok_and(|attached| {
        let taken = |name: &String| attached.iter().any(|(_, one, _)| one == name);
        interfaces.iter().all(taken)
    })
}

const fn attachment(hook: Hook) -> Attachment {
    match hook {
        Hook::Xdp => Attachment::Xdp,
        Hook::XdpGeneric => Attachment::XdpGeneric,
        Hook::Tc => Attachment::Tc,
    }
}

const fn hook(attachment: Attachment) -> Hook {
    match attachment {
        Attachment::Xdp => Hook::Xdp,
        Attachment::XdpGeneric => Hook::XdpGeneric,
        Attachment::Tc => Hook::Tc,
    }
}

impl Plane for Kernel {
    fn adopted(&self) -> bool {
        self.0.adopted()
    }

    fn attach(&mut self, index: u32, name: &str, hook: Hook) -> Result<(), Error> {
        self.0.attach(index, name, attachment(hook))
    }

    fn attached(&self) -> Result<Vec<(u32, String, Hook)>, Error> {
        let attached = self.0.attached()?.into_iter();
        Ok(attached
            .map(|(index, name, how)| (index, name, hook(how)))
            .collect())
    }

    fn carry_checks(&mut self, wanted: bool) -> Result<(), Error> {
        self.0.carry_checks(wanted)
    }

    fn serve_local_clients(&mut self, wanted: bool) -> Result<(), Error> {
        self.0.serve_local_clients(wanted)
    }

    fn translate_local_replies(&mut self, wanted: bool) -> Result<(), Error> {
        self.0.translate_local_replies(wanted)
    }

    fn check_ways(&self) -> Option<CheckWays> {
        Some(self.0.check_ways())
    }

    fn forget_interface(&self, index: u32) -> Result<(), Error> {
        self.0.forget_interface(index)
    }

    fn interface_index(&self, slot: u16) -> Option<u32> {
        self.0.interface_index(slot)
    }

    fn set_interface(&self, index: u32, interface: Interface) -> Result<(), Error> {
        self.0.set_interface(index, interface)
    }

    fn set_addresses(&self, addresses: HashSet<AddressKey>) -> Result<(), Error> {
        self.0.set_addresses(addresses)
    }

    fn reasons(&self) -> Result<Vec<(Reason, u64)>, Error> {
        self.0.reasons()
    }

    fn interface_state(&self, name: &str) -> io::Result<Option<State>> {
        interface::state(name)
    }

    fn processor_counters(&self) -> Result<Vec<Counters>, Error> {
        self.0.processor_counters()
    }

    fn call_id(&self, key: abi::call::CallKey) -> Option<abi::call::CallId> {
        self.0.call_id(key)
    }

    fn connections4(&self) -> &[Connection4] {
        self.0.connections4()
    }

    fn connections6(&self) -> &[Connection6] {
        self.0.connections6()
    }
}

impl Tables for Kernel {
    type Error = Error;

    fn settings(&self) -> &Settings {
        self.0.settings()
    }

    fn services(&self) -> &[Service] {
        self.0.services()
    }

    fn destinations(&self) -> &[Destination] {
        self.0.destinations()
    }

    fn insert_service(&self, key: ServiceKey, slot: u32) -> Result<(), Error> {
        self.0.insert_service(key, slot)
    }

    fn remove_service(&self, key: ServiceKey) -> Result<(), Error> {
        self.0.remove_service(key)
    }

    fn bucket_pages(&self) -> &[abi::hash_table::BucketPage] {
        self.0.bucket_pages()
    }

    fn insert_server(&self, key: ServerKey, slot: u32) -> Result<(), Error> {
        self.0.insert_server(key, slot)
    }

    fn remove_server(&self, key: ServerKey) -> Result<(), Error> {
        self.0.remove_server(key)
    }

    fn indexed_servers(&self) -> Result<Vec<ServerKey>, Error> {
        self.0.indexed_servers()
    }

    fn marks(&self) -> &[MarkRecord] {
        self.0.marks()
    }

    fn pools(&self) -> &[abi::pool::PoolAddress] {
        self.0.pools()
    }

    fn farewells(&self) -> &[weir_abi::farewell::Farewell] {
        self.0.farewells()
    }

    fn localities(
        &self,
    ) -> Result<Vec<(abi::locality::LocalityKey, weir_control::LocalityUse)>, Error> {
        self.0.localities()
    }

    fn remove_localities(&self, keys: &[abi::locality::LocalityKey]) -> Result<(), Error> {
        self.0.remove_localities(keys)
    }

    fn counters(&self, destination: u32) -> Result<Counters, Error> {
        self.0.counters(destination)
    }

    fn all_counters(&self) -> Result<Vec<Counters>, Error> {
        self.0.all_counters()
    }

    fn wait_for_packets(&self) -> Result<(), Error> {
        self.0.wait_for_packets()
    }

    fn clear_counters(&self, destination: u32) -> Result<(), Error> {
        self.0.clear_counters(destination)
    }
}
