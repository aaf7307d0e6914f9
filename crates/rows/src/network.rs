//! The network that all rows play in: a director with three links.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A link address.
pub type Mac = [u8; 6];

/// A link of the director.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// To the clients.
    Outside,
    /// To the real servers.
    Inside,
    /// To real servers behind a link of [`Link::mtu`] 1280.
    Narrow,
}

impl Link {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Outside, Self::Inside, Self::Narrow];

    /// The director's link address there.
    pub const fn station(self) -> Mac {
        [2, 0, 0, 0, self as u8, 1]
    }

    /// The link address of everybody else there.
    pub const fn neighbour(self) -> Mac {
        [2, 0, 0, 0, self as u8, 2]
    }

    /// The greatest packet.
    pub const fn mtu(self) -> u16 {
        match self {
            Self::Outside | Self::Inside => 1500,
            Self::Narrow => 1280,
        }
    }

    /// The network of IPv4 there: its first three bytes.
    pub const fn prefix4(self) -> [u8; 3] {
        match self {
            Self::Outside => [198, 51, 100],
            Self::Inside => [10, 1, 0],
            Self::Narrow => [10, 2, 0],
        }
    }

    /// The network of IPv6 there: its first half.
    pub const fn prefix6(self) -> [u16; 4] {
        match self {
            Self::Outside => [0x2001, 0xdb8, 0xc, 0],
            Self::Inside => [0xfd01, 0, 0, 0],
            Self::Narrow => [0xfd02, 0, 0, 0],
        }
    }

    /// A station there; 254 is the director, 99 never answers.
    pub fn address(self, family: Family, number: u8) -> IpAddr {
        match family {
            Family::V4 => {
                let [a, b, c] = self.prefix4();
                Ipv4Addr::new(a, b, c, number).into()
            }
            Family::V6 => {
                let [a, b, c, d] = self.prefix6();
                Ipv6Addr::new(a, b, c, d, 0, 0, 0, number.into()).into()
            }
        }
    }
}

/// The number of the director on each link.
pub const DIRECTOR: u8 = 254;
/// The number of a station whose link address nobody knows.
pub const SILENT: u8 = 99;
/// The numbers of the stations whose link address is known.
pub const STATIONS: [u8; 4] = [1, 2, 3, 4];

/// IPv4 or IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Both.
    pub const ALL: [Self; 2] = [Self::V4, Self::V6];

    /// The other one.
    pub const fn other(self) -> Self {
        match self {
            Self::V4 => Self::V6,
            Self::V6 => Self::V4,
        }
    }

    /// A client.
    pub fn client(self, number: u8, port: u16) -> SocketAddr {
        SocketAddr::new(Link::Outside.address(self, number), port)
    }

    /// A real server.
    pub fn server(self, number: u8, port: u16) -> SocketAddr {
        SocketAddr::new(Link::Inside.address(self, number), port)
    }

    /// A real server that nobody has a route to.
    pub fn lost_server(self, port: u16) -> SocketAddr {
        let address = match self {
            Self::V4 => Ipv4Addr::new(203, 0, 113, 1).into(),
            Self::V6 => IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0xdead, 0, 0, 0, 0, 1)),
        };
        SocketAddr::new(address, port)
    }

    /// The VIP.
    pub fn vip(self, port: u16) -> SocketAddr {
        let address = match self {
            Self::V4 => Ipv4Addr::new(192, 0, 2, 1).into(),
            Self::V6 => IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
        };
        SocketAddr::new(address, port)
    }

    /// Of an address.
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}

/// The link behind which an address is, and the number of its station there.
pub fn locate(address: IpAddr) -> Option<(Link, u8)> {
    let family = Family::of(address);
    Link::ALL.into_iter().find_map(|link| {
        (0..=255)
            .find(|number| link.address(family, *number) == address)
            .map(|number| (link, number))
    })
}
