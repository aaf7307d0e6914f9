//! What was found after a step.

use std::collections::BTreeMap;
use std::fmt;

/// The listing after a step, and who was told of what meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The name of the step.
    pub step: String,
    /// What `ipvsadm -Ln` says; nothing once the keeper has ended.
    pub listing: String,
    /// Who was told of what, and how often: in an order of its own, since nothing orders what is told of different
    /// services.
    pub told: BTreeMap<String, usize>,
}

impl Found {
    pub(super) fn nothing(step: &str) -> Found {
        Found {
            step: step.to_owned(),
            listing: String::new(),
            told: BTreeMap::new(),
        }
    }

    pub(super) fn hear(&mut self, told: Vec<String>) {
        for one in told {
            *self.told.entry(one).or_default() += 1;
        }
    }

    /// Reads what was written by `Display`, one after the other.
    pub fn read(text: &str) -> Vec<Found> {
        let mut all: Vec<Found> = Vec::new();
        for line in text.lines() {
            if let Some(step) = line.strip_prefix("== ") {
                all.push(Found::nothing(step));
            } else if let Some(last) = all.last_mut() {
                match line.split_once("x ") {
                    Some((times, told)) if times.parse::<usize>().is_ok() => {
                        let times = times.parse().unwrap_or(0);
                        last.told.insert(told.to_owned(), times);
                    }
                    Some(_) | None => {
                        last.listing += line;
                        last.listing.push('\n');
                    }
                }
            }
        }
        all
    }
}

/// Where the listing comes first, and each line of what was told says how often.
impl fmt::Display for Found {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "== {}", self.step)?;
        for line in self.listing.lines() {
            // As text without blanks at the ends of lines.
            writeln!(formatter, "{}", line.trim_end())?;
        }
        for (told, times) in &self.told {
            writeln!(formatter, "{times}x {told}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let mut found = Found::nothing("a step");
        found.listing = "TCP  192.0.2.1:80 rr\n  -> 10.0.0.1:80  Masq 1\n".to_owned();
        found.hear(vec![
            "mail: a".to_owned(),
            "pipe: b".to_owned(),
            "mail: a".to_owned(),
        ]);
        let other = Found::nothing("another");
        let text = format!("{found}{other}");
        assert_eq!(Found::read(&text), [found, other]);
    }
}
