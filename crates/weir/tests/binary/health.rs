//! Checks of real servers on loopback: what follows in the tables, and what outlives the daemon.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::director::{Director, parts};

const LONG: Duration = Duration::from_secs(60);

fn weir(director: &Director, arguments: &[&str]) -> String {
    let (code, text, error) = parts(&director.weir(arguments));
    assert_eq!((code, error.as_str()), (0, ""), "{arguments:?}");
    text
}

fn health(director: &Director) -> Value {
    let text = weir(director, &["health", "--json"]);
    serde_json::from_str(&text).expect("JSON")
}

fn saved(director: &Director) -> String {
    weir(director, &["ipvsadm", "-Sn"])
}

/// Waits until something holds of what is saved.
#[track_caller]
fn until(director: &Director, what: &str, holds: impl Fn(&str) -> bool) {
    let end = Instant::now() + LONG;
    loop {
        let saved = saved(director);
        if holds(&saved) {
            return;
        }
        let shown = weir(director, &["health"]);
        assert!(Instant::now() < end, "never {what}:\n{saved}\n{shown}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// An address on loopback where something listens, and where nothing does.
fn listening() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}

fn file(directives: &str, servers: &[SocketAddr]) -> String {
    let servers: Vec<String> = servers
        .iter()
        .map(|address| format!("{{ address = \"{address}\" }}"))
        .collect();
    format!(
        "[[service]]\nlisten = [\"tcp 192.0.2.10:80\"]\nscheduler = \"rr\"\nforward = \"nat\"\n\
         check = {{ tcp = true, interval = \"20ms\", retry_delay = \"5ms\", timeout = \"10s\" }}\n\
         {directives}\nserver = [{}]\n",
        servers.join(", ")
    )
}

#[test]
fn a_real_server_that_stops_listening_goes_and_comes_back() {
    let (_one, first) = listening();
    let (two, second) = listening();
    let director = Director::reading(&file("", &[first, second]));
    let here = |address: SocketAddr| format!("-r {address} -m -w 1");
    until(&director, "both in", |saved| {
        saved.contains(&here(first)) && saved.contains(&here(second))
    });
    drop(two);
    until(&director, "the second out", |saved| {
        saved.contains(&here(first)) && !saved.contains(&here(second))
    });
    let shown = weir(&director, &["health"]);
    assert!(shown.contains("DOWN since"), "{shown}");
    assert!(shown.contains("tcp: connection refused"), "{shown}");
    let services = weir(&director, &["services"]);
    assert!(
        services.contains(&format!("out: {second} DOWN")),
        "{services}"
    );
    let status = weir(&director, &["status"]);
    assert!(
        status.contains("1 of 2 real servers up, 1 of 1 services"),
        "{status}"
    );
    let drift = weir(&director, &["drift"]);
    assert!(drift.contains("down: tcp: connection refused"), "{drift}");
    let audit = weir(&director, &["audit"]);
    assert!(audit.contains("Removing service"), "{audit}");
    // It listens again.
    let _two = TcpListener::bind(second).expect("its port");
    until(&director, "the second in", |saved| {
        saved.contains(&here(second))
    });
}

#[test]
fn reloads_and_restarts_do_not_bring_back_who_is_down() {
    let (_one, first) = listening();
    let (two, second) = listening();
    drop(two);
    // After the first results nothing is checked for an hour.
    let text = file("", &[first, second]);
    let director = Director::reading(&text);
    let second_out = |saved: &str| !saved.contains(&second.to_string());
    until(&director, "the second out", second_out);
    let text = text.replace("20ms", "1h");
    director.reload(&text);
    assert!(second_out(&saved(&director)));
    director.reload(&text.replace("interval = \"1h\"", "interval = \"1h\", fall = 9"));
    assert!(second_out(&saved(&director)));
    let written = director.directory().join("state/health.json");
    let end = Instant::now() + LONG;
    while !fs::read_to_string(&written)
        .is_ok_and(|text| text.contains(&format!("\"{second}\": false")))
    {
        assert!(Instant::now() < end, "it is never written");
        thread::sleep(Duration::from_millis(10));
    }
    let director = director.restarted();
    assert!(second_out(&saved(&director)), "{}", saved(&director));
    assert!(saved(&director).contains(&first.to_string()));
    // The file was lost: what the tables say counts.
    let lost = || fs::remove_file(&written).expect("it is there");
    let director = director.restarted_after(lost);
    assert!(second_out(&saved(&director)), "{}", saved(&director));
    assert!(saved(&director).contains(&first.to_string()));
}

#[test]
fn without_a_quorum_the_sorry_server_serves() {
    let (one, first) = listening();
    let text = file("sorry_server = \"127.0.0.1:9\"", &[first]);
    let director = Director::reading(&text);
    until(&director, "the server in", |saved| {
        saved.contains(&first.to_string()) && !saved.contains("127.0.0.1:9 ")
    });
    drop(one);
    until(&director, "the sorry server in", |saved| {
        !saved.contains(&first.to_string()) && saved.contains("127.0.0.1:9 ")
    });
    let shown = weir(&director, &["health"]);
    assert!(shown.contains("NO QUORUM"), "{shown}");
    assert!(shown.contains("SORRY SERVER 127.0.0.1:9 serves"), "{shown}");
    let _one = TcpListener::bind(first).expect("its port");
    until(&director, "the server in again", |saved| {
        saved.contains(&first.to_string()) && !saved.contains("127.0.0.1:9 ")
    });
}

#[test]
fn an_alpha_server_is_never_in_before_it_has_passed() {
    let (one, first) = listening();
    drop(one);
    let text = file("", &[first]).replace("tcp = true,", "tcp = true, alpha = true,");
    let director = Director::reading(&text);
    assert!(!saved(&director).contains("-r"));
    let shown = health(&director);
    assert_eq!(shown["services"][0]["servers"][0]["up"], false, "{shown:#}");
    let _one = TcpListener::bind(first).expect("its port");
    until(&director, "the server in", |saved| {
        saved.contains(&first.to_string())
    });
    let shown = health(&director);
    assert_eq!(shown["services"][0]["quorum"], true, "{shown:#}");
}

#[test]
fn maintenance_outlives_what_checks_say() {
    let (_one, first) = listening();
    let director = Director::reading(&file("", &[first]));
    let first_text = first.to_string();
    let out = parts(&director.weir(&["maintenance", &first_text]));
    assert_eq!(out.0, 0, "{out:?}");
    until(&director, "held", |saved| {
        saved.contains(&format!("-r {first} -m -w 0"))
    });
    let shown = weir(&director, &["health"]);
    assert!(shown.contains("weight 0 (taken out by hand)"), "{shown}");
}

#[test]
fn a_script_s_weight_is_followed() {
    let (_one, first) = listening();
    let directory = tempfile::tempdir().expect("a directory");
    let script = directory.path().join("weight");
    fs::write(&script, "#!/bin/sh\nexit 9\n").expect("a file");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&script, mode).expect("it can be run");
    let check = format!(
        "script = {{ command = [\"{}\"] }}, dynamic = true, alpha = true,",
        script.display()
    );
    let text = file("", &[first]).replace("tcp = true,", &check)
        + "[notifications]\nscript_security = false\n";
    let director = Director::reading(&text);
    until(&director, "weight 7", |saved| {
        saved.contains(&format!("-r {first} -m -w 7"))
    });
    let shown = weir(&director, &["health"]);
    assert!(shown.contains("weight 7 (a check says 7)"), "{shown}");
}

#[test]
fn refused_connections_take_a_real_server_out_before_any_check() {
    let text = file(
        "passive = { share = 50, least = 10, window = \"1m\", pause = \"1s\" }",
        &[
            "127.0.0.1:7001".parse().unwrap(),
            "127.0.0.1:7002".parse().unwrap(),
        ],
    );
    let text = text.replace("check = ", "# ");
    let director = Director::reading(&text);
    assert!(saved(&director).contains("127.0.0.1:7001"));
    let (_, record) = director.server("127.0.0.1:7001");
    let seen = &record.observed;
    // Whatever was before the first look tells nothing: half of all that come are refused until it is seen.
    let end = Instant::now() + LONG;
    while saved(&director).contains("127.0.0.1:7001") {
        assert!(Instant::now() < end, "{}", weir(&director, &["health"]));
        seen.begun.store(seen.begun.load() + 2);
        seen.answered.store(seen.answered.load() + 1);
        seen.refused.store(seen.refused.load() + 1);
        thread::sleep(Duration::from_millis(10));
    }
    let audit = weir(&director, &["audit"]);
    assert!(audit.contains("connections failed"), "{audit}");
    assert!(saved(&director).contains("127.0.0.1:7002"));
    until(&director, "back after its pause", |saved| {
        saved.contains("127.0.0.1:7001")
    });
}
