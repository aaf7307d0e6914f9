//! Loads, attaches and pins the packet programs, fills their tables, reads their counters.
//!
//! This is the only crate that knows aya. [`Dataplane::open`] makes the tables or adopts those that an
//! earlier daemon has left, [`Dataplane::attach`] puts the programs on an interface, and through
//! [`weir_control::Tables`] the director reads and writes the tables. All of it is pinned: when the
//! daemon ends, for whatever reason, forwarding goes on.
//!
//! ```text
//! <bpffs>/v1/NAME        the tables, by layout version
//! <bpffs>/links/IF-KIND  what is attached: by interface index and kind
//! ```

mod addresses;
mod attach;
mod batch;
mod checks;
mod error;
mod link;
mod memory;
mod object;
mod pins;
pub mod realserver;
mod tables;

use std::collections::HashSet;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use aya::Ebpf;
use aya::maps::{HashMap, Map, MapData, PerCpuArray, ProgramArray};
use weir_abi::connection::{Connection4, Connection6};
use weir_abi::farewell::Farewell;
use weir_abi::flow_table::FlowBucket;
use weir_abi::fragment::AddressKey;
use weir_abi::hash_table::BucketPage;
use weir_abi::mark::MarkRecord;
use weir_abi::pool::PoolAddress;
use weir_abi::reason::Reason;
use weir_abi::service::{Destination, Service};
use weir_abi::settings::{
    Interface, InterfaceRecord, Link, Settings, USE_CHECKS, USE_LOCAL_CLIENTS, USE_LOCAL_REPLIES,
};
use weir_abi::{LAYOUT_VERSION, names};

pub use attach::{Attachment, attached};
pub use checks::CheckWays;
pub use error::Error;
pub use pins::{Removed, detach, other_layouts};

use addresses::Addresses;
use memory::Shared;
use tables::{CallIdRow, CallRow, CountersRow, KeyRow, LocalityKeyRow, LocalityRow, ServerRow};

/// How many entries the tables hold. Nothing is compiled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableSizes {
    /// Virtual services.
    pub services: u32,
    /// Real servers, of all services together.
    pub real_servers: u32,
    /// Connections of IPv4.
    pub connections4: u32,
    /// Connections of IPv6.
    pub connections6: u32,
}

/// For what there is a program at the egress hook.
#[derive(Clone, Copy, Debug)]
struct Egress {
    /// Checks that go the way of the traffic.
    checks: bool,
    /// Replies of real servers that are the director itself.
    local_replies: bool,
    /// Clients on the director itself.
    local_clients: bool,
}

impl Egress {
    const fn is_wanted(self) -> bool {
        self.checks || self.local_replies || self.local_clients
    }
}

/// The packet programs and their tables.
pub struct Dataplane {
    bpffs: PathBuf,
    adopted: bool,
    object: Ebpf,
    settings: Shared<Settings>,
    services: Shared<Service>,
    destinations: Shared<Destination>,
    connections4: Shared<Connection4>,
    connections6: Shared<Connection6>,
    flows4: Shared<FlowBucket>,
    flows6: Shared<FlowBucket>,
    interfaces: Shared<InterfaceRecord>,
    bucket_pages: Shared<BucketPage>,
    // aya asks for unique access where the kernel does not.
    service_index: Mutex<HashMap<MapData, KeyRow, u32>>,
    server_index: Mutex<HashMap<MapData, ServerRow, u32>>,
    marks: Shared<MarkRecord>,
    pools: Shared<PoolAddress>,
    farewells: Shared<Farewell>,
    localities: Mutex<HashMap<MapData, LocalityKeyRow, LocalityRow>>,
    calls: Mutex<HashMap<MapData, CallRow, CallIdRow>>,
    interface_index: Mutex<HashMap<MapData, u32, u32>>,
    counters: Mutex<PerCpuArray<MapData, CountersRow>>,
    addresses: Mutex<Addresses>,
    reasons: PerCpuArray<MapData, u64>,
    check_ways: CheckWays,
    egress: Egress,
    /// The kernel empties this one and the next when nobody holds them open, here or by their pins.
    parts_xdp: ProgramArray<MapData>,
    _parts_tc: ProgramArray<MapData>,
    /// Tables that are mapped, or that user space does not touch: programs that are loaded later name the
    /// open descriptors.
    _held: Vec<Map>,
}

impl Dataplane {
    /// Makes the tables in `bpffs` and pins them, or adopts those that are pinned there; loads the
    /// programs (XDP's with the first interface that has them), and starts the timer that ends connections.
    ///
    /// Tables that are adopted keep the sizes that they were made with.
    ///
    /// # Errors
    ///
    /// When the kernel refuses (it says why), when the directory is not on a BPF file system, or when
    /// this build carries no programs.
    pub fn open(bpffs: &Path, sizes: TableSizes) -> Result<Self, Error> {
        let adopted = pins::prepare(bpffs)?;
        let mut object = object::load(bpffs, sizes)?;
        let mut held = Vec::new();
        let settings: Shared<Settings> = shared(&mut object, names::MAP_SETTINGS, &mut held)?;
        let parts_xdp = ProgramArray::try_from(take(&mut object, names::MAP_PARTS_XDP)?)?;
        let mut parts_tc = ProgramArray::try_from(take(&mut object, names::MAP_PARTS_TC)?)?;
        object::connect_parts(&object, &mut parts_tc)?;
        // What an earlier daemon has wanted is attached: its program is replaced where interfaces are taken.
        let egress = Egress {
            checks: settings.first().uses(USE_CHECKS),
            local_replies: settings.first().uses(USE_LOCAL_REPLIES),
            local_clients: settings.first().uses(USE_LOCAL_CLIENTS),
        };
        for name in [
            names::MAP_FREE4,
            names::MAP_FREE6,
            names::MAP_REAPER,
            names::MAP_HANDOVER,
            names::MAP_FRAGMENTS,
            names::MAP_HELD,
            names::MAP_CHECK_REPLIES,
        ] {
            held.push(take(&mut object, name)?);
        }
        let dataplane = Self {
            bpffs: bpffs.to_owned(),
            adopted,
            settings,
            services: shared(&mut object, names::MAP_SERVICES, &mut held)?,
            destinations: shared(&mut object, names::MAP_DESTINATIONS, &mut held)?,
            connections4: shared(&mut object, names::MAP_CONNECTIONS4, &mut held)?,
            connections6: shared(&mut object, names::MAP_CONNECTIONS6, &mut held)?,
            flows4: shared(&mut object, names::MAP_FLOWS4, &mut held)?,
            flows6: shared(&mut object, names::MAP_FLOWS6, &mut held)?,
            interfaces: shared(&mut object, names::MAP_INTERFACES, &mut held)?,
            // aya asks for unique access where the kernel does not.
            service_index: Mutex::new(HashMap::try_from(take(
                &mut object,
                names::MAP_SERVICE_INDEX,
            )?)?),
            bucket_pages: shared(&mut object, names::MAP_BUCKETS, &mut held)?,
            server_index: Mutex::new(HashMap::try_from(take(
                &mut object,
                names::MAP_SERVER_INDEX,
            )?)?),
            marks: shared(&mut object, names::MAP_MARKS, &mut held)?,
            pools: shared(&mut object, names::MAP_POOLS, &mut held)?,
            farewells: shared(&mut object, names::MAP_FAREWELLS, &mut held)?,
            localities: Mutex::new(HashMap::try_from(take(
                &mut object,
                names::MAP_LOCALITIES,
            )?)?),
            calls: Mutex::new(HashMap::try_from(take(&mut object, names::MAP_CALLS)?)?),
            interface_index: Mutex::new(HashMap::try_from(take(
                &mut object,
                names::MAP_INTERFACE_INDEX,
            )?)?),
            counters: Mutex::new(PerCpuArray::try_from(take(
                &mut object,
                names::MAP_COUNTERS,
            )?)?),
            addresses: Mutex::new(Addresses::new(take(&mut object, names::MAP_ADDRESSES)?)?),
            reasons: PerCpuArray::try_from(take(&mut object, names::MAP_REASONS)?)?,
            check_ways: CheckWays::new(take(&mut object, names::MAP_CHECK_WAYS)?)?,
            egress,
            parts_xdp,
            _parts_tc: parts_tc,
            _held: held,
            object,
        };
        let settings = dataplane.settings.first();
        if !adopted {
            settings
                .capacity4
                .store(dataplane.connections4.all().len() as u32);
            settings
                .capacity6
                .store(dataplane.connections6.all().len() as u32);
            settings
                .flow_buckets4
                .store(dataplane.flows4.all().len() as u32);
            settings
                .flow_buckets6
                .store(dataplane.flows6.all().len() as u32);
            for key in &settings.hash_keys {
                key.store(random()?);
            }
            settings.held_capacity.store(weir_abi::fragment::HELD);
            settings.routes_generation.store(1);
        }
        object::start_reaper(&dataplane.object)?;
        settings.layout_version.store(LAYOUT_VERSION);
        Ok(dataplane)
    }

    /// Whether the tables were there already.
    pub fn adopted(&self) -> bool {
        self.adopted
    }

    /// How large the tables are.
    pub fn sizes(&self) -> TableSizes {
        TableSizes {
            services: self.services.all().len() as u32,
            real_servers: self.destinations.all().len() as u32,
            connections4: self.connections4.all().len() as u32,
            connections6: self.connections6.all().len() as u32,
        }
    }

    /// Tells the programs what is known of an interface. What connections remember of next hops is
    /// the caller's to make void after (`routes_generation`).
    ///
    /// # Errors
    ///
    /// When the kernel refuses, or when there are too many interfaces.
    pub fn set_interface(&self, ifindex: u32, interface: Interface) -> Result<(), Error> {
        let mut index = lock(&self.interface_index);
        let link = Link::new(interface.mac, interface.flags);
        let records = self.interfaces.all();
        let slot = match index.get(&ifindex, 0) {
            Ok(slot) => slot,
            Err(_) => free_interface(records, ifindex).ok_or(Error::TooManyInterfaces)?,
        };
        let record = records
            .get(slot as usize)
            .ok_or(Error::OtherLayout(names::MAP_INTERFACES))?;
        record.link.store(link.0);
        record.index.store(ifindex);
        Ok(index.insert(ifindex, slot, 0)?)
    }

    /// Lets the programs forget an interface that is gone. What connections remember of next hops is
    /// to be made void before, so that none leads there when the slot is used again.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn forget_interface(&self, ifindex: u32) -> Result<(), Error> {
        let mut index = lock(&self.interface_index);
        let Ok(slot) = index.get(&ifindex, 0) else {
            return Ok(());
        };
        if let Some(record) = self.interfaces.all().get(slot as usize) {
            record.link.store(0);
            record.index.store(0);
        }
        tables::gone(index.remove(&ifindex))
    }

    /// The index of the interface in a slot.
    pub fn interface_index(&self, slot: u16) -> Option<u32> {
        let record = self.interfaces.all().get(usize::from(slot))?;
        Some(record.index.load()).filter(|index| *index != 0)
    }

    /// Tells the programs which addresses fragments may wait for; those that are not named any more
    /// are forgotten.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn set_addresses(&self, addresses: HashSet<AddressKey>) -> Result<(), Error> {
        lock(&self.addresses).set(addresses)
    }

    /// How many packets there were for each reason, summed over processors.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn reasons(&self) -> Result<Vec<(Reason, u64)>, Error> {
        Reason::ALL
            .iter()
            .map(|&reason| {
                let counts = self.reasons.get(&(reason as u32), 0)?;
                Ok((reason, counts.iter().sum()))
            })
            .collect()
    }

    /// Runs the packet program of that name ([`names`]) on a frame, as `BPF_PROG_TEST_RUN` does, for
    /// tests: what it returns, and the length of the frame that it leaves in `out`. The context is
    /// the bytes of a `struct xdp_md` or `struct __sk_buff`.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn test_run(
        &self,
        program: &'static str,
        context: &[u8],
        frame: &[u8],
        out: &mut [u8],
    ) -> Result<(u32, usize), Error> {
        object::test_run(&self.object, program, frame, Some(context), out)
    }

    /// Says of sockets which way their checks go.
    pub fn check_ways(&self) -> CheckWays {
        self.check_ways.clone()
    }

    /// All slots for connections of IPv4; those below `settings().high_water4` may be in use.
    pub fn connections4(&self) -> &[Connection4] {
        self.connections4.all()
    }

    /// All slots for connections of IPv6; those below `settings().high_water6` may be in use.
    pub fn connections6(&self) -> &[Connection6] {
        self.connections6.all()
    }

    /// The flow table of IPv4.
    pub fn flows4(&self) -> &[FlowBucket] {
        self.flows4.all()
    }

    /// The flow table of IPv6.
    pub fn flows6(&self) -> &[FlowBucket] {
        self.flows6.all()
    }
}

/// A slot of the interfaces that nobody has: that of the index's own number, where the programs look
/// first, or another. The first one is left free: a hop that was never learnt names it.
fn free_interface(records: &[InterfaceRecord], ifindex: u32) -> Option<u32> {
    let is_free = |slot: &u32| {
        let record = records.get(*slot as usize);
        record.is_some_and(|record| record.index.load() == 0)
    };
    let others = (1..records.len() as u32).rev();
    std::iter::once(ifindex).chain(others).find(is_free)
}

/// A random number of the kernel's.
fn random() -> Result<u64, Error> {
    let mut bytes = [0; 8];
    // SAFETY: a buffer of that length.
    let got = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    if got != bytes.len() as isize {
        return Err(Error::Random(std::io::Error::last_os_error()));
    }
    Ok(u64::from_ne_bytes(bytes))
}

/// Locks a table; one that somebody has panicked over is as good as before, it is the kernel's.
fn lock<T>(table: &Mutex<T>) -> MutexGuard<'_, T> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes a table out of the object.
fn take(object: &mut Ebpf, name: &'static str) -> Result<Map, Error> {
    object.take_map(name).ok_or(Error::NoSuchTable(name))
}

/// Maps the memory of an array, and puts the table to those that are held open.
fn shared<T>(
    object: &mut Ebpf,
    name: &'static str,
    held: &mut Vec<Map>,
) -> Result<Shared<T>, Error> {
    let table = take(object, name)?;
    let Map::Array(data) = &table else {
        return Err(Error::NoSuchTable(name));
    };
    let info = data.info()?;
    let size = (info.value_size(), info.max_entries());
    let shared = Shared::map(data.fd().as_fd(), name, size)?;
    held.push(table);
    Ok(shared)
}
