//! What who is Active does, says and announces.

use std::time::Duration;

use weir_vrrp::{Action, Notice};

use crate::network::Link;
use crate::support::{SECOND, announcements, changed, of_priority, settled};

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
