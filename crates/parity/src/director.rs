//! A director between two wires: the kernel's IPVS or Weir, in a namespace like the other's in everything else.

use crate::cell::Cell;
use crate::packet::{self, Header, number};
use crate::read::{self, Seen};
use crate::scenario::Play;
use crate::wire::Wire;
use anyhow::{Context, Result, bail};
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use weir_lab::{Lab, Namespace, Process};

/// How many real servers there are; the last two are behind a link with a smaller MTU.
pub const SERVERS: u8 = 10;
/// The MTU on the way to the last two.
pub const NARROW: u16 = 1400;
/// The port that GUE is unwrapped at.
pub const GUE_PORT: u16 = 6080;

/// The side of a director.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Where clients are.
    Clients,
    /// Where real servers are.
    Servers,
}

impl Side {
    /// The other one.
    pub fn other(self) -> Side {
        match self {
            Side::Clients => Side::Servers,
            Side::Servers => Side::Clients,
        }
    }

    fn interface(self) -> &'static str {
        match self {
            Side::Clients => "front",
            Side::Servers => "back",
        }
    }

    fn mac(self) -> [u8; 6] {
        match self {
            Side::Clients => [2, 0, 0, 0, 1, 1],
            Side::Servers => [2, 0, 0, 0, 2, 1],
        }
    }

    /// Whoever sends the packet by which the end of an exchange is told.
    fn fence(self) -> SocketAddr {
        match self {
            Side::Clients => SocketAddr::new(client(false, 250), 9),
            Side::Servers => SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 250)), 9),
        }
    }
}

/// The link address of the router that clients are behind.
pub const ROUTER: [u8; 6] = [2, 0, 0, 0, 1, 2];

/// A client's address.
pub fn client(v6: bool, number: u8) -> IpAddr {
    if v6 {
        Ipv6Addr::new(0x2001, 0xdb8, 0xc, 0, 0, 0, 0, u16::from(number)).into()
    } else {
        Ipv4Addr::new(203, 0, 113, number).into()
    }
}

/// A real server's address; the first is number 0.
pub fn server(v6: bool, number: u8) -> IpAddr {
    if v6 {
        Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, 0x10 + u16::from(number)).into()
    } else {
        Ipv4Addr::new(10, 0, 0, 0x10 + number).into()
    }
}

/// How many virtual addresses there are, but for those of services for all ports.
pub const VIRTUAL_ADDRESSES: u8 = 60;

/// A virtual address; the first is number 1.
pub fn virtual_address(v6: bool, number: u8) -> IpAddr {
    if v6 {
        Ipv6Addr::new(0x2001, 0xdb8, 0xf, 0, 0, 0, 0, u16::from(number)).into()
    } else {
        Ipv4Addr::new(192, 0, 2, number).into()
    }
}

/// The director's address on the real servers' side.
pub fn own(v6: bool) -> IpAddr {
    if v6 {
        Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, 1).into()
    } else {
        Ipv4Addr::new(10, 0, 0, 1).into()
    }
}

/// A router that clients or real servers are behind, where errors come from.
pub fn router(side: Side, v6: bool) -> IpAddr {
    match (side, v6) {
        (Side::Clients, false) => Ipv4Addr::new(198, 51, 100, 2).into(),
        (Side::Clients, true) => Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 2).into(),
        (Side::Servers, false) => Ipv4Addr::new(10, 0, 0, 251).into(),
        (Side::Servers, true) => Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, 251).into(),
    }
}

fn server_mac(v6: bool, number: u8) -> [u8; 6] {
    [2, 0, 0, 0, if v6 { 6 } else { 4 }, number]
}

/// Which real server has a link address.
pub fn server_of(hop: [u8; 6]) -> Option<IpAddr> {
    (0..SERVERS).find_map(|number| {
        [false, true]
            .into_iter()
            .find(|&v6| server_mac(v6, number) == hop)
            .map(|v6| server(v6, number))
    })
}

fn text(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

/// Who balances.
#[derive(Clone, Debug)]
pub enum Kind {
    /// The kernel's IPVS.
    Ipvs,
    /// Weir: its binary, and how it takes packets.
    Weir {
        /// The program.
        binary: PathBuf,
        /// The mode of `weir run`.
        mode: String,
    },
}

/// What a command said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// The exit code.
    pub code: i32,
    /// The standard output.
    pub output: String,
    /// The standard error.
    pub errors: String,
}

/// A director.
pub struct Director {
    /// What it is called in reports.
    pub name: &'static str,
    kind: Kind,
    namespace: Namespace,
    front: Wire,
    back: Wire,
    socket: PathBuf,
    daemon: Option<Process>,
    fences: u32,
}

impl Director {
    /// Makes the namespace, its wires and its routes; starts Weir.
    pub fn new(
        lab: &Lab,
        world: &Namespace,
        name: &'static str,
        kind: Kind,
        marks: &[Mark],
    ) -> Result<Director> {
        let namespace = lab.namespace(name)?;
        for side in [Side::Clients, Side::Servers] {
            let near = side.interface();
            let far = format!("{name}-{near}");
            namespace.connect(near, world, &far)?;
            namespace.ip(&format!("link set {near} address {}", text(side.mac())))?;
            // What the director itself sends comes with its checksums done.
            namespace.offload(near, "tx", false)?;
            // XDP can send into a wire only if its far end polls.
            world.offload(&far, "gro", true)?;
            world.sysctl(&format!("net/ipv6/conf/{far}/disable_ipv6"), "1")?;
        }
        set_up(&namespace)?;
        let wire = |side: Side| -> Result<Wire> {
            let far = format!("{name}-{}", side.interface());
            let opened = world.enter(|| Wire::open(&far))?;
            opened.with_context(|| format!("cannot open {far}"))
        };
        let mut director = Director {
            name,
            kind,
            front: wire(Side::Clients)?,
            back: wire(Side::Servers)?,
            namespace,
            socket: lab.directory().join(format!("{name}.sock")),
            daemon: None,
            fences: 0,
        };
        match director.is_weir() {
            true => director.start(lab, marks)?,
            false => mark_by_nftables(&director.namespace, marks)?,
        }
        Ok(director)
    }

    fn start(&mut self, lab: &Lab, marks: &[Mark]) -> Result<()> {
        let Kind::Weir { binary, mode } = &self.kind else {
            return Ok(());
        };
        let place = lab.directory();
        let configuration = place.join("weir.toml");
        // Small, as the guest is; nothing here needs more.
        let tables = "[tables]\nservices = 1024\nreal_servers = 4096\nconnections = 65536\n";
        std::fs::write(
            &configuration,
            tables.to_owned() + &mark_by_configuration(marks),
        )?;
        let mut command = self.namespace.command(binary);
        command.arg("run").arg("--config").arg(&configuration);
        command.arg("--socket").arg(&self.socket);
        command.arg("--bpffs").arg(lab.bpffs()?.join("weir"));
        command.args([
            "--mode",
            mode,
            "--interface",
            "front",
            "--interface",
            "back",
        ]);
        let mut process = Process::start(&mut command, &place.join("weir.log"))?;
        let socket = self.socket.clone();
        let mut ended = false;
        // The verifier has much to look at, and the guest is slow.
        weir_lab::until(
            "weir answers on its socket",
            Duration::from_secs(300),
            || {
                ended = !process.runs();
                ended || std::os::unix::net::UnixStream::connect(&socket).is_ok()
            },
        )?;
        if ended {
            bail!("weir ended by itself:\n{}", process.said());
        }
        self.daemon = Some(process);
        Ok(())
    }

    /// An error if Weir does not run any more.
    pub fn check(&mut self) -> Result<()> {
        if let Some(process) = &mut self.daemon
            && !process.runs()
        {
            bail!("weir ended by itself:\n{}", process.said());
        }
        Ok(())
    }

    /// What commands are given to.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Whether it is Weir.
    pub fn is_weir(&self) -> bool {
        matches!(self.kind, Kind::Weir { .. })
    }

    /// ipvsadm with arguments, reading `given`.
    pub fn ipvsadm(&self, arguments: &[&str], given: &str) -> Result<Said> {
        let mut command = match &self.kind {
            Kind::Ipvs => self.namespace.command("ipvsadm"),
            Kind::Weir { binary, .. } => {
                let mut command = self.namespace.command(binary);
                command.arg("ipvsadm").env("WEIR_SOCKET", &self.socket);
                command
            }
        };
        said(command.args(arguments), given)
    }

    /// `weir` with arguments; nothing where this is not Weir.
    pub fn weir(&self, arguments: &[&str]) -> Result<Option<Said>> {
        let Kind::Weir { binary, .. } = &self.kind else {
            return Ok(None);
        };
        let mut command = self.namespace.command(binary);
        command.env("WEIR_SOCKET", &self.socket).args(arguments);
        said(&mut command, "").map(Some)
    }

    fn wire(&self, side: Side) -> &Wire {
        match side {
            Side::Clients => &self.front,
            Side::Servers => &self.back,
        }
    }

    /// Puts packets on a wire; returns what came out towards the clients and towards the real servers.
    ///
    /// A packet that no director touches follows them. Where it comes out, all that they caused has come out, so that
    /// silence needs no waiting.
    pub fn exchange(&mut self, side: Side, packets: &[Vec<u8>]) -> Result<[Vec<Seen>; 2]> {
        self.fences += 1;
        let token = format!("fence {}", self.fences);
        let (from, to) = (side.fence(), side.other().fence());
        let fence = packet::ip(
            from.ip(),
            to.ip(),
            number::UDP,
            &packet::udp(from, to, token.as_bytes(), true),
            Header::default(),
        );
        let (near, far) = (self.wire(side), self.wire(side.other()));
        for packet in packets.iter().chain([&fence]) {
            near.send(&packet::frame(side.mac(), ROUTER, packet))
                .context("cannot put a packet on a wire")?;
        }
        let mut beyond = Vec::new();
        loop {
            match far.receive()? {
                Some(frame) if frame.ends_with(token.as_bytes()) => break,
                Some(frame) => beyond.extend(read::frame(&frame)),
                None => {
                    if !far.wait(Duration::from_secs(5))? {
                        let name = self.name;
                        self.check()?;
                        bail!("{name}: packets do not pass any more");
                    }
                }
            }
        }
        let mut returned = Vec::new();
        while let Some(frame) = near.receive()? {
            returned.extend(read::frame(&frame));
        }
        Ok(match side {
            Side::Clients => [returned, beyond],
            Side::Servers => [beyond, returned],
        })
    }

    /// Forgets what ICMP errors of earlier cells told about ways.
    pub fn forget_learnt_mtus(&self) -> Result<()> {
        self.namespace.run("ip -4 route flush cache")?;
        self.namespace.run("ip -6 route flush cache")?;
        Ok(())
    }

    /// Reads a file as the director's namespace has it.
    pub fn file(&self, path: &str) -> Result<String> {
        let read = self.namespace.enter(|| std::fs::read_to_string(path))?;
        read.with_context(|| format!("cannot read {path}"))
    }
}

fn said(command: &mut Command, given: &str) -> Result<Said> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", command.get_program().display()))?;
    let mut stdin = child.stdin.take();
    let text = given.to_owned();
    // Apart, so that neither side waits for the other to read.
    let writer = std::thread::spawn(move || {
        // Who ends early does not read all; its exit code says why.
        let _ = stdin
            .take()
            .map(|mut stdin| stdin.write_all(text.as_bytes()));
    });
    let output = child.wait_with_output()?;
    if writer.join().is_err() {
        bail!("cannot write to a command");
    }
    Ok(Said {
        code: output.status.code().unwrap_or(-1),
        output: String::from_utf8_lossy(&output.stdout).into_owned(),
        errors: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// How many ICMP errors a machine sends in a second, and at once.
const ICMP_LIMITS: [&str; 2] = ["net/ipv4/icmp_msgs_per_sec", "net/ipv4/icmp_msgs_burst"];

fn set_up(namespace: &Namespace) -> Result<()> {
    for (name, value) in [
        ("net/ipv4/ip_forward", "1"),
        ("net/ipv4/conf/all/rp_filter", "0"),
        ("net/ipv4/conf/front/rp_filter", "0"),
        ("net/ipv4/conf/back/rp_filter", "0"),
        ("net/ipv4/icmp_ratelimit", "0"),
        ("net/ipv6/icmp/ratelimit", "0"),
        ("net/ipv6/auto_flowlabels", "0"),
        ("net/ipv6/conf/all/forwarding", "1"),
        ("net/ipv6/conf/front/accept_dad", "0"),
        ("net/ipv6/conf/back/accept_dad", "0"),
    ] {
        namespace.sysctl(name, value)?;
    }
    // Newer kernels have these limits in each namespace, older ones once.
    for name in ICMP_LIMITS {
        if namespace.sysctl(name, "1000000").is_err() {
            std::fs::write(Path::new("/proc/sys").join(name), "1000000")?;
        }
    }
    let router = text(ROUTER);
    let mut lines = vec![
        "address add 198.51.100.1/24 dev front".to_owned(),
        "address add 2001:db8:1::1/64 dev front nodad".to_owned(),
        "address add 10.0.0.1/24 dev back".to_owned(),
        "address add 2001:db8:2::1/64 dev back nodad".to_owned(),
        format!("neighbour add 198.51.100.2 lladdr {router} dev front nud permanent"),
        format!("neighbour add 2001:db8:1::2 lladdr {router} dev front nud permanent"),
        "route add 203.0.113.0/24 via 198.51.100.2".to_owned(),
        "route add 2001:db8:c::/64 via 2001:db8:1::2".to_owned(),
        "route add local 192.0.2.0/24 dev lo".to_owned(),
        "route add local 2001:db8:f::/64 dev lo".to_owned(),
    ];
    // As every director has them: ICMPv6 errors come from an address, not from a route.
    for number in 1..=VIRTUAL_ADDRESSES {
        let address = virtual_address(true, number);
        lines.push(format!("address add {address}/128 dev lo nodad"));
    }
    for v6 in [false, true] {
        for number in 0..SERVERS {
            let (address, mac) = (server(v6, number), text(server_mac(v6, number)));
            lines.push(format!(
                "neighbour add {address} lladdr {mac} dev back nud permanent"
            ));
            if number + 2 >= SERVERS {
                // Of a route's MTU that is not locked, forwarding takes no notice, and so `bpf_fib_lookup` does not.
                lines.push(format!("route add {address} dev back mtu lock {NARROW}"));
            }
        }
        lines.push(format!(
            "neighbour add {} lladdr {} dev back nud permanent",
            self::router(Side::Servers, v6),
            text(server_mac(v6, 251))
        ));
    }
    lines.push(format!(
        "neighbour add {} lladdr {} dev back nud permanent",
        Side::Servers.fence().ip(),
        text(server_mac(false, 250))
    ));
    let batch = lines
        .iter()
        .map(|line| format!("{line}\n"))
        .collect::<String>();
    let done = said(namespace.command("ip").args(["-batch", "-"]), &batch)?;
    if done.code != 0 {
        bail!("ip -batch: {}", done.errors);
    }
    Ok(())
}

/// Loads what IPVS and its tests need of the kernel.
pub fn load_modules() -> Result<()> {
    weir_lab::run(Command::new("modprobe").arg("ip_vs"))?;
    if !Path::new("/proc/net/ip_vs").exists() {
        bail!("this kernel has no IPVS");
    }
    Ok(())
}

/// Ports whose packets carry a firewall mark.
#[derive(Clone, Debug)]
pub struct Mark {
    /// The mark.
    pub mark: u32,
    /// The first and the last port.
    pub ports: (u16, u16),
    /// Whether packets are of IPv6.
    pub v6: bool,
}

/// The marks that cells need.
pub fn marks(cells: &[(u16, Cell)]) -> Vec<Mark> {
    let marked = cells.iter().filter(|(_, cell)| cell.feature.is_mark());
    marked
        .map(|&(number, cell)| {
            let play = Play::new(cell, number, 0);
            Mark {
                mark: play.mark,
                ports: (play.port, play.port + 3),
                v6: play.v6(),
            }
        })
        .collect()
}

/// As IPVS's users set them.
fn mark_by_nftables(namespace: &Namespace, marks: &[Mark]) -> Result<()> {
    let elements: Vec<String> = marks
        .iter()
        .map(|one| format!("{}-{} : {}", one.ports.0, one.ports.1, one.mark))
        .collect();
    if elements.is_empty() {
        return Ok(());
    }
    let rules = format!(
        "table inet parity {{\n map marks {{ type inet_service : mark; flags interval; elements = {{ {} }} }}\n \
         chain marking {{\n  type filter hook prerouting priority mangle;\n  iifname front meta l4proto {{ tcp, udp, \
         sctp }} meta mark set th dport map @marks\n }}\n}}\n",
        elements.join(", ")
    );
    let done = said(namespace.command("nft").args(["-f", "-"]), &rules)?;
    if done.code != 0 {
        bail!("nft: {}", done.errors);
    }
    Ok(())
}

/// As Weir's users say them: its programs see packets before nftables does.
fn mark_by_configuration(marks: &[Mark]) -> String {
    let rule = |one: &Mark| {
        let prefix = if one.v6 {
            "2001:db8:f::/48"
        } else {
            "192.0.2.0/24"
        };
        format!(
            "[[mark]]\nmark = {}\ndestination = \"{prefix}\"\nports = \"{}-{}\"\ninterface = \"front\"\n",
            one.mark, one.ports.0, one.ports.1
        )
    };
    marks.iter().map(rule).collect()
}
