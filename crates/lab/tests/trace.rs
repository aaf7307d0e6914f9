//! traceroute, tracepath and ping by every forwarding method: every hop is seen, and the size that gets through is found.
//!
//! The director, which has the virtual address, answers from it, as the kernel does. So does by NAT everything beyond it; by
//! direct routing and tunnels the real servers answer past the director, and a router within a tunnel is told of by it.
#![cfg(feature = "privileged")]

mod common;
#[path = "common/path.rs"]
mod path;
#[path = "common/prepared.rs"]
mod prepared;

use path::{FAR, INNER, MODES, NARROW, Path, flag_and_length};
use weir_lab::{Family, Network, Shape};

const WEB: u16 = 80;
const DNS: u16 = 53;
/// Stands for the virtual address.
const SERVICE: &str = "service";
/// The probes of traceroute and tracepath go to one port after the other, from here on.
const MARKS: &str = "
[[mark]]
mark = 7
protocol = \"udp\"
destination = \"192.0.2.10\"
ports = \"33434-44600\"
[[mark]]
mark = 7
protocol = \"udp\"
destination = \"2001:db8:1::10\"
ports = \"33434-44600\"
";

/// The services: TCP and UDP by their ports, and all ports of the probes by a mark.
fn serve(path: &Path, family: Family, real_server: std::net::IpAddr, how: &str) {
    let six = if family == Family::V6 { "-6" } else { "" };
    let at = |port: u16| std::net::SocketAddr::new(real_server, port);
    for (flag, port) in [("-t", WEB), ("-u", DNS)] {
        let service = Network::service(family, port);
        path.ipvsadm(&format!("-A {flag} {service} -s rr"));
        path.ipvsadm(&format!("-a {flag} {service} -r {} {how}", at(port)));
    }
    path.ipvsadm(&format!("-A -f 7 {six} -s rr"));
    path.ipvsadm(&format!("-a -f 7 {six} -r {} {how}", at(0)));
}

/// Who answers at each hop, by every kind of probe: a SYN, UDP to one port, UDP to many.
fn seen(path: &Path, family: Family) -> Vec<(&'static str, Vec<String>)> {
    let (flag, _) = flag_and_length(family);
    let vip = family.virtual_address();
    [
        ("SYN", format!("-T -p {WEB}")),
        ("UDP", format!("-U -p {DNS}")),
        ("many ports", String::new()),
    ]
    .into_iter()
    .map(|(kind, probe)| {
        // All hops are asked at once, so that one which is silent is waited for a thousand times as long as the
        // next one has taken to answer, and not the whole time.
        let line = format!("traceroute {flag} -n -q 1 -N 8 -w 30,0,1000 -m 8 {probe} {vip}");
        let said = path.far.run(&line).expect("a trace");
        let hops = said.lines().skip(1);
        let who = |line: &str| line.split_whitespace().nth(1).unwrap_or("").to_owned();
        (kind, hops.map(who).collect())
    })
    .collect()
}

/// What tracepath says of the size that gets through.
fn size(path: &Path, family: Family) -> String {
    let (flag, _) = flag_and_length(family);
    let vip = family.virtual_address();
    let line = format!("tracepath {flag} -n -m 8 -p 44444 {vip}");
    let said = path.far.run(&line).expect("a trace");
    let resume = said
        .lines()
        .find_map(|line| line.trim().strip_prefix("Resume: "));
    resume.map_or(said.clone(), str::to_owned)
}

fn ping(path: &Path, family: Family, case: &str) {
    let line = format!("ping -c 1 -W 10 {}", family.virtual_address());
    path.far
        .run(&line)
        .unwrap_or_else(|error| panic!("{case}: {error}"));
}

/// Everything that a method shows to `far`, which is two hops away from the director.
fn shows(path: &Path, family: Family, how: &str, beyond: &[&str], mtu: u16) {
    let case = format!("{how}, {family:?}");
    let vip = family.virtual_address().to_string();
    let beyond = beyond.iter().map(|who| who.replace(SERVICE, &vip));
    let expected: Vec<String> = std::iter::once(FAR.address(family, 1))
        .chain(beyond)
        .collect();
    for (kind, seen) in seen(path, family) {
        assert_eq!(seen, expected, "{case}, {kind}");
    }
    let said = size(path, family);
    let wanted = format!("pmtu {mtu} hops {}", expected.len());
    assert!(said.starts_with(&wanted), "{case}: {said}");
    ping(path, family, &case);
    // The next method finds its own size.
    for flag in ["-4", "-6"] {
        path.far
            .ip(&format!("{flag} route flush cache"))
            .expect("a cache");
    }
}

#[test]
fn through_nat() {
    for mode in MODES {
        let path = Path::with(mode, Shape::TwoInterfaces, MARKS);
        INNER.narrow(&path.network.real_servers[0].namespace, "inner");
        for family in Family::BOTH {
            serve(&path, family, INNER.host(family), "-m");
            shows(&path, family, &format!("{mode} -m"), &[SERVICE; 3], NARROW);
        }
    }
}

#[test]
fn by_direct_routing() {
    for mode in MODES {
        let path = Path::with(mode, Shape::OneInterface, MARKS);
        let server = &path.network.real_servers[0];
        prepared::prepare(path.network.lab(), &server.namespace, &server.name);
        path.answer_past_the_director();
        for family in Family::BOTH {
            serve(&path, family, server.at(family, 0).ip(), "-g");
            shows(&path, family, &format!("{mode} -g"), &[SERVICE; 2], 1500);
        }
    }
}

#[test]
fn through_tunnels() {
    for mode in MODES {
        let path = Path::with(mode, Shape::OneInterface, MARKS);
        prepared::prepare(path.network.lab(), &path.inner, "inner");
        path.answer_past_the_director();
        let (header4, header6) = (20, 40);
        for (how, overhead) in [
            ("-i", 0),
            ("-i --tun-type gue --tun-port 6080", 12),
            ("-i --tun-type gre", 4),
        ] {
            let method = format!("{mode} {how}");
            let [v4, v6] = Family::BOTH;
            let hops = [SERVICE; 3];
            serve(&path, v4, INNER.host(v4), how);
            shows(&path, v4, &method, &hops, 1500 - header4 - overhead);
            serve(&path, v6, INNER.host(v6), how);
            shows(&path, v6, &method, &hops, 1500 - header6 - overhead);
            path.ipvsadm("-C");
        }
        INNER.narrow(&path.network.real_servers[0].namespace, "inner");
        serve(&path, Family::V4, INNER.host(Family::V4), "-i");
        shows(&path, Family::V4, mode, &[SERVICE; 3], NARROW - header4);
    }
}
