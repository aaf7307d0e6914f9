//! What is wanted: files and hands, undoing, holds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use weir_config::file::Config;
use weir_config::model::{Scheduler, Timeouts};

use super::*;
use crate::history::{Author, History, NoWayBack, Through};
use crate::plan::Change;
use crate::settings::Running;
use crate::wanted::{Alteration, ByHand, DrainOrder, Hold, Target, TimeoutName, Wanted};

type Services = Vec<(Service, Vec<RealServer>)>;

const FILE: &str = "/etc/weir/weir.toml";

fn file(services: Services) -> Arc<Config> {
    Arc::new(Config {
        services,
        ..Config::default()
    })
}

fn web(servers: &[(&str, u32)]) -> Services {
    let servers = servers
        .iter()
        .map(|(address, weight)| server(address, *weight));
    vec![(service(WEB, Scheduler::RoundRobin), servers.collect())]
}

fn add(address: &str, weight: u32) -> Alteration {
    Alteration::Service(Change::AddServer {
        service: key(WEB),
        server: server(address, weight),
    })
}

fn edit(address: &str, from: u32, to: u32) -> Alteration {
    Alteration::Service(Change::EditServer {
        service: key(WEB),
        from: server(address, from),
        to: server(address, to),
    })
}

fn delete(address: &str, weight: u32) -> Alteration {
    Alteration::Service(Change::DeleteServer {
        service: key(WEB),
        server: server(address, weight),
    })
}

fn lines(alterations: &[Alteration]) -> Vec<String> {
    alterations.iter().map(ToString::to_string).collect()
}

/// The servers of the one service, as `address weight`, in order of their addresses.
fn servers(wanted: &Wanted) -> Vec<String> {
    let service = wanted.service(&key(WEB)).into_iter();
    let servers = service.flat_map(|service| service.servers());
    let mut servers: Vec<_> = servers
        .map(|server| format!("{} {}", server.address, server.weight.get()))
        .collect();
    servers.sort_unstable();
    servers
}

/// The orders in which things came do not matter.
fn sorted(wanted: &Wanted) -> BTreeMap<ServiceKey, (String, BTreeSet<String>)> {
    let all = wanted.configuration().into_iter();
    all.map(|(service, servers)| {
        let servers = servers.iter().map(|server| format!("{server:?}"));
        (service.key, (format!("{service:?}"), servers.collect()))
    })
    .collect()
}

#[test]
fn what_was_changed_by_hand_stays_or_goes_as_configured() {
    let before = web(&[(A, 1), (B, 2)]);
    // By hand, the file that comes after, what is wanted then: kept and folded back.
    type Row<'a> = (
        &'a str,
        Vec<Alteration>,
        Services,
        &'a [&'a str],
        &'a [&'a str],
    );
    #[rustfmt::skip]
    let rows: [Row<'_>; 8] = [
        ("nothing at all", vec![], before.clone(),
            &["10.0.0.1:80 1", "10.0.0.2:80 2"], &["10.0.0.1:80 1", "10.0.0.2:80 2"]),
        ("a server added by hand", vec![add(C, 7)], before.clone(),
            &["10.0.0.1:80 1", "10.0.0.2:80 2", "10.0.0.3:80 7"], &["10.0.0.1:80 1", "10.0.0.2:80 2"]),
        ("one deleted by hand", vec![delete(A, 1)], before.clone(),
            &["10.0.0.2:80 2"], &["10.0.0.1:80 1", "10.0.0.2:80 2"]),
        ("a weight changed by hand, another in the file", vec![edit(A, 1, 9)], web(&[(A, 1), (B, 5)]),
            &["10.0.0.1:80 9", "10.0.0.2:80 5"], &["10.0.0.1:80 1", "10.0.0.2:80 5"]),
        ("the same weight changed by both", vec![edit(A, 1, 9)], web(&[(A, 3), (B, 2)]),
            &["10.0.0.1:80 3", "10.0.0.2:80 2"], &["10.0.0.1:80 3", "10.0.0.2:80 2"]),
        ("deleted by hand and changed in the file", vec![delete(A, 1)], web(&[(A, 3), (B, 2)]),
            &["10.0.0.2:80 2"], &["10.0.0.1:80 3", "10.0.0.2:80 2"]),
        ("added by hand, then in the file too", vec![add(C, 7)], web(&[(A, 1), (B, 2), (C, 4)]),
            &["10.0.0.1:80 1", "10.0.0.2:80 2", "10.0.0.3:80 4"],
            &["10.0.0.1:80 1", "10.0.0.2:80 2", "10.0.0.3:80 4"]),
        ("changed by hand and gone from the file", vec![edit(A, 1, 9), add(C, 7)], web(&[(B, 2)]),
            &["10.0.0.2:80 2", "10.0.0.3:80 7"], &["10.0.0.2:80 2"]),
    ];
    for (what, by_hand, after, kept, folded) in rows {
        let mut wanted = Wanted::default().after_reading(FILE, &file(before.clone()), ByHand::Kept);
        wanted.make(&by_hand);
        let after = file(after);
        for (how, expected) in [(ByHand::Kept, kept), (ByHand::FoldedBack, folded)] {
            let next = wanted.after_reading(FILE, &after, how);
            assert_eq!(servers(&next), expected, "{what}, {how:?}");
            let again = next.after_reading(FILE, &after, how);
            assert_eq!(lines(&next.alterations(&again)), [""; 0], "{what}, {how:?}");
        }
    }
}

#[test]
fn services_that_a_file_does_not_name_stay_unless_they_are_folded_back() {
    let found = vec![
        (service(DNS, Scheduler::RoundRobin), vec![]),
        (service(WEB, Scheduler::RoundRobin), vec![server(C, 1)]),
    ];
    let wanted = Wanted::found(found, Running::default());
    // Nobody knows what was said before: in a service that it names, the file is all there is.
    let config = file(web(&[(A, 1)]));
    let kept = wanted.after_reading(FILE, &config, ByHand::Kept);
    assert!(kept.service(&key(DNS)).is_some());
    assert_eq!(servers(&kept), ["10.0.0.1:80 1"]);
    let folded = wanted.after_reading(FILE, &config, ByHand::FoldedBack);
    assert!(folded.service(&key(DNS)).is_none());
    // What one file said is no reason to take away what another one brought.
    let other = file(vec![(service(WEB6, Scheduler::RoundRobin), vec![])]);
    let both = kept.after_reading("/etc/weir/other.toml", &other, ByHand::Kept);
    assert_eq!(both.service_count(), 3);
}

#[test]
fn health_is_what_the_file_says_anew() {
    let text = |quorum: &str, more: &str| {
        let text = format!(
            "[[service]]\nlisten = [\"tcp 192.0.2.10:80\"]\nforward = \"nat\"\n{quorum}\n{more}"
        );
        Arc::new(weir_config::file::parse(&text, FILE).unwrap())
    };
    let other = "[[service]]\nlisten = [\"udp 192.0.2.10:53\"]\nforward = \"nat\"\nquorum = 7\n\
                 [notifications]\nrouter_id = \"other\"\n";
    let quorums = |wanted: &Wanted| {
        let health = wanted.upkeep().health().iter();
        let mut quorums: Vec<_> = health.map(|one| one.quorum.weight).collect();
        quorums.sort_unstable();
        quorums
    };
    let first = Wanted::default().after_reading(FILE, &text("quorum = 2", ""), ByHand::Kept);
    assert_eq!(quorums(&first), [2]);
    // Another file: all that is wanted, and then the first one again.
    let applied = first.after_reading("other", &text("quorum = 3", other), ByHand::FoldedBack);
    assert_eq!(quorums(&applied), [3, 7]);
    let back = applied.after_reading(FILE, &text("quorum = 2", ""), ByHand::Kept);
    assert_eq!(quorums(&back), [2, 7]);
    let router_id = |wanted: &Wanted| wanted.upkeep().notifications().router_id.clone();
    assert_eq!(router_id(&back).as_deref(), Some("other"));
    // Undone, and the file says what it said: it stays undone. It says something new: that is done.
    let mut undone = back.clone();
    undone.make(&back.alterations(&first));
    let same = undone.after_reading(FILE, &text("quorum = 2", ""), ByHand::Kept);
    assert_eq!(quorums(&same), [2]);
    let mut without = same.clone();
    without.make(&same.alterations(&Wanted::found(web(&[]), Running::default())));
    assert_eq!(quorums(&without), [0; 0]);
    let same = without.after_reading(FILE, &text("quorum = 2", ""), ByHand::Kept);
    assert_eq!(quorums(&same), [0; 0]);
    let new = without.after_reading(FILE, &text("quorum = 4", ""), ByHand::Kept);
    assert_eq!(quorums(&new), [4]);
    let gone = new.after_reading(FILE, &text("", ""), ByHand::Kept);
    assert_eq!(quorums(&gone), [0; 0]);
    // In another order it is the same.
    let swapped = {
        let mut config = Config::clone(applied.upkeep().config());
        config.health.reverse();
        applied.after_reading("other", &Arc::new(config), ByHand::FoldedBack)
    };
    assert_eq!(applied.alterations(&swapped), []);
}

#[test]
fn settings_are_what_the_file_says_anew() {
    let of = |tcp, rules: Vec<_>| {
        let mut config = Config {
            timeouts: Timeouts {
                tcp,
                ..Timeouts::UNCHANGED
            },
            ..Config::default()
        };
        config.sysctls.set("conn_reuse_mode", "0").unwrap();
        config.marks = rules;
        Arc::new(config)
    };
    let mut wanted = Wanted::default().after_reading(FILE, &of(600, vec![]), ByHand::Kept);
    assert_eq!(wanted.settings().timeouts.tcp, 600);
    wanted.make(&[Alteration::Timeout {
        name: TimeoutName::Tcp,
        from: 600,
        to: 30,
    }]);
    let kept = wanted.after_reading(FILE, &of(600, vec![]), ByHand::Kept);
    assert_eq!(kept.settings().timeouts.tcp, 30);
    let folded = wanted.after_reading(FILE, &of(600, vec![]), ByHand::FoldedBack);
    assert_eq!(folded.settings().timeouts.tcp, 600);
    let anew = wanted.after_reading(FILE, &of(700, vec![]), ByHand::Kept);
    assert_eq!(anew.settings().timeouts.tcp, 700);
    assert_eq!(
        lines(&wanted.alterations(&anew)),
        ["~ timeout tcp 30 -> 700"]
    );
}

#[test]
fn a_held_server_has_weight_0_whatever_is_wanted_of_it() {
    let mut wanted = Wanted::default().after_reading(FILE, &file(web(&[(A, 4)])), ByHand::Kept);
    let address: SocketAddr = A.parse().unwrap();
    let target = |port, service| Target {
        address: address.ip(),
        port,
        service,
    };
    let effective = |wanted: &Wanted| {
        let service = wanted.service(&key(WEB)).unwrap();
        wanted.unwatched(service)[0].weight.get()
    };
    assert_eq!(effective(&wanted), 4);
    for (target, held) in [
        (target(None, None), true),
        (target(Some(80), None), true),
        (target(Some(81), None), false),
        (target(None, Some(key(WEB))), true),
        (target(None, Some(key(DNS))), false),
    ] {
        wanted.make(&[Alteration::Maintenance { target, on: true }]);
        let hold = wanted.hold(&key(WEB), address);
        assert_eq!(hold, held.then_some(Hold::Maintenance), "{target}");
        assert_eq!(effective(&wanted), if held { 0 } else { 4 }, "{target}");
        wanted.make(&[Alteration::Maintenance { target, on: false }]);
        assert_eq!(effective(&wanted), 4, "{target}");
    }
    wanted.make(&[Alteration::Drain {
        service: key(WEB),
        server: address,
        from: None,
        to: Some(DrainOrder::default()),
    }]);
    assert_eq!(wanted.hold(&key(WEB), address), Some(Hold::Drain));
    // A file that is read meanwhile changes nothing of it, only what comes after.
    for how in [ByHand::Kept, ByHand::FoldedBack] {
        let next = wanted.after_reading(FILE, &file(web(&[(A, 5)])), how);
        assert_eq!(effective(&next), 0);
        assert_eq!(servers(&next), ["10.0.0.1:80 5"]);
    }
}

#[test]
fn what_goes_with_a_service_comes_back_with_it() {
    let before = Wanted::default().after_reading(FILE, &file(web(&[(A, 4)])), ByHand::Kept);
    let mut wanted = before.clone();
    wanted.make(&[Alteration::Drain {
        service: key(WEB),
        server: A.parse().unwrap(),
        from: None,
        to: Some(DrainOrder::default()),
    }]);
    let deleted = Alteration::Service(Change::DeleteService(
        wanted.service(&key(WEB)).unwrap().service,
    ));
    let whole = wanted.whole(vec![deleted]);
    assert_eq!(
        lines(&whole),
        [
            "~ tcp:192.0.2.10:80 server 10.0.0.1:80 drains no more",
            "- tcp:192.0.2.10:80 server 10.0.0.1:80 nat weight 4",
            "- tcp:192.0.2.10:80 scheduler rr",
        ]
    );
    let there = wanted.clone();
    wanted.make(&whole);
    assert_eq!(wanted.service_count(), 0);
    for alteration in whole.iter().rev() {
        wanted.make([&alteration.inverse()]);
    }
    assert_eq!(there.alterations(&wanted), []);
}

fn author(process: i32) -> Author {
    Author {
        through: Through::Ipvsadm,
        user: Some(0),
        process: Some(process),
        program: Some("ipvsadm".to_owned()),
    }
}

#[test]
fn what_one_process_does_at_once_is_one_revision() {
    let mut history = History::new(10);
    let at = Duration::from_millis;
    let mut remember = |when, process| {
        let alterations = vec![add(A, 1)];
        history.remember(at(when), &author(process), "by hand", alterations)
    };
    assert_eq!(remember(0, 7), Some(1));
    assert_eq!(remember(900, 7), Some(1));
    assert_eq!(remember(1_800, 7), Some(1));
    assert_eq!(remember(2_800, 7), Some(2));
    assert_eq!(remember(2_801, 8), Some(3));
    let itself = Author::itself(Through::Daemon);
    for number in [4, 5] {
        let remembered = history.remember(at(2_802), &itself, "", vec![add(A, 1)]);
        assert_eq!(remembered, Some(number));
    }
    assert_eq!(history.remember(at(3_000), &itself, "", vec![]), None);
    assert_eq!(history.revision(1).unwrap().alterations.len(), 3);
    assert_eq!(history.revision(1).unwrap().until, at(1_800));
}

#[test]
fn history_is_bounded_and_does_not_lead_over_gaps() {
    let wanted = Wanted::default();
    let mut history = History::new(3);
    assert_eq!(
        history.before(&wanted, None).unwrap_err(),
        NoWayBack::Nothing
    );
    let itself = Author::itself(Through::File);
    for _ in 0..5 {
        history.remember(Duration::ZERO, &itself, FILE, vec![add(A, 1)]);
    }
    let numbers = |history: &History| {
        let revisions = history.revisions();
        revisions.map(|one| one.number).collect::<Vec<_>>()
    };
    assert_eq!(numbers(&history), [3, 4, 5]);
    let unknown = |number| NoWayBack::Unknown {
        number,
        oldest: 3,
        newest: 5,
    };
    for number in [0, 2, 6] {
        assert_eq!(
            history.before(&wanted, Some(number)).unwrap_err(),
            unknown(number)
        );
    }
    let mut kept: Vec<_> = history.revisions().cloned().collect();
    let whole = History::restore(3, kept.clone());
    assert_eq!((numbers(&whole), whole.next_number()), (vec![3, 4, 5], 6));
    kept.remove(1);
    let mut holed = History::restore(3, kept);
    assert_eq!((numbers(&holed), holed.next_number()), (vec![5], 6));
    holed.number_from(9);
    assert_eq!((numbers(&holed), holed.next_number()), (vec![], 9));
}

fn any_services() -> impl Strategy<Value = Services> {
    let scheduler = prop::sample::select(&Scheduler::ALL[..]);
    let servers = prop::collection::btree_map(0..5u8, 0..4u32, 0..5);
    let one = (scheduler, servers);
    prop::collection::btree_map(1..5u8, one, 0..4).prop_map(|services| {
        let services = services.into_iter();
        services
            .map(|(port, (scheduler, servers))| {
                let servers = servers.into_iter();
                let servers =
                    servers.map(|(last, weight)| server(&format!("10.0.0.{last}:80"), weight));
                let key = format!("tcp:192.0.2.10:{port}");
                (service(&key, scheduler), servers.collect())
            })
            .collect()
    })
}

/// Something that changes what is wanted.
#[derive(Clone, Debug)]
enum Step {
    File(Services, ByHand),
    ByHand(Services),
    Rollback(usize),
}

fn any_step() -> impl Strategy<Value = Step> {
    let how = prop::sample::select(&[ByHand::Kept, ByHand::FoldedBack][..]);
    prop_oneof![
        (any_services(), how).prop_map(|(services, how)| Step::File(services, how)),
        any_services().prop_map(Step::ByHand),
        (0..6usize).prop_map(Step::Rollback),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever was done before, reading a file twice is reading it once, and every revision leads back
    /// to exactly what was before it; the tables follow without a word of complaint.
    #[test]
    fn every_way_back_leads_where_one_came_from(steps in prop::collection::vec(any_step(), 1..10)) {
        let mut world = World::new(64, 256);
        let mut wanted = Wanted::default();
        let mut history = History::new(100);
        // What was wanted before each revision.
        let mut befores = vec![];
        let itself = Author::itself(Through::Daemon);
        for step in steps {
            let next = match step {
                Step::File(services, how) => {
                    let config = file(services);
                    let next = wanted.after_reading(FILE, &config, how);
                    let again = next.after_reading(FILE, &config, how);
                    prop_assert_eq!(lines(&next.alterations(&again)), [""; 0]);
                    next
                }
                Step::ByHand(services) => {
                    let target = Wanted::found(services, wanted.settings().clone());
                    let mut next = wanted.clone();
                    next.make(&wanted.alterations(&target));
                    next
                }
                Step::Rollback(back) => {
                    let Some(number) = befores.len().checked_sub(back) else {
                        continue;
                    };
                    match history.before(&wanted, Some(number as u64)) {
                        Ok((_, next)) => {
                            let before: &Wanted = &befores[number - 1];
                            prop_assert_eq!(sorted(&next), sorted(before));
                            next
                        }
                        Err(_) => continue,
                    }
                }
            };
            let alterations = wanted.whole(wanted.alterations(&next));
            let mut made = wanted.clone();
            made.make(&alterations);
            prop_assert_eq!(sorted(&made), sorted(&next));
            if history.remember(Duration::ZERO, &itself, "", alterations).is_some() {
                befores.push(wanted);
            }
            wanted = next;
            let World { tables, director, now } = &mut world;
            let effective = wanted.effective(|service| wanted.unwatched(service));
            let changes = crate::plan::plan(&director.configuration(tables), &effective);
            director.apply(tables, &changes, *now).unwrap();
            let found = Wanted::found(director.configuration(tables), Running::default());
            prop_assert_eq!(sorted(&found), sorted(&wanted));
            invariants::check(&world);
        }
    }
}
