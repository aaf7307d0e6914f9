//! `[[track.script]]`, `[[track.file]]`, `[[track.process]]`, and the `track` of instances and groups.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::super::address::listen;
use super::super::reader::{Keys, Placed, Problems, Section, text};
use super::checks::Known;
use super::{
    ADDRESS, INTERFACE, LONGEST, address, entries, interface, or_problem, require, sections, truth,
};
use crate::model::vrrp::{
    TrackedAddress, TrackedBfd, TrackedFile, TrackedInterface, TrackedProcess, TrackedScript,
    Tracking, VrrpFile, VrrpProcess, VrrpScript, Weighting,
};
use crate::model::{InterfaceName, ServiceKey};

const SCRIPT: Keys = Keys {
    known: &[
        "name",
        "command",
        "user",
        "group",
        "interval",
        "timeout",
        "rise",
        "fall",
        "fails_first",
        "weight",
        "reverse",
    ],
    later: &[],
};
const FILE: Keys = Keys {
    known: &["name", "path", "factor", "reverse", "initial", "overwrite"],
    later: &[],
};
const PROCESS: Keys = Keys {
    known: &[
        "name",
        "program",
        "arguments",
        "least",
        "most",
        "delay_down",
        "delay_up",
        "weight",
        "reverse",
    ],
    later: &[],
};
const TRACK: Keys = Keys {
    known: &[
        "interfaces",
        "scripts",
        "files",
        "processes",
        "bfd",
        "services",
        "addresses",
        "own_interface",
    ],
    later: &[],
};
const TRACKED: Keys = Keys {
    known: &["name", "weight", "reverse"],
    later: &[],
};
const TRACKED_FILE: Keys = Keys {
    known: &["name", "factor", "reverse"],
    later: &[],
};
const LIST: &str = "expected a list of names, or of { name = \"...\", weight = 10 }";
const ADDRESSES: &str =
    "expected a list of addresses, or of { address = \"192.0.2.1\", interface = \"eth1\" }";
const TRACKED_ADDRESS: Keys = Keys {
    known: &["address", "interface"],
    later: &[],
};
const NAME: &str = "expected `name = \"...\"`";
/// From one run of a script to the next.
pub(crate) const SCRIPT_INTERVAL: Duration = Duration::from_secs(1);

pub(super) fn scripts(track: &Section<'_>, problems: &mut Problems) -> Vec<VrrpScript> {
    let mut scripts = Vec::new();
    for section in sections(track, "script", "[[track.script]]", &SCRIPT, problems) {
        require(
            &section,
            &[
                ("name", NAME),
                ("command", "expected `command = \"/path\"`"),
            ],
            problems,
        );
        let least = Duration::from_millis(10);
        let interval = section.duration("interval", least..=LONGEST, problems);
        let interval = interval.unwrap_or(SCRIPT_INTERVAL);
        let timeout = section.duration("timeout", least..=LONGEST, problems);
        let mut times = |key| {
            let times = section.number(key, 1..=u32::MAX, problems);
            times.and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN)
        };
        let (rise, fall) = (times("rise"), times("fall"));
        let fails_first = truth(&section, "fails_first", problems);
        let weighting = weighting(&section, problems);
        let user = section.user(problems);
        let script = section.script("command", problems);
        if let (Some(name), Some(mut script)) = (section.text("name", problems), script) {
            script.user = script.user.or(user);
            scripts.push(VrrpScript {
                name: name.value.to_owned(),
                script,
                interval,
                timeout: timeout.unwrap_or(interval),
                rise,
                fall,
                fails_first,
                weighting: weighting.unwrap_or(Weighting::FAULT),
            });
        }
    }
    scripts
}

pub(super) fn files(track: &Section<'_>, problems: &mut Problems) -> Vec<VrrpFile> {
    let mut files = Vec::new();
    for section in sections(track, "file", "[[track.file]]", &FILE, problems) {
        require(
            &section,
            &[("name", NAME), ("path", "expected `path = \"/run/...\"`")],
            problems,
        );
        let factor = section.signed("factor", problems).unwrap_or(1);
        let reverse = truth(&section, "reverse", problems);
        let initial = section.signed("initial", problems);
        let overwrite = truth(&section, "overwrite", problems);
        let (name, path) = (
            section.text("name", problems),
            section.text("path", problems),
        );
        if let (Some(name), Some(path)) = (name, path) {
            files.push(VrrpFile {
                name: name.value.to_owned(),
                path: PathBuf::from(path.value),
                factor,
                reverse,
                initial: initial.map(|initial| (initial, overwrite)),
            });
        }
    }
    files
}

pub(super) fn processes(track: &Section<'_>, problems: &mut Problems) -> Vec<VrrpProcess> {
    let mut processes = Vec::new();
    for section in sections(track, "process", "[[track.process]]", &PROCESS, problems) {
        require(
            &section,
            &[
                ("name", NAME),
                ("program", "expected `program = \"named\"`"),
            ],
            problems,
        );
        let least = section.number("least", 0..=u32::MAX, problems).unwrap_or(1);
        let most = section.number("most", 0..=u32::MAX, problems);
        let none = Duration::ZERO;
        let mut delay = |key| {
            section
                .duration(key, none..=LONGEST, problems)
                .unwrap_or(none)
        };
        let (delay_down, delay_up) = (delay("delay_down"), delay("delay_up"));
        let arguments = section.get("arguments").map(|_| {
            let expected = "expected a list of words";
            entries(
                &section,
                "arguments",
                expected,
                problems,
                |value, problems| {
                    let word = text(value, "a word of `arguments`", expected, problems)?;
                    Some(word.value.to_owned())
                },
            )
        });
        let weighting = weighting(&section, problems).unwrap_or(Weighting::FAULT);
        let (name, program) = (
            section.text("name", problems),
            section.text("program", problems),
        );
        if let (Some(name), Some(program)) = (name, program) {
            processes.push(VrrpProcess {
                name: name.value.to_owned(),
                program: program.value.to_owned(),
                arguments,
                least,
                most,
                delay_down,
                delay_up,
                weighting,
            });
        }
    }
    processes
}

/// Nothing when neither a weight nor a direction is said.
pub(super) fn weighting(section: &Section<'_>, problems: &mut Problems) -> Option<Weighting> {
    let weight = section.signed("weight", problems);
    let reverse = section.truth("reverse", problems);
    if let (Some(value), Some(weight)) = (section.get("weight"), weight)
        && !(-253..=253).contains(&weight)
    {
        let message = "`weight` is out of its range";
        problems.add(
            value.span(),
            message,
            "expected a whole number from -253 to 253",
        );
        return None;
    }
    let reverse_is = reverse.unwrap_or(false);
    match (weight, reverse) {
        (None, None) => None,
        (None | Some(0), _) => Some(Weighting::Fault {
            reverse: reverse_is,
        }),
        // Within the range.
        (Some(weight), _) => Some(Weighting::Add {
            weight: weight as i16,
            reverse: reverse_is,
        }),
    }
}

/// The `track` of an instance or a group.
pub(super) fn tracking(section: &Section<'_>, known: &Known, problems: &mut Problems) -> Tracking {
    let value = section.get("track");
    let track = value.and_then(|value| Section::of_value(value, "`track`", &TRACK, problems));
    let Some(track) = track else {
        return Tracking::default();
    };
    let own_interface = track.truth("own_interface", problems).unwrap_or(true);
    let script = |value, problems: &mut Problems| {
        let (name, weighting) = tracked(value, "script", &known.scripts, problems)?;
        Some(TrackedScript { name, weighting })
    };
    let process = |value, problems: &mut Problems| {
        let (name, weighting) = tracked(value, "process", &known.processes, problems)?;
        Some(TrackedProcess { name, weighting })
    };
    let session = |value, problems: &mut Problems| {
        let (name, weighting) = tracked(value, "BFD session", &known.sessions, problems)?;
        Some(TrackedBfd { name, weighting })
    };
    Tracking {
        interfaces: entries(&track, "interfaces", LIST, problems, tracked_interface),
        scripts: entries(&track, "scripts", LIST, problems, script),
        files: entries(&track, "files", LIST, problems, |value, problems| {
            tracked_file(value, known, problems)
        }),
        processes: entries(&track, "processes", LIST, problems, process),
        bfd: entries(&track, "bfd", LIST, problems, session),
        services: entries(&track, "services", LIST, problems, |value, problems| {
            tracked_service(value, known, problems)
        }),
        addresses: entries(&track, "addresses", ADDRESSES, problems, tracked_address),
        own_interface_ignored: !own_interface,
    }
}

/// A name, or a table with a name and a weight.
fn named<'a>(
    value: &'a Spanned<DeValue<'a>>,
    keys: &Keys,
    problems: &mut Problems,
) -> Option<(Placed<&'a str>, Option<Section<'a>>)> {
    if let DeValue::String(name) = value.get_ref() {
        let name = Placed {
            value: name.as_ref(),
            span: value.span(),
        };
        return Some((name, None));
    }
    let section = Section::of_value(value, "an entry", keys, problems)?;
    require(&section, &[("name", NAME)], problems);
    let name = section.text("name", problems)?;
    Some((name, Some(section)))
}

fn tracked(
    value: &Spanned<DeValue<'_>>,
    what: &str,
    known: &[String],
    problems: &mut Problems,
) -> Option<(String, Option<Weighting>)> {
    let (name, section) = named(value, &TRACKED, problems)?;
    let weighting = section.and_then(|section| weighting(&section, problems));
    Known::check(known, what, &name, problems);
    Some((name.value.to_owned(), weighting))
}

fn tracked_file(
    value: &Spanned<DeValue<'_>>,
    known: &Known,
    problems: &mut Problems,
) -> Option<TrackedFile> {
    let (name, section) = named(value, &TRACKED_FILE, problems)?;
    Known::check(&known.files, "file", &name, problems);
    let factor = section
        .as_ref()
        .and_then(|section| section.signed("factor", problems));
    let reverse = section
        .as_ref()
        .is_some_and(|section| truth(section, "reverse", problems));
    Some(TrackedFile {
        name: name.value.to_owned(),
        factor,
        reverse,
    })
}

fn tracked_interface(
    value: &Spanned<DeValue<'_>>,
    problems: &mut Problems,
) -> Option<TrackedInterface> {
    let (name, section) = named(value, &TRACKED, problems)?;
    let weighting = section.and_then(|section| weighting(&section, problems));
    let interface = InterfaceName::new(name.value);
    let interface = or_problem(interface, "interface", &name, INTERFACE, problems)?;
    Some(TrackedInterface {
        interface,
        weighting: weighting.unwrap_or(Weighting::FAULT),
    })
}

fn tracked_service(
    value: &Spanned<DeValue<'_>>,
    known: &Known,
    problems: &mut Problems,
) -> Option<(ServiceKey, Weighting)> {
    let (name, section) = named(value, &TRACKED, problems)?;
    let weighting = section.and_then(|section| weighting(&section, problems));
    match listen(name.value) {
        Ok(key) => {
            if !known.services.contains(&key) {
                let message = format!("there is no service `{}`", name.value);
                let expected = "expected one that a [[service]] of this file listens on";
                problems.add(name.span, message, expected);
            }
            Some((key, weighting.unwrap_or(Weighting::FAULT)))
        }
        Err((message, expected)) => {
            problems.add(name.span, message, expected);
            None
        }
    }
}

fn tracked_address(
    value: &Spanned<DeValue<'_>>,
    problems: &mut Problems,
) -> Option<TrackedAddress> {
    if let DeValue::String(text) = value.get_ref() {
        let text = Placed {
            value: text.as_ref(),
            span: value.span(),
        };
        let address = or_problem(text.value.parse().ok(), "address", &text, ADDRESS, problems)?;
        return Some(TrackedAddress {
            address,
            interface: None,
        });
    }
    let section = Section::of_value(value, "an address", &TRACKED_ADDRESS, problems)?;
    require(&section, &[("address", ADDRESS)], problems);
    let interface = interface(&section, "interface", problems);
    Some(TrackedAddress {
        address: address(&section, "address", problems)?,
        interface,
    })
}
