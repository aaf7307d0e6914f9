//! The daemon dies, comes back, has a double, goes for good.
#![cfg(feature = "privileged")]

mod common;

use common::{Site, url};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;
use weir_lab::{Director, Family, Network, Plan, Shape, Wrk, until};

#[test]
fn a_killed_daemon_loses_nothing() {
    for mode in ["tc", "xdp"] {
        let mut site = Site::new(mode, Shape::TwoInterfaces);
        let client = site.network.client.clone();
        let service = Network::service(Family::V4, common::WEB);
        let mut lasting = client
            .enter(|| TcpStream::connect(service))
            .expect("a namespace")
            .expect("a connection");
        assert_eq!(request(&mut lasting), 200, "{mode}");

        let (v4, v6) = (url(Family::V4, ""), url(Family::V6, ""));
        let load = |url, close| Wrk {
            url,
            connections: 8,
            seconds: 6,
            close,
        };
        let place = site.network.lab().directory();
        let running = [
            load(v4.as_str(), true)
                .start(&client, &place.join("wrk4.log"))
                .expect("wrk"),
            load(v6.as_str(), false)
                .start(&client, &place.join("wrk6.log"))
                .expect("wrk"),
        ];
        until("the load begins", Duration::from_secs(5), || {
            site.answered() > 500
        })
        .expect("a load");

        let services = site.ipvsadm("-Sn");
        let connections = counted(&site.ipvsadm("-Ln --stats --exact"));
        site.director.kill();
        let at_death = site.answered();
        until("answers without a daemon", Duration::from_secs(5), || {
            site.answered() > at_death + 500
        })
        .expect("answers");
        assert_eq!(
            request(&mut lasting),
            200,
            "{mode}: a connection of before, without a daemon"
        );
        site.director.start_again().expect("the daemon again");

        assert_eq!(site.ipvsadm("-Sn"), services, "{mode}");
        let now = counted(&site.ipvsadm("-Ln --stats --exact"));
        assert!(
            connections > 0 && now > connections + 400,
            "{mode}: {connections} connections, then {now}"
        );
        assert_eq!(
            request(&mut lasting),
            200,
            "{mode}: a connection of before, with the new daemon"
        );
        let ours = format!("{}", lasting.local_addr().expect("our address"));
        let listing = site.ipvsadm("-Lnc");
        let line = listing
            .lines()
            .find(|line| line.contains(&format!(" {ours} ")))
            .expect("our connection");
        assert!(line.contains("ESTABLISHED"), "{mode}: {line}");
        for load in running {
            let report = load.finish().expect("a report");
            assert_eq!(report.errors, 0, "{mode}: of {} requests", report.requests);
        }
    }
}

#[test]
fn a_change_by_hand_just_before_the_daemon_is_killed_is_known() {
    let network = Network::new(Plan {
        shape: Shape::TwoInterfaces,
        real_servers: 2,
        offload: true,
    })
    .expect("a network");
    let place = network.lab().directory().to_owned();
    let (file, audit) = (place.join("weir.toml"), place.join("audit"));
    let service = Network::service(Family::V4, 80);
    let servers: Vec<String> = (network.real_servers.iter())
        .map(|server| format!("{{ address = \"{}\" }}", server.at(Family::V4, 80)))
        .collect();
    let text = format!(
        "[director]\naudit = \"{}\"\n[[service]]\nlisten = [\"tcp {service}\"]\nforward = \"nat\"\nserver = [{}]\n",
        audit.display(),
        servers.join(", ")
    );
    std::fs::write(&file, text).expect("a file");
    let (file, state) = (
        file.display().to_string(),
        place.join("state").display().to_string(),
    );
    let mut director = Director::start_on(
        &network,
        &common::weir(),
        "tc",
        &["clients", "servers"],
        &["--config", &file, "--state", &state],
    )
    .expect("a director");
    let server = network.real_servers[1].at(Family::V4, 80);
    let edit = format!("-e -t {service} -r {server} -m -w 7");
    director.ipvsadm(&edit).expect("an edit");
    director.kill();
    let audit = std::fs::read_to_string(&audit).expect("an audit log");
    let last = audit.lines().last().unwrap_or_default();
    assert!(
        last.contains(&server.to_string()) && last.contains("ipvsadm") && last.contains("\"7\""),
        "{last}"
    );
    director.start_again().expect("a daemon");
    let listing = director.ipvsadm("-Ln").expect("a listing");
    let row = listing
        .lines()
        .find(|line| line.contains(&server.to_string()));
    assert!(
        row.is_some_and(|row| row.contains("Masq    7")),
        "{listing}"
    );
    let drift = director.weir(&["drift"]).expect("weir drift");
    let drift = String::from_utf8_lossy(&drift.stdout);
    assert!(
        drift.contains("weight 1 -> 7") && drift.contains("by hand: ipvsadm"),
        "{drift}"
    );
}

#[test]
fn a_daemon_that_ends_leaves_forwarding() {
    let mut site = Site::new("auto", Shape::TwoInterfaces);
    assert!(site.director.terminate().expect("an end").success());
    weir_lab::curl(&site.network.client, &url(Family::V4, ""), 4)
        .expect("answers without a daemon");
}

#[test]
fn a_second_daemon_is_refused() {
    let site = Site::new("auto", Shape::TwoInterfaces);
    let second = site.director.second().expect("an attempt");
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(!second.status.success() && !said.is_empty());
    weir_lab::curl(&site.network.client, &url(Family::V4, ""), 2).expect("the first still serves");
    site.ipvsadm("-Ln");
}

#[test]
fn two_directors_on_one_machine_do_not_meet() {
    let sites = [
        Site::new("auto", Shape::TwoInterfaces),
        Site::new("auto", Shape::TwoInterfaces),
    ];
    sites[0].ipvsadm("-C");
    assert_eq!(sites[0].ipvsadm("-Sn"), "");
    weir_lab::curl(&sites[1].network.client, &url(Family::V4, ""), 4)
        .expect("the other still serves");
}

#[test]
fn detach_leaves_nothing() {
    for mode in ["tc", "xdp", "xdp-generic"] {
        let mut site = Site::new(mode, Shape::TwoInterfaces);
        let objects = pinned(&site);
        for kind in ["map", "link", "prog"] {
            assert!(
                objects.iter().any(|(ours, _)| *ours == kind),
                "{mode}: no {kind} is pinned: {objects:?}"
            );
        }
        assert!(objects.iter().all(|&(kind, id)| exists(kind, id)));
        site.director.terminate().expect("an end");
        let bpffs = site.director.bpffs().display().to_string();
        let detached = site
            .director
            .weir(&["detach", "--bpffs", &bpffs])
            .expect("detach");
        assert!(
            detached.status.success(),
            "{mode}: {}",
            String::from_utf8_lossy(&detached.stderr)
        );

        assert!(!site.director.bpffs().exists(), "{mode}: {bpffs} stayed");
        for (kind, id) in objects {
            // The kernel frees them a little later.
            until("a BPF object is gone", Duration::from_secs(30), || {
                !exists(kind, id)
            })
            .unwrap_or_else(|error| panic!("{mode}, {kind} {id}: {error}"));
        }
        // Its kernel alone refuses what nobody serves there.
        let refused =
            weir_lab::curl_exit(&site.network.client, &url(Family::V4, "")).expect("curl");
        assert_eq!(refused, Some(7), "{mode}: curl could connect");
    }
}

/// Kind and id of every BPF object that the director has pinned, and of the programs that its links hold.
fn pinned(site: &Site) -> Vec<(&'static str, u32)> {
    let mut places = vec![site.director.bpffs().to_owned()];
    let mut objects = Vec::new();
    while let Some(place) = places.pop() {
        for entry in std::fs::read_dir(&place).expect("a directory").flatten() {
            let path = entry.path();
            if path.is_dir() {
                places.push(path);
                continue;
            }
            for kind in ["map", "link"] {
                let line = format!("bpftool --json {kind} show pinned {}", path.display());
                // Of another kind it is an error. `bpftool net` would not do: Debian 12's does not know tcx.
                if let Ok(said) = site.network.director.run(&line) {
                    objects.extend(number(&said, "id").map(|id| (kind, id)));
                    objects.extend(number(&said, "prog_id").map(|id| ("prog", id)));
                }
            }
        }
    }
    objects
}

/// Whether the kernel has such an object. Who opens a table of programs that is about to go (bpftool does) can keep it
/// for ever: the kernel empties it whenever nobody has it open any more, and counts itself twice as its user if the
/// emptying before has not begun yet (`prog_array_map_clear`, Linux 6.18). So only the numbers are asked for.
fn exists(kind: &str, id: u32) -> bool {
    let command = match kind {
        "prog" => 11, // BPF_PROG_GET_NEXT_ID
        "map" => 12,  // BPF_MAP_GET_NEXT_ID
        "link" => 31, // BPF_LINK_GET_NEXT_ID
        other => panic!("{other} is no kind of BPF object"),
    };
    #[repr(C)]
    struct Next {
        after: u32,
        found: u32,
        flags: u32,
    }
    let mut next = Next {
        after: id - 1,
        found: 0,
        flags: 0,
    };
    // SAFETY: the attributes of these commands are three numbers, ours to write for as long as the call takes.
    let code = unsafe { libc::syscall(libc::SYS_bpf, command, &raw mut next, size_of::<Next>()) };
    if code != 0 {
        let error = std::io::Error::last_os_error();
        assert_eq!(error.raw_os_error(), Some(libc::ENOENT), "{error}");
    }
    code == 0 && next.found == id
}

/// A number in what bpftool says as JSON.
fn number(said: &str, name: &str) -> Option<u32> {
    let (_, rest) = said.split_once(&format!("\"{name}\":"))?;
    let digits = rest.trim_start().chars().take_while(char::is_ascii_digit);
    digits.collect::<String>().parse().ok()
}

/// The connections of all services, from a listing of counters.
fn counted(listing: &str) -> u64 {
    let services = listing
        .lines()
        .filter(|line| line.starts_with("TCP") || line.starts_with("UDP"));
    services
        .filter_map(|line| line.split_whitespace().nth(2)?.parse::<u64>().ok())
        .sum()
}

/// A request on a connection that stays open; the status.
fn request(connection: &mut TcpStream) -> u16 {
    connection
        .set_read_timeout(Some(Duration::from_secs(5)))
        .expect("a timeout");
    connection
        .write_all(b"GET / HTTP/1.1\r\nHost: weir\r\n\r\n")
        .expect("a request");
    let mut answer = Vec::new();
    while !answer.ends_with(b"real1\n") && !answer.ends_with(b"real2\n") {
        let mut part = [0; 1024];
        let length = connection.read(&mut part).expect("an answer");
        assert!(length > 0, "the connection was closed");
        answer.extend_from_slice(&part[..length]);
    }
    String::from_utf8_lossy(&answer)
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .expect("a status")
}
