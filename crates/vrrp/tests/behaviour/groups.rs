//! Instances that change together.

use weir_config::model::vrrp::{Notify, SyncGroup, Tracking, Vrrp};
use weir_vrrp::view::{Fault, Reason};
use weir_vrrp::{Event, Notice, State, Subject};

use crate::network::Link;
use crate::network::configuration::{instance, interface, virtual_address, with_priority};
use crate::support::{SECOND, why};

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
