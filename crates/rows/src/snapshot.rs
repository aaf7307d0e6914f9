//! All that a packet can move, at one moment.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use weir_abi::call::CallKey;
use weir_abi::connection::{
    Company, Endpoints, INACTIVE, LIVE, Local, NO_OUTPUT, TEMPLATE, TEMPLATE_ASSURED, Word,
};
use weir_abi::counters::Counters;
use weir_abi::flow_table::{FlowBucket, FlowEntry};
use weir_abi::keys::{Direction, FAMILY_V4, FAMILY_V6, Flow, FlowValue};
use weir_abi::service::{FORWARD_FULL_NAT, FORWARD_OTHER_FAMILY, FORWARD_TWIN, Observed};
use weir_abi::tick::{Tick, Ticks};

use crate::bench::Bench;
use crate::network::Family;

/// All that a packet can move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Live connections by family and slot.
    pub connections: BTreeMap<(Family, u32), Connection>,
    /// Templates of calls by family and slot. They are not among the connections and flows.
    pub calls: BTreeMap<(Family, u32), Call>,
    /// Flows: source, destination, protocol -> slot, and whether it is the reply's.
    pub flows: BTreeMap<(SocketAddr, SocketAddr, u8), (u32, bool)>,
    /// Live connections and slots ever used, by family.
    pub usage: BTreeMap<Family, (u32, u32)>,
    /// By slot: flags, weight, ActiveConn, InActConn, counters.
    pub destinations: Vec<Server>,
    /// By slot: what the scheduler remembers.
    pub memory: Vec<u64>,
    /// How many fragments wait.
    pub held: u32,
}

/// A real server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Flags and weight.
    pub record: (u32, u32),
    /// ActiveConn.
    pub active: u32,
    /// InActConn.
    pub inactive: u32,
    /// Its counters.
    pub counters: Counters,
    /// How it has answered new connections, where that is observed.
    pub observed: Answers,
}

/// How often a real server has answered which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// A SYN has begun a connection.
    pub begun: u64,
    /// SYN and ACK.
    pub answered: u64,
    /// RST.
    pub refused: u64,
    /// Nothing.
    pub unanswered: u64,
}

impl Answers {
    fn of(observed: &Observed) -> Self {
        Self {
            begun: observed.begun.load(),
            answered: observed.answered.load(),
            refused: observed.refused.load(),
            unanswered: observed.unanswered.load(),
        }
    }
}

/// A connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// CIP and port.
    pub client: SocketAddr,
    /// VIP and port.
    pub virtual_address: SocketAddr,
    /// RIP and port.
    pub server: SocketAddr,
    /// FULLNAT: what stands for the client towards it.
    pub local: Option<SocketAddr>,
    /// IANA protocol number.
    pub protocol: u8,
    /// The real server's slot.
    pub destination: u32,
    /// Its state.
    pub state: u8,
    /// Its flags, but for those that tell whether the client is proven.
    pub flags: u8,
    /// Whole seconds until it ends, the slack of every expiry not counted.
    pub seconds: i64,
}

impl Connection {
    /// Between the families: its twin, in the same slot, knows the real server and what stands for the client.
    fn see_twin<const N: usize>(&mut self, twin: Option<Endpoints<[u32; N]>>) {
        let twin = twin.expect("a connection between the families has a twin");
        assert_eq!(twin.forwarding, FORWARD_TWIN);
        self.server = socket(&twin.server, twin.server_port);
        self.local = Some(socket(&twin.client, twin.client_port));
    }
}

/// The template of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The Call-ID.
    pub id: String,
    /// The client's network.
    pub client: IpAddr,
    /// The port of the VIP.
    pub virtual_port: u16,
    /// RIP and port.
    pub server: SocketAddr,
    /// The real server's slot.
    pub destination: u32,
    /// Whether a real server has answered a connection of it.
    pub is_assured: bool,
    /// How many connections it holds.
    pub holds: u32,
    /// Whole seconds until it ends.
    pub seconds: i64,
    /// How many entries of the flow table lead to it.
    pub flows: usize,
}

impl Call {
    /// A new one, of the service on port 80.
    pub fn new(
        id: &str,
        client: IpAddr,
        server: SocketAddr,
        destination: u32,
        seconds: u32,
    ) -> Self {
        Self {
            id: id.to_owned(),
            client,
            virtual_port: 80,
            server,
            destination,
            is_assured: false,
            holds: 0,
            seconds: seconds.into(),
            flows: 1,
        }
    }
}

type Flows = BTreeMap<(SocketAddr, SocketAddr, u8), (u32, bool)>;

/// What lies in a flow table.
fn entries(buckets: &[FlowBucket]) -> impl Iterator<Item = FlowValue> {
    let entries = buckets.iter().flat_map(|bucket| &bucket.entries);
    entries
        .map(|cell| FlowEntry(cell.load()))
        .filter(|entry| *entry != FlowEntry::EMPTY)
        .map(FlowEntry::value)
}

fn insert_flow<A: Copy + AsRef<[u32]>>(
    flows: &mut Flows,
    value: FlowValue,
    endpoints: &Endpoints<A>,
    local: &Local<A>,
) {
    let key = Flow::of_any(endpoints, local, value.direction());
    let source = socket(key.source.as_ref(), key.source_port);
    let destination = socket(key.destination.as_ref(), key.destination_port);
    let is_reply = value.direction() == Direction::Reply;
    let before = flows.insert(
        (source, destination, key.protocol as u8),
        (value.slot(), is_reply),
    );
    assert_eq!(before, None, "a flow lies in its table twice");
}

/// How many slots of services and real servers a snapshot looks at; rows have fewer.
const SLOTS: usize = 8;

impl Snapshot {
    /// As it is now.
    pub fn take<B: Bench>(bench: &B) -> Self {
        let now = bench.now();
        let (mut connections, mut calls) = (BTreeMap::new(), BTreeMap::new());
        for (slot, record) in (0..).zip(bench.connections4()) {
            let seen = Word(record.word.load());
            let endpoints = record.endpoints.load();
            if seen.is_live() && seen.flags() & TEMPLATE != 0 {
                let key = CallKey {
                    slot,
                    family: FAMILY_V4.into(),
                };
                let mut found = call(seen, endpoints, record.local.load(), &record.company, now);
                found.destination = record.destination.load();
                let id = bench.call_id(key).expect("the Call-ID of a template");
                found.id = String::from_utf8(id).expect("text");
                let of_it = entries(bench.flows4()).filter(|value| value.slot() == slot);
                found.flows = of_it.count();
                calls.insert((Family::V4, slot), found);
            } else if seen.is_live() && endpoints.forwarding != FORWARD_TWIN {
                let mut found = connection(
                    seen,
                    endpoints,
                    record.local.load(),
                    record.destination.load(),
                    now,
                );
                if endpoints.forwarding == FORWARD_OTHER_FAMILY {
                    let twin = bench.connections6().get(record.twin.load() as usize);
                    found.see_twin(twin.map(|twin| twin.endpoints.load()));
                }
                connections.insert((Family::V4, slot), found);
            }
        }
        for (slot, record) in (0..).zip(bench.connections6()) {
            let seen = Word(record.word.load());
            let endpoints = record.endpoints.load();
            if seen.is_live() && seen.flags() & TEMPLATE != 0 {
                let key = CallKey {
                    slot,
                    family: FAMILY_V6.into(),
                };
                let mut found = call(seen, endpoints, record.local.load(), &record.company, now);
                found.destination = record.destination.load();
                let id = bench.call_id(key).expect("the Call-ID of a template");
                found.id = String::from_utf8(id).expect("text");
                let of_it = entries(bench.flows6()).filter(|value| value.slot() == slot);
                found.flows = of_it.count();
                calls.insert((Family::V6, slot), found);
            } else if seen.is_live() && endpoints.forwarding != FORWARD_TWIN {
                let mut found = connection(
                    seen,
                    endpoints,
                    record.local.load(),
                    record.destination.load(),
                    now,
                );
                if endpoints.forwarding == FORWARD_OTHER_FAMILY {
                    let twin = bench.connections4().get(record.twin.load() as usize);
                    found.see_twin(twin.map(|twin| twin.endpoints.load()));
                }
                connections.insert((Family::V6, slot), found);
            }
        }
        let mut flows = BTreeMap::new();
        for value in entries(bench.flows4()) {
            let record = &bench.connections4()[value.slot() as usize];
            if Word(record.word.load()).flags() & TEMPLATE != 0 {
                continue;
            }
            insert_flow(
                &mut flows,
                value,
                &record.endpoints.load(),
                &record.local.load(),
            );
        }
        for value in entries(bench.flows6()) {
            let record = &bench.connections6()[value.slot() as usize];
            if Word(record.word.load()).flags() & TEMPLATE != 0 {
                continue;
            }
            insert_flow(
                &mut flows,
                value,
                &record.endpoints.load(),
                &record.local.load(),
            );
        }
        let settings = bench.settings();
        let usage4 = (settings.live4.load(), settings.high_water4.load());
        let usage6 = (settings.live6.load(), settings.high_water6.load());
        let destinations = (0..).zip(bench.destinations()).take(SLOTS);
        Self {
            connections,
            calls,
            flows,
            usage: BTreeMap::from([(Family::V4, usage4), (Family::V6, usage6)]),
            destinations: destinations
                .map(|(slot, record)| Server {
                    record: (record.flags.load(), record.weight.load()),
                    active: record.active.load(),
                    inactive: record.inactive.load(),
                    counters: bench.counters(slot),
                    observed: Answers::of(&record.observed),
                })
                .collect(),
            memory: bench
                .services()
                .iter()
                .take(SLOTS)
                .map(|s| s.memory.load())
                .collect(),
            held: settings.held.load(),
        }
    }

    /// A new connection, just made: in state NONE, inactive, with three seconds; picked by rr.
    pub fn begin(&mut self, slot: u32, connection: Connection) {
        let family = Family::of(connection.client.ip());
        let Connection {
            client,
            virtual_address,
            server,
            local,
            protocol,
            destination,
            ..
        } = connection;
        self.flows
            .insert((client, virtual_address, protocol), (slot, false));
        let answered = local.unwrap_or(client);
        self.flows
            .insert((server, answered, protocol), (slot, true));
        let with_twin = Family::of(server.ip());
        for family in [family]
            .into_iter()
            .chain((with_twin != family).then_some(with_twin))
        {
            let usage = self.usage.get_mut(&family).expect("both families");
            usage.0 += 1;
            usage.1 = usage.1.max(slot + 1);
        }
        let server = &mut self.destinations[destination as usize];
        server.inactive += 1;
        server.counters.connections += 1;
        self.memory[0] = u64::from(destination);
        self.connections.insert((family, slot), connection);
    }

    /// A new template of a call.
    pub fn begin_call(&mut self, family: Family, slot: u32, call: Call) {
        let usage = self.usage.get_mut(&family).expect("both families");
        usage.0 += 1;
        usage.1 = usage.1.max(slot + 1);
        self.memory[0] = u64::from(call.destination);
        self.calls.insert((family, slot), call);
    }

    /// Another connection has the template of a call.
    pub fn prolong_call(&mut self, family: Family, slot: u32, seconds: u32) {
        let call = self.calls.get_mut(&(family, slot)).expect("a call");
        call.seconds = seconds.into();
    }

    /// So many connections more or less have it.
    pub fn hold_call(&mut self, family: Family, slot: u32, more: i32) {
        let call = self.calls.get_mut(&(family, slot)).expect("a call");
        call.holds = call.holds.wrapping_add_signed(more);
    }

    /// The template of a call ends.
    pub fn end_call(&mut self, family: Family, slot: u32) {
        self.calls.remove(&(family, slot)).expect("a call");
        self.usage.get_mut(&family).expect("both families").0 -= 1;
    }

    /// So many seconds go by.
    pub fn pass(&mut self, seconds: u32) {
        for call in self.calls.values_mut() {
            call.seconds -= i64::from(seconds);
        }
        for connection in self.connections.values_mut() {
            connection.seconds -= i64::from(seconds);
        }
    }

    /// The connection in a slot ends.
    pub fn end(&mut self, family: Family, slot: u32) {
        let connection = self
            .connections
            .remove(&(family, slot))
            .expect("a live connection");
        let Connection {
            client,
            virtual_address,
            server,
            local,
            protocol,
            ..
        } = connection;
        for (key, value) in [
            ((client, virtual_address, protocol), (slot, false)),
            ((server, local.unwrap_or(client), protocol), (slot, true)),
        ] {
            // A newer connection may have taken the replies over.
            if self.flows.get(&key) == Some(&value) {
                self.flows.remove(&key);
            }
        }
        let with_twin = Family::of(server.ip());
        for family in [family]
            .into_iter()
            .chain((with_twin != family).then_some(with_twin))
        {
            self.usage.get_mut(&family).expect("both families").0 -= 1;
        }
        let server = &mut self.destinations[connection.destination as usize];
        if connection.flags & INACTIVE == 0 {
            server.active -= 1;
        } else {
            server.inactive -= 1;
        }
    }

    /// The connection in a slot is one of FULLNAT, with that end.
    pub fn give_local(&mut self, family: Family, slot: u32, local: SocketAddr) {
        let connection = self.connections.get_mut(&(family, slot));
        let connection = connection.expect("a live connection");
        connection.local = Some(local);
        let (server, client) = (connection.server, connection.client);
        let protocol = connection.protocol;
        let flow = self.flows.remove(&(server, client, protocol));
        let flow = flow.expect("the flow of its replies");
        self.flows.insert((server, local, protocol), flow);
    }

    /// A packet has advanced the connection to that state and timeout.
    pub fn advance(&mut self, family: Family, slot: u32, state: u8, seconds: i64) {
        let connection = self
            .connections
            .get_mut(&(family, slot))
            .expect("a live connection");
        let server = &mut self.destinations[connection.destination as usize];
        let was_inactive = connection.flags & INACTIVE != 0;
        let is_inactive = !is_active(connection.protocol, state);
        match (was_inactive, is_inactive) {
            (true, false) => {
                server.active += 1;
                server.inactive -= 1;
            }
            (false, true) => {
                server.active -= 1;
                server.inactive += 1;
            }
            (true, true) | (false, false) => {}
        }
        connection.state = state;
        let unseen = connection.flags & NO_OUTPUT;
        connection.flags = LIVE | unseen | if is_inactive { INACTIVE } else { 0 };
        connection.seconds = seconds;
    }

    /// A reply of the connection has been seen.
    pub fn see_reply(&mut self, family: Family, slot: u32) {
        let connection = self
            .connections
            .get_mut(&(family, slot))
            .expect("a live connection");
        connection.flags &= !NO_OUTPUT;
    }

    /// A packet of that length from the client.
    pub fn count_in(&mut self, destination: u32, length: u64) {
        let counters = &mut self.destinations[destination as usize].counters;
        counters.in_packets += 1;
        counters.in_bytes += length;
    }

    /// A packet of that length to the client.
    pub fn count_out(&mut self, destination: u32, length: u64) {
        let counters = &mut self.destinations[destination as usize].counters;
        counters.out_packets += 1;
        counters.out_bytes += length;
    }
}

/// Whether a connection counts in ActiveConn: ESTABLISHED, SYN_SENT, SYN_RECV and SYNACK of TCP do,
/// ESTABLISHED of SCTP, UDP never does.
pub fn is_active(protocol: u8, state: u8) -> bool {
    match protocol {
        6 => matches!(state, 1 | 2 | 3 | 10),
        132 => state == 8,
        _ => false,
    }
}

fn call<const N: usize>(
    word: Word,
    endpoints: Endpoints<[u32; N]>,
    local: Local<[u32; N]>,
    company: &Company,
    now: Tick,
) -> Call {
    let ticks = i64::from(word.expires().since(now)) - i64::from(Ticks::REFRESH.0);
    Call {
        id: String::new(),
        client: socket(&local.address, 0).ip(),
        virtual_port: u16::from_be(endpoints.virtual_port),
        server: socket(&endpoints.server, endpoints.server_port),
        destination: 0,
        is_assured: word.state() == TEMPLATE_ASSURED,
        holds: company.controls.load(),
        seconds: ((ticks << 24) + 500_000_000).div_euclid(1_000_000_000),
        flows: 0,
    }
}

fn connection<const N: usize>(
    word: Word,
    endpoints: Endpoints<[u32; N]>,
    local: Local<[u32; N]>,
    destination: u32,
    now: Tick,
) -> Connection {
    let ticks = i64::from(word.expires().since(now)) - i64::from(Ticks::REFRESH.0);
    Connection {
        client: socket(&endpoints.client, endpoints.client_port),
        virtual_address: socket(&endpoints.virtual_address, endpoints.virtual_port),
        server: socket(&endpoints.server, endpoints.server_port),
        local: (endpoints.forwarding == FORWARD_FULL_NAT)
            .then(|| socket(&local.address, local.port)),
        protocol: endpoints.protocol,
        destination,
        state: word.state(),
        flags: word.flags() & (LIVE | INACTIVE | NO_OUTPUT),
        // The nearest second: a row in the kernel takes some milliseconds.
        seconds: ((ticks << 24) + 500_000_000).div_euclid(1_000_000_000),
    }
}

fn socket(words: &[u32], port: u16) -> SocketAddr {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let address = match <[u8; 4]>::try_from(&bytes[..]) {
        Ok(bytes) => IpAddr::V4(Ipv4Addr::from(bytes)),
        Err(_) => IpAddr::V6(Ipv6Addr::from(
            <[u8; 16]>::try_from(&bytes[..]).expect("one or four words"),
        )),
    };
    SocketAddr::new(address, u16::from_be(port))
}
