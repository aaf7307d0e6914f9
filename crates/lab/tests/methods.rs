//! Direct routing and tunnels from end to end: a director on one side, `weir realserver` on the other.
#![cfg(feature = "privileged")]

mod common;
#[path = "common/echo.rs"]
mod echo;
#[path = "common/prepared.rs"]
mod prepared;

use echo::{serve, talk};
use prepared::{Prepared, realserver};
use std::net::SocketAddr;
use weir_lab::{Family, Network, Nginx, curl};

const WEB: u16 = 80;
const ECHO: u16 = 7;

/// A director and two real servers that are prepared for everything. Declared in the order in which it must end.
struct Site {
    _nginx: Vec<Nginx>,
    prepared: Prepared,
}

impl Site {
    fn new(mode: &str) -> Site {
        let prepared = Prepared::new(mode, 2);
        let servers = prepared.network.real_servers.iter();
        let nginx = servers
            .map(|server| {
                serve(&server.namespace, ECHO);
                Nginx::start(prepared.network.lab(), server, WEB)
            })
            .collect::<Result<_, _>>()
            .expect("nginx");
        Site {
            _nginx: nginx,
            prepared,
        }
    }

    /// Every packet that was not forwarded as it should be is told.
    fn works(&self, case: &str, inner: Family, outer: Family, how: &str) {
        for port in [WEB, ECHO] {
            let service = Network::service(inner, port);
            self.prepared.ipvsadm(&format!("-A -t {service} -s rr"));
            for server in &self.prepared.network.real_servers {
                let at = server.at(outer, port);
                self.prepared
                    .ipvsadm(&format!("-a -t {service} -r {at} {how}"));
            }
        }
        let client = &self.prepared.network.client;
        let url = format!("http://{}/", Network::service(inner, WEB));
        let answers = curl(client, &url, 4).unwrap_or_else(|error| panic!("{case}: {error}"));
        for server in &self.prepared.network.real_servers {
            assert_eq!(answers.of(&server.name), 2, "{case}");
        }
        let echo: SocketAddr = Network::service(inner, ECHO);
        talk(client, echo, 300_000).unwrap_or_else(|error| panic!("{case}: {error}"));
        for port in [WEB, ECHO] {
            self.prepared
                .ipvsadm(&format!("-D -t {}", Network::service(inner, port)));
        }
    }
}

#[test]
fn direct_routing() {
    for mode in ["tc", "xdp"] {
        let site = Site::new(mode);
        for family in Family::BOTH {
            site.works(&format!("{mode}, {family:?}"), family, family, "-g");
        }
    }
}

#[test]
fn tunnels_of_every_kind() {
    const KINDS: [(&str, &str); 6] = [
        ("ipip", "-i"),
        ("gre", "-i --tun-type gre --tun-nocsum"),
        ("gre", "-i --tun-type gre --tun-csum"),
        ("gue", "-i --tun-type gue --tun-port 6080 --tun-nocsum"),
        ("gue", "-i --tun-type gue --tun-port 6080 --tun-csum"),
        ("gue", "-i --tun-type gue --tun-port 6080 --tun-remcsum"),
    ];
    for mode in ["tc", "xdp"] {
        let site = Site::new(mode);
        for (kind, how) in KINDS {
            for inner in Family::BOTH {
                for outer in Family::BOTH {
                    let case = format!("{mode}, {how}, {inner:?} in {outer:?}");
                    site.works(&case, inner, outer, how);
                }
            }
            for server in &site.prepared.network.real_servers {
                let lab = site.prepared.network.lab();
                let shown = realserver(lab, &server.namespace, &server.name, "show");
                let row = shown
                    .lines()
                    .find(|row| row.split_whitespace().nth(1) == Some(kind));
                assert!(!row.expect("a row").ends_with(" 0"), "{how}: {shown}");
            }
        }
    }
}
