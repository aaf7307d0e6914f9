//! Who becomes Active, and when.

use std::num::NonZeroU8;

use weir_config::model::vrrp::{Preemption, StateWish, Version};
use weir_vrrp::view::Reason;
use weir_vrrp::{Action, Event, Notice, State, Subject};

use crate::network::Link;
use crate::support::{SECOND, changed, of_priority, sent, settled, takeover, why};

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

/// keepalived's `owner_ignore_adverts`, which `vrrp_strict` implies.
#[test]
fn an_owner_may_ignore_all_others() {
    let ignores = changed(255, |one| one.owner_ignores_others = true);
    let mut link = Link::new(1);
    let first = link.add(&ignores, &["192.0.2.1"]);
    link.run(SECOND, |_| {});
    let second = link.add(&of_priority(255), &["192.0.2.2"]);
    link.run(SECOND * 20, |_| {});
    assert_eq!(link.state(first, "v"), State::Active);
    assert_eq!(link.view(first, "v").counters.advert_rcvd, 0);
    // It listens, and the first one stays.
    assert_eq!(link.state(second, "v"), State::Backup);
}
