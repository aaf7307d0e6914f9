//! What the director sends itself, between real sockets. Checks that go the way of the traffic: of a director
//! that has the virtual address itself, and of a real server that answers there, or on its own address alone.
//! And replies of a director that is its own real server.

use std::collections::HashMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::AsFd as _;
use std::process::Command;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};
use weir_abi::realserver::{Prepared, mapped};
use weir_abi::reason::Reason;
use weir_abi::settings::Interface;
use weir_config::model::{
    self, Forwarding, GueChecksum, RealServer, Scheduler, Service, ServiceKey, Tunnel,
};
use weir_control::{CheckWay, Director, Tables as _, Way};
use weir_dataplane::realserver::Decapsulator;
use weir_dataplane::{Attachment, Dataplane, TableSizes};

use crate::kernel::Directory;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);
const MAC: [u8; 6] = [2, 0, 0, 0, 9, 1];
const SERVER_MAC: &str = "02:00:00:00:09:02";
const GUE_PORT: u16 = 6080;

/// Director, real server, virtual address.
const ADDRESSES: [[&str; 3]; 2] = [
    ["10.9.0.1", "10.9.0.2", "192.0.2.77"],
    ["fd09::1", "fd09::2", "2001:db8::77"],
];

fn ip(line: &str) {
    let mut command = Command::new("ip");
    command.args(line.split_whitespace());
    let status = command.status().expect("the program ip is there");
    assert!(status.success(), "{command:?} failed");
}

/// A namespace of its own, with a thread that does there what it is told.
struct Station {
    work: Option<mpsc::Sender<Box<dyn FnOnce() + Send>>>,
    thread: Option<JoinHandle<()>>,
    id: i32,
}

impl Station {
    fn new() -> Self {
        let (work, told) = mpsc::channel::<Box<dyn FnOnce() + Send>>();
        let (say, heard) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            // SAFETY: calls without pointers; the namespace is this thread's alone.
            let id = unsafe {
                assert_eq!(libc::unshare(libc::CLONE_NEWNET), 0, "this needs root");
                libc::gettid()
            };
            ip("link set lo up");
            say.send(id).expect("somebody waits");
            for one in told {
                one();
            }
        });
        Self {
            work: Some(work),
            thread: Some(thread),
            id: heard.recv().expect("the thread says it"),
        }
    }

    fn does<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let (say, heard) = mpsc::channel();
        let work = Box::new(move || {
            let _ = say.send(work());
        });
        let sender = self.work.as_ref().expect("not at its end");
        sender.send(work).expect("the thread lives");
        heard.recv().expect("it has done so")
    }
}

impl Drop for Station {
    fn drop(&mut self) {
        drop(self.work.take());
        if let Some(thread) = self.thread.take() {
            // A test that fails already has said why.
            let _ = thread.join();
        }
    }
}

fn connect_them(director: &Station, server: &Station, offload: bool) {
    let other = server.id;
    let offload = if offload { "on" } else { "off" };
    let features = move |device: &str| {
        let mut command = Command::new("ethtool");
        command.args(["-K", device, "tx", offload, "rx", offload]);
        let done = command.output().expect("the program ethtool is there");
        assert!(done.status.success(), "{command:?} failed");
    };
    director.does(move || {
        ip(&format!(
            "link add inside address 02:00:00:00:09:01 type veth peer name outside address {SERVER_MAC} netns {other}"
        ));
        features("inside");
        for [own, _, vip] in ADDRESSES {
            let (length, host) = if own.contains(':') { (64, 128) } else { (24, 32) };
            ip(&format!("address add {own}/{length} dev inside"));
            // A director has it: a reply from there would be a martian.
            ip(&format!("address add {vip}/{host} dev lo"));
        }
        ip("link set inside up");
    });
    server.does(move || {
        features("outside");
        for [_, own, vip] in ADDRESSES {
            let (length, host) = if own.contains(':') {
                (64, 128)
            } else {
                (24, 32)
            };
            ip(&format!("address add {own}/{length} dev outside"));
            ip(&format!("address add {vip}/{host} dev lo"));
        }
        ip("link set outside up");
    });
    for station in [director, server] {
        // Until duplicate address detection is over.
        station.does(|| {
            for [director, server, _] in ADDRESSES {
                let own = [director, server].map(|address| UdpSocket::bind((address, 0)));
                if own.iter().all(Result::is_err) {
                    await_address(director, server);
                }
            }
        });
    }
}

/// Waits until one of the two is an address of this station.
fn await_address(one: &str, another: &str) {
    let mut events = Command::new("ip")
        .args(["-o", "monitor", "address"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("the program ip is there");
    let mut lines = std::io::BufReader::new(events.stdout.take().expect("it is piped"));
    let mut line = String::new();
    while [one, another]
        .iter()
        .all(|address| UdpSocket::bind((*address, 0)).is_err())
    {
        line.clear();
        std::io::BufRead::read_line(&mut lines, &mut line).expect("news of addresses");
    }
    events.kill().expect("it runs");
    events.wait().expect("it has ended");
}

/// A director's programs in its namespace, on its link to the other.
fn programs(path: &std::path::Path) -> Dataplane {
    let sizes = TableSizes {
        services: 4,
        real_servers: 4,
        connections4: 16,
        connections6: 16,
    };
    let mut plane = Dataplane::open(path, sizes).expect("the programs load");
    // SAFETY: a terminated string.
    let index = unsafe { libc::if_nametoindex(c"inside".as_ptr()) };
    let interface = Interface { mac: MAC, flags: 0 };
    plane.set_interface(index, interface).expect("an interface");
    plane
        .attach(index, "inside", Attachment::Tc)
        .expect("the programs attach");
    plane
}

/// What a check's socket comes to: what the other end has said, or why there is none.
fn ask(
    plane: Option<&Dataplane>,
    kind: Type,
    way: Option<CheckWay>,
    to: SocketAddr,
) -> Result<String, ErrorKind> {
    let socket = Socket::new(Domain::for_address(to), kind, None).expect("a socket");
    let any: IpAddr = if to.is_ipv4() {
        "0.0.0.0".parse().expect("an address")
    } else {
        "::".parse().expect("an address")
    };
    socket
        .bind(&SockAddr::from(SocketAddr::new(any, 0)))
        .expect("a port");
    if let (Some(way), Some(plane)) = (way, plane) {
        plane
            .check_ways()
            .set(socket.as_fd(), &way)
            .expect("it is told");
    }
    socket.set_read_timeout(Some(PATIENCE)).expect("patience");
    let connected = socket.connect_timeout(&to.into(), PATIENCE);
    connected.map_err(|error| error.kind())?;
    let mut said = [0; 2000];
    let mut socket = socket;
    socket.write_all(&[7; 900]).map_err(|error| error.kind())?;
    let length = socket.read(&mut said).map_err(|error| error.kind())?;
    Ok(String::from_utf8_lossy(&said[..length]).into_owned())
}

/// Answers one question with whom it was for, and how long it was.
fn answer_one(server: &Station, kind: Type, at: SocketAddr) -> mpsc::Receiver<()> {
    let (say, done) = mpsc::channel();
    server.does(move || {
        if kind == Type::STREAM {
            let listener = TcpListener::bind(at).expect("an address");
            std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().expect("a connection");
                let mut heard = [0; 900];
                stream.read_exact(&mut heard).expect("a question");
                let own = stream.local_addr().expect("an address");
                let text = format!("{} {}", own.ip(), heard.len());
                stream.write_all(text.as_bytes()).expect("an answer");
                // The next one is to find the port free.
                drop((stream, listener));
                let _ = say.send(());
            });
        } else {
            let socket = UdpSocket::bind(at).expect("an address");
            std::thread::spawn(move || {
                let mut heard = [0; 2000];
                let (length, from) = socket.recv_from(&mut heard).expect("a question");
                let text = format!("{} {length}", at.ip());
                socket.send_to(text.as_bytes(), from).expect("an answer");
                drop(socket);
                let _ = say.send(());
            });
        }
    });
    done
}

fn words(address: IpAddr) -> [u32; 4] {
    match address {
        IpAddr::V4(address) => mapped(u32::from_ne_bytes(address.octets())),
        IpAddr::V6(address) => {
            let bytes = address.octets();
            std::array::from_fn(|i| {
                u32::from_ne_bytes(std::array::from_fn(|byte| bytes[4 * i + byte]))
            })
        }
    }
}

fn methods() -> Vec<Forwarding> {
    let port = GUE_PORT.try_into().expect("not 0");
    vec![
        Forwarding::Direct,
        Forwarding::Tunnel(Tunnel::Ipip),
        Forwarding::Tunnel(Tunnel::Gre { checksum: true }),
        Forwarding::Tunnel(Tunnel::Gue {
            port,
            checksum: GueChecksum::Full,
        }),
    ]
}

fn counted(plane: &Dataplane, which: Reason) -> u64 {
    let reasons = plane.reasons().expect("reasons");
    let found = reasons.iter().find(|(reason, _)| *reason == which);
    found.expect("every reason is there").1
}

fn play(offload: bool) {
    let (director, server) = (Station::new(), Station::new());
    connect_them(&director, &server, offload);
    let (plane_directory, server_directory) = (Directory::new(), Directory::new());
    let path = plane_directory.path().to_owned();
    let mut plane = director.does(move || {
        let mut plane = programs(&path);
        plane.carry_checks(true).expect("checks are carried");
        plane
    });
    let path = server_directory.path().to_owned();
    server.does(move || {
        let mut program = Decapsulator::open(&path).expect("the program loads");
        let mut wanted = vec![Prepared::gue_port(GUE_PORT.to_be())];
        for [_, own, vip] in ADDRESSES {
            let [own, vip] = [own, vip].map(|address| words(address.parse().expect("an address")));
            wanted.extend([Prepared::here(own), Prepared::virtual_address(vip)]);
        }
        program.prepare(&wanted).expect("room");
        // SAFETY: a terminated string.
        let index = unsafe { libc::if_nametoindex(c"outside".as_ptr()) };
        program.attach(index, "outside").expect("it attaches");
    });
    for (family, [_, own, vip]) in ADDRESSES.into_iter().enumerate() {
        let own: SocketAddr = SocketAddr::new(own.parse().expect("an address"), 80);
        let vip: SocketAddr = SocketAddr::new(vip.parse().expect("an address"), 80);
        for forwarding in methods() {
            let server_record = RealServer::new(own, forwarding);
            let way = CheckWay::of(vip.ip(), &server_record);
            assert!(way.is_some());
            for kind in [Type::STREAM, Type::DGRAM] {
                let name = format!("{family} {forwarding:?} {kind:?} offload: {offload}");
                // On its own address alone.
                let done = answer_one(&server, kind, own);
                let (asked, plane_back) = director.does(move || {
                    let refused = ask(Some(&plane), kind, way, own);
                    let plain = ask(Some(&plane), kind, None, own);
                    ((refused, plain), plane)
                });
                plane = plane_back;
                let (refused, plain) = asked;
                assert_eq!(refused, Err(ErrorKind::ConnectionRefused), "{name}");
                assert_eq!(plain, Ok(format!("{} 900", own.ip())), "{name}");
                done.recv_timeout(PATIENCE).expect("it has answered");
                // On the virtual address.
                let before = [Reason::CheckRequest, Reason::CheckReply]
                    .map(|reason| counted(&plane, reason));
                let done = answer_one(&server, kind, vip);
                let (answer, plane_back) = director.does(move || {
                    let answer = ask(Some(&plane), kind, way, own);
                    (answer, plane)
                });
                plane = plane_back;
                assert_eq!(answer, Ok(format!("{} 900", vip.ip())), "{name}");
                done.recv_timeout(PATIENCE).expect("it has answered");
                let after = [Reason::CheckRequest, Reason::CheckReply]
                    .map(|reason| counted(&plane, reason));
                assert!(
                    after
                        .iter()
                        .zip(before)
                        .all(|(after, before)| *after > before)
                );
            }
        }
    }
    // Nobody carries them any more: they go to the real server's own address.
    let way = CheckWay::of(
        ADDRESSES[0][2].parse().expect("an address"),
        &RealServer::new((own4(), 80).into(), Forwarding::Direct),
    );
    let _done = answer_one(&server, Type::STREAM, (own4(), 80).into());
    let answer = director.does(move || {
        plane.carry_checks(false).expect("the kernel lets go");
        assert_eq!(plane.settings().uses.load(), 0);
        ask(Some(&plane), Type::STREAM, way, (own4(), 80).into())
    });
    assert_eq!(answer, Ok(format!("{} 900", own4())));
}

fn own4() -> IpAddr {
    ADDRESSES[0][1].parse().expect("an address")
}

#[test]
fn a_check_is_answered_by_who_has_the_virtual_address() {
    play(true);
}

/// The kernel sums up every packet, and looks at every sum.
#[test]
fn so_it_is_without_offloading() {
    play(false);
}

/// Virtual addresses that nobody has.
const SERVICES: [&str; 2] = ["192.0.2.88", "2001:db8::88"];

/// A real server by NAT that is the director itself: its replies leave from the virtual address.
fn answers_itself(offload: bool) {
    let (director, client) = (Station::new(), Station::new());
    connect_them(&director, &client, offload);
    client.does(|| {
        for ([gateway, ..], service) in ADDRESSES.into_iter().zip(SERVICES) {
            ip(&format!("route add {service} via {gateway}"));
        }
    });
    let directory = Directory::new();
    let path = directory.path().to_owned();
    let plane = director.does(move || {
        let mut plane = programs(&path);
        let mut director = Director::adopt(&plane, Duration::ZERO).expect("empty tables");
        let mut ways = HashMap::new();
        for ([own, ..], service) in ADDRESSES.into_iter().zip(SERVICES) {
            let own: IpAddr = own.parse().expect("an address");
            for protocol in [model::Protocol::Tcp, model::Protocol::Udp] {
                let address = SocketAddr::new(service.parse().expect("an address"), 80);
                let key = ServiceKey::Address { protocol, address };
                let service = Service {
                    scheduler: Scheduler::RoundRobin,
                    ..Service::new(key)
                };
                director
                    .add_service(&plane, service, Duration::ZERO)
                    .expect("a service");
                let server = RealServer::new((own, 8080).into(), Forwarding::Nat);
                director
                    .add_server(&plane, &key, server, Duration::ZERO)
                    .expect("a real server");
            }
            let way = Way {
                local: true,
                source: None,
            };
            ways.insert(own, way);
        }
        assert!(!director.has_local_servers(&plane));
        director.learn_ways(&plane, &ways);
        assert!(director.has_local_servers(&plane));
        for set in ["net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"] {
            std::fs::write(format!("/proc/sys/{set}"), "1").expect("it forwards");
        }
        plane.translate_local_replies(true).expect("it attaches");
        plane
    });
    for ([own, ..], service) in ADDRESSES.into_iter().zip(SERVICES) {
        for kind in [Type::STREAM, Type::DGRAM] {
            let at = SocketAddr::new(own.parse().expect("an address"), 8080);
            let done = answer_one(&director, kind, at);
            let to = SocketAddr::new(service.parse().expect("an address"), 80);
            let before = counted(&plane, Reason::LocalReply);
            let answer = client.does(move || ask(None, kind, None, to));
            let name = format!("{own} {kind:?} offload: {offload}");
            assert_eq!(answer, Ok(format!("{own} 900")), "{name}");
            done.recv_timeout(PATIENCE).expect("it has answered");
            assert!(counted(&plane, Reason::LocalReply) > before, "{name}");
        }
    }
}

#[test]
fn a_director_that_is_its_own_real_server_answers() {
    answers_itself(true);
}

#[test]
fn so_it_does_without_offloading() {
    answers_itself(false);
}
