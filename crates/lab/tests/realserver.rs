//! The other end of direct routing and tunnels: `weir realserver`, with a director made by hand.
#![cfg(feature = "privileged")]

mod common;
#[path = "common/echo.rs"]
mod echo;
#[path = "common/encapsulator.rs"]
mod encapsulator;

use common::weir;
use echo::{serve, talk};
use encapsulator::{Encapsulator, Tunnel};
use std::net::{IpAddr, SocketAddr};
use std::process::Output;
use weir_lab::{Family, Namespace, Network, Plan, Shape, output};

const PORT: u16 = 80;

/// A client, a director that only routes, and one real server.
struct Site {
    network: Network,
}

impl Site {
    fn new() -> Site {
        let network = Network::new(Plan {
            shape: Shape::TwoInterfaces,
            real_servers: 1,
            offload: true,
        })
        .expect("a network");
        let site = Site { network };
        for family in Family::BOTH {
            let (vip, host) = (family.virtual_address(), host(family));
            let director = site.director();
            // What it has itself it would not route.
            director
                .ip(&format!("address del {vip}/{host} dev clients"))
                .expect("its address");
            site.network
                .client
                .ip(&format!("route add {vip}/{host} via {}", family.director()))
                .expect("a route");
        }
        site
    }

    fn director(&self) -> &Namespace {
        &self.network.director
    }

    fn server(&self) -> &Namespace {
        &self.network.real_servers[0].namespace
    }

    fn address(&self, family: Family) -> IpAddr {
        self.network.real_servers[0].at(family, 0).ip()
    }

    /// The director's packets for the virtual address go there.
    fn route(&self, family: Family, how: &str) {
        let (vip, host) = (family.virtual_address(), host(family));
        self.director()
            .ip(&format!("route replace {vip}/{host} {how}"))
            .expect("a route");
    }

    /// `weir realserver LINE` on the real server.
    fn weir(&self, line: &str) -> Output {
        let lab = self.network.lab();
        let mut command = self.server().command(weir());
        command.arg("realserver").args(line.split_whitespace());
        let bpffs = lab.bpffs().expect("a BPF file system");
        command.arg("--bpffs").arg(bpffs.join("real1"));
        if !line.starts_with("check") {
            command
                .arg("--state")
                .arg(lab.directory().join("real1.json"));
        }
        output(&mut command).expect("weir runs")
    }

    /// As [`weir`](Self::weir); what it says.
    fn done(&self, line: &str) -> String {
        let said = self.weir(line);
        let (out, err) = (text(&said.stdout), text(&said.stderr));
        assert!(said.status.success(), "weir realserver {line}: {out}{err}");
        out
    }

    /// Everything that `prepare` may change.
    fn snapshot(&self) -> String {
        let settings = "find /proc/sys/net/ipv4/conf /proc/sys/net/ipv6/conf -type f -readable -not -name stable_secret";
        let files = self.server().run(settings).expect("settings");
        let files: Vec<&str> = files.lines().collect();
        let line = format!("grep -H . {}", files.join(" "));
        let settings = self.server().run(&line).expect("settings");
        let addresses = self.server().ip("address show").expect("addresses");
        let routes = self.server().ip("route show table all").expect("routes");
        format!("{settings}{addresses}{routes}")
    }

    /// How many packets the real server has counted under that name.
    fn counted(&self, name: &str) -> u64 {
        let said = self.done("show");
        let mut rows = said
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>());
        let row = rows.find(|row| row.get(1) == Some(&name)).expect("a row");
        row[2].parse().expect("a number")
    }

    /// A client that sends so many bytes to the service and gets them back.
    fn talks(&self, family: Family, length: usize) -> Result<(), String> {
        let service = SocketAddr::new(family.virtual_address(), PORT);
        talk(&self.network.client, service, length)
    }

    /// Whether anybody on the real servers' link answers for the virtual address.
    fn neighbour_answers(&self, family: Family) -> bool {
        self.route(family, "dev servers");
        let vip = family.virtual_address();
        let director = self.director();
        // A real packet asks for the neighbour.
        let _ = director.run(&format!("ping -c 1 -W 1 {vip}"));
        let known = director
            .ip(&format!("neigh show {vip} dev servers"))
            .expect("neighbours");
        director.forget_neighbours().expect("no neighbours");
        known.contains("lladdr")
    }
}

fn host(family: Family) -> u8 {
    match family {
        Family::V4 => 32,
        Family::V6 => 128,
    }
}

fn both_vips() -> String {
    Family::BOTH
        .map(|family| family.virtual_address().to_string())
        .join(" ")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn direct_routing_is_answered_and_neighbours_are_not() {
    let site = Site::new();
    serve(site.server(), PORT);
    let before = site.snapshot();
    for family in Family::BOTH {
        site.route(family, &format!("via {}", site.address(family)));
        site.talks(family, 1)
            .expect_err("nobody has the virtual address");
    }
    let said = site.done(&format!("prepare --vip {} --interface eth0", both_vips()));
    assert!(
        said.contains("net.ipv4.conf.all.arp_ignore: 0 -> 1"),
        "{said}"
    );
    let again = site.done(&format!("prepare --vip {} --interface eth0", both_vips()));
    assert_eq!(again, "nothing to change: this host is prepared\n");
    site.done(&format!("check --vip {} --interface eth0", both_vips()));
    for family in Family::BOTH {
        site.talks(family, 300_000)
            .unwrap_or_else(|error| panic!("{family:?}: {error}"));
        assert!(!site.neighbour_answers(family), "{family:?}");
    }
    site.done("restore");
    assert_eq!(site.snapshot(), before);
    assert_eq!(
        site.done("restore"),
        "nothing to put back: nothing was prepared here\n"
    );
}

/// What `prepare` is for: without it an address on lo is answered for, by IPv4 alone.
#[test]
fn an_address_on_lo_is_answered_for_by_arp_and_not_by_ndp() {
    let site = Site::new();
    for family in Family::BOTH {
        let (vip, host) = (family.virtual_address(), host(family));
        site.server()
            .ip(&format!("address add {vip}/{host} dev lo"))
            .expect("an address");
        let answers = site.neighbour_answers(family);
        assert_eq!(answers, family == Family::V4, "{family:?}");
    }
}

#[test]
fn packets_are_taken_out_of_every_tunnel() {
    let site = Site::new();
    serve(site.server(), PORT);
    let before = site.snapshot();
    site.done(&format!(
        "prepare --vip {} --interface eth0 --method tun",
        both_vips()
    ));
    let asked = format!("check --vip {} --interface eth0 --method tun", both_vips());
    site.done(&asked);
    for outer in Family::BOTH {
        for tunnel in Tunnel::ALL {
            let director = Encapsulator::start(site.director(), tunnel, site.address(outer));
            for inner in Family::BOTH {
                let case = format!("{tunnel:?}, {inner:?} in {outer:?}");
                site.route(inner, &format!("dev {}", Encapsulator::DEVICE));
                let counted = site.counted(tunnel.counted_as());
                site.talks(inner, 300_000)
                    .unwrap_or_else(|error| panic!("{case}: {error}"));
                assert!(site.counted(tunnel.counted_as()) > counted, "{case}");
            }
            drop(director);
        }
    }
    for dropped in [
        "strange",
        "other-destination",
        "fragment",
        "congestion",
        "kernel-refused",
    ] {
        assert_eq!(site.counted(dropped), 0, "{dropped}");
    }
    site.done("restore");
    assert_eq!(site.snapshot(), before);
    let _director = Encapsulator::start(site.director(), Tunnel::Ipip, site.address(Family::V4));
    site.route(Family::V4, &format!("dev {}", Encapsulator::DEVICE));
    site.talks(Family::V4, 1)
        .expect_err("nobody opens the tunnel");
}

/// What fits the clients' link does not fit the real servers' any more when it is wrapped.
#[test]
fn fragments_of_a_tunnel_are_put_together() {
    let site = Site::new();
    serve(site.server(), PORT);
    site.done(&format!(
        "prepare --vip {} --interface eth0 --method tun",
        both_vips()
    ));
    for outer in Family::BOTH {
        for tunnel in Tunnel::ALL {
            let to = site.address(outer);
            let _director = Encapsulator::start_with_mtu(site.director(), tunnel, to, 1500);
            for inner in Family::BOTH {
                let case = format!("{tunnel:?}, {inner:?} in {outer:?}");
                site.route(inner, &format!("dev {}", Encapsulator::DEVICE));
                let held = site.counted("fragment-held");
                site.talks(inner, 300_000)
                    .unwrap_or_else(|error| panic!("{case}: {error}"));
                assert!(site.counted("fragment-held") > held + 100, "{case}");
            }
        }
    }
    assert_eq!(site.counted("fragment"), 0);
    assert_eq!(site.counted("kernel-refused"), 0);
}

/// Packets come by one interface, and the way back leads out of another.
#[test]
fn a_strict_reverse_path_filter_is_relaxed() {
    let site = Site::new();
    serve(site.server(), PORT);
    let client = &site.network.client;
    client
        .connect("eth1", site.server(), "eth1")
        .expect("a cable");
    client
        .ip("address add 172.16.0.1/24 dev eth1")
        .expect("an address");
    client
        .sysctl("net/ipv4/conf/all/rp_filter", "0")
        .expect("a setting");
    client
        .sysctl("net/ipv4/conf/eth1/rp_filter", "0")
        .expect("a setting");
    let server = site.server();
    server
        .ip("address add 172.16.0.2/24 dev eth1")
        .expect("an address");
    server
        .ip("route replace default via 172.16.0.1")
        .expect("a route");
    server
        .sysctl("net/ipv4/conf/all/rp_filter", "1")
        .expect("a setting");
    let family = Family::V4;
    let vip = family.virtual_address();
    site.route(family, &format!("via {}", site.address(family)));
    let said = site.done(&format!("prepare --vip {vip} --interface eth0"));
    assert!(
        said.contains("net.ipv4.conf.eth0.rp_filter: 0 -> 2"),
        "{said}"
    );
    let asked = format!("check --vip {vip} --interface eth0");
    site.done(&asked);
    site.talks(family, 1000)
        .expect("an answer by the other way");
    server
        .sysctl("net/ipv4/conf/eth0/rp_filter", "0")
        .expect("a setting");
    site.talks(family, 1000).expect_err("packets are dropped");
    let said = text(&site.weir(&asked).stdout);
    assert!(said.starts_with("WRONG rp-filter-strict"), "{said}");
}

/// What is inside must be for a virtual address, whatever else this host has.
#[test]
fn a_tunnel_to_another_address_is_not_opened() {
    let site = Site::new();
    serve(site.server(), PORT);
    site.done(&format!(
        "prepare --vip {} --interface eth0 --method tun",
        Family::V6.virtual_address()
    ));
    site.server()
        .ip(&format!(
            "address add {}/32 dev lo",
            Family::V4.virtual_address()
        ))
        .expect("an address");
    let _director = Encapsulator::start(site.director(), Tunnel::Ipip, site.address(Family::V4));
    site.route(Family::V4, &format!("dev {}", Encapsulator::DEVICE));
    site.talks(Family::V4, 1).expect_err("it was not prepared");
    assert!(site.counted("other-destination") > 0);
    assert_eq!(site.counted("ipip"), 0);
}

#[test]
fn what_was_set_up_by_hand_is_checked() {
    let site = Site::new();
    let vip = Family::V4.virtual_address();
    let vip6 = Family::V6.virtual_address();
    let gateway = Family::V4.gateway();
    // What is done to the real server, what is asked of it, and what must be found.
    let rows = [
        (
            "",
            format!("--vip {vip}"),
            "vip-missing arp-answered arp-announced",
        ),
        ("", format!("--method nat --director {gateway}"), ""),
        (
            "",
            "--method nat --director 10.0.0.77".to_owned(),
            "default-route-elsewhere",
        ),
        (
            "ip address add 192.0.2.10/24 dev eth0",
            format!("--vip {vip}"),
            "vip-prefix vip-on-link arp-answered arp-announced",
        ),
        ("ip address del 192.0.2.10/24 dev eth0", String::new(), ""),
        ("ip address add 192.0.2.10/32 dev lo", String::new(), ""),
        (
            "sysctl -w net.ipv4.conf.eth0.arp_announce=2",
            format!("--vip {vip}"),
            "arp-answered",
        ),
        (
            "sysctl -w net.ipv4.conf.all.arp_ignore=1",
            format!("--vip {vip}"),
            "",
        ),
        (
            "",
            format!("--vip {vip} --director {gateway}"),
            "way-back-by-director",
        ),
        ("", format!("--vip {vip} --method tun"), "no-decapsulation"),
        (
            "ip link set eth0 mtu 1280",
            format!("--vip {vip6} --method tun"),
            "vip-missing no-decapsulation mtu-too-small",
        ),
        ("ip link set eth0 mtu 1500", String::new(), ""),
        (
            "ip -6 address add 2001:db8:1::10/128 dev lo",
            format!("--vip {vip6}"),
            "",
        ),
        (
            "ip neigh add proxy 2001:db8:1::10 dev eth0",
            format!("--vip {vip6}"),
            "vip-proxied",
        ),
        (
            "ip route del default",
            format!("--method nat --director {gateway}"),
            "no-default-route",
        ),
    ];
    for (done, asked, expected) in rows {
        if !done.is_empty() {
            site.server().run(done).expect(done);
        }
        if asked.is_empty() {
            continue;
        }
        let said = site.weir(&format!("check {asked}"));
        let out = text(&said.stdout);
        let found: Vec<&str> = out
            .lines()
            .filter_map(|line| line.strip_prefix("WRONG ")?.split(':').next())
            .collect();
        assert_eq!(found.join(" "), expected, "after `{done}`, {asked}: {out}");
        assert_eq!(
            said.status.code(),
            Some(i32::from(!expected.is_empty())),
            "{asked}"
        );
        let json = text(&site.weir(&format!("check --json {asked}")).stdout);
        for code in found {
            assert!(json.contains(&format!("\"code\": \"{code}\"")), "{json}");
        }
    }
}

#[test]
fn what_cannot_be_prepared_changes_nothing() {
    let site = Site::new();
    let before = site.snapshot();
    let rows = [
        (
            "--vip 192.0.2.10 --interface eth7",
            "there is no interface \"eth7\"",
        ),
        (
            "--vip 192.0.2.10 --interface lo",
            "lo is no interface with neighbours",
        ),
        (
            "--vip 127.0.0.1 --interface eth0",
            "127.0.0.1 cannot be a virtual address",
        ),
        (
            "--vip 10.0.0.11 --interface eth0",
            "10.0.0.11 is an address of eth0",
        ),
        (
            "--vip 192.0.2.10 --interface eth0 --method tun --address 10.9.9.9",
            "tunnels cannot end at 10.9.9.9",
        ),
        (
            "--vip nonsense --interface eth0",
            "invalid value 'nonsense'",
        ),
        ("--interface eth0", "--vip"),
        (
            "--vip 192.0.2.10 --interface eth0 --gue-port 0",
            "invalid value '0'",
        ),
    ];
    for (line, expected) in rows {
        let said = site.weir(&format!("prepare {line}"));
        let error = text(&said.stderr);
        assert_eq!(said.status.code(), Some(2), "{line}: {error}");
        assert!(error.contains(expected), "{line}: {error}");
    }
    assert_eq!(site.snapshot(), before);
}

/// A setting that somebody else changes in between stays theirs.
#[test]
fn what_somebody_changed_since_is_left_alone() {
    let site = Site::new();
    site.done(&format!(
        "prepare --vip {} --interface eth0",
        Family::V4.virtual_address()
    ));
    site.server()
        .sysctl("net/ipv4/conf/all/arp_ignore", "8")
        .expect("a setting");
    let said = site.done("restore");
    assert!(
        said.contains("net.ipv4.conf.all.arp_ignore: left at 8"),
        "{said}"
    );
    let now = site
        .server()
        .run("cat /proc/sys/net/ipv4/conf/all/arp_ignore");
    assert_eq!(now.expect("a setting"), "8\n");
}
