//! A connection: one record for both directions.
//!
//! Two entries of a flow table lead to it, the request's and the reply's. What changes during its
//! life is one word, so that a state, a timer and the counters that follow from them change
//! together or not at all: whoever replaces the word has made the change.

use crate::settings::Link;
use crate::shared::{Shared, Shared32, Shared64};
use crate::tick::Tick;

/// The part of a connection that changes: expiry, state, flags and the record's generation.
///
/// Bits 0..32 expiry tick, 32..40 state, 40..48 flags, 48..64 generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Word(pub u64);

/// Who is connected to whom. Addresses and ports lie in network byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Endpoints<A> {
    /// CIP.
    pub client: A,
    /// VIP.
    pub virtual_address: A,
    /// RIP.
    pub server: A,
    /// The client's port.
    pub client_port: u16,
    /// The virtual service's port.
    pub virtual_port: u16,
    /// The real server's port.
    pub server_port: u16,
    /// IANA protocol number.
    pub protocol: u8,
    /// How packets reach the real server: [`crate::service::FORWARD_NAT`] and its siblings.
    pub forwarding: u8,
}

/// A next hop that a connection remembers, and for how long.
#[derive(Debug, Default, Clone)]
#[repr(C)]
pub struct HopCell {
    /// A [`Link`]: the hop's MAC address, and the slot of the interface that leads there.
    pub link: Shared64,
    /// A [`HopTerms`].
    pub terms: Shared64,
}

/// Under which conditions a remembered next hop serves.
///
/// Bits 0..32 the routes generation that it was learnt under, 32..48 the MTU on the way there,
/// 48..64 what translation to there adds to a checksum for the addresses, folded (RFC 1624).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct HopTerms(pub u64);

/// The address and port of the director's that stand for the client's towards a real server
/// (FULLNAT). Network byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Local<A> {
    /// The address.
    pub address: A,
    /// The port.
    pub port: u16,
    /// Zero.
    pub padding: u16,
}

/// What most packets of a connection do not ask for.
#[derive(Debug, Default, Clone)]
#[repr(C)]
pub struct Company {
    /// [`CONTROLLED`]: the slot of the connection that controls this one, of the same family: a
    /// persistence template, or FTP's control connection.
    pub control: Shared32,
    /// How many connections this one controls: as long as there are any, it does not end. So it is
    /// 0 in every free record.
    pub controls: Shared32,
    /// Packets from the client, as far as somebody counts (the first ones, and when `drop_entry` asks).
    pub packets: Shared32,
    /// Its timeout in ticks, where that is not its state's (templates).
    pub timeout: Shared32,
}

/// What a connection whose payload speaks of addresses (FTP's control connection) has come to.
#[derive(Debug, Default, Clone)]
#[repr(C)]
pub struct Speech {
    /// What its client has asked for last: [`SPEECH_ACTIVE`] and its siblings.
    pub asked: Shared32,
    /// The sequence number of the last reply whose length was changed, as the real server counts.
    pub position: Shared32,
    /// By how much sequence numbers of replies up to there are moved, modulo 2^32.
    pub before: Shared32,
    /// By how much those of later ones are.
    pub after: Shared32,
}

/// Nothing that the real server would answer.
pub const SPEECH_ACTIVE: u32 = 0;
/// PASV.
pub const SPEECH_PASSIVE: u32 = 1;
/// EPSV.
pub const SPEECH_EXTENDED_PASSIVE: u32 = 2;

/// A connection of IPv4. Two cache lines, the first of which has what every packet asks for.
#[derive(Debug, Default, Clone)]
#[repr(C, align(64))]
pub struct Connection4 {
    /// A [`Word`].
    pub word: Shared64,
    /// Who is connected to whom.
    pub endpoints: Shared<Endpoints<[u32; 1]>>,
    /// The real server's slot.
    pub destination: Shared32,
    /// The next hops of requests and of replies.
    pub hops: [HopCell; 2],
    /// What most packets do not ask for.
    pub company: Company,
    /// The director's end towards the real server (FULLNAT).
    pub local: Shared<Local<[u32; 1]>>,
    /// What its payload has said.
    pub speech: Speech,
    /// [`OBSERVED`](crate::service::OBSERVED): when its SYN came, in microseconds since any moment, as long as
    /// there is no answer; then 0.
    pub asked: Shared32,
    /// Where the real server is of the other family: the slot there of the twin, or [`crate::NONE`]; in a twin
    /// the connection's.
    pub twin: Shared32,
    /// [`FAREWELL`](crate::service::FAREWELL): what client and real server have acknowledged last.
    pub acknowledged: [Shared32; 2],
    /// What is to come.
    pub reserved: [Shared32; 2],
}

/// A connection of IPv6. Three cache lines, the first two of which have what every packet asks for.
#[derive(Debug, Default, Clone)]
#[repr(C, align(64))]
pub struct Connection6 {
    /// A [`Word`].
    pub word: Shared64,
    /// Who is connected to whom.
    pub endpoints: Shared<Endpoints<[u32; 4]>>,
    /// The real server's slot.
    pub destination: Shared32,
    /// Fills up to eight bytes.
    pub padding: Shared32,
    /// The next hops of requests and of replies.
    pub hops: [HopCell; 2],
    /// What most packets do not ask for.
    pub company: Company,
    /// The director's end towards the real server (FULLNAT).
    pub local: Shared<Local<[u32; 4]>>,
    /// What its payload has said.
    pub speech: Speech,
    /// [`OBSERVED`](crate::service::OBSERVED): when its SYN came, in microseconds since any moment, as long as
    /// there is no answer; then 0.
    pub asked: Shared32,
    /// Where the real server is of the other family: the slot there of the twin, or [`crate::NONE`]; in a twin
    /// the connection's.
    pub twin: Shared32,
    /// [`FAREWELL`](crate::service::FAREWELL): what client and real server have acknowledged last.
    pub acknowledged: [Shared32; 2],
    /// What is to come.
    pub reserved: [Shared32; 5],
}

impl HopCell {
    /// Remembers a hop.
    #[inline(always)]
    pub fn remember(&self, link: Link, terms: HopTerms) {
        self.link.store(link.0);
        self.terms.store(terms.0);
    }

    /// Forgets it. (No generation in force is 0.)
    #[inline(always)]
    pub fn forget(&self) {
        self.terms.store(0);
    }
}

impl HopTerms {
    /// Those terms.
    #[inline(always)]
    pub const fn new(generation: u32, mtu: u16, delta: u16) -> Self {
        Self(generation as u64 | (mtu as u64) << 32 | (delta as u64) << 48)
    }

    /// The generation that it was learnt under.
    #[inline(always)]
    pub const fn generation(self) -> u32 {
        self.0 as u32
    }

    /// The largest packet that fits.
    #[inline(always)]
    pub const fn mtu(self) -> u16 {
        (self.0 >> 32) as u16
    }

    /// What translation adds to a checksum for the addresses.
    #[inline(always)]
    pub const fn delta(self) -> u16 {
        (self.0 >> 48) as u16
    }
}

/// The record is in use and in the flow tables.
pub const LIVE: u8 = 1;
/// Counted in InActConn, not in ActiveConn (IPVS: `IP_VS_CONN_F_INACTIVE`).
pub const INACTIVE: u8 = 2;
/// No reply has been seen and none will be (IPVS: `IP_VS_CONN_F_NOOUTPUT`): DR and TUN.
pub const NO_OUTPUT: u8 = 4;
/// The real server has answered.
pub const REPLIED: u8 = 8;
/// The client has answered that: it is there, under that address. What is not proven may be evicted
/// when the table is full.
pub const PROVEN: u8 = 16;
/// A persistence template (IPVS: `IP_VS_CONN_F_TEMPLATE`): no packet's connection, but what tells the
/// connections of one client their real server. Its protocol is stored as [`template_protocol`] says.
pub const TEMPLATE: u8 = 32;
/// Ends with the packet that began it (IPVS: `IP_VS_CONN_F_ONE_PACKET`).
pub const ONE_PACKET: u8 = 64;
/// Another connection controls it: [`Company::control`].
pub const CONTROLLED: u8 = 128;

/// A template is kept alive by a connection that has come to be (IPVS: `IP_VS_CTPL_S_ASSURED`).
pub const TEMPLATE_ASSURED: u8 = 1;

/// The protocol number under which templates of a protocol lie in the flow table: one that no packet's
/// flow has (TCP 134, UDP 145, SCTP 4, IP 128). Its own inverse.
#[inline(always)]
pub const fn template_protocol(protocol: u8) -> u8 {
    protocol ^ 0x80
}

impl Word {
    /// A word of those parts.
    #[inline(always)]
    pub const fn new(expires: Tick, state: u8, flags: u8, generation: u16) -> Self {
        Self(
            expires.0 as u64
                | (state as u64) << 32
                | (flags as u64) << 40
                | (generation as u64) << 48,
        )
    }

    /// A word of the expiry and [all else](Self::upper).
    #[inline(always)]
    pub const fn of_halves(expires: Tick, upper: u32) -> Self {
        Self(expires.0 as u64 | (upper as u64) << 32)
    }

    /// When the connection ends unless another packet comes.
    #[inline(always)]
    pub const fn expires(self) -> Tick {
        Tick(self.0 as u32)
    }

    /// The state: a number of the protocol's own table, as IPVS numbers them.
    #[inline(always)]
    pub const fn state(self) -> u8 {
        (self.0 >> 32) as u8
    }

    /// [`LIVE`], [`INACTIVE`] and the rest.
    #[inline(always)]
    pub const fn flags(self) -> u8 {
        (self.0 >> 40) as u8
    }

    /// How often the record has been used: tells one tenant of a slot from the next.
    #[inline(always)]
    pub const fn generation(self) -> u16 {
        (self.0 >> 48) as u16
    }

    /// State, flags and generation: all but the expiry.
    #[inline(always)]
    pub const fn upper(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// Whether the record holds a connection.
    #[inline(always)]
    pub const fn is_live(self) -> bool {
        self.flags() & LIVE != 0
    }
}

const _: () = assert!(size_of::<Connection4>() == 128);
const _: () = assert!(size_of::<Connection6>() == 192);
