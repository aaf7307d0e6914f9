//! The watch on the network of a namespace of its own. Needs root, and the program `ip`.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::process::Command;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use weir_host::neighbour;
use weir_host::watch::{self, Changes};

const NOTHING: Changes = Changes {
    interfaces: false,
    routes: false,
};
const ROUTES: Changes = Changes {
    interfaces: false,
    routes: true,
};
const BOTH: Changes = Changes {
    interfaces: true,
    routes: true,
};

enum Told {
    Changed(Changes),
    Watching,
}

struct Observer(Sender<Told>);

impl watch::Observer for Observer {
    fn changed(&self, changes: Changes) {
        let _ = self.0.send(Told::Changed(changes));
    }

    fn watching(&self) {
        let _ = self.0.send(Told::Watching);
    }

    fn interrupted(&self, error: &io::Error) {
        panic!("interrupted: {error}");
    }
}

/// All that is told until nothing has been told for two signs of life that came after now.
fn told(receiver: &Receiver<Told>) -> Changes {
    let mut all = NOTHING;
    let mut signs = 0;
    while signs < 3 {
        match receiver.recv_timeout(Duration::from_secs(20)) {
            Ok(Told::Changed(changes)) => {
                all.interfaces |= changes.interfaces;
                all.routes |= changes.routes;
                signs = 0;
            }
            Ok(Told::Watching) => signs += 1,
            Err(error) => panic!("no sign of life: {error}"),
        }
    }
    all
}

fn inside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = thread::spawn(|| {
        // SAFETY: a call without pointers; it moves this thread alone.
        let done = unsafe { libc::unshare(libc::CLONE_NEWNET) };
        assert_eq!(
            done, 0,
            "this test needs root: it makes a network namespace"
        );
        work()
    });
    match thread.join() {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

fn ip(arguments: &str) {
    let mut command = Command::new("ip");
    command.args(arguments.split_whitespace());
    let status = command.status().expect("the program ip is there");
    assert!(status.success(), "{command:?} failed");
}

fn set(name: &str, value: &str) {
    let path = format!("/proc/sys/{name}");
    fs::write(&path, value).unwrap_or_else(|error| panic!("{path}: {error}"));
}

fn make_links() {
    ip("link add outside type veth peer name outside-peer");
    for link in ["outside", "outside-peer"] {
        set(&format!("net/ipv6/conf/{link}/disable_ipv6"), "1");
        ip(&format!("link set {link} up"));
    }
    ip("address add 10.1.0.1/24 dev outside");
}

#[test]
fn what_decides_where_packets_go_is_told_and_noise_is_not() {
    inside(|| {
        make_links();
        let (sender, receiver) = channel();
        watch::network(Observer(sender)).expect("a thread can be started");
        assert_eq!(told(&receiver), BOTH, "who begins knows nothing");
        assert_eq!(told(&receiver), NOTHING);
        for (change, meaning) in [
            ("address add 10.1.0.2/24 dev outside", ROUTES),
            ("route add 10.2.0.0/24 via 10.1.0.9", ROUTES),
            ("rule add from 10.3.0.0/24 table 7", ROUTES),
            ("-6 rule add from 2001:db8::/32 table 7", ROUTES),
            ("nexthop add id 1 via 10.1.0.9 dev outside", ROUTES),
            ("route del 10.2.0.0/24", ROUTES),
            ("neigh add 10.1.0.9 lladdr 2:0:0:0:0:9 dev outside", NOTHING),
            (
                "neigh change 10.1.0.9 lladdr 2:0:0:0:0:9 dev outside nud stale",
                NOTHING,
            ),
            (
                "neigh change 10.1.0.9 lladdr 2:0:0:0:0:8 dev outside nud reachable",
                ROUTES,
            ),
            ("neigh del 10.1.0.9 dev outside", ROUTES),
            ("neigh add proxy 10.1.0.77 dev outside", NOTHING),
            ("link set outside mtu 1400", BOTH),
            ("link set outside address 2:0:0:0:0:1", BOTH),
            ("link add more type veth", BOTH),
        ] {
            ip(change);
            assert_eq!(told(&receiver), meaning, "{change}");
        }
        set("net/ipv4/conf/outside/forwarding", "1");
        assert!(told(&receiver).routes, "IPv4 forwarding");
        set("net/ipv6/conf/all/forwarding", "1");
        assert!(told(&receiver).routes, "IPv6 forwarding");
    });
}

#[test]
fn more_changes_than_the_socket_holds_are_a_change() {
    inside(|| {
        make_links();
        let (sender, receiver) = channel();
        watch::network(Observer(sender)).expect("a thread can be started");
        told(&receiver);
        let many: String = (0..60_000)
            .map(|n| format!("route add 10.9.{}.{}/32 dev outside\n", n / 256, n % 256))
            .collect();
        let mut batch = Command::new("ip")
            .args(["-batch", "-"])
            .stdin(std::process::Stdio::piped())
            .spawn()
            .expect("the program ip is there");
        let mut input = batch.stdin.take().expect("it is piped");
        io::Write::write_all(&mut input, many.as_bytes()).expect("ip reads all");
        drop(input);
        assert!(batch.wait().expect("it ends").success());
        assert!(told(&receiver).routes);
        assert_eq!(told(&receiver), NOTHING, "and it comes to an end");
        ip("route del 10.9.0.1/32");
        assert_eq!(told(&receiver), ROUTES, "the watch goes on");
    });
}

#[test]
fn a_stale_neighbour_is_confirmed() {
    let state = inside(|| {
        make_links();
        ip("neigh add 10.1.0.9 lladdr 2:0:0:0:0:9 dev outside nud stale");
        let stale: Vec<_> = neighbour::all()
            .expect("the kernel answers")
            .into_iter()
            .filter(|one| one.stale)
            .map(|one| one.name)
            .collect();
        assert_eq!(stale.len(), 1);
        assert_eq!(stale[0].1, IpAddr::from([10, 1, 0, 9]));
        neighbour::confirm(&stale).expect("the kernel takes it");
        let gone = (stale[0].0, IpAddr::from([10, 1, 0, 10]));
        neighbour::confirm(&[gone, (9999, gone.1)]).expect("what is gone is no error");
        let output = Command::new("ip")
            .args(["neigh", "show", "10.1.0.9"])
            .output();
        String::from_utf8(output.expect("the program ip is there").stdout).expect("it is text")
    });
    assert!(state.contains("DELAY"), "{state}");
}
