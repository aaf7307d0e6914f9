//! Two directors that read one `keepalived.conf`: health checks, and who has the addresses.
#![cfg(feature = "privileged")]

mod common;

use common::weir;
use std::time::Duration;
use weir_lab::{Keeper, PairSite, Signal, curl, until};

/// Checks and advertisements come every second; nothing takes longer than a few of them, but on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A site whose first director is Active.
fn site() -> PairSite {
    let site = PairSite::new(Keeper::Weir(weir())).expect("a site");
    active(&site, &[0]);
    site
}

fn active(site: &PairSite, expected: &[usize]) {
    until(&format!("{expected:?} Active"), PATIENCE, || {
        site.pair.active().is_ok_and(|active| active == expected)
    })
    .unwrap_or_else(|error| panic!("{error}\n{}", said(site)));
}

/// All that the directors said.
fn said(site: &PairSite) -> String {
    let logs = site.keepers.iter().map(|keeper| keeper.said());
    logs.collect::<Vec<_>>().join("\n---\n")
}

fn in_service(site: &PairSite, server: &str, expected: bool) {
    until(
        &format!("{server} in service: {expected}"),
        PATIENCE,
        || {
            let listing = site.pair.weir(0, &weir(), &["ipvsadm", "-Ln"]);
            listing.is_ok_and(|said| {
                String::from_utf8_lossy(&said.stdout).contains(server) == expected
            })
        },
    )
    .unwrap_or_else(|error| panic!("{error}\n{}", said(site)));
}

fn serves(site: &PairSite) {
    let url = format!("http://{}/", PairSite::address());
    let tally =
        curl(&site.pair.client, &url, 6).unwrap_or_else(|error| panic!("{error}\n{}", said(site)));
    assert_eq!(tally.total(), 6);
}

#[test]
fn real_servers_leave_and_come_back() {
    let mut site = site();
    serves(&site);
    for number in [0, 2] {
        in_service(&site, &format!("10.0.0.{}", 11 + number), true);
    }
    site.nginx[1].process().kill();
    in_service(&site, "10.0.0.12", false);
    serves(&site);
    site.start_nginx(1).expect("nginx");
    in_service(&site, "10.0.0.12", true);
    site.nginx[1].fail(true).expect("errors");
    in_service(&site, "10.0.0.12", false);
    serves(&site);
    site.nginx[1].fail(false).expect("no errors");
    in_service(&site, "10.0.0.12", true);
    site.nginx[2].process().signal(Signal::STOP);
    in_service(&site, "10.0.0.13", false);
    serves(&site);
    site.nginx[2].process().signal(Signal::CONT);
    in_service(&site, "10.0.0.13", true);
}

#[test]
fn a_director_that_is_stopped_hands_over_and_takes_back() {
    let mut site = site();
    site.keepers[0].terminate().expect("an end");
    active(&site, &[1]);
    serves(&site);
    site.start_keeper(0).expect("a daemon");
    active(&site, &[0]);
    serves(&site);
}

#[test]
fn a_director_that_is_cut_off_is_replaced() {
    let site = site();
    site.pair.cut_off(0, true).expect("cut");
    // It cannot know: the other one is Active beside it, and has the clients.
    active(&site, &[0, 1]);
    serves(&site);
    site.pair.cut_off(0, false).expect("connected");
    active(&site, &[0]);
    serves(&site);
}

#[test]
fn a_killed_daemon_leaves_forwarding_and_its_successor_takes_over() {
    let mut site = site();
    site.pair.signal(0, Signal::KILL).expect("killed");
    active(&site, &[0, 1]);
    serves(&site);
    site.start_keeper(0).expect("a daemon");
    active(&site, &[0]);
    serves(&site);
}
