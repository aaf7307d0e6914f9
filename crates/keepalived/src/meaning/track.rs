//! What instances and groups depend on.

use std::num::NonZeroU32;
use std::time::Duration;

use weir_config::model::vrrp::{
    TrackedBfd, TrackedFile, TrackedInterface, TrackedProcess, TrackedScript, Tracking, VrrpFile,
    VrrpProcess, VrrpScript, Weighting,
};

use super::check::factor;
use super::values::{LONG, Troubles};
use crate::grammar::Node;
use crate::language::place::Trouble;
use crate::language::{Statement, Word};

/// What follows where nothing is said.
pub(super) const FAULT: Weighting = Weighting::Fault { reverse: false };

/// The names that can be tracked.
pub(super) struct Trackable<'a> {
    pub(super) scripts: &'a [VrrpScript],
    pub(super) files: &'a [VrrpFile],
    pub(super) processes: &'a [VrrpProcess],
    pub(super) sessions: &'a [String],
}

/// The `track_...` blocks of an instance or a group.
pub(super) fn tracking(node: &Node, known: &Trackable<'_>, troubles: &mut Troubles) -> Tracking {
    let mut tracking = Tracking::default();
    for inner in &node.nodes {
        for line in &inner.lines {
            let word = &line.words[0];
            let name = word.text.clone();
            match inner.name() {
                "track_interface" => {
                    let weighting = weighting(line, troubles).unwrap_or(FAULT);
                    if let Some(interface) = troubles.interface_in(word) {
                        let same = |tracked: &TrackedInterface| tracked.interface == interface;
                        if !twice(tracking.interfaces.iter().any(same), word, troubles) {
                            tracking.interfaces.push(TrackedInterface {
                                interface,
                                weighting,
                            });
                        }
                    }
                }
                "track_script" => {
                    let found = known.scripts.iter().any(|script| script.name == name);
                    let same = tracking.scripts.iter().any(|tracked| tracked.name == name);
                    let weighting = weighting(line, troubles);
                    if !troubles.left_out.contains(&name)
                        && is_known(found, "vrrp_script", word, troubles)
                        && !twice(same, word, troubles)
                    {
                        tracking.scripts.push(TrackedScript { name, weighting });
                    }
                }
                "track_process" => {
                    let found = known.processes.iter().any(|process| process.name == name);
                    let same = tracking
                        .processes
                        .iter()
                        .any(|tracked| tracked.name == name);
                    let weighting = weighting(line, troubles);
                    if is_known(found, "vrrp_track_process", word, troubles)
                        && !twice(same, word, troubles)
                    {
                        tracking.processes.push(TrackedProcess { name, weighting });
                    }
                }
                "track_bfd" => {
                    let found = known.sessions.contains(&name);
                    let same = tracking.bfd.iter().any(|tracked| tracked.name == name);
                    let weighting = weighting(line, troubles);
                    if is_known(found, "bfd_instance", word, troubles)
                        && !twice(same, word, troubles)
                    {
                        tracking.bfd.push(TrackedBfd { name, weighting });
                    }
                }
                "track_file" => {
                    let found = known.files.iter().any(|file| file.name == name);
                    let same = tracking.files.iter().any(|tracked| tracked.name == name);
                    let weight = weight(line, 254, troubles);
                    if is_known(found, "track_file", word, troubles) && !twice(same, word, troubles)
                    {
                        tracking.files.push(TrackedFile {
                            name,
                            factor: weight.map(|(factor, _)| factor),
                            reverse: weight.is_some_and(|(_, reverse)| reverse),
                        });
                    }
                }
                _ => {}
            }
        }
        if inner.name() == "dont_track_primary" {
            tracking.own_interface_ignored = true;
        }
    }
    tracking
}

fn is_known(found: bool, kind: &str, word: &Word, troubles: &mut Troubles) -> bool {
    if !found {
        let message = format!("there is no {kind} `{}`", word.text);
        troubles.error(word.place, message, "expected the name of one");
    }
    found
}

fn twice(same: bool, word: &Word, troubles: &mut Troubles) -> bool {
    if same {
        let message = format!("`{}` is tracked twice", word.text);
        troubles.push(Trouble::warning(
            word.place,
            message,
            "only the first one counts",
        ));
    }
    same
}

/// `NAME weight NUMBER [reverse|noreverse]`.
fn weight(line: &Statement, most: i32, troubles: &mut Troubles) -> Option<(i32, bool)> {
    let word = line.words.get(1)?;
    if word.text != "weight" {
        troubles.wrong(word, "expected `weight NUMBER [reverse]` or nothing");
        return None;
    }
    let Some(number) = line.words.get(2) else {
        troubles.wrong(word, "expected a number behind it");
        return None;
    };
    let number = troubles.signed_in(number, -most..=most)?;
    let reverse = match line.words.get(3) {
        None => false,
        Some(word) => reverse(word, troubles),
    };
    Some((number, reverse))
}

fn reverse(word: &Word, troubles: &mut Troubles) -> bool {
    match word.text.as_str() {
        "reverse" => true,
        "noreverse" => false,
        _ => {
            troubles.wrong(word, "expected `reverse` or nothing");
            false
        }
    }
}

fn weighting(line: &Statement, troubles: &mut Troubles) -> Option<Weighting> {
    let (number, reverse) = weight(line, 254, troubles)?;
    Some(of_number(number, reverse, &line.words[0], troubles))
}

fn of_number(number: i32, reverse: bool, word: &Word, troubles: &mut Troubles) -> Weighting {
    if number == 0 {
        return Weighting::Fault { reverse };
    }
    if number.abs() == 254 {
        let message = "priorities differ by at most 253";
        troubles.warning(word.place, message, "253 is taken, as keepalived does");
    }
    Weighting::Add {
        weight: number.clamp(-253, 253) as i16,
        reverse,
    }
}

/// `weight NUMBER [reverse]` of a script, a process or a session.
pub(super) fn own_weighting(node: &Node, most: i32, troubles: &mut Troubles) -> Weighting {
    let Some(word) = troubles.word(node) else {
        return FAULT;
    };
    let Some(number) = troubles.signed_in(word, -most..=most) else {
        return FAULT;
    };
    let reverse = match node.words().get(1) {
        None => false,
        Some(word) => reverse(word, troubles),
    };
    of_number(number, reverse, word, troubles)
}

/// `vrrp_script`
pub(super) fn script(node: &Node, troubles: &mut Troubles) -> Option<VrrpScript> {
    let name = troubles.word(node)?.text.clone();
    let Some(command) = node.last("script") else {
        let message = format!("vrrp_script `{name}` has no script");
        troubles.error(node.place(), message, "expected `script COMMAND` in it");
        return None;
    };
    let Some(mut script) = troubles.script(command) else {
        // What is wrong with it is said, and need not be said of who tracks it.
        troubles.left_out.push(name);
        return None;
    };
    script.user = None;
    let mut interval = Duration::from_secs(1);
    let mut timeout = None;
    let mut found = VrrpScript {
        name,
        script,
        interval,
        timeout: interval,
        rise: NonZeroU32::MIN,
        fall: NonZeroU32::MIN,
        fails_first: false,
        weighting: FAULT,
    };
    for inner in &node.nodes {
        match inner.name() {
            "interval" => interval = time(inner, troubles).unwrap_or(interval),
            "timeout" => timeout = time(inner, troubles),
            "rise" => found.rise = times(inner, troubles).unwrap_or(found.rise),
            "fall" => found.fall = times(inner, troubles).unwrap_or(found.fall),
            "weight" => found.weighting = own_weighting(inner, 253, troubles),
            "user" => found.script.user = troubles.user(inner, 0),
            "init_fail" => found.fails_first = true,
            _ => {}
        }
    }
    (found.interval, found.timeout) = (interval, timeout.unwrap_or(interval));
    Some(found)
}

/// Where 0 is said, 1 is taken.
fn time(node: &Node, troubles: &mut Troubles) -> Option<Duration> {
    let time = troubles.seconds(node, 3, Duration::ZERO..=LONG)?;
    if time.is_zero() {
        let message = format!("`{}` is 0", node.name());
        troubles.warning(
            node.place(),
            message,
            "1 second is taken, as keepalived does",
        );
        return Some(Duration::from_secs(1));
    }
    Some(time)
}

fn times(node: &Node, troubles: &mut Troubles) -> Option<NonZeroU32> {
    NonZeroU32::new(troubles.number(node, 1..=0x7fff_ffff)?)
}

/// `track_file`
pub(super) fn file(node: &Node, troubles: &mut Troubles) -> Option<VrrpFile> {
    let name = troubles.word(node)?.text.clone();
    let Some(path) = node.last("file") else {
        let message = format!("track_file `{name}` has no file");
        troubles.error(node.place(), message, "expected `file PATH` in it");
        return None;
    };
    let path = troubles.word(path)?;
    if !path.text.starts_with('/') {
        troubles.wrong(path, "expected a path that begins with `/`");
        return None;
    }
    let weight = node.last("weight").and_then(|node| factor(node, troubles));
    let (factor, reverse) = weight.unwrap_or((1, false));
    let mut initial = None;
    if let Some(init) = node.last("init_file") {
        let (mut number, mut overwrite) = (0, false);
        for word in init.words() {
            if word.text == "overwrite" {
                overwrite = true;
            } else {
                number = troubles.signed_in(word, i32::MIN..=i32::MAX).unwrap_or(0);
            }
        }
        initial = Some((number, overwrite));
    }
    Some(VrrpFile {
        name,
        path: path.text.clone().into(),
        factor,
        reverse,
        initial,
    })
}

/// `vrrp_track_process`
pub(super) fn process(node: &Node, troubles: &mut Troubles) -> Option<VrrpProcess> {
    let name = troubles.word(node)?.text.clone();
    let Some(process) = node.last("process") else {
        let message = format!("vrrp_track_process `{name}` has no process");
        troubles.error(node.place(), message, "expected `process NAME` in it");
        return None;
    };
    let program = troubles.word(process)?.text.clone();
    let arguments: Vec<String> = process.words()[1..]
        .iter()
        .map(|w| w.text.clone())
        .collect();
    let matched = node.last("param_match");
    if let Some(word) = matched.and_then(|node| node.words().first()) {
        let message = "Weir compares all arguments or none";
        troubles.error(
            word.place,
            message,
            "expected `param_match` without a word, or none",
        );
    }
    let mut found = VrrpProcess {
        name,
        program,
        arguments: (!arguments.is_empty() || matched.is_some()).then_some(arguments),
        least: 1,
        most: None,
        delay_down: Duration::ZERO,
        delay_up: Duration::ZERO,
        weighting: FAULT,
    };
    for inner in &node.nodes {
        let delay = |troubles: &mut Troubles| {
            let range = Duration::ZERO..=Duration::from_secs(3600);
            troubles.seconds(inner, 6, range).unwrap_or(Duration::ZERO)
        };
        match inner.name() {
            "quorum" => found.least = troubles.number(inner, 1..=65535).unwrap_or(1),
            "quorum_max" => found.most = troubles.number(inner, 0..=65535),
            "delay" => {
                found.delay_up = delay(troubles);
                found.delay_down = found.delay_up;
            }
            "fork_delay" => found.delay_up = delay(troubles),
            "terminate_delay" => found.delay_down = delay(troubles),
            "weight" => found.weighting = own_weighting(inner, 254, troubles),
            "full_command" if found.arguments.is_none() => {
                let message = "the whole command line is compared";
                troubles.note(
                    inner.place(),
                    message,
                    "Weir compares program and arguments",
                );
                found.arguments = Some(Vec::new());
            }
            _ => {}
        }
    }
    if found.most == Some(0) {
        found.least = 0;
    }
    if found.most.is_some_and(|most| most < found.least) {
        let message = "the quorum is greater than the greatest number";
        troubles.error(
            node.place(),
            message,
            "expected `quorum` up to `quorum_max`",
        );
    }
    Some(found)
}
