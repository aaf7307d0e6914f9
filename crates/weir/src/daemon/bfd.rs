//! BFD at work: a thread of its own with the sessions' timers and sockets, so that nothing delays a packet whose absence
//! is taken for a failure. What follows is decided by `bfd`.

mod listing;

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use bfd::{Action, Datagram, Event, Refusals, SOURCE_PORTS, SessionView, Sessions};
use config::model::Family;
use config::model::vrrp::BfdInstance;
use host::clock::monotonic;
use router::bfd::{Received, Receiver, Sender};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use weir_bfd as bfd;
use weir_config as config;
use weir_host as host;
use weir_router as router;

use super::Daemon;
use crate::plane::Plane;

/// So many packets wait; further ones wait in the sockets' bounded buffers.
const PACKETS: usize = 64;
/// A deadline that is missed by more was not missed for want of packets.
const HELD_UP: Duration = Duration::from_millis(5);
/// No deadline is further away.
const FAR: Duration = Duration::from_secs(3600);
/// A socket that could not be opened is tried again after this.
const RETRY: Duration = Duration::from_secs(5);

/// Who hears of sessions that are up or not: the name, and why not.
pub type OnChange = Box<dyn Fn(&str, bool, &str) + Send>;

#[derive(Debug)]
enum Command {
    Reload(Vec<BfdInstance>),
    View(oneshot::Sender<View>),
    Stop,
}

/// All sessions as they are.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// The sessions.
    pub sessions: Vec<SessionView>,
    /// Packets that were about none of them.
    pub strangers: Refusals,
}

/// The daemon's BFD sessions.
pub struct Bfd {
    commands: mpsc::UnboundedSender<Command>,
    thread: Mutex<Option<thread::JoinHandle<()>>>,
}

impl Bfd {
    /// Starts the sessions; without any the thread waits. `seed` is a random number.
    pub fn start(wanted: Vec<BfdInstance>, seed: u64, on_change: OnChange) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (commands, receiver) = mpsc::unbounded_channel();
        let thread = thread::Builder::new()
            .name("bfd".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    let keeper = Keeper::new(wanted, seed, on_change);
                    keeper.work(receiver).await;
                });
            })?;
        Ok(Self {
            commands,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Another configuration holds from now on.
    pub fn reload(&self, wanted: &[BfdInstance]) {
        // The thread ends only by `stop`.
        let _ = self.commands.send(Command::Reload(wanted.to_vec()));
    }

    /// The sessions as they are.
    pub fn view(&self) -> View {
        let (answer, answered) = oneshot::channel();
        let _ = self.commands.send(Command::View(answer));
        answered.blocking_recv().unwrap_or_default()
    }

    /// Says to all neighbours that it is over.
    pub fn stop(&self) {
        let _ = self.commands.send(Command::Stop);
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}

struct Keeper {
    wanted: Vec<BfdInstance>,
    sessions: Sessions,
    on_change: OnChange,
    /// By family and port.
    listening: HashMap<(bool, u16), JoinHandle<()>>,
    senders: HashMap<String, (Place, Sender)>,
    heard: (mpsc::Sender<Heard>, mpsc::Receiver<Heard>),
    actions: Vec<Action>,
    /// Where source ports are looked for.
    port: u16,
    /// What could not be opened was told.
    told: HashMap<String, String>,
    retry: bool,
}

/// A port, and what came there.
type Heard = (u16, Received);

/// What a sender's socket is for.
type Place = (Option<IpAddr>, SocketAddr, u8);

impl Keeper {
    fn new(wanted: Vec<BfdInstance>, seed: u64, on_change: OnChange) -> Self {
        let mut keeper = Self {
            sessions: Sessions::new(&wanted, seed, monotonic()),
            wanted,
            on_change,
            listening: HashMap::new(),
            senders: HashMap::new(),
            heard: mpsc::channel(PACKETS),
            actions: Vec::new(),
            // Any will do.
            port: seed as u16,
            told: HashMap::new(),
            retry: false,
        };
        keeper.listen();
        keeper
    }

    async fn work(mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
        loop {
            let left = self.sessions.next_deadline();
            let left = left.map_or(FAR, |at| at.saturating_sub(monotonic()).min(FAR));
            let retry = if self.retry { RETRY } else { FAR };
            tokio::select! {
                biased;
                command = commands.recv() => match command {
                    Some(Command::Reload(wanted)) => self.reload(wanted),
                    Some(Command::View(answer)) => {
                        // Whoever asked may have gone.
                        let _ = answer.send(View {
                            sessions: self.sessions.views(),
                            strangers: self.sessions.strangers(),
                        });
                    }
                    Some(Command::Stop) | None => {
                        self.handle(&Event::Stop);
                        return;
                    }
                },
                () = sleep(left) => self.tick().await,
                Some((port, received)) = self.heard.1.recv() => self.hear(port, &received),
                () = sleep(retry) => self.listen(),
            }
        }
    }

    /// After it was held up itself, it first hears what was said meanwhile: silence is the neighbour's only if it was silent.
    async fn tick(&mut self) {
        let late = |at: Duration| monotonic().saturating_sub(at) > HELD_UP;
        if self.sessions.next_deadline().is_some_and(late) {
            tokio::task::yield_now().await;
            for _ in 0..PACKETS {
                let Ok((port, received)) = self.heard.1.try_recv() else {
                    break;
                };
                self.hear(port, &received);
            }
        }
        self.handle(&Event::Tick);
    }

    fn reload(&mut self, wanted: Vec<BfdInstance>) {
        if wanted == self.wanted {
            return;
        }
        self.handle(&Event::Reload(&wanted));
        self.senders
            .retain(|name, _| wanted.iter().any(|session| session.name == *name));
        self.wanted = wanted;
        self.listen();
    }

    /// Opens the sockets that are wanted and not there.
    fn listen(&mut self) {
        self.retry = false;
        let mut needed = Vec::new();
        for session in &self.wanted {
            let port = if session.multihop {
                bfd::MULTIHOP_PORT
            } else {
                bfd::PORT
            };
            needed.push((session.neighbour.is_ipv6(), port));
        }
        self.listening.retain(|key, task| {
            let keep = needed.contains(key);
            if !keep {
                task.abort();
            }
            keep
        });
        for (v6, port) in needed {
            if self.listening.contains_key(&(v6, port)) {
                continue;
            }
            let family = if v6 { Family::V6 } else { Family::V4 };
            match Receiver::open(family, port) {
                Ok(receiver) => {
                    let heard = self.heard.0.clone();
                    let task = tokio::spawn(pass_on(receiver, heard));
                    self.listening.insert((v6, port), task);
                }
                Err(error) => {
                    self.retry = true;
                    self.tell(&format!("port {port}"), format!("cannot listen: {error}"));
                }
            }
        }
    }

    fn hear(&mut self, port: u16, received: &Received) {
        self.handle(&Event::Packet(bfd::Received {
            source: received.source,
            port,
            hop_limit: received.hop_limit,
            bytes: &received.bytes,
        }));
    }

    fn handle(&mut self, event: &Event<'_>) {
        let mut actions = core::mem::take(&mut self.actions);
        // What was refused is counted.
        let _ = self.sessions.handle(monotonic(), event, &mut actions);
        for action in actions.drain(..) {
            match action {
                Action::Send(datagram) => self.send(&datagram),
                Action::Changed { name, up, why } => (self.on_change)(&name, up, &why.to_string()),
            }
        }
        self.actions = actions;
    }

    fn send(&mut self, datagram: &Datagram) {
        let name = datagram.session.to_string();
        let neighbour = SocketAddr::new(datagram.destination, datagram.port);
        let place = (datagram.source, neighbour, datagram.hop_limit);
        if self
            .senders
            .get(&name)
            .is_none_or(|(other, _)| *other != place)
        {
            self.port = self.port.wrapping_add(1);
            let opened = Sender::open(
                datagram.source,
                neighbour,
                datagram.hop_limit,
                SOURCE_PORTS,
                self.port,
            );
            match opened {
                Ok(sender) => {
                    self.senders.insert(name.clone(), (place, sender));
                }
                Err(error) => {
                    return self.tell(&name, format!("cannot speak with {neighbour}: {error}"));
                }
            }
        }
        let sent = self
            .senders
            .get(&name)
            .map(|(_, sender)| sender.send(&datagram.bytes));
        match sent {
            Some(Err(error)) => {
                // An address may have gone, and come again.
                self.senders.remove(&name);
                self.tell(&name, format!("cannot send to {neighbour}: {error}"));
            }
            Some(Ok(())) | None => {
                self.told.remove(&name);
            }
        }
    }

    /// Says what is wrong, once until it is something else.
    fn tell(&mut self, who: &str, what: String) {
        if self.told.get(who) != Some(&what) {
            tracing::warn!("BFD {who}: {what}");
            self.told.insert(who.to_owned(), what);
        }
    }
}

/// Hands over what comes. A flood waits in the socket's buffer, which is bounded.
async fn pass_on(receiver: Receiver, heard: mpsc::Sender<Heard>) {
    loop {
        match receiver.receive().await {
            Ok(received) => {
                if heard.send((receiver.port(), received)).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                tracing::warn!("BFD port {}: {error}", receiver.port());
                sleep(RETRY).await;
            }
        }
    }
}

impl<P: Plane> Daemon<P> {
    /// Starts the sessions. VRRP and health checks hear of them.
    pub(super) fn start_bfd(self: &Arc<Self>, wanted: &[BfdInstance]) -> io::Result<()> {
        let daemon = Arc::downgrade(self);
        let on_change: OnChange = Box::new(move |name, up, why| {
            if let Some(daemon) = daemon.upgrade() {
                daemon.follow_session(name, up, why);
            }
        });
        // Each hasher has random keys of the operating system.
        let seed = RandomState::new().build_hasher().finish();
        let started = Bfd::start(wanted.to_vec(), seed, on_change)?;
        // It is called once.
        let _ = self.bfd.set(started);
        Ok(())
    }

    /// The sessions, where they have been started.
    pub fn bfd(&self) -> Option<&Bfd> {
        self.bfd.get()
    }

    fn follow_session(&self, name: &str, up: bool, why: &str) {
        if let Some(vrrp) = self.vrrp() {
            vrrp.bfd(name, up);
        }
        self.health_session(name, up);
        let state = if up { "up" } else { "down" };
        let reason = if up {
            String::new()
        } else {
            format!(": {why}")
        };
        self.events().happened(
            "bfd",
            name,
            &format!("BFD session {name} is {state}{reason}"),
            serde_json::json!({ "up": up, "why": why }),
        );
    }
}
