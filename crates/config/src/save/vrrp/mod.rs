//! `[vrrp]` and what belongs to it.

mod address;
mod instance;
mod track;

use std::fmt::Write;
use std::time::Duration;

use super::raw::{self, Entries};
use crate::file::duration::show;
use crate::file::vrrp::bfd::{IDLE_SEND, LEAST_INTERVAL, MULTIPLIER};
use crate::model::SyncRole;
use crate::model::vrrp::{BfdInstance, FollowingSync, SyncGroup, Vrrp};

/// All sections, those that others refer to first.
pub(super) fn sections(vrrp: &Vrrp) -> Vec<String> {
    let mut sections = Vec::new();
    sections.extend(
        vrrp.scripts
            .iter()
            .map(|it| section("[[track.script]]", &track::script(it))),
    );
    sections.extend(
        vrrp.files
            .iter()
            .map(|it| section("[[track.file]]", &track::file(it))),
    );
    let processes = vrrp.processes.iter();
    sections.extend(processes.map(|it| section("[[track.process]]", &track::process(it))));
    sections.extend(
        vrrp.bfd
            .iter()
            .map(|session| section("[[bfd]]", &bfd(session))),
    );
    let own = own(vrrp);
    if !own.is_empty() {
        sections.push(section("[vrrp]", &own));
    }
    let instances = vrrp.instances.iter();
    sections.extend(instances.map(|it| section("[[vrrp.instance]]", &instance::instance(it))));
    sections.extend(
        vrrp.groups
            .iter()
            .map(|it| section("[[vrrp.group]]", &group(it))),
    );
    sections
}

fn section(name: &str, entries: &Entries) -> String {
    let mut text = format!("{name}\n");
    for (key, value) in entries {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{key} = {value}");
    }
    text
}

/// What is not the default.
struct Differing(Entries);

impl Differing {
    fn flag(&mut self, key: &'static str, is: bool) {
        if is {
            self.0.push((key, raw::value(true)));
        }
    }

    fn time(&mut self, key: &'static str, is: Duration, usual: Duration) {
        if is != usual {
            self.0.push((key, raw::value(show(is))));
        }
    }

    fn number(&mut self, key: &'static str, is: impl Into<i64>, usual: i64) {
        let is = is.into();
        if is != usual {
            self.0.push((key, raw::value(is)));
        }
    }

    fn number_if(&mut self, key: &'static str, is: Option<impl Into<i64>>) {
        self.0.extend(is.map(|is| (key, raw::value(is.into()))));
    }

    fn text(&mut self, key: &'static str, is: Option<impl ToString>) {
        self.0
            .extend(is.map(|is| (key, raw::value(is.to_string()))));
    }

    fn list(&mut self, key: &'static str, values: &[String]) {
        if !values.is_empty() {
            self.0.push((key, raw::list(values)));
        }
    }

    fn table(&mut self, key: &'static str, entries: &Entries) {
        if !entries.is_empty() {
            self.0.push((key, raw::table(entries)));
        }
    }
}

fn own(vrrp: &Vrrp) -> Entries {
    let mut own = Differing(Entries::new());
    own.time("startup_delay", vrrp.startup_delay, Duration::ZERO);
    own.time("delay_after_boot", vrrp.delay_after_boot, Duration::ZERO);
    own.time(
        "announcement_interval",
        vrrp.announcement_interval,
        Duration::ZERO,
    );
    own.number("realtime_priority", vrrp.realtime_priority, 0);
    own.list("addresses", &address::addresses(&vrrp.static_addresses));
    own.list("routes", &address::routes(&vrrp.static_routes));
    own.list("rules", &address::rules(&vrrp.static_rules));
    if let Some(sync) = &vrrp.sync_daemon {
        own.table("sync_daemon", &sync_daemon(sync));
    }
    own.0
}

fn sync_daemon(sync: &FollowingSync) -> Entries {
    let daemon = &sync.daemon;
    let mut entries = Differing(Entries::new());
    entries.text("interface", Some(&daemon.interface));
    entries.text("instance", sync.instance.as_ref());
    if daemon.role != SyncRole::Backup {
        entries.text("role", Some(daemon.role.name()));
    }
    entries.text("beside", sync.beside.map(SyncRole::name));
    entries.number("sync_id", daemon.sync_id, 0);
    entries.number_if("max_length", daemon.max_length);
    entries.text("group", daemon.group);
    entries.number_if("port", daemon.port);
    entries.number_if("ttl", daemon.ttl);
    entries.0
}

fn group(group: &SyncGroup) -> Entries {
    let mut entries = Differing(Entries::new());
    entries.text("name", Some(&group.name));
    let members = group
        .members
        .iter()
        .map(|member| raw::value(member.as_str()));
    entries
        .0
        .push(("members", raw::list(&members.collect::<Vec<_>>())));
    entries.table("track", &track::tracking(&group.tracking));
    entries.flag("weights_count", group.weights_count);
    entries.table("notify", &instance::notify(&group.notify));
    entries.0
}

fn bfd(session: &BfdInstance) -> Entries {
    let mut entries = Differing(Entries::new());
    entries.text("name", Some(&session.name));
    entries.text("neighbour", Some(session.neighbour));
    entries.text("source", session.source);
    entries.time("least_receive", session.least_receive, LEAST_INTERVAL);
    entries.time("least_send", session.least_send, LEAST_INTERVAL);
    entries.time("idle_send", session.idle_send, IDLE_SEND);
    entries.number(
        "multiplier",
        session.multiplier.get(),
        MULTIPLIER.get().into(),
    );
    entries.flag("passive", session.passive);
    entries.number("hop_limit", session.time_to_live, 255);
    entries.number("most_hops", session.most_hops, 0);
    entries.flag("multihop", session.multihop);
    entries.0.extend(track::weighting(session.weighting));
    entries.0
}
