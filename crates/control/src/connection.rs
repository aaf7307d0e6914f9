//! Connections, for listings.

mod state;

use std::net::SocketAddr;
use std::sync::atomic::{Ordering, fence};

use weir_abi::connection::{
    Connection4, Connection6, Endpoints, INACTIVE, Local, TEMPLATE, Word, template_protocol,
};
use weir_abi::keys::{FAMILY_V4, FAMILY_V6};
use weir_abi::service::{
    Destination, FORWARD_BYPASS, FORWARD_DIRECT, FORWARD_FULL_NAT, FORWARD_LOCAL, FORWARD_NAT,
    FORWARD_OTHER_FAMILY, FORWARD_TUNNEL,
};
use weir_abi::shared::{Shared, Shared32, Shared64};
use weir_abi::tick::{Tick, Ticks};
use weir_config::model::Protocol;

use crate::record;
pub use state::State;

/// A connection at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionView {
    /// Its protocol; nothing for the template of a service by mark (`IPPROTO_IP`), whose virtual
    /// address is the mark.
    pub protocol: Option<Protocol>,
    /// CIP and the client's port.
    pub client: SocketAddr,
    /// VIP and the virtual service's port.
    pub virtual_address: SocketAddr,
    /// RIP and the real server's port.
    pub server: SocketAddr,
    /// Its state.
    pub state: State,
    /// How packets reach the real server.
    pub method: Method,
    /// FULLNAT: the director's end that stands for the client's.
    pub local: Option<SocketAddr>,
    /// Whether it is no connection but what a persistent service remembers of a client.
    pub template: bool,
    /// Whether it is a template of a call (SIP), whose Call-ID is kept beside.
    pub call: bool,
    /// Counted in ActiveConn, not in InActConn.
    pub active: bool,
    /// Whole seconds until it ends unless a packet comes.
    pub seconds_left: u32,
}

/// How the packets of a connection reach its real server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// By NAT.
    Nat,
    /// It is the director itself.
    Local,
    /// Wrapped.
    Tunnel,
    /// Unchanged.
    Direct,
    /// There is none: they go where they were going.
    Bypass,
    /// By NAT of both ends.
    FullNat,
}

impl Method {
    /// The name in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nat => "nat",
            Self::Local => "local",
            Self::Tunnel => "tun",
            Self::Direct => "dr",
            Self::Bypass => "bypass",
            Self::FullNat => "fullnat",
        }
    }

    const fn of_number(number: u8) -> Option<Self> {
        Some(match number {
            FORWARD_NAT => Self::Nat,
            FORWARD_LOCAL => Self::Local,
            FORWARD_TUNNEL => Self::Tunnel,
            FORWARD_DIRECT => Self::Direct,
            FORWARD_BYPASS => Self::Bypass,
            FORWARD_FULL_NAT | FORWARD_OTHER_FAMILY => Self::FullNat,
            _ => return None,
        })
    }
}

/// The connection in a record of the IPv4 table, if there is one.
pub fn describe4(
    record: &Connection4,
    destinations: &[Destination],
    now: Tick,
) -> Option<ConnectionView> {
    let view = describe(
        &record.word,
        &record.endpoints,
        &record.local,
        FAMILY_V4,
        now,
    )?;
    let view = with_client(view, &record.local, FAMILY_V4)?;
    Some(with_server(view, &record.destination, destinations))
}

/// The connection in a record of the IPv6 table, if there is one.
pub fn describe6(
    record: &Connection6,
    destinations: &[Destination],
    now: Tick,
) -> Option<ConnectionView> {
    let view = describe(
        &record.word,
        &record.endpoints,
        &record.local,
        FAMILY_V6,
        now,
    )?;
    let view = with_client(view, &record.local, FAMILY_V6)?;
    Some(with_server(view, &record.destination, destinations))
}

/// A call's template has hashes where others have the client's network, which it keeps elsewhere.
fn with_client<const WORDS: usize>(
    view: ConnectionView,
    local: &Shared<Local<[u32; WORDS]>>,
    family: u8,
) -> Option<ConnectionView> {
    if !view.call {
        return Some(view);
    }
    Some(ConnectionView {
        client: record::read_address(&local.load().address, 0, family)?,
        ..view
    })
}

/// A real server of the other address family, behind a tunnel or by FULLNAT, has no room in the connection's
/// record: its own says where it is.
fn with_server(
    view: ConnectionView,
    destination: &Shared32,
    destinations: &[Destination],
) -> ConnectionView {
    let Some(destination) = destinations.get(destination.load() as usize) else {
        return view;
    };
    let address = destination.address.load();
    let own = record::read_address(&address.address, address.port, address.family);
    match own {
        Some(own) if own.is_ipv4() != view.server.is_ipv4() => ConnectionView {
            server: SocketAddr::new(own.ip(), view.server.port()),
            ..view
        },
        Some(_) | None => view,
    }
}

fn describe<const WORDS: usize>(
    word: &Shared64,
    endpoints: &Shared<Endpoints<[u32; WORDS]>>,
    local: &Shared<Local<[u32; WORDS]>>,
    family: u8,
    now: Tick,
) -> Option<ConnectionView> {
    let parts = || (endpoints.load(), local.load());
    let (word, (endpoints, local)) = read_whole(|| Word(word.load()), parts)?;
    view(word, &endpoints, &local, family, now)
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
    local: &Local<[u32; WORDS]>,
    family: u8,
    now: Tick,
) -> Option<ConnectionView> {
    let template = word.flags() & TEMPLATE != 0;
    let number = match template {
        true => template_protocol(endpoints.protocol),
        false => endpoints.protocol,
    };
    let protocol = match (template, number) {
        (true, 0) => None,
        (_, number) => Some(record::read_protocol(number)?),
    };
    let address = |words: &[u32; WORDS], port| record::read_address(words, port, family);
    Some(ConnectionView {
        protocol,
        client: address(&endpoints.client, endpoints.client_port)?,
        virtual_address: address(&endpoints.virtual_address, endpoints.virtual_port)?,
        server: address(&endpoints.server, endpoints.server_port)?,
        state: match protocol {
            Some(protocol) if !template => State::of(protocol, word.state()),
            Some(_) | None => State::of_template(word.state()),
        },
        method: Method::of_number(endpoints.forwarding)?,
        local: match endpoints.forwarding {
            FORWARD_FULL_NAT if !template => address(&local.address, local.port),
            _ => None,
        },
        template,
        call: template && endpoints.client_port != 0,
        active: !template && word.flags() & INACTIVE == 0,
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
    use weir_config::model::{Forwarding, RealServer, Tunnel};

    use super::*;
    use weir_abi::connection::LIVE;

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
        let view = describe4(&record(6, 1, LIVE, expires), &[], now).unwrap();
        assert_eq!(view.protocol, Some(Protocol::Tcp));
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
        let view = describe6(&record, &[], Tick(0)).unwrap();
        assert_eq!(view.client, "[2001:db8::7]:4011".parse().unwrap());
        assert_eq!(view.state.name(), "UDP");
        assert!(!view.active);
    }

    #[test]
    fn a_real_server_of_the_other_family_is_where_its_record_says() {
        let destination = Destination::default();
        let server = RealServer::new(
            "[2001:db8:1::1]:8080".parse().unwrap(),
            Forwarding::Tunnel(Tunnel::Ipip),
        );
        record::write_server(&destination, &server);
        let connection = self::record(6, 1, LIVE, Tick(100));
        let view = describe4(&connection, &[destination], Tick(0)).unwrap();
        assert_eq!(view.server, server.address);
    }

    #[test]
    fn an_overdue_connection_has_no_seconds_left() {
        let view = describe4(&record(6, 5, LIVE | INACTIVE, Tick(0)), &[], Tick(1000)).unwrap();
        assert_eq!(view.seconds_left, 0);
        assert_eq!(view.state.name(), "TIME_WAIT");
    }

    #[test]
    fn the_slack_of_an_expiry_is_not_shown() {
        let now = Tick(7);
        let whole = now.after(Ticks::from_seconds(10)).after(Ticks::REFRESH);
        for (expires, shown) in [(whole, 10), (Tick(whole.0 - 1), 9)] {
            let view = describe4(&record(6, 1, LIVE, expires), &[], now).unwrap();
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
        assert_eq!(describe4(&record(6, 1, 0, Tick(1000)), &[], Tick(0)), None);
        assert_eq!(
            describe4(&record(99, 1, LIVE, Tick(1000)), &[], Tick(0)),
            None
        );
    }

    #[test]
    fn a_template_reads_as_it_was_written() {
        for (protocol, number, state, name) in [
            (Some(Protocol::Tcp), 6, 0, "NONE"),
            (Some(Protocol::Udp), 17, 1, "ASSURED"),
            (Some(Protocol::Sctp), 132, 1, "ASSURED"),
            (None, 0, 1, "ASSURED"),
        ] {
            let record = record(template_protocol(number), state, LIVE | TEMPLATE, Tick(100));
            let view = describe4(&record, &[], Tick(0)).unwrap();
            assert_eq!(view.protocol, protocol);
            assert_eq!(view.state.name(), name);
            assert!(view.template && !view.active);
        }
    }
}
