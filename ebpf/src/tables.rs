//! The kernel's tables, as `weir_forward` asks for them.

use core::ffi::c_void;
use core::ops::ControlFlow;

use aya_ebpf::helpers::{bpf_get_prandom_u32, bpf_ktime_get_ns, bpf_loop};
use weir_abi::call::{CallId, CallKey};
use weir_abi::check::{CheckKey, Checked};
use weir_abi::connection::Word;
use weir_abi::counters::Counters;
use weir_abi::farewell::Farewell;
use weir_abi::flow_table::FlowBucket;
use weir_abi::fragment::{AddressKey, FragmentKey, FragmentRecord, Held};
use weir_abi::handover::Handover;
use weir_abi::hash_table::BucketPage;
use weir_abi::keys::{Direction, FAMILY_V4, FlowValue, ServerKey, ServiceKey};
use weir_abi::locality::{Locality, LocalityKey};
use weir_abi::mark::MarkRecord;
use weir_abi::pool::PoolAddress;
use weir_abi::reason::Reason;
use weir_abi::service::{Destination, Service};
use weir_abi::settings::{InterfaceRecord, Settings, USE_LOCAL_CLIENTS};
use weir_abi::shared::Shared32;
use weir_abi::tick::Tick;
use weir_forward::begin::Begun;
use weir_forward::connection::{Appeared, Made, Named, Opener, TemplateOf, Terms};
use weir_forward::family::{Family, Flow};
use weir_forward::flow_table::Put;
use weir_forward::meet::Met;
use weir_forward::parse::Segment;
use weir_forward::persist::Template;
use weir_forward::tables::{Step, Tables};

use crate::{calls, maps};

/// All maps of this object.
pub struct Maps;

/// Counts a packet by its reason.
#[inline(always)]
pub fn count_reason(reason: Reason) {
    if let Some(count) = maps::REASON_COUNTS.get_ptr_mut(reason as u32) {
        // SAFETY: a value of this processor, which no other changes.
        unsafe { *count += 1 };
    }
}

/// Whether a client may be the director itself.
#[inline(always)]
pub fn has_local_clients<T: Tables>(tables: &T) -> bool {
    match tables.settings() {
        Some(settings) => settings.uses(USE_LOCAL_CLIENTS),
        None => false,
    }
}

impl Tables for Maps {
    #[inline(always)]
    fn settings(&self) -> Option<&Settings> {
        maps::SETTINGS.get(0)
    }

    #[inline(always)]
    fn handover(&self) -> Option<&Handover> {
        let handover = maps::HANDOVER.get_ptr(0)?;
        // SAFETY: a value of this processor, made of cells, that lives as long as the map.
        Some(unsafe { &*handover })
    }

    #[inline(always)]
    fn mark_rule(&self, place: u32) -> Option<&MarkRecord> {
        maps::MARKS.get(place)
    }

    #[inline(always)]
    fn farewell(&self, place: u32) -> Option<&Farewell> {
        maps::FAREWELLS.get(place)
    }

    #[inline(always)]
    fn pool_address(&self, place: u32) -> Option<&PoolAddress> {
        maps::POOLS.get(place)
    }

    #[inline(always)]
    fn server(&self, key: &ServerKey) -> Option<u32> {
        // SAFETY: the value is copied at once.
        unsafe { maps::SERVER_INDEX.get(key) }.copied()
    }

    #[inline(always)]
    fn service_slot(&self, key: &ServiceKey) -> Option<u32> {
        // SAFETY: the value is copied at once.
        unsafe { maps::SERVICE_INDEX.get(key) }.copied()
    }

    #[inline(always)]
    fn service(&self, slot: u32) -> Option<&Service> {
        maps::SERVICES.get(slot)
    }

    #[inline(always)]
    fn destination(&self, slot: u32) -> Option<&Destination> {
        maps::DESTINATIONS.get(slot)
    }

    #[inline(always)]
    fn bucket_page(&self, page: u32) -> Option<&BucketPage> {
        maps::BUCKETS.get(page)
    }

    #[inline(always)]
    fn locality(&self, key: &LocalityKey) -> Option<&Locality> {
        let locality = maps::LOCALITIES.get_ptr(key)?;
        // SAFETY: an entry is made of cells; where it is removed meanwhile its memory is another's at
        // most, for as long as this program runs.
        Some(unsafe { &*locality })
    }

    #[inline(always)]
    fn add_locality(&self, key: &LocalityKey) {
        // Too large for the stack.
        static EMPTY: [u64; size_of::<Locality>() / 8] = [0; size_of::<Locality>() / 8];
        const NEW_ONLY: u64 = 1;
        // SAFETY: a locality is cells of integers, for which zeroes are values.
        let empty = unsafe { &*EMPTY.as_ptr().cast::<Locality>() };
        // No room is no error: then nothing is remembered.
        let _ = maps::LOCALITIES.insert(key, empty, NEW_ONLY);
    }

    #[inline(always)]
    fn microseconds(&self) -> u32 {
        // SAFETY: a helper without arguments.
        (unsafe { bpf_ktime_get_ns() } / 1000) as u32
    }

    #[inline(always)]
    fn random(&self) -> u32 {
        // SAFETY: a helper without arguments.
        unsafe { bpf_get_prandom_u32() }
    }

    #[inline(always)]
    fn count(&self, destination: u32, count: impl FnOnce(&mut Counters)) {
        if let Some(counters) = maps::COUNTERS.get_ptr_mut(destination) {
            // SAFETY: a value of this processor, which no other changes.
            count(unsafe { &mut *counters });
        }
    }

    #[inline(always)]
    fn interface_slot(&self, index: u32) -> Option<u32> {
        // Nearly every index is a slot number, and its own slot where that was free.
        if let Some(record) = maps::INTERFACE_TABLE.get(index)
            && record.index.load() == index
        {
            return Some(index);
        }
        // SAFETY: the value is copied at once.
        unsafe { maps::INTERFACE_INDEX.get(index) }.copied()
    }

    #[inline(always)]
    fn interface(&self, slot: u32) -> Option<&InterfaceRecord> {
        maps::INTERFACE_TABLE.get(slot)
    }

    #[inline(always)]
    fn flow_bucket<F: Family>(&self, bucket: u32) -> Option<&FlowBucket> {
        if F::NUMBER == FAMILY_V4 {
            maps::FLOWS4.get(bucket)
        } else {
            maps::FLOWS6.get(bucket)
        }
    }

    #[inline(always)]
    fn connection<F: Family>(&self, slot: u32) -> Option<&F::Record> {
        let record: *const F::Record = if F::NUMBER == FAMILY_V4 {
            maps::CONNECTIONS4.get_ptr(slot)?.cast()
        } else {
            maps::CONNECTIONS6.get_ptr(slot)?.cast()
        };
        // SAFETY: an array's slots live as long as the map, and the family's Record is what its
        // array holds; all its fields are cells.
        Some(unsafe { &*record })
    }

    #[inline(always)]
    fn take_slot<F: Family>(&self) -> Option<u32> {
        let slot = if F::NUMBER == FAMILY_V4 {
            maps::FREE4.pop()
        } else {
            maps::FREE6.pop()
        };
        slot.unwrap_or(None)
    }

    #[inline(always)]
    fn return_slot<F: Family>(&self, slot: u32) {
        // As many places as slots: there is room for each.
        let _ = if F::NUMBER == FAMILY_V4 {
            maps::FREE4.push(slot, 0)
        } else {
            maps::FREE6.push(slot, 0)
        };
    }

    #[inline(always)]
    fn fragment(&self, key: &FragmentKey) -> Option<&FragmentRecord> {
        let record = maps::FRAGMENTS.get_ptr(key)?;
        // SAFETY: made of cells; the memory is the map's for as long as this program runs, and where it
        // gets another key meanwhile, who reads finds a decision about another's addresses.
        Some(unsafe { &*record })
    }

    #[inline(always)]
    fn open_fragment(&self, key: &FragmentKey, expires: Tick) -> Option<&FragmentRecord> {
        const BPF_NOEXIST: u64 = 1;
        if let Some(record) = self.fragment(key) {
            return Some(record);
        }
        let record = FragmentRecord {
            expires: Shared32::new(expires.0),
            ..FragmentRecord::default()
        };
        // Another processor may have been faster: then that one is it.
        let _ = maps::FRAGMENTS.insert(key, &record, BPF_NOEXIST);
        self.fragment(key)
    }

    #[inline(always)]
    fn forget_fragment(&self, key: &FragmentKey) {
        // What is not there need not be removed.
        let _ = maps::FRAGMENTS.remove(key);
    }

    #[inline(always)]
    fn held(&self, place: u32) -> Option<&Held> {
        maps::HELD.get(place)
    }

    #[inline(always)]
    fn is_known_address(&self, key: &AddressKey) -> bool {
        maps::ADDRESSES.get_ptr(key).is_some()
    }

    #[inline(always)]
    fn checked(&self, key: &CheckKey) -> Option<Checked> {
        // SAFETY: the value is copied at once.
        unsafe { maps::CHECK_REPLIES.get(key) }.copied()
    }

    #[inline(always)]
    fn remember_checked(&self, key: &CheckKey, server: &Checked) {
        // Without room the least used goes.
        let _ = maps::CHECK_REPLIES.insert(key, server, 0);
    }

    #[inline(always)]
    fn call_id(&self, key: &CallKey) -> Option<&CallId> {
        let id = maps::CALLS.get_ptr(key)?;
        // SAFETY: made of cells; the memory is the map's for as long as this program runs, and where it is
        // another call's meanwhile, who reads finds another.
        Some(unsafe { &*id })
    }

    #[inline(always)]
    fn remember_call(&self, key: &CallKey, id: &CallId) -> bool {
        maps::CALLS.insert(key, id, 0).is_ok()
    }

    #[inline(always)]
    fn forget_call(&self, key: &CallKey) {
        // What is not there need not be removed.
        let _ = maps::CALLS.remove(key);
    }

    #[inline(always)]
    fn count_reason(&self, reason: Reason) {
        count_reason(reason);
    }

    #[inline(always)]
    fn meet<F: Family>(&self, segment: &Segment<F::Address>, now: Tick, mark: u32) -> Met {
        calls::meet::<F>(segment, now, mark)
    }

    #[inline(always)]
    fn mark<F: Family>(&self, segment: &Segment<F::Address>, interface: u32) -> u32 {
        calls::mark::<F>(segment, interface)
    }

    #[inline(always)]
    fn find_template<F: Family>(
        &self,
        flow: &Flow<F::Address>,
        service: u32,
        now: Tick,
    ) -> Template {
        calls::find_template::<F>(flow, service, now)
    }

    #[inline(always)]
    fn give_up<F: Family>(&self, template: u32) {
        calls::give_up::<F>(template);
    }

    #[inline(always)]
    fn make_template<F: Family>(
        &self,
        flow: &Flow<F::Address>,
        of: TemplateOf,
        now: Tick,
    ) -> Result<u32, Reason> {
        calls::make_template::<F>(flow, of, now)
    }

    #[inline(always)]
    fn begin<F: Family>(
        &self,
        segment: &Segment<F::Address>,
        service: u32,
        now: Tick,
    ) -> Result<Begun, Reason> {
        calls::begin::<F>(segment, service, now)
    }

    #[inline(always)]
    fn call_template<F: Family>(
        &self,
        flow: &Flow<F::Address>,
        service: u32,
        chosen: u32,
        now: Tick,
    ) -> Result<u32, Reason> {
        calls::call_template::<F>(flow, service, chosen, now)
    }

    #[inline(always)]
    fn find_call<F: Family>(
        &self,
        flow: &Flow<F::Address>,
        service: u32,
        chosen: u32,
        now: Tick,
    ) -> Result<Template, Reason> {
        calls::find_call::<F>(flow, service, chosen, now)
    }

    #[inline(always)]
    fn give_call<F: Family>(&self, slot: u32) -> Result<(), Reason> {
        calls::give_call::<F>(slot)
    }

    #[inline(always)]
    fn fill_client_port<F: Family>(&self, slot: u32, port: u16) -> bool {
        calls::fill_client_port::<F>(slot, port)
    }

    #[inline(always)]
    fn make_data<F: Family>(
        &self,
        control: u32,
        opener: Opener,
        named: Named,
    ) -> Result<u32, Reason> {
        calls::make_data::<F>(control, opener, named)
    }

    #[inline(always)]
    fn pick<F: Family>(&self, service: u32, flow: &Flow<F::Address>, now: Tick) -> Option<u32> {
        calls::pick::<F>(service, flow, now)
    }

    #[inline(always)]
    fn make<F: Family>(
        &self,
        segment: &Segment<F::Address>,
        destination: u32,
        terms: Terms,
        now: Tick,
    ) -> Result<Made, Reason> {
        calls::make::<F>(segment, destination, terms, now)
    }

    #[inline(always)]
    fn put_flows<F: Family>(&self, slot: u32) -> Appeared {
        calls::put_flows::<F>(slot)
    }

    #[inline(always)]
    fn put_replies<F: Family>(&self, slot: u32) -> Put {
        calls::put_replies::<F>(slot)
    }

    #[inline(always)]
    fn rival<F: Family>(&self, slot: u32, direction: Direction) -> Option<FlowValue> {
        calls::rival::<F>(slot, direction)
    }

    #[inline(always)]
    fn remove_flow<F: Family>(&self, slot: u32, direction: Direction, entry: FlowValue) {
        calls::remove_flow::<F>(slot, direction, entry);
    }

    #[inline(always)]
    fn search<F: Family>(&self, flow: &Flow<F::Address>) -> Option<FlowValue> {
        calls::search::<F>(flow, None)
    }

    #[inline(always)]
    fn search_beside<F: Family>(
        &self,
        flow: &Flow<F::Address>,
        except: FlowValue,
    ) -> Option<FlowValue> {
        calls::search::<F>(flow, Some(except))
    }

    #[inline(always)]
    fn evict<F: Family>(&self) -> bool {
        calls::evict::<F>()
    }

    #[inline(always)]
    fn end<F: Family>(&self, slot: u32, word: Word) -> bool {
        calls::end::<F>(slot, word)
    }

    #[inline(always)]
    fn stop_waiting<F: Family>(&self, slot: u32, word: Word) {
        calls::stop_waiting::<F>(slot, word);
    }

    #[inline(always)]
    fn expire_fragments(&self, now: Tick) {
        calls::expire_fragments(now);
    }

    #[inline(always)]
    fn repeat<S: Step<Self>>(&self, limit: u32, step: &mut S) {
        // SAFETY: the callback has the signature that the helper calls, and gets the context that
        // is given here, which outlives the call.
        unsafe {
            bpf_loop(
                limit,
                turn::<S> as *const () as *mut c_void,
                core::ptr::from_mut(step).cast(),
                0,
            );
        }
    }
}

/// One turn of `bpf_loop`: 0 goes on, 1 stops.
unsafe extern "C" fn turn<S: Step<Maps>>(_index: u32, step: *mut c_void) -> i64 {
    // SAFETY: `repeat` hands a `&mut S` through the helper.
    let step = unsafe { &mut *step.cast::<S>() };
    match step.step(&Maps) {
        ControlFlow::Continue(()) => 0,
        ControlFlow::Break(()) => 1,
    }
}
