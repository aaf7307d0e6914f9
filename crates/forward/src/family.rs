//! IPv4 and IPv6: what differs, so that the rest can be written once.

use weir_abi::connection::{Company, Connection4, Connection6, Endpoints, HopCell, Local, Speech};
pub use weir_abi::keys::Flow;
use weir_abi::keys::{Direction, FAMILY_V4, FAMILY_V6, ServiceKey};
use weir_abi::service::FORWARD_FULL_NAT;
use weir_abi::settings::Settings;
use weir_abi::shared::{Shared, Shared32, Shared64};

/// An address family and the tables that are its own.
pub trait Family: Sized {
    /// The other one.
    type Other: Family<Other = Self>;
    /// An address, as it lies in the packet.
    type Address: Copy + PartialEq + 'static;
    /// Its connection record.
    type Record: Record<Self::Address> + 'static;

    /// [`FAMILY_V4`] or [`FAMILY_V6`].
    const NUMBER: u8;

    /// Each word of an address in turn.
    fn each_word(address: Self::Address, word: impl FnMut(u32));
    /// The address as service and destination tables hold it.
    fn widen(address: Self::Address) -> [u32; 4];
    /// An address out of such a table.
    fn narrow(address: [u32; 4]) -> Self::Address;
    /// The address, or, of IPv4, that one in its place if it is not 0.
    fn with_word(address: Self::Address, word: u32) -> Self::Address;
    /// How many connections its table holds.
    fn capacity(settings: &Settings) -> &Shared32;
    /// How many buckets its flow table has.
    fn flow_buckets(settings: &Settings) -> &Shared32;
    /// Where the timer's walk goes on.
    fn sweep(settings: &Settings) -> &Shared32;
    /// Where the search for a connection to evict goes on.
    fn hand(settings: &Settings) -> &Shared32;
    /// How many slots of its table have ever been used.
    fn high_water(settings: &Settings) -> &Shared32;
    /// How many connections there are now.
    fn live(settings: &Settings) -> &Shared32;
    /// The part of an address that a service's netmask keeps.
    fn masked(address: Self::Address, netmask: &[Shared32; 4]) -> Self::Address;
    /// Whether a packet may come from that address at all (not loopback, multicast, unspecified).
    fn can_be_source(address: Self::Address) -> bool;
}

/// What connection records of both families have.
pub trait Record<A: Copy> {
    /// The part that changes.
    fn word(&self) -> &Shared64;
    /// Who is connected to whom.
    fn endpoints(&self) -> &Shared<Endpoints<A>>;
    /// The real server's slot.
    fn destination(&self) -> &Shared32;
    /// The next hop of one direction.
    fn hop(&self, direction: Direction) -> &HopCell;
    /// What most packets do not ask for.
    fn company(&self) -> &Company;
    /// What its payload has said.
    fn speech(&self) -> &Speech;
    /// When its SYN came, where that is observed, until the answer comes.
    fn asked(&self) -> &Shared32;
    /// The director's end towards the real server (FULLNAT).
    fn local(&self) -> &Shared<Local<A>>;
    /// The slot of its twin in the other family's table.
    fn twin(&self) -> &Shared32;
    /// What client and real server have acknowledged last, where somebody wants to know.
    fn acknowledged(&self) -> &[Shared32; 2];

    /// The flow of its packets in one direction, whatever the forwarding method.
    #[inline(always)]
    fn flow(&self, direction: Direction) -> Flow<A> {
        let endpoints = self.endpoints().load();
        match direction {
            Direction::Reply if endpoints.forwarding == FORWARD_FULL_NAT => {
                Flow::of_any(&endpoints, &self.local().load(), direction)
            }
            Direction::Request | Direction::Reply => Flow::of(&endpoints, direction),
        }
    }
}

/// IPv4.
#[derive(Clone, Copy, Debug)]
pub struct V4;

/// IPv6.
#[derive(Clone, Copy, Debug)]
pub struct V6;

impl Family for V4 {
    type Other = V6;
    type Address = [u32; 1];
    type Record = Connection4;

    const NUMBER: u8 = FAMILY_V4;

    #[inline(always)]
    fn each_word(address: [u32; 1], mut word: impl FnMut(u32)) {
        word(address[0]);
    }

    #[inline(always)]
    fn widen(address: [u32; 1]) -> [u32; 4] {
        [address[0], 0, 0, 0]
    }

    #[inline(always)]
    fn narrow(address: [u32; 4]) -> [u32; 1] {
        [address[0]]
    }

    #[inline(always)]
    fn with_word(address: [u32; 1], word: u32) -> [u32; 1] {
        if word == 0 { address } else { [word] }
    }

    #[inline(always)]
    fn capacity(settings: &Settings) -> &Shared32 {
        &settings.capacity4
    }

    #[inline(always)]
    fn flow_buckets(settings: &Settings) -> &Shared32 {
        &settings.flow_buckets4
    }

    #[inline(always)]
    fn sweep(settings: &Settings) -> &Shared32 {
        &settings.sweep4
    }

    #[inline(always)]
    fn hand(settings: &Settings) -> &Shared32 {
        &settings.hand4
    }

    #[inline(always)]
    fn high_water(settings: &Settings) -> &Shared32 {
        &settings.high_water4
    }

    #[inline(always)]
    fn live(settings: &Settings) -> &Shared32 {
        &settings.live4
    }

    #[inline(always)]
    fn masked(address: [u32; 1], netmask: &[Shared32; 4]) -> [u32; 1] {
        [address[0] & netmask[0].load()]
    }

    #[inline(always)]
    fn can_be_source(address: [u32; 1]) -> bool {
        let first = (u32::from_be(address[0]) >> 24) as u8;
        first != 0 && first != 127 && first < 224
    }
}

impl Family for V6 {
    type Other = V4;
    type Address = [u32; 4];
    type Record = Connection6;

    const NUMBER: u8 = FAMILY_V6;

    #[inline(always)]
    fn each_word(address: [u32; 4], mut word: impl FnMut(u32)) {
        word(address[0]);
        word(address[1]);
        word(address[2]);
        word(address[3]);
    }

    #[inline(always)]
    fn widen(address: [u32; 4]) -> [u32; 4] {
        address
    }

    #[inline(always)]
    fn narrow(address: [u32; 4]) -> [u32; 4] {
        address
    }

    #[inline(always)]
    fn with_word(address: [u32; 4], _word: u32) -> [u32; 4] {
        address
    }

    #[inline(always)]
    fn capacity(settings: &Settings) -> &Shared32 {
        &settings.capacity6
    }

    #[inline(always)]
    fn flow_buckets(settings: &Settings) -> &Shared32 {
        &settings.flow_buckets6
    }

    #[inline(always)]
    fn sweep(settings: &Settings) -> &Shared32 {
        &settings.sweep6
    }

    #[inline(always)]
    fn hand(settings: &Settings) -> &Shared32 {
        &settings.hand6
    }

    #[inline(always)]
    fn high_water(settings: &Settings) -> &Shared32 {
        &settings.high_water6
    }

    #[inline(always)]
    fn live(settings: &Settings) -> &Shared32 {
        &settings.live6
    }

    #[inline(always)]
    fn masked(address: [u32; 4], netmask: &[Shared32; 4]) -> [u32; 4] {
        [
            address[0] & netmask[0].load(),
            address[1] & netmask[1].load(),
            address[2] & netmask[2].load(),
            address[3] & netmask[3].load(),
        ]
    }

    #[inline(always)]
    fn can_be_source(address: [u32; 4]) -> bool {
        let multicast = u32::from_be(address[0]) >> 24 == 0xff;
        // ::/127 holds the unspecified and the loopback address.
        let none = address[0] | address[1] | address[2] == 0 && u32::from_be(address[3]) <= 1;
        !multicast && !none
    }
}

impl Record<[u32; 1]> for Connection4 {
    #[inline(always)]
    fn word(&self) -> &Shared64 {
        &self.word
    }
    #[inline(always)]
    fn endpoints(&self) -> &Shared<Endpoints<[u32; 1]>> {
        &self.endpoints
    }
    #[inline(always)]
    fn destination(&self) -> &Shared32 {
        &self.destination
    }
    #[inline(always)]
    fn hop(&self, direction: Direction) -> &HopCell {
        match direction {
            Direction::Request => &self.hops[0],
            Direction::Reply => &self.hops[1],
        }
    }
    #[inline(always)]
    fn company(&self) -> &Company {
        &self.company
    }
    #[inline(always)]
    fn speech(&self) -> &Speech {
        &self.speech
    }
    #[inline(always)]
    fn asked(&self) -> &Shared32 {
        &self.asked
    }

    #[inline(always)]
    fn local(&self) -> &Shared<Local<[u32; 1]>> {
        &self.local
    }

    #[inline(always)]
    fn twin(&self) -> &Shared32 {
        &self.twin
    }

    #[inline(always)]
    fn acknowledged(&self) -> &[Shared32; 2] {
        &self.acknowledged
    }
}

impl Record<[u32; 4]> for Connection6 {
    #[inline(always)]
    fn word(&self) -> &Shared64 {
        &self.word
    }
    #[inline(always)]
    fn endpoints(&self) -> &Shared<Endpoints<[u32; 4]>> {
        &self.endpoints
    }
    #[inline(always)]
    fn destination(&self) -> &Shared32 {
        &self.destination
    }
    #[inline(always)]
    fn hop(&self, direction: Direction) -> &HopCell {
        match direction {
            Direction::Request => &self.hops[0],
            Direction::Reply => &self.hops[1],
        }
    }
    #[inline(always)]
    fn company(&self) -> &Company {
        &self.company
    }
    #[inline(always)]
    fn speech(&self) -> &Speech {
        &self.speech
    }
    #[inline(always)]
    fn asked(&self) -> &Shared32 {
        &self.asked
    }

    #[inline(always)]
    fn local(&self) -> &Shared<Local<[u32; 4]>> {
        &self.local
    }

    #[inline(always)]
    fn twin(&self) -> &Shared32 {
        &self.twin
    }

    #[inline(always)]
    fn acknowledged(&self) -> &[Shared32; 2] {
        &self.acknowledged
    }
}

/// The key of the service that packets of a flow are for.
#[inline(always)]
pub fn service_of<F: Family>(flow: &Flow<F::Address>) -> ServiceKey {
    ServiceKey {
        address: F::widen(flow.destination),
        port: flow.destination_port,
        protocol: flow.protocol as u8,
        family: F::NUMBER,
    }
}
