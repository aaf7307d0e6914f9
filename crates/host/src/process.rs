//! Which processes run: all of them by /proc, and as they come and go by the kernel's connector (linux/cn_proc.h), which
//! speaks in the machine's first network namespace only, to who may administer networks.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::time::Duration;

use netlink_sys::{Socket, SocketAddr};
use rustix::net::sockopt::set_socket_recv_buffer_size_force;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::timeout;

/// `NETLINK_CONNECTOR`, and `CN_IDX_PROC` as a group and as a number.
const CONNECTOR: isize = 11;
const PROCESSES: u32 = 1;
/// `PROC_CN_MCAST_LISTEN`
const LISTEN: u32 = 1;
/// The headers of netlink and of the connector.
const NETLINK_HEADER: usize = 16;
const CONNECTOR_HEADER: usize = 20;
/// What happened, on which processor, and when; then what it is about.
const EVENT_HEADER: usize = 16;
/// The kernel says at once that it has understood.
const PATIENCE: Duration = Duration::from_secs(2);
/// Room for what comes in while nobody reads.
const SOCKET_BUFFER: usize = 1 << 20;

/// The number of a process.
pub type Pid = u32;

/// What happened to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// It began as a copy of another one.
    Forked {
        /// The other one.
        parent: Pid,
        /// The new one.
        child: Pid,
    },
    /// It runs another program.
    Executed(Pid),
    /// It has ended.
    Ended(Pid),
    /// Events were lost: whatever is known of processes is old.
    Lost,
}

/// Hears of processes.
#[derive(Debug)]
pub struct Watch {
    socket: AsyncFd<Socket>,
    buffer: Vec<u8>,
    /// What came with what was told last.
    waiting: VecDeque<Event>,
}

/// What the kernel says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Event(Event),
    /// It has understood what it was asked, or not: an error's number.
    Answer(u32),
}

impl Watch {
    /// Begins to listen. Events of processes from then on come.
    pub async fn begin() -> io::Result<Self> {
        let mut socket = Socket::new(CONNECTOR)?;
        // Without the privilege there is less room, and more is lost, which is noticed.
        let _ = set_socket_recv_buffer_size_force(&socket, SOCKET_BUFFER);
        socket.bind(&SocketAddr::new(0, PROCESSES))?;
        socket.set_non_blocking(true)?;
        socket.send_to(&request(), &SocketAddr::new(0, 0), 0)?;
        // SAFETY: a socket keeps its descriptor, open and the same, until it is dropped.
        let socket = unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE) };
        let mut watch = Self {
            socket: socket.map_err(io::Error::from)?,
            buffer: Vec::with_capacity(4096),
            waiting: VecDeque::new(),
        };
        let answered = timeout(PATIENCE, watch.answer()).await;
        answered.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        Ok(watch)
    }

    async fn answer(&mut self) -> io::Result<()> {
        loop {
            for said in self.read().await? {
                match said {
                    Said::Answer(0) => return Ok(()),
                    Said::Answer(error) => {
                        let error = i32::try_from(error).unwrap_or(libc::EINVAL);
                        return Err(io::Error::from_raw_os_error(error));
                    }
                    // Who begins now looks at all processes first.
                    Said::Event(_) => {}
                }
            }
        }
    }

    /// Waits for the next event.
    pub async fn next(&mut self) -> io::Result<Event> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Ok(event);
            }
            for said in self.read().await? {
                match said {
                    Said::Event(event) => self.waiting.push_back(event),
                    // Somebody else has begun to listen.
                    Said::Answer(_) => {}
                }
            }
        }
    }

    async fn read(&mut self) -> io::Result<Vec<Said>> {
        loop {
            let mut ready = self.socket.readable().await?;
            let buffer = &mut self.buffer;
            buffer.clear();
            match ready.try_io(|socket| socket.get_ref().recv(buffer, 0)) {
                Ok(Ok(_)) => return Ok(understand(&self.buffer)),
                Ok(Err(error)) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                    return Ok(vec![Said::Event(Event::Lost)]);
                }
                Ok(Err(error)) => return Err(error),
                Err(_would_block) => {}
            }
        }
    }
}

/// Asks to be told.
fn request() -> Vec<u8> {
    let length = NETLINK_HEADER + CONNECTOR_HEADER + 4;
    let mut bytes = Vec::with_capacity(length);
    // nlmsghdr: length, NLMSG_DONE and no flags, number, sender.
    for word in [length as u32, 3, 0, 0] {
        bytes.extend(word.to_ne_bytes());
    }
    // cn_msg: whose, number, answer to, length and no flags.
    for word in [PROCESSES, PROCESSES, 0, 0] {
        bytes.extend(word.to_ne_bytes());
    }
    bytes.extend(4u16.to_ne_bytes());
    bytes.extend(0u16.to_ne_bytes());
    bytes.extend(LISTEN.to_ne_bytes());
    bytes
}

/// All that a datagram says.
fn understand(mut bytes: &[u8]) -> Vec<Said> {
    let mut all = Vec::new();
    while let Some(length) = word(bytes, 0) {
        let length = (length as usize).max(NETLINK_HEADER);
        let message = bytes.get(..length).unwrap_or_default();
        all.extend(said(message));
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    all
}

fn said(message: &[u8]) -> Option<Said> {
    if word(message, NETLINK_HEADER)? != PROCESSES {
        return None;
    }
    let event = message.get(NETLINK_HEADER + CONNECTOR_HEADER..)?;
    let about = |at: usize| word(event, EVENT_HEADER + 4 * at);
    let event = match word(event, 0)? {
        0 => return Some(Said::Answer(about(0)?)),
        // Parent's thread and process, child's thread and process. Threads are no processes.
        1 if about(2)? == about(3)? => Event::Forked {
            parent: about(1)?,
            child: about(3)?,
        },
        2 => Event::Executed(about(1)?),
        0x8000_0000 if about(0)? == about(1)? => Event::Ended(about(1)?),
        _ => return None,
    };
    Some(Said::Event(event))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_ne_bytes(*word))
}

/// All processes that run now.
pub fn all() -> Vec<Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.collect()
}

/// Its program and arguments, each with a zero behind it; nothing of what is gone, and of the kernel's threads.
pub fn command_line(process: Pid) -> Vec<u8> {
    fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(what: u32, about: &[u32]) -> Vec<u8> {
        let mut bytes = request();
        bytes.truncate(NETLINK_HEADER + CONNECTOR_HEADER);
        for word in [what, 0, 0, 0].iter().chain(about) {
            bytes.extend(word.to_ne_bytes());
        }
        let length = bytes.len() as u32;
        bytes[..4].copy_from_slice(&length.to_ne_bytes());
        bytes
    }

    #[test]
    fn what_the_kernel_says_is_understood() {
        let thread = message(1, &[1, 1, 9, 8]);
        let all = [
            message(0, &[0]),
            message(1, &[10, 10, 11, 11]),
            thread,
            message(2, &[11, 11]),
            message(0x8000_0000, &[12, 11, 0, 0]),
            message(0x8000_0000, &[11, 11, 0, 0]),
            message(0x200, &[11, 11]),
        ];
        let expected = [
            Said::Answer(0),
            Said::Event(Event::Forked {
                parent: 10,
                child: 11,
            }),
            Said::Event(Event::Executed(11)),
            Said::Event(Event::Ended(11)),
        ];
        assert_eq!(understand(&all.concat()), expected);
    }

    #[test]
    fn nonsense_says_nothing() {
        for length in 0..80 {
            for byte in [0, 1, 0x7f, 0xff] {
                let _ = understand(&vec![byte; length]);
            }
        }
        let whole = message(1, &[10, 10, 11, 11]);
        for length in 0..whole.len() {
            assert_eq!(understand(&whole[..length]), []);
        }
    }

    #[test]
    fn this_process_is_there() {
        let own = std::process::id();
        assert!(all().contains(&own));
        assert!(command_line(own).contains(&0));
    }
}
