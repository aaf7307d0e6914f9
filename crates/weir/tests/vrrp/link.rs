//! Two routers and a client on one switch.

use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use config::model::InterfaceName;
use config::model::Notifications;
use config::model::vrrp::{BfdInstance, Instance, VirtualAddress, VirtualRouterId, Vrrp as Wanted};
use vrrp::State;
use weir::daemon::bfd::Bfd;
use weir::daemon::vrrp::Vrrp;
use weir_config as config;
use weir_lab::{Lab, Namespace, Process, until};
use weir_vrrp as vrrp;

/// Nothing takes so long, not on a busy machine either.
pub const LONG: Duration = Duration::from_secs(60);

/// One of the routers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Weir,
    Keepalived,
}

impl Side {
    pub fn address(self, v6: bool) -> IpAddr {
        let text = match (self, v6) {
            (Self::Weir, false) => "192.0.2.2",
            (Self::Keepalived, false) => "192.0.2.3",
            (Self::Weir, true) => "fe80::2",
            (Self::Keepalived, true) => "fe80::3",
        };
        text.parse().expect("an address")
    }

    const fn link_address(self) -> &'static str {
        match self {
            Self::Weir => "02:00:00:00:00:02",
            Self::Keepalived => "02:00:00:00:00:03",
        }
    }
}

pub struct Link {
    lab: Lab,
    switch: Namespace,
    weir: Namespace,
    keepalived: Namespace,
    client: Namespace,
}

pub fn virtual_address(v6: bool) -> IpAddr {
    let text = if v6 { "2001:db8::10" } else { "192.0.2.10" };
    text.parse().expect("an address")
}

/// An instance with keepalived's defaults.
pub fn instance(v6: bool) -> Instance {
    let prefix = if v6 { 64 } else { 24 };
    Instance {
        v6,
        interval: Duration::from_millis(100),
        addresses: vec![VirtualAddress::new(virtual_address(v6), prefix)],
        ..Instance::new(
            "VI_1",
            InterfaceName::new("eth0").expect("a name"),
            VirtualRouterId::new(51).expect("not 0"),
        )
    }
}

/// The same virtual router for keepalived.
pub fn keepalived_conf(
    version: u8,
    v6: bool,
    priority: u8,
    interval: Duration,
    further: &str,
) -> String {
    let address = virtual_address(v6);
    let prefix = if v6 { 64 } else { 24 };
    let interval = interval.as_secs_f64();
    format!(
        "global_defs {{\n vrrp_version {version}\n}}\n\
         vrrp_instance VI_1 {{\n state BACKUP\n interface eth0\n virtual_router_id 51\n \
         priority {priority}\n advert_int {interval}\n {further} \
         virtual_ipaddress {{\n {address}/{prefix}\n }}\n}}\n"
    )
}

impl Link {
    pub fn new() -> Self {
        let lab = Lab::new().expect("root");
        let switch = lab.namespace("switch").expect("a namespace");
        switch.ip("link add bridge type bridge").expect("a bridge");
        switch.ip("link set bridge up").expect("a bridge");
        let port = |role: &str, last: u8| {
            let namespace = lab.namespace(role).expect("a namespace");
            switch.connect(role, &namespace, "eth0").expect("a wire");
            switch
                .ip(&format!("link set {role} master bridge"))
                .expect("a port");
            // What is said at the beginning is known in advance.
            namespace
                .ip("link set eth0 addrgenmode none")
                .expect("a setting");
            for line in [
                format!("link set eth0 address 02:00:00:00:00:{last:02x}"),
                format!("address add 192.0.2.{last}/24 dev eth0"),
                format!("address add fe80::{last:x}/64 dev eth0 nodad"),
                format!("address add 2001:db8::{last:x}/64 dev eth0 nodad"),
            ] {
                namespace.ip(&line).expect(&line);
            }
            namespace
        };
        let (weir, keepalived) = (port("weir", 2), port("keepalived", 3));
        let client = port("client", 9);
        Self {
            lab,
            switch,
            weir,
            keepalived,
            client,
        }
    }

    pub fn weir(&self, instance: Instance) -> Router {
        let wanted = Wanted {
            instances: vec![instance],
            ..Wanted::default()
        };
        self.weir_with(wanted, Notifications::default())
    }

    /// At whichever place.
    pub fn weir_at(&self, side: Side, instance: Instance) -> Router {
        let wanted = Wanted {
            instances: vec![instance],
            ..Wanted::default()
        };
        self.weir_with_at(side, wanted, Notifications::default())
    }

    pub fn weir_with(&self, wanted: Wanted, notifications: Notifications) -> Router {
        self.weir_with_at(Side::Weir, wanted, notifications)
    }

    fn weir_with_at(&self, side: Side, wanted: Wanted, notifications: Notifications) -> Router {
        let memory = self.lab.directory().join(format!("{side:?}.vrrp"));
        let started = self.namespace(side).enter(|| {
            Vrrp::start(
                wanted,
                notifications,
                memory,
                true,
                Box::new(|who, transition| {
                    println!(
                        "{who:?}: {:?} -> {:?}: {}",
                        transition.from, transition.to, transition.why
                    );
                }),
            )
        });
        Router(started.expect("a namespace").expect("a router"))
    }

    /// BFD sessions at Weir's end.
    pub fn weir_bfd(&self, wanted: Vec<BfdInstance>) -> Bfd {
        let started = self.weir.enter(|| {
            let said = |name: &str, up: bool, why: &str| println!("BFD {name}: {up} {why}");
            Bfd::start(wanted, 7, Box::new(said))
        });
        started.expect("a namespace").expect("sessions")
    }

    pub fn keepalived(&self, conf: &str) -> Keepalived {
        self.keepalived_at(Side::Keepalived, conf)
    }

    /// At whichever place.
    pub fn keepalived_at(&self, side: Side, conf: &str) -> Keepalived {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let at = |name: &str| self.lab.directory().join(format!("{name}.{number}"));
        fs::write(at("keepalived.conf"), conf).expect("a file");
        let program = std::env::var("WEIR_KEEPALIVED");
        let program = program.as_deref().unwrap_or("keepalived");
        let mut command = self.namespace(side).command(program);
        command.args(["--dont-fork", "--vrrp", "--log-console", "--log-detail"]);
        for (option, name) in [
            ("--use-file", "keepalived.conf"),
            ("--pid", "keepalived.pid"),
            ("--vrrp_pid", "vrrp.pid"),
            ("--bfd_pid", "bfd.pid"),
        ] {
            command.arg(option).arg(at(name));
        }
        let process = Process::start(&mut command, &at("keepalived.log")).expect("keepalived");
        Keepalived {
            process,
            vrrp: at("vrrp.pid"),
        }
    }

    fn namespace(&self, side: Side) -> &Namespace {
        match side {
            Side::Weir => &self.weir,
            Side::Keepalived => &self.keepalived,
        }
    }

    pub fn has(&self, side: Side, address: IpAddr) -> bool {
        let shown = self.namespace(side).ip("-o address show dev eth0");
        shown.expect("ip").contains(&format!(" {address}/"))
    }

    pub fn wait_for(&self, side: Side, address: IpAddr, there: bool) {
        let what = format!("{address} at {side:?}: {there}");
        until(&what, LONG, || self.has(side, address) == there).expect(&what);
    }

    /// What an operator, or a power switch, does about a router that is dead and has addresses still.
    pub fn take_from_dead(&self, side: Side, address: IpAddr) {
        let prefix = if address.is_ipv6() { 64 } else { 24 };
        let line = format!("address del {address}/{prefix} dev eth0");
        self.namespace(side).ip(&line).expect("it has it");
    }

    /// A file of this link's own.
    pub fn file(&self, name: &str) -> PathBuf {
        self.lab.directory().join(name)
    }

    /// Takes its cable out.
    pub fn cut(&self, side: Side) {
        self.namespace(side)
            .ip("link set eth0 down")
            .expect("a link");
    }

    /// Takes its cable out at the other end.
    pub fn cut_at_switch(&self, side: Side) {
        let port = match side {
            Side::Weir => "weir",
            Side::Keepalived => "keepalived",
        };
        let line = format!("link set {port} nomaster");
        self.switch.ip(&line).expect("a port");
    }

    /// A program of the client's.
    pub fn client_command(&self, program: &str) -> Command {
        self.client.command(program)
    }

    /// Waits until the client finds the address there.
    pub fn client_reaches(&self, address: IpAddr, side: Side) {
        self.client_finds(address, side.link_address());
    }

    /// Waits until the client finds the address behind that link address, and it answers.
    pub fn client_finds(&self, address: IpAddr, link_address: &str) {
        let what = format!("the client finding {address} at {link_address}");
        until(&what, LONG, || {
            let answers = self.client.run(&format!("ping -c 1 -W 1 {address}"));
            let shown = self.client.ip(&format!("neigh show to {address}"));
            answers.is_ok() && shown.is_ok_and(|shown| shown.contains(link_address))
        })
        .expect(&what);
    }
}

pub struct Router(pub Vrrp);

impl Router {
    pub fn state(&self) -> State {
        self.0.view().expect("it runs").instances[0].state
    }

    pub fn wait_for(&self, state: State) {
        let done = until(&format!("{state:?}"), LONG, || self.state() == state);
        if done.is_err() {
            panic!("not {state:?}: {:#?}", self.0.view());
        }
    }

    pub fn stop(&self) {
        self.0.stop(false);
    }

    /// Ends as who is replaced at once.
    pub fn leave(self) {
        self.0.stop(true);
    }
}

pub struct Keepalived {
    process: Process,
    vrrp: PathBuf,
}

impl Keepalived {
    pub fn terminate(&mut self) -> weir_lab::Result<()> {
        self.process.terminate().map(drop)
    }

    pub fn said(&self) -> String {
        self.process.said()
    }

    pub fn wait_to_say(&self, text: &str) {
        until(text, LONG, || self.said().contains(text)).expect(text);
    }

    /// Kills it with its child, which would hand over when it saw its parent die: so it is frozen first.
    pub fn kill_all(&mut self) {
        let child = fs::read_to_string(&self.vrrp).unwrap_or_default();
        let child = child
            .trim()
            .parse()
            .ok()
            .and_then(rustix::process::Pid::from_raw);
        let signal = |signal| {
            if let Some(child) = child {
                let _ = rustix::process::kill_process(child, signal);
            }
        };
        signal(rustix::process::Signal::STOP);
        // Or it would start the child again.
        self.process.kill();
        signal(rustix::process::Signal::KILL);
    }
}

impl Drop for Keepalived {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- keepalived said\n{}", self.process.said());
        }
        self.kill_all();
    }
}
