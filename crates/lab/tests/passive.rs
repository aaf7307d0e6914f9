//! What the director sees of real servers without asking, with real traffic: a passive check takes a server out before
//! the active one has noticed anything, and weights follow the time that servers take to accept.
#![cfg(feature = "privileged")]

#[path = "common/checked.rs"]
mod checked;
mod common;

use checked::{Checked, LONG};
use common::{WEB, url};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use weir_lab::{Arrival, Family, Network, ShortConnections, curl, until};

/// An active check that cannot notice anything while a test runs.
const SLOWLY: &str = "scheduler = \"rr\"\nforward = \"nat\"\n\
                      check = { http = \"/\", interval = \"1h\", warm_up = \"0s\" }\n";
const DROP: &str = "tcp dport 80 drop";
/// The first SYN of a connection is lost, so that it takes a second more.
const HESITATE: &str = "tcp flags syn tcp dport 80 ip saddr . tcp sport @seen accept\n\
                        tcp flags syn tcp dport 80 add @seen { ip saddr . tcp sport } drop";

/// What is done while the client opens connections, so many a second.
fn under_load(site: &mut Checked, work: impl FnOnce(&mut Checked)) {
    let client = site.network.client.clone();
    let goes_on = AtomicBool::new(true);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while goes_on.load(Ordering::Relaxed) {
                let load = ShortConnections {
                    servers: &[Network::service(Family::V4, WEB)],
                    sources: &[Family::V4.client()],
                    arrival: Arrival::PerSecond(60),
                    duration: Duration::from_secs(1),
                };
                load.run(&client).expect("a load");
            }
        });
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(site)));
        goes_on.store(false, Ordering::Relaxed);
        if let Err(panic) = done {
            std::panic::resume_unwind(panic);
        }
    });
}

/// What health says of a server, and whether its check has found nothing wrong.
fn said_of(site: &Checked, server: usize) -> (String, bool) {
    let said = site.weir(&["health", "--json"]);
    let address = site.network.real_servers[server]
        .at(Family::V4, WEB)
        .to_string();
    let health: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    let servers = health["services"][0]["servers"]
        .as_array()
        .expect("servers");
    let own = servers
        .iter()
        .find(|one| one["address"] == address.as_str());
    let own = own.expect("the server");
    let check = &own["checks"][0];
    let well = check["up"] == true && check["known"] == true && check["last"]["trouble"].is_null();
    (own["reason"].as_str().unwrap_or_default().to_owned(), well)
}

/// Waits until both are known to be well, each by one answer.
fn both_are_well(site: &Checked) {
    let known = || (0..2).all(|server| said_of(site, server).1);
    until("both were checked once", LONG, known).expect("both are well");
    site.wait("both serve", |weights| weights == [Some(1), Some(1)]);
}

#[test]
fn who_refuses_or_hangs_is_out_before_its_check_has_noticed() {
    for mode in ["tc", "xdp"] {
        let mut site = Checked::new(mode);
        site.apply(
            &format!(
                "{SLOWLY}passive = {{ share = 30, least = 10, window = \"4s\", pause = \"5s\" }}\n"
            ),
            "",
        );
        both_are_well(&site);
        under_load(&mut site, |site| {
            site.kill(0);
            site.wait("one refuses", |weights| weights == [None, Some(1)]);
            let (reason, check_is_well) = said_of(site, 0);
            assert!(reason.contains("connections failed"), "{mode}: {reason}");
            assert!(check_is_well, "{mode}: the active check has noticed");
            let answers = curl(&site.network.client, &url(Family::V4, ""), 8).expect("answers");
            assert_eq!(answers.of("real2"), 8, "{mode}");
            // After its pause it is tried again: some clients find out whether it is well.
            site.wait("its pause is over", |weights| weights[0] == Some(1));
            site.wait("it refuses again", |weights| weights[0].is_none());
            site.start(0);
            site.wait("it is tried again", |weights| weights[0] == Some(1));

            site.filter(1, DROP);
            site.wait("the other is silent", |weights| weights == [Some(1), None]);
            let (reason, check_is_well) = said_of(site, 1);
            assert!(reason.contains("connections failed"), "{mode}: {reason}");
            assert!(check_is_well, "{mode}: the active check has noticed");
            site.filter(1, "");
            site.wait("it is tried again too", |weights| {
                weights == [Some(1), Some(1)]
            });
        });
    }
}

/// What the director sees never takes the last server out: the sorry server is the checks' to call.
#[test]
fn nobody_is_taken_out_without_whom_there_were_no_quorum() {
    let mut site = Checked::new("tc");
    site.apply(
        &format!(
            "{SLOWLY}passive = {{ share = 30, least = 10, window = \"4s\", pause = \"1h\" }}\n"
        ),
        "",
    );
    both_are_well(&site);
    under_load(&mut site, |site| {
        site.kill(0);
        site.wait("one refuses", |weights| weights == [None, Some(1)]);
        site.kill(1);
        let spared = || site.director.said().contains("Keeping service");
        until("the other is spared", LONG, spared).expect("it is said");
        assert_eq!(site.weights(), [None, Some(1)]);
        site.start(1);
        let answers = curl(&site.network.client, &url(Family::V4, ""), 4).expect("answers");
        assert_eq!(answers.of("real2"), 4);
    });
}

#[test]
fn who_takes_long_to_accept_gets_less() {
    let mut site = Checked::new("tc");
    site.apply(
        &format!(
            "{SLOWLY}weights = {{ connect_time = \"250ms\", least = 1, most = 100, smoothing = 100 }}\n"
        ),
        ", weight = 100",
    );
    under_load(&mut site, |site| {
        site.filter(0, HESITATE);
        let slow = |weight: Option<u32>| weight.is_some_and(|weight| (1..=25).contains(&weight));
        site.wait("one takes a second longer", |weights| {
            slow(weights[0]) && weights[1] == Some(100)
        });
        let health = site.weir(&["health"]);
        assert!(health.contains("connections take"), "{health}");
        site.filter(0, "");
        site.wait("it hesitates no more", |weights| {
            weights == [Some(100), Some(100)]
        });
    });
}
