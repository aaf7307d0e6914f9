//! UDP datagrams whose answers are counted, each by its number: what is lost is seen.

use crate::error::{Result, While};
use crate::namespace::Namespace;
use crate::poller::Poller;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// How long answers may take after the last question.
const PATIENCE: Duration = Duration::from_secs(2);
/// Room for answers while this process does not get to run.
const RECEIVE_BUFFER: usize = 1 << 20;

/// A load of numbered datagrams at a fixed pace, on flows that stay.
#[derive(Debug, Clone, Copy)]
pub struct CountedUdp<'a> {
    /// Asked in turn.
    pub services: &'a [SocketAddr],
    /// How many flows: each has a port of its own.
    pub flows: usize,
    /// Questions in a second, on all together.
    pub per_second: u32,
    /// For how long.
    pub duration: Duration,
}

/// What became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CountedReport {
    /// Questions sent.
    pub sent: u64,
    /// Answers that never came.
    pub lost: u64,
    /// Answers that came more than once.
    pub repeated: u64,
    /// ICMP errors.
    pub refused: u64,
}

impl CountedUdp<'_> {
    /// Runs it from `client` to its end.
    pub fn run(&self, client: &Namespace) -> Result<CountedReport> {
        client
            .enter(|| self.inside())?
            .when(|| format!("counted datagrams to {:?}", self.services))
    }

    fn inside(&self) -> std::io::Result<CountedReport> {
        let mut poller = Poller::new()?;
        let mut flows = Vec::new();
        for (number, service) in (0..self.flows).zip(self.services.iter().cycle()) {
            let flow = open(*service)?;
            poller.add(&flow, number as u64)?;
            flows.push(flow);
        }
        let interval = Duration::from_secs(1) / self.per_second;
        let begin = Instant::now();
        let mut report = CountedReport::default();
        let mut answers: Vec<bool> = Vec::new();
        let mut missing = 0;
        loop {
            let elapsed = begin.elapsed();
            let is_sending = elapsed < self.duration;
            if !is_sending && (missing == 0 || elapsed > self.duration + PATIENCE) {
                report.lost = missing;
                return Ok(report);
            }
            while is_sending && elapsed >= interval * report.sent as u32 {
                let flow = &flows[report.sent as usize % flows.len()];
                match rustix::io::write(flow, &report.sent.to_be_bytes()) {
                    Ok(_) => {}
                    Err(Errno::CONNREFUSED) => report.refused += 1,
                    Err(error) => return Err(error.into()),
                }
                answers.push(false);
                missing += 1;
                report.sent += 1;
            }
            let wait = (interval * report.sent as u32).saturating_sub(begin.elapsed());
            let wait = if is_sending { wait } else { PATIENCE / 10 };
            let news: Vec<u64> = poller.wait(wait)?.collect();
            for number in news {
                read(
                    &flows[number as usize],
                    &mut report,
                    |question| match answers.get_mut(question as usize) {
                        Some(answer) if !*answer => {
                            *answer = true;
                            missing -= 1;
                            true
                        }
                        _ => false,
                    },
                )?;
            }
        }
    }
}

fn open(service: SocketAddr) -> std::io::Result<OwnedFd> {
    let any: SocketAddr = match service {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any)?;
    socket.connect(service)?;
    socket.set_nonblocking(true)?;
    rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket, RECEIVE_BUFFER)?;
    Ok(socket.into())
}

/// Reads the answers that are there: whose name, a blank, the question's number.
fn read(
    flow: &OwnedFd,
    report: &mut CountedReport,
    mut is_new: impl FnMut(u64) -> bool,
) -> std::io::Result<()> {
    let mut buffer = [0; 256];
    loop {
        match rustix::io::read(flow, &mut buffer) {
            Ok(length) => {
                let number = buffer[..length].last_chunk().copied();
                let number = number.map_or(u64::MAX, u64::from_be_bytes);
                report.repeated += u64::from(!is_new(number));
            }
            Err(Errno::AGAIN) => return Ok(()),
            Err(Errno::CONNREFUSED) => report.refused += 1,
            Err(error) => return Err(error.into()),
        }
    }
}
