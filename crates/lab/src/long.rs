//! Long-lived TCP connections that carry requests at a fixed pace, whether or not answers come.

use crate::error::{Result, While};
use crate::http::{ASK, answer_length};
use crate::namespace::Namespace;
use crate::percentiles::Percentiles;
use crate::poller::Poller;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// How long answers may take after the last question.
const PATIENCE: Duration = Duration::from_secs(3);

/// A load of long-lived connections.
#[derive(Debug, Clone)]
pub struct LongConnections<'a> {
    /// Connected to in turn.
    pub servers: &'a [SocketAddr],
    /// Addresses of the client, used in turn.
    pub sources: &'a [IpAddr],
    /// How many.
    pub connections: usize,
    /// Requests in a second, on all together, one connection after the other.
    pub per_second: u32,
    /// For how long before anything counts.
    pub warm_up: Duration,
    /// For how long then.
    pub duration: Duration,
}

/// What became of them.
#[derive(Debug, Clone, Default)]
pub struct LongReport {
    /// Connections that came to be.
    pub connections: usize,
    /// Connections that were cut.
    pub cut: usize,
    /// Connections still open whose last answer did not come within three seconds.
    pub silent: usize,
    /// Requests after the warm-up.
    pub asked: u64,
    /// Of those, answered.
    pub answered: u64,
    /// Of those, from when a request was due to the end of its answer.
    pub times: Percentiles,
}

/// Connections that are there, each with one request answered.
#[derive(Debug)]
pub struct OpenConnections<'a> {
    load: LongConnections<'a>,
    open: Vec<Connection>,
}

#[derive(Debug)]
struct Connection {
    socket: Option<OwnedFd>,
    answer_length: usize,
    // Of the answer that is coming.
    read: usize,
    due: VecDeque<Instant>,
}

impl<'a> LongConnections<'a> {
    /// Connects from `client`; one that cannot is an error.
    pub fn open(self, client: &Namespace) -> Result<OpenConnections<'a>> {
        let open = client
            .enter(|| {
                (0..self.connections)
                    .map(|number| {
                        let source = self.sources[number % self.sources.len()];
                        let server = self.servers[number % self.servers.len()];
                        connect(SocketAddr::new(source, 0), server)
                    })
                    .collect::<rustix::io::Result<Vec<_>>>()
            })?
            .when(|| format!("long-lived connections to {:?}", self.servers))?;
        Ok(OpenConnections { load: self, open })
    }
}

impl OpenConnections<'_> {
    /// Asks at the load's pace for its duration; the connections stay open. No matter on which thread: sockets stay where
    /// they were opened.
    pub fn run(&mut self) -> Result<LongReport> {
        run(&self.load, &mut self.open).when(|| "long-lived connections".to_owned())
    }
}

fn connect(source: SocketAddr, server: SocketAddr) -> rustix::io::Result<Connection> {
    use rustix::net::sockopt::{Timeout, set_socket_timeout, set_tcp_nodelay};
    let family = match server {
        SocketAddr::V4(_) => rustix::net::AddressFamily::INET,
        SocketAddr::V6(_) => rustix::net::AddressFamily::INET6,
    };
    let socket = rustix::net::socket(family, rustix::net::SocketType::STREAM, None)?;
    for way in [Timeout::Recv, Timeout::Send] {
        set_socket_timeout(&socket, way, Some(PATIENCE))?;
    }
    set_tcp_nodelay(&socket, true)?;
    rustix::net::bind(&socket, &source)?;
    rustix::net::connect(&socket, &server)?;
    rustix::io::write(&socket, ASK)?;
    let mut answer = Vec::new();
    let mut buffer = [0; 1024];
    let answer_length = loop {
        let length = rustix::io::read(&socket, &mut buffer)?;
        answer.extend_from_slice(&buffer[..length]);
        match answer_length(&answer) {
            Some(length) if answer.len() == length => break length,
            _ if length == 0 => return Err(Errno::CONNRESET),
            _ => {}
        }
    };
    rustix::io::ioctl_fionbio(&socket, true)?;
    Ok(Connection {
        socket: Some(socket),
        answer_length,
        read: 0,
        due: VecDeque::new(),
    })
}

fn run(load: &LongConnections, open: &mut [Connection]) -> rustix::io::Result<LongReport> {
    let mut poller = Poller::new()?;
    for (connection, number) in open.iter().zip(0..) {
        if let Some(socket) = &connection.socket {
            poller.add(socket, number)?;
        }
    }
    let number = open.len();
    let mut times = Vec::new();
    let mut report = LongReport {
        connections: number,
        ..LongReport::default()
    };
    let begin = Instant::now();
    let number_in = |time: Duration| (time.as_secs_f64() * f64::from(load.per_second)) as u32;
    let questions = number_in(load.warm_up + load.duration);
    let due = |question: u32| begin + Duration::from_secs(1) * question / load.per_second;
    let counts_from = due(number_in(load.warm_up));
    let last = due(questions) + PATIENCE;
    let mut question = 0;
    loop {
        let now = Instant::now();
        while question < questions && due(question) <= now {
            let due = due(question);
            report.asked += u64::from(due >= counts_from);
            open[question as usize % number].ask(due, &mut report);
            question += 1;
        }
        let waits = open.iter().any(Connection::waits);
        if question == questions && (!waits || now >= last) {
            break;
        }
        let next = if question < questions {
            due(question)
        } else {
            last
        };
        for number in poller.wait(next.saturating_duration_since(now))? {
            open[number as usize].hear(
                &mut |due| {
                    if due >= counts_from {
                        times.push(due.elapsed());
                    }
                },
                &mut report,
            );
        }
    }
    report.silent = open.iter().filter(|connection| connection.waits()).count();
    report.answered = times.len() as u64;
    report.times = Percentiles::new(times);
    Ok(report)
}

impl Connection {
    fn waits(&self) -> bool {
        self.socket.is_some() && !self.due.is_empty()
    }

    fn ask(&mut self, due: Instant, report: &mut LongReport) {
        let Some(socket) = &self.socket else {
            return;
        };
        match rustix::io::write(socket, ASK) {
            Ok(_) => self.due.push_back(due),
            // Its buffer is full of questions that nobody takes: this one goes unanswered.
            Err(Errno::AGAIN) => {}
            Err(_) => self.cut(report),
        }
    }

    fn hear(&mut self, answered: &mut impl FnMut(Instant), report: &mut LongReport) {
        let mut buffer = [0; 4096];
        while let Some(socket) = &self.socket {
            match rustix::io::read(socket, &mut buffer) {
                Ok(0) => self.cut(report),
                Ok(length) => {
                    self.read += length;
                    while self.read >= self.answer_length {
                        self.read -= self.answer_length;
                        self.due.pop_front().into_iter().for_each(&mut *answered);
                    }
                }
                Err(Errno::AGAIN) => return,
                Err(_) => self.cut(report),
            }
        }
    }

    fn cut(&mut self, report: &mut LongReport) {
        self.socket = None;
        report.cut += 1;
    }
}
