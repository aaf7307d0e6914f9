//! Short TCP connections: connect, one request, close.

use crate::error::{Result, While};
use crate::http::{ASK_AND_CLOSE, is_good};
use crate::namespace::Namespace;
use crate::percentiles::Percentiles;
use crate::poller::{self, Poller};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A connection that takes longer than this has failed.
const PATIENCE: Duration = Duration::from_secs(3);

/// A load of short connections.
#[derive(Debug, Clone)]
pub struct ShortConnections<'a> {
    /// Asked in turn.
    pub servers: &'a [SocketAddr],
    /// Addresses of the client, used in turn, each with all its ports: a port comes again only after all others, so no
    /// connection meets what one before left behind.
    pub sources: &'a [IpAddr],
    /// When connections begin.
    pub arrival: Arrival,
    /// For how long.
    pub duration: Duration,
}

/// When connections begin.
#[derive(Debug, Clone, Copy)]
pub enum Arrival {
    /// When another ends, on each of two threads: so many at a time in all.
    AtATime(usize),
    /// So many in a second, whatever becomes of them.
    PerSecond(u32),
}

/// What became of them.
#[derive(Debug, Clone, Default)]
pub struct ShortReport {
    /// Connections whose request was answered.
    pub answered: u64,
    /// Connections that were refused or cut, or took more than three seconds.
    pub failed: u64,
    /// Of those that failed, refused or cut.
    pub cut: u64,
    /// From the begin to the last answer.
    pub elapsed: Duration,
    /// From the first SYN to the connection, of those that came to be.
    pub connect: Percentiles,
    /// The longest time without an answer.
    pub silence: Duration,
}

impl ShortConnections<'_> {
    /// Runs it from `client` to its end.
    pub fn run(&self, client: &Namespace) -> Result<ShortReport> {
        let begin = Instant::now();
        let reports = match self.arrival {
            Arrival::PerSecond(_) => vec![client.enter(|| self.thread(0, usize::MAX))?],
            Arrival::AtATime(number) => std::thread::scope(|scope| {
                let threads = [0, 1].map(|thread| {
                    scope.spawn(move || client.enter(|| self.thread(thread, number.div_ceil(2))))
                });
                threads
                    .into_iter()
                    .map(|thread| match thread.join() {
                        Ok(report) => report,
                        Err(panic) => std::panic::resume_unwind(panic),
                    })
                    .collect::<Result<Vec<_>>>()
            })?,
        };
        let mut sum = ShortReport::default();
        let mut connect = Vec::new();
        for report in reports {
            let thread = report.when(|| "short connections".to_owned())?;
            sum.answered += thread.answered;
            sum.failed += thread.cut + thread.late;
            sum.cut += thread.cut;
            connect.extend(thread.connect);
            let last = thread.last_answer.unwrap_or(begin);
            sum.elapsed = sum.elapsed.max(last - begin);
            sum.silence = sum.silence.max(thread.silence);
        }
        sum.connect = Percentiles::new(connect);
        Ok(sum)
    }

    fn thread(&self, number: usize, at_a_time: usize) -> rustix::io::Result<Outcome> {
        let mut thread = Thread::new(self, number)?;
        let begin = Instant::now();
        let end = begin + self.duration;
        let mut begun = 0_u32;
        loop {
            let now = Instant::now();
            let mut within = Duration::from_millis(20);
            let more = match self.arrival {
                Arrival::AtATime(_) => {
                    while now < end && thread.open < at_a_time {
                        thread.begin(now)?;
                    }
                    now < end
                }
                Arrival::PerSecond(rate) => {
                    let all = (self.duration.as_secs_f64() * f64::from(rate)) as u32;
                    let due = |number: u32| begin + Duration::from_secs(1) * number / rate;
                    while begun < all && due(begun) <= now {
                        thread.begin(now)?;
                        begun += 1;
                    }
                    if begun < all {
                        within = within.min(due(begun).saturating_duration_since(now));
                    }
                    begun < all
                }
            };
            if !more && thread.open == 0 {
                return Ok(thread.outcome);
            }
            thread.step(within)?;
        }
    }
}

/// One thread's connections.
struct Thread<'a> {
    load: &'a ShortConnections<'a>,
    poller: Poller,
    slots: Vec<Option<Connection>>,
    free: Vec<usize>,
    // By begin: the first that can lose its patience is in front.
    oldest: VecDeque<(usize, u32, Instant)>,
    serial: u32,
    turn: usize,
    open: usize,
    outcome: Outcome,
}

#[derive(Default)]
struct Outcome {
    answered: u64,
    last_answer: Option<Instant>,
    silence: Duration,
    cut: u64,
    late: u64,
    connect: Vec<Duration>,
}

/// How a connection ended.
enum End {
    Answered,
    Cut,
    Late,
}

struct Connection {
    socket: OwnedFd,
    serial: u32,
    begun: Instant,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Connecting,
    Asked,
    Answered,
}

impl<'a> Thread<'a> {
    fn new(load: &'a ShortConnections<'a>, number: usize) -> rustix::io::Result<Thread<'a>> {
        Ok(Thread {
            load,
            poller: Poller::new()?,
            slots: Vec::new(),
            free: Vec::new(),
            oldest: VecDeque::new(),
            serial: 0,
            turn: number,
            open: 0,
            outcome: Outcome::default(),
        })
    }

    fn begin(&mut self, now: Instant) -> rustix::io::Result<()> {
        let server = self.load.servers[self.turn % self.load.servers.len()];
        self.turn += 1;
        let socket = loop {
            match poller::begin(next_source(self.load.sources), server) {
                // Somebody else's, or the end of an earlier one.
                Err(Errno::ADDRINUSE | Errno::ADDRNOTAVAIL) => {}
                other => break other?,
            }
        };
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.serial = self.serial.wrapping_add(1);
        self.poller
            .add(&socket, (slot as u64) << 32 | u64::from(self.serial))?;
        self.oldest.push_back((slot, self.serial, now));
        self.slots[slot] = Some(Connection {
            socket,
            serial: self.serial,
            begun: now,
            state: State::Connecting,
        });
        self.open += 1;
        Ok(())
    }

    /// Waits for news of the sockets, at most `within`, and goes on with them.
    fn step(&mut self, within: Duration) -> rustix::io::Result<()> {
        let news: Vec<u64> = self.poller.wait(within)?.collect();
        for number in news {
            let (slot, serial) = ((number >> 32) as usize, number as u32);
            self.advance(slot, serial);
        }
        let now = Instant::now();
        while let Some((slot, serial, begun)) = self.oldest.front().copied() {
            let open = self.connection(slot, serial).is_some();
            if open && begun + PATIENCE > now {
                break;
            }
            if open {
                self.end(slot, End::Late);
            }
            self.oldest.pop_front();
        }
        Ok(())
    }

    fn connection(&mut self, slot: usize, serial: u32) -> Option<&mut Connection> {
        self.slots[slot]
            .as_mut()
            .filter(|connection| connection.serial == serial)
    }

    fn advance(&mut self, slot: usize, serial: u32) {
        // It may have ended by what came just before.
        let Some(connection) = self.connection(slot, serial) else {
            return;
        };
        if connection.state == State::Connecting {
            match rustix::io::write(&connection.socket, ASK_AND_CLOSE) {
                Ok(_) => connection.state = State::Asked,
                Err(Errno::AGAIN) => return,
                Err(_) => return self.end(slot, End::Cut),
            }
            let took = connection.begun.elapsed();
            self.outcome.connect.push(took);
            return self.advance(slot, serial);
        }
        let mut buffer = [0; 1024];
        loop {
            match rustix::io::read(&connection.socket, &mut buffer) {
                Ok(0) => {
                    let end = match connection.state {
                        State::Answered => End::Answered,
                        State::Connecting | State::Asked => End::Cut,
                    };
                    return self.end(slot, end);
                }
                Ok(length) => {
                    if is_good(&buffer[..length]) {
                        connection.state = State::Answered;
                    }
                }
                Err(Errno::AGAIN) => return,
                Err(_) => return self.end(slot, End::Cut),
            }
        }
    }

    fn end(&mut self, slot: usize, end: End) {
        self.slots[slot] = None;
        self.free.push(slot);
        self.open -= 1;
        match end {
            End::Answered => {
                let now = Instant::now();
                if let Some(before) = self.outcome.last_answer.replace(now) {
                    self.outcome.silence = self.outcome.silence.max(now - before);
                }
                self.outcome.answered += 1;
            }
            End::Cut => self.outcome.cut += 1,
            End::Late => self.outcome.late += 1,
        }
    }
}

/// The next address and port to connect from, for all threads and loads of this process.
fn next_source(sources: &[IpAddr]) -> SocketAddr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    const FIRST: u32 = 1024;
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let source = sources[number as usize % sources.len()];
    let port = FIRST + number / sources.len() as u32 % (65536 - FIRST);
    SocketAddr::new(source, port as u16)
}
