//! What is tracked.

use std::time::Duration;

use super::super::raw::{self, Entries};
use super::super::{listen, notifications};
use super::Differing;
use crate::file::vrrp::track::SCRIPT_INTERVAL;
use crate::model::vrrp::{Tracking, VrrpFile, VrrpProcess, VrrpScript, Weighting};

pub(super) fn script(script: &VrrpScript) -> Entries {
    let mut entries = Differing(Entries::new());
    entries.text("name", Some(&script.name));
    entries
        .0
        .push(("command", notifications::script(&script.script)));
    entries.time("interval", script.interval, SCRIPT_INTERVAL);
    entries.time("timeout", script.timeout, script.interval);
    entries.number("rise", script.rise.get(), 1);
    entries.number("fall", script.fall.get(), 1);
    entries.flag("fails_first", script.fails_first);
    entries.0.extend(weighting(script.weighting));
    entries.0
}

pub(super) fn file(file: &VrrpFile) -> Entries {
    let mut entries = Differing(Entries::new());
    entries.text("name", Some(&file.name));
    entries.0.push(("path", raw::path(&file.path)));
    entries.number("factor", file.factor, 1);
    entries.flag("reverse", file.reverse);
    entries.number_if("initial", file.initial.map(|(initial, _)| initial));
    entries.flag(
        "overwrite",
        file.initial.is_some_and(|(_, overwrite)| overwrite),
    );
    entries.0
}

pub(super) fn process(process: &VrrpProcess) -> Entries {
    let mut entries = Differing(Entries::new());
    entries.text("name", Some(&process.name));
    entries.text("program", Some(&process.program));
    if let Some(arguments) = &process.arguments {
        let words = arguments.iter().map(|word| raw::value(word.as_str()));
        entries
            .0
            .push(("arguments", raw::list(&words.collect::<Vec<_>>())));
    }
    entries.number("least", process.least, 1);
    entries.number_if("most", process.most);
    entries.time("delay_down", process.delay_down, Duration::ZERO);
    entries.time("delay_up", process.delay_up, Duration::ZERO);
    entries.0.extend(weighting(process.weighting));
    entries.0
}

/// Nothing for what is usual.
pub(super) fn weighting(weighting: Weighting) -> Entries {
    let mut entries = Differing(Entries::new());
    match weighting {
        Weighting::Fault { reverse } => entries.flag("reverse", reverse),
        Weighting::Add { weight, reverse } => {
            entries.number_if("weight", Some(weight));
            entries.flag("reverse", reverse);
        }
    }
    entries.0
}

pub(super) fn tracking(tracking: &Tracking) -> Entries {
    let mut entries = Differing(Entries::new());
    let usual = |name: &str, is: Weighting| named(name, weighting(is));
    let own = |name: &str, is: Option<Weighting>| match is {
        None => raw::value(name),
        Some(Weighting::Fault { reverse }) => {
            let said = vec![("weight", raw::value(0)), ("reverse", raw::value(reverse))];
            named(name, said)
        }
        Some(is @ Weighting::Add { .. }) => named(name, weighting(is)),
    };
    let interfaces = tracking.interfaces.iter();
    let interfaces = interfaces.map(|it| usual(it.interface.as_str(), it.weighting));
    entries.list("interfaces", &interfaces.collect::<Vec<_>>());
    let scripts = tracking
        .scripts
        .iter()
        .map(|it| own(&it.name, it.weighting));
    entries.list("scripts", &scripts.collect::<Vec<_>>());
    let files = tracking.files.iter().map(|it| {
        let mut said = Differing(Entries::new());
        said.number_if("factor", it.factor);
        said.flag("reverse", it.reverse);
        named(&it.name, said.0)
    });
    entries.list("files", &files.collect::<Vec<_>>());
    let processes = tracking
        .processes
        .iter()
        .map(|it| own(&it.name, it.weighting));
    entries.list("processes", &processes.collect::<Vec<_>>());
    let sessions = tracking.bfd.iter().map(|it| own(&it.name, it.weighting));
    entries.list("bfd", &sessions.collect::<Vec<_>>());
    let services = tracking
        .services
        .iter()
        .map(|(key, is)| usual(&listen(*key), *is));
    entries.list("services", &services.collect::<Vec<_>>());
    let addresses = tracking.addresses.iter().map(|it| {
        let address = it.address.to_string();
        match &it.interface {
            None => raw::value(address),
            Some(interface) => raw::table(&vec![
                ("address", raw::value(address)),
                ("interface", raw::value(interface.as_str())),
            ]),
        }
    });
    entries.list("addresses", &addresses.collect::<Vec<_>>());
    if tracking.own_interface_ignored {
        entries.0.push(("own_interface", raw::value(false)));
    }
    entries.0
}

/// A name where nothing else is said.
fn named(name: &str, said: Entries) -> String {
    if said.is_empty() {
        return raw::value(name);
    }
    let mut entries = vec![("name", raw::value(name))];
    entries.extend(said);
    raw::table(&entries)
}
