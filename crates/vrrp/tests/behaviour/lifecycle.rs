//! Daemons that begin, are replaced and reload, and what is about none of their instances.

use weir_config::model::vrrp::{Authentication, InterfaceKind, Version};
use weir_vrrp::view::Reason;
use weir_vrrp::{Action, Event, Notice, State, Subject};

use crate::network::configuration::{instance, of_one, virtual_address, with_priority};
use crate::network::{Link, moment};
use crate::support::{SECOND, changed, of_priority, settled, why};

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
        .memories(moment(link.now + SECOND * 4));
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
