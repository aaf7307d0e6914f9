//! The life of a connection: made, advanced by packets, ended.
//!
//! Whoever replaces the record's word owns what follows from it: ActiveConn and InActConn change
//! after a successful compare-and-swap and nowhere else.

use weir_abi::NONE;
use weir_abi::connection::{
    CONTROLLED, Endpoints, INACTIVE, LIVE, Local, NO_OUTPUT, ONE_PACKET, PROVEN, REPLIED,
    SPEECH_ACTIVE, Speech, TEMPLATE, TEMPLATE_ASSURED, Word, template_protocol,
};
use weir_abi::keys::{Direction, FlowValue};
use weir_abi::reason::Reason;
use weir_abi::service::{Destination, FORWARD_BYPASS, FORWARD_FULL_NAT, FORWARD_NAT, Service};
use weir_abi::settings::{Settings, USE_OBSERVATION};
use weir_abi::tick::{Tick, Ticks};
use weir_wire::transport::{TCP, UDP};

use crate::family::{Family, Flow, Record};
use crate::flow_table::{self, Put};
use crate::observe;
use crate::parse::{Segment, Transport};
use crate::persist::{template_address, template_port};
use crate::state;
use crate::state::tcp::TcpState;
use crate::tables::Tables;

/// How often a packet tries to advance a connection that others advance at the same time.
const TRIES: usize = 2;

/// A connection that a packet belongs to.
pub struct Found<'t, F: Family> {
    /// Its record.
    pub record: &'t F::Record,
    /// Its slot.
    pub slot: u32,
    /// Its word when it was found.
    pub word: Word,
    /// The real server's slot.
    pub destination: u32,
}

/// What a first look at the flow table says.
pub enum Find<'t, F: Family> {
    /// The connection that has a packet's flow, and which way the packet goes. It may have expired.
    Found(Found<'t, F>, Direction),
    /// No connection has it.
    Unknown,
    /// One may have it: [`flow_table::search`] tells.
    Perhaps,
}

/// Looks for the connection that has a packet's flow.
#[inline(always)]
pub fn find<'t, F: Family, T: Tables>(
    tables: &'t T,
    settings: &Settings,
    flow: &Flow<F::Address>,
) -> Find<'t, F> {
    let Some(value) = flow_table::first_with_tag::<F, T>(tables, settings, flow) else {
        return Find::Unknown;
    };
    let Some((record, word)) = flow_table::owner::<F, T>(tables, value, flow) else {
        return Find::Perhaps;
    };
    let found = Found {
        record,
        slot: value.slot(),
        word,
        destination: record.destination().load(),
    };
    Find::Found(found, value.direction())
}

/// The connection in a slot.
#[inline(always)]
pub fn get<F: Family, T: Tables>(tables: &T, slot: u32) -> Option<Found<'_, F>> {
    let record = tables.connection::<F>(slot)?;
    Some(Found {
        record,
        slot,
        word: Word(record.word().load()),
        destination: record.destination().load(),
    })
}

/// On which terms a connection begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The slot of the connection that controls it, or [`NONE`].
    pub control: u32,
    /// Whether it ends with its first packet.
    pub is_only: bool,
    /// Whether the real server gets the packet on the port that the client named, whatever its own.
    pub keeps_port: bool,
}

impl Terms {
    /// Those of most connections.
    pub const PLAIN: Self = Self {
        control: NONE,
        is_only: false,
        keeps_port: false,
    };
}

/// Makes the connection that a packet begins, as that packet leaves it, and says its slot. Nothing
/// finds it yet: its flows are to be [put](put_flows). Without a real server ([`NONE`]) its packets
/// go where they were going (`cache_bypass`).
#[inline(always)]
pub fn make<F: Family, T: Tables>(
    tables: &T,
    segment: &Segment<F::Address>,
    slot: u32,
    terms: Terms,
    now: Tick,
) -> Result<u32, Reason> {
    let Some(settings) = tables.settings() else {
        return Err(Reason::DestinationGone);
    };
    let destination = tables.destination(slot);
    let flow = &segment.flow;
    let (server, port, forwarding) = match destination {
        Some(destination) => {
            let address = destination.address.load();
            let own = address.port != 0 && !terms.keeps_port;
            let port = if own {
                address.port
            } else {
                flow.destination_port
            };
            (F::narrow(address.address), port, address.forwarding)
        }
        None if slot == NONE => (flow.destination, flow.destination_port, FORWARD_BYPASS),
        None => return Err(Reason::DestinationGone),
    };
    let endpoints = Endpoints {
        client: flow.source,
        virtual_address: flow.destination,
        server,
        client_port: flow.source_port,
        virtual_port: flow.destination_port,
        server_port: port,
        protocol: flow.protocol as u8,
        forwarding,
    };
    let connection = free_slot::<F, T>(tables, settings).ok_or(Reason::TableFull)?;
    let record = tables
        .connection::<F>(connection)
        .ok_or(Reason::TableFull)?;
    let mut flags = LIVE | INACTIVE;
    match forwarding {
        FORWARD_NAT => {}
        FORWARD_FULL_NAT => record.local().store(Local {
            address: flow.source,
            port: 0,
            padding: 0,
        }),
        _past_us => flags |= NO_OUTPUT,
    }
    if terms.is_only {
        flags |= ONE_PACKET;
    }
    if terms.control != NONE {
        flags |= CONTROLLED;
        record.company().control.store(terms.control);
        if let Some(control) = tables.connection::<F>(terms.control) {
            control.company().controls.add(1);
        }
    }
    if speaks_of_addresses(&endpoints) {
        forget_speech(record.speech());
    }
    let generation = Word(record.word().load()).generation().wrapping_add(1);
    let new = Word::new(now, 0, flags, generation);
    let word = after(settings, new, segment.transport(), Direction::Request, now);
    record.endpoints().store(endpoints);
    record.destination().store(slot);
    record.hop(Direction::Request).forget();
    record.hop(Direction::Reply).forget();
    record.word().store(word.0);
    if let Some(destination) = destination {
        occupy(destination, word);
    }
    F::live(settings).add(1);

    Ok(connection)
}

/// FTP's port.
pub const FTP: u16 = 21u16.to_be();

/// Whether the payload of a connection speaks of addresses that are to be translated: FTP's control
/// connections by NAT (IPVS's `ip_vs_ftp`).
#[inline(always)]
pub const fn speaks_of_addresses<A>(endpoints: &Endpoints<A>) -> bool {
    endpoints.virtual_port == FTP
        && endpoints.protocol == TCP
        && endpoints.forwarding == FORWARD_NAT
}

#[inline(always)]
fn forget_speech(speech: &Speech) {
    speech.asked.store(SPEECH_ACTIVE);
    speech.position.store(0);
    speech.before.store(0);
    speech.after.store(0);
}

/// Who opens FTP's data connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opener {
    /// The real server, to a port of the client's (PORT, EPRT).
    Server,
    /// The client, from whatever port, to a port of the real server's (PASV, EPSV).
    Client,
}

/// The port that FTP has named, and where it is not 0 the address of IPv4: in one word, as functions of their
/// own take it. Both as they lie in packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named(pub u64);

impl Named {
    /// That.
    #[inline(always)]
    pub const fn new(address: u32, port: u16) -> Self {
        Self((address as u64) << 32 | port as u64)
    }

    #[inline(always)]
    const fn address(self) -> u32 {
        (self.0 >> 32) as u32
    }

    #[inline(always)]
    const fn port(self) -> u16 {
        self.0 as u16
    }
}

/// Lets packets find the data connection that the control connection in a slot has spoken of: a new one,
/// or one that is there and waits again.
#[inline(always)]
pub fn open_data<F: Family, T: Tables>(
    tables: &T,
    control: u32,
    opener: Opener,
    named: Named,
) -> Result<(), Reason> {
    let slot = tables.make_data::<F>(control, opener, named)?;
    let record = tables.connection::<F>(slot).ok_or(Reason::TableFull)?;
    let word = Word(record.word().load());
    let direction = match opener {
        Opener::Server => Direction::Request,
        Opener::Client => Direction::Reply,
    };
    if let Some(entry) = tables.rival::<F>(slot, direction) {
        tables.end::<F>(slot, word);
        return wait_again::<F, T>(tables, entry.slot(), word.expires());
    }
    let appeared = tables.put_flows::<F>(slot);
    if appeared.request == Put::Full || appeared.reply == Put::Full {
        tables.end::<F>(slot, word);
        return Err(Reason::TableFull);
    }
    Ok(())
}

/// Makes that data connection, and says its slot. Nothing finds it yet.
#[inline(always)]
pub fn make_data<F: Family, T: Tables>(
    tables: &T,
    control: u32,
    opener: Opener,
    named: Named,
) -> Result<u32, Reason> {
    let (Some(settings), Some(found)) = (tables.settings(), get::<F, T>(tables, control)) else {
        return Err(Reason::NotOurs);
    };
    let mut endpoints = found.record.endpoints().load();
    match opener {
        Opener::Server => {
            endpoints.client = F::with_word(endpoints.client, named.address());
            endpoints.client_port = named.port();
            endpoints.virtual_port = below(endpoints.virtual_port);
            endpoints.server_port = below(endpoints.server_port);
        }
        Opener::Client => {
            endpoints.server = F::with_word(endpoints.server, named.address());
            endpoints.client_port = 0;
            endpoints.virtual_port = named.port();
            endpoints.server_port = named.port();
        }
    }
    let slot = free_slot::<F, T>(tables, settings).ok_or(Reason::TableFull)?;
    let record = tables.connection::<F>(slot).ok_or(Reason::TableFull)?;
    record.endpoints().store(endpoints);
    record.destination().store(found.destination);
    record.hop(Direction::Request).forget();
    record.hop(Direction::Reply).forget();
    record.company().control.store(control);
    if settings.uses(USE_OBSERVATION) {
        observe::not_begun::<F>(record);
    }
    found.record.company().controls.add(1);
    let listens = Ticks(settings.tcp_timeouts[TcpState::Listen as usize].load());
    let now = Tick(settings.now.load());
    let expires = now.after(listens).after(Ticks::REFRESH);
    // Both ends are known to be there.
    let flags = LIVE | INACTIVE | CONTROLLED | PROVEN;
    let generation = Word(record.word().load()).generation().wrapping_add(1);
    let word = Word::new(expires, TcpState::Listen as u8, flags, generation);
    record.word().store(word.0);
    if let Some(destination) = tables.destination(found.destination) {
        occupy(destination, word);
    }
    F::live(settings).add(1);
    Ok(slot)
}

/// Lets a data connection wait for its first packet as a new one does (`ip_vs_tcp_conn_listen`).
#[inline(always)]
fn wait_again<F: Family, T: Tables>(tables: &T, slot: u32, expires: Tick) -> Result<(), Reason> {
    let record = tables.connection::<F>(slot).ok_or(Reason::Contended)?;
    let word = Word(record.word().load());
    let (flags, generation) = (word.flags() | INACTIVE, word.generation());
    let waits = Word::new(expires, TcpState::Listen as u8, flags, generation);
    if word.is_live() && record.word().replace(word.0, waits.0) {
        move_between(tables, record.destination().load(), word, waits);
    }
    Ok(())
}

/// Gives FTP's data connection in a slot, which waited for a client's packet from whatever port, that port.
#[inline(always)]
pub fn fill_client_port<F: Family, T: Tables>(tables: &T, slot: u32, port: u16) -> bool {
    let Some(record) = tables.connection::<F>(slot) else {
        return false;
    };
    for direction in [Direction::Request, Direction::Reply] {
        tables.remove_flow::<F>(slot, direction, FlowValue::new(slot, direction));
    }
    let mut endpoints = record.endpoints().load();
    endpoints.client_port = port;
    record.endpoints().store(endpoints);
    let appeared = tables.put_flows::<F>(slot);
    appeared.request != Put::Full && appeared.reply != Put::Full
}

/// The port below, as it lies.
#[inline(always)]
const fn below(port: u16) -> u16 {
    u16::from_be(port).wrapping_sub(1).to_be()
}

/// Counts a connection that a real server gets (`ip_vs_bind_dest`).
#[inline(always)]
fn occupy(destination: &Destination, word: Word) {
    if word.flags() & INACTIVE != 0 {
        destination.inactive.add(1);
    } else {
        destination.active.add(1);
    }
    if destination.upper_threshold.load() != 0 {
        destination.update_overload();
    }
}

/// Counts a connection that a real server had (`ip_vs_unbind_dest`).
#[inline(always)]
fn vacate(destination: &Destination, word: Word) {
    if word.flags() & TEMPLATE != 0 {
        destination.persistent.add(1u32.wrapping_neg());
    } else if word.flags() & INACTIVE != 0 {
        destination.inactive.add(1u32.wrapping_neg());
    } else {
        destination.active.add(1u32.wrapping_neg());
    }
    if destination.overloaded.load() != 0 {
        destination.update_overload();
    }
}

/// What a new template is about: whose clients, of which service, to which real server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TemplateOf {
    /// The service's slot.
    pub service: u32,
    /// The real server's slot.
    pub destination: u32,
}

/// Makes the template for a packet of a service, and says its slot.
#[inline(always)]
pub fn make_template<F: Family, T: Tables>(
    tables: &T,
    flow: &Flow<F::Address>,
    of: TemplateOf,
    now: Tick,
) -> Result<u32, Reason> {
    let (Some(settings), Some(service), Some(destination)) = (
        tables.settings(),
        tables.service(of.service),
        tables.destination(of.destination),
    ) else {
        return Err(Reason::DestinationGone);
    };
    let connection = free_slot::<F, T>(tables, settings).ok_or(Reason::TableFull)?;
    let record = tables
        .connection::<F>(connection)
        .ok_or(Reason::TableFull)?;
    let key = service.key.load();
    let address = destination.address.load();
    let port = template_port(&key, flow.destination_port);
    record.endpoints().store(Endpoints {
        client: F::masked(flow.source, &service.netmask),
        virtual_address: template_address::<F>(&key, flow.destination),
        server: F::narrow(address.address),
        client_port: 0,
        virtual_port: port,
        // As IPVS shows it: no port where the template is for all of them.
        server_port: if port == 0 { 0 } else { address.port },
        protocol: template_protocol(key.protocol),
        forwarding: address.forwarding,
    });
    record.destination().store(of.destination);
    let timeout = Ticks(service.persistence_timeout.load());
    record.company().timeout.store(timeout.0);
    let generation = Word(record.word().load()).generation().wrapping_add(1);
    // Nobody's place in a full table is worth a client's real server: it is never evicted.
    let flags = LIVE | INACTIVE | TEMPLATE | PROVEN;
    let expires = now.after(timeout).after(Ticks::REFRESH);
    record
        .word()
        .store(Word::new(expires, 0, flags, generation).0);
    destination.persistent.add(1);
    F::live(settings).add(1);
    Ok(connection)
}

/// Lets a template live as long again, as each of its new connections does (`ip_vs_conn_put`).
#[inline(always)]
pub fn prolong<F: Family>(record: &F::Record, now: Tick) {
    let word = Word(record.word().load());
    let timeout = Ticks(record.company().timeout.load());
    let expires = now.after(timeout).after(Ticks::REFRESH);
    // Who is in between has prolonged it too, or ended it.
    record
        .word()
        .replace(word.0, Word::of_halves(expires, word.upper()).0);
}

/// Tells a connection's template that the connection has come to be (`ip_vs_control_assure_ct`).
#[inline(always)]
fn assure<F: Family, T: Tables>(tables: &T, record: &F::Record) {
    let Some(control) = tables.connection::<F>(record.company().control.load()) else {
        return;
    };
    let word = Word(control.word().load());
    if word.flags() & TEMPLATE != 0 && word.state() != TEMPLATE_ASSURED {
        let assured = Word::new(
            word.expires(),
            TEMPLATE_ASSURED,
            word.flags(),
            word.generation(),
        );
        control.word().replace(word.0, assured.0);
    }
}

/// What came of putting a connection's flows into their table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appeared {
    /// Of its requests.
    pub request: Put,
    /// Of its replies.
    pub reply: Put,
}

/// Puts the flows of a connection into their table.
#[inline(always)]
pub fn put_flows<F: Family, T: Tables>(tables: &T, slot: u32) -> Appeared {
    let (Some(settings), Some(record)) = (tables.settings(), tables.connection::<F>(slot)) else {
        return Appeared {
            request: Put::Full,
            reply: Put::Full,
        };
    };
    Appeared {
        request: put_flow::<F, T>(tables, settings, record, slot, Direction::Request),
        // Replies past the director are no affair of its; nor are a template's.
        reply: if has_replies::<F>(record) {
            put_flow::<F, T>(tables, settings, record, slot, Direction::Reply)
        } else {
            Put::Alone
        },
    }
}

/// Puts the flow of a connection's replies alone into its table.
#[inline(always)]
pub fn put_replies<F: Family, T: Tables>(tables: &T, slot: u32) -> Put {
    match (tables.settings(), tables.connection::<F>(slot)) {
        (Some(settings), Some(record)) => {
            put_flow::<F, T>(tables, settings, record, slot, Direction::Reply)
        }
        (None, Some(_) | None) | (Some(_), None) => Put::Full,
    }
}

/// Whether replies of the connection come by the director, to the client's address. (Those to an address
/// of the director's own are [claimed](crate::full_nat).)
#[inline(always)]
fn has_replies<F: Family>(record: &F::Record) -> bool {
    let is_template = Word(record.word().load()).flags() & TEMPLATE != 0;
    !is_template && record.endpoints().load().forwarding == FORWARD_NAT
}

#[inline(always)]
fn put_flow<F: Family, T: Tables>(
    tables: &T,
    settings: &Settings,
    record: &F::Record,
    slot: u32,
    direction: Direction,
) -> Put {
    let flow = record.flow(direction);
    flow_table::put::<F, T>(tables, settings, &flow, FlowValue::new(slot, direction))
}

/// The entry of another connection that has the same flow as that of a slot in one direction.
#[inline(always)]
pub fn rival<F: Family, T: Tables>(
    tables: &T,
    slot: u32,
    direction: Direction,
) -> Option<FlowValue> {
    let record = tables.connection::<F>(slot)?;
    let own = FlowValue::new(slot, direction);
    // Each direction for itself: to choose between both word by word takes stack.
    match direction {
        Direction::Request => tables.search_beside::<F>(&record.flow(Direction::Request), own),
        Direction::Reply => tables.search_beside::<F>(&record.flow(Direction::Reply), own),
    }
}

/// Removes an entry of the flow that the connection in a slot has in one direction: its own, or
/// another's. What is not there need not be removed.
#[inline(always)]
pub fn remove_flow<F: Family, T: Tables>(
    tables: &T,
    slot: u32,
    direction: Direction,
    entry: FlowValue,
) {
    if let (Some(settings), Some(record)) = (tables.settings(), tables.connection::<F>(slot)) {
        let flow = record.flow(direction);
        flow_table::remove::<F, T>(tables, settings, &flow, entry);
    }
}

/// A slot for a new connection: one given back, or one never used.
#[inline(always)]
fn free_slot<F: Family, T: Tables>(tables: &T, settings: &Settings) -> Option<u32> {
    let capacity = F::capacity(settings).load();
    let high_water = F::high_water(settings);
    // Where all slots that were used are in use, asking the stack for one would be in vain.
    if F::live(settings).load() != high_water.load()
        && let Some(slot) = tables.take_slot::<F>()
    {
        return Some(slot);
    }
    // Looked at first, so that a full table does not push the mark up with every packet.
    if high_water.load() >= capacity {
        return None;
    }
    let slot = high_water.add(1);
    (slot < capacity).then_some(slot)
}

/// What a packet does to the connection that it belongs to: state, expiry, ActiveConn, InActConn.
#[inline(always)]
pub fn advance<F: Family, T: Tables>(
    tables: &T,
    settings: &Settings,
    found: &Found<'_, F>,
    transport: Transport,
    direction: Direction,
    now: Tick,
) {
    let mut word = found.word;
    let mut tries = 0;
    while tries < TRIES {
        let next = after(settings, word, transport, direction, now);
        if is_as_good(word, next) {
            return;
        }
        if found.record.word().replace(word.0, next.0) {
            move_between(tables, found.destination, word, next);
            if next.flags() & CONTROLLED != 0 && comes_to_be(word, next, transport, direction) {
                assure::<F, T>(tables, found.record);
            }
            return;
        }
        word = Word(found.record.word().load());
        if !word.is_live() || word.generation() != found.word.generation() {
            return;
        }
        tries += 1;
    }
}

/// The service of a real server, if it has timeouts of its own.
#[inline(always)]
pub fn own_timeouts<T: Tables>(tables: &T, destination: u32) -> Option<&Service> {
    let service = tables.service(tables.destination(destination)?.service.load())?;
    let [established, fin_wait, udp] = &service.timeouts;
    (established.load() | fin_wait.load() | udp.load() != 0).then_some(service)
}

/// Puts off the end of a connection whose service has a timeout of its own for its state: by that one
/// instead of the director's.
#[cfg_attr(target_arch = "bpf", inline(never))]
pub fn keep_own_timeout<F: Family, T: Tables>(tables: &T, slot: u32, now: Tick) {
    let Some(record) = tables.connection::<F>(slot) else {
        return;
    };
    let Some(service) = own_timeouts(tables, record.destination().load()) else {
        return;
    };
    let word = Word(record.word().load());
    let [established, fin_wait, udp] = &service.timeouts;
    let own = match record.endpoints().load().protocol {
        TCP if state::tcp::is_established(word.state()) => established.load(),
        TCP if state::tcp::is_fin_wait(word.state()) => fin_wait.load(),
        UDP => udp.load(),
        _another => 0,
    };
    if own != 0 && word.is_live() {
        let expires = now.after(Ticks(own)).after(Ticks::REFRESH);
        // Who is in between has put it off too, or ended it.
        record
            .word()
            .replace(word.0, Word::of_halves(expires, word.upper()).0);
    }
}

/// The word after a packet.
#[inline(always)]
fn after(
    settings: &Settings,
    word: Word,
    transport: Transport,
    direction: Direction,
    now: Tick,
) -> Word {
    let (state, timeout, active) = match transport {
        Transport::Tcp(control) => {
            let unseen = word.flags() & NO_OUTPUT != 0;
            let state = state::tcp::after(word.state(), control, direction, unseen, settings) & 15;
            let timeout = settings.tcp_timeouts[state as usize].load();
            (state, timeout, state::tcp::is_active(state))
        }
        Transport::Sctp(event) => {
            let unseen = word.flags() & NO_OUTPUT != 0;
            let state = state::sctp::after(word.state(), event, direction, unseen) & 15;
            let timeout = settings.sctp_timeouts[state as usize].load();
            (state, timeout, state::sctp::is_active(state))
        }
        Transport::Udp | Transport::Secured => {
            (state::STATELESS, settings.udp_timeout.load(), false)
        }
    };
    // Born in NONE and inactive, a connection is inactive whenever its state is: so the flag need
    // not ask whether the state has changed, as the kernel does. UDP's only state is inactive.
    let inactive = !active as u32 * INACTIVE as u32;
    let kept = word.upper() >> 8 & !(INACTIVE as u32);
    let flags = match direction {
        Direction::Request => kept | proof(kept, transport),
        Direction::Reply => kept & !(NO_OUTPUT as u32) | REPLIED as u32,
    } | inactive;
    let expires = now.after(Ticks(timeout)).after(Ticks::REFRESH);
    Word::of_halves(expires, flags << 8 | state as u32)
}

/// [`PROVEN`] where a client goes on after the real server has answered. A SYN or INIT proves nothing: it
/// may be sent again unheard.
#[inline(always)]
const fn proof(flags: u32, transport: Transport) -> u32 {
    const { assert!(PROVEN == REPLIED << 1) };
    match transport {
        Transport::Tcp(control) if control.syn() => 0,
        Transport::Sctp(event) if event.is_init() => 0,
        Transport::Tcp(_) | Transport::Udp | Transport::Sctp(_) | Transport::Secured => {
            (flags & REPLIED as u32) << 1
        }
    }
}

/// Whether it is not worth a write: nothing but the expiry moves, and by less than the slack that
/// every expiry has.
#[inline(always)]
fn is_as_good(old: Word, new: Word) -> bool {
    // Unsigned: a move back is a large one.
    let moved = new.expires().since(old.expires()) as u32;
    old.upper() == new.upper() && moved < Ticks::REFRESH.0
}

/// Whether a packet has made it a connection that keeps its template (TCP, SCTP: ESTABLISHED, UDP: a
/// reply).
#[inline(always)]
fn comes_to_be(old: Word, new: Word, transport: Transport, direction: Direction) -> bool {
    match transport {
        Transport::Tcp(_) => old.state() != new.state() && state::tcp::is_established(new.state()),
        Transport::Sctp(_) => {
            old.state() != new.state() && state::sctp::is_established(new.state())
        }
        Transport::Secured => false,
        Transport::Udp => match direction {
            Direction::Request => false,
            Direction::Reply => true,
        },
    }
}

#[inline(always)]
fn move_between<T: Tables>(tables: &T, destination: u32, old: Word, new: Word) {
    let was = (old.flags() / INACTIVE) as u32 & 1;
    let is = (new.flags() / INACTIVE) as u32 & 1;
    if was != is
        && let Some(destination) = tables.destination(destination)
    {
        destination.active.add(was.wrapping_sub(is));
        destination.inactive.add(is.wrapping_sub(was));
    }
}

/// Ends a connection whose time has come, if its word is still that: one that controls others lives
/// on for a minute (`ip_vs_conn_expire`).
#[inline(always)]
pub fn expire<F: Family, T: Tables>(tables: &T, slot: u32, word: Word, now: Tick) {
    const AGAIN: Ticks = Ticks::from_seconds(60);
    if let Some(record) = tables.connection::<F>(slot)
        && record.company().controls.load() != 0
    {
        if word.flags() & TEMPLATE != 0 {
            record.company().timeout.store(AGAIN.0);
        }
        let later = now.after(AGAIN).after(Ticks::REFRESH);
        record
            .word()
            .replace(word.0, Word::of_halves(later, word.upper()).0);
        return;
    }
    if is_observed(tables) {
        tables.stop_waiting::<F>(slot, word);
    }
    tables.end::<F>(slot, word);
}

/// Whether any service wants it observed how its real servers answer.
#[inline(always)]
fn is_observed<T: Tables>(tables: &T) -> bool {
    match tables.settings() {
        Some(settings) => settings.uses(USE_OBSERVATION),
        None => false,
    }
}

/// Ends a connection, if its word is still that; whether it was.
#[inline(always)]
pub fn end<F: Family, T: Tables>(tables: &T, slot: u32, word: Word) -> bool {
    let Some(record) = tables.connection::<F>(slot) else {
        return false;
    };
    if !record.word().replace(word.0, ended(word).0) {
        return false;
    }
    for direction in [Direction::Request, Direction::Reply] {
        let own = FlowValue::new(slot, direction);
        tables.remove_flow::<F>(slot, direction, own);
    }
    if let Some(settings) = tables.settings() {
        F::live(settings).add(1u32.wrapping_neg());
    }
    if let Some(destination) = tables.destination(record.destination().load()) {
        vacate(destination, word);
    }
    if word.flags() & CONTROLLED != 0
        && let Some(control) = tables.connection::<F>(record.company().control.load())
    {
        control.company().controls.add(1u32.wrapping_neg());
    }
    tables.return_slot::<F>(slot);
    true
}

/// The word of a record that is free, after that tenant.
#[inline(always)]
const fn ended(word: Word) -> Word {
    Word::new(Tick(0), 0, 0, word.generation())
}
