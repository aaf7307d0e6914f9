//! Good files, and that what is written reads the same.

mod any;

use std::num::{NonZeroU16, NonZeroU32};
use std::path::PathBuf;

use any::config;
use proptest::prelude::*;
use weir_config::file::{ByHand, Config, DirectorConfig, Mode, TableSizes, parse};
use weir_config::model::health::Pace;
use weir_config::model::{
    Engine, Forwarding, GueChecksum, InterfaceName, LocalAddresses, MarkRule, Netmask, Persistence,
    Ports, PrefixLength6, Protocol, RealServer, Refusal, Scheduler, SchedulerFlags, Service,
    ServiceTimeouts, Thresholds, Timeouts, Tunnel, Weight,
};
use weir_config::save::save;
use weir_config::sysctl::{Sysctl, Sysctls};

fn read(text: &str) -> Config {
    parse(text, "weir.toml").unwrap_or_else(|found| {
        let shown: Vec<String> = found.iter().map(ToString::to_string).collect();
        panic!("{}", shown.join("\n\n"))
    })
}

fn service(key: &str, scheduler: Scheduler) -> Service {
    Service {
        scheduler,
        ..Service::new(key.parse().unwrap())
    }
}

fn server(address: &str, weight: u32) -> RealServer {
    RealServer {
        weight: Weight::new(weight).unwrap(),
        ..RealServer::new(address.parse().unwrap(), Forwarding::Nat)
    }
}

fn sysctls(values: &[(&str, &str)]) -> Sysctls {
    let mut sysctls = Sysctls::default();
    for (name, value) in values {
        sysctls.set(name, value).unwrap();
    }
    sysctls
}

#[test]
fn an_empty_file_is_the_defaults() {
    let config = read("");
    assert_eq!(config, Config::default());
    assert_eq!(config.tables.connections4, 1_048_576);
    assert_eq!(config.director.socket, PathBuf::from("/run/weir/weir.sock"));
    assert_eq!(config.timeouts, Timeouts::UNCHANGED);
}

#[test]
fn the_example_has_every_key_and_the_defaults() {
    let example = include_str!("../examples/weir.toml");
    let config = read(example);
    let defaults = Config::default();
    assert_eq!(config.director.interfaces, ["eth0", "eth1"]);
    assert_eq!(
        DirectorConfig {
            interfaces: vec![],
            ..config.director
        },
        defaults.director
    );
    assert_eq!(config.tables, defaults.tables);
    assert_eq!(config.timeouts, Timeouts::default());
    assert_eq!(config.sysctls.get(Sysctl::ConnReuseMode), Some(1));
    assert_eq!(config.sysctls.get(Sysctl::ExpireNodestConn), Some(0));
    let web = Scheduler::default();
    assert_eq!(
        config.services,
        [
            (
                service("tcp:192.0.2.10:80", web),
                vec![server("10.0.0.11:8080", 1), server("10.0.0.12:80", 1)]
            ),
            (
                service("tcp:[2001:db8::10]:80", web),
                vec![server("[2001:db8:1::11]:8080", 0)]
            ),
            (
                service("tcp:192.0.2.20:80", web),
                vec![server("10.0.0.21:8080", 1)]
            ),
        ]
    );
    assert_eq!(config.health.len(), 1);
    assert_eq!(config.health[0].servers[0].checks[0].pace, Pace::WEIR);
    assert_eq!(config.notifications, defaults.notifications);
}

#[test]
fn everything_that_a_file_can_say() {
    let config = read(
        r#"
[director]
interfaces = ["eth0", "eth1"]
mode       = "tc"
socket     = "/run/a.sock"
bpffs      = "/sys/fs/bpf/a"
state      = "/var/lib/a"
audit      = "/var/log/a"
by_hand    = "fold-back"
watch      = true
local_clients = true

[tables]
services     = 1
real_servers = 2
connections  = 3
connections6 = 0x4

[timeouts]
tcp     = 5
tcp_fin = 6
udp     = 7

[sysctl]
conn_reuse_mode    = 0
expire_nodest_conn = 1

[[service]]
name      = "web"
listen    = ["tcp 192.0.2.10:80", "tcp [2001:db8::10]:443", "udp 192.0.2.10:443"]
scheduler = "wrr"
forward   = "nat"
server    = [
  { address = "10.0.0.11:8080", weight = 3 },
  { address = "10.0.0.12" },
  { address = "2001:db8:1::11", weight = 0 },
  { address = "[2001:db8:1::12]" },
  { address = "[2001:db8:1::13]:8443" },
]

[[service]]
listen  = ["udp 192.0.2.10:53"]
forward = "nat"
"#,
    );
    assert_eq!(
        config,
        Config {
            director: DirectorConfig {
                interfaces: vec!["eth0".to_owned(), "eth1".to_owned()],
                mode: Mode::Tc,
                socket: PathBuf::from("/run/a.sock"),
                bpffs: PathBuf::from("/sys/fs/bpf/a"),
                state: Some(PathBuf::from("/var/lib/a")),
                audit: Some(PathBuf::from("/var/log/a")),
                by_hand: ByHand::FoldBack,
                watch: true,
                local_clients: true,
            },
            tables: TableSizes {
                services: 1,
                real_servers: 2,
                connections4: 3,
                connections6: 4,
            },
            timeouts: Timeouts {
                tcp: 5,
                tcp_fin: 6,
                udp: 7,
            },
            sysctls: sysctls(&[("conn_reuse_mode", "0"), ("expire_nodest_conn", "1")]),
            marks: vec![],
            services: vec![
                (
                    service("tcp:192.0.2.10:80", Scheduler::WeightedRoundRobin),
                    vec![server("10.0.0.11:8080", 3), server("10.0.0.12:80", 1)],
                ),
                (
                    service("tcp:[2001:db8::10]:443", Scheduler::WeightedRoundRobin),
                    vec![
                        server("[2001:db8:1::11]:443", 0),
                        server("[2001:db8:1::12]:443", 1),
                        server("[2001:db8:1::13]:8443", 1),
                    ],
                ),
                (
                    service("udp:192.0.2.10:443", Scheduler::WeightedRoundRobin),
                    vec![server("10.0.0.11:8080", 3), server("10.0.0.12:443", 1)],
                ),
                (
                    service("udp:192.0.2.10:53", Scheduler::WeightedLeastConnection),
                    vec![],
                ),
            ],
            ..Config::default()
        }
    );
}

#[test]
fn sections_of_servers_are_as_good_as_tables_in_a_list() {
    let config = read(
        r#"
[[service]]
listen = ["tcp 192.0.2.10:80"]
forward = "nat"

[[service.server]]
address = "10.0.0.11"

[[service.server]]
address = "10.0.0.12"
weight = 2
"#,
    );
    assert_eq!(
        config.services[0].1,
        [server("10.0.0.11:80", 1), server("10.0.0.12:80", 2)]
    );
}

#[test]
fn everything_that_can_be_said_of_services() {
    let config = read(
        r#"
[sysctl]
drop_entry     = 1
sync_threshold = "7 90"
est_nice       = -3

[[mark]]
mark        = 7
protocol    = "tcp"
destination = "192.0.2.0/24"
ports       = "8000-8100"
interface   = "eth0"

[[mark]]
mark        = 0xff
destination = "2001:db8::1"

[[service]]
listen      = ["fwmark 7", "fwmark6 255"]
scheduler   = "mh"
flags       = ["mh-port", "mh-fallback"]
persistence = 360
netmask     = "255.255.255.0"
netmask6    = 64
forward     = "tun"
tunnel      = { type = "gue", port = 6080, checksum = "remote" }
server      = [
  { address = "10.0.0.11", upper_threshold = 100, lower_threshold = 80 },
  { address = "10.0.0.12", tunnel = { type = "gre", checksum = "full" } },
]

[[service]]
listen          = ["udp 192.0.2.10:5060"]
engine          = "sip"
persistence     = 60
one_packet      = true
farewell        = true
timeouts        = { udp = 30 }
refusal         = "silent"
local_addresses = ["10.0.0.1", "10.0.0.2"]
forward         = "dr"
server          = [{ address = "10.0.0.11" }, { address = "10.0.0.12:5061", forward = "nat" }]

[[service]]
listen      = ["sctp 192.0.2.10:0"]
persistence = 60
forward     = "nat"
server      = [{ address = "10.0.0.11" }]
"#,
    );
    assert_eq!(
        config.sysctls,
        sysctls(&[
            ("drop_entry", "1"),
            ("sync_threshold", "7 90"),
            ("est_nice", "-3")
        ])
    );
    assert_eq!(
        config.marks,
        [
            MarkRule {
                mark: NonZeroU32::new(7).unwrap(),
                protocol: Some(Protocol::Tcp),
                destination: "192.0.2.0/24".parse().unwrap(),
                ports: Ports::new(8000, 8100).unwrap(),
                interface: InterfaceName::new("eth0"),
            },
            MarkRule {
                mark: NonZeroU32::new(255).unwrap(),
                protocol: None,
                destination: "2001:db8::1".parse().unwrap(),
                ports: Ports::ALL,
                interface: None,
            },
        ]
    );
    let of_mark = |key: &str, netmask| Service {
        flags: SchedulerFlags {
            flag1: true,
            flag2: true,
            flag3: false,
        },
        persistence: Some(Persistence {
            timeout: 360,
            netmask,
        }),
        ..service(key, Scheduler::MaglevHashing)
    };
    let tunnel = |address: &str, tunnel| {
        RealServer::new(address.parse().unwrap(), Forwarding::Tunnel(tunnel))
    };
    let tunnelled = vec![
        RealServer {
            thresholds: Thresholds::new(100, 80).unwrap(),
            ..tunnel(
                "10.0.0.11:0",
                Tunnel::Gue {
                    port: NonZeroU16::new(6080).unwrap(),
                    checksum: GueChecksum::Remote,
                },
            )
        },
        tunnel("10.0.0.12:0", Tunnel::Gre { checksum: true }),
    ];
    let mut local_addresses = LocalAddresses::default();
    assert!(local_addresses.add("10.0.0.1".parse().unwrap()));
    assert!(local_addresses.add("10.0.0.2".parse().unwrap()));
    let persistent = |key: &str| Service {
        persistence: Some(Persistence {
            timeout: 60,
            netmask: Netmask::V4([255; 4].into()),
        }),
        ..service(key, Scheduler::default())
    };
    assert_eq!(
        config.services,
        [
            (
                of_mark("fwmark:7", Netmask::V4([255, 255, 255, 0].into())),
                tunnelled.clone()
            ),
            (
                of_mark("fwmark6:255", Netmask::V6(PrefixLength6::new(64).unwrap())),
                tunnelled
            ),
            (
                Service {
                    engine: Some(Engine::Sip),
                    one_packet: true,
                    farewell: true,
                    timeouts: ServiceTimeouts {
                        udp: NonZeroU32::new(30),
                        ..ServiceTimeouts::default()
                    },
                    refusal: Refusal::Silent,
                    local_addresses,
                    ..persistent("udp:192.0.2.10:5060")
                },
                vec![
                    RealServer::new("10.0.0.11:5060".parse().unwrap(), Forwarding::Direct),
                    server("10.0.0.12:5061", 1),
                ]
            ),
            (
                persistent("sctp:192.0.2.10:0"),
                vec![server("10.0.0.11:0", 1)]
            ),
        ]
    );
}

/// Random addresses meet now and then; a file cannot have them twice.
fn has_doubles(config: &Config) -> bool {
    let mut keys = std::collections::HashSet::new();
    config.services.iter().any(|(service, servers)| {
        let mut addresses = std::collections::HashSet::new();
        !keys.insert(service.key) || servers.iter().any(|s| !addresses.insert(s.address))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_reads_the_same(config in config()) {
        prop_assume!(!has_doubles(&config));
        prop_assert_eq!(read(&save(&config)), config);
    }

    #[test]
    fn nothing_makes_the_reader_panic(text in "\\PC*") {
        let _ = parse(&text, "weir.toml").map_err(|found| found.iter().map(ToString::to_string).count());
    }

    #[test]
    fn no_damage_makes_the_reader_panic(config in config(), at in any::<prop::sample::Index>(), with in ".{0,3}") {
        let mut text: Vec<char> = save(&config).chars().collect();
        let at = at.index(text.len() + 1);
        text.splice(at..(at + 1).min(text.len()), with.chars());
        let text: String = text.into_iter().collect();
        let _ = parse(&text, "weir.toml").map_err(|found| found.iter().map(ToString::to_string).count());
    }
}
