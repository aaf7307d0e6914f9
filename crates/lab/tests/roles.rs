//! What keeps a director's role (a daemon that is replaced, or killed and started again), what takes it (packet programs that are
//! gone), and what goes with it beside the addresses: the sync daemons, checks that rest on a Backup.
#![cfg(feature = "privileged")]

mod common;

use common::weir;
use std::fs;
use std::path::Path;
use std::time::Duration;
use weir_lab::{Keeper, PairSite, Signal, until};

/// Nothing takes longer than a few seconds, but on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

fn says(site: &PairSite, director: usize, line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    let said = site.pair.weir(director, &weir(), &words);
    let said = said.expect("weir runs");
    String::from_utf8_lossy(&[said.stdout, said.stderr].concat()).into_owned()
}

fn wait(site: &PairSite, what: &str, mut condition: impl FnMut() -> bool) {
    until(what, PATIENCE, &mut condition).unwrap_or_else(|error| {
        let logs: Vec<String> = site.keepers.iter().map(|keeper| keeper.said()).collect();
        panic!("{error}\n{}", logs.join("\n---\n"))
    });
}

/// A site whose first director is Active.
fn site() -> PairSite {
    let site = PairSite::new(Keeper::Weir(weir())).expect("a site");
    wait(&site, "the first director Active", || {
        site.pair.active().is_ok_and(|active| active == [0])
    });
    site
}

/// Lets both directors read their file again with this instead of that.
fn change(site: &PairSite, from: &str, to: &str) {
    for (number, keeper) in site.keepers.iter().enumerate() {
        let file = site.pair.file(number);
        let text = fs::read_to_string(&file).expect("a file");
        let changed = text.replacen(from, to, 1);
        assert_ne!(text, changed, "{from}");
        fs::write(&file, changed).expect("a file");
        keeper.signal(Signal::HUP);
    }
}

/// What has become of the instances of a director, as far as it remembers: from what to what, and why.
fn transitions(site: &PairSite, director: usize) -> Vec<String> {
    let said = says(site, director, "vrrp --json");
    let view: serde_json::Value = serde_json::from_str(&said).unwrap_or_default();
    let instances = view["instances"].as_array().into_iter().flatten();
    let all = instances.filter_map(|one| one["transitions"].as_array());
    let shown =
        |one: &serde_json::Value| format!("{} -> {}: {}", one["from"], one["to"], one["why"]);
    all.flatten().map(shown).collect()
}

/// With advertisements so far apart that a daemon is back before anybody misses it, however busy the machine.
fn patient() -> PairSite {
    let site = site();
    for _ in 0..2 {
        change(&site, "advert_int 1\n", "advert_int 10\n");
    }
    wait(&site, "the other interval everywhere", || {
        (0..2).all(|director| {
            let said = says(&site, director, "vrrp --json").replace(' ', "");
            said.matches("\"down_interval\":30.").count() == 2
        })
    });
    site
}

#[test]
fn an_upgrade_keeps_the_role() {
    let own = weir();
    let directory = tempfile::tempdir().expect("a directory");
    let program = directory.path().join("weir");
    fs::copy(&own, &program).expect("a copy");
    let mut site = PairSite::new(Keeper::Weir(program.clone())).expect("a site");
    wait(&site, "the first director Active", || {
        site.pair.active().is_ok_and(|active| active == [0])
    });
    let other = transitions(&site, 1);
    let load = site.load(100, Duration::from_secs(10));
    // Another build, as the package manager puts it in place.
    let beside = directory.path().join("weir.new");
    let mut build = fs::read(&own).expect("a program");
    build.extend(b"another build");
    fs::write(&beside, build).expect("a file");
    fs::set_permissions(
        &beside,
        fs::metadata(&own).expect("it is there").permissions(),
    )
    .expect("it can be run");
    fs::rename(&beside, &program).expect("a program");
    let id = site.keepers[0].id();
    let runs = || fs::read_link(format!("/proc/{id}/exe")).unwrap_or_default();
    assert_ne!(runs(), program, "the old one is gone from the disk");
    site.keepers[0].signal(Signal::USR2);
    wait(&site, "the other build", || runs() == program);
    wait(&site, "Active by what the one before has left", || {
        let all = transitions(&site, 0);
        all.len() == 2 && all.iter().all(|one| one.contains("Active"))
    });
    let report = load.join().expect("a thread").expect("a load");
    assert_eq!(report.failed, 0, "of {}", report.answered + report.failed);
    assert_eq!(transitions(&site, 1), other, "the other one noticed it");
    assert_eq!(site.pair.active().expect("addresses"), [0]);
    assert!(site.keepers[0].runs());
}

#[test]
fn a_daemon_that_is_killed_and_starts_again_at_once_keeps_its_role() {
    let mut site = patient();
    let other = transitions(&site, 1);
    let load = site.load(100, Duration::from_secs(10));
    site.keepers[0].kill();
    site.start_keeper(0).expect("a daemon");
    wait(&site, "Active by what the one before has left", || {
        let all = transitions(&site, 0);
        all.len() == 2 && all.iter().all(|one| one.contains("Active"))
    });
    let report = load.join().expect("a thread").expect("a load");
    assert_eq!(report.failed, 0, "of {}", report.answered + report.failed);
    assert_eq!(transitions(&site, 1), other, "the other one noticed it");
    assert_eq!(site.pair.active().expect("addresses"), [0]);
}

#[test]
fn a_director_whose_packet_programs_are_gone_is_not_active() {
    let mut site = site();
    let bpffs = site.pair.lab().bpffs().expect("a file system");
    remove_links(&bpffs.join("director1"));
    wait(&site, "the second director Active", || {
        site.pair.active().is_ok_and(|active| active == [1])
    });
    let said = says(&site, 0, "vrrp");
    assert!(said.contains("Fault"), "{said}");
    // The next daemon puts them back.
    site.keepers[0].terminate().expect("an end");
    site.start_keeper(0).expect("a daemon");
    wait(&site, "the first director Active again", || {
        site.pair.active().is_ok_and(|active| active == [0])
    });
}

/// Whoever removes the pins takes the programs off their interfaces.
fn remove_links(directory: &Path) {
    for entry in fs::read_dir(directory).expect("a directory").flatten() {
        let path = entry.path();
        if path.is_dir() {
            remove_links(&path);
        } else if directory.ends_with("links") {
            fs::remove_file(&path).expect("a pin");
        }
    }
}

fn lists(site: &PairSite, director: usize, expected: &str) {
    let mut listing = String::new();
    let found = until(expected, PATIENCE, || {
        listing = says(site, director, "ipvsadm -L --daemon");
        listing == expected
    });
    if found.is_err() {
        panic!(
            "director {director}: `{listing}` instead of `{expected}`\n{}",
            site.keepers[director].said()
        );
    }
}

/// What `lvs_sync_daemon` says, and what `ipvsadm -L --daemon` says of it on a Backup and on an Active director: as
/// keepalived 2.2.7 and ipvsadm 1.31 had it on Linux 6.12, with interfaces of these names and MTUs.
const SYNC_DAEMONS: [[&str; 3]; 3] = [
    [
        "d1500 OUTSIDE",
        "backup sync daemon (mcast=d1500, syncid=51, maxlen=1472, group=224.0.0.81, port=8848, ttl=1)\n",
        "master sync daemon (mcast=d1500, syncid=51, maxlen=1472, group=224.0.0.81, port=8848, ttl=1)\n",
    ],
    [
        "d9000 OUTSIDE id 7 maxlen 1000 port 8850 ttl 3 group 224.0.0.90",
        "backup sync daemon (mcast=d9000, syncid=7, maxlen=1024, group=224.0.0.90, port=8850, ttl=3)\n",
        "master sync daemon (mcast=d9000, syncid=7, maxlen=1000, group=224.0.0.90, port=8850, ttl=3)\n",
    ],
    [
        "d9000 OUTSIDE group ff02::81",
        "backup sync daemon (mcast=d9000, syncid=51, maxlen=8952, group=ff02::81, port=8848, ttl=1)\n",
        "master sync daemon (mcast=d9000, syncid=51, maxlen=1452, group=ff02::81, port=8848, ttl=1)\n",
    ],
];

#[test]
fn sync_daemons_follow_the_role() {
    let mut site = site();
    for director in &site.pair.directors {
        for mtu in [1500, 9000] {
            for line in [
                format!("link add d{mtu} type veth peer name p{mtu}"),
                format!("link set p{mtu} up"),
                format!("link set d{mtu} mtu {mtu} up"),
            ] {
                director.ip(&line).expect(&line);
            }
        }
    }
    let mut before = "global_defs {\n".to_owned();
    for [line, backup, master] in SYNC_DAEMONS {
        let now = format!("global_defs {{\n    lvs_sync_daemon {line}\n");
        change(&site, &before, &now);
        before = now;
        lists(&site, 0, master);
        lists(&site, 1, backup);
    }
    let [_, _, master] = SYNC_DAEMONS[2];
    // What is done by hand stays until the role changes.
    assert_eq!(says(&site, 1, "ipvsadm --stop-daemon backup"), "");
    lists(&site, 1, "");
    assert_eq!(
        says(&site, 1, "ipvsadm --stop-daemon backup"),
        "No daemon is running\n"
    );
    let by_hand = "ipvsadm --start-daemon backup --mcast-interface d1500 --syncid 3";
    assert_eq!(says(&site, 0, by_hand), "");
    lists(
        &site,
        0,
        &format!(
            "{master}backup sync daemon (mcast=d1500, syncid=3, maxlen=1472, group=224.0.0.81, port=8848, ttl=1)\n"
        ),
    );
    site.keepers[0].terminate().expect("an end");
    lists(&site, 1, master);
}

#[test]
fn checks_rest_on_a_backup_that_may_bind_to_any_address() {
    let mut site = site();
    // What many directors have: that a socket can be bound says nothing about whose an address is.
    for director in &site.pair.directors {
        director
            .sysctl("net/ipv4/ip_nonlocal_bind", "1")
            .expect("a setting");
    }
    change(&site, "delay_loop 1\n", "delay_loop 1\n    ha_suspend\n");
    let rests = |site: &PairSite, director: usize| {
        let said = says(site, director, "health --json").replace(' ', "");
        said.contains("\"resting\":true")
    };
    wait(&site, "checks rest on the Backup only", || {
        rests(&site, 1) && !rests(&site, 0)
    });
    site.keepers[0].terminate().expect("an end");
    wait(&site, "checks on the new Active director", || {
        !rests(&site, 1)
    });
}
