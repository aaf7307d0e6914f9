//! Large transfers through tunnels whose path narrows, within the tunnel and before it: path MTU discovery from end to end.
//!
//! The real server is `inner`, behind a router; it answers past the director, which has the virtual address.
#![cfg(feature = "privileged")]

mod common;
#[path = "common/path.rs"]
mod path;
#[path = "common/prepared.rs"]
mod prepared;

use path::{FAR, INNER, MODES, Path};
use weir_lab::{Family, Network, Shape};

const PORT: u16 = 80;

const KINDS: [&str; 6] = [
    "-i",
    "-i --tun-type gre --tun-nocsum",
    "-i --tun-type gre --tun-csum",
    "-i --tun-type gue --tun-port 6080 --tun-nocsum",
    "-i --tun-type gue --tun-port 6080 --tun-csum",
    "-i --tun-type gue --tun-port 6080 --tun-remcsum",
];

/// A path whose end is prepared for tunnels.
fn path(mode: &str) -> Path {
    let path = Path::new(mode, Shape::OneInterface);
    prepared::prepare(path.network.lab(), &path.inner, "inner");
    path.answer_past_the_director();
    path
}

/// Carries much through a tunnel; how many packets of that reason told somebody of the size that gets through.
fn carries(path: &Path, how: &str, [within, outer]: [Family; 2], reason: &str) -> u64 {
    let service = Network::service(within, PORT);
    let at = std::net::SocketAddr::new(INNER.host(outer), PORT);
    path.ipvsadm(&format!("-A -t {service} -s rr"));
    path.ipvsadm(&format!("-a -t {service} -r {at} {how}"));
    let before = path.counted(reason);
    path.transfer(service, &path.inner, service);
    let told = path.counted(reason) - before;
    path.ipvsadm(&format!("-D -t {service}"));
    // What one transfer has learnt must not help the next.
    for end in [&path.far, &path.inner] {
        for flag in ["-4", "-6"] {
            end.ip(&format!("{flag} route flush cache"))
                .expect("a cache");
        }
    }
    told
}

#[test]
fn a_tunnel_that_narrows_is_found() {
    for mode in MODES {
        let path = path(mode);
        INNER.narrow(&path.network.real_servers[0].namespace, "inner");
        for how in KINDS {
            for within in Family::BOTH {
                for outer in Family::BOTH {
                    let told = carries(&path, how, [within, outer], "icmp-to-client");
                    // As IPVS leaves it, routers may cut an outer packet of IPv4 that carries IPv6.
                    let is_cut = (within, outer) == (Family::V6, Family::V4);
                    let case = format!("{mode} {how}, {within:?} in {outer:?}");
                    assert_eq!(told == 0, is_cut, "{case}: {told} were told");
                }
            }
        }
    }
}

#[test]
fn a_path_that_narrows_for_the_answers_is_found() {
    for mode in MODES {
        let path = path(mode);
        FAR.narrow(&path.network.client, "far");
        for how in KINDS {
            for within in Family::BOTH {
                for outer in Family::BOTH {
                    let told = carries(&path, how, [within, outer], "icmp-to-server");
                    let case = format!("{mode} {how}, {within:?} in {outer:?}");
                    assert!(told > 0, "{case}: nobody was told");
                }
            }
        }
    }
}
