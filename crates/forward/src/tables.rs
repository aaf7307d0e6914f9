//! The tables that a packet is decided by.

use core::ops::ControlFlow;

use weir_abi::call::{CallId, CallKey};
use weir_abi::check::{CheckKey, Checked};
use weir_abi::connection::Word;
use weir_abi::counters::Counters;
use weir_abi::farewell::Farewell;
use weir_abi::flow_table::FlowBucket;
use weir_abi::fragment::{AddressKey, FragmentKey, FragmentRecord, Held};
use weir_abi::handover::Handover;
use weir_abi::hash_table::BucketPage;
use weir_abi::keys::{Direction, FlowValue, ServerKey, ServiceKey};
use weir_abi::locality::{Locality, LocalityKey};
use weir_abi::mark::MarkRecord;
use weir_abi::pool::PoolAddress;
use weir_abi::reason::Reason;
use weir_abi::service::{Destination, Service};
use weir_abi::settings::{InterfaceRecord, Settings};
use weir_abi::tick::Tick;

use crate::begin::Begun;
use crate::call::template;
use crate::connection::{self, Appeared, Made, Named, Opener, TemplateOf, Terms};
use crate::family::{Family, Flow};
use crate::flow_table::{self, Put};
use crate::meet::{self, Met};
use crate::parse::Segment;
use crate::persist::Template;
use crate::{begin, evict, mark, observe, persist, schedule, waiting};

/// A loop's body: the verifier wants loops of unknown length to be calls of `bpf_loop`.
pub trait Step<T: ?Sized> {
    /// One turn.
    fn step(&mut self, tables: &T) -> ControlFlow<()>;
}

/// Services, real servers and connections.
///
/// Records are shared with other processors and with user space; what changes in them are cells.
pub trait Tables {
    /// The director's settings.
    fn settings(&self) -> Option<&Settings>;
    /// What the part before has left for this one.
    fn handover(&self) -> Option<&Handover>;
    /// An identification for a packet of ours that may be fragmented: another each time.
    fn identification(&self) -> u16 {
        match self.handover() {
            Some(handover) => handover.identification.add(1) as u16,
            None => 0,
        }
    }
    /// A rule for firewall marks.
    fn mark_rule(&self, place: u32) -> Option<&MarkRecord>;
    /// A place for a connection that has expired.
    fn farewell(&self, place: u32) -> Option<&Farewell>;
    /// A place of the services' own addresses (FULLNAT).
    fn pool_address(&self, place: u32) -> Option<&PoolAddress>;
    /// The slot of a real server that is there.
    fn server(&self, key: &ServerKey) -> Option<u32>;
    /// The slot of a service.
    fn service_slot(&self, key: &ServiceKey) -> Option<u32>;
    /// The service in a slot.
    fn service(&self, slot: u32) -> Option<&Service>;
    /// The real server in a slot.
    fn destination(&self, slot: u32) -> Option<&Destination>;
    /// A page of the hashing schedulers' tables.
    fn bucket_page(&self, page: u32) -> Option<&BucketPage>;
    /// What lblc and lblcr remember of an address.
    fn locality(&self, key: &LocalityKey) -> Option<&Locality>;
    /// Makes an empty entry for an address that has none, if there is room.
    fn add_locality(&self, key: &LocalityKey);
    /// The time in microseconds since any moment, wrapping.
    fn microseconds(&self) -> u32;
    /// A random number.
    fn random(&self) -> u32;
    /// This processor's counters of the real server in a slot, through `count`.
    fn count(&self, destination: u32, count: impl FnOnce(&mut Counters));
    /// The slot of an interface, by its index.
    fn interface_slot(&self, index: u32) -> Option<u32>;
    /// The interface in a slot.
    fn interface(&self, slot: u32) -> Option<&InterfaceRecord>;
    /// The interface with an index.
    #[inline(always)]
    fn interface_at(&self, index: u32) -> Option<&InterfaceRecord> {
        // Nearly every index is a slot number, and its own slot where that was free.
        match self.interface(index) {
            Some(record) if record.index.load() == index => Some(record),
            Some(_) | None => self.interface(self.interface_slot(index)?),
        }
    }

    /// A bucket of the family's flow table.
    fn flow_bucket<F: Family>(&self, bucket: u32) -> Option<&FlowBucket>;
    /// The connection record in a slot, in use or not.
    fn connection<F: Family>(&self, slot: u32) -> Option<&F::Record>;
    /// A slot that was used and is free.
    fn take_slot<F: Family>(&self) -> Option<u32>;
    /// Gives a slot back.
    fn return_slot<F: Family>(&self, slot: u32);

    /// The packet of which fragments with that key have been seen.
    fn fragment(&self, key: &FragmentKey) -> Option<&FragmentRecord>;
    /// The same, made where there is none, to be forgotten then.
    fn open_fragment(&self, key: &FragmentKey, expires: Tick) -> Option<&FragmentRecord>;
    /// Forgets it.
    fn forget_fragment(&self, key: &FragmentKey);
    /// A place for a fragment that waits.
    fn held(&self, place: u32) -> Option<&Held>;
    /// Whether that is the address of a service or a real server.
    fn is_known_address(&self, key: &AddressKey) -> bool;
    /// Who is checked by replies with that key.
    fn checked(&self, key: &CheckKey) -> Option<Checked>;
    /// Remembers it.
    fn remember_checked(&self, key: &CheckKey, server: &Checked);
    /// The Call-ID of a template.
    fn call_id(&self, key: &CallKey) -> Option<&CallId>;
    /// Keeps a copy of a template's Call-ID; whether there is room.
    fn remember_call(&self, key: &CallKey, id: &CallId) -> bool;
    /// Forgets it.
    fn forget_call(&self, key: &CallKey);
    /// Counts a packet by its reason.
    fn count_reason(&self, reason: Reason);

    /// [`meet::meet`], as a function of its own.
    ///
    /// This and the next ones take plain numbers and return one: in the kernel they are global
    /// functions, which the verifier checks once and not for every way that leads to them.
    fn meet<F: Family>(&self, segment: &Segment<F::Address>, now: Tick, mark: u32) -> Met
    where
        Self: Sized,
    {
        meet::meet::<F, Self>(self, segment, now, mark)
    }

    /// [`mark::mark`], as a function of its own.
    fn mark<F: Family>(&self, segment: &Segment<F::Address>, interface: u32) -> u32
    where
        Self: Sized,
    {
        mark::mark::<F, Self>(self, segment, interface)
    }

    /// [`persist::find_template`], as a function of its own.
    fn find_template<F: Family>(&self, flow: &Flow<F::Address>, service: u32, now: Tick) -> Template
    where
        Self: Sized,
    {
        persist::find_template::<F, Self>(self, flow, service, now)
    }

    /// [`persist::give_up`], as a function of its own.
    fn give_up<F: Family>(&self, template: u32)
    where
        Self: Sized,
    {
        persist::give_up::<F, Self>(self, template);
    }

    /// [`connection::make_template`], as a function of its own.
    fn make_template<F: Family>(
        &self,
        flow: &Flow<F::Address>,
        of: TemplateOf,
        now: Tick,
    ) -> Result<u32, Reason>
    where
        Self: Sized,
    {
        connection::make_template::<F, Self>(self, flow, of, now)
    }

    /// [`template::call_template`], as a function of its own.
    fn call_template<F: Family>(
        &self,
        flow: &Flow<F::Address>,
        service: u32,
        chosen: u32,
        now: Tick,
    ) -> Result<u32, Reason>
    where
        Self: Sized,
    {
        template::call_template::<F, Self>(self, flow, service, chosen, now)
    }

    /// [`template::find_call`], as a function of its own.
    fn find_call<F: Family>(
        &self,
        flow: &Flow<F::Address>,
        service: u32,
        chosen: u32,
        now: Tick,
    ) -> Result<Template, Reason>
    where
        Self: Sized,
    {
        template::find_call::<F, Self>(self, flow, service, chosen, now)
    }

    /// [`template::give_call`], as a function of its own.
    fn give_call<F: Family>(&self, slot: u32) -> Result<(), Reason>
    where
        Self: Sized,
    {
        template::give_call::<F, Self>(self, slot)
    }

    /// [`connection::fill_client_port`], as a function of its own.
    fn fill_client_port<F: Family>(&self, slot: u32, port: u16) -> bool
    where
        Self: Sized,
    {
        connection::fill_client_port::<F, Self>(self, slot, port)
    }

    /// [`connection::make_data`], as a function of its own.
    fn make_data<F: Family>(
        &self,
        control: u32,
        opener: Opener,
        named: Named,
    ) -> Result<u32, Reason>
    where
        Self: Sized,
    {
        connection::make_data::<F, Self>(self, control, opener, named)
    }

    /// [`begin::begin`], as a function of its own.
    fn begin<F: Family>(
        &self,
        segment: &Segment<F::Address>,
        service: u32,
        now: Tick,
    ) -> Result<Begun, Reason>
    where
        Self: Sized,
    {
        begin::begin::<F, Self>(self, segment, service, now)
    }

    /// [`schedule::pick`], as a function of its own.
    fn pick<F: Family>(&self, service: u32, flow: &Flow<F::Address>, now: Tick) -> Option<u32>
    where
        Self: Sized,
    {
        schedule::pick::<F, Self>(self, service, flow, now)
    }

    /// [`connection::make`], as a function of its own.
    fn make<F: Family>(
        &self,
        segment: &Segment<F::Address>,
        destination: u32,
        terms: Terms,
        now: Tick,
    ) -> Result<Made, Reason>
    where
        Self: Sized,
    {
        connection::make::<F, Self>(self, segment, destination, terms, now)
    }

    /// [`connection::put_flows`], as a function of its own.
    fn put_flows<F: Family>(&self, slot: u32) -> Appeared
    where
        Self: Sized,
    {
        connection::put_flows::<F, Self>(self, slot)
    }

    /// [`connection::put_replies`], as a function of its own.
    fn put_replies<F: Family>(&self, slot: u32) -> Put
    where
        Self: Sized,
    {
        connection::put_replies::<F, Self>(self, slot)
    }

    /// [`connection::rival`], as a function of its own.
    fn rival<F: Family>(&self, slot: u32, direction: Direction) -> Option<FlowValue>
    where
        Self: Sized,
    {
        connection::rival::<F, Self>(self, slot, direction)
    }

    /// [`connection::remove_flow`], as a function of its own.
    fn remove_flow<F: Family>(&self, slot: u32, direction: Direction, entry: FlowValue)
    where
        Self: Sized,
    {
        connection::remove_flow::<F, Self>(self, slot, direction, entry);
    }

    /// [`flow_table::search`], as a function of its own.
    fn search<F: Family>(&self, flow: &Flow<F::Address>) -> Option<FlowValue>
    where
        Self: Sized,
    {
        flow_table::search::<F, Self>(self, flow, None)
    }

    /// The same, another entry than that.
    fn search_beside<F: Family>(
        &self,
        flow: &Flow<F::Address>,
        except: FlowValue,
    ) -> Option<FlowValue>
    where
        Self: Sized,
    {
        flow_table::search::<F, Self>(self, flow, Some(except))
    }

    /// [`evict::evict`], as a function of its own.
    fn evict<F: Family>(&self) -> bool
    where
        Self: Sized,
    {
        evict::evict::<F, Self>(self)
    }

    /// [`connection::end`], as a function of its own.
    fn end<F: Family>(&self, slot: u32, word: Word) -> bool
    where
        Self: Sized,
    {
        connection::end::<F, Self>(self, slot, word)
    }

    /// [`observe::stop_waiting`], as a function of its own.
    fn stop_waiting<F: Family>(&self, slot: u32, word: Word)
    where
        Self: Sized,
    {
        observe::stop_waiting::<F, Self>(self, slot, word);
    }

    /// [`waiting::expire`], as a function of its own.
    fn expire_fragments(&self, now: Tick)
    where
        Self: Sized,
    {
        waiting::expire::<Self>(self, now);
    }

    /// Repeats a step until it breaks, at most `limit` times.
    fn repeat<S: Step<Self>>(&self, limit: u32, step: &mut S);
}
