//! What keepalived does, and what is ours, one behaviour each.

use weir_config::model::Script;
use weir_config::model::health::{Agent, CheckKind, PingCheck, Quorum, Sorry};

use super::*;
use crate::verdict::Wish;

#[test]
fn without_alpha_a_real_server_is_in_from_the_start_and_its_first_failure_takes_it_out() {
    let mut scene = Scene::of(&watched(&[1, 1]));
    assert_eq!(scene.in_force(), [(1, 1), (2, 1)]);
    assert_eq!(scene.told(), ["VS [192.0.2.10]:tcp:80 UP"]);
    scene.round(&[1]);
    assert_eq!(scene.in_force(), [(2, 1)]);
    assert_eq!(
        scene.told(),
        ["RS [10.0.0.1]:tcp:80 [192.0.2.10]:tcp:80 DOWN"]
    );
}

#[test]
fn later_failures_are_retried_and_one_success_brings_back() {
    let mut scene = Scene::of(&watched(&[1, 1]));
    scene.round(&[]);
    scene.log();
    scene.round(&[1]);
    assert_eq!(scene.in_force(), [(1, 1), (2, 1)]);
    // Its retry comes before the other's next check.
    assert_eq!(scene.fleet.deadline(), Some(scene.now + pace().retry_delay));
    scene.round(&[1]);
    assert_eq!(scene.in_force(), [(2, 1)]);
    assert_eq!(
        scene.log(),
        ["Removing service [10.0.0.1]:tcp:80 from VS [192.0.2.10]:tcp:80: tcp: connection refused"]
    );
    scene.go_on(INTERVAL, &[]);
    assert_eq!(scene.in_force(), [(1, 1), (2, 1)]);
    assert_eq!(
        scene.log(),
        ["Adding service [10.0.0.1]:tcp:80 to VS [192.0.2.10]:tcp:80"]
    );
}

#[test]
fn with_alpha_a_real_server_is_out_until_it_has_passed() {
    let mut wanted = watched(&[1]);
    wanted.health.servers[0].checks[0].pace.alpha = true;
    let mut scene = Scene::of(&wanted);
    assert_eq!(scene.in_force(), []);
    assert_eq!(scene.told(), Vec::<String>::new());
    scene.round(&[]);
    assert_eq!(scene.in_force(), [(1, 1)]);
    assert_eq!(
        scene.told(),
        [
            "RS [10.0.0.1]:tcp:80 [192.0.2.10]:tcp:80 UP",
            "VS [192.0.2.10]:tcp:80 UP"
        ]
    );
}

#[test]
fn with_alpha_a_real_server_that_fails_first_is_told_of_once() {
    let mut wanted = watched(&[1]);
    wanted.health.servers[0].checks[0].pace.alpha = true;
    let mut scene = Scene::of(&wanted);
    scene.go_on(INTERVAL * 3, &[1]);
    let down = "RS [10.0.0.1]:tcp:80 [192.0.2.10]:tcp:80 DOWN";
    assert_eq!(scene.told(), [down]);
    scene.go_on(INTERVAL, &[]);
    assert_eq!(scene.told().len(), 2);
}

#[test]
fn inhibited_a_real_server_that_is_down_stays_with_weight_0_from_the_start_on() {
    let mut wanted = watched(&[3]);
    wanted.health.servers[0].checks[0].pace.alpha = true;
    wanted.health.servers[0].inhibit = true;
    let mut scene = Scene::of(&wanted);
    assert_eq!(scene.in_force(), [(1, 0)]);
    scene.round(&[]);
    assert_eq!(scene.in_force(), [(1, 3)]);
    assert_eq!(
        scene.log()[0],
        "Enabling service [10.0.0.1]:tcp:80 to VS [192.0.2.10]:tcp:80"
    );
    scene.round(&[1]);
    scene.round(&[1]);
    assert_eq!(scene.in_force(), [(1, 0)]);
}

#[test]
fn all_checks_of_a_real_server_must_pass() {
    let mut wanted = watched(&[1]);
    wanted.health.servers[0]
        .checks
        .push(check(CheckKind::Ping(PingCheck {})));
    let mut scene = Scene::of(&wanted);
    scene.fleet.tick(scene.now, &mut scene.out);
    let probes = std::mem::take(&mut scene.out.probes);
    scene.say(probes[0].id, verdict(true));
    scene.say(probes[1].id, verdict(false));
    assert_eq!(scene.in_force(), []);
    // The other passes again: that is not enough.
    scene.now += INTERVAL;
    scene.fleet.tick(scene.now, &mut scene.out);
    let probes = std::mem::take(&mut scene.out.probes);
    let ping = probes
        .iter()
        .position(|probe| match &probe.subject.question {
            Question::Check(check) => matches!(check.kind, CheckKind::Ping(_)),
            Question::Figure(_) => false,
        });
    let ping = ping.unwrap();
    scene.say(probes[1 - ping].id, verdict(true));
    assert_eq!(scene.in_force(), []);
    scene.say(probes[ping].id, verdict(true));
    assert_eq!(scene.in_force(), [(1, 1)]);
}

#[test]
fn a_verdict_that_comes_twice_or_late_is_ignored() {
    let wanted = watched(&[1, 1]);
    let mut scene = Scene::of(&wanted);
    let first = scene.next();
    scene.say(first[&1], verdict(true));
    scene.say(first[&1], verdict(false));
    assert_eq!(scene.in_force(), [(1, 1), (2, 1)]);
    scene.say(first[&2], verdict(true));
    let second = scene.next();
    scene.say(first[&1], verdict(false));
    scene.say(first[&1], verdict(false));
    assert_eq!(scene.in_force(), [(1, 1), (2, 1)]);
    // Of a real server that was removed and came again meanwhile.
    let mut without = wanted.clone();
    without.servers.remove(0);
    scene.configure(&without);
    scene.configure(&wanted);
    scene.say(second[&1], verdict(false));
    assert_eq!(scene.in_force(), [(1, 1), (2, 1)]);
}

#[test]
fn the_quorum_is_lost_and_gained_with_its_hysteresis_and_the_sorry_server_serves_between() {
    let mut wanted = watched(&[2, 2, 2]);
    wanted.health.quorum = Quorum {
        weight: 4,
        hysteresis: 1,
    };
    wanted.health.sorry = Some(Sorry {
        server: server(99, 1),
        inhibit: false,
    });
    let script = |name: &str| {
        Some(Script {
            command: vec![name.to_owned()],
            user: None,
        })
    };
    wanted.health.quorum_up = script("up");
    wanted.health.quorum_down = script("down");
    let mut scene = Scene::of(&wanted);
    assert_eq!(
        scene.log(),
        ["Gained quorum 4+1=5 <= 6 for VS [192.0.2.10]:tcp:80"]
    );
    scene.round(&[1]);
    assert_eq!(scene.in_force(), [(2, 2), (3, 2)]);
    scene.log();
    scene.out.notices.clear();
    scene.go_on(INTERVAL * 3, &[1, 2]);
    assert_eq!(scene.in_force(), [(99, 1)]);
    assert_eq!(
        scene.log(),
        [
            "Removing service [10.0.0.2]:tcp:80 from VS [192.0.2.10]:tcp:80: tcp: connection refused",
            "Lost quorum 4-1=3 > 2 for VS [192.0.2.10]:tcp:80",
            "Adding sorry server [10.0.0.99]:tcp:80 to VS [192.0.2.10]:tcp:80",
        ]
    );
    let notice = scene.out.notices.last().unwrap();
    assert_eq!(notice.script.as_ref().unwrap().command, ["down"]);
    // 4 is not 5: it is not gained again yet, and who comes up is not put in.
    scene.go_on(INTERVAL * 3, &[1]);
    assert_eq!(scene.in_force(), [(99, 1)]);
    scene.go_on(INTERVAL * 3, &[]);
    assert_eq!(scene.in_force(), [(1, 2), (2, 2), (3, 2)]);
    let notice = scene.out.notices.last().unwrap();
    assert_eq!(notice.script.as_ref().unwrap().command, ["up"]);
    assert_eq!(
        scene.log().last().unwrap(),
        "Removing sorry server [10.0.0.99]:tcp:80 from VS [192.0.2.10]:tcp:80"
    );
}

#[test]
fn without_a_quorum_from_the_start_the_sorry_server_is_put_in_and_told() {
    let mut wanted = watched(&[1]);
    wanted.health.servers[0].checks[0].pace.alpha = true;
    wanted.health.sorry = Some(Sorry {
        server: server(99, 1),
        inhibit: true,
    });
    let mut scene = Scene::of(&wanted);
    assert_eq!(scene.in_force(), [(99, 1)]);
    assert_eq!(scene.told(), ["VS [192.0.2.10]:tcp:80 DOWN"]);
    // Inhibited, it stays with weight 0.
    scene.round(&[]);
    assert_eq!(scene.in_force(), [(1, 1), (99, 0)]);
}

#[test]
fn without_a_sorry_server_a_lost_quorum_changes_nothing_in_the_tables() {
    let mut wanted = watched(&[1, 1]);
    wanted.health.quorum.weight = 2;
    let mut scene = Scene::of(&wanted);
    scene.round(&[1]);
    assert_eq!(scene.in_force(), [(2, 1)]);
    assert_eq!(scene.told().last().unwrap(), "VS [192.0.2.10]:tcp:80 DOWN");
}

#[test]
fn who_is_taken_out_by_hand_has_weight_0_is_still_checked_and_counts_for_no_quorum() {
    let mut wanted = watched(&[1, 1]);
    let mut scene = Scene::of(&wanted);
    scene.round(&[]);
    wanted.servers[0].held = true;
    wanted.servers[1].held = true;
    scene.configure(&wanted);
    assert_eq!(scene.in_force(), [(1, 0), (2, 0)]);
    assert_eq!(scene.told().last().unwrap(), "VS [192.0.2.10]:tcp:80 DOWN");
    scene.go_on(INTERVAL * 3, &[1]);
    assert_eq!(scene.in_force(), [(1, 0), (2, 0)]);
    wanted.servers[0].held = false;
    scene.configure(&wanted);
    // It went down meanwhile.
    assert_eq!(scene.in_force(), [(2, 0)]);
}

#[test]
fn checks_rest_while_the_address_is_another_directors() {
    let mut wanted = watched(&[1]);
    wanted.health.only_while_active = true;
    let mut scene = Scene::of(&wanted);
    assert_eq!(scene.fleet.deadline(), None);
    scene.fleet.set_active(&key(), true, scene.now);
    let probes = scene.next();
    // Its answer comes after the address went away.
    scene.fleet.set_active(&key(), false, scene.now);
    scene.say(probes[&1], verdict(false));
    assert_eq!(scene.in_force(), [(1, 1)]);
    scene.now += INTERVAL * 10;
    scene.fleet.tick(scene.now, &mut scene.out);
    assert!(scene.out.probes.is_empty());
    scene.fleet.set_active(&key(), true, scene.now);
    scene.round(&[1]);
    assert_eq!(scene.in_force(), []);
}

#[test]
fn at_the_end_those_who_want_to_know_are_told_that_all_is_down() {
    let mut wanted = watched(&[1, 1]);
    let mut scene = Scene::of(&wanted);
    scene.round(&[2]);
    scene.told();
    scene.fleet.shut_down(&mut scene.out);
    assert_eq!(scene.told(), Vec::<String>::new());
    wanted.health.omega = true;
    scene.configure(&wanted);
    scene.fleet.shut_down(&mut scene.out);
    assert_eq!(
        scene.told(),
        [
            "RS [10.0.0.1]:tcp:80 [192.0.2.10]:tcp:80 DOWN",
            "VS [192.0.2.10]:tcp:80 DOWN"
        ]
    );
}

#[test]
fn a_bfd_session_takes_its_real_servers_down_at_once() {
    let mut wanted = watched(&[1, 1]);
    wanted.health.servers[0].checks = vec![check(CheckKind::Bfd("one".to_owned()))];
    let mut scene = Scene::of(&wanted);
    scene.fleet.session("one", true, scene.now, &mut scene.out);
    assert_eq!(scene.in_force(), [(1, 1), (2, 1)]);
    scene.fleet.session("one", false, scene.now, &mut scene.out);
    assert_eq!(scene.in_force(), [(2, 1)]);
    // Who comes later knows it already.
    let mut later = wanted.clone();
    later.health.servers[1]
        .checks
        .push(check(CheckKind::Bfd("one".to_owned())));
    scene.configure(&later);
    assert_eq!(scene.in_force(), []);
    scene.fleet.session("one", true, scene.now, &mut scene.out);
    assert_eq!(scene.in_force(), [(1, 1), (2, 1)]);
}

#[test]
fn an_agent_takes_its_real_server_down_out_and_back() {
    let mut wanted = watched(&[10]);
    wanted.health.servers[0].checks = vec![check(CheckKind::Agent(Agent::default()))];
    let mut scene = Scene::of(&wanted);
    let wish = |wish| {
        let mut verdict = Verdict::open("", TOOK);
        verdict.reading.wish = Some(wish);
        verdict
    };
    for (verdict, expected) in [
        (Verdict::open("no answer", TOOK), vec![(1, 10)]),
        (wish(Wish::Drain), vec![(1, 0)]),
        (Verdict::open("", TOOK), vec![(1, 0)]),
        (wish(Wish::Maintenance), vec![]),
        (wish(Wish::Ready), vec![(1, 10)]),
        // The first that says whether it is up.
        (Verdict::failed("its agent says down", TOOK), vec![]),
        (Verdict::open("no answer", TOOK), vec![]),
        (Verdict::passed(TOOK), vec![(1, 10)]),
        (Verdict::failed("its agent says down", TOOK), vec![(1, 10)]),
        (Verdict::failed("its agent says down", TOOK), vec![]),
    ] {
        let probes = scene.next();
        scene.say(probes[&1], verdict.clone());
        assert_eq!(scene.in_force(), expected, "{verdict:?}");
    }
}

#[test]
fn checks_begin_within_their_warm_up_and_not_all_at_once() {
    let mut wanted = watched(&[1; 50]);
    for server in &mut wanted.health.servers {
        server.checks[0].pace.warm_up = INTERVAL;
    }
    let mut scene = Scene::of(&wanted);
    let start = scene.now;
    let mut begun = Vec::new();
    while scene
        .fleet
        .deadline()
        .is_some_and(|at| at <= start + INTERVAL)
        && begun.len() < 50
    {
        for (_, _id) in scene.next() {
            begun.push(scene.now - start);
        }
    }
    assert_eq!(begun.len(), 50);
    let early = begun.iter().filter(|at| **at < INTERVAL / 2).count();
    assert!((10..40).contains(&early), "{begun:?}");
}

#[test]
fn a_real_server_at_the_sorry_servers_address_is_there_once() {
    let mut wanted = watched(&[5, 1]);
    wanted.health.sorry = Some(Sorry {
        server: server(1, 7),
        inhibit: true,
    });
    wanted.health.servers[0].inhibit = true;
    let mut scene = Scene::of(&wanted);
    scene.round(&[1, 2]);
    assert_eq!(scene.in_force(), [(1, 7)]);
    scene.go_on(INTERVAL, &[]);
    assert_eq!(scene.in_force(), [(1, 5), (2, 1)]);
}

#[test]
fn all_failures_are_told_where_that_is_wanted() {
    let mut wanted = watched(&[1]);
    wanted.health.servers[0].checks[0].log_all_failures = true;
    let mut scene = Scene::of(&wanted);
    scene.round(&[]);
    scene.log();
    scene.round(&[1]);
    assert_eq!(
        scene.log(),
        ["Check of service [10.0.0.1]:tcp:80 of VS [192.0.2.10]:tcp:80 failed: connection refused"]
    );
    assert_eq!(scene.in_force(), [(1, 1)]);
}
