//! Checks of real web servers that are killed, hang, fail and come back: forwarding follows.
#![cfg(feature = "privileged")]

#[path = "common/checked.rs"]
mod checked;
mod common;

use checked::{Checked, LONG};
use common::{url, weir};
use weir_lab::{Family, curl, output, until};

/// So many requests that all must be answered, and by whom they should be.
const REQUESTS: usize = 8;

/// What is said of a service that is forwarded and checked so.
fn service(forward: &str, check: &str) -> String {
    format!(
        "scheduler = \"rr\"\nforward = \"{forward}\"\n\
         check = {{ {check}, interval = \"50ms\", timeout = \"1s\", retry_delay = \"20ms\" }}\n"
    )
}

impl Checked {
    /// Waits until exactly these servers are in the tables, and looks who answers then: nobody else, and always.
    #[track_caller]
    fn serve(&self, case: &str, expected: &[usize]) {
        let there = || {
            let weights = self.weights().into_iter().enumerate();
            let there = weights.filter_map(|(number, weight)| weight.map(|_| number));
            there.collect::<Vec<_>>()
        };
        if until(case, LONG, || there() == expected).is_err() {
            let health = self.weir(&["health"]);
            panic!(
                "{case}: {:?} serve\n{health}\n{}",
                there(),
                self.director.said()
            );
        }
        let answers = curl(&self.network.client, &url(Family::V4, ""), REQUESTS)
            .unwrap_or_else(|error| panic!("{case}: {error}"));
        for number in expected {
            let name = &self.network.real_servers[*number].name;
            assert_eq!(answers.of(name), REQUESTS / expected.len(), "{case}");
        }
    }
}

#[test]
fn servers_that_fail_hang_and_die_are_out_until_they_are_well() {
    for mode in ["tc", "xdp"] {
        let mut site = Checked::new(mode);
        site.apply(&service("nat", "http = \"/\""), "");
        site.serve("both are well", &[0, 1]);
        site.nginx[1].fail(true).expect("it fails");
        site.serve("one answers by errors", &[0]);
        let health = site.weir(&["health"]);
        assert!(health.contains("500"), "{health}");
        site.nginx[1].fail(false).expect("it does not fail");
        site.serve("it does no more", &[0, 1]);
        site.signal(1, "STOP");
        site.serve("one hangs", &[0]);
        site.signal(1, "CONT");
        site.serve("it goes on", &[0, 1]);
        site.kill(0);
        site.serve("one was killed", &[1]);
        // A daemon that begins anew knows it; and who comes back is seen by it.
        site.director.terminate().expect("it ends");
        site.director.start_again().expect("it starts");
        site.serve("the daemon began anew", &[1]);
        site.start(0);
        site.serve("it was started again", &[0, 1]);
    }
}

/// With direct routing only a check by the way of the traffic sees that a server does not take the virtual address.
#[test]
fn a_server_that_answers_for_itself_and_not_for_the_virtual_address_is_down() {
    let vip = Family::V4.virtual_address();
    let site = Checked::new("tc");
    let network = &site.network;
    network
        .director
        .ip(&format!("address del {vip}/32 dev clients"))
        .expect("its address");
    network
        .client
        .ip(&format!("route add {vip}/32 via {}", Family::V4.director()))
        .expect("a route");
    for server in &network.real_servers {
        let lab = network.lab();
        let line = format!("realserver prepare --vip {vip} --interface eth0 --method dr");
        let mut command = server.namespace.command(weir());
        command.args(line.split_whitespace()).arg("--bpffs");
        command.arg(lab.bpffs().expect("a BPF file system").join(&server.name));
        let state = lab.directory().join(format!("{}.json", server.name));
        let said = output(command.arg("--state").arg(state)).expect("weir runs");
        assert!(said.status.success(), "{said:?}");
    }
    site.apply(&service("dr", "http = \"/\", way = \"traffic\""), "");
    site.serve("both take the virtual address", &[0, 1]);
    let second = &network.real_servers[1].namespace;
    let listed = second
        .ip(&format!("-oneline address show to {vip}"))
        .expect("addresses");
    let device = listed.split_whitespace().nth(1).expect("it has it");
    second
        .ip(&format!("address del {vip}/32 dev {device}"))
        .expect("it goes");
    site.serve("one takes it no more", &[0]);
    second
        .ip(&format!("address add {vip}/32 dev {device}"))
        .expect("it comes back");
    site.serve("it takes it again", &[0, 1]);
}
