//! What of the two is compared, and what is not.

use super::Found;
use std::collections::{BTreeMap, BTreeSet};

/// One check and one quorum for the whole group in keepalived, one for each of its services in Weir.
const OF_THE_GROUP: [&str; 5] = [
    "[SEVERAL]:0",
    "[192.0.2.20]:",
    "[192.0.2.21]:",
    "[192.0.2.22]:",
    "FWM 9 ",
];

/// keepalived 2.2.7 forgets what its scripts said of weights when it reads its file again: 0 until their codes change.
const FORGOTTEN: [&str; 2] = ["192.0.2.6", "192.0.2.7"];
const AFTER_READING_AGAIN: [&str; 3] = [
    "another configuration",
    "the second refuses again",
    "the second is well again",
];

/// keepalived writes no mail when a FILE_CHECK turns.
const WITHOUT_MAIL: &str = "of virtual server [192.0.2.34]:";

/// keepalived ends before its last mails are on their way.
const END: &str = "the end";

/// What differs after a step, line by line: `-` is keepalived's, `+` is Weir's.
pub fn differences(keepalived: &Found, weir: &Found) -> Vec<String> {
    let [one, other] = [keepalived, weir].map(Compared::of);
    let mut lines = Vec::new();
    for (one, other) in [
        (&one.listing, &other.listing),
        (&one.told, &other.told),
        (&one.subjects(), &other.subjects()),
    ] {
        lines.extend(one.difference(other).map(|line| format!("- {line}")));
        lines.extend(other.difference(one).map(|line| format!("+ {line}")));
    }
    // keepalived writes a mail for each check that turns, Weir one for the real server.
    for (subject, bodies) in &other.mails {
        let known = one.mails.get(subject);
        for body in bodies {
            // Weir tells its reason behind.
            let (body, _) = body.split_once(" | ").unwrap_or((body, ""));
            if known.is_some_and(|known| !known.contains(body)) {
                lines.push(format!("- mail: {subject} | {known:?}"));
                lines.push(format!("+ mail: {subject} | {body}"));
            }
        }
    }
    lines
}

struct Compared {
    listing: BTreeSet<String>,
    told: BTreeSet<String>,
    mails: BTreeMap<String, BTreeSet<String>>,
}

impl Compared {
    fn of(found: &Found) -> Compared {
        let read_again = AFTER_READING_AGAIN.contains(&found.step.as_str());
        let mut told = BTreeSet::new();
        let mut mails: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (line, times) in &found.told {
            let forgotten = FORGOTTEN.map(|address| format!("[{address}]:"));
            if OF_THE_GROUP.iter().any(|name| line.contains(name))
                || read_again && forgotten.iter().any(|name| line.contains(name))
                || found.step == END && line.starts_with("mail")
                || line.starts_with("mail") && line.contains(WITHOUT_MAIL)
            {
                continue;
            }
            if let Some(mail) = line.strip_prefix("mail: ") {
                let (subject, body) = mail.split_once(" | ").unwrap_or((mail, ""));
                if turned(found, subject) {
                    mails
                        .entry(subject.to_owned())
                        .or_default()
                        .insert(body.to_owned());
                }
            } else if line.starts_with("mail like: ") {
                told.insert(line.clone());
            } else {
                told.insert(format!("{times}x {line}"));
            }
        }
        if mails.is_empty() {
            told.retain(|line| !line.starts_with("mail like: "));
        }
        let mut listing = with_their_service(&found.listing);
        let forgotten = FORGOTTEN.map(|address| format!(" {address}:"));
        listing.retain(|line| !read_again || !forgotten.iter().any(|name| line.contains(name)));
        Compared {
            listing,
            told,
            mails,
        }
    }

    fn subjects(&self) -> BTreeSet<String> {
        self.mails
            .keys()
            .map(|subject| format!("mail: {subject}"))
            .collect()
    }
}

/// Whether the pipe tells the same as a mail. keepalived also writes when a check turns and its real server does not: a
/// MISC_CHECK at its first success, one of several checks.
fn turned(found: &Found, subject: &str) -> bool {
    let Some((_, rest)) = subject.split_once("] Realserver ") else {
        return true;
    };
    let line = rest.replace(" of virtual server ", " ").replace(" - ", " ");
    found.told.contains_key(&format!("pipe of all: RS {line}"))
}

/// The lines of a listing, those of real servers with that of their service before them.
fn with_their_service(listing: &str) -> BTreeSet<String> {
    let mut service = "";
    let lines = listing.lines().map(|line| {
        let line = line.trim_end();
        if line.starts_with("  ->") {
            format!("{service} {line}")
        } else {
            service = line;
            line.to_owned()
        }
    });
    lines.collect()
}
