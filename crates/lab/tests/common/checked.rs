//! Two web servers that can fail, checked by a director.
#![allow(
    dead_code,
    reason = "every test file is a crate of its own and uses its part"
)]

use super::common::{WEB, weir};
use std::fs;
use std::process::Command;
use std::time::Duration;
use weir_lab::{Director, Family, Network, Nginx, Plan, Shape, run, until};

/// Nobody has to wait so long where all is well.
pub const LONG: Duration = Duration::from_secs(60);

/// A director, and two web servers that can fail. Declared in the order in which it must end.
pub struct Checked {
    pub director: Director,
    pub nginx: Vec<Nginx>,
    pub network: Network,
}

impl Checked {
    pub fn new(mode: &str) -> Checked {
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
        Checked {
            director,
            nginx,
            network,
        }
    }

    /// Makes a service of both servers of which more is said: how it forwards, how it is checked.
    pub fn apply(&self, service: &str, server: &str) {
        let listen = Network::service(Family::V4, WEB);
        let servers: Vec<String> = self
            .network
            .real_servers
            .iter()
            .map(|one| format!("{{ address = \"{}\"{server} }}", one.at(Family::V4, WEB)))
            .collect();
        let text = format!(
            "[[service]]\nlisten = [\"tcp {listen}\"]\n{service}\nserver = [{}]\n",
            servers.join(", ")
        );
        let file = self.network.lab().directory().join("health.toml");
        fs::write(&file, text).expect("a file");
        let said = self.weir(&["apply", &file.display().to_string()]);
        assert!(!said.is_empty());
    }

    /// `weir ARGUMENTS`, which must do it; what it says.
    #[track_caller]
    pub fn weir(&self, arguments: &[&str]) -> String {
        let said = self.director.weir(arguments).expect("weir runs");
        let error = String::from_utf8_lossy(&said.stderr);
        assert!(said.status.success(), "weir {arguments:?}: {error}");
        String::from_utf8_lossy(&said.stdout).into_owned()
    }

    /// The weights that the servers have in the tables; nothing of one that is not there.
    pub fn weights(&self) -> Vec<Option<u32>> {
        let saved = self.director.ipvsadm("-Sn").expect("a listing");
        let of = |address: String| {
            let line = saved.lines().find(|line| line.contains(&address))?;
            line.rsplit_once("-w ")?.1.trim().parse().ok()
        };
        let servers = self.network.real_servers.iter();
        servers
            .map(|server| of(format!("-r {} ", server.at(Family::V4, WEB))))
            .collect()
    }

    /// Waits until the weights in the tables are as wanted; without success, what health says is shown.
    #[track_caller]
    pub fn wait(&self, case: &str, wanted: impl Fn(&[Option<u32>]) -> bool) {
        if until(case, LONG, || wanted(&self.weights())).is_err() {
            panic!(
                "{case}: weights {:?}\n{}\n{}",
                self.weights(),
                self.weir(&["health"]),
                self.director.said()
            );
        }
    }

    /// Sends a signal to a web server.
    pub fn signal(&mut self, server: usize, name: &str) {
        let id = self.nginx[server].process().id();
        let mut kill = Command::new("kill");
        run(kill.arg(format!("-{name}")).arg(id.to_string())).expect("a signal");
    }

    /// Kills a web server: its machine refuses connections.
    pub fn kill(&mut self, server: usize) {
        self.nginx[server].process().kill();
    }

    /// Starts a web server again.
    pub fn start(&mut self, server: usize) {
        let real = &self.network.real_servers[server];
        self.nginx[server] =
            Nginx::start_to_fail(self.network.lab(), real, WEB).expect("nginx again");
    }

    /// Lets these rules of nftables be the only ones of a web server's machine; none lets all through.
    pub fn filter(&self, server: usize, rules: &str) {
        let file = self.network.lab().directory().join("filter");
        let text = match rules {
            "" => "flush ruleset\n".to_owned(),
            rules => format!(
                "flush ruleset\ntable ip lab {{\n set seen {{ type ipv4_addr . inet_service; flags dynamic,timeout; \
                 timeout 1m; }}\n chain input {{ type filter hook input priority 0;\n{rules}\n }}\n}}\n"
            ),
        };
        fs::write(&file, text).expect("a file");
        let real = &self.network.real_servers[server].namespace;
        real.run(&format!("nft -f {}", file.display()))
            .expect("nft takes it");
    }
}
