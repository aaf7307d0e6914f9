//! Effects in a network namespace of their own. Needs root, and the program `ip`.

use std::net::IpAddr;
use std::process::Command;
use std::thread;
use std::time::Duration;

use config::model::vrrp::{NextHop, RouteKind, VirtualAddress, VirtualRoute, VirtualRule};
use config::model::{Family, InterfaceName};
use weir_config as config;
use weir_router::links::{Watch, index_of};
use weir_router::netlink::Netlink;
use weir_router::socket::{Protocol, Receiver, Sender, ipv6_packet};
use weir_router::vmac;

/// Nothing takes so long.
const LONG: Duration = Duration::from_secs(30);

fn inside(work: impl Future<Output = ()> + Send + 'static) {
    let thread = thread::spawn(|| {
        // SAFETY: a call without pointers; it moves this thread alone.
        let done = unsafe { libc::unshare(libc::CLONE_NEWNET) };
        assert_eq!(
            done, 0,
            "this test needs root: it makes a network namespace"
        );
        // /proc/sys/net is that of who opens it, so the settings are this namespace's.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(work);
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

fn ip(line: &str) -> String {
    let output = Command::new("ip").args(line.split_whitespace()).output();
    let output = output.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "ip {line}: {said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    said
}

/// A wire whose both ends are here.
fn wire() {
    ip("link add left type veth peer name right");
    ip("link set left up");
    ip("link set right up");
    ip("address add 192.0.2.1/24 dev left");
    ip("address add 192.0.2.2/24 dev right");
}

fn address(text: &str, prefix: u8) -> VirtualAddress {
    VirtualAddress::new(text.parse().unwrap(), prefix)
}

fn name(text: &str) -> InterfaceName {
    InterfaceName::new(text).unwrap()
}

#[test]
fn addresses_come_with_their_properties_and_go() {
    inside(async {
        wire();
        let mut watch = Watch::new().unwrap();
        let left = index_of(watch.links(), "left").unwrap();
        let mut netlink = Netlink::new().unwrap();
        let v4 = VirtualAddress {
            label: Some("left:vip".to_owned()),
            scope: 253,
            broadcast: Some("192.0.2.255".parse().unwrap()),
            ..address("192.0.2.10", 32)
        };
        let v6 = VirtualAddress {
            preferred: Some(Duration::ZERO),
            ..address("2001:db8::10", 64)
        };
        for wanted in [&v4, &v6, &v4] {
            netlink.add_address(left, wanted).unwrap();
        }
        let shown = ip("-o address show dev left");
        assert!(
            shown.contains("192.0.2.10/32 brd 192.0.2.255 scope link left:vip"),
            "{shown}"
        );
        // At once, without duplicate detection, and not to begin anything from.
        let v6_line = shown
            .lines()
            .find(|line| line.contains("2001:db8::10/64"))
            .unwrap();
        assert!(
            v6_line.contains("deprecated") && v6_line.contains("nodad"),
            "{shown}"
        );
        assert!(!v6_line.contains("tentative"), "{shown}");

        let has = |watch: &Watch, wanted: &VirtualAddress| {
            let here = &watch.links()[&left].addresses;
            here.iter()
                .any(|one| one.address == wanted.address && !one.unusable)
        };
        while !has(&watch, &v4) || !has(&watch, &v6) {
            tokio::time::timeout(LONG, watch.changed())
                .await
                .unwrap()
                .unwrap();
        }
        for wanted in [&v4, &v6, &v4] {
            netlink.remove_address(left, wanted).unwrap();
        }
        while has(&watch, &v4) || has(&watch, &v6) {
            tokio::time::timeout(LONG, watch.changed())
                .await
                .unwrap()
                .unwrap();
        }
        assert!(!ip("-o address show dev left").contains("192.0.2.10"));
    });
}

#[test]
fn a_link_that_goes_down_or_away_is_told() {
    inside(async {
        wire();
        let mut watch = Watch::new().unwrap();
        let left = index_of(watch.links(), "left").unwrap();
        let running = |watch: &Watch| watch.links().get(&left).map(|link| link.running);
        assert_eq!(running(&watch), Some(true));
        // The cable is cut at the other end.
        ip("link set right down");
        while running(&watch) != Some(false) {
            tokio::time::timeout(LONG, watch.changed())
                .await
                .unwrap()
                .unwrap();
        }
        ip("link del right");
        while running(&watch).is_some() {
            tokio::time::timeout(LONG, watch.changed())
                .await
                .unwrap()
                .unwrap();
        }
    });
}

#[test]
fn routes_and_rules_come_and_go() {
    inside(async {
        wire();
        let watch = Watch::new().unwrap();
        let index = |name: &str| index_of(watch.links(), name);
        let mut netlink = Netlink::new().unwrap();
        let plain = VirtualRoute {
            destination: Some("198.51.100.0/24".parse().unwrap()),
            v6: false,
            kind: RouteKind::Unicast,
            next_hops: vec![NextHop {
                via: Some("192.0.2.2".parse().unwrap()),
                interface: Some(name("left")),
                weight: 0,
                onlink: false,
            }],
            source: Some("192.0.2.1".parse().unwrap()),
            metric: Some(7),
            table: Some(1000),
            scope: None,
            mtu: Some(1400),
            advertised_segment: None,
            untracked: false,
        };
        let shared = VirtualRoute {
            destination: None,
            table: Some(1001),
            source: None,
            next_hops: ["192.0.2.2", "192.0.2.3"]
                .map(|via| NextHop {
                    via: Some(via.parse().unwrap()),
                    interface: Some(name("left")),
                    weight: 3,
                    onlink: false,
                })
                .to_vec(),
            ..plain.clone()
        };
        let nowhere = VirtualRoute {
            destination: Some("2001:db8:1::/48".parse().unwrap()),
            kind: RouteKind::Blackhole,
            next_hops: Vec::new(),
            source: None,
            mtu: None,
            ..plain.clone()
        };
        let all = [&plain, &shared, &nowhere];
        for wanted in all.iter().chain(&all) {
            netlink.add_route(wanted, &index).unwrap();
        }
        let shown = ip("route show table 1000");
        assert!(
            shown.contains("198.51.100.0/24 via 192.0.2.2 dev left proto keepalived src 192.0.2.1 metric 7 mtu 1400"),
            "{shown}"
        );
        let shown = ip("route show table 1001");
        assert!(
            shown.contains("nexthop via 192.0.2.3 dev left weight 3"),
            "{shown}"
        );
        assert!(ip("-6 route show table 1000").contains("blackhole 2001:db8:1::/48"));

        let rule = VirtualRule {
            from: Some("203.0.113.0/24".parse().unwrap()),
            to: None,
            v6: false,
            input: None,
            output: None,
            mark: Some((3, 0xff)),
            priority: Some(77),
            table: 1000,
            untracked: false,
        };
        netlink.add_rule(&rule).unwrap();
        netlink.add_rule(&rule).unwrap();
        let shown = ip("rule show");
        let expected = "77:\tfrom 203.0.113.0/24 fwmark 0x3/0xff lookup 1000 proto keepalived";
        assert_eq!(shown.matches(expected).count(), 1, "{shown}");

        for wanted in all.iter().chain(&all) {
            netlink.remove_route(wanted, &index).unwrap();
        }
        netlink.remove_rule(&rule).unwrap();
        netlink.remove_rule(&rule).unwrap();
        assert_eq!(ip("route show table 1000"), "");
        assert!(!ip("rule show").contains("77:"));
    });
}

#[test]
fn a_virtual_link_has_the_routers_address() {
    inside(async {
        wire();
        let mut watch = Watch::new().unwrap();
        let left = index_of(watch.links(), "left").unwrap();
        let mut netlink = Netlink::new().unwrap();
        let address = vmac::link_address(51, false);
        for _ in 0..2 {
            netlink.add_virtual_link("vrrp.51", left, address).unwrap();
        }
        let virtual_link = |watch: &Watch| {
            let index = index_of(watch.links(), "vrrp.51")?;
            watch.links().get(&index).cloned()
        };
        while !virtual_link(&watch).is_some_and(|link| link.running) {
            tokio::time::timeout(LONG, watch.changed())
                .await
                .unwrap()
                .unwrap();
        }
        assert_eq!(virtual_link(&watch).unwrap().address, Some(address));
        assert!(ip("-d link show vrrp.51").contains("macvlan mode private"));
        // No link-local address comes by itself.
        assert_eq!(ip("-o -6 address show dev vrrp.51"), "");
        for _ in 0..2 {
            netlink.remove_virtual_link("vrrp.51").unwrap();
        }
    });
}

#[test]
fn what_is_sent_is_received_with_all_that_is_said_about_it() {
    inside(async {
        wire();
        // Who sends is this machine itself.
        std::fs::write("/proc/sys/net/ipv4/conf/right/accept_local", "1").unwrap();
        let watch = Watch::new().unwrap();
        let index = |name: &str| index_of(watch.links(), name).unwrap();
        for (family, group, source) in [
            (Family::V4, "224.0.0.18", "192.0.2.1"),
            (Family::V6, "ff02::12", "fe80::1"),
        ] {
            let group: IpAddr = group.parse().unwrap();
            let source: IpAddr = source.parse().unwrap();
            let receive = |protocol| {
                Receiver::open("right", index("right"), family, protocol, &[group]).unwrap()
            };
            let mut receiver = receive(Protocol::Vrrp);
            let sender = Sender::open("left", index("left"), source).unwrap();
            let packet = match (source, group) {
                (IpAddr::V6(source), IpAddr::V6(group)) => {
                    ipv6_packet(source, group, 254, Protocol::Vrrp, &[9, 8, 7]).unwrap()
                }
                _ => vec![
                    0x45, 0, 0, 23, 0, 7, 0, 0, 254, 112, 0, 0, 192, 0, 2, 1, 224, 0, 0, 18, 9, 8,
                    7,
                ],
            };
            sender.send(&packet, group).unwrap();
            let received = tokio::time::timeout(LONG, receiver.receive()).await;
            let received = received.unwrap().unwrap();
            assert_eq!(received.source, source);
            match family {
                Family::V4 => {
                    assert_eq!(received.bytes[..10], packet[..10]);
                    assert_eq!(received.bytes[20..], [9, 8, 7]);
                }
                Family::V6 => {
                    assert_eq!(received.destination, Some(group));
                    assert_eq!(received.hop_limit, Some(254));
                    assert_eq!(received.bytes, [9, 8, 7]);
                }
            }
        }
    });
}

#[test]
fn what_is_sent_to_refused_addresses_is_dropped() {
    inside(async {
        use tokio::net::UdpSocket;
        ip("link set lo up");
        ip("address add 192.0.2.10/32 dev lo");
        ip("address add 2001:db8::10/128 dev lo nodad");
        let mut refusals = weir_router::refuse::Refusals::new();
        let addresses = ["192.0.2.10", "2001:db8::10"].map(|text| text.parse::<IpAddr>().unwrap());
        refusals.refuse("VI_1", addresses.to_vec()).unwrap();
        refusals.refuse("VI_1", addresses.to_vec()).unwrap();
        for (address, from) in addresses.iter().zip(["127.0.0.1", "::1"]) {
            let listening = UdpSocket::bind((*address, 0)).await.unwrap();
            let to = listening.local_addr().unwrap();
            let sending = UdpSocket::bind((from, 0)).await.unwrap();
            sending.send_to(b"refused", to).await.unwrap();
            refusals.accept("VI_1").unwrap();
            sending.send_to(b"accepted", to).await.unwrap();
            let mut buffer = [0; 32];
            let received = tokio::time::timeout(LONG, listening.recv(&mut buffer)).await;
            let length = received.unwrap().unwrap();
            assert_eq!(&buffer[..length], b"accepted", "{address}");
            refusals.refuse("VI_1", addresses.to_vec()).unwrap();
        }
        refusals.accept("VI_1").unwrap();
        refusals.accept("VI_1").unwrap();
    });
}
