//! The frames that are sent, and the addresses of everybody.

use crate::orders::FRAME;
use std::net::Ipv4Addr;

/// The service.
pub const VIRTUAL: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);
/// Its port.
pub const VIRTUAL_PORT: u16 = 80;
/// The port of the real servers.
pub const REAL_PORT: u16 = 8080;
/// The first client of all; the network is one that is set aside for benchmarks, 198.18.0.0/15.
pub const CLIENTS: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 0);

/// A link address.
pub type Mac = [u8; 6];
/// The clients' end.
pub const CLIENTS_FAR: Mac = [2, 0, 0, 0, 1, 2];
/// The director, towards clients.
pub const CLIENTS_NEAR: Mac = [2, 0, 0, 0, 1, 1];
/// The director, towards real servers.
pub const SERVERS_NEAR: Mac = [2, 0, 0, 0, 2, 1];
/// The real servers' end.
pub const SERVERS_FAR: Mac = [2, 0, 0, 0, 2, 2];

/// The address of real server `number`, counted from 0.
pub fn real_server(number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(Ipv4Addr::new(10, 0, 0, 11).to_bits() + number)
}

/// The transport protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// UDP
    Udp,
    /// TCP
    Tcp,
}

impl Protocol {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Udp => "UDP",
            Protocol::Tcp => "TCP",
        }
    }

    fn number(self) -> u8 {
        match self {
            Protocol::Udp => 17,
            Protocol::Tcp => 6,
        }
    }

    /// Where the checksum is in the frame.
    pub fn checksum_at(self) -> usize {
        match self {
            Protocol::Udp => 40,
            Protocol::Tcp => 50,
        }
    }
}

/// Which packet of a connection it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A datagram with data.
    Udp,
    /// A connection's first.
    Syn,
    /// Its answer.
    SynAck,
    /// The end of the handshake.
    Ack,
    /// Six bytes of data.
    Data,
}

impl Kind {
    /// Of which protocol.
    pub fn protocol(self) -> Protocol {
        match self {
            Kind::Udp => Protocol::Udp,
            Kind::Syn | Kind::SynAck | Kind::Ack | Kind::Data => Protocol::Tcp,
        }
    }
}

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Clients, to the service.
    Clients,
    /// Real servers, to clients.
    Servers,
}

/// A frame without what depends on the flow, and the sums of what it has.
pub struct Template {
    /// The bytes.
    pub bytes: [u8; FRAME],
    /// Sum of the IPv4 header's words, as they lie in memory.
    pub network_sum: u32,
    /// Of the pseudo header and everything after the IPv4 header.
    pub transport_sum: u32,
}

/// The frame of a kind.
pub fn template(side: Side, kind: Kind) -> Template {
    let protocol = kind.protocol();
    let mut bytes = [0; FRAME];
    let (to, from) = match side {
        Side::Clients => (CLIENTS_NEAR, CLIENTS_FAR),
        Side::Servers => (SERVERS_NEAR, SERVERS_FAR),
    };
    bytes[..6].copy_from_slice(&to);
    bytes[6..12].copy_from_slice(&from);
    bytes[12..14].copy_from_slice(&[8, 0]);
    // Everything that is not a SYN fills the frame; what is left of it else is the link's padding.
    let data: &[u8] = match kind {
        Kind::Udp => b"eighteen bytes now",
        Kind::Data => b"sixby!",
        Kind::Syn | Kind::SynAck | Kind::Ack => b"",
    };
    let transport = transport(side, kind, data);
    let length = (20 + transport.len()) as u16;
    let network = &mut bytes[14..34];
    network[0] = 0x45;
    network[2..4].copy_from_slice(&length.to_be_bytes());
    network[6] = 0x40;
    network[8] = 64;
    network[9] = protocol.number();
    if side == Side::Clients {
        network[16..20].copy_from_slice(&VIRTUAL.octets());
    }
    let network_sum = sum(network);
    let pseudo = [
        [0, protocol.number()],
        (transport.len() as u16).to_be_bytes(),
    ];
    let mut transport_sum = sum(&transport) + sum(pseudo.as_flattened());
    if side == Side::Clients {
        transport_sum += sum(&VIRTUAL.octets());
    }
    bytes[34..34 + transport.len()].copy_from_slice(&transport);
    Template {
        bytes,
        network_sum,
        transport_sum,
    }
}

/// The transport header with zeros for the client's port and the checksum, and the data.
fn transport(side: Side, kind: Kind, data: &[u8]) -> Vec<u8> {
    const FIRST: u32 = 1_000;
    const FIRST_OF_SERVER: u32 = 500_000;
    let (source, destination) = match side {
        Side::Clients => (0, VIRTUAL_PORT),
        Side::Servers => (REAL_PORT, 0),
    };
    let mut header = [source.to_be_bytes(), destination.to_be_bytes()].concat();
    let (flags, sequence, acknowledgement) = match (kind, side) {
        (Kind::Udp, _) => {
            header.extend((8 + data.len() as u16).to_be_bytes());
            header.extend([0, 0]);
            header.extend(data);
            return header;
        }
        (Kind::Syn, _) => (0x02, FIRST, 0),
        (Kind::SynAck, _) => (0x12, FIRST_OF_SERVER, FIRST + 1),
        (Kind::Ack | Kind::Data, Side::Clients) => (0x10, FIRST + 1, FIRST_OF_SERVER + 1),
        (Kind::Ack | Kind::Data, Side::Servers) => (0x10, FIRST_OF_SERVER + 1, FIRST + 1),
    };
    let push = if data.is_empty() { 0 } else { 0x08 };
    header.extend(sequence.to_be_bytes());
    header.extend(acknowledgement.to_be_bytes());
    header.extend([0x50, flags | push]);
    header.extend(64_000_u16.to_be_bytes());
    header.extend([0; 4]);
    header.extend(data);
    header
}

/// Sum of 16-bit words as they lie in memory, not folded.
fn sum(bytes: &[u8]) -> u32 {
    let words = bytes.chunks(2);
    words
        .map(|word| {
            u32::from(u16::from_ne_bytes([
                word[0],
                word.get(1).copied().unwrap_or(0),
            ]))
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The checksum that makes the sum of all words come out as all ones.
    fn folded(mut sum: u32) -> u16 {
        while sum > 0xffff {
            sum = (sum >> 16) + (sum & 0xffff);
        }
        sum as u16
    }

    #[test]
    fn sums_cover_all_but_what_the_generator_adds() {
        for (side, kind) in [
            (Side::Clients, Kind::Udp),
            (Side::Clients, Kind::Syn),
            (Side::Servers, Kind::SynAck),
            (Side::Clients, Kind::Data),
        ] {
            let template = template(side, kind);
            let at = kind.protocol().checksum_at();
            assert_eq!(template.bytes[at..at + 2], [0, 0], "{kind:?}");
            assert_eq!(template.network_sum, sum(&template.bytes[14..34]));
            let length = usize::from(u16::from_be_bytes([template.bytes[16], template.bytes[17]]));
            // The pseudo header, written another way: addresses, then protocol and length as numbers.
            let pseudo = u32::from(u16::from(kind.protocol().number()).to_be())
                + u32::from(((length - 20) as u16).to_be());
            let all = sum(&template.bytes[26..14 + length]) + pseudo;
            assert_eq!(folded(template.transport_sum), folded(all), "{kind:?}");
        }
    }
}
