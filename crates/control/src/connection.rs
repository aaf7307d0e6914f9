//! Connections, for listings.

use std::net::SocketAddr;
use std::sync::atomic::{Ordering, fence};

use weir_abi::connection::{Connection4, Connection6, Endpoints, INACTIVE, Word};
use weir_abi::keys::{FAMILY_V4, FAMILY_V6};
use weir_abi::shared::{Shared, Shared64};
use weir_abi::tick::{Tick, Ticks};
use weir_config::model::Protocol;

use crate::record;

/// A connection at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionView {
    /// Its protocol.
    pub protocol: Protocol,
    /// CIP and the client's port.
    pub client: SocketAddr,
    /// VIP and the virtual service's port.
    pub virtual_address: SocketAddr,
    /// RIP and the real server's port.
    pub server: SocketAddr,
    /// Its state.
    pub state: State,
    /// Counted in ActiveConn, not in InActConn.
    pub active: bool,
    /// Whole seconds until it ends unless a packet comes.
    pub seconds_left: u32,
}

/// The state of a connection, as IPVS's listings name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// TCP or SCTP, nothing seen yet.
    None,
    /// Open both ways.
    Established,
    /// The real server's SYN was seen first.
    SynSent,
    /// The client's SYN was seen.
    SynReceived,
    /// One side has sent FIN.
    FinWait,
    /// Both sides have.
    TimeWait,
    /// Reset, or never opened.
    Close,
    /// The client has sent FIN.
    CloseWait,
    /// The last FIN waits for its ACK.
    LastAck,
    /// Of IPVS's table; no packet leads there.
    Listen,
    /// Of IPVS's table of a client's SYN that was answered by the director.
    SynAck,
    /// UDP has one state only.
    Udp,
    /// Not a number that a state has.
    Bug,
}

impl State {
    /// All of them; the states of TCP first, by number.
    pub const ALL: [Self; 13] = [
        Self::None,
        Self::Established,
        Self::SynSent,
        Self::SynReceived,
        Self::FinWait,
        Self::TimeWait,
        Self::Close,
        Self::CloseWait,
        Self::LastAck,
        Self::Listen,
        Self::SynAck,
        Self::Udp,
        Self::Bug,
    ];
    const OF_TCP: usize = 11;

    /// The name in IPVS's listings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Established => "ESTABLISHED",
            Self::SynSent => "SYN_SENT",
            Self::SynReceived => "SYN_RECV",
            Self::FinWait => "FIN_WAIT",
            Self::TimeWait => "TIME_WAIT",
            Self::Close => "CLOSE",
            Self::CloseWait => "CLOSE_WAIT",
            Self::LastAck => "LAST_ACK",
            Self::Listen => "LISTEN",
            Self::SynAck => "SYNACK",
            Self::Udp => "UDP",
            Self::Bug => "BUG!",
        }
    }

    /// The state of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    fn of(protocol: Protocol, number: u8) -> Self {
        match protocol {
            Protocol::Tcp => Self::ALL[..Self::OF_TCP]
                .get(number as usize)
                .copied()
                .unwrap_or(Self::Bug),
            Protocol::Udp => Self::Udp,
            Protocol::Sctp => Self::None,
        }
    }
}

/// The connection in a record of the IPv4 table, if there is one.
pub fn describe4(record: &Connection4, now: Tick) -> Option<ConnectionView> {
    describe(&record.word, &record.endpoints, FAMILY_V4, now)
}

/// The connection in a record of the IPv6 table, if there is one.
pub fn describe6(record: &Connection6, now: Tick) -> Option<ConnectionView> {
    describe(&record.word, &record.endpoints, FAMILY_V6, now)
}

fn describe<const WORDS: usize>(
    word: &Shared64,
    endpoints: &Shared<Endpoints<[u32; WORDS]>>,
    family: u8,
    now: Tick,
) -> Option<ConnectionView> {
    let (word, endpoints) = read_whole(|| Word(word.load()), || endpoints.load())?;
    view(word, &endpoints, family, now)
}

/// A slot may get a new tenant while it is read. Its generation tells; then it is read again, and
/// left out if that goes on.
fn read_whole<E>(word: impl Fn() -> Word, endpoints: impl Fn() -> E) -> Option<(Word, E)> {
    for _ in 0..3 {
        let before = word();
        if !before.is_live() {
            return None;
        }
        fence(Ordering::Acquire);
        let endpoints = endpoints();
        fence(Ordering::Acquire);
        let after = word();
        if after.is_live() && after.generation() == before.generation() {
            return Some((after, endpoints));
        }
    }
    None
}

fn view<const WORDS: usize>(
    word: Word,
    endpoints: &Endpoints<[u32; WORDS]>,
    family: u8,
    now: Tick,
) -> Option<ConnectionView> {
    let protocol = record::read_protocol(endpoints.protocol)?;
    let address = |words: &[u32; WORDS], port| record::read_address(words, port, family);
    Some(ConnectionView {
        protocol,
        client: address(&endpoints.client, endpoints.client_port)?,
        virtual_address: address(&endpoints.virtual_address, endpoints.virtual_port)?,
        server: address(&endpoints.server, endpoints.server_port)?,
        state: State::of(protocol, word.state()),
        active: word.flags() & INACTIVE == 0,
        seconds_left: seconds_left(word.expires(), now),
    })
}

/// [`Ticks::REFRESH`] is part of every expiry and not of the timeout that it stands for.
fn seconds_left(expires: Tick, now: Tick) -> u32 {
    let left = expires.since(now) - Ticks::REFRESH.0 as i32;
    Ticks(left.max(0) as u32).to_seconds()
}

#[cfg(test)]
mod tests {
    use weir_abi::connection::LIVE;
    use weir_abi::service::FORWARD_NAT;

    use super::*;

    fn record(protocol: u8, state: u8, flags: u8, expires: Tick) -> Connection4 {
        let record = Connection4::default();
        record.endpoints.store(Endpoints {
            client: [u32::from_ne_bytes([198, 51, 100, 7])],
            virtual_address: [u32::from_ne_bytes([192, 0, 2, 10])],
            server: [u32::from_ne_bytes([10, 0, 0, 11])],
            client_port: 51234u16.to_be(),
            virtual_port: 80u16.to_be(),
            server_port: 8080u16.to_be(),
            protocol,
            forwarding: FORWARD_NAT,
        });
        record.word.store(Word::new(expires, state, flags, 3).0);
        record
    }

    #[test]
    fn a_connection_reads_as_it_was_written() {
        let now = Tick(u32::MAX - 5);
        let expires = now.after(Ticks::from_seconds(900)).after(Ticks::REFRESH);
        let view = describe4(&record(6, 1, LIVE, expires), now).unwrap();
        assert_eq!(view.protocol, Protocol::Tcp);
        assert_eq!(view.client, "198.51.100.7:51234".parse().unwrap());
        assert_eq!(view.virtual_address, "192.0.2.10:80".parse().unwrap());
        assert_eq!(view.server, "10.0.0.11:8080".parse().unwrap());
        assert_eq!(view.state.name(), "ESTABLISHED");
        assert!(view.active);
        assert_eq!(view.seconds_left, 900);
    }

    #[test]
    fn a_connection_of_ipv6_reads_as_it_was_written() {
        let record = Connection6::default();
        let client = "2001:db8::7".parse::<std::net::Ipv6Addr>().unwrap();
        let mut endpoints = Endpoints::<[u32; 4]> {
            protocol: 17,
            client_port: 4011u16.to_be(),
            ..Endpoints::default()
        };
        for (word, four) in endpoints.client.iter_mut().zip(client.octets().chunks(4)) {
            *word = u32::from_ne_bytes(four.try_into().unwrap());
        }
        record.endpoints.store(endpoints);
        record
            .word
            .store(Word::new(Tick(100), 0, LIVE | INACTIVE, 0).0);
        let view = describe6(&record, Tick(0)).unwrap();
        assert_eq!(view.client, "[2001:db8::7]:4011".parse().unwrap());
        assert_eq!(view.state.name(), "UDP");
        assert!(!view.active);
    }

    #[test]
    fn an_overdue_connection_has_no_seconds_left() {
        let view = describe4(&record(6, 5, LIVE | INACTIVE, Tick(0)), Tick(1000)).unwrap();
        assert_eq!(view.seconds_left, 0);
        assert_eq!(view.state.name(), "TIME_WAIT");
    }

    #[test]
    fn the_slack_of_an_expiry_is_not_shown() {
        let now = Tick(7);
        let whole = now.after(Ticks::from_seconds(10)).after(Ticks::REFRESH);
        for (expires, shown) in [(whole, 10), (Tick(whole.0 - 1), 9)] {
            let view = describe4(&record(6, 1, LIVE, expires), now).unwrap();
            assert_eq!(view.seconds_left, shown);
        }
    }

    /// What is read when the word's generation is, one load after the other, the one in the list (0
    /// for a record that is free): the generation, and which load of the endpoints it came with.
    fn read_through(generations: &[u16]) -> Option<(u16, u32)> {
        let mut words = generations.iter().map(|generation| {
            let flags = if *generation == 0 { 0 } else { LIVE };
            Word::new(Tick(0), 0, flags, *generation)
        });
        let words = std::cell::RefCell::new(&mut words);
        let loads = std::cell::Cell::new(0);
        let next_word = || words.borrow_mut().next().unwrap();
        let next_endpoints = || loads.replace(loads.get() + 1);
        let (word, load) = read_whole(next_word, next_endpoints)?;
        Some((word.generation(), load))
    }

    #[test]
    fn no_connection_is_made_of_two() {
        for (generations, read) in [
            (&[1, 1][..], Some((1, 0))),
            (&[0], None),
            (&[1, 0, 0], None),
            (&[1, 2, 2, 2], Some((2, 1))),
            (&[1, 2, 3, 4, 5, 5], Some((5, 2))),
            (&[1, 2, 3, 4, 5, 6], None),
        ] {
            assert_eq!(read_through(generations), read, "{generations:?}");
        }
    }

    #[test]
    fn a_free_record_holds_no_connection() {
        assert_eq!(describe4(&record(6, 1, 0, Tick(1000)), Tick(0)), None);
        assert_eq!(describe4(&record(99, 1, LIVE, Tick(1000)), Tick(0)), None);
    }

    #[test]
    fn states_have_the_names_of_ipvs() {
        let names: Vec<&str> = (0..12)
            .map(|n| State::of(Protocol::Tcp, n).name())
            .collect();
        assert_eq!(
            names.join(" "),
            "NONE ESTABLISHED SYN_SENT SYN_RECV FIN_WAIT TIME_WAIT CLOSE CLOSE_WAIT LAST_ACK LISTEN SYNACK BUG!"
        );
        for state in State::ALL {
            assert_eq!(State::from_name(state.name()), Some(state));
        }
    }
}
