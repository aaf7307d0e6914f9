//! Names of programs and maps, as the object has them and as they are pinned.

/// The XDP program.
pub const PROGRAM_XDP: &str = "weir_xdp";
/// XDP's part for packets of IPv4 about which something is to be asked.
pub const PROGRAM_XDP_LENGTH4: &str = "weir_xdp_length4";
/// The same for IPv6.
pub const PROGRAM_XDP_LENGTH6: &str = "weir_xdp_length6";
/// The TC program.
pub const PROGRAM_TC: &str = "weir_tc";
/// TC's part for packets of IPv4 about which something is to be asked.
pub const PROGRAM_TC_LENGTH4: &str = "weir_tc_length4";
/// The same for IPv6.
pub const PROGRAM_TC_LENGTH6: &str = "weir_tc_length6";
/// TC's part `related`.
pub const PROGRAM_TC_RELATED: &str = "weir_tc_related";
/// TC's part `fragment`.
pub const PROGRAM_TC_FRAGMENT: &str = "weir_tc_fragment";
/// TC's part `application4`.
pub const PROGRAM_TC_APPLICATION4: &str = "weir_tc_application4";
/// TC's part `application6`.
pub const PROGRAM_TC_APPLICATION6: &str = "weir_tc_application6";
/// TC's part `seldom4`.
pub const PROGRAM_TC_SELDOM4: &str = "weir_tc_seldom4";
/// TC's part `seldom6`.
pub const PROGRAM_TC_SELDOM6: &str = "weir_tc_seldom6";
/// TC's part `carry` of IPv4.
pub const PROGRAM_TC_CARRY4: &str = "weir_tc_carry4";
/// TC's part `carry` of IPv6.
pub const PROGRAM_TC_CARRY6: &str = "weir_tc_carry6";
/// TC's part `tunnelled`.
pub const PROGRAM_TC_TUNNELLED: &str = "weir_tc_tunnelled";
/// The same for errors of IPv6.
pub const PROGRAM_TC_TUNNELLED6: &str = "weir_tc_tunnelled6";
/// TC's part for replies to checks.
pub const PROGRAM_TC_CHECK: &str = "weir_tc_check";
/// TC's part for packets of IPv4 that leave as IPv6.
pub const PROGRAM_TC_CROSS4: &str = "weir_tc_cross4";
/// The same the other way.
pub const PROGRAM_TC_CROSS6: &str = "weir_tc_cross6";
/// TC's part for ICMP errors of IPv4 that leave as those of IPv6.
pub const PROGRAM_TC_CROSS_ERROR4: &str = "weir_tc_cross_error4";
/// The same the other way.
pub const PROGRAM_TC_CROSS_ERROR6: &str = "weir_tc_cross_error6";
/// TC's part for calls of SIP over IPv4.
pub const PROGRAM_TC_CALL4: &str = "weir_tc_call4";
/// The same over IPv6.
pub const PROGRAM_TC_CALL6: &str = "weir_tc_call6";
/// TC's part for real servers' packets of no connection.
pub const PROGRAM_TC_STRAY: &str = "weir_tc_stray";
/// TC's part for ICMP errors that begin connections.
pub const PROGRAM_TC_ADOPT: &str = "weir_tc_adopt";
/// TC's part for packets that are to be cut.
pub const PROGRAM_TC_CUT: &str = "weir_tc_cut";
/// TC's part `carry` of IPv4 where both ends are translated.
pub const PROGRAM_TC_CARRY_LOCAL4: &str = "weir_tc_carry_local4";
/// The same of IPv6.
pub const PROGRAM_TC_CARRY_LOCAL6: &str = "weir_tc_carry_local6";
/// TC's part `fragment` of SCTP, AH and ESP.
pub const PROGRAM_TC_FRAGMENT_SELDOM: &str = "weir_tc_fragment_seldom";
/// TC's part `carry` of theirs, IPv4.
pub const PROGRAM_TC_CARRY_SELDOM4: &str = "weir_tc_carry_seldom4";
/// The same of IPv6.
pub const PROGRAM_TC_CARRY_SELDOM6: &str = "weir_tc_carry_seldom6";
/// TC's part `carry` of theirs where both ends are translated, IPv4.
pub const PROGRAM_TC_CARRY_LOCAL_SELDOM4: &str = "weir_tc_carry_local_seldom4";
/// The same of IPv6.
pub const PROGRAM_TC_CARRY_LOCAL_SELDOM6: &str = "weir_tc_carry_local_seldom6";
/// The part that what clients on the director send goes on to: [`PROGRAM_TC`] as a whole.
pub const PART_DEPART: u32 = 24;
/// At TC's egress hook: sends checks the way of the traffic.
pub const PROGRAM_TC_EGRESS: &str = "weir_tc_egress";
/// Starts the reaper's timer; run once by the daemon.
pub const PROGRAM_START_REAPER: &str = "weir_start_reaper";

/// One [`crate::settings::Settings`].
pub const MAP_SETTINGS: &str = "settings";
/// Slot -> [`crate::service::Service`].
pub const MAP_SERVICES: &str = "services";
/// [`crate::keys::ServiceKey`] -> slot of the service.
pub const MAP_SERVICE_INDEX: &str = "service_index";
/// Slot -> [`crate::service::Destination`].
pub const MAP_DESTINATIONS: &str = "destinations";
/// [`crate::hash_table::BucketPage`]s: the tables of the hashing schedulers.
pub const MAP_BUCKETS: &str = "buckets";
/// [`crate::locality::LocalityKey`] -> [`crate::locality::Locality`]: what lblc and lblcr remember.
pub const MAP_LOCALITIES: &str = "localities";
/// Slot of the real server -> [`crate::counters::Counters`], per processor.
pub const MAP_COUNTERS: &str = "counters";
/// [`crate::reason::Reason`] -> packets, per processor.
pub const MAP_REASONS: &str = "reasons";
/// [`crate::flow_table::FlowBucket`]s: which connection has a flow.
pub const MAP_FLOWS4: &str = "flows4";
/// The same for IPv6.
pub const MAP_FLOWS6: &str = "flows6";
/// Slot -> [`crate::connection::Connection4`].
pub const MAP_CONNECTIONS4: &str = "connections4";
/// Slot -> [`crate::connection::Connection6`].
pub const MAP_CONNECTIONS6: &str = "connections6";
/// Slots of `connections4` that were used and are free again.
pub const MAP_FREE4: &str = "free4";
/// Slots of `connections6` that were used and are free again.
pub const MAP_FREE6: &str = "free6";
/// Slot -> [`crate::settings::InterfaceRecord`].
pub const MAP_INTERFACES: &str = "interfaces";
/// Interface index -> slot of the interface.
pub const MAP_INTERFACE_INDEX: &str = "interface_index";
/// The reaper's timer.
pub const MAP_REAPER: &str = "reaper";

/// [`crate::mark::MarkRecord`]s: which packets get which firewall mark.
pub const MAP_MARKS: &str = "marks";
/// [`crate::pool::PoolAddress`]es: which addresses stand for clients towards real servers (FULLNAT).
pub const MAP_POOLS: &str = "pools";
/// [`crate::farewell::Farewell`]s: connections that have expired, to be told of.
pub const MAP_FAREWELLS: &str = "farewells";
/// [`crate::keys::ServerKey`] -> slot of a real server that is there.
pub const MAP_SERVER_INDEX: &str = "server_index";
/// The parts of the packet path that XDP goes on to.
pub const MAP_PARTS_XDP: &str = "parts_xdp";
/// The parts of the packet path that TC goes on to.
pub const MAP_PARTS_TC: &str = "parts_tc";
/// What one part tells the next, per processor.
pub const MAP_HANDOVER: &str = "handover";
/// [`crate::fragment::FragmentKey`] -> [`crate::fragment::FragmentRecord`].
pub const MAP_FRAGMENTS: &str = "fragments";
/// [`crate::fragment::Held`]: fragments that wait for the first one of their packet.
pub const MAP_HELD: &str = "held";
/// [`crate::fragment::AddressKey`] -> how many services and real servers have that address.
pub const MAP_ADDRESSES: &str = "addresses";

/// [`crate::check::CheckKey`] -> [`crate::check::Checked`].
pub const MAP_CHECK_REPLIES: &str = "check_replies";
/// Socket -> [`crate::check::CheckWay`]. Not pinned: it goes with the daemon, as its sockets do.
pub const MAP_CHECK_WAYS: &str = "check_ways";

/// [`crate::call::CallKey`] -> [`crate::call::CallId`].
pub const MAP_CALLS: &str = "calls";

/// All maps but `check_ways`, each pinned under its name.
pub const MAPS: [&str; 29] = [
    MAP_SETTINGS,
    MAP_SERVICES,
    MAP_SERVICE_INDEX,
    MAP_DESTINATIONS,
    MAP_BUCKETS,
    MAP_LOCALITIES,
    MAP_COUNTERS,
    MAP_REASONS,
    MAP_FLOWS4,
    MAP_FLOWS6,
    MAP_CONNECTIONS4,
    MAP_CONNECTIONS6,
    MAP_FREE4,
    MAP_FREE6,
    MAP_INTERFACES,
    MAP_INTERFACE_INDEX,
    MAP_REAPER,
    MAP_MARKS,
    MAP_POOLS,
    MAP_SERVER_INDEX,
    MAP_PARTS_XDP,
    MAP_PARTS_TC,
    MAP_HANDOVER,
    MAP_FRAGMENTS,
    MAP_HELD,
    MAP_ADDRESSES,
    MAP_CHECK_REPLIES,
    MAP_CALLS,
    MAP_FAREWELLS,
];
