//! What routers do, by name, with the section that asks for it.

mod network;

use std::time::Duration;

use network::Link;
use network::configuration::{instance, of_one, with_priority};
use weir_vrrp::State;

const SECOND: Duration = Duration::from_secs(1);

/// RFC 9568, 6.4.2: the higher priority takes over first.
#[test]
fn the_higher_priority_becomes_active() {
    let mut link = Link::new(1);
    let low = link.add(
        &of_one(with_priority(instance("v", 51), 100)),
        &["192.0.2.1"],
    );
    let high = link.add(
        &of_one(with_priority(instance("v", 51), 200)),
        &["192.0.2.2"],
    );
    link.run(SECOND * 4, |_| {});
    assert_eq!(link.state(high, "v"), State::Active);
    assert_eq!(link.state(low, "v"), State::Backup);
    assert_eq!(link.active("v"), [high]);
}
