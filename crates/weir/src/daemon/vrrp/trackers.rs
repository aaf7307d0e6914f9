//! Watches what instances depend on outside: scripts, files and processes.

mod files;
mod processes;

use std::time::Duration;

use config::model::Notifications;
use config::model::vrrp::{Vrrp as Wanted, VrrpScript};
use host::script::{self, Ending};
use router::herald::resolve;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use weir_config as config;
use weir_host as host;
use weir_router as router;

use super::Command;

/// How often files and processes are looked at of which the kernel does not tell.
const LOOK: Duration = Duration::from_millis(500);

/// Their tasks; they end with this value.
pub struct Trackers(Vec<JoinHandle<()>>);

impl Drop for Trackers {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}

type Commands = mpsc::UnboundedSender<Command>;

impl Trackers {
    /// Starts watching all that is named, by tasks of that runtime.
    pub fn start(
        runtime: &Handle,
        commands: &Commands,
        wanted: &Wanted,
        notifications: &Notifications,
    ) -> Self {
        let mut tasks = Vec::new();
        for script in &wanted.scripts {
            let work = watch_script(script.clone(), notifications.clone(), commands.clone());
            tasks.push(runtime.spawn(work));
        }
        if !wanted.files.is_empty() {
            tasks.push(runtime.spawn(files::watch(wanted.files.clone(), commands.clone())));
        }
        if !wanted.processes.is_empty() {
            let processes = wanted.processes.clone();
            tasks.push(runtime.spawn(processes::watch(processes, commands.clone())));
        }
        Self(tasks)
    }
}

async fn watch_script(wanted: VrrpScript, notifications: Notifications, commands: Commands) {
    let mut complained = false;
    loop {
        let begun = Instant::now();
        // Looked up at each run: users come and go.
        let passed = match resolve(&wanted.script, Vec::new(), &notifications) {
            Ok(script) => match script::run(&script, wanted.timeout).await {
                Ok(ending) => Ok(ending == Ending::Exited(0)),
                Err(error) => Err(error.to_string()),
            },
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = &passed
            && !complained
        {
            tracing::warn!("VRRP script {}: {error}", wanted.name);
        }
        complained = passed.is_err();
        let passed = passed.unwrap_or(false);
        if commands
            .send(Command::Script(wanted.name.clone(), passed))
            .is_err()
        {
            return;
        }
        sleep_until(begun + wanted.interval.max(Duration::from_millis(10))).await;
    }
}
