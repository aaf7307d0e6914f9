//! Any VRRP that can be configured.

use std::net::IpAddr;
use std::num::{NonZeroU8, NonZeroU32};
use std::path::PathBuf;
use std::time::Duration;

use weir_config::model::vrrp::*;
use weir_config::model::{
    InterfaceName, Prefix, Protocol, Script, ScriptUser, ServiceKey, SyncDaemon, SyncRole,
};

/// Numbers from a seed: proptest shrinks the seed, not the value, which is enough to see that what is written is read.
pub struct Dice(pub u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn is(&mut self) -> bool {
        self.roll(2) == 0
    }

    fn maybe<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.is().then(|| make(self))
    }

    fn some<T>(&mut self, most: u64, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.roll(most + 1)).map(|_| make(self)).collect()
    }

    fn byte(&mut self) -> u8 {
        self.roll(256) as u8
    }

    fn time(&mut self) -> Duration {
        Duration::from_micros(10_000 + self.roll(1 << 31))
    }

    fn v4(&mut self) -> IpAddr {
        IpAddr::from([10, self.byte(), self.byte(), 1 + self.roll(250) as u8])
    }

    fn ip(&mut self, v6: bool) -> IpAddr {
        match v6 {
            false => self.v4(),
            true => IpAddr::from([0xfd00, 0, 0, 0, 0, 0, self.byte().into(), 1]),
        }
    }

    fn prefix(&mut self, v6: bool) -> Prefix {
        let address = self.ip(v6);
        Prefix::new(address, if v6 { 128 } else { 32 }).expect("a host")
    }

    fn interface(&mut self) -> InterfaceName {
        InterfaceName::new(["eth0", "a\"b", "vrrp.51", "x"][self.roll(4) as usize]).expect("a name")
    }

    fn script(&mut self) -> Script {
        Script {
            command: vec!["/bin/t \"".to_owned(), "ä\\".to_owned()],
            user: self.maybe(|dice| ScriptUser {
                user: "nobody".to_owned(),
                group: dice.maybe(|_| "daemon".to_owned()),
            }),
        }
    }

    fn weighting(&mut self) -> Weighting {
        let reverse = self.is();
        match self.roll(3) {
            0 => Weighting::Fault { reverse },
            1 => Weighting::Add {
                weight: 1 + self.roll(253) as i16,
                reverse,
            },
            _ => Weighting::Add {
                weight: -1 - self.roll(253) as i16,
                reverse,
            },
        }
    }

    fn address(&mut self, v6: bool) -> VirtualAddress {
        let address = self.ip(v6);
        let prefix = [8, 24, if v6 { 128 } else { 32 }][self.roll(3) as usize];
        if self.is() {
            return VirtualAddress::new(address, prefix);
        }
        VirtualAddress {
            interface: self.maybe(Self::interface),
            broadcast: self.maybe(|dice| dice.ip(false)),
            scope: self.byte(),
            label: self.maybe(|_| "eth0:1".to_owned()),
            peer: self.maybe(|dice| (dice.v4(), dice.roll(33) as u8)),
            preferred: self.maybe(Self::time),
            flags: AddressFlags {
                home: self.is(),
                without_duplicate_detection: self.is(),
                manage_temporary: self.is(),
                without_prefix_route: self.is(),
                autojoin: self.is(),
            },
            untracked: self.is(),
            on_vmac: self.is(),
            ..VirtualAddress::new(address, prefix)
        }
    }

    fn route(&mut self) -> VirtualRoute {
        let v6 = self.is();
        VirtualRoute {
            destination: self.maybe(|dice| dice.prefix(v6)),
            v6,
            kind: [
                RouteKind::Unicast,
                RouteKind::Blackhole,
                RouteKind::Unreachable,
                RouteKind::Prohibit,
            ][self.roll(4) as usize],
            next_hops: self.some(2, |dice| NextHop {
                via: dice.maybe(|dice| dice.ip(v6)),
                interface: dice.maybe(Self::interface),
                weight: 1 + dice.roll(2) as u8,
                onlink: dice.is(),
            }),
            source: self.maybe(|dice| dice.ip(v6)),
            metric: self.maybe(|dice| dice.roll(1 << 31) as u32),
            table: self.maybe(|dice| dice.roll(1 << 31) as u32),
            scope: self.maybe(Self::byte),
            mtu: self.maybe(|_| 1400),
            advertised_segment: self.maybe(|_| 1360),
            untracked: self.is(),
        }
    }

    fn rule(&mut self) -> VirtualRule {
        let v6 = self.is();
        VirtualRule {
            from: self.maybe(|dice| dice.prefix(v6)),
            to: self.maybe(|dice| dice.prefix(v6)),
            v6,
            input: self.maybe(Self::interface),
            output: self.maybe(Self::interface),
            mark: self.maybe(|dice| (7, if dice.is() { u32::MAX } else { 0xff })),
            priority: self.maybe(|_| 100),
            table: self.roll(1 << 31) as u32,
            untracked: self.is(),
        }
    }

    fn tracking(&mut self, vrrp: &Vrrp) -> Tracking {
        Tracking {
            interfaces: self.some(2, |dice| TrackedInterface {
                interface: dice.interface(),
                weighting: dice.weighting(),
            }),
            scripts: vrrp
                .scripts
                .iter()
                .map(|it| TrackedScript {
                    name: it.name.clone(),
                    weighting: self.maybe(Self::weighting),
                })
                .collect(),
            files: vrrp
                .files
                .iter()
                .map(|it| TrackedFile {
                    name: it.name.clone(),
                    factor: self.maybe(|dice| dice.roll(9) as i32 - 4),
                    reverse: self.is(),
                })
                .collect(),
            processes: vrrp
                .processes
                .iter()
                .map(|it| TrackedProcess {
                    name: it.name.clone(),
                    weighting: self.maybe(Self::weighting),
                })
                .collect(),
            bfd: vrrp
                .bfd
                .iter()
                .map(|it| TrackedBfd {
                    name: it.name.clone(),
                    weighting: self.maybe(Self::weighting),
                })
                .collect(),
            services: self.some(2, |dice| {
                let key = match dice.is() {
                    true => ServiceKey::Address {
                        protocol: Protocol::Tcp,
                        address: (dice.v4(), 80).into(),
                    },
                    false => ServiceKey::FirewallMark {
                        family: weir_config::model::Family::V6,
                        mark: 7,
                    },
                };
                (key, dice.weighting())
            }),
            addresses: self.some(2, |dice| TrackedAddress {
                address: dice.v4(),
                interface: dice.maybe(Self::interface),
            }),
            own_interface_ignored: self.is(),
        }
    }

    fn notify(&mut self) -> Notify {
        Notify {
            active: self.maybe(Self::script),
            backup: self.maybe(Self::script),
            fault: self.maybe(Self::script),
            stop: self.maybe(Self::script),
            deleted: self.maybe(Self::script),
            any: self.maybe(Self::script),
            lower_priority: self.maybe(Self::script),
            mail: self.is(),
        }
    }

    fn authentication(&mut self, version_2_of_v4: bool) -> Authentication {
        match self.roll(4) {
            0 => Authentication::None,
            1 if version_2_of_v4 => Authentication::Password(*b"p\"\\\0\0\0\0\0"),
            2 if version_2_of_v4 => Authentication::Header(*b"12345678"),
            _ => Authentication::Hmac {
                keys: vec![
                    HmacKey {
                        id: 1,
                        secret: vec![self.byte(); 32],
                        file: None,
                    },
                    HmacKey {
                        id: 7,
                        secret: Vec::new(),
                        file: Some(PathBuf::from("/etc/k\"")),
                    },
                ],
                active: [1, 7][self.roll(2) as usize],
                replay: [
                    ReplayProtection::None,
                    ReplayProtection::Monotonic,
                    ReplayProtection::Time {
                        window: Duration::from_secs(5),
                    },
                    ReplayProtection::Time {
                        window: Duration::from_secs(99),
                    },
                ][self.roll(4) as usize],
                mode: [
                    HmacMode::Enforce,
                    HmacMode::Permissive,
                    HmacMode::ReceiveOnly,
                ][self.roll(3) as usize],
            },
        }
    }

    fn instance(&mut self, at: u8, vrrp: &Vrrp) -> Instance {
        let v6 = self.is();
        let version = if !v6 && self.is() {
            Version::V2
        } else {
            Version::V3
        };
        let interval = match version {
            Version::V2 => Duration::from_secs(1 + self.roll(255)),
            Version::V3 => Duration::from_millis(10 * (1 + self.roll(4095))),
        };
        let peers = match self.is() {
            true => Peers::Multicast {
                group: self.maybe(|_| match v6 {
                    false => IpAddr::from([224, 0, 0, 9]),
                    true => IpAddr::from([0xff02, 0, 0, 0, 0, 0, 0, 9]),
                }),
            },
            false => Peers::Unicast {
                peers: self.some(3, |dice| Peer {
                    address: dice.ip(v6),
                    least_time_to_live: dice.byte(),
                    most_time_to_live: dice.byte(),
                }),
                time_to_live: self.byte().max(1),
                check_source: self.is(),
                fault_without: self.is(),
            },
        };
        let wish = if self.is() {
            StateWish::Active
        } else {
            StateWish::Backup
        };
        let preemption = match (wish, self.roll(3)) {
            (StateWish::Backup, 0) => Preemption::Never,
            (_, 1) => Preemption::After(self.time()),
            (_, _) => Preemption::default(),
        };
        let mut instance = Instance {
            name: format!("instance \"{at}\""),
            interface: self.interface(),
            kind: match self.is() {
                true => InterfaceKind::Plain,
                false => InterfaceKind::VirtualMac {
                    name: self.maybe(Self::interface),
                    link_address: self.maybe(|dice| [dice.byte(), 1, 2, 3, 4, 255]),
                    transmit_by_base: self.is(),
                },
            },
            router_id: VirtualRouterId::new(at + 1).expect("a number"),
            version,
            v6,
            priority: Priority::new(self.byte().max(1)).expect("a priority"),
            interval,
            missed: NonZeroU8::new(self.byte().max(1)).expect("a number"),
            wish,
            preemption,
            source: self.maybe(|dice| dice.ip(v6)),
            track_source: self.is(),
            peers,
            authentication: self.authentication(version == Version::V2),
            acceptance: if self.is() {
                Acceptance::Accept
            } else {
                Acceptance::Refuse
            },
            addresses: self.some(2, |dice| dice.address(v6)),
            excluded_addresses: self.some(2, |dice| {
                let v6 = dice.is();
                dice.address(v6)
            }),
            routes: self.some(2, Self::route),
            rules: self.some(2, Self::rule),
            tracking: self.tracking(vrrp),
            announcements: Announcements {
                repeat: self.byte().into(),
                delay: self.time(),
                lower_repeat: self.byte().into(),
                lower_delay: self.time(),
                refresh: self.maybe(Self::time),
                refresh_repeat: self.byte().into(),
            },
            promote_secondaries: self.is(),
            notify: self.notify(),
            any_addresses: self.is(),
            lower_priority_silent: self.is(),
            higher_priority_answered: self.is(),
            owner_ignores_others: self.is(),
            checksum_as_version_2: self.is(),
            unicast_checksum: [
                UnicastChecksum::AsHeard,
                UnicastChecksum::Right,
                UnicastChecksum::Old,
            ][self.roll(3) as usize],
            strict: self.is(),
        };
        for violation in instance.violations() {
            let cannot = matches!(violation, Violation::NoAddresses | Violation::Unicast);
            instance.strict &= !cannot;
        }
        if instance.strict {
            for violation in instance.violations() {
                instance.give_up(violation);
            }
        }
        instance
    }

    pub fn vrrp(&mut self) -> Vrrp {
        let mut vrrp = Vrrp {
            startup_delay: self.time(),
            delay_after_boot: self.time(),
            announcement_interval: self.time(),
            realtime_priority: self.roll(100) as u8,
            static_addresses: self.some(2, |dice| dice.address(true)),
            static_routes: self.some(2, Self::route),
            static_rules: self.some(2, Self::rule),
            sync_daemon: self.maybe(|dice| FollowingSync {
                daemon: SyncDaemon {
                    role: SyncRole::ALL[dice.roll(2) as usize],
                    sync_id: dice.byte(),
                    interface: "eth\"1".to_owned(),
                    max_length: dice.maybe(|_| 1400),
                    group: dice.maybe(Self::v4),
                    port: dice.maybe(|_| 8848),
                    ttl: dice.maybe(|_| 3),
                },
                instance: None,
                beside: dice.maybe(|dice| SyncRole::ALL[dice.roll(2) as usize]),
            }),
            ..Vrrp::default()
        };
        vrrp.scripts = self.some(1, |dice| VrrpScript {
            name: "script".to_owned(),
            script: dice.script(),
            interval: dice.time(),
            timeout: dice.time(),
            rise: NonZeroU32::new(1 + dice.roll(9) as u32).expect("1 or more"),
            fall: NonZeroU32::new(1 + dice.roll(9) as u32).expect("1 or more"),
            fails_first: dice.is(),
            weighting: dice.weighting(),
        });
        vrrp.files = self.some(1, |dice| VrrpFile {
            name: "file".to_owned(),
            path: PathBuf::from("/run/\"ä"),
            factor: dice.roll(9) as i32 - 4,
            reverse: dice.is(),
            initial: dice.maybe(|dice| (-3, dice.is())),
        });
        vrrp.processes = self.some(1, |dice| VrrpProcess {
            name: "process".to_owned(),
            program: "named".to_owned(),
            arguments: dice.maybe(|dice| dice.some(2, |_| "-x \"".to_owned())),
            least: dice.byte().into(),
            most: dice.maybe(|dice| dice.byte().into()),
            delay_down: dice.time(),
            delay_up: dice.time(),
            weighting: dice.weighting(),
        });
        vrrp.bfd = self.some(1, |dice| BfdInstance {
            name: "session".to_owned(),
            neighbour: dice.v4(),
            source: dice.maybe(Self::v4),
            least_receive: Duration::from_millis(1 + dice.roll(1000)),
            least_send: Duration::from_millis(1 + dice.roll(1000)),
            idle_send: Duration::from_millis(1 + dice.roll(1000)),
            multiplier: NonZeroU8::new(dice.byte().max(1)).expect("1 or more"),
            passive: dice.is(),
            time_to_live: dice.byte().max(1),
            most_hops: dice.byte(),
            multihop: dice.is(),
            weighting: dice.weighting(),
        });
        let count = self.roll(4) as u8;
        vrrp.instances = (0..count).map(|at| self.instance(at, &vrrp)).collect();
        if let (Some(sync), Some(first)) = (&mut vrrp.sync_daemon, vrrp.instances.first()) {
            sync.instance = self.maybe(|_| first.name.clone());
        }
        if count > 1 && self.is() {
            vrrp.groups = vec![SyncGroup {
                name: "group".to_owned(),
                members: vrrp.instances.iter().map(|it| it.name.clone()).collect(),
                tracking: self.tracking(&vrrp),
                weights_count: self.is(),
                notify: self.notify(),
            }];
        }
        vrrp
    }
}
