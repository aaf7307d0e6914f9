//! The tables. Sizes here are the least; the loader sets those that are configured.

use aya_ebpf::bindings::bpf_timer;
use aya_ebpf::btf_maps::{Array, HashMap, LruHashMap, PerCpuArray, ProgramArray, SkStorage, Stack};
use aya_ebpf::macros::btf_map;
use weir_abi::call::{CALLS as MOST_CALLS, CallId, CallKey};
use weir_abi::check::{CHECKS, CheckKey, CheckWay, Checked};
use weir_abi::connection::{Connection4, Connection6};
use weir_abi::counters::Counters;
use weir_abi::farewell::{FAREWELLS as FAREWELL_PLACES, Farewell};
use weir_abi::flow_table::FlowBucket;
use weir_abi::fragment::{
    AddressKey, FRAGMENTS as FRAGMENT_RECORDS, FragmentKey, FragmentRecord, HELD as PLACES, Held,
};
use weir_abi::handover::Handover;
use weir_abi::hash_table::BucketPage;
use weir_abi::keys::{ServerKey, ServiceKey};
use weir_abi::locality::{Locality, LocalityKey};
use weir_abi::mark::{MARK_RULES, MarkRecord};
use weir_abi::pool::PoolAddress;
use weir_abi::reason::REASONS;
use weir_abi::service::{Destination, Service};
use weir_abi::settings::{INTERFACES, InterfaceRecord, Settings};

/// `BPF_F_NO_PREALLOC`: an entry takes memory only when it is there.
const NOT_PREALLOCATED: usize = 1;
/// `BPF_F_MMAPABLE`: user space maps the array and shares its memory.
const SHARED: usize = 1 << 10;

/// The timer that ends connections, and how many steps it has done.
#[repr(C)]
pub struct Reaper {
    pub timer: bpf_timer,
    pub step: u32,
    pub reserved: u32,
}

#[btf_map(name = "settings")]
pub static SETTINGS: Array<Settings, 1, SHARED> = Array::new();
#[btf_map(name = "services")]
pub static SERVICES: Array<Service, 1, SHARED> = Array::new();
#[btf_map(name = "service_index")]
pub static SERVICE_INDEX: HashMap<ServiceKey, u32, 1> = HashMap::new();
#[btf_map(name = "destinations")]
pub static DESTINATIONS: Array<Destination, 1, SHARED> = Array::new();
#[btf_map(name = "buckets")]
pub static BUCKETS: Array<BucketPage, 1, SHARED> = Array::new();
#[btf_map(name = "localities")]
pub static LOCALITIES: HashMap<LocalityKey, Locality, 1, NOT_PREALLOCATED> = HashMap::new();
#[btf_map(name = "counters")]
pub static COUNTERS: PerCpuArray<Counters, 1> = PerCpuArray::new();
#[btf_map(name = "reasons")]
pub static REASON_COUNTS: PerCpuArray<u64, REASONS> = PerCpuArray::new();
#[btf_map(name = "flows4")]
pub static FLOWS4: Array<FlowBucket, 1, SHARED> = Array::new();
#[btf_map(name = "flows6")]
pub static FLOWS6: Array<FlowBucket, 1, SHARED> = Array::new();
#[btf_map(name = "connections4")]
pub static CONNECTIONS4: Array<Connection4, 1, SHARED> = Array::new();
#[btf_map(name = "connections6")]
pub static CONNECTIONS6: Array<Connection6, 1, SHARED> = Array::new();
#[btf_map(name = "free4")]
pub static FREE4: Stack<u32, 1> = Stack::new();
#[btf_map(name = "free6")]
pub static FREE6: Stack<u32, 1> = Stack::new();
#[btf_map(name = "interfaces")]
pub static INTERFACE_TABLE: Array<InterfaceRecord, { INTERFACES as usize }, SHARED> = Array::new();
#[btf_map(name = "interface_index")]
pub static INTERFACE_INDEX: HashMap<u32, u32, { INTERFACES as usize }> = HashMap::new();
#[btf_map(name = "reaper")]
pub static REAPER: Array<Reaper, 1> = Array::new();
#[btf_map(name = "marks")]
pub static MARKS: Array<MarkRecord, { MARK_RULES as usize }, SHARED> = Array::new();
#[btf_map(name = "pools")]
pub static POOLS: Array<PoolAddress, 1, SHARED> = Array::new();
#[btf_map(name = "farewells")]
pub static FAREWELLS: Array<Farewell, { FAREWELL_PLACES as usize }, SHARED> = Array::new();
#[btf_map(name = "server_index")]
pub static SERVER_INDEX: HashMap<ServerKey, u32, 1, 1> = HashMap::new();
#[btf_map(name = "parts_xdp")]
pub static PARTS_XDP: ProgramArray<32> = ProgramArray::new();
#[btf_map(name = "parts_tc")]
pub static PARTS_TC: ProgramArray<32> = ProgramArray::new();
#[btf_map(name = "handover")]
pub static HANDOVER: PerCpuArray<Handover, 1> = PerCpuArray::new();
#[btf_map(name = "fragments")]
pub static FRAGMENTS: LruHashMap<FragmentKey, FragmentRecord, { FRAGMENT_RECORDS as usize }> =
    LruHashMap::new();
#[btf_map(name = "held")]
pub static HELD: Array<Held, { PLACES as usize }> = Array::new();
#[btf_map(name = "check_ways")]
pub static CHECK_WAYS: SkStorage<CheckWay> = SkStorage::new();
#[btf_map(name = "check_replies")]
pub static CHECK_REPLIES: LruHashMap<CheckKey, Checked, { CHECKS as usize }> = LruHashMap::new();
#[btf_map(name = "calls")]
pub static CALLS: HashMap<CallKey, CallId, { MOST_CALLS as usize }, NOT_PREALLOCATED> =
    HashMap::new();
#[btf_map(name = "addresses")]
pub static ADDRESSES: HashMap<AddressKey, u32, 1, 1> = HashMap::new();
