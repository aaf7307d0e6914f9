//! What was changed, when and by whom: numbered revisions, each of which can be undone.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use crate::wanted::{Alteration, Wanted};

/// Changes that one process makes with less than this in between are one revision: an
/// `ipvsadm -R`, a script that holds its connection.
const TOGETHER: Duration = Duration::from_secs(1);

/// One revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// Its number, from 1.
    pub number: u64,
    /// When its first change was made, since 1970.
    pub at: Duration,
    /// When its last change was made.
    pub until: Duration,
    /// Who made it.
    pub author: Author,
    /// From what: a file's name, what was asked for.
    pub cause: String,
    /// What was changed, in order.
    pub alterations: Vec<Alteration>,
}

/// Who changed something, and by what way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Author {
    /// By what way.
    pub through: Through,
    /// The user, where a process asked.
    pub user: Option<u32>,
    /// The process.
    pub process: Option<i32>,
    /// What it ran at that time.
    pub program: Option<String>,
}

/// By what way a change came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Through {
    /// The daemon started.
    Start,
    /// A file was read again.
    File,
    /// The management API.
    Api,
    /// ipvsadm.
    Ipvsadm,
    /// A health check.
    Health,
    /// VRRP.
    Vrrp,
    /// The daemon by itself.
    Daemon,
}

/// The revisions that are remembered.
#[derive(Clone, Debug)]
pub struct History {
    revisions: VecDeque<Revision>,
    next: u64,
    most: usize,
}

/// Why there is no going back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoWayBack {
    /// There is no revision at all.
    #[error("nothing has been changed that is remembered")]
    Nothing,
    /// There is no such revision, or it is no longer remembered.
    #[error("there is no revision {number}: those from {oldest} to {newest} are remembered")]
    Unknown {
        /// What was asked for.
        number: u64,
        /// The oldest there is.
        oldest: u64,
        /// The newest.
        newest: u64,
    },
}

impl Through {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Start,
        Self::File,
        Self::Api,
        Self::Ipvsadm,
        Self::Health,
        Self::Vrrp,
        Self::Daemon,
    ];

    /// The name in logs and the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::File => "file",
            Self::Api => "api",
            Self::Ipvsadm => "ipvsadm",
            Self::Health => "health",
            Self::Vrrp => "vrrp",
            Self::Daemon => "daemon",
        }
    }

    /// The way of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }
}

impl Author {
    /// The daemon itself.
    pub const fn itself(through: Through) -> Self {
        Self {
            through,
            user: None,
            process: None,
            program: None,
        }
    }
}

impl fmt::Display for Author {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.through.name())?;
        if let Some(user) = self.user {
            write!(f, ", user {user}")?;
        }
        if let Some(program) = &self.program {
            write!(f, ", {program}")?;
        }
        match self.process {
            Some(process) => write!(f, " (process {process})"),
            None => Ok(()),
        }
    }
}

impl History {
    /// A history that remembers that many.
    pub const fn new(most: usize) -> Self {
        Self {
            revisions: VecDeque::new(),
            next: 1,
            most,
        }
    }

    /// One that goes on from what was kept, oldest first. What does not follow on what comes after it
    /// is forgotten: there is no way back over a gap.
    pub fn restore(most: usize, mut kept: Vec<Revision>) -> Self {
        kept.sort_by_key(|revision| revision.number);
        let mut history = Self::new(most);
        for revision in kept {
            if revision.number != history.next {
                history.revisions.clear();
            }
            history.next = revision.number + 1;
            history.revisions.push_back(revision);
            history.forget();
        }
        history
    }

    /// Numbers begin here, if none is kept that is higher.
    pub fn number_from(&mut self, next: u64) {
        if next > self.next {
            // Some are missing in between.
            self.revisions.clear();
            self.next = next;
        }
    }

    /// The number that the next one gets.
    pub const fn next_number(&self) -> u64 {
        self.next
    }

    /// Remembers changes, and says under which number. Nothing when nothing has changed.
    pub fn remember(
        &mut self,
        at: Duration,
        author: &Author,
        cause: &str,
        alterations: Vec<Alteration>,
    ) -> Option<u64> {
        if alterations.is_empty() {
            return None;
        }
        if let Some(last) = self.revisions.back_mut()
            && last.goes_on(at, author, cause)
        {
            last.until = at;
            last.alterations.extend(alterations);
            return Some(last.number);
        }
        let number = self.next;
        self.next += 1;
        self.revisions.push_back(Revision {
            number,
            at,
            until: at,
            author: author.clone(),
            cause: cause.to_owned(),
            alterations,
        });
        self.forget();
        Some(number)
    }

    /// The revisions, oldest first.
    pub fn revisions(&self) -> impl DoubleEndedIterator<Item = &Revision> {
        self.revisions.iter()
    }

    /// One of them.
    pub fn revision(&self, number: u64) -> Option<&Revision> {
        let first = self.revisions.front()?.number;
        let index = usize::try_from(number.checked_sub(first)?).ok()?;
        self.revisions.get(index)
    }

    /// What was wanted before a revision; before the last one when none is named. What the files said
    /// stays what they said: a rollback is a change by hand.
    pub fn before(&self, wanted: &Wanted, number: Option<u64>) -> Result<(u64, Wanted), NoWayBack> {
        let ends = self.revisions.front().zip(self.revisions.back());
        let (oldest, newest) = ends.ok_or(NoWayBack::Nothing)?;
        let (oldest, newest) = (oldest.number, newest.number);
        let number = number.unwrap_or(newest);
        if number < oldest || number > newest {
            return Err(NoWayBack::Unknown {
                number,
                oldest,
                newest,
            });
        }
        let mut before = wanted.clone();
        let undone = self.revisions.iter().rev();
        for revision in undone.take_while(|revision| revision.number >= number) {
            for alteration in revision.alterations.iter().rev() {
                before.make([&alteration.inverse()]);
            }
        }
        Ok((number, before))
    }

    fn forget(&mut self) {
        while self.revisions.len() > self.most {
            self.revisions.pop_front();
        }
    }
}

impl Revision {
    /// Whether a change belongs to it.
    fn goes_on(&self, at: Duration, author: &Author, cause: &str) -> bool {
        let by_hand = match author.through {
            Through::Api | Through::Ipvsadm => author.process.is_some(),
            Through::Start | Through::File | Through::Health | Through::Vrrp | Through::Daemon => {
                false
            }
        };
        let same = self.author == *author && self.cause == cause;
        by_hand && same && at.saturating_sub(self.until) < TOGETHER
    }
}
