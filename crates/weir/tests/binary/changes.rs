//! Transactions, history, drift, maintenance and the audit log, as people and scripts use them.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::director::{BINARY, Director, parts};
use crate::transcript::check;

const TWO: &str = r#"
[timeouts]
udp = 60

[[service]]
listen = ["tcp 192.0.2.10:80"]
scheduler = "rr"
forward = "nat"
server = [
  { address = "10.0.0.1:80" },
  { address = "10.0.0.2:80", weight = 2 },
]
"#;

fn weir(director: &Director, arguments: &[&str]) -> String {
    let (code, text, error) = parts(&director.weir(arguments));
    assert_eq!((code, error.as_str()), (0, ""), "{arguments:?}");
    text
}

fn json(director: &Director, arguments: &[&str]) -> Value {
    let text = weir(director, &[arguments, &["--json"]].concat());
    serde_json::from_str(&text).expect("JSON")
}

fn saved(director: &Director) -> String {
    weir(director, &["ipvsadm", "-Sn"])
}

/// The lines of the audit log.
fn audited(director: &Director) -> Vec<Value> {
    let path = director.directory().join("state/audit.jsonl");
    let text = fs::read_to_string(path).expect("an audit log");
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

#[test]
fn what_the_file_says_anew_is_done_and_what_was_done_by_hand_stays() {
    let director = Director::reading(TWO);
    check(
        &director,
        "
        $ -a -t 192.0.2.10:80 -r 10.0.0.3:80 -m
        = 0
        $ -d -t 192.0.2.10:80 -r 10.0.0.1:80
        = 0
        $ -A -u 192.0.2.10:53 -s rr
        = 0
        ",
    );
    director.reload(TWO);
    director.reload(&TWO.replace("weight = 2", "weight = 5"));
    check(
        &director,
        "
        $ -Sn
        = 0
        > -A -t 192.0.2.10:80 -s rr
        > -a -t 192.0.2.10:80 -r 10.0.0.2:80 -m -w 5
        > -a -t 192.0.2.10:80 -r 10.0.0.3:80 -m -w 1
        > -A -u 192.0.2.10:53 -s rr
        ",
    );
    let drift = weir(&director, &["drift"]);
    let expected = [
        "- tcp:192.0.2.10:80 server 10.0.0.1:80 nat weight 1  (revision ",
        "+ tcp:192.0.2.10:80 server 10.0.0.3:80 nat weight 1  (revision ",
        "+ udp:192.0.2.10:53 scheduler rr  (revision ",
    ];
    for line in expected {
        assert!(drift.contains(line), "{line} is not in {drift}");
    }
    assert_eq!(drift.lines().count(), 4, "{drift}");
    assert!(drift.contains("by hand: ipvsadm, user "), "{drift}");

    // The whole file again.
    let file = director.directory().join("weir.toml");
    let file = file.display().to_string();
    let kept = weir(&director, &["plan", "--keep", &file]);
    assert_eq!(kept, "nothing would change\n");
    let planned = weir(&director, &["plan", &file]);
    assert_eq!(weir(&director, &["apply", &file]), planned);
    assert_eq!(planned.lines().count(), 3, "{planned}");
    let drift = weir(&director, &["drift"]);
    assert!(drift.starts_with("nothing differs from what "), "{drift}");
}

#[test]
fn changes_by_hand_are_folded_back_where_the_file_says_so() {
    let text = TWO.to_owned() + "\n[director]\nby_hand = \"fold-back\"\n";
    let director = Director::reading(&text);
    let before = saved(&director);
    check(
        &director,
        "
        $ -e -t 192.0.2.10:80 -r 10.0.0.2:80 -m -w 9
        = 0
        $ -A -u 192.0.2.10:53 -s rr
        = 0
        ",
    );
    assert_ne!(saved(&director), before);
    director.reload(&text);
    assert_eq!(saved(&director), before);
}

#[test]
fn a_broken_file_changes_nothing_and_is_told() {
    let director = Director::reading(TWO);
    let (before, history) = (saved(&director), weir(&director, &["history"]));
    director.reload("[[service]]\nlisten = [\"tcp 192.0.2.10:443\"]\nforward = \"natt\"\n");
    director.reload("not even TOML");
    // What is well said and cannot be had: the tables are too small.
    let one = "[[service]]\nlisten = [\"fwmark N\"]\nforward = \"nat\"\n";
    let many = |number: usize| one.replace('N', &number.to_string());
    director.reload(&(1..2_000).map(many).collect::<String>());
    assert_eq!(saved(&director), before);
    assert_eq!(weir(&director, &["history"]), history);
    director.reload(TWO);
    assert_eq!(weir(&director, &["history"]), history);
}

#[test]
fn every_change_is_a_revision_that_can_be_undone() {
    let director = Director::reading(TWO);
    let first = saved(&director);
    check(
        &director,
        "
        $ -e -t 192.0.2.10:80 -r 10.0.0.1:80 -m -w 7
        = 0
        $ -D -t 192.0.2.10:80
        = 0
        $ --set 0 0 77
        = 0
        ",
    );
    weir(&director, &["set", "conn_reuse_mode", "0"]);
    let history = json(&director, &["history"]);
    let revisions = history["revisions"].as_array().expect("revisions");
    assert_eq!(revisions.len(), 5, "{history:#}");
    let numbers: Vec<u64> = revisions
        .iter()
        .map(|one| one["number"].as_u64().expect("a number"))
        .collect();
    assert_eq!(numbers, [5, 4, 3, 2, 1]);
    assert_eq!(revisions[4]["author"]["through"], "start");
    assert_eq!(revisions[0]["author"]["through"], "api");
    assert_eq!(revisions[1]["author"]["through"], "ipvsadm");
    assert_eq!(revisions[1]["author"]["program"], "weir");
    assert!(revisions[1]["author"]["process"].as_i64().is_some());
    assert_eq!(revisions[1]["changes"][0], "~ timeout udp 60 -> 77");
    // The service and its two servers.
    assert_eq!(revisions[2]["change_count"], 3);
    assert_eq!(json(&director, &["history", "3"]), revisions[2]);

    // Shown first, and nothing is done yet.
    let deleted = saved(&director);
    let dry = weir(&director, &["rollback", "3", "--dry-run"]);
    assert_eq!(
        dry,
        "+ tcp:192.0.2.10:80 scheduler rr\n\
         + tcp:192.0.2.10:80 server 10.0.0.2:80 nat weight 2\n\
         + tcp:192.0.2.10:80 server 10.0.0.1:80 nat weight 7\n\
         ~ timeout udp 77 -> 60\n\
         ~ conn_reuse_mode 0 -> 1\n"
    );
    assert_eq!(saved(&director), deleted);
    let done = weir(&director, &["rollback", "3"]);
    assert_eq!(done, dry + "done: 5 changes\n");
    assert!(saved(&director).contains("-r 10.0.0.1:80 -m -w 7"));
    assert_eq!(weir(&director, &["get", "conn_reuse_mode"]), "1\n");

    // A rollback is a revision too.
    weir(&director, &["rollback"]);
    assert_eq!(saved(&director), deleted);
    weir(&director, &["rollback", "2"]);
    let mut lines: Vec<_> = saved(&director).lines().map(str::to_owned).collect();
    let mut expected: Vec<_> = first.lines().map(str::to_owned).collect();
    lines.sort_unstable();
    expected.sort_unstable();
    assert_eq!(lines, expected);

    let (code, _, error) = parts(&director.weir(&["rollback", "99"]));
    assert_eq!(code, 1);
    assert!(error.contains("there is no revision 99"), "{error}");
    // The file says what it said: it does not bring back what was undone.
    director.reload(TWO);
    assert!(weir(&director, &["drift"]).starts_with("nothing differs"));
}

#[test]
fn a_restored_ipvsadm_file_is_one_revision() {
    let director = Director::reading("");
    let lines: String = (1..200)
        .map(|port| format!("-A -t 192.0.2.10:{port} -s rr\n"))
        .collect();
    let (code, _, error) = parts(&director.ipvsadm(&["-R"], &lines));
    assert_eq!((code, error.as_str()), (0, ""));
    let history = json(&director, &["history"]);
    let revisions = history["revisions"].as_array().expect("revisions");
    assert_eq!(revisions.len(), 1);
    assert_eq!(revisions[0]["change_count"], 199);
    assert_eq!(revisions[0]["changes"].as_array().map(Vec::len), Some(20));
    assert!(weir(&director, &["history"]).contains("and 179 more: weir history 1"));
    weir(&director, &["rollback"]);
    assert_eq!(saved(&director), "");
}

#[test]
fn the_audit_log_says_who_changed_what() {
    let director = Director::reading(TWO);
    check(
        &director,
        "
        $ -e -t 192.0.2.10:80 -r 10.0.0.2:80 -m -w 9
        = 0
        $ -Z
        = 0
        $ -e -t 192.0.2.10:80 -r 10.0.0.7:80 -m
        = 255
        ! No such destination
        ",
    );
    let lines = audited(&director);
    let last = &lines[lines.len() - 2];
    assert_eq!(last["through"], "ipvsadm");
    assert_eq!(last["program"], "weir");
    assert_eq!(last["user"], json_user());
    assert_eq!(last["subject"], "server 10.0.0.2:80 of tcp:192.0.2.10:80");
    assert_eq!(last["before"]["weight"], "2");
    assert_eq!(last["after"]["weight"], "9");
    assert_eq!(last["before"]["forwarding"], "nat");
    assert_eq!(last["revision"], 2);
    assert!(
        last["time"]
            .as_str()
            .is_some_and(|time| time.ends_with('Z'))
    );
    assert_eq!(lines[lines.len() - 1]["subject"], "all counters");
    let first = &lines[0];
    assert_eq!(
        (&first["through"], &first["user"]),
        (&"start".into(), &Value::Null)
    );
    assert_eq!(first["before"], Value::Null);

    let shown = json(&director, &["audit", "--lines", "2"]);
    assert_eq!(
        shown["entries"].as_array().expect("entries")[..],
        lines[lines.len() - 2..]
    );
    let text = weir(&director, &["audit"]);
    assert!(
        text.contains("weight 2 -> forwarding nat weight 9"),
        "{text}"
    );

    // The file may be moved away at any time.
    let path = director.directory().join("state/audit.jsonl");
    fs::rename(&path, path.with_extension("1")).expect("renamed");
    weir(&director, &["ipvsadm", "-C"]);
    let subjects: Vec<_> = audited(&director)
        .iter()
        .map(|line| line["subject"].clone())
        .collect();
    assert_eq!(subjects.len(), 3, "{subjects:?}");
    assert_eq!(subjects[2], "service tcp:192.0.2.10:80");
}

fn json_user() -> Value {
    // SAFETY: it only asks.
    unsafe { libc::geteuid() }.into()
}

#[test]
fn what_cannot_be_audited_is_done_and_told() {
    let director = Director::reading(TWO);
    let path = director.directory().join("state/audit.jsonl");
    fs::remove_file(&path).expect("it is there");
    std::os::unix::fs::symlink("/dev/full", &path).expect("a link");
    weir(&director, &["ipvsadm", "-C"]);
    assert_eq!(saved(&director), "");
    let status = weir(&director, &["status"]);
    assert!(
        status.contains("changes are made and not audited"),
        "{status}"
    );
    let audit = weir(&director, &["audit"]);
    assert!(audit.contains("not all of it is written"), "{audit}");
    fs::remove_file(&path).expect("it is there");
    weir(&director, &["ipvsadm", "-A", "-f", "1"]);
    assert_eq!(audited(&director).len(), 1);
    assert!(!weir(&director, &["status"]).contains("not audited"));
}

#[test]
fn maintenance_outlives_reloads_restarts_and_the_machine() {
    let mut director = Director::reading(TWO);
    let quiesced = |director: &Director| saved(director).matches("-w 0").count();
    let weight = |director: &Director, server: &str, weight: u32| {
        let line = format!("-a -t 192.0.2.10:80 -r {server}:80 -m -w {weight}\n");
        assert!(saved(director).contains(&line), "{line}");
    };
    assert_eq!(weir(&director, &["maintenance", "10.0.0.2"]), "");
    weight(&director, "10.0.0.1", 1);
    weight(&director, "10.0.0.2", 0);
    assert_eq!(
        weir(&director, &["maintenance"]),
        "10.0.0.2\n  tcp:192.0.2.10:80 server 10.0.0.2:80\n"
    );
    let drift = weir(&director, &["drift"]);
    let says = "~ tcp:192.0.2.10:80 server 10.0.0.2:80 weight 2 -> 0  (maintenance)";
    assert!(drift.contains(says), "{drift}");

    director.reload(&TWO.replace("weight = 2", "weight = 5"));
    weight(&director, "10.0.0.2", 0);
    // ipvsadm is obeyed, and maintenance is stronger.
    weir(
        &director,
        &[
            "ipvsadm",
            "-e",
            "-t",
            "192.0.2.10:80",
            "-r",
            "10.0.0.2:80",
            "-m",
            "-w",
            "6",
        ],
    );
    weight(&director, "10.0.0.2", 0);
    director = director.restarted();
    assert_eq!(quiesced(&director), 1);
    weir(&director, &["maintenance", "10.0.0.2", "off"]);
    weight(&director, "10.0.0.2", 6);

    weir(
        &director,
        &[
            "maintenance",
            "10.0.0.1:80",
            "on",
            "--service",
            "tcp:192.0.2.10:80",
        ],
    );
    assert!(weir(&director, &["status"]).contains("10.0.0.1:80  of tcp:192.0.2.10:80  1 real"));
    director = director.rebooted();
    // The file's servers, and none of what was changed by hand.
    weight(&director, "10.0.0.2", 5);
    weight(&director, "10.0.0.1", 0);
    weir(&director, &["maintenance", "10.0.0.1", "off"]);
    weight(&director, "10.0.0.1", 1);
    assert_eq!(
        weir(&director, &["maintenance"]),
        "no real server is in maintenance\n"
    );

    for (arguments, says) in [
        (&["10.0.0.9"][..], "no service has a real server 10.0.0.9"),
        (
            &["10.0.0.1", "off"],
            "server 10.0.0.1 is not in maintenance",
        ),
        (&["nonsense"], "is not an address"),
    ] {
        let arguments = [&["maintenance"], arguments].concat();
        let (code, _, error) = parts(&director.weir(&arguments));
        assert_eq!(code, 1, "{arguments:?}");
        assert!(error.contains(says), "{error}");
    }
    weir(&director, &["maintenance", "10.0.0.1"]);
    let (_, _, error) = parts(&director.weir(&["maintenance", "10.0.0.1:80", "off"]));
    assert!(
        error.contains("in maintenance as 10.0.0.1: take that back"),
        "{error}"
    );
}

#[test]
fn history_and_what_was_done_by_hand_outlive_the_daemon() {
    let director = Director::reading(TWO);
    check(
        &director,
        "
        $ -a -t 192.0.2.10:80 -r 10.0.0.3 -g -w 3
        = 0
        $ -A -u 192.0.2.10:53 -s sh -b sh-port -p 60 -M 255.255.255.0
        = 0
        ",
    );
    weir(
        &director,
        &[
            "drain",
            "tcp:192.0.2.10:80",
            "10.0.0.1:80",
            "--timeout",
            "3600",
        ],
    );
    let before = saved(&director);
    let history = weir(&director, &["history"]);
    let drift = weir(&director, &["drift"]);
    let director = director.restarted();
    assert_eq!(saved(&director), before);
    assert_eq!(weir(&director, &["history"]), history);
    assert_eq!(weir(&director, &["drift"]), drift);
    let status = weir(&director, &["status"]);
    assert!(
        status.contains("10.0.0.1:80 of tcp:192.0.2.10:80"),
        "{status}"
    );
    weir(&director, &["rollback", "2"]);
    let drift = weir(&director, &["drift"]);
    assert!(drift.starts_with("nothing differs"), "{drift}");
    check(
        &director,
        "
        $ -Sn
        = 0
        > -A -t 192.0.2.10:80 -s rr
        > -a -t 192.0.2.10:80 -r 10.0.0.1:80 -m -w 1
        > -a -t 192.0.2.10:80 -r 10.0.0.2:80 -m -w 2
        ",
    );
}

#[test]
fn a_state_that_cannot_be_read_costs_what_it_knew_and_nothing_else() {
    let director = Director::reading(TWO);
    weir(&director, &["ipvsadm", "-A", "-f", "7", "-s", "rr"]);
    let before = saved(&director);
    let state = director.directory().join("state");
    let director = director.restarted_after(|| {
        fs::write(state.join("state.json"), "{").expect("a file");
        fs::write(state.join("revisions/1.json"), "[]").expect("a file");
    });
    assert_eq!(saved(&director), before);
}

#[test]
fn whoever_listens_hears_of_changes() {
    let director = Director::reading(TWO);
    let mut listener = Command::new(BINARY)
        .args(["events", "--json", "--kind", "change"])
        .env("WEIR_SOCKET", director.socket())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let output = listener.stdout.take().expect("a pipe");
    let mut lines = BufReader::new(output).lines();
    // Nobody says when it has begun to listen: it hears one of many.
    let heard = std::thread::spawn(move || lines.next().expect("a line").expect("text"));
    while !heard.is_finished() {
        weir(&director, &["ipvsadm", "-A", "-f", "7", "-s", "rr"]);
        weir(&director, &["ipvsadm", "-D", "-f", "7"]);
    }
    let event: Value = serde_json::from_str(&heard.join().expect("heard")).expect("JSON");
    assert_eq!(event["kind"], "change");
    assert_eq!(event["subject"], "service fwmark:7");
    assert_eq!(event["detail"]["through"], "ipvsadm");
    // The daemon ends while somebody listens: both end.
    drop(director);
    listener.wait().expect("it ends");
}

#[test]
fn a_transaction_covers_all_that_a_file_says() {
    let director = Director::reading(TWO);
    let file = director.directory().join("weir.toml");
    let more = TWO.replace(
        "forward =",
        "check = { http = \"/up\" }\nquorum = 2\nforward =",
    ) + "\n[notifications]\nrouter_id = \"a\"\n[sysctl]\ndrop_entry = 3\n[tables]\nservices = 7\n\
           [[mark]]\nmark = 7\ndestination = \"192.0.2.7\"\n";
    fs::write(&file, more).expect("a file");
    let file = file.display().to_string();
    let planned = weir(&director, &["plan", &file]);
    let expected = [
        "~ drop_entry 0 -> 3",
        "~ rules for firewall marks 0 -> 1",
        "+ health of tcp:192.0.2.10:80 quorum 2",
        "+ health of tcp:192.0.2.10:80 server 10.0.0.1:80 check.http /up",
        "+ health of tcp:192.0.2.10:80 server 10.0.0.2:80 check.http /up",
        "+ notifications router_id a",
        "note: [tables] takes effect when the tables are made anew: stop the daemon, `weir detach`, \
         start it",
    ];
    assert_eq!(planned.lines().collect::<Vec<_>>(), expected);
    assert_eq!(weir(&director, &["apply", &file]), planned);
    assert_eq!(weir(&director, &["get", "drop_entry"]), "3\n");
    let subjects: Vec<_> = audited(&director)
        .iter()
        .map(|line| line["subject"].as_str().expect("a text").to_owned())
        .collect();
    let checked = "health of tcp:192.0.2.10:80 server 10.0.0.1:80".to_owned();
    assert!(subjects.contains(&checked), "{subjects:?}");

    // Undone as a whole, and by the next daemon too.
    let director = director.restarted();
    let undone = weir(&director, &["rollback", "2"]);
    for line in [
        "~ drop_entry 3 -> 0",
        "~ rules for firewall marks 1 -> 0",
        "- health of tcp:192.0.2.10:80 quorum 2",
        "- notifications router_id a",
    ] {
        assert!(undone.contains(line), "{line} is not in {undone}");
    }
    // The file has not changed since: it does not bring back what was undone.
    let again = weir(&director, &["plan", "--keep", &file]);
    assert!(again.starts_with("nothing would change\n"), "{again}");
    let drift = weir(&director, &["drift"]);
    assert!(drift.contains("- notifications router_id a"), "{drift}");
}

#[test]
fn there_is_a_way_back_to_before_the_machine_started_again() {
    let director = Director::reading(TWO);
    weir(&director, &["ipvsadm", "-A", "-f", "7", "-s", "rr"]);
    let director = director.rebooted();
    assert!(!saved(&director).contains("-f 7"));
    let history = weir(&director, &["history"]);
    for line in ["start  the tables are new", "- fwmark:7 scheduler rr"] {
        assert!(history.contains(line), "{line} is not in {history}");
    }
    weir(&director, &["rollback", "3"]);
    assert!(saved(&director).contains("-A -f 7 -s rr\n"));
    let drift = weir(&director, &["drift"]);
    assert!(drift.contains("+ fwmark:7 scheduler rr"), "{drift}");
}
