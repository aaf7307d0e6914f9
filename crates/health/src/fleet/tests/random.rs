//! Random operations: what never is, whatever happens.

use std::collections::HashSet;

use proptest::prelude::*;
use weir_config::model::health::{Agent, Passive, SlowStart, Sorry, WeightPolicy};

use super::*;
use crate::event::EventKind;
use crate::notice::NoticeKind;
use crate::passive::Totals;
use crate::verdict::{WeightWord, Wish};

const SORRY: u8 = 99;

#[derive(Clone, Debug)]
enum Operation {
    /// Time goes on, and what is due is done.
    Wait(u16),
    /// One of the probes under way ends so; sometimes twice.
    Answer {
        which: u8,
        what: Answer,
        twice: bool,
    },
    See {
        server: u8,
        begun: u16,
        refused: u16,
    },
    Session(bool),
    Active(bool),
    Reload(Options),
}

#[derive(Clone, Debug)]
enum Answer {
    Passed,
    Failed,
    Weight(u32),
    Percent(u32),
    Wish(Wish),
}

#[derive(Clone, Debug)]
struct Options {
    servers: Vec<u32>,
    held: u8,
    alpha: bool,
    inhibit: bool,
    sorry: Option<bool>,
    quorum: u32,
    hysteresis: u32,
    policy: bool,
    only_while_active: bool,
}

impl Options {
    fn wanted(&self) -> Wanted {
        let mut wanted = watched(&self.servers);
        for (index, one) in wanted.servers.iter_mut().enumerate() {
            one.held = self.held & (1 << index) != 0;
        }
        for (index, server) in wanted.health.servers.iter_mut().enumerate() {
            server.inhibit = self.inhibit;
            server.checks[0].pace.alpha = self.alpha;
            if index == 1 {
                server.checks.push(check(CheckKind::Bfd("one".to_owned())));
            }
            if index == 2 {
                server
                    .checks
                    .push(check(CheckKind::Agent(Agent::default())));
            }
            server.weight = self.policy.then_some(WeightPolicy {
                source: None,
                least: 2,
                most: 50,
                smoothing: 30,
                tolerance: 10,
                slow_start: Some(SlowStart {
                    duration: Duration::from_secs(10),
                    from: 5,
                }),
                passive: Some(Passive {
                    share: 30,
                    least: 5,
                    window: Duration::from_secs(5),
                    pause: Duration::from_secs(20),
                }),
            });
        }
        wanted.health.quorum.weight = self.quorum;
        wanted.health.quorum.hysteresis = self.hysteresis.min(self.quorum - 1);
        wanted.health.sorry = self.sorry.map(|inhibit| Sorry {
            server: server(SORRY, 1),
            inhibit,
        });
        wanted.health.only_while_active = self.only_while_active;
        wanted
    }
}

fn options() -> impl Strategy<Value = Options> {
    let servers = prop::collection::vec(0u32..20, 0..5);
    let sorry = prop::option::of(any::<bool>());
    (
        servers,
        any::<[bool; 4]>(),
        prop_oneof![Just(0u8), any::<u8>()],
        sorry,
        1u32..30,
        0u32..10,
    )
        .prop_map(
            |(servers, flags, held, sorry, quorum, hysteresis)| Options {
                servers,
                held,
                alpha: flags[0],
                inhibit: flags[1],
                sorry,
                quorum,
                hysteresis,
                policy: flags[2],
                only_while_active: flags[3] && quorum % 4 == 0,
            },
        )
}

fn operation() -> impl Strategy<Value = Operation> {
    let answer = prop_oneof![
        4 => Just(Answer::Passed),
        4 => Just(Answer::Failed),
        1 => (0u32..100).prop_map(Answer::Weight),
        1 => (0u32..200).prop_map(Answer::Percent),
        1 => prop_oneof![Just(Wish::Ready), Just(Wish::Drain), Just(Wish::Maintenance)]
            .prop_map(Answer::Wish),
    ];
    prop_oneof![
        4 => (0u16..5000).prop_map(Operation::Wait),
        8 => (any::<u8>(), answer, any::<bool>())
            .prop_map(|(which, what, twice)| Operation::Answer { which, what, twice }),
        1 => (1u8..5, 0u16..50, 0u16..50)
            .prop_map(|(server, begun, refused)| Operation::See { server, begun, refused }),
        1 => any::<bool>().prop_map(Operation::Session),
        1 => any::<bool>().prop_map(Operation::Active),
        1 => options().prop_map(Operation::Reload),
    ]
}

/// What is true after every step.
fn hold(scene: &Scene, wanted: &Wanted) {
    let view = scene.fleet.view_of(&key(), scene.now).unwrap();
    let in_force = scene.in_force();
    let numbers: HashSet<u8> = in_force.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers.len(), in_force.len(), "each once");
    let sorry_serves = view.sorry.is_some_and(|(_, serves)| serves);
    assert_eq!(sorry_serves, view.sorry.is_some() && !view.quorum_up);
    for (number, weight) in &in_force {
        if *number == SORRY {
            assert_eq!(*weight, u32::from(sorry_serves));
            continue;
        }
        let shown = view.servers.iter().find(|s| s.address == address(*number));
        let shown = shown.expect("only who is wanted");
        if *weight > 0 {
            assert!(shown.up, "a server that is down takes no connections");
            assert!(!shown.held);
            assert!(!sorry_serves, "never both");
        }
        assert!(*weight <= 200);
    }
    for server in &view.servers {
        let here = in_force
            .iter()
            .any(|(number, _)| address(*number) == server.address);
        if server.up && !sorry_serves {
            assert!(here, "who is up is in: {server:?}");
        }
        let any_down = server.checks.iter().any(|check| !check.up);
        assert!(!(any_down && server.up));
        assert!(
            server.up || !server.reason.is_empty(),
            "a reason for everything"
        );
        let policy = wanted
            .health
            .servers
            .iter()
            .any(|health| health.weight.is_some());
        assert!(!policy || server.weight <= 50 || server.weight_reason.starts_with("configured"));
    }
    let service = WantedService {
        health: &wanted.health,
        servers: wanted.servers.clone(),
    };
    let preview = scene.fleet.preview(&service, &Recall::NOTHING);
    assert_eq!(preview, scene.fleet.effective(&key()).unwrap());
    // A quorum that was lost is not there, and one that is there is no less than its threshold.
    match view.quorum_up {
        true => assert!(view.sum >= view.threshold && view.sum > 0),
        false => assert!(view.sum < view.threshold),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn whatever_happens(start in options(), operations in prop::collection::vec(operation(), 1..80)) {
        let mut wanted = start.wanted();
        let mut scene = Scene::of(&wanted);
        let mut under_way = Vec::new();
        let mut seen = [Totals::default(); 5];
        let mut told_up = None;
        for operation in operations {
            match operation {
                Operation::Wait(milliseconds) => {
                    scene.now += Duration::from_millis(milliseconds.into());
                    scene.fleet.tick(scene.now, &mut scene.out);
                    prop_assert!(scene.fleet.deadline().is_none_or(|at| at > scene.now));
                }
                Operation::Answer { which, what, twice } => {
                    if under_way.is_empty() {
                        continue;
                    }
                    let place = usize::from(which) % under_way.len();
                    let id = match twice {
                        true => under_way[place],
                        false => under_way.swap_remove(place),
                    };
                    let mut verdict = verdict(!matches!(what, Answer::Failed));
                    match what {
                        Answer::Passed | Answer::Failed => {}
                        Answer::Weight(weight) => verdict = verdict.with_weight(WeightWord::Is(weight)),
                        Answer::Percent(part) => verdict = verdict.with_weight(WeightWord::Percent(part)),
                        Answer::Wish(wish) => verdict.reading.wish = Some(wish),
                    }
                    scene.say(id, verdict);
                }
                Operation::See { server, begun, refused } => {
                    let totals = &mut seen[usize::from(server)];
                    totals.begun += u64::from(begun);
                    totals.refused += u64::from(refused.min(begun));
                    let (totals, now) = (*totals, scene.now);
                    scene.fleet.observe(&key(), address(server), totals, now, &mut scene.out);
                }
                Operation::Session(up) => scene.fleet.session("one", up, scene.now, &mut scene.out),
                Operation::Active(active) => scene.fleet.set_active(&key(), active, scene.now),
                Operation::Reload(options) => {
                    wanted = options.wanted();
                    scene.configure(&wanted);
                    // Again the same: nothing comes of it.
                    let mut again = Scene { fleet: scene.fleet.clone(), now: scene.now, out: Output::default() };
                    again.configure(&wanted);
                    prop_assert!(again.out.is_empty(), "{:?}", again.out);
                }
            }
            hold(&scene, &wanted);
            for probe in std::mem::take(&mut scene.out.probes) {
                under_way.push(probe.id);
            }
            // Of a quorum gained and lost in turns is told.
            for notice in std::mem::take(&mut scene.out.notices) {
                if let NoticeKind::Quorum { .. } = notice.kind {
                    prop_assert!(told_up != Some(notice.up), "told twice");
                    told_up = Some(notice.up);
                }
            }
            for event in std::mem::take(&mut scene.out.events) {
                if let EventKind::Weight { from, to } = event.kind {
                    prop_assert!(from != to && !event.reason.is_empty());
                }
            }
        }
    }
}
