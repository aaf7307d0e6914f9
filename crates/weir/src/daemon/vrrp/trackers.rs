//! Watches what instances depend on outside: scripts, files and processes.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use config::model::Notifications;
use config::model::vrrp::{Vrrp as Wanted, VrrpFile, VrrpProcess, VrrpScript};
use host::script::{self, Ending};
use router::herald::resolve;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use weir_config as config;
use weir_host as host;
use weir_router as router;

use super::Command;

/// How often files and processes are looked at.
const LOOK: Duration = Duration::from_millis(500);
/// A number is no longer.
const LONGEST_NUMBER: u64 = 64;

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
            tasks.push(runtime.spawn(watch_files(wanted.files.clone(), commands.clone())));
        }
        if !wanted.processes.is_empty() {
            let processes = wanted.processes.clone();
            tasks.push(runtime.spawn(watch_processes(processes, commands.clone())));
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

async fn watch_files(files: Vec<VrrpFile>, commands: Commands) {
    for file in &files {
        if let Err(error) = begin(file) {
            tracing::warn!("VRRP file {}: {}: {error}", file.name, file.path.display());
        }
    }
    let mut last = BTreeMap::new();
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let to_read = files.clone();
        // The disk may be slow.
        let read = spawn_blocking(move || {
            let number = |file: &VrrpFile| (file.name.clone(), number_in(&file.path));
            to_read.iter().map(number).collect::<Vec<_>>()
        });
        for (name, number) in read.await.unwrap_or_default() {
            if last.insert(name.clone(), number) != Some(number)
                && commands.send(Command::File(name, number)).is_err()
            {
                return;
            }
        }
    }
}

/// Makes the file with its first number, where that is wanted.
fn begin(file: &VrrpFile) -> io::Result<()> {
    match file.initial {
        Some((number, overwrite)) if overwrite || !file.path.exists() => {
            fs::write(&file.path, format!("{number}\n"))
        }
        Some(_) | None => Ok(()),
    }
}

/// The number that a file begins with; 0 when there is none.
fn number_in(path: &Path) -> i32 {
    use std::io::Read;
    let mut text = String::new();
    let read =
        fs::File::open(path).and_then(|file| file.take(LONGEST_NUMBER).read_to_string(&mut text));
    match read {
        Ok(_) => first_number(&text),
        Err(_) => 0,
    }
}

fn first_number(text: &str) -> i32 {
    let text = text.trim_start();
    let digits = |at: &str| at.find(|c: char| !c.is_ascii_digit()).unwrap_or(at.len());
    let sign = usize::from(text.starts_with(['-', '+']));
    let end = sign + digits(&text[sign..]);
    text[..end].parse().unwrap_or(0)
}

async fn watch_processes(processes: Vec<VrrpProcess>, commands: Commands) {
    let mut last = BTreeMap::new();
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let to_count = processes.clone();
        let counted = spawn_blocking(move || count(&to_count)).await;
        for (name, number) in counted.unwrap_or_default() {
            if last.insert(name.clone(), number) != Some(number)
                && commands.send(Command::Process(name, number)).is_err()
            {
                return;
            }
        }
    }
}

fn count(processes: &[VrrpProcess]) -> Vec<(String, u32)> {
    let mut counts: Vec<(String, u32)> =
        processes.iter().map(|one| (one.name.clone(), 0)).collect();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = entry.file_name();
        if !name.as_encoded_bytes().iter().all(u8::is_ascii_digit) {
            continue;
        }
        // Gone meanwhile, or a kernel thread, which has no words.
        let words = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        for (process, (_, count)) in processes.iter().zip(&mut counts) {
            *count += u32::from(is(process, &words));
        }
    }
    counts
}

/// Whether a process with these words (each ends in a zero) is meant.
fn is(wanted: &VrrpProcess, words: &[u8]) -> bool {
    let mut words = words.split(|byte| *byte == 0);
    let Some(program) = words.next().filter(|program| !program.is_empty()) else {
        return false;
    };
    let base = program
        .rsplit(|byte| *byte == b'/')
        .next()
        .unwrap_or(program);
    let named = wanted.program.as_bytes();
    if program != named && base != named {
        return false;
    }
    match &wanted.arguments {
        None => true,
        Some(arguments) => {
            // The last zero leaves nothing behind it.
            let words: Vec<&[u8]> = words.collect();
            let words = words.strip_suffix(&[&[][..]]).unwrap_or(&words);
            words.len() == arguments.len()
                && words
                    .iter()
                    .zip(arguments)
                    .all(|(word, wanted)| *word == wanted.as_bytes())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_begins_with_its_number() {
        for (text, number) in [
            ("7\n", 7),
            ("  -12 rest", -12),
            ("+3", 3),
            ("", 0),
            ("-", 0),
            ("x7", 0),
            ("99999999999", 0),
        ] {
            assert_eq!(first_number(text), number, "{text:?}");
        }
    }

    #[test]
    fn processes_are_told_by_their_words() {
        let process = |program: &str, arguments: Option<&[&str]>| VrrpProcess {
            name: "p".to_owned(),
            program: program.to_owned(),
            arguments: arguments.map(|all| all.iter().map(|one| (*one).to_owned()).collect()),
            least: 1,
            most: None,
            delay_down: Duration::ZERO,
            delay_up: Duration::ZERO,
            weighting: config::model::vrrp::Weighting::Fault { reverse: false },
        };
        let words = b"/usr/sbin/haproxy\0-f\0x.cfg\0";
        for (wanted, expected) in [
            (process("haproxy", None), true),
            (process("/usr/sbin/haproxy", None), true),
            (process("proxy", None), false),
            (process("haproxy", Some(&["-f", "x.cfg"])), true),
            (process("haproxy", Some(&["-f"])), false),
            (process("haproxy", Some(&[])), false),
        ] {
            assert_eq!(is(&wanted, words), expected, "{wanted:?}");
        }
        assert!(!is(&process("", None), b""));
        assert!(is(&process("x", Some(&[])), b"x\0"));
    }
}
