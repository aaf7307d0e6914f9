//! Carries out what becomes of an instance, one thing after the other, on a thread of its own: the
//! kernel may take its time over an address, and advertisements must not wait for it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use config::model::Family;
use config::model::vrrp::{Acceptance, Instance, InterfaceKind, VirtualAddress, Vrrp};
use host::sysctl;
use weir_config as config;
use weir_host as host;

use crate::announce::{Announcer, LinkAddress};
use crate::links::Links;
use crate::netlink::Netlink;
use crate::refuse::Refusals;
use crate::vmac;

/// Where an interface is found, as of when a task was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its index.
    pub index: u32,
    /// Its link address.
    pub address: Option<LinkAddress>,
}

/// All interfaces by their names.
pub type Places = BTreeMap<String, Place>;

/// The places of those links.
pub fn places(links: &Links) -> Places {
    let place = |(index, link): (&u32, &crate::links::Link)| {
        let (index, address) = (*index, link.address);
        (link.name.clone(), Place { index, address })
    };
    links.iter().map(place).collect()
}

/// What is to be done.
#[derive(Debug)]
pub enum Task {
    /// Another configuration: what instances have and should have no more goes, and the virtual links and
    /// the static addresses, routes and rules that it wants come.
    Configure(Box<Vrrp>),
    /// Put an instance's addresses, routes and rules in place.
    Take(Arc<str>),
    /// Take them away, and forget its announcements.
    Release(Arc<str>),
    /// Announce all its addresses, so many rounds.
    Announce(Arc<str>, u16),
    /// Announce the address that it speaks from.
    AnnounceSource(Arc<str>, IpAddr),
}

/// What could not be done.
pub type Complain = Box<dyn Fn(&str, String) + Send>;

enum Message {
    Task(Task, Arc<Places>),
    /// Everything before is done; the virtual links and static things go too if that is said.
    Finish {
        leave: bool,
    },
}

/// The thread's other end.
pub struct Hands {
    tasks: Sender<Message>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Hands {
    /// Starts the thread. `begin` is called on it first; what fails is told to `complain`.
    pub fn start(begin: impl FnOnce() + Send + 'static, complain: Complain) -> io::Result<Self> {
        let (tasks, receiver) = channel();
        let mut worker = Worker {
            netlink: Netlink::new()?,
            announcer: Announcer::new()?,
            refusals: Refusals::new(),
            complain,
            config: Vrrp::default(),
            places: Arc::default(),
            base_settings: HashMap::new(),
            queue: VecDeque::new(),
            next: Instant::now(),
        };
        let thread = thread::Builder::new()
            .name("vrrp-hands".to_owned())
            .spawn(move || {
                begin();
                worker.work(&receiver);
            })?;
        Ok(Self {
            tasks,
            thread: Some(thread),
        })
    }

    /// Gives a task; it is begun when those before are done.
    pub fn give(&self, task: Task, places: &Arc<Places>) {
        // The thread ends only with this value.
        let _ = self.tasks.send(Message::Task(task, Arc::clone(places)));
    }

    /// Waits until all tasks are done. `leave` leaves virtual links and whatever is static in place, for a
    /// daemon that follows.
    pub fn finish(mut self, leave: bool) {
        let _ = self.tasks.send(Message::Finish { leave });
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// An announcement that waits for its turn.
struct Waiting {
    instance: Arc<str>,
    place: Place,
    address: IpAddr,
    router: bool,
}

struct Worker {
    netlink: Netlink,
    announcer: Announcer,
    refusals: Refusals,
    complain: Complain,
    config: Vrrp,
    places: Arc<Places>,
    /// What interfaces below virtual links had before.
    base_settings: HashMap<String, Vec<(String, String)>>,
    queue: VecDeque<Waiting>,
    next: Instant,
}

impl Worker {
    fn work(&mut self, messages: &Receiver<Message>) {
        loop {
            let message = if self.queue.is_empty() {
                messages.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                let wait = self.next.saturating_duration_since(Instant::now());
                messages.recv_timeout(wait)
            };
            match message {
                Ok(Message::Task(task, places)) => {
                    self.places = places;
                    self.carry_out(task);
                }
                Ok(Message::Finish { leave }) => {
                    if !leave {
                        self.clear();
                    }
                    return;
                }
                Err(RecvTimeoutError::Timeout) => self.announce_next(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn carry_out(&mut self, task: Task) {
        match task {
            Task::Configure(config) => self.configure(*config),
            Task::Take(name) => self.with(&name, Self::take),
            Task::Release(name) => {
                self.queue.retain(|waiting| waiting.instance != name);
                self.with(&name, Self::release);
            }
            Task::Announce(name, rounds) => {
                self.with(&name, |worker, instance| worker.announce(instance, rounds));
            }
            Task::AnnounceSource(name, source) => self.with(&name, |worker, instance| {
                worker.enqueue(&instance.name, speaks_from(instance), source);
                worker.announce_at_once();
            }),
        }
    }

    fn with(&mut self, name: &str, work: impl FnOnce(&mut Self, &Instance)) {
        let found = self.config.instances.iter().find(|one| one.name == name);
        if let Some(instance) = found.cloned() {
            work(self, &instance);
        }
    }

    fn note(&self, instance: &str, what: &str, done: io::Result<()>) {
        if let Err(error) = done {
            (self.complain)(instance, format!("cannot {what}: {error}"));
        }
    }

    fn index(&self, name: &str) -> Option<u32> {
        self.places.get(name).map(|place| place.index)
    }

    fn configure(&mut self, config: Vrrp) {
        let old = std::mem::replace(&mut self.config, config);
        let new = self.config.clone();
        for gone in old
            .static_rules
            .iter()
            .filter(|one| !new.static_rules.contains(one))
        {
            let done = self.netlink.remove_rule(gone);
            self.note("", "remove a static rule", done);
        }
        let places = Arc::clone(&self.places);
        let index = |name: &str| places.get(name).map(|place| place.index);
        for gone in old
            .static_routes
            .iter()
            .filter(|one| !new.static_routes.contains(one))
        {
            let done = self.netlink.remove_route(gone, &index);
            self.note("", "remove a static route", done);
        }
        for gone in old
            .static_addresses
            .iter()
            .filter(|one| !new.static_addresses.contains(one))
        {
            self.static_address(gone, Netlink::remove_address);
        }
        for wanted in &new.static_addresses {
            self.static_address(wanted, Netlink::add_address);
        }
        for wanted in &new.static_routes {
            let done = self.netlink.add_route(wanted, &index);
            self.note("", "add a static route", done);
        }
        for wanted in &new.static_rules {
            let done = self.netlink.add_rule(wanted);
            self.note("", "add a static rule", done);
        }
        for was in &old.instances {
            let is = new.instances.iter().find(|one| one.name == was.name);
            self.give_up(was, is);
        }
        for instance in &new.instances {
            if instance.promote_secondaries {
                let done = vmac::promote_secondaries(instance.interface.as_str());
                self.note(&instance.name, "keep secondary addresses", done);
            }
            self.make_virtual_link(instance);
        }
    }

    /// Takes away what an instance had and has no more; all, if it is no more itself.
    fn give_up(&mut self, was: &Instance, is: Option<&Instance>) {
        if is == Some(was) {
            return;
        }
        self.queue.retain(|waiting| *waiting.instance != *was.name);
        let mut gone = was.clone();
        if let Some(is) = is {
            let same_place = |one: &VirtualAddress| {
                let mut kept = all_addresses(is);
                kept.any(|other| one == other && interface_of(was, one) == interface_of(is, other))
            };
            gone.addresses.retain(|one| !same_place(one));
            gone.excluded_addresses.retain(|one| !same_place(one));
            gone.routes.retain(|one| !is.routes.contains(one));
            gone.rules.retain(|one| !is.rules.contains(one));
        }
        self.release(&gone);
        let link =
            virtual_link(was).filter(|link| is.and_then(virtual_link).as_ref() != Some(link));
        if let Some(link) = link {
            let done = self.netlink.remove_virtual_link(&link);
            self.note(&was.name, "remove its virtual link", done);
        }
    }

    fn static_address(
        &mut self,
        wanted: &VirtualAddress,
        how: fn(&mut Netlink, u32, &VirtualAddress) -> io::Result<()>,
    ) {
        let name = wanted.interface.as_ref().map_or("", |name| name.as_str());
        match self.index(name) {
            Some(index) => {
                let done = how(&mut self.netlink, index, wanted);
                self.note("", &format!("set static address {}", wanted.address), done);
            }
            None => (self.complain)(
                "",
                format!(
                    "static address {}: there is no interface {name}",
                    wanted.address
                ),
            ),
        }
    }

    fn make_virtual_link(&mut self, instance: &Instance) {
        let InterfaceKind::VirtualMac { link_address, .. } = &instance.kind else {
            return;
        };
        let (Some(name), base) = (virtual_link(instance), instance.interface.as_str()) else {
            return;
        };
        let Some(index) = self.index(base) else {
            // It is made when the interface comes.
            return;
        };
        let address = link_address
            .unwrap_or_else(|| vmac::link_address(instance.router_id.get(), instance.v6));
        let done = self.netlink.add_virtual_link(&name, index, address);
        self.note(&instance.name, "make its virtual link", done);
        if !self.base_settings.contains_key(base) {
            match vmac::prepare_base(base) {
                Ok(before) => drop(self.base_settings.insert(base.to_owned(), before)),
                Err(error) => self.note(&instance.name, "prepare its interface", Err(error)),
            }
        }
    }

    fn take(&mut self, instance: &Instance) {
        if instance.acceptance == Acceptance::Refuse {
            let addresses = all_addresses(instance).map(|one| one.address).collect();
            let done = self.refusals.refuse(&instance.name, addresses);
            self.note(&instance.name, "refuse what is sent to its addresses", done);
        }
        for wanted in all_addresses(instance) {
            let interface = interface_of(instance, wanted);
            match self.index(&interface) {
                Some(index) => {
                    let done = self.netlink.add_address(index, wanted);
                    self.note(&instance.name, &format!("add {}", wanted.address), done);
                }
                None => (self.complain)(
                    &instance.name,
                    format!(
                        "cannot add {}: there is no interface {interface}",
                        wanted.address
                    ),
                ),
            }
        }
        let places = Arc::clone(&self.places);
        let index = |name: &str| places.get(name).map(|place| place.index);
        for wanted in &instance.routes {
            let done = self.netlink.add_route(wanted, &index);
            self.note(&instance.name, "add a route", done);
        }
        for wanted in &instance.rules {
            let done = self.netlink.add_rule(wanted);
            self.note(&instance.name, "add a rule", done);
        }
    }

    fn release(&mut self, instance: &Instance) {
        for gone in instance.rules.iter().rev() {
            let done = self.netlink.remove_rule(gone);
            self.note(&instance.name, "remove a rule", done);
        }
        let places = Arc::clone(&self.places);
        let index = |name: &str| places.get(name).map(|place| place.index);
        for gone in instance.routes.iter().rev() {
            let done = self.netlink.remove_route(gone, &index);
            self.note(&instance.name, "remove a route", done);
        }
        for gone in all_addresses(instance) {
            // Gone with its interface is fine.
            if let Some(index) = self.index(&interface_of(instance, gone)) {
                let done = self.netlink.remove_address(index, gone);
                self.note(&instance.name, &format!("remove {}", gone.address), done);
            }
        }
        if instance.acceptance == Acceptance::Refuse {
            let done = self.refusals.accept(&instance.name);
            self.note(
                &instance.name,
                "accept again what is sent to its addresses",
                done,
            );
        }
    }

    fn announce(&mut self, instance: &Instance, rounds: u16) {
        for _ in 0..rounds {
            for one in all_addresses(instance) {
                self.enqueue(&instance.name, interface_of(instance, one), one.address);
            }
        }
        self.announce_at_once();
    }

    fn enqueue(&mut self, instance: &str, interface: String, address: IpAddr) {
        let Some(place) = self.places.get(&interface) else {
            return;
        };
        self.queue.push_back(Waiting {
            instance: instance.into(),
            place: *place,
            address,
            router: sysctl::forwards(Family::V6, &interface).unwrap_or(true),
        });
    }

    /// Without an interval nothing waits.
    fn announce_at_once(&mut self) {
        while self.config.announcement_interval.is_zero() && !self.queue.is_empty() {
            self.announce_next();
        }
    }

    fn announce_next(&mut self) {
        let Some(waiting) = self.queue.pop_front() else {
            return;
        };
        self.next = Instant::now()
            + self
                .config
                .announcement_interval
                .min(Duration::from_secs(60));
        // An interface without link addresses has nobody to tell.
        let Some(at) = waiting.place.address else {
            return;
        };
        let Waiting {
            place,
            address,
            router,
            ..
        } = waiting;
        let done = self.announcer.announce(place.index, address, at, router);
        self.note(&waiting.instance, &format!("announce {address}"), done);
    }

    /// Takes away what an instance has whatever its state.
    fn clear(&mut self) {
        let config = Vrrp {
            announcement_interval: self.config.announcement_interval,
            ..Vrrp::default()
        };
        let instances = std::mem::take(&mut self.config.instances);
        for link in instances.iter().filter_map(virtual_link) {
            let done = self.netlink.remove_virtual_link(&link);
            self.note("", &format!("remove {link}"), done);
        }
        self.configure(config);
        for before in self.base_settings.values() {
            self.note(
                "",
                "restore settings of an interface",
                vmac::restore(before),
            );
        }
    }
}

/// Those that are advertised, and those that are not.
pub fn all_addresses(instance: &Instance) -> impl Iterator<Item = &VirtualAddress> {
    instance
        .addresses
        .iter()
        .chain(&instance.excluded_addresses)
}

/// The name of the instance's virtual link, if it has one.
pub fn virtual_link(instance: &Instance) -> Option<String> {
    match &instance.kind {
        InterfaceKind::Plain => None,
        InterfaceKind::VirtualMac {
            name: Some(name), ..
        } => Some(name.as_str().to_owned()),
        InterfaceKind::VirtualMac { name: None, .. } => {
            Some(format!("vrrp.{}", instance.router_id.get()))
        }
    }
}

/// On which interface an address is.
pub fn interface_of(instance: &Instance, address: &VirtualAddress) -> String {
    match (&address.interface, virtual_link(instance)) {
        (Some(name), Some(link)) if address.on_vmac && *name == instance.interface => link,
        (Some(name), _) => name.as_str().to_owned(),
        (None, Some(link)) => link,
        (None, None) => instance.interface.as_str().to_owned(),
    }
}

/// On which interface an instance's own address is.
fn speaks_from(instance: &Instance) -> String {
    instance.interface.as_str().to_owned()
}
