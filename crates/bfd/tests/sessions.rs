//! Two ends on one clock.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::NonZeroU8;
use std::time::Duration;

use proptest::prelude::*;
use weir_bfd::packet::{Control, LENGTH, Malformed};
use weir_bfd::{Action, Datagram, Diagnostic, Event, Received, Refusal, Sessions, State};
use weir_config::model::vrrp::{BfdInstance, Weighting};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

fn wanted(neighbour: &str) -> BfdInstance {
    BfdInstance {
        name: "peer".to_owned(),
        neighbour: neighbour.parse().expect("an address"),
        source: None,
        least_receive: MS * 50,
        least_send: MS * 50,
        idle_send: SECOND,
        multiplier: NonZeroU8::new(3).expect("3"),
        passive: false,
        time_to_live: 255,
        most_hops: 0,
        multihop: false,
        weighting: Weighting::FAULT,
    }
}

const ADDRESSES: [&str; 2] = ["192.0.2.1", "192.0.2.2"];

struct Wire {
    now: Duration,
    ends: [Sessions; 2],
    flying: BTreeMap<(Duration, u64), (usize, Datagram)>,
    number: u64,
    random: u64,
    loss: u64,
    delay: Duration,
    /// Which way nothing gets through.
    cut: [bool; 2],
    /// When which end was Up or not.
    changes: Vec<(Duration, usize, bool, Diagnostic)>,
    sent: Vec<(Duration, usize, Control)>,
}

impl Wire {
    fn new(one: &BfdInstance, other: &BfdInstance) -> Self {
        let now = SECOND * 10;
        Self {
            now,
            ends: [
                Sessions::new(std::slice::from_ref(one), 1, now),
                Sessions::new(std::slice::from_ref(other), 2, now),
            ],
            flying: BTreeMap::new(),
            number: 0,
            random: 1,
            loss: 0,
            delay: MS,
            cut: [false; 2],
            changes: Vec::new(),
            sent: Vec::new(),
        }
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.random >> 33) % 100 < percent
    }

    fn tell(&mut self, at: usize, event: &Event<'_>) -> Result<(), Refusal> {
        let mut actions = Vec::new();
        let result = self.ends[at].handle(self.now, event, &mut actions);
        self.carry_out(at, actions);
        result
    }

    fn carry_out(&mut self, at: usize, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Changed { up, why, .. } => self.changes.push((self.now, at, up, why)),
                Action::Send(datagram) => {
                    let control = Control::read(&datagram.bytes).expect("right");
                    self.sent.push((self.now, at, control));
                    let lost = self.chance(self.loss) || self.cut[at];
                    if !lost {
                        self.number += 1;
                        self.flying
                            .insert((self.now + self.delay, self.number), (1 - at, datagram));
                    }
                }
            }
        }
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let packet = self.flying.keys().next().map(|(when, _)| (*when, None));
            let ticks = [0, 1].into_iter();
            let ticks = ticks.filter_map(|at| Some((self.ends[at].next_deadline()?, Some(at))));
            let next = ticks.chain(packet).min_by_key(|(when, _)| *when);
            let Some((when, whom)) = next.filter(|(when, _)| *when <= end) else {
                break;
            };
            self.now = self.now.max(when);
            match whom {
                Some(at) => self.tell(at, &Event::Tick).expect("a tick"),
                None => {
                    let Some((_, (to, datagram))) = self.flying.pop_first() else {
                        break;
                    };
                    let source: IpAddr = ADDRESSES[1 - to].parse().expect("one");
                    let received = Received {
                        source,
                        port: datagram.port,
                        hop_limit: Some(datagram.hop_limit),
                        bytes: &datagram.bytes,
                    };
                    let _ = self.tell(to, &Event::Packet(received));
                }
            }
        }
        self.now = end;
    }

    fn state(&self, at: usize) -> State {
        self.ends[at].views()[0].state
    }
}

fn usual() -> Wire {
    Wire::new(&wanted(ADDRESSES[1]), &wanted(ADDRESSES[0]))
}

fn up() -> Wire {
    let mut wire = usual();
    wire.run(SECOND * 5);
    assert_eq!((wire.state(0), wire.state(1)), (State::Up, State::Up));
    wire
}

/// RFC 5880, 6.2: three packets are enough.
#[test]
fn both_come_up() {
    let mut wire = usual();
    wire.run(MS * 20);
    assert_eq!((wire.state(0), wire.state(1)), (State::Up, State::Up));
    let changes: Vec<_> = wire
        .changes
        .iter()
        .map(|(_, at, up, _)| (*at, *up))
        .collect();
    assert_eq!(changes.len(), 2);
    assert!(changes.iter().all(|(_, up)| *up));
}

/// RFC 5880, 6.8.4: their multiplier times the slower of their sending and our receiving.
#[test]
fn silence_is_detected_in_time() {
    let mut slow = wanted(ADDRESSES[0]);
    slow.multiplier = NonZeroU8::new(4).expect("4");
    slow.least_send = MS * 200;
    let mut wire = Wire::new(&wanted(ADDRESSES[1]), &slow);
    wire.run(SECOND * 5);
    assert_eq!(wire.ends[0].views()[0].detection_time, Some(MS * 800));
    assert_eq!(wire.ends[1].views()[0].detection_time, Some(MS * 150));
    wire.changes.clear();
    wire.cut[1] = true;
    let before = wire.now;
    wire.run(SECOND * 5);
    let (when, at, up, why) = wire.changes[0];
    assert_eq!((at, up, why), (0, false, Diagnostic::EXPIRED));
    let took = when - before;
    assert!(took <= MS * 801 && took >= MS * 600, "{took:?}");
    // The other end hears of it by the next packet.
    let (later, at, up, why) = wire.changes[1];
    assert_eq!((at, up, why), (1, false, Diagnostic::SIGNALLED));
    assert!(later - when <= MS * 5, "{:?}", later - when);
    wire.cut[1] = false;
    wire.run(SECOND * 5);
    assert_eq!((wire.state(0), wire.state(1)), (State::Up, State::Up));
}

/// RFC 5880, 6.8.3: not Up, it sends seldom; 6.8.7: with jitter between three quarters and all.
#[test]
fn packets_are_sent_with_jitter() {
    let mut wire = usual();
    wire.cut = [true, true];
    wire.run(SECOND * 60);
    let idle: Vec<Duration> = wire
        .sent
        .iter()
        .filter(|(_, at, _)| *at == 0)
        .map(|it| it.0)
        .collect();
    assert!((60..=82).contains(&idle.len()), "{}", idle.len());
    let mut wire = up();
    wire.sent.clear();
    wire.run(SECOND * 10);
    let times: Vec<Duration> = wire
        .sent
        .iter()
        .filter(|(_, at, _)| *at == 0)
        .map(|it| it.0)
        .collect();
    for pair in times.windows(2) {
        let gap = pair[1] - pair[0];
        assert!(gap >= MS * 75 / 2 && gap <= MS * 50, "{gap:?}");
    }
    assert_ne!(times[1] - times[0], times[2] - times[1]);
}

/// RFC 5880, 6.5: a change of intervals is polled until it is answered.
#[test]
fn changes_are_polled() {
    let mut wire = up();
    let polls = wire
        .sent
        .iter()
        .filter(|(_, _, control)| control.poll)
        .count();
    let answers = wire
        .sent
        .iter()
        .filter(|(_, _, control)| control.answers)
        .count();
    assert!(polls >= 2 && answers >= 2, "{polls} {answers}");
    assert!(
        wire.sent
            .iter()
            .all(|(_, _, control)| !(control.poll && control.answers))
    );
    wire.sent.clear();
    let mut slower = wanted(ADDRESSES[1]);
    slower.least_send = MS * 300;
    // The longer interval counts only when the other end knows of it: it is not taken for silence.
    wire.changes.clear();
    wire.tell(0, &Event::Reload(&[slower])).expect("a reload");
    wire.run(SECOND * 5);
    assert_eq!(wire.changes, []);
    assert_eq!(wire.ends[1].views()[0].detection_time, Some(MS * 900));
    assert_eq!(wire.ends[0].views()[0].send_interval, Some(MS * 300));
}

/// RFC 5880, 6.1: of two passive ends none begins.
#[test]
fn the_passive_end_waits() {
    let mut passive = wanted(ADDRESSES[0]);
    passive.passive = true;
    let mut wire = Wire::new(&wanted(ADDRESSES[1]), &passive);
    wire.cut[0] = true;
    wire.run(SECOND * 5);
    assert!(wire.sent.iter().all(|(_, at, _)| *at == 0));
    wire.cut[0] = false;
    wire.run(SECOND * 3);
    assert_eq!((wire.state(0), wire.state(1)), (State::Up, State::Up));
    let mut other = wanted(ADDRESSES[1]);
    other.passive = true;
    let mut both = Wire::new(&other, &passive);
    both.run(SECOND * 60);
    assert_eq!(both.sent, []);
}

/// RFC 5880, 6.8.16, and RFC 5882, 4.2.
#[test]
fn a_stop_is_said() {
    let mut wire = up();
    wire.changes.clear();
    wire.tell(0, &Event::Stop).expect("a stop");
    wire.run(MS * 10);
    // It is no failure (RFC 5882, 4.2).
    assert_eq!(wire.changes, []);
    assert_eq!(wire.state(1), State::Down);
    assert_eq!(wire.ends[1].views()[0].remote_state, Some(State::AdminDown));
    wire.sent.clear();
    wire.run(SECOND * 5);
    assert!(wire.sent.iter().all(|(_, at, _)| *at == 1));
}

/// RFC 5881, 5, and keepalived's max_hops.
#[test]
fn whoever_is_too_far_is_refused() {
    for (most_hops, hop_limit, taken) in [
        (0, 255, true),
        (0, 254, false),
        (2, 253, true),
        (2, 252, false),
        (255, 1, true),
    ] {
        let mut config = wanted(ADDRESSES[1]);
        config.most_hops = most_hops;
        let mut wire = Wire::new(&config, &wanted(ADDRESSES[0]));
        let received = Received {
            source: ADDRESSES[1].parse().expect("one"),
            port: 3784,
            hop_limit: Some(hop_limit),
            bytes: &down(7, 0).write(),
        };
        let result = wire.tell(0, &Event::Packet(received));
        let expected = if taken {
            Ok(())
        } else {
            Err(Refusal::HopLimit(hop_limit))
        };
        assert_eq!(result, expected, "{most_hops} {hop_limit}");
    }
}

fn down(mine: u32, yours: u32) -> Control {
    Control {
        diagnostic: Diagnostic::NONE,
        state: State::Down,
        poll: false,
        answers: false,
        demand: false,
        multiplier: 3,
        mine,
        yours,
        least_send: 1_000_000,
        least_receive: 50_000,
        least_echo: 0,
    }
}

/// What is wrong, from whom, to which port, the packet, and what becomes of it.
type Row = (
    &'static str,
    &'static str,
    u16,
    Vec<u8>,
    Result<(), Refusal>,
);

/// RFC 5880, 6.8.6, one by one.
#[test]
fn wrong_packets_have_their_reason() {
    let right = down(7, 0).write();
    let with = |at: usize, value: u8| {
        let mut bytes = right;
        bytes[at] = value;
        bytes.to_vec()
    };
    let malformed = |why| Err(Refusal::Malformed(why));
    let unanswered = Control {
        state: State::Up,
        ..down(7, 0)
    };
    let rows: [Row; 12] = [
        ("right", ADDRESSES[1], 3784, right.to_vec(), Ok(())),
        (
            "short",
            ADDRESSES[1],
            3784,
            right[..23].to_vec(),
            malformed(Malformed::Length),
        ),
        (
            "says less",
            ADDRESSES[1],
            3784,
            with(3, 23),
            malformed(Malformed::Length),
        ),
        (
            "says more",
            ADDRESSES[1],
            3784,
            with(3, 25),
            malformed(Malformed::Length),
        ),
        (
            "version",
            ADDRESSES[1],
            3784,
            with(0, 0x40),
            malformed(Malformed::Version(2)),
        ),
        (
            "multiplier",
            ADDRESSES[1],
            3784,
            with(2, 0),
            malformed(Malformed::Multiplier),
        ),
        (
            "multipoint",
            ADDRESSES[1],
            3784,
            with(1, 0x41),
            malformed(Malformed::Multipoint),
        ),
        (
            "authentication",
            ADDRESSES[1],
            3784,
            with(1, 0x44),
            malformed(Malformed::Authentication),
        ),
        (
            "no number",
            ADDRESSES[1],
            3784,
            down(0, 0).write().to_vec(),
            malformed(Malformed::Discriminator),
        ),
        (
            "another's number",
            ADDRESSES[1],
            3784,
            down(7, 99).write().to_vec(),
            Err(Refusal::Stranger),
        ),
        (
            "no number of ours, and Up",
            ADDRESSES[1],
            3784,
            unanswered.write().to_vec(),
            Err(Refusal::Unanswered),
        ),
        (
            "the other port",
            ADDRESSES[1],
            4784,
            right.to_vec(),
            Err(Refusal::Stranger),
        ),
    ];
    for (what, source, port, bytes, expected) in rows {
        let mut wire = usual();
        let received = Received {
            source: source.parse().expect("one"),
            port,
            hop_limit: Some(255),
            bytes: &bytes,
        };
        assert_eq!(wire.tell(0, &Event::Packet(received)), expected, "{what}");
    }
}

/// With a third of all packets lost, five that may be missed hold for long, and no state lasts for ever.
#[test]
fn loss_is_borne() {
    let mut lossy = wanted(ADDRESSES[1]);
    lossy.multiplier = NonZeroU8::new(30).expect("30");
    let mut other = lossy.clone();
    other.neighbour = ADDRESSES[0].parse().expect("one");
    let mut wire = Wire::new(&lossy, &other);
    wire.loss = 33;
    wire.run(SECOND * 20);
    assert_eq!((wire.state(0), wire.state(1)), (State::Up, State::Up));
    wire.changes.clear();
    wire.run(SECOND * 3600);
    assert_eq!(wire.changes, []);
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        numbers in any::<[u32; 5]>(),
        flags in any::<[bool; 3]>(),
        multiplier in 1..=255u8,
        state in 0..4usize,
    ) {
        let control = Control {
            state: State::ALL[state],
            poll: flags[0],
            answers: flags[1],
            demand: flags[2],
            multiplier,
            mine: numbers[0].max(1),
            yours: numbers[1],
            least_send: numbers[2],
            least_receive: numbers[3],
            least_echo: numbers[4],
            ..down(1, 0)
        };
        prop_assert_eq!(Control::read(&control.write()), Ok(control));
    }

    /// Whatever comes, the session goes on, and times stay times.
    #[test]
    fn any_packets_are_borne(
        packets in proptest::collection::vec((any::<[u8; LENGTH]>(), any::<bool>(), 0..300u64), 0..20),
    ) {
        let mut wire = usual();
        for (mut bytes, tame, pause) in packets {
            if tame {
                // Right by itself, with our number.
                bytes[0] = 0x20;
                bytes[1] &= 0xf8;
                bytes[2] = bytes[2].max(1);
                bytes[3] = LENGTH as u8;
                let ours = wire.sent.iter().find(|(_, at, _)| *at == 0).map_or(0, |(_, _, control)| control.mine);
                bytes[8..12].copy_from_slice(&ours.to_be_bytes());
            }
            let received = Received {
                source: ADDRESSES[1].parse().expect("one"),
                port: 3784,
                hop_limit: Some(255),
                bytes: &bytes,
            };
            let _ = wire.tell(0, &Event::Packet(received));
            wire.run(MS * pause as u32);
            prop_assert!(wire.sent.len() < 10_000);
        }
        wire.flying.clear();
        wire.run(SECOND * 30);
        prop_assert_eq!((wire.state(0), wire.state(1)), (State::Up, State::Up));
    }
}
