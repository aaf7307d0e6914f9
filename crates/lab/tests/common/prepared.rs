//! Real servers that `weir realserver` has prepared, behind a director that leaves them the virtual addresses.
#![allow(
    dead_code,
    reason = "every test file is a crate of its own and uses its part"
)]

use crate::common::weir;
use weir_lab::{Director, Family, Lab, Namespace, Network, Plan, Shape, output};

/// A director, and real servers that are prepared for direct routing and every tunnel. Declared in the order in which it
/// must end.
pub struct Prepared {
    pub director: Director,
    pub network: Network,
}

impl Prepared {
    pub fn new(mode: &str, real_servers: u8) -> Prepared {
        let network = Network::new(Plan {
            shape: Shape::TwoInterfaces,
            real_servers,
            offload: !mode.starts_with("xdp"),
        })
        .expect("a network");
        give_up_addresses(&network);
        let director = Director::start(&network, &weir(), mode).expect("a director");
        for server in &network.real_servers {
            prepare(network.lab(), &server.namespace, &server.name);
        }
        Prepared { director, network }
    }

    pub fn ipvsadm(&self, line: &str) -> String {
        self.director.ipvsadm(line).expect("an ipvsadm line")
    }
}

/// Takes the virtual addresses from the director: answers pass it as a router, which would drop them if they came from an
/// address of its own.
pub fn give_up_addresses(network: &Network) {
    for family in Family::BOTH {
        let (vip, host) = (family.virtual_address(), host(family));
        network
            .director
            .ip(&format!("address del {vip}/{host} dev clients"))
            .expect("its address");
        network
            .client
            .ip(&format!("route add {vip}/{host} via {}", family.director()))
            .expect("a route");
    }
}

/// Makes a host a real server for direct routing and tunnels.
pub fn prepare(lab: &Lab, host: &Namespace, name: &str) {
    let [v4, v6] = Family::BOTH.map(Family::virtual_address);
    let line = format!("prepare --vip {v4} {v6} --interface eth0 --method tun");
    realserver(lab, host, name, &line);
}

/// `weir realserver LINE` on a host of that name.
pub fn realserver(lab: &Lab, host: &Namespace, name: &str, line: &str) -> String {
    let mut command = host.command(weir());
    command.arg("realserver").args(line.split_whitespace());
    let bpffs = lab.bpffs().expect("a BPF file system");
    command.arg("--bpffs").arg(bpffs.join(name));
    let state = lab.directory().join(format!("{name}.json"));
    command.arg("--state").arg(state);
    let said = output(&mut command).expect("weir runs");
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    let error = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.status.success(), "{line}: {text}{error}");
    text
}

/// The prefix of a single address.
pub fn host(family: Family) -> u8 {
    match family {
        Family::V4 => 32,
        Family::V6 => 128,
    }
}
