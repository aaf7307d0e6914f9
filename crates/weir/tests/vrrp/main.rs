//! The VRRP router beside keepalived, on one link of namespaces. Needs root, `ip` and `keepalived`.

mod bfd;
#[cfg(feature = "measuring")]
mod gap;
#[cfg(feature = "keepalived-hmac")]
mod hmac;
mod link;

use std::fs;
use std::net::IpAddr;
use std::time::Duration;

use config::model::vrrp::{Authentication, Peer, Peers, Priority, Version};
use link::{Link, Side};
use vrrp::State;
use weir_config as config;
use weir_vrrp as vrrp;

/// How one and the same virtual router is told to both.
#[derive(Clone, Copy, Debug)]
struct Kind {
    version: Version,
    v6: bool,
    unicast: bool,
    authentication: &'static str,
}

const KINDS: &[Kind] = &[
    kind(Version::V2, false, false, ""),
    kind(Version::V2, false, false, "PASS"),
    kind(Version::V2, false, false, "AH"),
    kind(Version::V2, false, true, "PASS"),
    kind(Version::V3, false, false, ""),
    kind(Version::V3, false, true, ""),
    kind(Version::V3, true, false, ""),
    kind(Version::V3, true, true, ""),
];

const fn kind(version: Version, v6: bool, unicast: bool, authentication: &'static str) -> Kind {
    Kind {
        version,
        v6,
        unicast,
        authentication,
    }
}

impl Kind {
    /// The shortest interval that both know.
    const fn interval(self) -> Duration {
        match self.version {
            Version::V2 => Duration::from_secs(1),
            Version::V3 => Duration::from_millis(100),
        }
    }

    fn instance(self, priority: u8) -> config::model::vrrp::Instance {
        let mut instance = link::instance(self.v6);
        instance.version = self.version;
        instance.interval = self.interval();
        instance.priority = Priority::new(priority).expect("not 0");
        instance.authentication = match self.authentication {
            "PASS" => Authentication::Password(*b"secret\0\0"),
            "AH" => Authentication::Header(*b"secret\0\0"),
            _ => Authentication::None,
        };
        if self.unicast {
            instance.source = Some(Side::Weir.address(self.v6));
            instance.peers = Peers::Unicast {
                peers: vec![Peer {
                    address: Side::Keepalived.address(self.v6),
                    // keepalived sends with the system's hop limit to peers of IPv6, and does not look.
                    least_time_to_live: 0,
                    most_time_to_live: 255,
                }],
                time_to_live: 255,
                check_source: true,
                fault_without: false,
            };
        }
        instance
    }

    fn keepalived(self, priority: u8) -> String {
        let version = match self.version {
            Version::V2 => 2,
            Version::V3 => 3,
        };
        let authentication = match self.authentication {
            "" => String::new(),
            kind => format!("authentication {{\n auth_type {kind}\n auth_pass secret\n }}\n"),
        };
        let unicast = if self.unicast {
            format!(
                "unicast_src_ip {}\n unicast_peer {{\n {}\n }}\n",
                Side::Keepalived.address(self.v6),
                Side::Weir.address(self.v6)
            )
        } else {
            String::new()
        };
        link::keepalived_conf(
            version,
            self.v6,
            priority,
            self.interval(),
            &format!("{authentication}{unicast}"),
        )
    }
}

#[test]
fn a_virtual_router_fails_over_both_ways_beside_keepalived() {
    for kind in KINDS {
        println!("{kind:?}");
        let link = Link::new();
        let vip: IpAddr = link::virtual_address(kind.v6);

        // Who is there first stays, being better.
        let mut keepalived = link.keepalived(&kind.keepalived(150));
        link.wait_for(Side::Keepalived, vip, true);
        let weir = link.weir(kind.instance(100));
        weir.wait_for(State::Backup);
        link.client_reaches(vip, Side::Keepalived);

        // It stops, and says so.
        keepalived.terminate().expect("it ends");
        weir.wait_for(State::Active);
        link.wait_for(Side::Weir, vip, true);
        link.client_reaches(vip, Side::Weir);

        // It comes back, and is better still.
        let mut keepalived = link.keepalived(&kind.keepalived(150));
        weir.wait_for(State::Backup);
        link.wait_for(Side::Weir, vip, false);
        link.client_reaches(vip, Side::Keepalived);

        // It is killed, and says nothing.
        keepalived.kill_all();
        link.take_from_dead(Side::Keepalived, vip);
        weir.wait_for(State::Active);
        link.client_reaches(vip, Side::Weir);
        weir.stop();
        link.wait_for(Side::Weir, vip, false);

        // The other way round: Weir is better, and hands over when it stops.
        let _keepalived = link.keepalived(&kind.keepalived(50));
        link.wait_for(Side::Keepalived, vip, true);
        let weir = link.weir(kind.instance(200));
        weir.wait_for(State::Active);
        link.wait_for(Side::Keepalived, vip, false);
        link.client_reaches(vip, Side::Weir);
        weir.stop();
        link.wait_for(Side::Weir, vip, false);
        link.wait_for(Side::Keepalived, vip, true);
        link.client_reaches(vip, Side::Keepalived);
    }
}

/// Version 3, with intervals that a busy machine keeps.
fn calm(priority: u8) -> config::model::vrrp::Instance {
    let mut instance = link::instance(false);
    instance.interval = Duration::from_secs(1);
    instance.priority = Priority::new(priority).expect("not 0");
    instance
}

fn calm_keepalived(priority: u8) -> String {
    link::keepalived_conf(3, false, priority, Duration::from_secs(1), "")
}

#[test]
fn a_daemon_that_is_replaced_keeps_its_role() {
    let link = Link::new();
    let vip = link::virtual_address(false);
    let weir = link.weir(calm(100));
    weir.wait_for(State::Active);
    let keepalived = link.keepalived(&calm_keepalived(50));
    keepalived.wait_to_say("(VI_1) Entering BACKUP STATE");
    weir.leave();
    assert!(link.has(Side::Weir, vip), "the address stays");
    let weir = link.weir(calm(100));
    weir.wait_for(State::Active);
    let why = weir.0.view().expect("it runs").instances[0].transitions[0]
        .why
        .clone();
    assert_eq!(why, vrrp::view::Reason::Adopted);
    assert!(!keepalived.said().contains("Entering MASTER STATE"));
    assert!(link.has(Side::Weir, vip));
}

#[test]
fn a_daemon_that_comes_back_too_late_gives_up_what_it_had() {
    let link = Link::new();
    let vip = link::virtual_address(false);
    let mut patient = calm(100);
    patient.preemption = config::model::vrrp::Preemption::Never;
    let weir = link.weir(patient.clone());
    weir.wait_for(State::Active);
    let _keepalived = link.keepalived(&calm_keepalived(50));
    weir.leave();
    link.wait_for(Side::Keepalived, vip, true);
    assert!(link.has(Side::Weir, vip), "nobody has taken it away yet");
    let weir = link.weir(patient);
    weir.wait_for(State::Backup);
    link.wait_for(Side::Weir, vip, false);
    link.client_reaches(vip, Side::Keepalived);
}

#[test]
fn without_its_packet_path_nobody_is_active_and_groups_go_together() {
    let link = Link::new();
    let vip = link::virtual_address(false);
    let mut other = calm(200);
    other.name = "VI_2".to_owned();
    other.router_id = config::model::vrrp::VirtualRouterId::new(52).expect("not 0");
    let second: IpAddr = "192.0.2.11".parse().expect("an address");
    other.addresses[0].address = second;
    let wanted = config::model::vrrp::Vrrp {
        instances: vec![calm(200), other],
        groups: vec![config::model::vrrp::SyncGroup {
            name: "VG".to_owned(),
            members: vec!["VI_1".to_owned(), "VI_2".to_owned()],
            tracking: config::model::vrrp::Tracking::default(),
            weights_count: false,
            notify: config::model::vrrp::Notify::default(),
        }],
        ..config::model::vrrp::Vrrp::default()
    };
    let weir = link.weir_with(wanted, config::model::Notifications::default());
    link.wait_for(Side::Weir, vip, true);
    link.wait_for(Side::Weir, second, true);
    let _keepalived = link.keepalived(&calm_keepalived(50));
    weir.0.path_in_place(false);
    weir.wait_for(State::Fault);
    link.wait_for(Side::Weir, vip, false);
    link.wait_for(Side::Weir, second, false);
    link.wait_for(Side::Keepalived, vip, true);
    weir.0.path_in_place(true);
    weir.wait_for(State::Active);
    link.wait_for(Side::Weir, second, true);
    link.wait_for(Side::Keepalived, vip, false);
}

#[test]
fn a_virtual_link_is_the_same_to_clients_whoever_has_it() {
    let link = Link::new();
    let vip = link::virtual_address(false);
    let virtual_mac = "00:00:5e:00:01:33";
    let mut wanted = calm(100);
    wanted.kind = config::model::vrrp::InterfaceKind::VirtualMac {
        name: None,
        link_address: None,
        transmit_by_base: false,
    };
    let weir = link.weir(wanted);
    weir.wait_for(State::Active);
    link.client_finds(vip, virtual_mac);
    let use_vmac = link::keepalived_conf(3, false, 150, Duration::from_secs(1), "use_vmac\n");
    let mut keepalived = link.keepalived(&use_vmac);
    weir.wait_for(State::Backup);
    link.client_finds(vip, virtual_mac);
    keepalived.terminate().expect("it ends");
    weir.wait_for(State::Active);
    link.client_finds(vip, virtual_mac);
}

#[test]
fn scripts_and_pipes_are_told_as_keepalived_tells_them() {
    let link = Link::new();
    let told = link.file("told");
    let script = |text: String| config::model::Script {
        command: vec!["sh".to_owned(), "-c".to_owned(), text, "sh".to_owned()],
        user: Some(config::model::ScriptUser {
            user: "root".to_owned(),
            group: None,
        }),
    };
    let mut wanted = calm(100);
    wanted.notify.active = Some(script(format!("echo master \"$*\" >>{}", told.display())));
    wanted.notify.any = Some(script(format!("echo any \"$*\" >>{}", told.display())));
    let wanted = config::model::vrrp::Vrrp {
        instances: vec![wanted],
        ..config::model::vrrp::Vrrp::default()
    };
    let notifications = config::model::Notifications {
        script_security: false,
        vrrp_fifo: Some(config::model::Fifo {
            path: link.file("fifo"),
            script: Some(script(format!(
                "exec cat \"$1\" >{}",
                link.file("lines").display()
            ))),
        }),
        ..config::model::Notifications::default()
    };
    let weir = link.weir_with(wanted, notifications);
    weir.wait_for(State::Active);
    weir.stop();
    let lines = |name: &str| -> Vec<String> {
        let text = fs::read_to_string(link.file(name)).unwrap_or_default();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        // Scripts run beside each other.
        lines.sort();
        lines
    };
    let all_told = weir_lab::until("all being told", link::LONG, || lines("told").len() == 4);
    all_told.expect("all are told");
    assert_eq!(
        lines("told"),
        [
            "any INSTANCE VI_1 BACKUP 100",
            "any INSTANCE VI_1 MASTER 100",
            "any INSTANCE VI_1 STOP 100",
            "master ",
        ]
    );
    assert_eq!(
        lines("lines"),
        [
            "INSTANCE \"VI_1\" BACKUP 100",
            "INSTANCE \"VI_1\" MASTER 100",
            "INSTANCE \"VI_1\" STOP 100",
        ]
    );
}
