//! Good files, and that what is written reads the same.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use proptest::prelude::*;
use weir_config::file::{Config, DirectorConfig, Mode, Sysctls, TableSizes, parse};
use weir_config::model::{
    Forwarding, Protocol, RealServer, Scheduler, Service, ServiceKey, Timeouts, Weight, is_host,
};
use weir_config::save::save;

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
    assert_eq!(config.sysctls.connection_reuse_mode, Some(1));
    assert_eq!(config.sysctls.expire_without_destination, Some(false));
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
        ]
    );
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
            sysctls: Sysctls {
                connection_reuse_mode: Some(0),
                expire_without_destination: Some(true),
            },
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

fn address(family: bool) -> impl Strategy<Value = SocketAddr> {
    let ip = if family {
        any::<[u8; 16]>().prop_map(IpAddr::from).boxed()
    } else {
        any::<[u8; 4]>().prop_map(IpAddr::from).boxed()
    };
    (ip, 1u16..).prop_map(|(ip, port)| SocketAddr::new(ip, port))
}

fn real_server(family: bool) -> impl Strategy<Value = RealServer> {
    let address = address(family).prop_filter("a host", |address| is_host(address.ip()));
    (address, 0..=Weight::MAX).prop_map(|(address, weight)| RealServer {
        weight: Weight::new(weight).unwrap(),
        ..RealServer::new(address, Forwarding::Nat)
    })
}

fn services() -> impl Strategy<Value = Vec<(Service, Vec<RealServer>)>> {
    let protocol = prop::sample::select(vec![Protocol::Tcp, Protocol::Udp]);
    let scheduler = prop::sample::select(&Scheduler::ALL[..]);
    let service =
        (protocol, scheduler, any::<bool>()).prop_flat_map(|(protocol, scheduler, v6)| {
            let servers = prop::collection::vec(real_server(v6), 0..5);
            (address(v6), servers).prop_map(move |(address, servers)| {
                let key = ServiceKey::Address { protocol, address };
                (
                    Service {
                        scheduler,
                        ..Service::new(key)
                    },
                    servers,
                )
            })
        });
    prop::collection::vec(service, 0..4)
}

fn config() -> impl Strategy<Value = Config> {
    let path = "/[a-zä\"\\\\ ]{0,9}".prop_map(PathBuf::from);
    let mode = prop::sample::select(&Mode::ALL[..]);
    let interfaces = prop::collection::hash_set("[a-z\"\\\\.0-9]{1,15}", 0..3);
    let director =
        (interfaces, mode, path.clone(), path).prop_map(|(interfaces, mode, socket, bpffs)| {
            DirectorConfig {
                interfaces: interfaces.into_iter().collect(),
                mode,
                socket,
                bpffs,
            }
        });
    let size = 1..=1u32 << 30;
    let tables =
        (size.clone(), size.clone(), size.clone(), size).prop_map(|(a, b, c, d)| TableSizes {
            services: a,
            real_servers: b,
            connections4: c,
            connections6: d,
        });
    let seconds = 0..=2_678_400u32;
    let timeouts = (seconds.clone(), seconds.clone(), seconds)
        .prop_map(|(tcp, tcp_fin, udp)| Timeouts { tcp, tcp_fin, udp });
    let sysctls =
        (prop::option::of(0..=3u32), any::<Option<bool>>()).prop_map(|(mode, expire)| Sysctls {
            connection_reuse_mode: mode,
            expire_without_destination: expire,
        });
    (director, tables, timeouts, sysctls, services()).prop_map(
        |(director, tables, timeouts, sysctls, services)| Config {
            director,
            tables,
            timeouts,
            sysctls,
            services,
        },
    )
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
