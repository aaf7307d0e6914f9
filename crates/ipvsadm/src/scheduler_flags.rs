//! The scheduler flags of `-b`, by name.

use crate::command::SchedulerFlags;
use crate::exit::Exit;

/// So many bytes of `-b` are read.
pub(crate) const LONGEST: usize = 127;

/// Reads names separated by commas. Names that belong to one scheduler need that scheduler.
pub(crate) fn read(text: &str, scheduler: &str) -> Result<SchedulerFlags, Exit> {
    let mut flags = SchedulerFlags::default();
    for name in text.split(',').filter(|name| !name.is_empty()) {
        let (owner, flag) = match name {
            "flag-1" => (None, &mut flags.first),
            "flag-2" => (None, &mut flags.second),
            "flag-3" => (None, &mut flags.third),
            "sh-fallback" => (Some("sh"), &mut flags.first),
            "sh-port" => (Some("sh"), &mut flags.second),
            "mh-fallback" => (Some("mh"), &mut flags.first),
            "mh-port" => (Some("mh"), &mut flags.second),
            _ => return Err(Exit::usage(format!("invalid scheduler flag `{name}'"))),
        };
        *flag = true;
        if owner.is_some_and(|owner| owner != scheduler) {
            return Err(Exit::usage(format!("incompatible scheduler flag `{name}'")));
        }
    }
    Ok(flags)
}

/// Writes the names of those set. `flag-3` has none with sh and mh.
pub(crate) fn written(flags: SchedulerFlags, scheduler: &str) -> String {
    let names = match scheduler {
        "sh" => ["sh-fallback", "sh-port", ""],
        "mh" => ["mh-fallback", "mh-port", ""],
        _ => ["flag-1", "flag-2", "flag-3"],
    };
    [flags.first, flags.second, flags.third]
        .into_iter()
        .zip(names)
        .filter(|&(set, name)| set && !name.is_empty())
        .map(|(_, name)| name)
        .collect::<Vec<_>>()
        .join(",")
}
