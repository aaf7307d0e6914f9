//! Direct routing and tunnels from end to end: a director on one side, `weir realserver` on the other.
#![cfg(feature = "privileged")]

mod common;
#[path = "common/echo.rs"]
mod echo;

use common::weir;
use echo::{serve, talk};
use std::net::SocketAddr;
use weir_lab::{Director, Family, Network, Nginx, Plan, RealServer, Shape, curl, output};

const WEB: u16 = 80;
const ECHO: u16 = 7;

/// A director and two real servers that are prepared for everything.
struct Site {
    director: Director,
    _nginx: Vec<Nginx>,
    network: Network,
}

impl Site {
    fn new(mode: &str) -> Site {
        let network = Network::new(Plan {
            shape: Shape::TwoInterfaces,
            real_servers: 2,
            offload: !mode.starts_with("xdp"),
        })
        .expect("a network");
        for family in Family::BOTH {
            let (vip, host) = (family.virtual_address(), host(family));
            // Answers pass the director as a router here, which would drop them if they came from an address of its own.
            network
                .director
                .ip(&format!("address del {vip}/{host} dev clients"))
                .expect("its address");
            network
                .client
                .ip(&format!("route add {vip}/{host} via {}", family.director()))
                .expect("a route");
        }
        let servers = network.real_servers.iter();
        let nginx = servers
            .map(|server| {
                serve(&server.namespace, ECHO);
                Nginx::start(network.lab(), server, WEB)
            })
            .collect::<Result<_, _>>()
            .expect("nginx");
        let director = Director::start(&network, &weir(), mode).expect("a director");
        let site = Site {
            director,
            _nginx: nginx,
            network,
        };
        let [v4, v6] = Family::BOTH.map(Family::virtual_address);
        for server in &site.network.real_servers {
            let line = format!("prepare --vip {v4} {v6} --interface eth0 --method tun");
            site.realserver(server, &line);
        }
        site
    }

    /// `weir realserver LINE` there.
    fn realserver(&self, server: &RealServer, line: &str) -> String {
        let lab = self.network.lab();
        let mut command = server.namespace.command(weir());
        command.arg("realserver").args(line.split_whitespace());
        let bpffs = lab.bpffs().expect("a BPF file system");
        command.arg("--bpffs").arg(bpffs.join(&server.name));
        let state = lab.directory().join(format!("{}.json", server.name));
        command.arg("--state").arg(state);
        let said = output(&mut command).expect("weir runs");
        let text = String::from_utf8_lossy(&said.stdout).into_owned();
        let error = String::from_utf8_lossy(&said.stderr).into_owned();
        assert!(said.status.success(), "{line}: {text}{error}");
        text
    }

    fn ipvsadm(&self, line: &str) {
        self.director.ipvsadm(line).expect("an ipvsadm line");
    }

    /// Every packet that was not forwarded as it should be is told.
    fn works(&self, case: &str, inner: Family, outer: Family, how: &str) {
        for port in [WEB, ECHO] {
            let service = Network::service(inner, port);
            self.ipvsadm(&format!("-A -t {service} -s rr"));
            for server in &self.network.real_servers {
                let at = server.at(outer, port);
                self.ipvsadm(&format!("-a -t {service} -r {at} {how}"));
            }
        }
        let client = &self.network.client;
        let url = format!("http://{}/", Network::service(inner, WEB));
        let answers = curl(client, &url, 4).unwrap_or_else(|error| panic!("{case}: {error}"));
        for server in &self.network.real_servers {
            assert_eq!(answers.of(&server.name), 2, "{case}");
        }
        let echo: SocketAddr = Network::service(inner, ECHO);
        talk(client, echo, 300_000).unwrap_or_else(|error| panic!("{case}: {error}"));
        for port in [WEB, ECHO] {
            self.ipvsadm(&format!("-D -t {}", Network::service(inner, port)));
        }
    }
}

fn host(family: Family) -> u8 {
    match family {
        Family::V4 => 32,
        Family::V6 => 128,
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
            for server in &site.network.real_servers {
                let shown = site.realserver(server, "show");
                let row = shown
                    .lines()
                    .find(|row| row.split_whitespace().nth(1) == Some(kind));
                assert!(!row.expect("a row").ends_with(" 0"), "{how}: {shown}");
            }
        }
    }
}
