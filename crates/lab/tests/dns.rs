//! DNS over UDP by real clients and servers, with one-packet scheduling: queries of one port go to one server after the
//! other, where they would all go to one without it.
#![cfg(feature = "privileged")]

mod common;
#[path = "common/prepared.rs"]
mod prepared;

use prepared::Prepared;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;
use weir_lab::{Family, Network, Process, RealServer, until};

const DNS: u16 = 53;
const SERVERS: u8 = 3;
/// A name whose text says which server answers.
const NAME: &str = "who.test";

/// dnsmasq on a real server, with a log of its queries.
struct Server {
    _process: Process,
    log: PathBuf,
}

impl Server {
    fn start(prepared: &Prepared, server: &RealServer) -> Server {
        let place = prepared.network.lab().directory();
        let log = place.join(format!("{}.queries", server.name));
        let mut command = server.namespace.command("dnsmasq");
        command.args(["--keep-in-foreground", "--conf-file=/dev/null", "--user="]);
        command.args(["--no-resolv", "--no-hosts", "--pid-file=", "--log-queries"]);
        command.arg(format!("--port={DNS}"));
        command.arg(format!("--log-facility={}", log.display()));
        command.arg(format!("--txt-record={NAME},{}", server.name));
        let said = place.join(format!("{}.dnsmasq", server.name));
        let process = Process::start(&mut command, &said).expect("dnsmasq");
        let ask = format!("dig +short +tries=1 +time=1 @127.0.0.1 {NAME} TXT");
        until("dnsmasq answers", Duration::from_secs(30), || {
            server
                .namespace
                .run(&ask)
                .is_ok_and(|said| !said.is_empty())
        })
        .expect("an answer");
        Server {
            _process: process,
            log,
        }
    }

    fn queries(&self) -> usize {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        log.lines().filter(|line| line.contains("query[")).count()
    }
}

/// Asks so often from one port; who answered, in order. Connections outlive their service, so every case has its own port.
fn dig(prepared: &Prepared, family: Family, port: u16, times: usize) -> Vec<String> {
    let service = Network::service(family, DNS).ip();
    let line = format!(
        "dig +short +notcp +tries=1 +time=10 -b {}#{port} @{service} {NAME} TXT",
        family.client()
    );
    let ask = || {
        let said = prepared.network.client.run(&line).expect("an answer");
        said.trim().trim_matches('"').to_owned()
    };
    std::iter::repeat_with(ask).take(times).collect()
}

fn connections(prepared: &Prepared) -> usize {
    prepared.ipvsadm("-Lnc").matches("UDP  ").count()
}

#[test]
fn queries_of_one_port_go_to_one_server_after_the_other() {
    for mode in ["tc", "xdp"] {
        let prepared = Prepared::new(mode, SERVERS);
        let real_servers = &prepared.network.real_servers;
        let servers: Vec<Server> = real_servers
            .iter()
            .map(|server| Server::start(&prepared, server))
            .collect();
        let mut ports = 5353..;
        let mut port = || ports.next().expect("a port");
        for family in Family::BOTH {
            for how in ["-g", "-i", "-i --tun-type gue --tun-port 6080"] {
                let case = format!("{mode} {family:?} {how}");
                let service = Network::service(family, DNS);
                prepared.ipvsadm(&format!("-A -u {service} -s rr -o"));
                for server in real_servers {
                    let at = server.at(family, DNS);
                    prepared.ipvsadm(&format!("-a -u {service} -r {at} {how}"));
                }

                let answers = dig(&prepared, family, port(), 6);
                // The list is newest first, as IPVS's.
                let order: Vec<&str> = real_servers.iter().rev().map(|s| s.name.as_str()).collect();
                let at = order.iter().position(|name| *name == answers[0]);
                let at = at.unwrap_or_else(|| panic!("{case}: {answers:?}"));
                let expected: Vec<&str> = order.iter().cycle().skip(at).take(6).copied().collect();
                assert_eq!(answers, expected, "{case}");

                let known = connections(&prepared);
                let before: Vec<usize> = servers.iter().map(Server::queries).collect();
                flood(&prepared, family, &case);
                for (server, before) in servers.iter().zip(before) {
                    assert_eq!(server.queries() - before, 1000, "{case}");
                }
                assert_eq!(connections(&prepared), known, "{case}");

                // Without it the port's connection decides.
                prepared.ipvsadm(&format!("-D -u {service}"));
                prepared.ipvsadm(&format!("-A -u {service} -s rr"));
                for server in real_servers {
                    let at = server.at(family, DNS);
                    prepared.ipvsadm(&format!("-a -u {service} -r {at} {how}"));
                }
                let answers = dig(&prepared, family, port(), 6);
                assert!(
                    answers.iter().all(|one| *one == answers[0]),
                    "{case}: {answers:?}"
                );
                prepared.ipvsadm(&format!("-D -u {service}"));
            }
        }
    }
}

/// Three thousand queries of one socket, of which none is lost.
fn flood(prepared: &Prepared, family: Family, case: &str) {
    let queries = prepared.network.lab().directory().join("queries");
    fs::write(&queries, format!("{NAME} TXT\n")).expect("a file");
    let service = Network::service(family, DNS).ip();
    let line = format!(
        "dnsperf -s {service} -p {DNS} -d {} -n 3000 -c 1 -T 1 -q 20 -t 10",
        queries.display()
    );
    let said = prepared.network.client.run(&line).expect("dnsperf");
    let lost = said.lines().find(|line| line.contains("Queries lost"));
    assert!(
        lost.is_some_and(|line| line.split_whitespace().nth(2) == Some("0")),
        "{case}: {said}"
    );
}
