//! Links of two that have settled, and what was done on them.

use std::time::Duration;

use weir_config::model::vrrp::{Instance, Vrrp};
use weir_vrrp::view::Reason;
use weir_vrrp::{Action, State};

use crate::network::Link;
use crate::network::configuration::{instance, of_one, with_priority};

pub const SECOND: Duration = Duration::from_secs(1);

pub fn of_priority(priority: u8) -> Vrrp {
    of_one(with_priority(instance("v", 51), priority))
}

pub fn changed(priority: u8, change: impl Fn(&mut Instance)) -> Vrrp {
    let mut one = with_priority(instance("v", 51), priority);
    change(&mut one);
    of_one(one)
}

/// A high and a low one that have settled.
pub fn settled(high: &Vrrp, low: &Vrrp) -> (Link, usize, usize) {
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
pub fn takeover(high: &Vrrp, low: &Vrrp) -> Duration {
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

pub fn announcements(link: &Link, at: usize) -> Vec<(Duration, u16)> {
    let mut rounds = Vec::new();
    for (when, action) in &link.stations[at].log {
        if let Action::Announce { rounds: count, .. } = action {
            rounds.push((*when, *count));
        }
    }
    rounds
}

pub fn sent(link: &Link, at: usize) -> Vec<u8> {
    let mut priorities = Vec::new();
    for (_, action) in &link.stations[at].log {
        if let Action::Send(datagram) = action {
            priorities.push(datagram.bytes[22]);
        }
    }
    priorities
}

pub fn why(link: &Link, at: usize) -> Reason {
    link.view(at, "v").transitions[0].why.clone()
}
