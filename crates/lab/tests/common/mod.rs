//! What the tests of a director share.
#![allow(
    dead_code,
    reason = "every test file is a crate of its own and uses its part"
)]

use std::path::PathBuf;
use weir_lab::{Director, Family, Network, Nginx, Plan, Shape, UdpEcho};

pub const WEB: u16 = 80;
pub const DNS: u16 = 53;

/// All modes; `auto` is to be right whatever it picks.
pub const MODES: [&str; 4] = ["tc", "xdp", "xdp-generic", "auto"];

/// The binary under test: `cargo xtask test` builds it and says where it is.
pub fn weir() -> PathBuf {
    let path = std::env::var_os("WEIR_BINARY")
        .expect("WEIR_BINARY names no binary: run these tests by `cargo xtask test`");
    PathBuf::from(path)
}

/// A director with real servers that run nginx and a UDP server. Declared in the order in which it must end.
pub struct Site {
    pub director: Director,
    pub nginx: Vec<Nginx>,
    pub udp: Vec<UdpEcho>,
    pub network: Network,
}

impl Site {
    /// Two real servers, all four services under `rr`.
    pub fn new(mode: &str, shape: Shape) -> Site {
        let site = Site::without_services(mode, shape);
        for family in Family::BOTH {
            for (flag, port) in [("-t", WEB), ("-u", DNS)] {
                let service = Network::service(family, port);
                site.ipvsadm(&format!("-A {flag} {service} -s rr"));
                for server in &site.network.real_servers {
                    site.ipvsadm(&format!(
                        "-a {flag} {service} -r {} -m",
                        server.at(family, port)
                    ));
                }
            }
        }
        site
    }

    pub fn without_services(mode: &str, shape: Shape) -> Site {
        let network = Network::new(Plan {
            shape,
            real_servers: 2,
            // Hosts under XDP must finish their checksums; everything else must cope.
            offload: !mode.starts_with("xdp"),
        })
        .expect("a network");
        let nginx = network
            .real_servers
            .iter()
            .map(|server| Nginx::start(network.lab(), server, WEB));
        let nginx = nginx.collect::<Result<_, _>>().expect("nginx");
        let udp = network
            .real_servers
            .iter()
            .map(|server| UdpEcho::start(&server.namespace, &server.name, DNS));
        let udp = udp.collect::<Result<_, _>>().expect("UDP servers");
        let director = Director::start(&network, &weir(), mode).expect("a director");
        Site {
            director,
            nginx,
            udp,
            network,
        }
    }

    pub fn ipvsadm(&self, line: &str) -> String {
        self.director.ipvsadm(line).expect("an ipvsadm line")
    }

    /// How many requests all nginx have answered.
    pub fn answered(&self) -> usize {
        self.nginx.iter().map(Nginx::answered).sum()
    }
}

/// Where the web site is.
pub fn url(family: Family, path: &str) -> String {
    format!("http://{}/{path}", Network::service(family, WEB))
}

/// RFC 1071.
pub fn checksum(bytes: &[u8]) -> [u8; 2] {
    let words = bytes
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (!(sum as u16)).to_be_bytes()
}
