//! What routers do, by name, with the section that asks for it.

mod network;

use std::num::{NonZeroU8, NonZeroU32};
use std::time::Duration;

use network::Link;
use network::configuration::{instance, interface, of_one, virtual_address, with_priority};
use weir_config::model::vrrp::*;
use weir_config::model::{Protocol, Script, ServiceKey};
use weir_vrrp::view::{Fault, Reason};
use weir_vrrp::{Action, Event, Notice, State, Subject};

const SECOND: Duration = Duration::from_secs(1);

fn of_priority(priority: u8) -> Vrrp {
    of_one(with_priority(instance("v", 51), priority))
}

fn changed(priority: u8, change: impl Fn(&mut Instance)) -> Vrrp {
    let mut one = with_priority(instance("v", 51), priority);
    change(&mut one);
    of_one(one)
}

/// A high and a low one that have settled.
fn settled(high: &Vrrp, low: &Vrrp) -> (Link, usize, usize) {
    let mut link = Link::new(1);
    let high = link.add(high, &["192.0.2.2"]);
    link.run(SECOND * 5, |_| {});
    let low = link.add(low, &["192.0.2.1"]);
    link.run(SECOND * 5, |_| {});
    assert_eq!(link.active("v"), [high]);
    link.stations[high].log.clear();
    link.stations[low].log.clear();
    (link, high, low)
}

/// How long after the death of the high one the low one takes over.
fn takeover(high: &Vrrp, low: &Vrrp) -> Duration {
    let (mut link, high, low) = settled(high, low);
    link.kill(high);
    let died = link.view(low, "v").last_received.expect("heard");
    let mut since = None;
    link.run(SECOND * 10, |link| {
        if since.is_none() && link.state(low, "v") == State::Active {
            since = Some(link.now);
        }
    });
    since.expect("it took over") - died
}

fn announcements(link: &Link, at: usize) -> Vec<(Duration, u16)> {
    let mut rounds = Vec::new();
    for (when, action) in &link.stations[at].log {
        if let Action::Announce { rounds: count, .. } = action {
            rounds.push((*when, *count));
        }
    }
    rounds
}

fn sent(link: &Link, at: usize) -> Vec<u8> {
    let mut priorities = Vec::new();
    for (_, action) in &link.stations[at].log {
        if let Action::Send(datagram) = action {
            priorities.push(datagram.bytes[22]);
        }
    }
    priorities
}

fn why(link: &Link, at: usize) -> Reason {
    link.view(at, "v").transitions[0].why.clone()
}

/// RFC 9568, 6.4.2.
#[test]
fn the_higher_priority_becomes_active() {
    let mut link = Link::new(1);
    let low = link.add(&of_priority(100), &["192.0.2.1"]);
    let high = link.add(&of_priority(200), &["192.0.2.2"]);
    link.run(SECOND * 4, |_| {});
    assert_eq!(link.state(high, "v"), State::Active);
    assert_eq!(link.state(low, "v"), State::Backup);
    assert_eq!(link.active("v"), [high]);
}

/// RFC 9568, 6.1: three intervals and (256 - priority) / 256 of the Active router's interval.
#[test]
fn version_3_waits_three_intervals_and_its_skew_of_the_heard_interval() {
    let low = changed(100, |one| one.interval = SECOND * 2);
    let high = changed(200, |one| one.interval = SECOND / 2);
    let heard = SECOND / 2;
    let expected = heard * 3 + heard * 156 / 256;
    let took = takeover(&high, &low);
    assert!(
        took >= expected && took < expected + SECOND / 1000,
        "{took:?}"
    );
}

/// RFC 3768, 6.1: three intervals and (256 - priority) / 256 of a second.
#[test]
fn version_2_waits_three_intervals_and_its_skew_of_a_second() {
    let version_2 = |priority| {
        changed(priority, |one| {
            one.version = Version::V2;
            one.interval = SECOND * 2;
        })
    };
    let mut link = Link::new(1);
    let high = link.add(&version_2(200), &["192.0.2.2"]);
    let low = link.add(&version_2(100), &["192.0.2.1"]);
    link.run(SECOND * 20, |_| {});
    link.kill(high);
    let view = link.view(low, "v");
    let expected = SECOND * 6 + SECOND * 156 / 256;
    assert_eq!(view.master_down_interval, expected);
    assert_eq!(
        view.deadline,
        view.last_received.map(|heard| heard + expected)
    );
}

#[test]
fn fewer_advertisements_may_be_missed() {
    let low = changed(100, |one| one.missed = NonZeroU8::MIN);
    let took = takeover(&of_priority(200), &low);
    let expected = SECOND + SECOND * 156 / 256;
    assert!(
        took >= expected && took < expected + SECOND / 1000,
        "{took:?}"
    );
}

/// RFC 9568, 6.4.3: a stop is told by priority 0, and 6.4.2: who hears it waits for its skew only.
#[test]
fn a_stop_hands_over_after_the_skew() {
    let (mut link, high, low) = settled(&of_priority(200), &of_priority(100));
    link.tell(high, &Event::Stop);
    assert_eq!(sent(&link, high), [0]);
    assert_eq!(link.active("v"), [] as [usize; 0]);
    let stopped = link.now;
    let mut since = None;
    link.run(SECOND * 2, |link| {
        if since.is_none() && link.state(low, "v") == State::Active {
            since = Some(link.now);
        }
    });
    let took = since.expect("it took over") - stopped;
    let skew = SECOND * 156 / 256;
    assert!(took >= skew && took < skew + SECOND / 100, "{took:?}");
    let by = "192.0.2.2".parse().expect("one");
    assert_eq!(why(&link, low), Reason::HandedOver { by });
    let view = link.view(low, "v");
    assert_eq!(view.counters.pri_zero_rcvd, 1);
    assert_eq!(link.view(high, "v").counters.pri_zero_sent, 1);
    assert!(link.notices(high).contains(&Notice::Stop {
        who: Subject::Instance("v".into()),
        priority: 200,
    }));
}

/// RFC 9568, 6.4.2: Preempt_Mode.
#[test]
fn a_higher_priority_takes_over_when_it_comes() {
    let mut link = Link::new(1);
    let low = link.add(&of_priority(100), &["192.0.2.1"]);
    link.run(SECOND * 5, |_| {});
    let high = link.add(&of_priority(200), &["192.0.2.2"]);
    link.run(SECOND * 5, |_| {});
    assert_eq!(link.active("v"), [high]);
    assert!(matches!(
        why(&link, high),
        Reason::Preempted {
            theirs: 100,
            ours: 200,
            ..
        }
    ));
    assert!(matches!(
        why(&link, low),
        Reason::HigherPriority {
            theirs: 200,
            ours: 100,
            ..
        }
    ));
}

#[test]
fn without_preemption_who_is_active_stays() {
    let mut link = Link::new(1);
    let low = link.add(&of_priority(100), &["192.0.2.1"]);
    link.run(SECOND * 5, |_| {});
    let high = changed(200, |one| one.preemption = Preemption::Never);
    let high = link.add(&high, &["192.0.2.2"]);
    link.run(SECOND * 60, |_| {});
    assert_eq!(link.active("v"), [low]);
    link.kill(low);
    link.run(SECOND * 5, |_| {});
    assert_eq!(link.active("v"), [high]);
}

/// keepalived's preempt_delay: from the first lower priority that is heard.
#[test]
fn preemption_waits_for_its_delay() {
    let mut link = Link::new(1);
    let low = link.add(&of_priority(100), &["192.0.2.1"]);
    link.run(SECOND * 5, |_| {});
    let high = changed(200, |one| one.preemption = Preemption::After(SECOND * 20));
    let high = link.add(&high, &["192.0.2.2"]);
    link.run(SECOND * 20, |_| {});
    assert_eq!(link.active("v"), [low]);
    link.run(SECOND * 6, |_| {});
    assert_eq!(link.active("v"), [high]);
}

/// RFC 9568, 6.4.3: of equal priorities the higher address wins.
#[test]
fn the_higher_address_breaks_a_tie() {
    let mut link = Link::new(1);
    let low = link.add(&of_priority(100), &["192.0.2.1"]);
    let high = link.add(&of_priority(100), &["192.0.2.2"]);
    link.cut.insert((low, high));
    link.run(SECOND * 5, |_| {});
    assert_eq!(link.active("v"), [low, high]);
    link.cut.clear();
    link.run(SECOND * 2, |_| {});
    assert_eq!(link.active("v"), [high]);
    let by = "192.0.2.2".parse().expect("one");
    let ours = "192.0.2.1".parse().expect("one");
    assert_eq!(why(&link, low), Reason::HigherAddress { by, ours });
}

/// RFC 9568, 6.4.1: the owner is Active at once.
#[test]
fn the_owner_does_not_wait() {
    let mut link = Link::new(1);
    let owner = link.add(&of_priority(255), &["192.0.2.100"]);
    assert_eq!(link.active("v"), [owner]);
    assert_eq!(why(&link, owner), Reason::Owner);
}

/// keepalived: `state MASTER` waits for one advertisement, whether another is Active.
#[test]
fn who_wishes_to_be_active_waits_for_one_advertisement() {
    let mut link = Link::new(1);
    let wishing = link.add(
        &changed(100, |one| one.wish = StateWish::Active),
        &["192.0.2.1"],
    );
    assert_eq!(link.state(wishing, "v"), State::Backup);
    link.run(SECOND, |_| {});
    assert_eq!(link.state(wishing, "v"), State::Backup);
    link.run(SECOND / 100, |_| {});
    assert_eq!(link.state(wishing, "v"), State::Active);
}

/// keepalived's order: the advertisement first, then addresses, then who is told.
#[test]
fn it_becomes_active_in_order() {
    let mut link = Link::new(1);
    let one = link.add(&of_priority(100), &["192.0.2.1"]);
    link.stations[one].log.clear();
    link.run(SECOND * 4, |_| {});
    let mut order = Vec::new();
    for (_, action) in &link.stations[one].log {
        order.push(match action {
            Action::Send(_) => "send",
            Action::Take(_) => "take",
            Action::Release(_) => "release",
            Action::Announce { .. } => "announce",
            Action::AnnounceSource { .. } => "source",
            Action::Notify(_) => "notify",
            Action::Record { .. } => "record",
            Action::Complain { .. } => "complain",
            Action::Gone(_) => "gone",
        });
    }
    assert_eq!(order[..5], ["send", "take", "announce", "notify", "record"]);
}

/// keepalived's garp_master_*: five at once, five again after five seconds, then the refresh.
#[test]
fn addresses_are_announced_on_schedule() {
    let config = changed(255, |one| one.announcements.refresh = Some(SECOND * 10));
    let mut link = Link::new(1);
    let one = link.add(&config, &["192.0.2.100"]);
    let began = link.now;
    link.run(SECOND * 26, |_| {});
    let rounds = announcements(&link, one);
    let after: Vec<_> = rounds
        .iter()
        .map(|(when, rounds)| ((*when - began).as_secs(), *rounds))
        .collect();
    assert_eq!(after, [(0, 5), (5, 5), (15, 1), (25, 1)]);
}

/// keepalived's garp_lower_prio_*, and the answer that ends it.
#[test]
fn a_lower_priority_is_answered_and_announced_against() {
    let (mut link, high, low) = settled(&of_priority(200), &of_priority(100));
    link.cut.insert((high, low));
    link.run(SECOND * 5, |_| {});
    link.stations[high].log.clear();
    link.cut.clear();
    let mut both = Duration::ZERO;
    let began = link.now;
    link.run(SECOND * 8, |link| {
        if link.active("v").len() == 2 {
            both = link.now - began;
        }
    });
    assert!(both <= SECOND, "{both:?}");
    assert_eq!(link.active("v"), [high]);
    let rounds = announcements(&link, high);
    assert_eq!(rounds.len() % 2, 0, "{rounds:?}");
}

#[test]
fn a_lower_priority_is_told_to_scripts() {
    let (mut link, high, low) = settled(&of_priority(200), &of_priority(100));
    link.cut.insert((high, low));
    link.run(SECOND * 5, |_| {});
    link.cut.clear();
    // Whoever advertises first: some seeds let the low one be heard.
    link.run(SECOND * 2, |_| {});
    let told = link
        .notices(high)
        .iter()
        .any(|notice| matches!(notice, Notice::LowerPriority { .. }));
    let heard = link.view(low, "v").counters.release_master == 1;
    assert!(told || heard);
}

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

#[test]
fn a_daemon_that_is_replaced_keeps_its_role() {
    let (mut link, high, low) = settled(&of_priority(200), &of_priority(100));
    link.run(SECOND / 3, |_| {});
    let config = of_priority(200);
    link.replace(high, &config, true);
    assert_eq!(link.state(high, "v"), State::Active);
    assert_eq!(why(&link, high), Reason::Adopted);
    link.run(SECOND * 10, |link| {
        assert_eq!(link.state(low, "v"), State::Backup)
    });
    // Who was away for longer asks again.
    let memories = link.stations[high]
        .router
        .memories(network::moment(link.now + SECOND * 4));
    assert!(memories[0].active);
    assert!(
        memories[0]
            .last_advertisement
            .is_some_and(|ago| ago > SECOND * 3)
    );
    link.kill(high);
    link.run(SECOND * 4, |_| {});
    link.stations[high].stopped = false;
    link.replace(high, &config, true);
    assert_eq!(link.state(high, "v"), State::Backup);
}

#[test]
fn a_startup_delay_is_waited_for() {
    let mut config = of_priority(255);
    config.startup_delay = SECOND * 7;
    let mut link = Link::new(1);
    let one = link.add(&config, &["192.0.2.100"]);
    link.run(SECOND * 6, |link| {
        assert_eq!(link.state(one, "v"), State::Initialize)
    });
    link.run(SECOND * 2, |_| {});
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

fn grouped(priority: u8) -> Vrrp {
    let mut inside = with_priority(instance("inside", 52), priority);
    inside.interface = interface("eth1");
    inside.addresses = vec![virtual_address("198.51.100.100")];
    Vrrp {
        instances: vec![with_priority(instance("v", 51), priority), inside],
        groups: vec![SyncGroup {
            name: "both".to_owned(),
            members: vec!["v".to_owned(), "inside".to_owned()],
            tracking: Tracking::default(),
            weights_count: false,
            notify: Notify::default(),
        }],
        ..Vrrp::default()
    }
}

/// keepalived's vrrp_sync_group: any Fault takes all along.
#[test]
fn a_group_fails_together_and_is_told_of() {
    let mut link = Link::new(1);
    let one = link.add(&grouped(255), &["192.0.2.100", "198.51.100.100"]);
    assert_eq!(link.state(one, "v"), State::Active);
    assert_eq!(link.state(one, "inside"), State::Active);
    link.tell(
        one,
        &Event::Interface {
            name: "eth1",
            up: false,
        },
    );
    assert_eq!(link.state(one, "v"), State::Fault);
    assert_eq!(link.state(one, "inside"), State::Fault);
    let group: weir_vrrp::Name = "both".into();
    let member: weir_vrrp::Name = "inside".into();
    assert_eq!(
        why(&link, one),
        Reason::Group {
            group: group.clone(),
            member: member.clone()
        }
    );
    assert_eq!(link.view(one, "v").faults, [Fault::Member(member)]);
    let groups = link.stations[one].router.groups();
    assert_eq!(groups[0].state, State::Fault);
    assert!(link.notices(one).contains(&Notice::State {
        who: Subject::Group(group),
        state: State::Fault,
        priority: 0,
    }));
}

/// A group becomes Active only when all members would, and all at once.
#[test]
fn a_group_waits_for_all_its_members() {
    let mut link = Link::new(1);
    let mut slow = grouped(100);
    slow.instances[1].interval = SECOND * 10;
    let one = link.add(&slow, &["192.0.2.1", "198.51.100.1"]);
    link.run(SECOND * 29, |link| {
        assert_eq!(link.state(one, "v"), State::Backup);
        assert_eq!(link.state(one, "inside"), State::Backup);
    });
    link.run(SECOND * 10, |_| {});
    assert_eq!(link.state(one, "v"), State::Active);
    assert_eq!(link.state(one, "inside"), State::Active);
}

#[test]
fn a_reload_keeps_what_is_the_same_and_hands_over_what_is_gone() {
    let mut two = of_priority(255);
    two.instances.push({
        let mut other = with_priority(instance("w", 52), 255);
        other.addresses = vec![virtual_address("192.0.2.101")];
        other
    });
    let mut link = Link::new(1);
    let one = link.add(&two, &["192.0.2.100"]);
    let since = link.view(one, "v").since;
    link.run(SECOND * 10, |_| {});
    link.stations[one].log.clear();
    let mut only = of_priority(255);
    only.instances[0]
        .addresses
        .push(virtual_address("192.0.2.102"));
    link.tell(one, &Event::Reload(&only));
    let view = link.view(one, "v");
    assert_eq!((view.state, view.since), (State::Active, since));
    assert_eq!(link.stations[one].router.state("w"), None);
    assert_eq!(link.stations[one].taken.len(), 1);
    assert!(
        link.stations[one]
            .log
            .iter()
            .any(|(_, action)| *action == Action::Gone("w".into()))
    );
    assert!(link.notices(one).contains(&Notice::Deleted {
        who: Subject::Instance("w".into()),
        priority: 255,
    }));
    // What is the same again does nothing.
    link.stations[one].log.clear();
    link.tell(one, &Event::Reload(&only));
    assert_eq!(link.stations[one].log, []);
}

/// Two owners: the one with the lower address gives way (RFC 9568, 6.4.3); where it does not, we do.
#[test]
fn of_two_owners_one_gives_way() {
    let mut link = Link::new(1);
    let low = link.add(&of_priority(255), &["192.0.2.1"]);
    let high = link.add(&of_priority(255), &["192.0.2.2"]);
    link.run(SECOND * 3, |_| {});
    assert_eq!(link.active("v"), [high]);
    assert_eq!(link.state(low, "v"), State::Backup);
    assert!(
        link.stations[low]
            .log
            .iter()
            .any(|(_, action)| matches!(action, Action::Complain { .. }))
    );
}

/// Other versions, numbers, families and passwords are no business of ours, and counted.
#[test]
fn strangers_do_not_count() {
    let mut link = Link::new(1);
    let ours = link.add(&of_priority(100), &["192.0.2.1"]);
    link.add(
        &of_one(with_priority(instance("v", 52), 200)),
        &["192.0.2.2"],
    );
    link.add(
        &changed(200, |one| one.version = Version::V2),
        &["192.0.2.3"],
    );
    let password = changed(200, |one| {
        one.authentication = Authentication::Password(*b"other\0\0\0");
        one.version = Version::V2;
    });
    link.add(&password, &["192.0.2.4"]);
    link.run(SECOND * 20, |_| {});
    assert_eq!(link.state(ours, "v"), State::Active);
    assert!(link.stations[ours].router.strangers() > 0);
    let counters = link.view(ours, "v").counters;
    assert!(counters.vers_err > 0);
    assert_eq!(counters.advert_rcvd, 0);
}

#[test]
fn instances_with_one_link_share_sockets() {
    let mut config = of_priority(100);
    config.instances.push(instance("w", 52));
    let mut secured = instance("x", 53);
    secured.version = Version::V2;
    secured.authentication = Authentication::Header(*b"secret\0\0");
    config.instances.push(secured);
    let mut virtual_link = instance("y", 54);
    virtual_link.kind = InterfaceKind::VirtualMac {
        name: None,
        link_address: None,
        transmit_by_base: false,
    };
    config.instances.push(virtual_link);
    let mut link = Link::new(1);
    let one = link.add_silent(&config, &["192.0.2.1"]);
    let sockets = link.stations[one].router.sockets();
    let shown: Vec<_> = sockets
        .iter()
        .map(|socket| (socket.interface.as_str(), socket.protocol))
        .collect();
    assert_eq!(shown, [("eth0", 112), ("eth0", 51), ("vrrp.54", 112)]);
}
