//! Real programs through a director, in every mode: both families, both protocols.
#![cfg(feature = "privileged")]

mod common;

use common::{DNS, Site, url};
use weir_lab::{Family, Network, Nginx, Shape, UdpLoad, Wrk, curl, curl_hash};

/// The scheduler's picks, then a big file's hash, then more connections than a table of neighbours or ports forgives.
fn carries(mode: &str, shape: Shape) {
    let site = Site::new(mode, shape);
    picks(&site);
    big_file(&site);
    many_connections(&site);
}

fn picks(site: &Site) {
    for family in Family::BOTH {
        let answers = curl(&site.network.client, &url(family, ""), 40).expect("answers");
        assert_eq!(
            (answers.of("real1"), answers.of("real2")),
            (20, 20),
            "{family:?} TCP"
        );
        let load = UdpLoad {
            service: Network::service(family, DNS),
            questions: 40,
        };
        let answers = load.run(&site.network.client).expect("answers");
        assert_eq!(
            (answers.of("real1"), answers.of("real2")),
            (20, 20),
            "{family:?} UDP"
        );
    }
}

fn big_file(site: &Site) {
    let file = Nginx::make_big_file(site.network.lab()).expect("a big file");
    let sum = site
        .network
        .client
        .run(&format!("sha256sum {}", file.display()))
        .expect("a sum");
    for family in Family::BOTH {
        let fetched = curl_hash(&site.network.client, &url(family, "big"), 60).expect("the file");
        assert_eq!(sum.split(' ').next(), Some(fetched.as_str()), "{family:?}");
    }
}

fn many_connections(site: &Site) {
    for family in Family::BOTH {
        let url = url(family, "");
        let (mut connections, mut errors) = (0, 0);
        while connections < 10_000 {
            let load = Wrk {
                url: &url,
                connections: 64,
                seconds: 2,
                close: true,
            };
            let report = load.run(&site.network.client).expect("a report");
            assert!(report.requests > 0, "{family:?}: nothing is answered");
            connections += report.requests;
            errors += report.errors;
        }
        assert_eq!(errors, 0, "{family:?}: of {connections} connections");
    }
}

#[test]
fn tc_carries_everything() {
    carries("tc", Shape::TwoInterfaces);
}

#[test]
fn xdp_carries_everything() {
    carries("xdp", Shape::TwoInterfaces);
}

#[test]
fn generic_xdp_carries_everything() {
    carries("xdp-generic", Shape::TwoInterfaces);
}

#[test]
fn auto_carries_everything() {
    carries("auto", Shape::TwoInterfaces);
}

#[test]
fn one_interface_is_enough_for_tc() {
    carries("tc", Shape::OneInterface);
}

#[test]
fn one_interface_is_enough_for_xdp() {
    carries("xdp", Shape::OneInterface);
}

#[test]
fn ten_thousand_connections_at_a_time() {
    let site = Site::new("auto", Shape::TwoInterfaces);
    let url = url(Family::V4, "");
    let load = Wrk {
        url: &url,
        connections: 10_000,
        seconds: 10,
        close: false,
    };
    let report = load.run(&site.network.client).expect("a report");
    assert_eq!(report.errors, 0, "of {} requests", report.requests);
    assert!(
        report.requests >= 10_000,
        "only {} requests",
        report.requests
    );
}
