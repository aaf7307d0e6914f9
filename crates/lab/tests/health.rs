//! Checks of real web servers that are killed, hang, fail and come back: forwarding follows.
#![cfg(feature = "privileged")]

mod common;

use common::{WEB, url, weir};
use std::fs;
use std::time::Duration;
use weir_lab::{Director, Family, Network, Nginx, Plan, Shape, curl, output, run, until};

const LONG: Duration = Duration::from_secs(60);
/// So many requests that all must be answered, and by whom they should be.
const REQUESTS: usize = 8;

/// A director that reads a file, and two web servers that can fail. Declared in the order in which it must end.
struct Site {
    director: Director,
    nginx: Vec<Nginx>,
    network: Network,
}

impl Site {
    fn new(mode: &str) -> Site {
        let network = Network::new(Plan {
            shape: Shape::TwoInterfaces,
            real_servers: 2,
            offload: !mode.starts_with("xdp"),
        })
        .expect("a network");
        let servers = network.real_servers.iter();
        let nginx = servers.map(|server| Nginx::start_to_fail(network.lab(), server, WEB));
        let nginx = nginx.collect::<Result<_, _>>().expect("nginx");
        let director = Director::start(&network, &weir(), mode).expect("a director");
        Site {
            director,
            nginx,
            network,
        }
    }

    /// Makes a service of both servers with that check.
    fn apply(&self, forward: &str, check: &str) {
        let service = Network::service(Family::V4, WEB);
        let servers: Vec<String> = self
            .network
            .real_servers
            .iter()
            .map(|server| format!("{{ address = \"{}\" }}", server.at(Family::V4, WEB)))
            .collect();
        let text = format!(
            "[[service]]\nlisten = [\"tcp {service}\"]\nscheduler = \"rr\"\nforward = \"{forward}\"\n\
             check = {{ {check}, interval = \"50ms\", timeout = \"1s\", retry_delay = \"20ms\" }}\n\
             server = [{}]\n",
            servers.join(", ")
        );
        let file = self.network.lab().directory().join("health.toml");
        fs::write(&file, text).expect("a file");
        let said = self.weir(&["apply", &file.display().to_string()]);
        assert!(!said.is_empty());
    }

    fn weir(&self, arguments: &[&str]) -> String {
        let said = self.director.weir(arguments).expect("weir runs");
        let error = String::from_utf8_lossy(&said.stderr);
        assert!(said.status.success(), "weir {arguments:?}: {error}");
        String::from_utf8_lossy(&said.stdout).into_owned()
    }

    /// Waits until exactly these servers are in the tables, and looks who answers then: nobody else, and always.
    #[track_caller]
    fn serve(&self, case: &str, expected: &[usize]) {
        let there = || {
            let saved = self.director.ipvsadm("-Sn").expect("a listing");
            let servers = self.network.real_servers.iter().enumerate();
            let there = servers.filter(|(_, server)| {
                saved.contains(&format!("-r {} ", server.at(Family::V4, WEB)))
            });
            there.map(|(number, _)| number).collect::<Vec<_>>()
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

    fn signal(&mut self, server: usize, name: &str) {
        let id = self.nginx[server].process().id();
        let mut kill = std::process::Command::new("kill");
        run(kill.arg(format!("-{name}")).arg(id.to_string())).expect("a signal");
    }
}

#[test]
fn servers_that_fail_hang_and_die_are_out_until_they_are_well() {
    for mode in ["tc", "xdp"] {
        let mut site = Site::new(mode);
        site.apply("nat", "http = \"/\"");
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
        site.nginx[0].process().kill();
        site.serve("one was killed", &[1]);
        // A daemon that begins anew knows it; and who comes back is seen by it.
        site.director.terminate().expect("it ends");
        site.director.start_again().expect("it starts");
        site.serve("the daemon began anew", &[1]);
        let server = &site.network.real_servers[0];
        site.nginx[0] = Nginx::start_to_fail(site.network.lab(), server, WEB).expect("nginx again");
        site.serve("it was started again", &[0, 1]);
    }
}

/// With direct routing only a check by the way of the traffic sees that a server does not take the virtual address.
#[test]
fn a_server_that_answers_for_itself_and_not_for_the_virtual_address_is_down() {
    let vip = Family::V4.virtual_address();
    let site = Site::new("tc");
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
    site.apply("dr", "http = \"/\", way = \"traffic\"");
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
