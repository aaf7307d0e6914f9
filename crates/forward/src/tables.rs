//! The tables that a packet is decided by.

use core::ops::ControlFlow;

use weir_abi::connection::Word;
use weir_abi::counters::Counters;
use weir_abi::keys::{BucketKey, FlowValue, ServiceKey};
use weir_abi::reason::Reason;
use weir_abi::service::{Destination, Service};
use weir_abi::settings::{Interface, Settings};
use weir_abi::tick::Tick;

use crate::connection;
use crate::family::{Family, Flow};
use crate::schedule;

/// A flow entry that is already there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occupied;

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
    /// The slot of a service.
    fn service_slot(&self, key: &ServiceKey) -> Option<u32>;
    /// The service in a slot.
    fn service(&self, slot: u32) -> Option<&Service>;
    /// The real server in a slot.
    fn destination(&self, slot: u32) -> Option<&Destination>;
    /// The real server of a bucket.
    fn bucket(&self, key: &BucketKey) -> Option<u32>;
    /// This processor's counters of the real server in a slot, through `count`.
    fn count(&self, destination: u32, count: impl FnOnce(&mut Counters));
    /// What is known of an interface.
    fn interface(&self, index: u32) -> Option<Interface>;

    /// The flow of that key.
    fn flow<F: Family>(&self, key: &Flow<F::Address>) -> Option<FlowValue>;
    /// Makes a flow that is not there yet.
    fn insert_flow<F: Family>(
        &self,
        key: &Flow<F::Address>,
        value: FlowValue,
    ) -> Result<(), Occupied>;
    /// Makes a flow, in place of any that is there.
    fn replace_flow<F: Family>(
        &self,
        key: &Flow<F::Address>,
        value: FlowValue,
    ) -> Result<(), Occupied>;
    /// Ends a flow.
    fn remove_flow<F: Family>(&self, key: &Flow<F::Address>);
    /// The connection record in a slot, in use or not.
    fn connection<F: Family>(&self, slot: u32) -> Option<&F::Record>;
    /// A slot that was used and is free.
    fn take_slot<F: Family>(&self) -> Option<u32>;
    /// Gives a slot back.
    fn return_slot<F: Family>(&self, slot: u32);

    /// [`schedule::pick`], as a function of its own.
    ///
    /// This and the next two take plain numbers and return one: in the kernel they are global
    /// functions, which the verifier checks once and not for every way that leads to them.
    fn pick(&self, service: u32, folded: u32) -> Option<u32>
    where
        Self: Sized,
    {
        schedule::pick(self, service, folded)
    }

    /// [`connection::make`], as a function of its own.
    fn make<F: Family>(
        &self,
        flow: &Flow<F::Address>,
        destination: u32,
        now: Tick,
    ) -> Result<u32, Reason>
    where
        Self: Sized,
    {
        connection::make::<F, Self>(self, flow, destination, now)
    }

    /// [`connection::end`], as a function of its own.
    fn end<F: Family>(&self, slot: u32, word: Word) -> bool
    where
        Self: Sized,
    {
        connection::end::<F, Self>(self, slot, word)
    }

    /// Repeats a step until it breaks, at most `limit` times.
    fn repeat<S: Step<Self>>(&self, limit: u32, step: &mut S);
}
