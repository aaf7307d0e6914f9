//! Weights that follow, slow starts and passive outages.

use weir_config::model::health::{Passive, SlowStart, WeightPolicy, WeightSource};

use super::*;
use crate::passive::Totals;
use crate::verdict::WeightWord;

fn policy() -> WeightPolicy {
    WeightPolicy {
        source: None,
        least: 1,
        most: 256,
        smoothing: 100,
        tolerance: 0,
        slow_start: None,
        passive: None,
    }
}

fn totals(begun: u64, refused: u64) -> Totals {
    Totals {
        begun,
        refused,
        ..Totals::default()
    }
}

fn passive(wanted: &mut Wanted) {
    for server in &mut wanted.health.servers {
        server.weight = Some(WeightPolicy {
            passive: Some(Passive {
                share: 50,
                least: 10,
                window: Duration::from_secs(10),
                pause: Duration::from_secs(30),
            }),
            ..policy()
        });
    }
}

#[test]
fn a_dynamic_script_sets_the_weight_and_the_reason_is_told() {
    let mut scene = Scene::of(&watched(&[1]));
    scene.log();
    let probes = scene.next();
    scene.say(probes[&1], verdict(true).with_weight(WeightWord::Is(7)));
    assert_eq!(scene.in_force(), [(1, 7)]);
    assert_eq!(
        scene.log(),
        [
            "Changing weight from 1 to 7 for service [10.0.0.1]:tcp:80 of VS [192.0.2.10]:tcp:80: a check says 7"
        ]
    );
    // It keeps the last word while it fails, and says nothing new.
    scene.round(&[1]);
    assert_eq!(scene.in_force(), [(1, 7)]);
}

#[test]
fn weights_that_are_said_count_for_the_quorum() {
    let mut wanted = watched(&[5]);
    wanted.health.quorum.weight = 5;
    let mut scene = Scene::of(&wanted);
    let probes = scene.next();
    scene.say(
        probes[&1],
        verdict(true).with_weight(WeightWord::Percent(50)),
    );
    assert_eq!(scene.told().last().unwrap(), "VS [192.0.2.10]:tcp:80 DOWN");
}

#[test]
fn who_comes_back_begins_slowly_and_the_quorum_counts_it_whole() {
    let mut wanted = watched(&[100]);
    wanted.health.quorum.weight = 100;
    wanted.health.servers[0].weight = Some(WeightPolicy {
        slow_start: Some(SlowStart {
            duration: Duration::from_secs(20),
            from: 10,
        }),
        ..policy()
    });
    let mut scene = Scene::of(&wanted);
    assert_eq!(scene.in_force(), [(1, 100)]);
    scene.round(&[1]);
    scene.go_on(INTERVAL, &[]);
    assert_eq!(scene.in_force(), [(1, 10)]);
    assert_eq!(scene.told().last().unwrap(), "VS [192.0.2.10]:tcp:80 UP");
    scene.go_on(Duration::from_secs(10), &[]);
    assert_eq!(scene.in_force(), [(1, 55)]);
    scene.log();
    scene.go_on(Duration::from_secs(10), &[]);
    assert_eq!(scene.in_force(), [(1, 100)]);
    assert!(scene.log()[0].ends_with("configured, 59 % of it in slow start"));
    scene.out.changed.clear();
    scene.go_on(Duration::from_secs(60), &[]);
    assert!(scene.out.changed.is_empty());
}

#[test]
fn too_many_failed_connections_take_out_until_the_time_is_over() {
    let mut wanted = watched(&[1, 1]);
    passive(&mut wanted);
    wanted.health.servers[0].checks.clear();
    let mut scene = Scene::of(&wanted);
    scene.round(&[]);
    scene.log();
    let see = |scene: &mut Scene, number, totals| {
        let (now, out) = (scene.now, &mut scene.out);
        scene
            .fleet
            .observe(&key(), address(number), totals, now, out);
    };
    see(&mut scene, 1, totals(100, 0));
    scene.now += Duration::from_secs(1);
    see(&mut scene, 1, totals(110, 5));
    assert_eq!(scene.in_force(), [(2, 1)]);
    assert_eq!(
        scene.log(),
        [
            "Removing service [10.0.0.1]:tcp:80 from VS [192.0.2.10]:tcp:80: 5 of 10 connections failed"
        ]
    );
    scene.go_on(Duration::from_secs(29), &[]);
    assert_eq!(scene.in_force(), [(2, 1)]);
    scene.go_on(Duration::from_secs(2), &[]);
    assert_eq!(scene.in_force(), [(1, 1), (2, 1)]);
}

#[test]
fn a_check_that_passes_anew_ends_a_passive_outage() {
    let mut wanted = watched(&[1, 1]);
    passive(&mut wanted);
    let mut scene = Scene::of(&wanted);
    scene.round(&[]);
    let probes = scene.next();
    let (now, out) = (scene.now, &mut scene.out);
    scene
        .fleet
        .observe(&key(), address(1), totals(0, 0), now, out);
    scene.now += Duration::from_millis(10);
    let (now, out) = (scene.now, &mut scene.out);
    scene
        .fleet
        .observe(&key(), address(1), totals(10, 10), now, out);
    assert_eq!(scene.in_force(), [(2, 1)]);
    // This one was begun before.
    scene.say(probes[&1], verdict(true));
    scene.say(probes[&2], verdict(true));
    assert_eq!(scene.in_force(), [(2, 1)]);
    scene.round(&[]);
    assert_eq!(scene.in_force(), [(1, 1), (2, 1)]);
}

#[test]
fn the_last_one_that_the_quorum_needs_is_spared() {
    let mut wanted = watched(&[1]);
    passive(&mut wanted);
    let mut scene = Scene::of(&wanted);
    scene.round(&[]);
    scene.log();
    for begun in [0, 10, 20] {
        scene.now += Duration::from_secs(1);
        let (now, out) = (scene.now, &mut scene.out);
        scene
            .fleet
            .observe(&key(), address(1), totals(begun, begun), now, out);
    }
    assert_eq!(scene.in_force(), [(1, 1)]);
    // Told once.
    assert_eq!(scene.log().len(), 1);
}

#[test]
fn the_time_to_accept_lowers_the_weight() {
    let mut wanted = watched(&[10]);
    wanted.health.servers[0].weight = Some(WeightPolicy {
        source: Some(WeightSource::ConnectTime {
            target: Duration::from_millis(5),
        }),
        ..policy()
    });
    let mut scene = Scene::of(&wanted);
    for (accepted, milliseconds) in [(0, 0), (10, 100)] {
        let totals = Totals {
            begun: accepted,
            accepted,
            accept_time: Duration::from_millis(milliseconds),
            ..Totals::default()
        };
        let (now, out) = (scene.now, &mut scene.out);
        scene.fleet.observe(&key(), address(1), totals, now, out);
    }
    assert_eq!(scene.in_force(), [(1, 5)]);
}
