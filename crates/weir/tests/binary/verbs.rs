//! The verbs of `weir` itself: what they print, in both forms, and their exit codes.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;

use serde_json::Value;
use weir_abi::connection::{Endpoints, LIVE, Word};
use weir_abi::reason::Reason;
use weir_abi::tick::{Tick, Ticks};
use weir_control::Tables;

use crate::director::{BINARY, Director, parts, run};
use crate::transcript::check;

#[test]
fn status_says_what_is_there() {
    let director = Director::with(|plane| {
        for (seen, packets) in [
            (Reason::Request, 12),
            (Reason::NoDestination, 3),
            (Reason::TableFull, 4),
        ] {
            let mut reasons = plane.reasons.iter_mut();
            let counted = reasons.find(|(reason, _)| *reason == seen);
            counted.expect("every reason is there").1 = packets;
        }
    });
    check(&director, "$ -A -t 192.0.2.10:80 -s rr\n= 0\n");

    let (code, text, error) = parts(&director.weir(&["status"]));
    assert_eq!((code, error.as_str()), (0, ""));
    for line in [
        "Linux 6.18.0-test",
        "none: no packets are taken",
        "1 of 4",
        "0 of 8",
        "tcp 900 s, tcp-fin 120 s, udp 300 s",
        "forwarded  request         12",
        "answered   no-destination  3",
        "dropped    table-full      4",
    ] {
        assert!(text.contains(line), "{line:?} is not in:\n{text}");
    }

    let (code, text, _) = parts(&director.weir(&["status", "--json"]));
    assert_eq!(code, 0);
    let status: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(status["daemon"]["adopted"], false);
    assert_eq!(
        status["daemon"]["socket"],
        director.socket().display().to_string()
    );
    assert_eq!(status["tables"][0]["used"], 1);
    assert_eq!(status["tables"][0]["size"], 4);
    assert_eq!(status["timeouts"]["tcp"], 900);
    let reasons = status["reasons"].as_array().expect("reasons");
    assert_eq!(reasons.len(), Reason::ALL.len());
    assert!(status["warnings"].is_array());
}

#[test]
fn services_are_listed_with_what_is_special_about_them() {
    let director = Director::new();
    check(
        &director,
        "
        $ -A -u 192.0.2.10:5060 -s sh -b sh-port -p 60 -M 255.255.255.0 --pe sip
        = 0
        $ -a -u 192.0.2.10:5060 -r 10.0.0.1 -i --tun-type gue --tun-port 6080 --tun-remcsum -x 9 -y 3
        = 0
        $ -a -u 192.0.2.10:5060 -r 10.0.0.2 -w 0
        = 0
        $ -A -f 7 -s rr -o
        = 0
        ",
    );
    let (code, text, error) = parts(&director.weir(&["services"]));
    assert_eq!((code, error.as_str()), (0, ""));
    assert_eq!(
        text,
        "udp:192.0.2.10:5060  sh  0 connections, 0 now per second\n  \
           sh-port, persistent for 60 s by 255.255.255.0, engine sip\n  \
           real server    method                                 weight        active  inactive  clients  limit             connections\n  \
           10.0.0.2:5060  dr                                     0 (quiesced)  0       0         0        none              0\n  \
           10.0.0.1:5060  tun gue to port 6080, remote checksum  1             0       0         0        9, again below 3  0\n\n\
         fwmark:7  rr  0 connections, 0 now per second\n  \
           every packet a connection\n  \
           no real servers: clients get ICMP port unreachable\n"
    );
}

#[test]
fn every_verb_that_asks_has_json() {
    let director = Director::new();
    for verb in [
        "status",
        "services",
        "connections",
        "counters",
        "history",
        "drift",
        "audit",
        "maintenance",
    ] {
        let (code, text, error) = parts(&director.weir(&[verb, "--json"]));
        assert_eq!((code, error.as_str()), (0, ""), "{verb}");
        let json: Value = serde_json::from_str(&text).expect(verb);
        assert!(json.is_object(), "{verb}: {text}");
    }
}

#[test]
fn connections_are_listed_as_ipvs_lists_them() {
    let director = Director::with(|plane| {
        let address = |text: &str| [u32::from(text.parse::<Ipv4Addr>().expect("one")).to_be()];
        let record = &plane.connections4[2];
        record.endpoints.store(Endpoints {
            client: address("198.51.100.7"),
            virtual_address: address("192.0.2.10"),
            server: address("10.0.0.11"),
            client_port: 51_234u16.to_be(),
            virtual_port: 80u16.to_be(),
            server_port: 8_080u16.to_be(),
            protocol: 6,
            forwarding: 0,
        });
        // Long past, so that the listing does not depend on when it is made.
        let now = weir_host::clock::monotonic().as_nanos() as u64;
        let past = Tick(
            Tick::from_nanoseconds(now)
                .0
                .wrapping_sub(Ticks::from_seconds(9).0),
        );
        record.word.store(Word::new(past, 1, LIVE, 1).0);
        plane.settings().high_water4.store(3);
    });
    check(
        &director,
        "
        $ -Lnc
        = 0
        > IPVS connection entries
        > pro expire state       source             virtual            destination
        > TCP 00:00  ESTABLISHED 198.51.100.7:51234 192.0.2.10:80      10.0.0.11:8080
        ",
    );
    let count = |arguments: &[&str]| {
        let arguments = [&["connections", "--json"], arguments].concat();
        let (code, text, error) = parts(&director.weir(&arguments));
        assert_eq!((code, error.as_str()), (0, ""), "{arguments:?}");
        let page: Value = serde_json::from_str(&text).expect("JSON");
        page["connections"].as_array().expect("connections").len()
    };
    assert_eq!(count(&[]), 1);
    assert_eq!(count(&["--client", "198.51.100.7"]), 1);
    assert_eq!(count(&["--client", "198.51.100.8"]), 0);
    assert_eq!(count(&["--protocol", "udp"]), 0);
}

#[test]
fn a_file_is_planned_and_applied() {
    let director = Director::new();
    let file = director.directory().join("weir.toml");
    let text = r#"
        [timeouts]
        udp = 60

        [[service]]
        listen = ["tcp 192.0.2.10:80"]
        scheduler = "wrr"
        forward = "nat"
        server = [{ address = "10.0.0.11:8080", weight = 2 }]
    "#;
    fs::write(&file, text).expect("a file");
    let file = file.display().to_string();
    check(&director, "$ -A -u 192.0.2.99:53\n= 0\n");

    let (code, plan, error) = parts(&director.weir(&["plan", &file]));
    assert_eq!((code, error.as_str()), (0, ""));
    assert!(plan.contains("192.0.2.10:80"), "{plan}");
    assert!(plan.contains("192.0.2.99:53"), "{plan}");
    assert!(plan.contains("timeout udp 300 -> 60"), "{plan}");
    check(&director, "$ -Sn\n= 0\n> -A -u 192.0.2.99:53 -s wlc\n");

    let (code, applied, error) = parts(&director.weir(&["apply", &file]));
    assert_eq!(
        (code, applied.as_str(), error.as_str()),
        (0, plan.as_str(), "")
    );
    check(
        &director,
        "
        $ -Sn
        = 0
        > -A -t 192.0.2.10:80 -s wrr
        > -a -t 192.0.2.10:80 -r 10.0.0.11:8080 -m -w 2
        ",
    );
    let (code, again, _) = parts(&director.weir(&["plan", &file]));
    assert_eq!((code, again.as_str()), (0, "nothing would change\n"));
}

#[test]
fn a_wrong_file_is_named_by_place_and_changes_nothing() {
    let director = Director::new();
    let file = director.directory().join("weir.toml");
    fs::write(&file, "[director]\ninterface = [\"eth0\"]\n").expect("a file");
    let file = file.display().to_string();
    for verb in ["plan", "apply"] {
        let (code, output, error) = parts(&director.weir(&[verb, &file]));
        assert_eq!((code, output.as_str()), (2, ""), "{verb}");
        assert!(error.contains(&format!("{file}:2:1")), "{verb}: {error}");
        assert!(error.contains("nothing was changed"), "{verb}: {error}");
    }
    let (code, _, error) = parts(&director.weir(&["plan", "/nonexistent.toml"]));
    assert_eq!(code, 2);
    assert!(error.contains("/nonexistent.toml"), "{error}");
}

#[test]
fn nobody_on_the_socket_is_exit_code_3() {
    let nowhere = Path::new("/nonexistent/weir.sock");
    for verb in ["status", "services", "connections", "counters"] {
        let (code, output, error) = parts(&run(Path::new(BINARY), nowhere, &[verb], ""));
        assert_eq!((code, output.as_str()), (3, ""), "{verb}");
        assert!(error.contains("/nonexistent/weir.sock"), "{verb}: {error}");
        assert!(error.contains("weir run"), "{verb}: {error}");
    }
}

#[test]
fn a_wrong_command_line_is_exit_code_2() {
    let nowhere = Path::new("/nonexistent/weir.sock");
    for arguments in [
        &["stauts"][..],
        &["status", "--jsno"],
        &["run", "--mode", "fast"],
    ] {
        let (code, output, error) = parts(&run(Path::new(BINARY), nowhere, arguments, ""));
        assert_eq!((code, output.as_str()), (2, ""), "{arguments:?}");
        assert!(!error.is_empty(), "{arguments:?}");
    }
}

#[test]
fn every_verb_has_help_with_examples() {
    let nowhere = Path::new("/nonexistent/weir.sock");
    for verb in [
        "run",
        "status",
        "services",
        "connections",
        "counters",
        "plan",
        "apply",
        "rollback",
        "history",
        "drift",
        "audit",
        "events",
        "maintenance",
        "detach",
    ] {
        let (code, help, _) = parts(&run(Path::new(BINARY), nowhere, &[verb, "--help"], ""));
        assert_eq!(code, 0, "{verb}");
        assert!(help.contains("Examples:"), "{verb}: {help}");
    }
    let (code, help, _) = parts(&run(Path::new(BINARY), nowhere, &["--help"], ""));
    assert_eq!(code, 0);
    assert!(help.contains("Exit codes:"), "{help}");
}

#[test]
fn whoever_stops_listening_does_not_change_how_it_ends() {
    for (arguments, code) in [
        (&["status"][..], 3),
        (&["ipvsadm", "-Ln"], 2),
        (&["run", "--config", "/nonexistent/weir.toml"], 2),
    ] {
        let closed = || {
            let (reader, writer) = std::io::pipe().expect("a pipe");
            drop(reader);
            writer
        };
        let status = std::process::Command::new(BINARY)
            .args(arguments)
            .env("WEIR_SOCKET", "/nonexistent/weir.sock")
            .stdout(closed())
            .stderr(closed())
            .status()
            .expect("the binary runs");
        assert_eq!(status.code(), Some(code), "{arguments:?}");
    }
}

#[test]
fn nothing_is_detached_from_an_ordinary_directory() {
    let directory = tempfile::tempdir().expect("a directory");
    let links = directory.path().join("links");
    std::fs::create_dir(&links).expect("a directory");
    std::fs::write(links.join("precious"), "").expect("a file");
    let path = directory.path().display().to_string();
    let nowhere = Path::new("/nonexistent/weir.sock");
    let detach = ["detach", "--bpffs", &path];
    let (code, output, error) = parts(&run(Path::new(BINARY), nowhere, &detach, ""));
    assert_eq!(output, "");
    // Without the privilege it does not come so far.
    assert!(
        code == 4 || error.contains("not on a bpf file system"),
        "{error}"
    );
    assert!(links.join("precious").exists());
}

#[test]
fn sysctls_are_set_and_shown_under_their_own_names() {
    let director = Director::new();
    let weir = |arguments: &[&str]| parts(&director.weir(arguments));
    let value = |name: &str| weir(&["get", name]).1;
    assert_eq!(value("sync_threshold"), "3\t50\n");
    for (name, set) in [
        ("sync_threshold", "7 90"),
        ("conn_reuse_mode", "0"),
        ("est_nice", "-3"),
        ("est_cpulist", "0-1,3"),
        ("est_cpulist", ""),
        ("conntrack", "1"),
        ("nat_icmp_send", "1"),
    ] {
        let (code, output, error) = weir(&["set", name, set]);
        assert_eq!((code, output), (0, String::new()));
        // What is kept and does nothing here is said so.
        let is_idle = ["sync", "est", "conntrack"]
            .iter()
            .any(|idle| name.starts_with(idle));
        assert_eq!(error.contains("warning"), is_idle, "{name}: {error}");
        assert_eq!(value(name), set.replace(' ', "\t") + "\n");
    }
    for (name, set, says) in [
        (
            "drop_entry",
            "4",
            "`drop_entry` cannot be `4`: it takes a whole number from 0 to 3",
        ),
        ("sync_ports", "3", "it takes a power of two"),
        ("sync_threshold", "3", "two whole numbers"),
        ("tcp_timeout", "3", "there is no sysctl `tcp_timeout`"),
        ("../zero", "1", "there is no sysctl `../zero`"),
    ] {
        let (code, _, error) = weir(&["set", name, set]);
        assert_ne!(code, 0, "{name} {set}");
        assert!(error.contains(says), "{error}");
    }
    let (code, _, error) = weir(&["get", "nothing"]);
    assert_ne!(code, 0);
    assert!(error.contains("there is no sysctl `nothing`"), "{error}");
    let (_, status, _) = weir(&["status"]);
    assert!(
        status.contains("conn_reuse_mode  0     (default 1)"),
        "{status}"
    );
}

#[test]
fn a_draining_server_stays_as_long_as_it_has_connections() {
    let director = Director::new();
    check(
        &director,
        "
        $ -A -t 192.0.2.10:80 -s rr
        = 0
        $ -a -t 192.0.2.10:80 -r 10.0.0.1:80 -m
        = 0
        ",
    );
    for record in director.tables.destinations() {
        record.active.store(1);
    }
    let weir = |arguments: &[&str]| parts(&director.weir(arguments));
    let drain = |server| weir(&["drain", "tcp:192.0.2.10:80", server, "--timeout", "3600"]);
    let (code, _, error) = drain("10.0.0.2:80");
    assert_ne!(code, 0);
    assert!(error.contains("no real server 10.0.0.2:80"), "{error}");
    assert_eq!(drain("10.0.0.1:80"), (0, String::new(), String::new()));
    let (_, status, _) = weir(&["status"]);
    let says = "10.0.0.1:80 of tcp:192.0.2.10:80  1 connection left  removed in 3";
    assert!(status.contains(says), "{status}");
    let (_, services, _) = weir(&["services"]);
    assert!(services.contains("0 (quiesced)"), "{services}");
}
