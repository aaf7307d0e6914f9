//! Reloads and new beginnings.

use super::*;

#[test]
fn a_reload_of_the_same_puts_nothing_out_and_keeps_all() {
    let wanted = watched(&[1, 2, 3]);
    let mut scene = Scene::of(&wanted);
    scene.go_on(INTERVAL * 5, &[2]);
    let probes = scene.fleet.deadline();
    let before = scene.fleet.view(scene.now);
    scene.out = Output::default();
    scene.configure(&wanted);
    assert!(scene.out.is_empty(), "{:?}", scene.out);
    assert_eq!(scene.fleet.deadline(), probes);
    assert_eq!(scene.fleet.view(scene.now), before);
}

#[test]
fn who_is_wanted_no_more_is_said_to_be_down() {
    let mut wanted = watched(&[1, 1, 1]);
    let mut scene = Scene::of(&wanted);
    scene.go_on(INTERVAL * 3, &[2]);
    scene.told();
    // One that is up, and one that is down already.
    for _ in 0..2 {
        wanted.health.servers.remove(0);
        wanted.servers.remove(0);
        scene.configure(&wanted);
    }
    let down = |number| format!("RS [10.0.0.{number}]:tcp:80 [192.0.2.10]:tcp:80 DOWN");
    assert_eq!(scene.told(), [down(1)]);
    scene
        .fleet
        .configure(&[], &Recall::NOTHING, scene.now, &mut scene.out);
    let last = "VS [192.0.2.10]:tcp:80 DOWN".to_owned();
    assert_eq!(scene.told(), [down(3), last]);
}

#[test]
fn who_is_checked_no_more_and_forwards_on_is_not_said_to_be_down() {
    let mut scene = Scene::of(&watched(&[1, 1]));
    scene.go_on(INTERVAL * 3, &[2]);
    scene.told();
    scene.fleet.let_go(&[], &|other| *other == key());
    scene
        .fleet
        .configure(&[], &Recall::NOTHING, scene.now, &mut scene.out);
    assert_eq!(scene.told(), [""; 0]);
    assert!(scene.fleet.effective(&key()).is_none());
}

#[test]
fn who_is_down_is_not_brought_back_by_a_reload_that_changes_its_checks() {
    let mut wanted = watched(&[1, 1]);
    let mut scene = Scene::of(&wanted);
    scene.go_on(INTERVAL * 3, &[1]);
    assert_eq!(scene.in_force(), [(2, 1)]);
    // Another target: another check.
    wanted.health.servers[0].checks[0].target = Some(address(200));
    wanted.health.servers[1].checks[0].target = Some(address(200));
    scene.configure(&wanted);
    assert_eq!(scene.in_force(), [(2, 1)]);
    scene.round(&[]);
    assert_eq!(scene.in_force(), [(1, 1), (2, 1)]);
}

#[test]
fn another_pace_keeps_the_state_and_hurries() {
    let mut wanted = watched(&[1]);
    wanted.health.servers[0].checks[0].pace.interval = INTERVAL * 100;
    let mut scene = Scene::of(&wanted);
    scene.round(&[1]);
    assert_eq!(scene.in_force(), []);
    wanted.health.servers[0].checks[0].pace.interval = INTERVAL;
    scene.configure(&wanted);
    assert_eq!(scene.in_force(), []);
    assert_eq!(
        scene.fleet.view(scene.now)[0].servers[0].reason,
        "tcp: connection refused"
    );
    let changed = scene.now;
    scene.round(&[]);
    assert_eq!(scene.now, changed + INTERVAL);
    assert_eq!(scene.in_force(), [(1, 1)]);
}

#[test]
fn a_real_server_that_loses_its_failing_check_is_up() {
    let mut wanted = watched(&[1, 1]);
    let mut scene = Scene::of(&wanted);
    scene.round(&[1]);
    wanted.health.servers[0].checks.clear();
    scene.configure(&wanted);
    assert_eq!(scene.in_force(), [(1, 1), (2, 1)]);
}

#[test]
fn real_servers_come_and_go_and_others_stay() {
    let mut wanted = watched(&[1, 1, 1]);
    let mut scene = Scene::of(&wanted);
    scene.go_on(INTERVAL, &[2]);
    wanted.servers.remove(0);
    // By hand: nothing is said of how it is watched.
    wanted.servers.push(WantedServer {
        server: server(77, 4),
        held: false,
    });
    scene.configure(&wanted);
    assert_eq!(scene.in_force(), [(3, 1), (77, 4)]);
    scene
        .fleet
        .configure(&[], &Recall::NOTHING, scene.now, &mut scene.out);
    assert!(scene.fleet.effective(&key()).is_none());
    // Timers of what is gone do no harm.
    scene.now += INTERVAL * 10;
    scene.fleet.tick(scene.now, &mut scene.out);
    assert!(scene.out.probes.is_empty());
    assert_eq!(scene.fleet.deadline(), None);
}

#[test]
fn another_weight_of_the_operator_is_in_force_at_once() {
    let mut wanted = watched(&[1]);
    let mut scene = Scene::of(&wanted);
    wanted.servers[0].server = server(1, 9);
    scene.configure(&wanted);
    assert_eq!(scene.in_force(), [(1, 9)]);
}

#[test]
fn a_daemon_that_begins_anew_knows_who_was_down() {
    let wanted = watched(&[1, 1]);
    let mut scene = Scene::of(&wanted);
    scene.go_on(INTERVAL * 3, &[1]);
    let remembered = scene.fleet.remember();

    let mut scene = Scene {
        fleet: Fleet::new(2),
        now: Duration::ZERO,
        out: Output::default(),
    };
    let recall = Recall {
        server: &|key, address| {
            let one = remembered.iter().find(|one| one.key == *key)?;
            let (_, up) = one.servers.iter().find(|(known, _)| *known == address)?;
            Some(*up)
        },
        quorum: &|key| {
            let one = remembered.iter().find(|one| one.key == *key)?;
            Some(one.quorum_up)
        },
    };
    scene.configure_recalling(&wanted, &recall);
    assert_eq!(scene.in_force(), [(2, 1)]);
    assert!(scene.out.events.is_empty() && scene.out.notices.is_empty());
    // What was known is no first result: a failure is retried.
    scene.round(&[2]);
    assert_eq!(scene.in_force(), [(1, 1), (2, 1)]);
}

#[test]
fn what_will_be_in_force_is_known_before_it_is() {
    let mut wanted = watched(&[1, 2]);
    wanted.health.servers[1].checks[0].pace.alpha = true;
    let preview = |fleet: &Fleet, wanted: &Wanted| {
        let wanted = WantedService {
            health: &wanted.health,
            servers: wanted.servers.clone(),
        };
        fleet.preview(&wanted, &Recall::NOTHING)
    };
    assert_eq!(preview(&Fleet::new(0), &wanted), [server(1, 1)]);
    let mut scene = Scene::of(&wanted);
    scene.round(&[]);
    scene.round(&[1]);
    scene.round(&[1]);
    assert_eq!(scene.in_force(), [(2, 2)]);
    // Another weight, one that is down, one that is new, one that is new and alpha.
    let mut next = watched(&[7, 7, 7, 7]);
    next.health.servers[3].checks[0].pace.alpha = true;
    let expected = [server(2, 7), server(3, 7)];
    assert_eq!(preview(&scene.fleet, &next), expected);
    scene.configure(&next);
    assert_eq!(scene.fleet.effective(&key()).unwrap(), expected);
}
