//! What holds for every table and every argument list.

mod fake;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use fake::FakeDirector;
use proptest::prelude::*;
use weir_config::model::{Family, Protocol, ServiceKey};
use weir_ipvsadm::listing::{self, Counters, Rates, ServerListing, ServiceListing};
use weir_ipvsadm::{
    Command, Forwarding, Invocation, Netmask, NoNames, SchedulerFlags, Tunnel, TunnelChecksum,
    parse,
};

fn ipv4() -> impl Strategy<Value = IpAddr> {
    // Unicast, so that it can be a real server.
    (0x0100_0000_u32..0xe000_0000).prop_map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits)))
}

fn ipv6() -> impl Strategy<Value = IpAddr> {
    any::<[u8; 15]>().prop_map(|rest| {
        let mut octets = [0x20; 16];
        octets[1..].copy_from_slice(&rest);
        IpAddr::from(octets)
    })
}

fn checksum() -> impl Strategy<Value = TunnelChecksum> {
    prop::sample::select(
        &[
            TunnelChecksum::No,
            TunnelChecksum::Yes,
            TunnelChecksum::Remote,
        ][..],
    )
}

fn forwarding() -> impl Strategy<Value = Forwarding> {
    prop_oneof![
        Just(Forwarding::Nat),
        Just(Forwarding::DirectRouting),
        Just(Forwarding::Tunnel(Tunnel::Ipip)),
        (1_u16.., checksum())
            .prop_map(|(port, checksum)| Forwarding::Tunnel(Tunnel::Gue { port, checksum })),
        prop::sample::select(&[TunnelChecksum::No, TunnelChecksum::Yes][..])
            .prop_map(|checksum| Forwarding::Tunnel(Tunnel::Gre { checksum })),
    ]
}

fn key() -> impl Strategy<Value = ServiceKey> {
    let protocol = prop::sample::select(&[Protocol::Tcp, Protocol::Udp, Protocol::Sctp][..]);
    let family = prop::sample::select(&[Family::V4, Family::V6][..]);
    prop_oneof![
        (protocol, prop_oneof![ipv4(), ipv6()], any::<u16>()).prop_map(
            |(protocol, address, port)| {
                let address = SocketAddr::new(address, port);
                ServiceKey::Address { protocol, address }
            }
        ),
        // Greater ones are saved as negative numbers, which are not read again: so it is in ipvsadm.
        (family, 1..=i32::MAX as u32)
            .prop_map(|(family, mark)| ServiceKey::FirewallMark { family, mark }),
    ]
}

fn server(key: ServiceKey) -> impl Strategy<Value = ServerListing> {
    (
        ipv4(),
        ipv6(),
        any::<bool>(),
        any::<u16>(),
        forwarding(),
        0..=i32::MAX as u32,
    )
        .prop_map(move |(v4, v6, other_family, port, forwarding, weight)| {
            let tunnel = matches!(forwarding, Forwarding::Tunnel(_));
            let v6_wanted = (key.family() == Family::V6) != (other_family && tunnel);
            let port = match key {
                ServiceKey::Address { address, .. } if forwarding != Forwarding::Nat => {
                    address.port()
                }
                ServiceKey::Address { .. } | ServiceKey::FirewallMark { .. } => port,
            };
            ServerListing {
                address: SocketAddr::new(if v6_wanted { v6 } else { v4 }, port),
                forwarding,
                weight,
                active_connections: 0,
                inactive_connections: 0,
                persistent_connections: 0,
                upper_threshold: 0,
                lower_threshold: 0,
                counters: Counters::default(),
                rates: Rates::default(),
            }
        })
}

fn service() -> impl Strategy<Value = ServiceListing> {
    let scheduler = prop::sample::select(&["rr", "wrr", "lc", "wlc", "dh", "sh", "mh"][..]);
    let persistent = prop::option::of(1_u32..=2_678_400);
    (
        key(),
        scheduler,
        any::<[bool; 5]>(),
        persistent,
        any::<u32>(),
        1_u8..=128,
    )
        .prop_flat_map(
            |(key, scheduler, [first, second, third, ops, sip], persistent, mask, length)| {
                let (port, protocol) = match key {
                    ServiceKey::Address { address, protocol } => {
                        (Some(address.port()), Some(protocol))
                    }
                    ServiceKey::FirewallMark { .. } => (None, None),
                };
                let persistent = persistent.or((port == Some(0)).then_some(360));
                let netmask = match key.family() {
                    Family::V4 if persistent.is_some() => Netmask::V4(Ipv4Addr::from_bits(mask)),
                    Family::V4 => Netmask::V4(Ipv4Addr::BROADCAST),
                    Family::V6 if persistent.is_some() => Netmask::V6(length),
                    Family::V6 => Netmask::V6(128),
                };
                let service = ServiceListing {
                    key,
                    scheduler: scheduler.to_owned(),
                    // With sh and mh the third has no name to save.
                    flags: SchedulerFlags {
                        first,
                        second,
                        third: third && !["sh", "mh"].contains(&scheduler),
                    },
                    persistent,
                    netmask,
                    persistence_engine: sip.then(|| "sip".to_owned()),
                    one_packet: ops && matches!(protocol, None | Some(Protocol::Udp)),
                    counters: Counters::default(),
                    rates: Rates::default(),
                    servers: Vec::new(),
                };
                (Just(service), prop::collection::vec(server(key), 0..6))
            },
        )
        .prop_map(|(service, mut servers)| {
            servers.sort_by_key(|server| server.address);
            servers.dedup_by_key(|server| server.address);
            ServiceListing { servers, ..service }
        })
}

fn table() -> impl Strategy<Value = Vec<ServiceListing>> {
    prop::collection::vec(service(), 0..6).prop_map(|mut services| {
        services.sort_by_key(|service| service.key);
        services.dedup_by_key(|service| service.key);
        services
    })
}

/// Runs `-R` on lines and gives back the exit code, what was printed and the table.
fn restored(lines: &str) -> (u8, String, Vec<ServiceListing>) {
    let mut director = FakeDirector::default();
    let mut printed = String::new();
    let code = Invocation {
        program: "ipvsadm",
        names: &NoNames,
        director: &mut director,
        print: &mut |_, text| printed += text,
    }
    .run(&["-R".to_owned()], &mut lines.lines().map(str::to_owned));
    director.services.sort_by_key(|service| service.key);
    for service in &mut director.services {
        service.servers.sort_by_key(|server| server.address);
    }
    (code, printed, director.services)
}

proptest! {
    #[test]
    fn what_is_saved_is_restored(table in table()) {
        let saved = listing::save(&table, true, &NoNames);
        let (code, printed, again) = restored(&saved);
        prop_assert_eq!((code, printed.as_str()), (0, ""), "{}", saved);
        prop_assert_eq!(again, table, "{}", saved);
    }

    #[test]
    fn any_arguments_end_somehow(arguments in prop::collection::vec(
        prop_oneof![
            "-[A-Za-z0-9=]{0,4}",
            "--[a-z6=-]{0,12}",
            prop::sample::select(&[
                "-A", "-E", "-D", "-a", "-e", "-d", "-L", "-Z", "-S", "-R", "-C", "--set", "-t", "-u", "-f",
                "-s", "-r", "-m", "-i", "-w", "-p", "-M", "-b", "-6", "-n", "-c", "--stats", "--start-daemon",
                "10.0.0.1:80", "[2001:db8::1]:80", "[]:", "1", "rr", "master", "é", "[é]:é", "--é=é", "-é",
            ][..]).prop_map(str::to_owned),
            ".{0,6}",
        ],
        0..8,
    )) {
        if let Err(exit) = parse("ipvsadm", &arguments, &NoNames) {
            prop_assert!([0, 2, 255].contains(&exit.code));
            prop_assert!(exit.stdout.is_empty() != exit.stderr.is_empty());
            prop_assert_eq!(exit.stdout.is_empty(), exit.code != 0);
        }
    }

    #[test]
    fn long_and_short_options_are_the_same(weight in 0..=i32::MAX as u32, port in 1_u16..) {
        let parsed = |text: String| {
            let arguments: Vec<String> = text.split(' ').map(str::to_owned).collect();
            parse("ipvsadm", &arguments, &NoNames)
        };
        let long = parsed(format!(
            "--add-server --tcp-service 10.0.0.1:{port} --real-server=10.1.0.1:{port} --masquerading --weight={weight}"
        ));
        let short = parsed(format!("-at10.0.0.1:{port} -r 10.1.0.1:{port} -mw{weight}"));
        prop_assert!(matches!(long, Ok(Command::AddServer(..))));
        prop_assert_eq!(long, short);
    }
}
