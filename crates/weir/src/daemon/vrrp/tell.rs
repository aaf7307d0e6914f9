//! What becomes of instances and groups is told here: to the log, to the daemon, and to scripts, pipes
//! and mailboxes. Writing a log may wait for who reads it, so all of it is the aide's.

use config::model::Script;
use config::model::vrrp::{Notify, Vrrp as Wanted};
use router::herald::{Herald, Notice as Tell, Topic};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use vrrp::{Action, Notice, State, Subject};
use weir_config as config;
use weir_router as router;
use weir_vrrp as vrrp;

use super::OnChange;

/// So much waits to be told; what finds no room is lost.
const QUEUE: usize = 4096;

enum Message {
    Configure(Box<Wanted>),
    Action(Action),
    Complain(String),
}

/// Takes what is to be told, without waiting.
#[derive(Clone)]
pub struct Teller(mpsc::Sender<Message>);

impl Teller {
    /// Starts telling, by a task of that runtime.
    pub fn start(runtime: &Handle, herald: Herald, on_change: OnChange) -> Self {
        let (queue, mut messages) = mpsc::channel(QUEUE);
        runtime.spawn(async move {
            let mut wanted = Wanted::default();
            while let Some(message) = messages.recv().await {
                match message {
                    Message::Configure(new) => wanted = *new,
                    Message::Action(action) => tell(&wanted, &herald, &on_change, action),
                    Message::Complain(text) => tracing::warn!("VRRP: {text}"),
                }
            }
        });
        Self(queue)
    }

    /// From now on, this is what there is.
    pub fn configure(&self, wanted: &Wanted) {
        let _ = self
            .0
            .try_send(Message::Configure(Box::new(wanted.clone())));
    }

    /// Tells an action, if it is one that is told.
    pub fn tell(&self, action: Action) {
        let _ = self.0.try_send(Message::Action(action));
    }

    /// Tells what went wrong.
    pub fn complain(&self, text: String) {
        let _ = self.0.try_send(Message::Complain(text));
    }
}

fn tell(wanted: &Wanted, herald: &Herald, on_change: &OnChange, action: Action) {
    match action {
        Action::Notify(notice) => notify(wanted, herald, &notice),
        Action::Record { who, transition } => {
            let (kind, name) = subject(&who);
            let (from, to) = (transition.from.name(), transition.to.name());
            tracing::info!("VRRP {kind} {name}: {from} -> {to}: {}", transition.why);
            on_change(&who, &transition);
        }
        Action::Complain { instance, text } => tracing::warn!("VRRP instance {instance}: {text}"),
        // Carried out, not told.
        Action::Send(_)
        | Action::Take(_)
        | Action::Release(_)
        | Action::Announce { .. }
        | Action::AnnounceSource { .. }
        | Action::Gone(_) => {}
    }
}

fn subject(who: &Subject) -> (&'static str, &str) {
    match who {
        Subject::Instance(name) => ("instance", name),
        Subject::Group(name) => ("group", name),
    }
}

/// keepalived's word for a state.
const fn word(state: State) -> &'static str {
    match state {
        State::Initialize => "INIT",
        State::Backup => "BACKUP",
        State::Active => "MASTER",
        State::Fault => "FAULT",
    }
}

/// In keepalived's order: the script of the state, the script of all states, the pipe, mail.
fn notify(wanted: &Wanted, herald: &Herald, notice: &Notice) {
    match notice {
        Notice::State {
            who,
            state,
            priority,
        } => {
            let notify = whom(wanted, who);
            let script = match state {
                State::Active => &notify.active,
                State::Backup => &notify.backup,
                State::Fault => &notify.fault,
                State::Initialize => &None,
            };
            run(herald, script.as_ref());
            everywhere(herald, &notify, who, word(*state), *priority);
            if notify.mail {
                mail(herald, who, *state);
            }
        }
        Notice::Stop { who, priority } => {
            let notify = whom(wanted, who);
            run(herald, notify.stop.as_ref());
            everywhere(herald, &notify, who, "STOP", *priority);
            if notify.mail {
                let body = "It hands over: the daemon stops.".to_owned();
                let subject = format!("{} - Stopping", title(who));
                herald.tell(Tell::Mail { subject, body });
            }
        }
        Notice::Deleted { who, priority } => {
            let notify = whom(wanted, who);
            // Without a script of its own, its end is a fault to who is told.
            run(herald, notify.deleted.as_ref().or(notify.fault.as_ref()));
            let state = match notify.deleted {
                Some(_) => "DELETED",
                None => "FAULT",
            };
            everywhere(herald, &notify, who, state, *priority);
        }
        Notice::Priority {
            who,
            state,
            priority,
        } => {
            let event = match state {
                State::Active => "MASTER_PRIORITY",
                State::Backup | State::Initialize | State::Fault => "BACKUP_PRIORITY",
            };
            line(herald, who, event, *priority);
        }
        Notice::LowerPriority { instance, priority } => {
            let who = Subject::Instance(instance.clone());
            run(herald, whom(wanted, &who).lower_priority.as_ref());
            line(herald, &who, "MASTER_RX_LOWER_PRI", *priority);
        }
    }
}

fn everywhere(herald: &Herald, notify: &Notify, who: &Subject, state: &str, priority: u8) {
    if let Some(script) = &notify.any {
        let (kind, name) = keepalived_subject(who);
        let arguments = [kind, name, state, &priority.to_string()].map(str::to_owned);
        herald.tell(Tell::Run {
            script: script.clone(),
            arguments: arguments.to_vec(),
        });
    }
    line(herald, who, state, priority);
}

fn line(herald: &Herald, who: &Subject, event: &str, priority: u8) {
    let (kind, name) = keepalived_subject(who);
    herald.tell(Tell::Line {
        of: Topic::Vrrp,
        text: format!("{kind} \"{name}\" {event} {priority}"),
    });
}

fn run(herald: &Herald, script: Option<&Script>) {
    if let Some(script) = script {
        herald.tell(Tell::Run {
            script: script.clone(),
            arguments: Vec::new(),
        });
    }
}

fn keepalived_subject(who: &Subject) -> (&'static str, &str) {
    match who {
        Subject::Instance(name) => ("INSTANCE", name),
        Subject::Group(name) => ("GROUP", name),
    }
}

fn title(who: &Subject) -> String {
    match who {
        Subject::Instance(name) => format!("VRRP Instance {name}"),
        Subject::Group(name) => format!("VRRP Group {name}"),
    }
}

fn mail(herald: &Herald, who: &Subject, state: State) {
    let body = match (who, state) {
        (Subject::Instance(_), State::Active) => "It holds its virtual addresses now.",
        (Subject::Instance(_), State::Backup | State::Fault | State::Initialize) => {
            "It does not hold its virtual addresses any more."
        }
        (Subject::Group(_), State::Active) => "All its instances are MASTER now.",
        (Subject::Group(_), State::Backup) => "All its instances are BACKUP now.",
        (Subject::Group(_), State::Fault | State::Initialize) => {
            "All its instances are in FAULT now."
        }
    };
    let subject = format!("{} - Entering {} state", title(who), word(state));
    herald.tell(Tell::Mail {
        subject,
        body: body.to_owned(),
    });
}

fn whom(wanted: &Wanted, who: &Subject) -> Notify {
    let found = match who {
        Subject::Instance(name) => {
            let mut all = wanted.instances.iter();
            all.find(|one| *one.name == **name).map(|one| &one.notify)
        }
        Subject::Group(name) => {
            let mut all = wanted.groups.iter();
            all.find(|one| *one.name == **name).map(|one| &one.notify)
        }
    };
    found.cloned().unwrap_or_default()
}
