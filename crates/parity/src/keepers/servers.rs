//! Web servers that behave as they are told, and a mail server that remembers.

use anyhow::{Context, Result};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use weir_lab::Namespace;

/// How many there are.
pub const SERVERS: u8 = 3;
const WEB: u16 = 80;
/// What a program of the lab waits for, it gets at once.
const PATIENCE: Duration = Duration::from_secs(5);

/// How a web server behaves.
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

/// All web servers.
pub struct Servers {
    namespace: Namespace,
    all: Vec<Web>,
}

struct Web {
    addresses: [IpAddr; 2],
    manner: Arc<Mutex<Manner>>,
    listening: Vec<(SocketAddr, JoinHandle<()>)>,
}

impl Servers {
    /// They are well, in a namespace that has their addresses; those that are named refuse.
    pub fn start(namespace: &Namespace, refusing: &[u8]) -> Result<Servers> {
        let all = (1..=SERVERS).map(|number| Web {
            addresses: [address(number).into(), address6(number).into()],
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
        let web = &mut self.all[usize::from(number) - 1];
        *web.manner.lock().unwrap_or_else(PoisonError::into_inner) = manner;
        if manner == Manner::Refuses {
            for (at, thread) in web.listening.drain(..) {
                // It looks how it is to behave when somebody comes.
                self.namespace.enter(|| TcpStream::connect(at))??;
                thread.join().ok().context("a web server panicked")?;
            }
        } else if web.listening.is_empty() {
            for address in web.addresses {
                let at = SocketAddr::new(address, WEB);
                let listener = self.namespace.enter(|| TcpListener::bind(at))?;
                let listener = listener.with_context(|| format!("cannot listen on {at}"))?;
                let manner = Arc::clone(&web.manner);
                let thread = thread::spawn(move || serve(&listener, &manner));
                web.listening.push((at, thread));
            }
        }
        Ok(())
    }
}

fn serve(listener: &TcpListener, manner: &Mutex<Manner>) {
    let mut silent = Vec::new();
    for stream in listener.incoming().map_while(Result::ok) {
        let manner = *manner.lock().unwrap_or_else(PoisonError::into_inner);
        if manner != Manner::Silent {
            silent.clear();
        }
        match manner {
            Manner::Well => drop(thread::spawn(|| answer(stream, "200 OK"))),
            Manner::Errors => drop(thread::spawn(|| answer(stream, "500 No"))),
            Manner::Silent => silent.push(stream),
            Manner::Refuses => return,
        }
    }
}

/// Who asks may have gone meanwhile, or have wanted a connection only.
fn answer(mut stream: TcpStream, status: &str) {
    if stream.set_read_timeout(Some(PATIENCE)).is_err() {
        return;
    }
    let mut asked = Vec::new();
    while !asked.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        match stream.read(&mut byte) {
            Ok(1) => asked.push(byte[0]),
            Ok(_) | Err(_) => return,
        }
    }
    let _ = write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Length: 5\r\nConnection: close\r\n\r\nfine\n"
    );
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
