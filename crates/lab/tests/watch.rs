//! `weir run --watch` follows the files that the configuration includes, and those that come later.
#![cfg(feature = "privileged")]

mod common;

use common::weir;
use std::fs;
use std::time::Duration;
use weir_lab::{Director, Network, Plan, Shape, until};

const LONG: Duration = Duration::from_secs(60);

#[test]
fn files_that_are_included_are_followed() {
    let network = Network::new(Plan {
        shape: Shape::TwoInterfaces,
        real_servers: 0,
        offload: true,
    })
    .expect("a network");
    let place = network.lab().directory();
    let parts = place.join("conf.d");
    fs::create_dir(&parts).expect("a directory");
    let file = place.join("keepalived.conf");
    fs::write(&file, "include conf.d/*.conf\n").expect("a file");
    let write = |name: &str, address: &str| {
        let server = "real_server 10.0.0.11 80 {
 weight 1
 }";
        let text = format!(
            "virtual_server {address} 80 {{
 lb_algo rr
 lb_kind NAT
 {server}
}}
"
        );
        fs::write(parts.join(name), text).expect("a part");
    };
    write("one.conf", "192.0.2.10");
    let file = file.display().to_string();
    let further = ["--config", &file, "--watch"];
    let director = Director::start_on(
        &network,
        &weir(),
        "tc",
        network.director_interfaces(),
        &further,
    )
    .expect("a director");
    let wait = |what: &str, expected: &[&str]| {
        let there = || {
            let saved = director.ipvsadm("-Sn").unwrap_or_default();
            saved.matches("-A ").count() == expected.len()
                && expected.iter().all(|address| saved.contains(address))
        };
        until(what, LONG, there).expect("it is followed");
    };
    wait("as it began", &["192.0.2.10"]);
    write("one.conf", "192.0.2.11");
    wait("a part says something else", &["192.0.2.11"]);
    write("two.conf", "192.0.2.12");
    wait("a part has come", &["192.0.2.11", "192.0.2.12"]);
    write("two.conf", "192.0.2.13");
    wait("it says something else too", &["192.0.2.11", "192.0.2.13"]);
    fs::remove_file(parts.join("one.conf")).expect("it goes");
    wait("a part has gone", &["192.0.2.13"]);
}
