//! Each way to spoil a real server, and what is said of it.

use super::{Method, Question, Severity, check};
use crate::facts::{Facts, Kind, Proxy, Tunnel};
use crate::setting::{ALL, Setting, Sysctl};
use crate::testing::{DIRECTOR4, ROUTER4, V4, V6, address, host, interface};

type Spoil = fn(&mut Facts);
/// Severity, code and what it is about.
type Expected = (Severity, &'static str, &'static str);

fn question(method: Method) -> Question {
    Question {
        virtual_addresses: vec![V4, V6],
        method,
        directors: vec![DIRECTOR4],
        interfaces: vec!["eth0".to_owned()],
    }
}

/// A host whose default route leads to the director.
fn nat_host() -> Facts {
    let mut facts = host();
    facts.default_routes[0].gateway = Some(DIRECTOR4);
    facts
        .addresses
        .retain(|one| one.address != V4 && one.address != V6);
    facts
}

fn set(facts: &mut Facts, setting: Setting, scope: &str, value: u32) {
    facts.sysctls.insert(Sysctl::new(setting, scope), value);
}

fn without_decapsulation(facts: &mut Facts) {
    facts.decapsulation = None;
}

fn codes(method: Method, facts: &Facts) -> Vec<(Severity, &'static str, String)> {
    let found = check(&question(method), facts);
    for finding in &found {
        let message = &finding.message;
        assert!(message.ends_with('.'), "a sentence: {message}");
        assert!(!message.contains("  "), "single blanks: {message}");
    }
    found
        .into_iter()
        .map(|finding| (finding.severity, finding.code, finding.about))
        .collect()
}

#[test]
fn nothing_is_said_of_what_is_right() {
    for method in [Method::DirectRouting, Method::Tunnel] {
        assert_eq!(codes(method, &host()), [], "{method:?}");
    }
    assert_eq!(codes(Method::Nat, &nat_host()), []);
}

#[test]
fn both_methods_need_a_quiet_address() {
    use Severity::{Notice, Wrong};
    let rows: &[(Spoil, &[Expected])] = &[
        (
            |facts| facts.addresses.retain(|one| one.address != V4),
            &[(Wrong, "vip-missing", "192.0.2.10")],
        ),
        (
            |facts| facts.addresses.retain(|one| one.address != V6),
            &[(Wrong, "vip-missing", "2001:db8:1::10")],
        ),
        (
            |facts| facts.addresses.push(address("eth1", V6, 128)),
            &[(Wrong, "vip-on-link", "2001:db8:1::10")],
        ),
        (
            |facts| facts.addresses.push(address("eth1", V4, 24)),
            &[
                (Wrong, "vip-prefix", "192.0.2.10"),
                (Wrong, "vip-on-link", "192.0.2.10"),
            ],
        ),
        (
            |facts| {
                for one in &mut facts.addresses {
                    if one.address == V4 {
                        one.prefix = 24;
                    }
                    // For a moment, as on the loopback interface each is.
                    one.usable = one.address != V6;
                }
            },
            &[(Wrong, "vip-prefix", "192.0.2.10")],
        ),
        (
            |facts| {
                let mut there = address("eth1", V6, 128);
                there.usable = false;
                facts.addresses.push(there);
            },
            &[
                (Wrong, "vip-unusable", "2001:db8:1::10"),
                (Wrong, "vip-on-link", "2001:db8:1::10"),
            ],
        ),
        (
            |facts| {
                facts.proxies.push(Proxy {
                    interface: "eth0".to_owned(),
                    address: V6,
                });
            },
            &[(Wrong, "vip-proxied", "2001:db8:1::10")],
        ),
        (
            |facts| set(facts, Setting::ArpIgnore, ALL, 0),
            &[
                (Wrong, "arp-answered", "eth0"),
                (Wrong, "arp-answered", "eth1"),
            ],
        ),
        // The greater value holds, and 3 is about other addresses.
        (
            |facts| set(facts, Setting::ArpIgnore, "eth0", 3),
            &[(Wrong, "arp-answered", "eth0")],
        ),
        (
            |facts| {
                set(facts, Setting::ArpIgnore, ALL, 0);
                set(facts, Setting::ArpIgnore, "eth0", 1);
                facts.interfaces[2].up = false;
            },
            &[],
        ),
        (
            |facts| {
                set(facts, Setting::ArpAnnounce, ALL, 1);
                set(facts, Setting::ArpAnnounce, "eth1", 2);
            },
            &[(Wrong, "arp-announced", "eth0")],
        ),
        // Strict is fine where the way back is the way in.
        (|facts| set(facts, Setting::RpFilter, ALL, 1), &[]),
        (
            |facts| {
                set(facts, Setting::RpFilter, "eth0", 1);
                facts.default_routes[0].interface = "eth1".to_owned();
            },
            &[(Wrong, "rp-filter-strict", "eth0")],
        ),
        (
            |facts| {
                set(facts, Setting::RpFilter, ALL, 1);
                set(facts, Setting::RpFilter, "eth0", 2);
                facts.default_routes[0].interface = "eth1".to_owned();
            },
            &[],
        ),
        (
            |facts| facts.default_routes[0].gateway = Some(DIRECTOR4),
            &[(Wrong, "way-back-by-director", "10.0.0.1")],
        ),
        (
            |facts| {
                facts.default_routes.pop();
            },
            &[(Notice, "no-way-back", "IPv6")],
        ),
        (
            |facts| facts.interfaces[0].up = false,
            &[(Wrong, "interface-down", "lo")],
        ),
        // A dummy serves as well as the loopback interface.
        (
            |facts| {
                facts.interfaces.push(interface("dummy0", Kind::Silent));
                for one in &mut facts.addresses {
                    if one.address == V4 {
                        one.interface = "dummy0".to_owned();
                    }
                }
            },
            &[],
        ),
    ];
    for method in [Method::DirectRouting, Method::Tunnel] {
        for (row, (spoil, expected)) in rows.iter().enumerate() {
            let mut facts = host();
            spoil(&mut facts);
            let found = codes(method, &facts);
            let found: Vec<_> = found
                .iter()
                .map(|(severity, code, about)| (*severity, *code, about.as_str()))
                .collect();
            assert_eq!(found, *expected, "{method:?}, row {row}");
        }
    }
}

#[test]
fn tunnels_need_somebody_who_opens_them() {
    let rows: &[(Spoil, &[&str])] = &[
        (
            without_decapsulation,
            &["no-decapsulation", "no-decapsulation"],
        ),
        (
            |facts| {
                let ours = facts.decapsulation.as_mut().expect("ours");
                ours.virtual_addresses.retain(|one| *one != V6);
            },
            &["no-decapsulation"],
        ),
        (
            |facts| {
                let ours = facts.decapsulation.as_mut().expect("ours");
                ours.interfaces = vec!["gone".to_owned()];
            },
            &["no-decapsulation", "no-decapsulation"],
        ),
        (
            |facts| {
                let ours = facts.decapsulation.as_mut().expect("ours");
                ours.here.push(ROUTER4);
            },
            &["tunnel-end-gone"],
        ),
        // The kernel's devices do as well, each for its family.
        (
            |facts| {
                without_decapsulation(facts);
                let tunnel = interface("tunl0", Kind::Tunnel(Tunnel::V4));
                facts.interfaces.push(tunnel);
            },
            &["no-decapsulation"],
        ),
        (
            |facts| {
                without_decapsulation(facts);
                let tunnel = interface("ip6tnl0", Kind::Tunnel(Tunnel::Both));
                facts.interfaces.push(tunnel);
            },
            &[],
        ),
        (
            |facts| {
                without_decapsulation(facts);
                let mut tunnel = interface("ip6tnl0", Kind::Tunnel(Tunnel::Both));
                tunnel.up = false;
                facts.interfaces.push(tunnel);
            },
            // Once for each virtual address.
            &["tunnel-down", "tunnel-down"],
        ),
        (
            |facts| {
                let tunnel = interface("tunl0", Kind::Tunnel(Tunnel::V4));
                facts.interfaces.push(tunnel);
                set(facts, Setting::RpFilter, ALL, 1);
            },
            &["rp-filter-strict"],
        ),
        (|facts| facts.interfaces[1].mtu = 1300, &["mtu-too-small"]),
        (
            |facts| facts.default_routes[0].segment_size = None,
            &["segments-too-large"],
        ),
        (
            |facts| {
                facts.default_routes[0].segment_size = None;
                // As the kernel of a jumbo link does where clients are behind a router.
                facts.default_routes[0].segment_size = Some(1460);
                facts.interfaces[1].mtu = 9000;
            },
            &[],
        ),
    ];
    for (row, (spoil, expected)) in rows.iter().enumerate() {
        let mut facts = host();
        spoil(&mut facts);
        let found: Vec<_> = codes(Method::Tunnel, &facts)
            .into_iter()
            .map(|(_, code, _)| code)
            .collect();
        assert_eq!(found, *expected, "row {row}");
    }
}

#[test]
fn nat_needs_the_way_through_the_director() {
    let rows: &[(Spoil, &[&str])] = &[
        (
            |facts| facts.default_routes[0].gateway = Some(ROUTER4),
            &["default-route-elsewhere"],
        ),
        (
            |facts| facts.default_routes[0].gateway = None,
            &["default-route-elsewhere"],
        ),
        (|facts| facts.default_routes.clear(), &["no-default-route"]),
        (
            |facts| {
                // The better of two routes.
                let mut better = facts.default_routes[0].clone();
                better.gateway = Some(ROUTER4);
                facts.default_routes[0].metric = 100;
                facts.default_routes.push(better);
            },
            &["default-route-elsewhere"],
        ),
        // A virtual address that was left over from another method.
        (
            |facts| facts.addresses.push(address("eth0", V4, 32)),
            &["vip-on-link"],
        ),
        (|facts| facts.addresses.push(address("lo", V4, 32)), &[]),
    ];
    for (row, (spoil, expected)) in rows.iter().enumerate() {
        let mut facts = nat_host();
        spoil(&mut facts);
        let found: Vec<_> = codes(Method::Nat, &facts)
            .into_iter()
            .map(|(_, code, _)| code)
            .collect();
        assert_eq!(found, *expected, "row {row}");
    }
}
