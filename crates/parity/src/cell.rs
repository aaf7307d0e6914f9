//! The matrix: every combination that has a meaning, and which of them are played.

use std::fmt;
use std::str::FromStr;

/// Declares an enum whose variants have the names that cells are called by.
macro_rules! named {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name {
            $($(#[$doc])* $variant,)*
        }

        impl $name {
            /// All of them, in the order of the document.
            pub const ALL: &[$name] = &[$($name::$variant),*];

            /// Its name in a cell.
            pub fn name(self) -> &'static str {
                match self {
                    $($name::$variant => $text,)*
                }
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<$name, String> {
                $name::ALL
                    .iter()
                    .copied()
                    .find(|one| one.name() == text)
                    .ok_or_else(|| format!("`{text}` is none of the {}s", stringify!($name).to_lowercase()))
            }
        }
    };
}

named! {
    /// A scheduler, with the flags that change what it does.
    Scheduler {
        /// Round robin.
        Rr = "rr",
        /// Weighted round robin.
        Wrr = "wrr",
        /// Least connections.
        Lc = "lc",
        /// Weighted least connections.
        Wlc = "wlc",
        /// Shortest expected delay.
        Sed = "sed",
        /// Never queue.
        Nq = "nq",
        /// Weighted failover.
        Fo = "fo",
        /// Weighted overflow.
        Ovf = "ovf",
        /// Locality-based least connections.
        Lblc = "lblc",
        /// The same, with replication.
        Lblcr = "lblcr",
        /// Destination hashing.
        Dh = "dh",
        /// Source hashing.
        Sh = "sh",
        /// Source hashing that falls back.
        ShFallback = "sh-fallback",
        /// Source hashing with the port.
        ShPort = "sh-port",
        /// Maglev hashing.
        Mh = "mh",
        /// Maglev hashing that falls back.
        MhFallback = "mh-fallback",
        /// Maglev hashing with the port.
        MhPort = "mh-port",
        /// The better of two random choices.
        Twos = "twos",
    }
}

named! {
    /// How packets reach the real server.
    Method {
        /// Masquerading.
        Nat = "nat",
        /// Direct routing.
        Dr = "dr",
        /// A tunnel, IP in IP.
        Ipip = "ipip",
        /// A tunnel, generic UDP encapsulation.
        Gue = "gue",
        /// A tunnel, generic routing encapsulation.
        Gre = "gre",
    }
}

named! {
    /// The client's family, and the real server's where it is another.
    Family {
        /// IPv4.
        V4 = "v4",
        /// IPv6.
        V6 = "v6",
        /// IPv4 to a real server with an IPv6 address.
        V4InV6 = "v4-in-v6",
        /// IPv6 to a real server with an IPv4 address.
        V6InV4 = "v6-in-v4",
    }
}

named! {
    /// The protocol that is balanced.
    Protocol {
        /// TCP.
        Tcp = "tcp",
        /// UDP.
        Udp = "udp",
        /// SCTP.
        Sctp = "sctp",
    }
}

named! {
    /// What a cell is about.
    Feature {
        /// Who gets which connection, while weights change and real servers come and go.
        Balance = "balance",
        /// The states that packets lead to.
        States = "states",
        /// What happens to connections while their service and real servers are edited and deleted.
        Edit = "edit",
        /// A weight of zero.
        Quiesce = "quiesce",
        /// Upper and lower thresholds.
        Thresholds = "thresholds",
        /// Persistence.
        Persistent = "persistent",
        /// Persistence of whole networks.
        Netmask = "netmask",
        /// A service for all ports.
        PortZero = "port-zero",
        /// A service for a firewall mark.
        Mark = "mark",
        /// A persistent service for a firewall mark.
        MarkPersistent = "mark-persistent",
        /// One-packet scheduling.
        OnePacket = "one-packet",
        /// How long connections last.
        Timeouts = "timeouts",
        /// A service without a usable real server.
        NoServer = "no-server",
        /// A client port that is used again.
        Reuse = "reuse",
        /// TTLs and hop limits at their end.
        Ttl = "ttl",
        /// Packets larger than the way to the real server takes.
        Mtu = "mtu",
        /// ICMP errors from the network about what clients are sent.
        IcmpToServer = "icmp-to-server",
        /// ICMP errors from real servers and on the way to them.
        IcmpToClient = "icmp-to-client",
        /// Fragments, in order and out of order.
        Fragments = "fragments",
        /// A tunnel with a checksum.
        TunnelChecksum = "tunnel-checksum",
        /// A tunnel with a remote checksum.
        TunnelRemoteChecksum = "tunnel-remote-checksum",
        /// A real server on the director itself.
        Local = "local",
    }
}

/// What a packet goes by: method, family, protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Transport {
    /// The forwarding method.
    pub method: Method,
    /// The families.
    pub family: Family,
    /// The protocol.
    pub protocol: Protocol,
}

/// One cell of the matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cell {
    /// The scheduler.
    pub scheduler: Scheduler,
    /// What packets go by.
    pub transport: Transport,
    /// What it is about.
    pub feature: Feature,
}

impl Family {
    /// Whether the client speaks IPv6.
    pub fn outside_v6(self) -> bool {
        match self {
            Family::V6 | Family::V6InV4 => true,
            Family::V4 | Family::V4InV6 => false,
        }
    }

    /// Whether the real server's address is of IPv6.
    pub fn server_v6(self) -> bool {
        match self {
            Family::V6 | Family::V4InV6 => true,
            Family::V4 | Family::V6InV4 => false,
        }
    }
}

impl Method {
    /// Whether packets are wrapped.
    pub fn is_tunnel(self) -> bool {
        match self {
            Method::Ipip | Method::Gue | Method::Gre => true,
            Method::Nat | Method::Dr => false,
        }
    }
}

impl Transport {
    /// All that exist.
    pub fn all() -> Vec<Transport> {
        let mut all = Vec::new();
        for &method in Method::ALL {
            for &family in Family::ALL {
                let mixed = family.outside_v6() != family.server_v6();
                if mixed && !method.is_tunnel() {
                    continue;
                }
                all.extend(Protocol::ALL.iter().map(|&protocol| Transport {
                    method,
                    family,
                    protocol,
                }));
            }
        }
        all
    }
}

impl Feature {
    /// Whether the service is a firewall mark's.
    pub fn is_mark(self) -> bool {
        matches!(self, Feature::Mark | Feature::MarkPersistent)
    }

    /// Whether the feature means something for what packets go by.
    pub fn applies(self, transport: Transport) -> bool {
        let Transport {
            method,
            family,
            protocol,
        } = transport;
        match self {
            Feature::OnePacket => protocol == Protocol::Udp,
            Feature::TunnelChecksum => matches!(method, Method::Gue | Method::Gre),
            Feature::TunnelRemoteChecksum => method == Method::Gue,
            // The director cannot be at the other end of a tunnel of another family: it would wrap for itself.
            Feature::Local => family.outside_v6() == family.server_v6(),
            Feature::Balance
            | Feature::States
            | Feature::Edit
            | Feature::Quiesce
            | Feature::Thresholds
            | Feature::Persistent
            | Feature::Netmask
            | Feature::PortZero
            | Feature::Mark
            | Feature::MarkPersistent
            | Feature::Timeouts
            | Feature::NoServer
            | Feature::Reuse
            | Feature::Ttl
            | Feature::Mtu
            | Feature::IcmpToServer
            | Feature::IcmpToClient
            | Feature::Fragments => true,
        }
    }
}

impl Cell {
    /// All that the document shows: every scheduler by every transport; every feature by every transport, with round
    /// robin; every feature by every scheduler, with IPv4, TCP (UDP where it must be) and NAT.
    pub fn all() -> Vec<Cell> {
        let mut all = Vec::new();
        for &scheduler in Scheduler::ALL {
            for transport in Transport::all() {
                all.push(Cell {
                    scheduler,
                    transport,
                    feature: Feature::Balance,
                });
            }
        }
        for &feature in &Feature::ALL[1..] {
            for transport in Transport::all() {
                if feature.applies(transport) {
                    all.push(Cell {
                        scheduler: Scheduler::Rr,
                        transport,
                        feature,
                    });
                }
            }
            for &scheduler in &Scheduler::ALL[1..] {
                if let Some(transport) = Cell::plainest(feature) {
                    all.push(Cell {
                        scheduler,
                        transport,
                        feature,
                    });
                }
            }
        }
        all
    }

    /// What a feature is combined with all schedulers by.
    pub fn plainest(feature: Feature) -> Option<Transport> {
        [Protocol::Tcp, Protocol::Udp]
            .map(|protocol| Transport {
                method: Method::Nat,
                family: Family::V4,
                protocol,
            })
            .into_iter()
            .find(|&transport| feature.applies(transport))
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Transport {
            method,
            family,
            protocol,
        } = self;
        write!(
            formatter,
            "{}/{}/{}",
            method.name(),
            family.name(),
            protocol.name()
        )
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{}/{}/{}",
            self.scheduler.name(),
            self.transport,
            self.feature.name()
        )
    }
}

impl FromStr for Cell {
    type Err = String;

    fn from_str(text: &str) -> Result<Cell, String> {
        let parts: Vec<&str> = text.split('/').collect();
        let [scheduler, method, family, protocol, feature] = parts[..] else {
            return Err(format!(
                "`{text}` is not scheduler/method/family/protocol/feature"
            ));
        };
        Ok(Cell {
            scheduler: scheduler.parse()?,
            transport: Transport {
                method: method.parse()?,
                family: family.parse()?,
                protocol: protocol.parse()?,
            },
            feature: feature.parse()?,
        })
    }
}

/// Whether a pattern such as `*/nat/v4/*/balance` or `icmp` means a cell: parts between slashes, `*` for any text within
/// one; without a slash, any part.
pub fn matches(pattern: &str, cell: Cell) -> bool {
    let name = cell.to_string();
    let parts: Vec<&str> = name.split('/').collect();
    if !pattern.contains('/') {
        return parts.iter().any(|part| like(pattern, part));
    }
    let wanted: Vec<&str> = pattern.split('/').collect();
    wanted.len() == parts.len()
        && wanted
            .iter()
            .zip(&parts)
            .all(|(want, part)| like(want, part))
}

fn like(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((before, after)) => text.strip_prefix(before).is_some_and(|rest| {
            (0..=rest.len()).any(|cut| rest.is_char_boundary(cut) && like(after, &rest[cut..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_cell_is_its_name() {
        let all = Cell::all();
        for cell in &all {
            assert_eq!(cell.to_string().parse(), Ok(*cell));
        }
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
        assert!("rr/nat/v4/tcp".parse::<Cell>().is_err());
        assert!("rr/nat/v4/tcp/nonsense".parse::<Cell>().is_err());
    }

    #[test]
    fn patterns() {
        let cell = "sh-port/gue/v4-in-v6/udp/balance".parse().unwrap();
        for pattern in [
            "*/gue/*/*/balance",
            "sh*/*/*/*/*",
            "balance",
            "v4*",
            "sh-port/gue/v4-in-v6/udp/balance",
        ] {
            assert!(matches(pattern, cell), "{pattern}");
        }
        for pattern in ["sh/gue/*/*/*", "*/gue", "v4", "tcp", "*/nat/*/*/*"] {
            assert!(!matches(pattern, cell), "{pattern}");
        }
    }
}
