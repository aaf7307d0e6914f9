//! SIP by sipp through NAT: what one call says comes from several ports and addresses, and goes to one real server.
#![cfg(feature = "privileged")]

mod common;

use std::fs;
use std::path::Path;
use std::time::Duration;

use weir_lab::{Director, Family, Network, Plan, Process, Shape, until};

const SIP: u16 = 5060;

/// As many calls, each of which is scheduled by itself.
const CALLS: usize = 20;

/// The calls begin, and are confirmed.
const INVITES: &str = r#"<?xml version="1.0"?>
<scenario name="begins">
  <send retrans="500"><![CDATA[
    INVITE sip:weir@[remote_ip]:[remote_port] SIP/2.0
    Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
    From: <sip:sipp@[local_ip]:[local_port]>;tag=[call_number]
    To: <sip:weir@[remote_ip]:[remote_port]>
    Call-ID: [call_id]
    CSeq: 1 INVITE
    Contact: sip:sipp@[local_ip]:[local_port]
    Max-Forwards: 70
    Content-Length: 0

  ]]></send>
  <recv response="100" optional="true"/>
  <recv response="180" optional="true"/>
  <recv response="200"/>
  <send><![CDATA[
    ACK sip:weir@[remote_ip]:[remote_port] SIP/2.0
    Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
    From: <sip:sipp@[local_ip]:[local_port]>;tag=[call_number]
    To: <sip:weir@[remote_ip]:[remote_port]>[peer_tag_param]
    Call-ID: [call_id]
    CSeq: 1 ACK
    Max-Forwards: 70
    Content-Length: 0

  ]]></send>
</scenario>
"#;

/// The same calls end. (Their identifiers in the short form.) What sipp answers goes to where a call has begun, so
/// nothing is waited for.
const BYES: &str = r#"<?xml version="1.0"?>
<scenario name="ends">
  <send><![CDATA[
    BYE sip:weir@[remote_ip]:[remote_port] SIP/2.0
    Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
    From: <sip:sipp@[local_ip]:[local_port]>;tag=[call_number]
    To: <sip:weir@[remote_ip]:[remote_port]>;tag=1
    i: [call_id]
    CSeq: 2 BYE
    Max-Forwards: 70
    Content-Length: 0

  ]]></send>
</scenario>
"#;

#[test]
fn tc_holds_calls_together() {
    holds("tc");
}

#[test]
fn xdp_holds_calls_together() {
    holds("xdp");
}

fn holds(mode: &str) {
    let network = Network::new(Plan {
        shape: Shape::TwoInterfaces,
        real_servers: 2,
        offload: !mode.starts_with("xdp"),
    })
    .expect("a network");
    let place = network.lab().directory().to_owned();
    fs::write(place.join("begins.xml"), INVITES).expect("a file");
    fs::write(place.join("ends.xml"), BYES).expect("a file");
    let director = Director::start(&network, &common::weir(), mode).expect("a director");
    for family in Family::BOTH {
        through(family, &network, &director, &place);
    }
}

fn through(family: Family, network: &Network, director: &Director, place: &Path) {
    let servers: Vec<Process> = network
        .real_servers
        .iter()
        .map(|server| {
            let address = server.at(family, SIP).ip();
            let mut command = server.namespace.command("sipp");
            command.current_dir(place);
            let calls = (CALLS / 2).to_string();
            command.args([
                "-sn",
                "uas",
                "-nostdin",
                "-m",
                &calls,
                "-p",
                &SIP.to_string(),
                "-i",
            ]);
            command.arg(host(address));
            let log = place.join(format!("sipp-{family:?}-{}.log", server.name));
            let process = Process::start(&mut command, &log).expect("a SIP server");
            let bound = format!(":{SIP:04X} ");
            until("sipp listens", Duration::from_secs(30), || {
                let sockets = server.namespace.run("cat /proc/net/udp /proc/net/udp6");
                sockets.is_ok_and(|sockets| sockets.contains(&bound))
            })
            .expect("it listens");
            process
        })
        .collect();
    let service = Network::service(family, SIP);
    let mask = match family {
        Family::V4 => "255.255.255.0",
        Family::V6 => "64",
    };
    let line = format!("-A -u {service} -s rr -p 300 -M {mask} --pe sip");
    director.ipvsadm(&line).expect("a service");
    for server in &network.real_servers {
        let line = format!("-a -u {service} -r {} -m", server.at(family, SIP));
        director.ipvsadm(&line).expect("a real server");
    }
    // Each call by a port of its own; then by another port of another address.
    let client = family.client();
    call(family, network, place, "begins", client);
    let other = another(client);
    let length = if client.is_ipv4() { 24 } else { 64 };
    let line = format!("ip -o address show to {client}");
    let shown = network.client.run(&line).expect("its address");
    let device = shown.split_whitespace().nth(1).expect("its device");
    let line = format!("address add {other}/{length} dev {device} nodad");
    let line = if client.is_ipv4() {
        line.replace(" nodad", "")
    } else {
        line
    };
    network.client.ip(&line).expect("another address");
    call(family, network, place, "ends", other);

    let listing = director
        .ipvsadm("-L -n -c --persistent-conn")
        .expect("a listing");
    let service = service.to_string();
    let calls = |id: &str| {
        let lines = listing.lines().filter(|line| line.contains(&service));
        lines.filter(|line| line.contains(id)).count()
    };
    assert_eq!(calls(" sip "), CALLS, "{listing}");
    for number in 1..=CALLS {
        assert_eq!(calls(&format!("call-{number}@weir")), 1, "{listing}");
    }
    // Both real servers had calls.
    for server in &network.real_servers {
        let at = server.at(family, SIP).to_string();
        let of_it = listing
            .lines()
            .filter(|line| line.contains(&at) && line.contains(" sip "));
        assert_eq!(of_it.count(), CALLS / 2, "{listing}");
    }
    // Each has seen the beginning, the confirmation and the end of its calls, and of no other.
    for mut server in servers {
        let status = server.wait().expect("it ends");
        assert!(status.success(), "{status}: {}", server.said());
    }
}

/// Plays a scenario for each of the calls; sipp fails if one of them does not come to its end.
fn call(family: Family, network: &Network, place: &Path, scenario: &str, from: std::net::IpAddr) {
    let line = format!(
        "sipp -sf {0}/{scenario}.xml -t un -m {CALLS} -r {CALLS} -cid_str call-%u@weir -i {1} -nostdin -timeout 40s \
         -timeout_error -max_socket 100 {2}",
        place.display(),
        host(from),
        Network::service(family, SIP),
    );
    let mut words = line.split_whitespace();
    let mut command = network.client.command(words.next().expect("a program"));
    command.args(words).current_dir(place);
    let log = place.join(format!("sipp-{family:?}-{scenario}.log"));
    let mut process = Process::start(&mut command, &log).expect("a SIP client");
    let status = process.wait().expect("it ends");
    assert!(status.success(), "{scenario}: {status}: {}", process.said());
}

/// An address as sipp takes it.
fn host(address: std::net::IpAddr) -> String {
    match address {
        std::net::IpAddr::V4(address) => address.to_string(),
        std::net::IpAddr::V6(address) => format!("[{address}]"),
    }
}

/// Another address of the same network.
fn another(address: std::net::IpAddr) -> std::net::IpAddr {
    match address {
        std::net::IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            std::net::Ipv4Addr::new(a, b, c, 77).into()
        }
        std::net::IpAddr::V6(address) => {
            let mut octets = address.octets();
            octets[15] = 77;
            std::net::Ipv6Addr::from(octets).into()
        }
    }
}
