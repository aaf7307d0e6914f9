//! What the daemon needs of the packet path beside its tables: the data plane, or a test's memory.

use std::collections::HashSet;
use std::io;

use abi::call::{CallId, CallKey};
use abi::connection::{Connection4, Connection6};
use abi::counters::Counters;
use abi::fragment::AddressKey;
use abi::reason::Reason;
use abi::settings::Interface;
use host::interface::State;
use host::mode::Hook;
use weir_abi as abi;
use weir_control::Tables;
use weir_dataplane::CheckWays;
use weir_host as host;

/// A packet path with its tables.
pub trait Plane: Tables<Error: Send + Sync + 'static> + Send + Sync + 'static {
    /// Whether the tables were there already.
    fn adopted(&self) -> bool;
    /// Takes the packets of an interface by that hook, in place of whatever took them before.
    fn attach(&mut self, index: u32, name: &str, hook: Hook) -> Result<(), Self::Error>;
    /// What is attached: index, name, hook.
    fn attached(&self) -> Result<Vec<(u32, String, Hook)>, Self::Error>;
    /// Lets checks go the way of the traffic, or no more.
    fn carry_checks(&mut self, wanted: bool) -> Result<(), Self::Error>;
    /// Translates replies of real servers by NAT that are the director itself, or no more.
    fn translate_local_replies(&mut self, wanted: bool) -> Result<(), Self::Error>;
    /// Serves clients on the director itself, or no more.
    fn serve_local_clients(&mut self, wanted: bool) -> Result<(), Self::Error>;
    /// What says of sockets which way their checks go, where there is such.
    fn check_ways(&self) -> Option<CheckWays>;
    /// Tells the packet programs of an interface.
    fn set_interface(&self, index: u32, interface: Interface) -> Result<(), Self::Error>;
    /// Lets the packet programs forget an interface that is gone.
    fn forget_interface(&self, index: u32) -> Result<(), Self::Error>;
    /// The index of the interface in a slot.
    fn interface_index(&self, slot: u16) -> Option<u32>;
    /// Tells the packet programs which addresses fragments may wait for; those that are not named any
    /// more are forgotten.
    fn set_addresses(&self, addresses: HashSet<AddressKey>) -> Result<(), Self::Error>;
    /// Packets by what became of them.
    fn reasons(&self) -> Result<Vec<(Reason, u64)>, Self::Error>;
    /// The state of an interface of this network namespace; nothing when there is none of that name.
    fn interface_state(&self, name: &str) -> io::Result<Option<State>>;
    /// What each processor has counted for the real servers that there are.
    fn processor_counters(&self) -> Result<Vec<Counters>, Self::Error>;
    /// The Call-ID of a call's template.
    fn call_id(&self, key: CallKey) -> Option<CallId>;
    /// All slots for connections of IPv4.
    fn connections4(&self) -> &[Connection4];
    /// All slots for connections of IPv6.
    fn connections6(&self) -> &[Connection6];
}
