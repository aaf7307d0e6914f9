//! Tells others what happened: scripts, named pipes and mail. Whoever has something to tell never waits:
//! it goes into a bounded queue, and what finds no room there is counted and lost.

mod fifo;
mod mail;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use config::model::{Mail, Notifications, Script, ScriptUser};
use host::script::{self, Account, Ending};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use weir_config as config;
use weir_host as host;

use fifo::Fifo;

/// So many things wait to be told.
const QUEUE: usize = 4096;
/// So many scripts run at one time, and as many mails are on their way.
const MOST_AT_ONCE: usize = 64;
/// A script that takes longer is ended.
const SCRIPT_TIME: Duration = Duration::from_secs(600);
/// A script that is told of the daemon's end delays it for no longer.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// As whom scripts run where nobody is named, if there is such a user.
const DEFAULT_USER: &str = "keepalived_script";

/// Something to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Run a script, with these arguments after its own.
    Run {
        /// The script.
        script: Script,
        /// What follows its own arguments.
        arguments: Vec<String>,
    },
    /// Write a line (without its end) to the pipes that are told of VRRP, or of services.
    Line {
        /// Of what it tells.
        of: Topic,
        /// The line.
        text: String,
    },
    /// Send mail.
    Mail {
        /// What it is about; `[ROUTER]` is put before it.
        subject: String,
        /// What it says.
        body: String,
    },
}

/// What is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Topic {
    /// Instances and groups.
    Vrrp,
    /// Services and real servers.
    Lvs,
}

enum Message {
    Notice(Notice),
    Configure(Box<Notifications>),
    Finish(oneshot::Sender<()>),
}

/// Where things are told.
#[derive(Clone)]
pub struct Herald {
    queue: mpsc::Sender<Message>,
    lost: Arc<AtomicU64>,
}

/// To whom it is told what could not be told.
pub type Complain = Arc<dyn Fn(String) + Send + Sync>;

impl Herald {
    /// Starts telling, by tasks of that runtime.
    pub fn start(runtime: &Handle, notifications: Notifications, complain: Complain) -> Self {
        let (queue, messages) = mpsc::channel(QUEUE);
        let herald = Self {
            queue,
            lost: Arc::default(),
        };
        let mut worker = Worker {
            notifications: Notifications::default(),
            fifo: None,
            vrrp_fifo: None,
            lvs_fifo: None,
            running: Arc::default(),
            complain,
        };
        runtime.spawn(async move {
            worker.configure(notifications);
            worker.work(messages).await;
        });
        herald
    }

    /// Tells something, in the order in which it is called.
    pub fn tell(&self, notice: Notice) {
        self.send(Message::Notice(notice));
    }

    /// From now on it is told otherwise.
    pub fn configure(&self, notifications: Notifications) {
        self.send(Message::Configure(Box::new(notifications)));
    }

    /// How many things found no room.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Waits until everything before has been begun, and scripts have had a moment.
    pub async fn finish(&self) {
        let (done, finished) = oneshot::channel();
        self.send(Message::Finish(done));
        let _ = tokio::time::timeout(2 * LAST_WORDS, finished).await;
    }

    fn send(&self, message: Message) {
        if self.queue.try_send(message).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

struct Worker {
    notifications: Notifications,
    fifo: Option<Fifo>,
    vrrp_fifo: Option<Fifo>,
    lvs_fifo: Option<Fifo>,
    running: Arc<AtomicUsize>,
    complain: Complain,
}

impl Worker {
    async fn work(&mut self, mut messages: mpsc::Receiver<Message>) {
        while let Some(message) = messages.recv().await {
            match message {
                Message::Notice(notice) => self.tell(notice).await,
                Message::Configure(notifications) => self.configure(*notifications),
                Message::Finish(done) => {
                    self.wait_a_moment().await;
                    let _ = done.send(());
                }
            }
        }
    }

    async fn tell(&mut self, notice: Notice) {
        match notice {
            Notice::Run { script, arguments } => self.run(&script, arguments).await,
            Notice::Line { of, text } => {
                let other = match of {
                    Topic::Vrrp => &self.vrrp_fifo,
                    Topic::Lvs => &self.lvs_fifo,
                };
                for fifo in self.fifo.iter().chain(other) {
                    if let Err(error) = fifo.write_line(&text) {
                        (self.complain)(format!(
                            "{} was not told {text:?}: {error}",
                            fifo.path().display()
                        ));
                    }
                }
            }
            Notice::Mail { subject, body } => self.mail(subject, body),
        }
    }

    fn configure(&mut self, new: Notifications) {
        let old = std::mem::replace(&mut self.notifications, new);
        let new = &self.notifications;
        let mut readers = Vec::new();
        for (slot, was, wanted) in [
            (&mut self.fifo, &old.fifo, &new.fifo),
            (&mut self.vrrp_fifo, &old.vrrp_fifo, &new.vrrp_fifo),
            (&mut self.lvs_fifo, &old.lvs_fifo, &new.lvs_fifo),
        ] {
            if was == wanted && slot.is_some() == wanted.is_some() {
                continue;
            }
            *slot = None;
            let Some(wanted) = wanted else {
                continue;
            };
            match Fifo::open(&wanted.path) {
                Ok(fifo) => *slot = Some(fifo),
                Err(error) => (self.complain)(format!(
                    "named pipe {} cannot be opened: {error}",
                    wanted.path.display()
                )),
            }
            if let Some(script) = &wanted.script {
                let path = wanted.path.display().to_string();
                readers.push((script.clone(), path));
            }
        }
        for (script, path) in readers {
            self.keep_reading(&script, path);
        }
    }

    fn prepare(&self, script: &Script, arguments: Vec<String>) -> Option<script::Script> {
        match resolve(script, arguments, &self.notifications) {
            Ok(script) => Some(script),
            Err(error) => {
                (self.complain)(format!(
                    "script {} is not run: {error}",
                    script.command.join(" ")
                ));
                None
            }
        }
    }

    /// Starts a script. The next one is started after this one, and does not wait for its end.
    async fn run(&self, script: &Script, arguments: Vec<String>) {
        let Some(script) = self.prepare(script, arguments) else {
            return;
        };
        let Some(place) = Place::take(&self.running) else {
            (self.complain)(format!(
                "script {} is not run: {MOST_AT_ONCE} others still do",
                script.program.display()
            ));
            return;
        };
        let complain = Arc::clone(&self.complain);
        match script::start(&script).await {
            Ok(running) => drop(tokio::spawn(async move {
                let _place = place;
                let name = script.program.display().to_string();
                match running.end_within(SCRIPT_TIME).await {
                    Ok(Ending::Exited(0)) => {}
                    Ok(Ending::Exited(code)) => {
                        complain(format!("script {name}: exit code {code}"))
                    }
                    Ok(Ending::Signalled(signal)) => {
                        complain(format!("script {name}: ended by signal {signal}"));
                    }
                    Ok(Ending::TimedOut) => {
                        complain(format!("script {name}: ended after {SCRIPT_TIME:?}"));
                    }
                    Err(error) => complain(error.to_string()),
                }
            })),
            Err(error) => complain(error.to_string()),
        }
    }

    /// Starts the program that reads a named pipe; it may go on as long as it likes.
    fn keep_reading(&self, script: &Script, path: String) {
        let Some(script) = self.prepare(script, vec![path]) else {
            return;
        };
        let complain = Arc::clone(&self.complain);
        tokio::spawn(async move {
            let ended = script::run(&script, Duration::MAX).await;
            let name = script.program.display();
            match ended {
                Ok(ending) => complain(format!(
                    "{name}, which read a named pipe, ended: {ending:?}"
                )),
                Err(error) => complain(error.to_string()),
            }
        });
    }

    fn mail(&self, subject: String, body: String) {
        let Some(mail) = self.notifications.mail.clone() else {
            return;
        };
        let Some(place) = Place::take(&self.running) else {
            (self.complain)(format!(
                "mail {subject:?} is not sent: too much is on its way"
            ));
            return;
        };
        let name = router_name(&self.notifications);
        let complain = Arc::clone(&self.complain);
        tokio::spawn(async move {
            let _place = place;
            let subject = format!("[{name}] {subject}");
            let Mail {
                server, timeout, ..
            } = mail;
            let host = host_name();
            let sent = tokio::time::timeout(timeout, mail::send(&mail, &host, &subject, &body));
            match sent.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => complain(format!("mail by {server} was not sent: {error}")),
                Err(_) => complain(format!("mail by {server} was not sent within {timeout:?}")),
            }
        });
    }

    async fn wait_a_moment(&self) {
        let quiet = async {
            while self.running.load(Ordering::Relaxed) > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let _ = tokio::time::timeout(LAST_WORDS, quiet).await;
    }
}

/// The script that is started for one of a configuration.
pub fn resolve(
    script: &Script,
    arguments: Vec<String>,
    notifications: &Notifications,
) -> Result<script::Script, script::AccountError> {
    let user = script.user.as_ref().or(notifications.script_user.as_ref());
    let account = match user {
        Some(ScriptUser { user, group }) => Account::find(user, group.as_deref())?,
        None => Account::find(DEFAULT_USER, None).unwrap_or_else(|_| Account::ours()),
    };
    let mut words = script.command.iter().cloned().chain(arguments);
    Ok(script::Script {
        program: words.next().unwrap_or_default().into(),
        arguments: words.map(Into::into).collect(),
        account,
        secure: notifications.script_security,
    })
}

fn router_name(notifications: &Notifications) -> String {
    notifications.router_id.clone().unwrap_or_else(host_name)
}

fn host_name() -> String {
    let name = rustix::system::uname();
    name.nodename().to_string_lossy().into_owned()
}

/// One of the places for what runs at one time.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(running: &Arc<AtomicUsize>) -> Option<Self> {
        let taken = running.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
            (count < MOST_AT_ONCE).then_some(count + 1)
        });
        taken.ok().map(|_| Self(Arc::clone(running)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Starts a thread whose runtime carries what may take its time: scripts, mail, files. It lives as long
/// as the process.
pub fn aide(name: &str) -> io::Result<Handle> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let handle = runtime.handle().clone();
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || runtime.block_on(std::future::pending::<()>()))?;
    Ok(handle)
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Mutex;

    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    fn shell(text: &str) -> Script {
        Script {
            command: ["sh", "-c", text].map(str::to_owned).to_vec(),
            user: None,
        }
    }

    async fn lines_of(path: &Path, count: usize) -> Vec<String> {
        let read = async {
            loop {
                let text = std::fs::read_to_string(path).unwrap_or_default();
                if text.matches('\n').count() >= count {
                    return text.lines().map(str::to_owned).collect();
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(LONG, read).await.unwrap()
    }

    #[tokio::test]
    async fn scripts_get_their_arguments_and_a_pipes_reader_its_lines() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let notifications = Notifications {
            script_security: false,
            script_user: Some(ScriptUser {
                user: "root".to_owned(),
                group: None,
            }),
            vrrp_fifo: Some(config::model::Fifo {
                path: at("fifo"),
                script: Some(shell(&format!(
                    "exec cat \"$0\" >{}",
                    at("lines").display()
                ))),
            }),
            ..Notifications::default()
        };
        let complaints = Arc::new(Mutex::new(Vec::new()));
        let complain = {
            let complaints = Arc::clone(&complaints);
            Arc::new(move |text| complaints.lock().unwrap().push(text))
        };
        // Who is not root cannot become root: then it says so, and that is seen as well.
        let root = Account::ours() == Account::ROOT;
        let herald = Herald::start(&Handle::current(), notifications, complain);
        for (of, text) in [
            (Topic::Lvs, "VS x UP"),
            (Topic::Vrrp, "INSTANCE \"a\" MASTER 1"),
        ] {
            let text = text.to_owned();
            herald.tell(Notice::Line { of, text });
        }
        let arguments = ["INSTANCE", "VI 1", "MASTER", "100"].map(str::to_owned);
        herald.tell(Notice::Run {
            script: shell(&format!(
                "echo \"$0|$1|$2|$3\" >{}",
                at("arguments").display()
            )),
            arguments: arguments.to_vec(),
        });
        if !root {
            herald.finish().await;
            assert!(!complaints.lock().unwrap().is_empty());
            return;
        }
        assert_eq!(
            lines_of(&at("arguments"), 1).await,
            ["INSTANCE|VI 1|MASTER|100"]
        );
        assert_eq!(lines_of(&at("lines"), 1).await, ["INSTANCE \"a\" MASTER 1"]);
        assert_eq!(herald.lost(), 0);
    }
}
