//! What instances depend on.

use std::num::NonZeroU32;

use weir_config::model::vrrp::{
    TrackedAddress, TrackedFile, TrackedProcess, TrackedScript, Vrrp, VrrpFile, VrrpProcess,
    VrrpScript, Weighting,
};
use weir_config::model::{Protocol, Script, ServiceKey};
use weir_vrrp::view::{Fault, Reason};
use weir_vrrp::{Event, State};

use crate::network::Link;
use crate::network::configuration::{instance, interface, of_one};
use crate::support::{SECOND, changed, of_priority, settled, why};

/// RFC 9568, 6.4.2: interfaces that go down; keepalived: weight 0 is Fault.
#[test]
fn an_interface_that_goes_down_hands_over() {
    let (mut link, high, low) = settled(&of_priority(200), &of_priority(100));
    link.tell(
        high,
        &Event::Interface {
            name: "eth0",
            up: false,
        },
    );
    assert_eq!(link.state(high, "v"), State::Fault);
    assert_eq!(
        why(&link, high),
        Reason::Fault(Fault::Interface("eth0".to_owned()))
    );
    link.run(SECOND, |_| {});
    assert_eq!(link.active("v"), [low]);
    link.tell(
        high,
        &Event::Interface {
            name: "eth0",
            up: true,
        },
    );
    assert_eq!(link.state(high, "v"), State::Backup);
    link.run(SECOND * 5, |_| {});
    assert_eq!(link.active("v"), [high]);
}

#[test]
fn without_a_packet_path_nobody_is_active() {
    let mut link = Link::new(1);
    let one = link.add(&of_priority(255), &["192.0.2.100"]);
    link.tell(one, &Event::PathInPlace(false));
    assert_eq!(link.state(one, "v"), State::Fault);
    assert_eq!(link.view(one, "v").faults, [Fault::NoPath]);
    link.run(SECOND * 60, |_| {});
    assert_eq!(link.active("v"), [] as [usize; 0]);
    link.tell(one, &Event::PathInPlace(true));
    assert_eq!(link.state(one, "v"), State::Active);
}

fn script(weighting: Weighting) -> Vrrp {
    let mut config = changed(100, |one| {
        one.tracking.scripts.push(TrackedScript {
            name: "check".to_owned(),
            weighting: None,
        });
    });
    config.scripts.push(VrrpScript {
        name: "check".to_owned(),
        script: Script {
            command: vec!["/bin/true".to_owned()],
            user: None,
        },
        interval: SECOND,
        timeout: SECOND,
        rise: NonZeroU32::new(2).expect("2"),
        fall: NonZeroU32::new(3).expect("3"),
        fails_first: false,
        weighting,
    });
    config
}

fn run_script(link: &mut Link, at: usize, passed: bool) {
    let name = "check";
    link.tell(at, &Event::Script { name, passed });
}

/// keepalived: an instance waits for the first result of scripts that could put it into Fault; later ones count by rise
/// and fall.
#[test]
fn scripts_rise_and_fall() {
    let mut link = Link::new(1);
    let one = link.add(&script(Weighting::Fault { reverse: false }), &["192.0.2.1"]);
    link.run(SECOND * 10, |_| {});
    assert_eq!(link.state(one, "v"), State::Initialize);
    run_script(&mut link, one, true);
    assert_eq!(link.state(one, "v"), State::Backup);
    for passed in [false, false, true, false, false] {
        run_script(&mut link, one, passed);
        assert_eq!(link.state(one, "v"), State::Backup);
    }
    run_script(&mut link, one, false);
    assert_eq!(link.state(one, "v"), State::Fault);
    assert_eq!(
        link.view(one, "v").faults,
        [Fault::Script("check".to_owned())]
    );
    run_script(&mut link, one, true);
    assert_eq!(link.state(one, "v"), State::Fault);
    run_script(&mut link, one, true);
    assert_eq!(link.state(one, "v"), State::Backup);
}

/// keepalived: above 0 it is added while up, below 0 while down; reverse changes the sign. Between 1 and 254.
#[test]
fn weights_change_the_priority() {
    let add = |weight, reverse| Weighting::Add { weight, reverse };
    for (weighting, up, down) in [
        (add(20, false), 120, 100),
        (add(-20, false), 100, 80),
        (add(20, true), 80, 100),
        (add(-20, true), 100, 120),
        (add(253, false), 254, 100),
        (add(-253, false), 100, 1),
    ] {
        let mut link = Link::new(1);
        let one = link.add(&script(weighting), &["192.0.2.1"]);
        assert_eq!(link.state(one, "v"), State::Backup);
        assert_eq!(link.view(one, "v").priority, 100);
        run_script(&mut link, one, true);
        assert_eq!(link.view(one, "v").priority, up, "{weighting:?}");
        for _ in 0..3 {
            run_script(&mut link, one, false);
        }
        assert_eq!(link.view(one, "v").priority, down, "{weighting:?}");
        assert_eq!(link.view(one, "v").base_priority, 100);
    }
}

/// keepalived: the number times the factor; what is -254 or less, or not 0 with factor 0, is Fault.
#[test]
fn files_count_by_their_factor() {
    let rows = [
        (1, false, 50, 150, false),
        (-2, false, 30, 40, false),
        (1, true, 30, 70, false),
        (1, false, -254, 100, true),
        (0, false, 0, 100, false),
        (0, false, 1, 100, true),
        (0, true, 0, 100, true),
        (i32::MIN, false, i32::MIN, 254, false),
    ];
    for (factor, reverse, number, priority, fault) in rows {
        let mut config = changed(100, |one| {
            one.tracking.files.push(TrackedFile {
                name: "load".to_owned(),
                factor: None,
                reverse: false,
            });
        });
        config.files.push(VrrpFile {
            name: "load".to_owned(),
            path: "/run/load".into(),
            factor,
            reverse,
            initial: None,
        });
        let mut link = Link::new(1);
        let one = link.add_silent(&config, &["192.0.2.1"]);
        link.introduce(one);
        link.tell(
            one,
            &Event::File {
                name: "load",
                number,
            },
        );
        link.tell(one, &Event::Start);
        link.tell(one, &Event::Tick);
        let view = link.view(one, "v");
        assert_eq!(view.priority, priority, "{factor} {reverse} {number}");
        assert_eq!(
            view.state == State::Fault,
            fault,
            "{factor} {reverse} {number}"
        );
    }
}

#[test]
fn processes_count_when_they_have_held() {
    let mut config = changed(100, |one| {
        one.tracking.processes.push(TrackedProcess {
            name: "named".to_owned(),
            weighting: None,
        });
    });
    config.processes.push(VrrpProcess {
        name: "named".to_owned(),
        program: "named".to_owned(),
        arguments: None,
        least: 1,
        most: Some(2),
        delay_down: SECOND * 2,
        delay_up: SECOND,
        weighting: Weighting::Fault { reverse: false },
    });
    let mut link = Link::new(1);
    let one = link.add_silent(&config, &["192.0.2.1"]);
    link.introduce(one);
    let count = |link: &mut Link, count| {
        link.tell(
            one,
            &Event::Process {
                name: "named",
                count,
            },
        )
    };
    count(&mut link, 1);
    link.tell(one, &Event::Start);
    link.tell(one, &Event::Tick);
    assert_eq!(link.state(one, "v"), State::Backup);
    count(&mut link, 3);
    link.run(SECOND, |_| {});
    assert_eq!(link.state(one, "v"), State::Backup);
    count(&mut link, 2);
    link.run(SECOND * 2, |_| {});
    assert_eq!(link.state(one, "v"), State::Backup);
    count(&mut link, 0);
    link.run(SECOND * 21 / 10, |_| {});
    assert_eq!(link.state(one, "v"), State::Fault);
    count(&mut link, 1);
    link.run(SECOND * 11 / 10, |_| {});
    assert_eq!(link.state(one, "v"), State::Backup);
}

#[test]
fn sessions_and_quorums_are_tracked() {
    let service = ServiceKey::Address {
        protocol: Protocol::Tcp,
        address: "192.0.2.100:80".parse().expect("one"),
    };
    let config = changed(100, |one| {
        let fault = Weighting::Fault { reverse: false };
        one.tracking.services.push((service, fault));
    });
    let mut link = Link::new(1);
    let one = link.add(&config, &["192.0.2.1"]);
    assert_eq!(link.state(one, "v"), State::Fault);
    link.tell(one, &Event::Quorum { service, up: true });
    assert_eq!(link.state(one, "v"), State::Backup);
    link.tell(one, &Event::Quorum { service, up: false });
    assert_eq!(link.state(one, "v"), State::Fault);
}

/// keepalived's static addresses with a `track_group`.
#[test]
fn an_address_that_goes_is_a_fault() {
    let address: std::net::IpAddr = "192.0.2.77".parse().expect("an address");
    for place in [None, Some("eth1")] {
        let mut one = instance("v", 51);
        one.tracking.addresses.push(TrackedAddress {
            address,
            interface: place.map(interface),
        });
        let mut link = Link::new(1);
        let at = link.add(&of_one(one), &["192.0.2.1"]);
        link.run(SECOND * 5, |_| {});
        assert_eq!(link.view(at, "v").faults, [Fault::Address(address)]);
        let own: std::net::IpAddr = "192.0.2.1".parse().expect("an address");
        for (there, state) in [
            (&[address][..], State::Active),
            (&[][..], State::Fault),
            (&[own, address], State::Active),
        ] {
            link.tell(
                at,
                &Event::Addresses {
                    interface: "eth1",
                    addresses: there,
                },
            );
            link.run(SECOND * 5, |_| {});
            assert_eq!(link.state(at, "v"), state, "{place:?}: {there:?}");
        }
    }
}
