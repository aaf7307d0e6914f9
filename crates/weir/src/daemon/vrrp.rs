//! VRRP at work. The router has a thread of its own, with nothing on it but its timers, its sockets and
//! news of the network, so that nothing in the daemon delays an advertisement: what it decides is carried
//! out by `router::hands`, told by `router::herald`, and what it depends on is watched by `trackers`.

mod keeper;
mod listing;
mod memory;
mod secrets;
mod tell;
mod trackers;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;

use config::file::Config;
use config::model::vrrp::Vrrp as Wanted;
use config::model::{Notifications, ServiceKey};
use control::wanted::Upkeep;
use host::clock::monotonic;
use router::herald::{Complain, Herald};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use vrrp::view::{GroupView, InstanceView};
use weir_config as config;
use weir_control as control;
use weir_host as host;
use weir_router as router;
use weir_vrrp as vrrp;

use keeper::Keeper;
use trackers::Trackers;

use super::Daemon;
use super::events::Events;
use super::serving::Ending;
use crate::plane::Plane;

/// What the router's thread is told.
#[derive(Debug)]
enum Command {
    Reload(Box<Wanted>, Box<Notifications>),
    PathInPlace(bool),
    Quorum(ServiceKey, bool),
    Bfd(String, bool),
    Script(String, bool),
    File(String, i32),
    Process(String, u32),
    View(oneshot::Sender<View>),
    Stop { leave: bool },
}

/// A router as it is.
#[derive(Clone, Debug)]
pub struct View {
    /// Its instances.
    pub instances: Vec<InstanceView>,
    /// Its groups.
    pub groups: Vec<GroupView>,
    /// What is configured.
    pub wanted: Wanted,
    /// Packets that were about none of the instances.
    pub strangers: u64,
}

/// Who hears of changes, beside the log: who it is, what it was and is, and why.
pub type OnChange = Box<dyn Fn(&vrrp::Subject, &vrrp::view::Transition) + Send + Sync>;

/// The daemon's VRRP router.
pub struct Vrrp {
    commands: mpsc::UnboundedSender<Command>,
    aide: Handle,
    herald: Herald,
    running: Mutex<Running>,
}

struct Running {
    wanted: Wanted,
    notifications: Notifications,
    trackers: Trackers,
    thread: Option<thread::JoinHandle<()>>,
    path_in_place: bool,
}

impl Vrrp {
    /// Starts what there is to start; without instances the threads wait. What the last daemon knew is
    /// read from `memory`.
    pub fn start(
        wanted: Wanted,
        notifications: Notifications,
        memory: PathBuf,
        path_in_place: bool,
        on_change: OnChange,
    ) -> io::Result<Self> {
        let wanted = secrets::read(wanted);
        let aide = router::herald::aide("aide")?;
        let complain: Complain = Arc::new(|text| tracing::warn!("{text}"));
        let herald = Herald::start(&aide, notifications.clone(), complain);
        let (commands, receiver) = mpsc::unbounded_channel();
        let teller = tell::Teller::start(&aide, herald.clone(), on_change);
        let memories = memory::Keep::start(&aide, memory);
        let earlier = memories.read(monotonic());
        let trackers = Trackers::start(&aide, &commands, &wanted, &notifications);
        let keeper = Keeper::new(
            wanted.clone(),
            notifications.clone(),
            earlier,
            path_in_place,
            teller,
            memories,
        )?;
        let thread = thread::Builder::new()
            .name("vrrp".to_owned())
            .spawn(move || keeper.run(receiver))?;
        let running = Running {
            wanted,
            notifications,
            trackers,
            thread: Some(thread),
            path_in_place,
        };
        Ok(Self {
            commands,
            aide,
            herald,
            running: Mutex::new(running),
        })
    }

    /// Where others tell what happened.
    pub fn herald(&self) -> Herald {
        self.herald.clone()
    }

    /// Another configuration holds from now on. The same one changes nothing.
    pub fn reload(&self, wanted: &Wanted, notifications: &Notifications) {
        let wanted = &secrets::read(wanted.clone());
        let mut running = self.running();
        if running.wanted == *wanted && running.notifications == *notifications {
            return;
        }
        self.herald.configure(notifications.clone());
        running.wanted = wanted.clone();
        running.notifications = notifications.clone();
        running.trackers = Trackers::start(&self.aide, &self.commands, wanted, notifications);
        self.send(Command::Reload(
            Box::new(wanted.clone()),
            Box::new(notifications.clone()),
        ));
    }

    /// Whether packets are taken where they should be: without that, nobody is Active here.
    pub fn path_in_place(&self, in_place: bool) {
        let mut running = self.running();
        if running.path_in_place != in_place {
            running.path_in_place = in_place;
            self.send(Command::PathInPlace(in_place));
        }
    }

    /// Whether a service has its quorum.
    pub fn quorum(&self, service: ServiceKey, up: bool) {
        self.send(Command::Quorum(service, up));
    }

    /// Whether a BFD session is up.
    pub fn bfd(&self, name: &str, up: bool) {
        self.send(Command::Bfd(name.to_owned(), up));
    }

    /// The router as it is; nothing once it has stopped.
    pub fn view(&self) -> Option<View> {
        let (answer, answered) = oneshot::channel();
        self.send(Command::View(answer));
        answered.blocking_recv().ok()
    }

    /// Ends. Unless it is to be left to a daemon that follows at once, everything is handed over first.
    pub fn stop(&self, leave: bool) {
        self.send(Command::Stop { leave });
        let thread = self.running().thread.take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
        let (herald, (done, finished)) = (self.herald.clone(), oneshot::channel());
        self.aide.spawn(async move {
            herald.finish().await;
            let _ = done.send(());
        });
        let _ = finished.blocking_recv();
    }

    fn has_stopped(&self) -> bool {
        self.running().thread.is_none()
    }

    fn send(&self, command: Command) {
        // The thread ends only by `stop`.
        let _ = self.commands.send(command);
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Vrrp {
    /// The daemon could not start after all.
    fn drop(&mut self) {
        if !self.has_stopped() {
            self.stop(false);
        }
    }
}

/// A router that has begun before there is a daemon: opening the tables takes longer than the others wait
/// for an Active router. Dropped, it hands over.
pub struct Begun {
    vrrp: Vrrp,
    on_change: Arc<OnceLock<OnChange>>,
}

impl Begun {
    /// Begins. Packets may be taken already where an earlier daemon has left its programs.
    pub fn begin(config: &Config, socket: &Path, path_in_place: bool) -> io::Result<Self> {
        let on_change: Arc<OnceLock<OnChange>> = Arc::default();
        let later = Arc::clone(&on_change);
        let vrrp = Vrrp::start(
            config.vrrp.clone(),
            config.notifications.clone(),
            socket.with_extension("vrrp"),
            path_in_place,
            Box::new(move |who, transition| {
                if let Some(on_change) = later.get() {
                    on_change(who, transition);
                }
            }),
        )?;
        Ok(Self { vrrp, on_change })
    }
}

impl<P: Plane> Daemon<P> {
    /// Takes the router that was begun before the tables were opened.
    pub fn take_vrrp(self: &Arc<Self>, begun: Begun, config: &Config) -> io::Result<()> {
        let daemon = Arc::downgrade(self);
        let on_change: OnChange = Box::new(move |who, transition| {
            if let Some(daemon) = daemon.upgrade() {
                publish(daemon.events(), who, transition);
                daemon.follow_instance(who, transition.to);
            }
        });
        // It is called once.
        let _ = begun.on_change.set(on_change);
        let _ = self.vrrp.set(begun.vrrp);
        self.start_bfd(&config.vrrp.bfd)
    }

    /// The router, where it has been started.
    pub fn vrrp(&self) -> Option<&Vrrp> {
        self.vrrp.get()
    }

    /// Lets the router know whether packets are taken where they should be.
    pub fn follow_path(&self) {
        let Some(vrrp) = self.vrrp() else {
            return;
        };
        let wanted = self.interfaces().wanted.clone();
        if !wanted.is_empty() {
            vrrp.path_in_place(self.takes_packets_of(&wanted));
        }
    }

    /// Lets the sync daemon that follows that instance have its role.
    fn follow_instance(&self, who: &vrrp::Subject, state: vrrp::State) {
        let sync = self.upkeep().borrow().vrrp().sync_daemon.clone();
        let followed = sync.as_ref().and_then(|sync| sync.instance.as_deref());
        if let (vrrp::Subject::Instance(name), Some(followed)) = (who, followed)
            && &**name == followed
        {
            self.follow_sync_as(sync.as_ref(), state == vrrp::State::Active);
        }
    }

    /// What a configuration says of VRRP holds from now on.
    pub(super) fn reload_vrrp(&self, upkeep: &Upkeep) {
        if let Some(vrrp) = self.vrrp() {
            vrrp.reload(upkeep.vrrp(), upkeep.notifications());
        }
        if let Some(bfd) = self.bfd() {
            bfd.reload(&upkeep.vrrp().bfd);
        }
        self.follow_sync();
    }

    /// Hands everything over, unless a daemon follows at once.
    pub(super) fn stop_vrrp(&self, ending: Ending) {
        if let Some(vrrp) = self.vrrp() {
            vrrp.stop(ending == Ending::Replaced);
        }
        if let Some(bfd) = self.bfd() {
            bfd.stop();
        }
    }

    fn takes_packets_of(&self, interfaces: &[String]) -> bool {
        let attached = self.plane().attached();
        attached.is_ok_and(|attached| {
            let taken = |name: &String| attached.iter().any(|(_, one, _)| one == name);
            interfaces.iter().all(taken)
        })
    }
}

fn publish(events: &Events, who: &vrrp::Subject, transition: &vrrp::view::Transition) {
    let (kind, name) = match who {
        vrrp::Subject::Instance(name) => ("instance", name),
        vrrp::Subject::Group(name) => ("group", name),
    };
    let (before, after) = (transition.from.name(), transition.to.name());
    events.happened(
        "vrrp",
        name,
        &format!(
            "VRRP {kind} {name}: {before} -> {after}: {}",
            transition.why
        ),
        serde_json::json!({
            "what": kind,
            "before": before,
            "after": after,
            "why": transition.why.to_string(),
        }),
    );
}
