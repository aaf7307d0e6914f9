//! The VRRP router beside keepalived, on one link of namespaces. Needs root, `ip` and `keepalived`.

mod link;

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
