//! A changed file is read again (SIGHUP) while clients connect, real servers are checked and two routers share the addresses:
//! what the file does not change goes on as if nothing had happened.
#![cfg(feature = "privileged")]

mod common;

use common::weir;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;
use weir_lab::{Keeper, PairSite, Signal, until};

/// Nothing takes longer than a few seconds, but on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

fn weir_says(site: &PairSite, line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    let said = site.pair.weir(0, &weir(), &words).expect("weir runs");
    String::from_utf8_lossy(&said.stdout).into_owned()
}

fn wait(site: &PairSite, what: &str, condition: impl FnMut() -> bool) {
    until(what, PATIENCE, condition).unwrap_or_else(|error| {
        let logs: Vec<String> = site.keepers.iter().map(|keeper| keeper.said()).collect();
        panic!("{error}\n{}", logs.join("\n---\n"))
    });
}

/// The line of a real server in a listing, in words.
fn row(site: &PairSite, listing: &str, server: &str) -> Option<Vec<String>> {
    let said = weir_says(site, listing);
    let line = said.lines().find(|line| line.contains(server))?;
    Some(line.split_whitespace().map(str::to_owned).collect())
}

/// How many connections a real server has had.
fn had(site: &PairSite, server: &str) -> u64 {
    let row = row(site, "ipvsadm -Ln --stats --exact", server).expect("a real server");
    row[2].parse().expect("a number")
}

/// Asks on a connection that stays.
fn ask(stream: &mut TcpStream) {
    write!(stream, "GET / HTTP/1.1\r\nHost: site\r\n\r\n").expect("a request");
    let mut answer = [0; 4096];
    let length = stream.read(&mut answer).expect("an answer");
    assert!(answer[..length].starts_with(b"HTTP/1.1 200"));
}

#[test]
fn a_reload_changes_what_the_file_changes_and_nothing_else() {
    let mut site = PairSite::new(Keeper::Weir(weir())).expect("a site");
    wait(&site, "the first director Active", || {
        site.pair.active().is_ok_and(|active| active == [0])
    });
    let all = ["10.0.0.11", "10.0.0.12", "10.0.0.13"];
    wait(&site, "all in service", || {
        all.iter()
            .all(|one| row(&site, "ipvsadm -Ln", one).is_some())
    });
    // One is down: what health knows is not to be forgotten.
    site.nginx[2].process().kill();
    wait(&site, "the third out of service", || {
        row(&site, "ipvsadm -Ln", all[2]).is_none()
    });
    let address = PairSite::address();
    let mut lasting = site
        .pair
        .client
        .enter(|| TcpStream::connect(address))
        .expect("a namespace")
        .expect("a connection");
    lasting.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    ask(&mut lasting);
    let role = weir_says(&site, "vrrp --json");
    let transitions = |text: &str| text.matches("\"to\"").count();
    let before = transitions(&role);

    let load = site.load(100, Duration::from_secs(8));
    wait(&site, "the load begins", || had(&site, all[0]) > 20);
    let counted = had(&site, all[0]);
    let file = site
        .pair
        .lab()
        .directory()
        .join("director1/keepalived.conf");
    let text = fs::read_to_string(&file).expect("a file");
    let changed = text.replacen("weight 1", "weight 3", 1);
    assert_ne!(text, changed);
    fs::write(&file, &changed).expect("a file");
    site.keepers[0].signal(Signal::HUP);
    let weight = |server: &str| row(&site, "ipvsadm -Ln", server).map(|row| row[3].clone());
    wait(&site, "the new weight", || {
        weight(all[0]).as_deref() == Some("3")
    });
    // And a file that is broken, which changes nothing.
    fs::write(&file, text.replacen("virtual_server", "virtual_sever", 1)).expect("a file");
    let said = site.keepers[0].said().len();
    site.keepers[0].signal(Signal::HUP);
    wait(&site, "a word about the broken file", || {
        site.keepers[0].said()[said..].contains("virtual_sever")
    });

    let report = load.join().expect("a thread").expect("a load");
    assert_eq!(report.failed, 0, "of {}", report.answered + report.failed);
    assert!(report.answered > 400, "{}", report.answered);
    ask(&mut lasting);
    assert_eq!(weight(all[0]).as_deref(), Some("3"));
    assert_eq!(weight(all[1]).as_deref(), Some("1"));
    assert!(had(&site, all[0]) > counted, "counters begin anew");
    assert_eq!(row(&site, "ipvsadm -Ln", all[2]), None, "health forgot");
    assert_eq!(site.pair.active().expect("addresses"), [0]);
    let role = weir_says(&site, "vrrp --json");
    assert_eq!(transitions(&role), before, "{role}");
    // One line for the weight, and none for anything else.
    let history = weir_says(&site, "history");
    let edits = history
        .lines()
        .filter(|line| line.contains("weight 1 -> 3"));
    assert_eq!(edits.count(), 1, "{history}");
}
