//! Every event in every state: what the instance is then, and what it has wanted done.

mod network;

use std::num::NonZeroU32;
use std::time::Duration;

use network::configuration::{instance, of_one, with_priority};
use network::{Link, Random};
use weir_config::model::Script;
use weir_config::model::vrrp::{TrackedScript, Vrrp, VrrpScript, Weighting};
use weir_vrrp::{Action, Datagram, Event, State};

const SECOND: Duration = Duration::from_secs(1);

/// One instance of priority 100 at 192.0.2.5 that has a script.
fn config() -> Vrrp {
    let mut one = with_priority(instance("v", 51), 100);
    one.tracking.scripts.push(TrackedScript {
        name: "check".to_owned(),
        weighting: None,
    });
    let mut config = of_one(one);
    config.scripts.push(VrrpScript {
        name: "check".to_owned(),
        script: Script {
            command: vec!["/bin/true".to_owned()],
            user: None,
        },
        interval: SECOND,
        timeout: SECOND,
        rise: NonZeroU32::MIN,
        fall: NonZeroU32::MIN,
        fails_first: false,
        weighting: Weighting::Fault { reverse: false },
    });
    config
}

/// An advertisement of a router at that address.
fn advertisement(priority: u8, address: &str) -> Datagram {
    let mut link = Link::new(1);
    let owner = priority.max(1);
    let at = link.add(&of_one(with_priority(instance("v", 51), owner)), &[address]);
    link.run(SECOND * 5, |_| {});
    if priority == 0 {
        link.tell(at, &Event::Stop);
    }
    let mut last = None;
    for (_, action) in &link.stations[at].log {
        if let Action::Send(datagram) = action {
            last = Some(datagram.clone());
        }
    }
    last.expect("it was Active")
}

fn in_state(state: State) -> (Link, usize) {
    let mut link = Link::new(1);
    let at = link.add_silent(&config(), &["192.0.2.5"]);
    link.introduce(at);
    link.tell(at, &Event::Start);
    link.tell(at, &Event::Tick);
    let script = |link: &mut Link, passed| {
        let name = "check";
        link.tell(at, &Event::Script { name, passed });
    };
    match state {
        State::Initialize => {}
        State::Backup => script(&mut link, true),
        State::Active => {
            script(&mut link, true);
            link.run(SECOND * 4, |_| {});
        }
        State::Fault => script(&mut link, false),
    }
    assert_eq!(link.state(at, "v"), state);
    link.stations[at].log.clear();
    (link, at)
}

#[derive(Clone, Copy, Debug)]
enum Happens {
    Advertisement(&'static str, u8, &'static str),
    Script(bool),
    Link(bool),
    Path(bool),
    Addresses(bool),
    Early,
    Deadline,
    ReloadSame,
    ReloadGone,
    Stop,
}

const EVENTS: [Happens; 19] = [
    Happens::Advertisement("higher priority", 200, "192.0.2.1"),
    Happens::Advertisement("same, higher address", 100, "192.0.2.9"),
    Happens::Advertisement("same, lower address", 100, "192.0.2.1"),
    Happens::Advertisement("same, our address", 100, "192.0.2.5"),
    Happens::Advertisement("lower priority", 50, "192.0.2.9"),
    Happens::Advertisement("owner", 255, "192.0.2.1"),
    Happens::Advertisement("priority 0", 0, "192.0.2.1"),
    Happens::Script(true),
    Happens::Script(false),
    Happens::Link(true),
    Happens::Link(false),
    Happens::Path(true),
    Happens::Path(false),
    Happens::Addresses(false),
    Happens::Early,
    Happens::Deadline,
    Happens::ReloadSame,
    Happens::ReloadGone,
    Happens::Stop,
];

fn happen(link: &mut Link, at: usize, what: Happens) -> String {
    match what {
        Happens::Advertisement(name, priority, address) => {
            let mut datagram = advertisement(priority, address);
            datagram.hop_limit = 255;
            link.deliver(at, &datagram);
            name.to_owned()
        }
        Happens::Script(passed) => {
            let name = "check";
            link.tell(at, &Event::Script { name, passed });
            format!("script passed: {passed}")
        }
        Happens::Link(up) => {
            link.tell(at, &Event::Interface { name: "eth0", up });
            format!("link up: {up}")
        }
        Happens::Path(path) => {
            link.tell(at, &Event::PathInPlace(path));
            format!("path in place: {path}")
        }
        Happens::Addresses(there) => {
            let all = ["192.0.2.5".parse().expect("one")];
            let addresses = if there { &all[..] } else { &[] };
            let interface = "eth0";
            link.tell(
                at,
                &Event::Addresses {
                    interface,
                    addresses,
                },
            );
            "no address".to_owned()
        }
        Happens::Early => {
            link.now += SECOND / 100;
            link.tell(at, &Event::Tick);
            "before the deadline".to_owned()
        }
        Happens::Deadline => {
            link.now += SECOND * 4;
            link.tell(at, &Event::Tick);
            "after the deadline".to_owned()
        }
        Happens::ReloadSame => {
            link.tell(at, &Event::Reload(&config()));
            "reload, the same".to_owned()
        }
        Happens::ReloadGone => {
            link.tell(at, &Event::Reload(&Vrrp::default()));
            "reload, gone".to_owned()
        }
        Happens::Stop => {
            link.tell(at, &Event::Stop);
            "stop".to_owned()
        }
    }
}

/// State, then a letter for each action: s advertises, 0 hands over, t takes, r releases, a announces, n notifies, c complains,
/// g is gone.
fn outcome(link: &Link, at: usize) -> String {
    let state = link.stations[at].router.state("v");
    let mut letters = String::new();
    for (_, action) in &link.stations[at].log {
        letters.push(match action {
            Action::Send(datagram) if datagram.bytes[22] == 0 => '0',
            Action::Send(_) => 's',
            Action::Take(_) => 't',
            Action::Release(_) => 'r',
            Action::Announce { .. } => 'a',
            Action::AnnounceSource { .. } => 'S',
            Action::Notify(_) => 'n',
            Action::Complain { .. } => 'c',
            Action::Gone(_) => 'g',
            Action::Record { .. } => continue,
        });
    }
    let state = state.map_or("-", State::name);
    format!("{state} {letters}").trim_end().to_owned()
}

#[test]
fn every_event_in_every_state() {
    let mut table = String::new();
    for what in EVENTS {
        let mut cells = Vec::new();
        let mut name = String::new();
        for state in State::ALL {
            let (mut link, at) = in_state(state);
            name = happen(&mut link, at, what);
            cells.push(outcome(&link, at));
        }
        let [initialize, backup, active, fault] = &cells[..] else {
            panic!("four states");
        };
        let line = format!("{name:22}| {initialize:16}| {backup:15}| {active:17}| {fault}");
        table.push_str(line.trim_end());
        table.push('\n');
    }
    let expected = include_str!("table.txt");
    assert_eq!(table, expected, "\n{table}");
}

/// Whatever happens in whatever order: addresses are there exactly while Active, notices tell every state, and a deadline
/// is there exactly while it takes part.
#[test]
fn any_order_of_events() {
    for seed in 0..300 {
        let mut random = Random::new(seed);
        let (mut link, at) = in_state(State::ALL[random.below(4) as usize]);
        for step in 0..60 {
            let what = EVENTS[random.below(EVENTS.len() as u64 - 2) as usize];
            happen(&mut link, at, what);
            if random.chance(30) {
                happen(&mut link, at, Happens::Addresses(true));
            }
            link.now += Duration::from_millis(random.below(1500));
            let state = link.state(at, "v");
            let place = format!("seed {seed}, step {step}: {what:?}");
            let taken = !link.active("v").is_empty();
            assert_eq!(taken, state == State::Active, "{place}");
            let view = link.view(at, "v");
            let takes_part = matches!(state, State::Backup | State::Active);
            assert_eq!(view.deadline.is_some(), takes_part, "{place}");
            assert_eq!(state == State::Fault, !view.faults.is_empty(), "{place}");
            let last = view.transitions.first();
            assert!(last.is_none_or(|last| last.to == state), "{place}");
            assert!(
                view.transitions.len() <= 16 && view.peers.len() <= 16,
                "{place}"
            );
            let begun = view.counters.become_master;
            assert_eq!(
                begun,
                view.counters.release_master + u64::from(taken),
                "{place}"
            );
        }
    }
}
