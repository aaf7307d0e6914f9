//! The router's thread: waits, feeds, carries out.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use config::model::vrrp::Vrrp as Wanted;
use config::model::{Family, Notifications};
use host::clock::monotonic;
use router::hands::{Hands, Places, Task, places};
use router::links::{Links, Watch};
use router::realtime::prefer_this_thread;
use router::socket::{Protocol, Receiver, Sender, ipv6_packet};
use tokio::sync::mpsc;
use tokio::time::sleep;
use vrrp::view::speaking_interface;
use vrrp::{Action, Datagram, Event, Memory, Moment, Packet, Router};
use weir_config as config;
use weir_host as host;
use weir_router as router;
use weir_vrrp as vrrp;

use super::memory::Keep;
use super::tell::Teller;
use super::{Command, View};

/// So many packets wait for the router; further ones wait in the sockets' bounded buffers.
const PACKETS: usize = 256;
/// After it was held up for so long, what was said meanwhile is heard before the clock.
const HELD_UP: Duration = Duration::from_millis(100);
/// A watch on interfaces that broke is set up anew after this.
const RETRY: Duration = Duration::from_secs(1);
/// No deadline is further away.
const FAR: Duration = Duration::from_secs(3600);

/// A packet on its way from a socket to the router.
struct Heard {
    interface: Arc<str>,
    source: IpAddr,
    destination: Option<IpAddr>,
    hop_limit: Option<u8>,
    bytes: Vec<u8>,
}

/// A socket that is wanted: interface, of IPv6, protocol.
type Key = (String, bool, u8);

struct Listening {
    index: u32,
    groups: BTreeSet<IpAddr>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What the router was told of an interface.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
struct Told {
    up: bool,
    addresses: Vec<IpAddr>,
}

/// The router with all that it needs.
pub struct Keeper {
    wanted: Wanted,
    router: Router,
    path_in_place: bool,
    teller: Teller,
    memories: Keep,
    hands: Hands,
    places: Arc<Places>,
    told: BTreeMap<String, Told>,
    listening: HashMap<Key, Listening>,
    senders: HashMap<(String, u32, IpAddr), Sender>,
    /// Where each instance speaks.
    speaks: HashMap<String, String>,
    actions: Vec<Action>,
    heard: (mpsc::Sender<Heard>, mpsc::Receiver<Heard>),
}

enum Next {
    Deadline,
    Command(Option<Command>),
    Links(io::Result<()>),
    Heard(Heard),
}

impl Keeper {
    /// A router that has not begun.
    pub fn new(
        wanted: Wanted,
        notifications: Notifications,
        earlier: Vec<Memory>,
        path_in_place: bool,
        teller: Teller,
        memories: Keep,
    ) -> io::Result<Self> {
        let priority = wanted.realtime_priority;
        let (complaints, begun) = (teller.clone(), teller.clone());
        let hands = Hands::start(
            move || prefer(priority, &begun),
            Box::new(move |instance, text| {
                complaints.complain(if instance.is_empty() {
                    text
                } else {
                    format!("instance {instance}: {text}")
                });
            }),
        )?;
        let mut router = Router::new(&late(&wanted, monotonic()), now(), &earlier);
        router.tell_priorities(notifications.priority_changes);
        teller.configure(&wanted);
        Ok(Self {
            speaks: speaks(&wanted),
            wanted,
            router,
            path_in_place,
            teller,
            memories,
            hands,
            places: Arc::default(),
            told: BTreeMap::new(),
            listening: HashMap::new(),
            senders: HashMap::new(),
            actions: Vec::new(),
            heard: mpsc::channel(PACKETS),
        })
    }

    /// Works until it is told to stop.
    pub fn run(mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = match runtime {
            Ok(runtime) => runtime,
            Err(error) => return self.teller.complain(format!("cannot start: {error}")),
        };
        prefer(self.wanted.realtime_priority, &self.teller);
        let leave = runtime.block_on(self.work(&mut commands));
        if !leave {
            self.handle(&Event::Stop);
        }
        // What was sent last has left the sockets, which send at once.
        self.memories
            .finish(&self.router.memories(now()), now().now);
        self.hands.finish(leave);
    }

    /// Whether what there is shall be left as it is.
    async fn work(&mut self, commands: &mut mpsc::UnboundedReceiver<Command>) -> bool {
        let mut watch = self.watch().await;
        let task = Task::Configure(Box::new(self.wanted.clone()));
        self.places = Arc::new(places(watch.links()));
        self.hands.give(task, &self.places);
        self.look(watch.links());
        self.handle(&Event::PathInPlace(self.path_in_place));
        self.handle(&Event::Start);
        loop {
            match self.next(&mut watch, commands).await {
                Next::Deadline => self.handle(&Event::Tick),
                Next::Command(Some(Command::Stop { leave })) => return leave,
                Next::Command(Some(command)) => self.obey(command, watch.links()),
                // The daemon is gone without a word.
                Next::Command(None) => return true,
                Next::Links(Ok(())) => self.look(watch.links()),
                Next::Links(Err(error)) => {
                    let text = format!("news of interfaces are missed: {error}");
                    self.teller.complain(text);
                    sleep(RETRY).await;
                    watch = self.watch().await;
                    self.look(watch.links());
                }
                Next::Heard(heard) => self.hear(&heard),
            }
        }
    }

    async fn watch(&self) -> Watch {
        loop {
            match Watch::new() {
                Ok(watch) => return watch,
                Err(error) => {
                    let text = format!("the kernel does not tell of interfaces: {error}");
                    self.teller.complain(text);
                    sleep(RETRY).await;
                }
            }
        }
    }

    /// The clock goes first, so that no flood delays an advertisement; but after it was held up itself, it
    /// first hears what others said meanwhile.
    async fn next(
        &mut self,
        watch: &mut Watch,
        commands: &mut mpsc::UnboundedReceiver<Command>,
    ) -> Next {
        let left = self
            .router
            .next_deadline()
            .map(|at| at.checked_sub(now().now));
        let left = match left {
            None => FAR,
            Some(Some(left)) => left.min(FAR),
            Some(None) => {
                if self.held_up()
                    && let Some(heard) = self.heard_meanwhile().await
                {
                    return Next::Heard(heard);
                }
                return Next::Deadline;
            }
        };
        tokio::select! {
            biased;
            () = sleep(left) => Next::Deadline,
            command = commands.recv() => Next::Command(command),
            changed = watch.changed() => Next::Links(changed),
            // This end keeps the other one.
            Some(heard) = self.heard.1.recv() => Next::Heard(heard),
        }
    }

    fn held_up(&self) -> bool {
        let late = self
            .router
            .next_deadline()
            .map(|at| now().now.saturating_sub(at));
        late.is_some_and(|late| late > HELD_UP)
    }

    async fn heard_meanwhile(&mut self) -> Option<Heard> {
        // The sockets' tasks have a turn.
        for _ in 0..3 {
            tokio::task::yield_now().await;
            if let Ok(heard) = self.heard.1.try_recv() {
                return Some(heard);
            }
        }
        None
    }

    fn obey(&mut self, command: Command, links: &Links) {
        match command {
            Command::Reload(wanted, notifications) => self.reload(*wanted, &notifications, links),
            Command::PathInPlace(in_place) => self.handle(&Event::PathInPlace(in_place)),
            Command::Quorum(service, up) => self.handle(&Event::Quorum { service, up }),
            Command::Bfd(name, up) => self.handle(&Event::Bfd { name: &name, up }),
            Command::Script(name, passed) => self.handle(&Event::Script {
                name: &name,
                passed,
            }),
            Command::File(name, number) => self.handle(&Event::File {
                name: &name,
                number,
            }),
            Command::Process(name, count) => self.handle(&Event::Process { name: &name, count }),
            Command::View(answer) => {
                let _ = answer.send(View {
                    instances: self.router.instances(),
                    groups: self.router.groups(),
                    wanted: self.wanted.clone(),
                    strangers: self.router.strangers(),
                });
            }
            // Seen before.
            Command::Stop { .. } => {}
        }
    }

    fn reload(&mut self, wanted: Wanted, notifications: &Notifications, links: &Links) {
        // Who goes hands over where it spoke.
        self.speaks.extend(speaks(&wanted));
        self.router.tell_priorities(notifications.priority_changes);
        let task = Task::Configure(Box::new(wanted.clone()));
        self.hands.give(task, &self.places);
        self.handle(&Event::Reload(&wanted));
        self.teller.configure(&wanted);
        self.speaks = speaks(&wanted);
        self.wanted = wanted;
        self.listen(links);
    }

    /// Tells the router what is new of the interfaces, and sees to the sockets.
    fn look(&mut self, links: &Links) {
        let before = Arc::clone(&self.places);
        let new = places(links);
        if new != *before {
            let came = new.keys().any(|name| !before.contains_key(name));
            self.places = Arc::new(new);
            if came {
                // A virtual link may have waited for its interface.
                let task = Task::Configure(Box::new(self.wanted.clone()));
                self.hands.give(task, &self.places);
            }
        }
        let mut now_told = BTreeMap::new();
        for link in links.values() {
            let usable = link.addresses.iter().filter(|one| !one.unusable);
            let told = Told {
                up: link.running,
                addresses: usable.map(|one| one.address).collect(),
            };
            now_told.insert(link.name.clone(), told);
        }
        self.senders.retain(|(name, index, _), _| {
            self.places.get(name).map(|place| place.index) == Some(*index)
        });
        let before = std::mem::replace(&mut self.told, now_told.clone());
        for (name, told) in &now_told {
            let was = before.get(name);
            if was.map(|was| &was.addresses) != Some(&told.addresses) {
                self.handle(&Event::Addresses {
                    interface: name,
                    addresses: &told.addresses,
                });
            }
            if was.map(|was| was.up) != Some(told.up) {
                let up = told.up;
                self.handle(&Event::Interface { name, up });
            }
        }
        for name in before.keys().filter(|name| !now_told.contains_key(*name)) {
            self.handle(&Event::Interface { name, up: false });
            self.handle(&Event::Addresses {
                interface: name,
                addresses: &[],
            });
        }
        self.listen(links);
        self.restore(&before);
    }

    /// Puts back what somebody took from an Active instance.
    fn restore(&mut self, before: &BTreeMap<String, Told>) {
        let lost: BTreeSet<IpAddr> = before
            .iter()
            .flat_map(|(name, was)| {
                let is = self.told.get(name).filter(|is| is.up);
                was.addresses
                    .iter()
                    .filter(move |one| is.is_some_and(|is| !is.addresses.contains(one)))
            })
            .copied()
            .collect();
        if lost.is_empty() {
            return;
        }
        for view in self.router.instances() {
            if view.state != vrrp::State::Active {
                continue;
            }
            let instance = self
                .wanted
                .instances
                .iter()
                .find(|one| *one.name == *view.name);
            let missing = instance.and_then(|instance| {
                let mut all = router::hands::all_addresses(instance);
                all.find(|one| lost.contains(&one.address))
            });
            if let Some(missing) = missing {
                let text = format!(
                    "instance {}: {} was taken away by somebody and is put back",
                    view.name, missing.address
                );
                self.teller.complain(text);
                self.hands.give(Task::Take(view.name.clone()), &self.places);
                self.hands.give(Task::Announce(view.name, 1), &self.places);
            }
        }
    }

    /// Opens the sockets that are wanted and can be had, and closes the others.
    fn listen(&mut self, links: &Links) {
        let mut wanted: BTreeMap<Key, BTreeSet<IpAddr>> = BTreeMap::new();
        for socket in self.router.sockets() {
            let name = socket.interface.as_str().to_owned();
            let groups = wanted
                .entry((name, socket.v6, socket.protocol))
                .or_default();
            groups.extend(socket.group);
        }
        let index_of = |name: &str| router::links::index_of(links, name);
        self.listening.retain(|key, open| {
            wanted.get(key) == Some(&open.groups) && index_of(&key.0) == Some(open.index)
        });
        for (key, groups) in wanted {
            let Some(index) = index_of(&key.0) else {
                continue;
            };
            if self.listening.contains_key(&key) {
                continue;
            }
            match open(&key, index, &groups) {
                Ok(receiver) => {
                    let name: Arc<str> = key.0.as_str().into();
                    let task = tokio::spawn(forward(receiver, name, self.heard.0.clone()));
                    let open = Listening {
                        index,
                        groups,
                        task,
                    };
                    self.listening.insert(key, open);
                }
                Err(error) => {
                    let text = format!("cannot listen on {}: {error}", key.0);
                    self.teller.complain(text);
                }
            }
        }
    }

    fn hear(&mut self, heard: &Heard) {
        self.handle(&Event::Packet(Packet {
            interface: &heard.interface,
            source: heard.source,
            destination: heard.destination,
            hop_limit: heard.hop_limit,
            bytes: &heard.bytes,
        }));
    }

    fn handle(&mut self, event: &Event<'_>) {
        let mut actions = std::mem::take(&mut self.actions);
        self.router.handle(now(), event, &mut actions);
        let changed = !actions.is_empty();
        for action in actions.drain(..) {
            self.carry_out(action);
        }
        self.actions = actions;
        if changed {
            let now = now();
            self.memories.keep(&self.router.memories(now), now.now);
        }
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Send(datagram) => {
                if let Err(error) = self.send(&datagram) {
                    let (name, to) = (datagram.instance, datagram.destination);
                    self.teller.complain(format!(
                        "instance {name}: cannot advertise to {to}: {error}"
                    ));
                }
            }
            Action::Take(name) => self.hands.give(Task::Take(name), &self.places),
            Action::Release(name) => self.hands.give(Task::Release(name), &self.places),
            Action::Announce { instance, rounds } => {
                self.hands
                    .give(Task::Announce(instance, rounds), &self.places);
            }
            Action::AnnounceSource { instance, source } => {
                let task = Task::AnnounceSource(instance, source);
                self.hands.give(task, &self.places);
            }
            Action::Notify(_) | Action::Record { .. } | Action::Complain { .. } => {
                self.teller.tell(action);
            }
            // Its sockets go with the reload, its links with the hands' configuration.
            Action::Gone(_) => {}
        }
    }

    fn send(&mut self, datagram: &Datagram) -> io::Result<()> {
        let gone = || io::Error::from(io::ErrorKind::NotFound);
        let name = self.speaks.get(&*datagram.instance).ok_or_else(gone)?;
        let index = self.places.get(name).ok_or_else(gone)?.index;
        let key = (name.clone(), index, datagram.source);
        if !self.senders.contains_key(&key) {
            let sender = Sender::open(name, index, datagram.source)?;
            self.senders.insert(key.clone(), sender);
        }
        let sender = self.senders.get(&key).ok_or_else(gone)?;
        match (datagram.source, datagram.destination) {
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let protocol = protocol(datagram.protocol);
                let packet = ipv6_packet(
                    source,
                    destination,
                    datagram.hop_limit,
                    protocol,
                    &datagram.bytes,
                );
                let packet = packet.ok_or(io::ErrorKind::InvalidInput)?;
                sender.send(&packet, datagram.destination)
            }
            _ => sender.send(&datagram.bytes, datagram.destination),
        }
    }
}

fn prefer(priority: u8, teller: &Teller) {
    if let Err(error) = prefer_this_thread(priority) {
        teller.complain(format!(
            "no real-time priority {priority} (CAP_SYS_NICE and CAP_IPC_LOCK): {error}"
        ));
    }
}

/// With the delay that is left so long after the machine began, which is when the monotonic clock was 0.
fn late(wanted: &Wanted, since_boot: Duration) -> Wanted {
    let left = wanted.delay_after_boot.saturating_sub(since_boot);
    Wanted {
        startup_delay: wanted.startup_delay.max(left),
        ..wanted.clone()
    }
}

fn now() -> Moment {
    let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Moment {
        now: monotonic(),
        wall: wall.unwrap_or_default(),
    }
}

fn speaks(wanted: &Wanted) -> HashMap<String, String> {
    let place = |one: &config::model::vrrp::Instance| {
        let interface = speaking_interface(one).as_str().to_owned();
        (one.name.clone(), interface)
    };
    wanted.instances.iter().map(place).collect()
}

const fn protocol(number: u8) -> Protocol {
    if number == Protocol::AuthenticationHeader.number() {
        Protocol::AuthenticationHeader
    } else {
        Protocol::Vrrp
    }
}

fn open((name, v6, number): &Key, index: u32, groups: &BTreeSet<IpAddr>) -> io::Result<Receiver> {
    let family = if *v6 { Family::V6 } else { Family::V4 };
    let groups: Vec<IpAddr> = groups.iter().copied().collect();
    Receiver::open(name, index, family, protocol(*number), &groups)
}

/// From a socket to the router, for as long as the socket is wanted.
async fn forward(mut receiver: Receiver, interface: Arc<str>, to: mpsc::Sender<Heard>) {
    loop {
        let heard = match receiver.receive().await {
            Ok(received) => Heard {
                interface: Arc::clone(&interface),
                source: received.source,
                destination: received.destination,
                hop_limit: received.hop_limit,
                bytes: received.bytes.to_vec(),
            },
            // The interface went down, which is told otherwise; said once each time.
            Err(_) => {
                sleep(Duration::from_millis(10)).await;
                continue;
            }
        };
        if to.send(heard).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// keepalived takes the longer one of the two delays.
    #[test]
    fn the_delay_after_the_boot_passes_with_the_machine() {
        let seconds = Duration::from_secs;
        for (startup, after_boot, since_boot, expected) in [
            (0, 60, 10, 50),
            (0, 60, 100, 0),
            (20, 60, 50, 20),
            (20, 60, 10, 50),
            (20, 0, 10, 20),
        ] {
            let wanted = Wanted {
                startup_delay: seconds(startup),
                delay_after_boot: seconds(after_boot),
                ..Wanted::default()
            };
            let late = late(&wanted, seconds(since_boot));
            assert_eq!(late.startup_delay, seconds(expected));
        }
    }
}
