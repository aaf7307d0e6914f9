//! How many processes of a kind there are: the kernel tells when they begin and end.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use config::model::vrrp::VrrpProcess;
use host::process::{self, Event, Pid, Watch};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};
use weir_config as config;
use weir_host as host;

use super::super::Command;
use super::{Commands, LOOK};

/// The kernel is asked again whether it tells of processes.
const RETRY: Duration = Duration::from_secs(60);

/// Watches them until nobody wants to know any more.
pub(super) async fn watch(wanted: Vec<VrrpProcess>, commands: Commands) {
    let mut count = Count {
        wanted,
        members: HashMap::new(),
        told: BTreeMap::new(),
        commands,
    };
    let mut complained = false;
    loop {
        let error = match Watch::begin().await {
            Ok(watch) => match count.follow(watch).await {
                Some(error) => error,
                None => return,
            },
            Err(error) => error,
        };
        if !complained {
            complained = true;
            tracing::warn!(
                "processes are looked at twice a second: the kernel does not tell of them, which it does in its \
                 first network namespace and with CAP_NET_ADMIN only: {error}"
            );
        }
        if !count.look(RETRY).await {
            return;
        }
    }
}

struct Count {
    wanted: Vec<VrrpProcess>,
    /// Processes that are meant, by whom.
    members: HashMap<Pid, Vec<usize>>,
    /// What was told last.
    told: BTreeMap<String, u32>,
    commands: Commands,
}

impl Count {
    /// Goes by what the kernel tells; nothing when nobody wants to know any more.
    async fn follow(&mut self, mut watch: Watch) -> Option<std::io::Error> {
        // What happened before is known by this, what happens meanwhile by the events that wait.
        self.look_at_all().await;
        loop {
            if !self.tell() {
                return None;
            }
            match watch.next().await {
                Ok(Event::Lost) => self.look_at_all().await,
                Ok(event) => self.take_in(event, process::command_line),
                Err(error) => return Some(error),
            }
        }
    }

    /// Looks at all processes again and again for so long; whether somebody wants to know.
    async fn look(&mut self, time: Duration) -> bool {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.look_at_all().await;
            if !self.tell() {
                return false;
            }
            sleep(LOOK).await;
        }
        true
    }

    async fn look_at_all(&mut self) {
        let wanted = self.wanted.clone();
        let looked = spawn_blocking(move || {
            let all = process::all().into_iter();
            let members = all.map(|one| (one, meant(&wanted, &process::command_line(one))));
            members.filter(|(_, by)| !by.is_empty()).collect()
        });
        self.members = looked.await.unwrap_or_default();
    }

    fn take_in(&mut self, event: Event, command_line: impl Fn(Pid) -> Vec<u8>) {
        match event {
            // A copy has its parent's words until it runs another program.
            Event::Forked { parent, child } => {
                if let Some(by) = self.members.get(&parent).cloned() {
                    self.members.insert(child, by);
                }
            }
            Event::Executed(one) => {
                let by = meant(&self.wanted, &command_line(one));
                match by.is_empty() {
                    true => self.members.remove(&one),
                    false => self.members.insert(one, by),
                };
            }
            Event::Ended(one) => {
                self.members.remove(&one);
            }
            Event::Lost => {}
        }
    }

    fn counts(&self) -> Vec<(String, u32)> {
        let mut counts: Vec<(String, u32)> = self
            .wanted
            .iter()
            .map(|one| (one.name.clone(), 0))
            .collect();
        for at in self.members.values().flatten() {
            if let Some((_, count)) = counts.get_mut(*at) {
                *count += 1;
            }
        }
        counts
    }

    /// Tells what is new; whether somebody wants to know.
    fn tell(&mut self) -> bool {
        for (name, number) in self.counts() {
            if self.told.insert(name.clone(), number) != Some(number)
                && self.commands.send(Command::Process(name, number)).is_err()
            {
                return false;
            }
        }
        true
    }
}

/// By whom a process with these words is meant.
fn meant(wanted: &[VrrpProcess], words: &[u8]) -> Vec<usize> {
    // Gone meanwhile, or a kernel thread, which has no words.
    let by = wanted.iter().enumerate();
    by.filter(|(_, one)| is(one, words))
        .map(|(at, _)| at)
        .collect()
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

    fn wanted(program: &str, arguments: Option<&[&str]>) -> VrrpProcess {
        VrrpProcess {
            name: program.to_owned(),
            program: program.to_owned(),
            arguments: arguments.map(|all| all.iter().map(|one| (*one).to_owned()).collect()),
            least: 1,
            most: None,
            delay_down: Duration::ZERO,
            delay_up: Duration::ZERO,
            weighting: config::model::vrrp::Weighting::Fault { reverse: false },
        }
    }

    #[test]
    fn processes_are_told_by_their_words() {
        let words = b"/usr/sbin/haproxy\0-f\0x.cfg\0";
        for (one, expected) in [
            (wanted("haproxy", None), true),
            (wanted("/usr/sbin/haproxy", None), true),
            (wanted("proxy", None), false),
            (wanted("haproxy", Some(&["-f", "x.cfg"])), true),
            (wanted("haproxy", Some(&["-f"])), false),
            (wanted("haproxy", Some(&[])), false),
        ] {
            assert_eq!(is(&one, words), expected, "{one:?}");
        }
        assert!(!is(&wanted("", None), b""));
        assert!(is(&wanted("x", Some(&[])), b"x\0"));
    }

    #[test]
    fn events_are_counted() {
        let (commands, mut told) = tokio::sync::mpsc::unbounded_channel();
        let mut count = Count {
            wanted: vec![wanted("haproxy", None), wanted("named", None)],
            members: HashMap::new(),
            told: BTreeMap::new(),
            commands,
        };
        let words = |pid: Pid| match pid {
            1 | 2 => b"/usr/sbin/haproxy\0-f\0x.cfg\0".to_vec(),
            3 => b"named\0".to_vec(),
            _ => Vec::new(),
        };
        let forked = |parent, child| Event::Forked { parent, child };
        for (event, expected) in [
            (Event::Executed(1), [1, 0]),
            (forked(1, 4), [2, 0]),
            // It becomes something else.
            (Event::Executed(4), [1, 0]),
            (forked(9, 3), [1, 0]),
            (Event::Executed(3), [1, 1]),
            (Event::Executed(2), [2, 1]),
            (Event::Executed(2), [2, 1]),
            (Event::Ended(1), [1, 1]),
            (Event::Ended(77), [1, 1]),
            (Event::Ended(3), [1, 0]),
        ] {
            count.take_in(event, words);
            let counts: Vec<u32> = count.counts().into_iter().map(|(_, count)| count).collect();
            assert_eq!(counts, expected, "{event:?}");
            assert!(count.tell());
        }
        let mut all = 0;
        while told.try_recv().is_ok() {
            all += 1;
        }
        // Only what was new.
        assert_eq!(all, 8);
    }

    /// By the kernel's events where it tells of them, else by looking.
    #[tokio::test]
    async fn a_process_that_begins_and_ends_is_told() {
        // A name of its own, so that nobody else's counts.
        let directory = tempfile::tempdir().unwrap();
        let program = directory
            .path()
            .join(format!("weir-{}", std::process::id()));
        std::os::unix::fs::symlink("/bin/sleep", &program).unwrap();
        let name = program.to_str().unwrap();
        let (commands, mut told) = tokio::sync::mpsc::unbounded_channel();
        let watching = tokio::spawn(watch(vec![wanted(name, None)], commands));
        let mut expect = async |number| loop {
            let long = Duration::from_secs(60);
            let told = tokio::time::timeout(long, told.recv()).await;
            match told.unwrap() {
                Some(Command::Process(_, said)) if said == number => return,
                Some(Command::Process(..)) => {}
                other => panic!("{other:?}"),
            }
        };
        expect(0).await;
        let mut child = std::process::Command::new(&program)
            .arg("3600")
            .spawn()
            .unwrap();
        expect(1).await;
        child.kill().unwrap();
        child.wait().unwrap();
        expect(0).await;
        watching.abort();
    }
}
