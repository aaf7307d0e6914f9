//! Servers that behave as they are told, and a mail server that remembers.

use super::answers::{self, Datagram, Stream};
use anyhow::{Context, Result};
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use weir_lab::Namespace;

/// How many there are.
pub const SERVERS: u8 = 3;
const WEB: u16 = 80;
const MAIL: u16 = 25;
const NAMES: u16 = 53;
const ECHO: u16 = 7;

/// How a server behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// It answers as it should.
    Well,
    /// It answers that it has failed.
    Errors,
    /// It takes connections and says nothing.
    Silent,
    /// Nobody listens.
    Refuses,
}

/// The address of real server `number`, counted from 1.
pub fn address(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, 10 + number)
}

/// Its other one.
pub fn address6(number: u8) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, 0x10 + u16::from(number))
}

/// What can be pinged while it does not refuse.
pub fn pinged(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, 20 + number)
}

/// All servers.
pub struct Servers {
    namespace: Namespace,
    all: Vec<Server>,
}

struct Server {
    number: u8,
    manner: Arc<Mutex<Manner>>,
    listening: Vec<(At, JoinHandle<()>)>,
}

/// Where somebody listens.
#[derive(Clone, Copy)]
enum At {
    Stream(SocketAddr),
    Datagram(SocketAddr),
}

impl Servers {
    /// They are well, in a namespace that has their addresses; those that are named refuse.
    pub fn start(namespace: &Namespace, refusing: &[u8]) -> Result<Servers> {
        let all = (1..=SERVERS).map(|number| Server {
            number,
            manner: Arc::new(Mutex::new(Manner::Refuses)),
            listening: Vec::new(),
        });
        let mut servers = Servers {
            namespace: namespace.clone(),
            all: all.collect(),
        };
        for number in (1..=SERVERS).filter(|number| !refusing.contains(number)) {
            servers.behave(number, Manner::Well)?;
        }
        Ok(servers)
    }

    /// Lets a server behave otherwise from now on.
    pub fn behave(&mut self, number: u8, manner: Manner) -> Result<()> {
        let server = &mut self.all[usize::from(number) - 1];
        *server.manner.lock().unwrap_or_else(PoisonError::into_inner) = manner;
        let ping = |what: &str| {
            let address = pinged(number);
            self.namespace
                .ip(&format!("address {what} {address}/24 dev eth0"))
        };
        if manner == Manner::Refuses {
            for (at, thread) in server.listening.drain(..) {
                // It looks how it is to behave when somebody comes.
                self.namespace.enter(|| knock(at))??;
                thread.join().ok().context("a server panicked")?;
            }
            ping("del")?;
        } else if server.listening.is_empty() {
            server.listen(&self.namespace)?;
            ping("add")?;
        }
        Ok(())
    }
}

impl Server {
    fn listen(&mut self, namespace: &Namespace) -> Result<()> {
        let (v4, v6) = (address(self.number).into(), address6(self.number).into());
        for (address, port, spoken) in [
            (v4, WEB, Stream::Web),
            (v6, WEB, Stream::Web),
            (v4, MAIL, Stream::Mail),
        ] {
            let at = SocketAddr::new(address, port);
            let listener = namespace.enter(|| TcpListener::bind(at))?;
            let listener = listener.with_context(|| format!("cannot listen on {at}"))?;
            let manner = Arc::clone(&self.manner);
            let thread = thread::spawn(move || answers::serve(&listener, spoken, &manner));
            self.listening.push((At::Stream(at), thread));
        }
        for (port, spoken) in [(NAMES, Datagram::Names), (ECHO, Datagram::Echo)] {
            let at = SocketAddr::new(v4, port);
            let socket = namespace.enter(|| UdpSocket::bind(at))?;
            let socket = socket.with_context(|| format!("cannot listen on {at}"))?;
            let manner = Arc::clone(&self.manner);
            let thread = thread::spawn(move || answers::reply(&socket, spoken, &manner));
            self.listening.push((At::Datagram(at), thread));
        }
        Ok(())
    }
}

fn knock(at: At) -> std::io::Result<()> {
    match at {
        At::Stream(at) => TcpStream::connect(at).map(drop),
        At::Datagram(at) => {
            let any = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0);
            UdpSocket::bind(any)?.send_to(&[0], at).map(drop)
        }
    }
}

/// A mail as it came: the commands without `QUIT`, and the lines of the text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mail {
    /// What was said before the text.
    pub commands: Vec<String>,
    /// The text with its head.
    pub text: Vec<String>,
}

/// Where all mails go; whoever holds it gets them.
pub type Mails = Arc<Mutex<Vec<Mail>>>;

/// Takes all mail that comes there.
pub fn take_mail(namespace: &Namespace, at: SocketAddr) -> Result<Mails> {
    let listener = namespace.enter(|| TcpListener::bind(at))??;
    let mails = Mails::default();
    let all = Arc::clone(&mails);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let all = Arc::clone(&all);
            // A mail that does not come whole is missed by the comparison.
            thread::spawn(move || converse(stream, &all).ok());
        }
    });
    Ok(mails)
}

fn converse(stream: TcpStream, all: &Mutex<Vec<Mail>>) -> std::io::Result<()> {
    let mut writing = stream.try_clone()?;
    writing.write_all(b"220 lab\r\n")?;
    let mut mail = Mail {
        commands: Vec::new(),
        text: Vec::new(),
    };
    let mut is_text = false;
    for line in BufReader::new(stream).lines() {
        let line = line?;
        let answer: &[u8] = match (is_text, line.as_str()) {
            (true, ".") => {
                is_text = false;
                all.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(mail.clone());
                b"250 taken\r\n"
            }
            (true, _) => {
                mail.text.push(line);
                continue;
            }
            (false, "QUIT") => {
                writing.write_all(b"221 bye\r\n")?;
                return Ok(());
            }
            (false, command) => {
                mail.commands.push(command.to_owned());
                is_text = command == "DATA";
                if is_text {
                    b"354 go on\r\n"
                } else {
                    b"250 fine\r\n"
                }
            }
        };
        writing.write_all(answer)?;
    }
    Ok(())
}
