//! Listings, cut into what belongs to which service.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// A line of the connection table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Connection {
    /// All but how long it still has.
    pub line: String,
    /// How long it still has, in seconds.
    pub expires: u32,
    /// The virtual service's side.
    pub virtual_end: Option<SocketAddr>,
}

/// The blocks of a listing by service, whose key is its first two words, as in `TCP 192.0.2.1:80`; what belongs to no
/// service is under the empty key.
pub fn services(text: &str) -> BTreeMap<String, String> {
    let mut blocks: BTreeMap<String, String> = BTreeMap::new();
    let mut key = String::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["TCP" | "UDP" | "SCTP" | "FWM", name, ..] => key = format!("{} {name}", words[0]),
            // A restorable listing.
            ["-A" | "-a", kind, name, ..] => {
                let kind = match kind {
                    "-t" => "TCP",
                    "-u" => "UDP",
                    "--sctp-service" => "SCTP",
                    _ => "FWM",
                };
                key = format!("{kind} {name}");
            }
            _ => {}
        }
        *blocks.entry(key.clone()).or_default() += &format!("{line}\n");
    }
    blocks
}

/// The rows of `ipvsadm -Lnc`.
pub fn connections(text: &str) -> Vec<Connection> {
    text.lines()
        .filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [protocol, expires, state, rest @ ..] = &words[..] else {
                return None;
            };
            let (minutes, seconds) = expires.split_once(':')?;
            Some(Connection {
                line: format!("{protocol} {state} {}", rest.join(" ")),
                expires: minutes.parse::<u32>().ok()? * 60 + seconds.parse::<u32>().ok()?,
                virtual_end: rest.get(1).and_then(|end| end.parse().ok()),
            })
        })
        .collect()
}

/// The address by which a firewall mark's templates are listed.
pub fn mark_address(mark: u32, v6: bool) -> IpAddr {
    if v6 {
        std::net::Ipv6Addr::from_bits(u128::from(mark) << 96).into()
    } else {
        std::net::Ipv4Addr::from_bits(mark).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_is_cut_by_service() {
        let text = "IP Virtual Server version 1.2.1 (size=4096)\nProt LocalAddress:Port Scheduler Flags\n  \
                    -> RemoteAddress:Port\nTCP  192.0.2.1:80 rr\n  -> 10.0.0.16:80 Masq 1 0 0\nFWM  7 rr\n";
        let blocks = services(text);
        assert_eq!(
            blocks["TCP 192.0.2.1:80"],
            "TCP  192.0.2.1:80 rr\n  -> 10.0.0.16:80 Masq 1 0 0\n"
        );
        assert_eq!(blocks["FWM 7"], "FWM  7 rr\n");
        let saved = services(
            "-A -u [2001:db8::1]:53 -s rr\n-a -u [2001:db8::1]:53 -r [2001:db8::2]:53 -m -w 1\n",
        );
        assert_eq!(saved["UDP [2001:db8::1]:53"].lines().count(), 2);
    }

    #[test]
    fn connections_have_an_expiry() {
        let text = "IPVS connection entries\npro expire state       source             virtual            destination\n\
                    TCP 14:58  ESTABLISHED 203.0.113.1:4 192.0.2.1:80 10.0.0.16:80\n";
        let rows = connections(text);
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].expires, 898);
        assert_eq!(rows[0].virtual_end, "192.0.2.1:80".parse().ok());
    }
}
