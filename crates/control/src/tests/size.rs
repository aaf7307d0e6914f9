//! As many services and servers as the default tables are for: nothing takes the square of it.

use weir_config::model::Scheduler;

use super::*;
use crate::plan::plan;

#[test]
fn ten_thousand_services_and_a_thousand_servers_in_one() {
    let mut world = World::new(16_384, 65_536);
    let many = (0..10_000u32).map(|n| {
        let key = format!("tcp:192.0.{}.{}:80", n / 256, n % 256);
        let servers = (1..=4).map(|last| server(&format!("10.0.0.{last}:80"), last));
        (
            service(&key, Scheduler::WeightedLeastConnection),
            servers.collect(),
        )
    });
    let mut wanted: Vec<(Service, Vec<RealServer>)> = many.collect();
    let servers =
        (0..1000u32).map(|n| server(&format!("10.1.{}.{}:80", n / 250, n % 250 + 1), n % 7));
    wanted.push((
        service(DNS, Scheduler::WeightedRoundRobin),
        servers.collect(),
    ));
    let World {
        tables,
        director,
        now,
    } = &mut world;
    director.apply(tables, &plan(&[], &wanted), *now).unwrap();
    assert_eq!(director.configuration(tables), wanted);
    assert!(plan(&director.configuration(tables), &wanted).is_empty());
    director.estimate(tables).unwrap();
    assert_eq!(director.snapshot(tables).unwrap().services.len(), 10_001);
    *director = Director::adopt(tables, *now).unwrap();
    assert_eq!(director.configuration(tables), wanted);
    director.apply(tables, &plan(&wanted, &[]), *now).unwrap();
    assert!(director.configuration(tables).is_empty());
}
