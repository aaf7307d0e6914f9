//! A UDP server that answers with its name, and a client that counts the answers.

use crate::error::{Result, While};
use crate::load::Tally;
use crate::namespace::Namespace;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Room for questions while a busy machine does not let us run.
const RECEIVE_BUFFER: usize = 4 << 20;

/// Answers every datagram with its name, a blank and the datagram; stops when dropped.
#[derive(Debug)]
pub struct UdpEcho {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl UdpEcho {
    /// Listens on `port` of `namespace`, IPv4 and IPv6.
    pub fn start(namespace: &Namespace, name: &str, port: u16) -> Result<UdpEcho> {
        let sockets = namespace.enter(|| sockets(port))??;
        let stop = Arc::new(AtomicBool::new(false));
        let threads = sockets.map(|socket| {
            let (stop, name) = (Arc::clone(&stop), name.to_owned());
            std::thread::spawn(move || answer(&socket, &name, &stop))
        });
        Ok(UdpEcho {
            stop,
            threads: threads.into(),
        })
    }
}

impl Drop for UdpEcho {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so already.
            let _ = thread.join();
        }
    }
}

/// Answers on `port` of the namespace we are in until the process ends; says "listening" when it does.
pub fn serve_udp(name: &str, port: u16) -> Result<()> {
    let [v4, v6] = sockets(port)?;
    println!("listening");
    let never = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| answer(&v4, name, &never));
        answer(&v6, name, &never);
    });
    Ok(())
}

/// Asks a UDP service, every question from a port not used before, so that each is a new connection to a director.
#[derive(Debug, Clone, Copy)]
pub struct UdpLoad {
    /// The service.
    pub service: SocketAddr,
    /// How many questions.
    pub questions: usize,
}

impl UdpLoad {
    /// Asks from `client`; a question without an answer within two seconds is an error.
    pub fn run(self, client: &Namespace) -> Result<Tally> {
        client.enter(|| {
            let mut tally = Tally::default();
            for _ in 0..self.questions {
                tally.add(&ask(self.service).when(|| format!("UDP question to {}", self.service))?);
            }
            Ok(tally)
        })?
    }
}

/// One question, from a new port; the name of who answered.
fn ask(service: SocketAddr) -> std::io::Result<String> {
    // The kernel's choice of a port would be random, and a director remembers a port for minutes.
    static NEXT_PORT: AtomicU16 = AtomicU16::new(10_000);
    let port = NEXT_PORT.fetch_add(1, Ordering::Relaxed);
    let from: SocketAddr = match service {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, port).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, port).into(),
    };
    let socket = UdpSocket::bind(from)?;
    socket.connect(service)?;
    socket.set_read_timeout(Some(Duration::from_secs(2)))?;
    socket.send(b"who are you?")?;
    let mut answer = [0; 256];
    let length = socket.recv(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer[..length]);
    Ok(answer.split(' ').next().unwrap_or_default().to_owned())
}

fn sockets(port: u16) -> Result<[UdpSocket; 2]> {
    // Without IPV6_V6ONLY the second would want the first one's port.
    let v6 = rustix::net::socket(
        rustix::net::AddressFamily::INET6,
        rustix::net::SocketType::DGRAM,
        None,
    );
    let v6 = v6.when(|| "cannot make a socket".to_owned())?;
    rustix::net::sockopt::set_ipv6_v6only(&v6, true)
        .when(|| "cannot set IPV6_V6ONLY".to_owned())?;
    rustix::net::bind(&v6, &SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)))
        .when(|| format!("cannot listen on [::]:{port}"))?;
    let v4 = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port))
        .when(|| format!("cannot listen on 0.0.0.0:{port}"))?;
    let both = [v4, v6.into()];
    for socket in &both {
        rustix::net::sockopt::set_socket_recv_buffer_size_force(socket, RECEIVE_BUFFER)
            .when(|| "cannot make a receive buffer larger".to_owned())?;
    }
    Ok(both)
}

fn answer(socket: &UdpSocket, name: &str, stop: &AtomicBool) {
    // Only to look at `stop` now and then.
    if socket
        .set_read_timeout(Some(Duration::from_millis(50)))
        .is_err()
    {
        return;
    }
    let mut buffer = vec![0; 65536];
    while !stop.load(Ordering::Relaxed) {
        if let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let mut reply = format!("{name} ").into_bytes();
            reply.extend_from_slice(&buffer[..length]);
            // A client that went away is its own affair.
            let _ = socket.send_to(&reply, from);
        }
    }
}
