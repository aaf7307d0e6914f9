//! Any configuration that a file can say.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::{NonZeroU16, NonZeroU32};
use std::path::PathBuf;

use proptest::prelude::*;
use weir_config::file::{ByHand, Config, DirectorConfig, Mode, TableSizes};
use weir_config::model::{
    Engine, Family, Forwarding, GueChecksum, InterfaceName, LocalAddresses, MarkRule, Netmask,
    Persistence, Ports, Prefix, PrefixLength6, Protocol, RealServer, Refusal, Scheduler,
    SchedulerFlags, Service, ServiceKey, ServiceTimeouts, Thresholds, Timeouts, Tunnel, Weight,
    is_host,
};
use weir_config::sysctl::{self, Sysctl, Sysctls};

pub fn config() -> impl Strategy<Value = Config> {
    let settings = (director(), tables(), timeouts(), sysctls());
    let marks = prop::collection::vec(mark(), 0..3);
    let services = prop::collection::vec(service(), 0..4);
    (settings, marks, services).prop_map(
        |((director, tables, timeouts, sysctls), marks, services)| Config {
            director,
            tables,
            timeouts,
            sysctls,
            marks,
            services,
            ..Config::default()
        },
    )
}

fn director() -> impl Strategy<Value = DirectorConfig> {
    let path = "/[a-zä\"\\\\ ]{0,9}".prop_map(PathBuf::from);
    let mode = prop::sample::select(&Mode::ALL[..]);
    let interfaces = prop::collection::hash_set("[a-z\"\\\\.0-9]{1,15}", 0..3);
    let paths = (path.clone(), path.clone());
    let kept = (prop::option::of(path.clone()), prop::option::of(path));
    let by_hand = prop::sample::select(&ByHand::ALL[..]);
    let flags = (any::<bool>(), any::<bool>());
    let all = (interfaces, mode, paths, kept, by_hand, flags);
    all.prop_map(
        |(interfaces, mode, (socket, bpffs), (state, audit), by_hand, (watch, local_clients))| {
            DirectorConfig {
                interfaces: interfaces.into_iter().collect(),
                mode,
                socket,
                bpffs,
                state,
                audit,
                by_hand,
                watch,
                local_clients,
            }
        },
    )
}

fn tables() -> impl Strategy<Value = TableSizes> {
    prop::array::uniform4(1..=1u32 << 30).prop_map(|[a, b, c, d]| TableSizes {
        services: a,
        real_servers: b,
        connections4: c,
        connections6: d,
    })
}

fn timeouts() -> impl Strategy<Value = Timeouts> {
    prop::array::uniform3(0..=Persistence::MAX_TIMEOUT).prop_map(|[tcp, tcp_fin, udp]| Timeouts {
        tcp,
        tcp_fin,
        udp,
    })
}

/// Those whose greatest value is the default, or their least.
fn sysctls() -> impl Strategy<Value = Sysctls> {
    let some = prop::sample::subsequence(sysctl::named().collect::<Vec<_>>(), 0..5);
    (some, any::<bool>()).prop_map(|(some, least)| {
        let mut sysctls = Sysctls::default();
        for one in some {
            let value = sysctl::show(one, |one: Sysctl| {
                if least {
                    one.range().0
                } else {
                    one.default_value()
                }
            });
            // Not all of sync_threshold's and sync_ports' least values go together.
            let _ = sysctls.set(one.name(), &value);
        }
        sysctls
    })
}

fn ip(v6: bool) -> BoxedStrategy<IpAddr> {
    if v6 {
        any::<[u8; 16]>().prop_map(IpAddr::from).boxed()
    } else {
        any::<[u8; 4]>().prop_map(IpAddr::from).boxed()
    }
}

fn protocol() -> impl Strategy<Value = Protocol> {
    prop::sample::select(&Protocol::ALL[..])
}

fn mark() -> impl Strategy<Value = MarkRule> {
    let destination = any::<bool>().prop_flat_map(ip).prop_map(|address| {
        let whole = match address {
            IpAddr::V4(_) => 32,
            IpAddr::V6(_) => 128,
        };
        Prefix::new(address, whole).unwrap()
    });
    let ports =
        (any::<u16>(), any::<u16>()).prop_map(|(a, b)| Ports::new(a.min(b), a.max(b)).unwrap());
    let interface = prop::option::of("[a-z\"\\\\.0-9]{1,15}");
    let interface = interface.prop_map(|name| name.and_then(|name| InterfaceName::new(&name)));
    let protocol = prop::option::of(protocol());
    (1u32.., protocol, destination, ports, interface).prop_map(
        |(mark, protocol, destination, ports, interface)| MarkRule {
            mark: NonZeroU32::new(mark).unwrap(),
            protocol,
            destination,
            ports,
            interface,
        },
    )
}

fn key(v6: bool) -> BoxedStrategy<ServiceKey> {
    let address = (protocol(), ip(v6), 1u16..).prop_map(|(protocol, ip, port)| {
        let address = SocketAddr::new(ip, port);
        ServiceKey::Address { protocol, address }
    });
    let family = if v6 { Family::V6 } else { Family::V4 };
    let mark = (1u32..).prop_map(move |mark| ServiceKey::FirewallMark { family, mark });
    prop_oneof![3 => address, 1 => mark].boxed()
}

fn service() -> impl Strategy<Value = (Service, Vec<RealServer>)> {
    any::<bool>().prop_flat_map(|v6| {
        key(v6).prop_flat_map(move |key| {
            let servers = prop::collection::vec(real_server(v6, key), 0..5);
            (attributes(key), servers)
        })
    })
}

fn attributes(key: ServiceKey) -> impl Strategy<Value = Service> {
    let scheduler = prop::sample::select(&Scheduler::ALL[..]);
    let flags = any::<[bool; 3]>().prop_map(|[flag1, flag2, flag3]| SchedulerFlags {
        flag1,
        flag2,
        flag3,
    });
    let persistence = prop::option::of(persistence(key.family()));
    let engine = prop::option::of(prop::sample::select(&Engine::ALL[..]));
    let can_be_one_packet = match key {
        ServiceKey::Address { protocol, .. } => protocol == Protocol::Udp,
        ServiceKey::FirewallMark { .. } => true,
    };
    let one_packet = any::<bool>().prop_map(move |wanted| wanted && can_be_one_packet);
    let seconds = prop::option::of(
        (1..=Persistence::MAX_TIMEOUT).prop_map(|seconds| NonZeroU32::new(seconds).unwrap()),
    );
    let timeouts = prop::array::uniform3(seconds).prop_map(|[tcp, tcp_fin, udp]| ServiceTimeouts {
        tcp,
        tcp_fin,
        udp,
    });
    let refusal = prop::sample::select(&Refusal::ALL[..]);
    let local_addresses = prop::collection::hash_set(any::<bool>().prop_flat_map(ip), 0..3);
    let local_addresses = local_addresses.prop_map(|some| {
        let mut addresses = LocalAddresses::default();
        some.into_iter().for_each(|one| assert!(addresses.add(one)));
        addresses
    });
    let of_clients = (scheduler, flags, persistence, engine);
    let of_connections = (
        one_packet,
        any::<bool>(),
        timeouts,
        refusal,
        local_addresses,
    );
    (of_clients, of_connections).prop_map(
        move |(
            (scheduler, flags, persistence, engine),
            (one_packet, farewell, timeouts, refusal, local_addresses),
        )| Service {
            key,
            scheduler,
            flags,
            persistence,
            engine,
            one_packet,
            farewell,
            timeouts,
            refusal,
            local_addresses,
        },
    )
}

fn persistence(family: Family) -> impl Strategy<Value = Persistence> {
    let netmask = match family {
        Family::V4 => any::<[u8; 4]>()
            .prop_map(|mask| Netmask::V4(Ipv4Addr::from(mask)))
            .boxed(),
        Family::V6 => (1..=128u8)
            .prop_map(|length| Netmask::V6(PrefixLength6::new(length).unwrap()))
            .boxed(),
    };
    (1..=Persistence::MAX_TIMEOUT, netmask)
        .prop_map(|(timeout, netmask)| Persistence { timeout, netmask })
}

fn tunnel() -> impl Strategy<Value = Tunnel> {
    let checksum = prop::sample::select(&GueChecksum::ALL[..]);
    let gue = (1u16.., checksum).prop_map(|(port, checksum)| Tunnel::Gue {
        port: NonZeroU16::new(port).unwrap(),
        checksum,
    });
    prop_oneof![
        Just(Tunnel::Ipip),
        gue,
        any::<bool>().prop_map(|checksum| Tunnel::Gre { checksum }),
    ]
}

fn real_server(v6: bool, service: ServiceKey) -> impl Strategy<Value = RealServer> {
    let own_port = match service {
        ServiceKey::Address { address, .. } => Some(address.port()),
        ServiceKey::FirewallMark { .. } => None,
    };
    let of_family = prop_oneof![
        Just(Forwarding::Nat),
        Just(Forwarding::Direct),
        Just(Forwarding::FullNat),
    ];
    let host = |v6| ip(v6).prop_filter("a host", |address| is_host(*address));
    let way = prop_oneof![
        (of_family, host(v6)),
        (tunnel().prop_map(Forwarding::Tunnel), host(v6)),
        (tunnel().prop_map(Forwarding::Tunnel), host(!v6)),
    ];
    let thresholds = prop::array::uniform2(0..=i32::MAX as u32)
        .prop_map(|[a, b]| Thresholds::new(a.max(b), a.min(b)).unwrap());
    (way, 1u16.., 0..=Weight::MAX, thresholds).prop_map(
        move |((forwarding, ip), port, weight, thresholds)| {
            let port = match own_port {
                Some(own) if forwarding.keeps_ports() => own,
                _ => port,
            };
            RealServer {
                weight: Weight::new(weight).unwrap(),
                thresholds,
                ..RealServer::new(SocketAddr::new(ip, port), forwarding)
            }
        },
    )
}
