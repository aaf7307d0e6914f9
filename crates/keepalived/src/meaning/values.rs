//! Values of keywords.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use weir_config::model::{InterfaceName, Script, ScriptUser};

use crate::grammar::Node;
use crate::language::place::{Place, Trouble};
use crate::language::{BadCommand, Surroundings, Word, command};

/// What is wrong with values so far, and the machine that they are about.
pub(crate) struct Troubles<'a> {
    pub(crate) found: Vec<Trouble>,
    pub(crate) surroundings: &'a mut dyn Surroundings,
    /// Scripts without a program: keepalived leaves them out, and so who tracks them.
    pub(super) left_out: Vec<String>,
}

impl Troubles<'_> {
    pub(super) fn error(
        &mut self,
        place: Place,
        message: impl Into<String>,
        expected: impl Into<String>,
    ) {
        self.found.push(Trouble::error(place, message, expected));
    }

    pub(super) fn warning(
        &mut self,
        place: Place,
        message: impl Into<String>,
        expected: impl Into<String>,
    ) {
        self.found.push(Trouble::warning(place, message, expected));
    }

    pub(super) fn note(
        &mut self,
        place: Place,
        message: impl Into<String>,
        expected: impl Into<String>,
    ) {
        self.found.push(Trouble::note(place, message, expected));
    }

    pub(super) fn push(&mut self, trouble: Trouble) {
        self.found.push(trouble);
    }

    /// The word behind a keyword.
    pub(super) fn word<'n>(&mut self, node: &'n Node) -> Option<&'n Word> {
        let word = node.words().first();
        if word.is_none() {
            self.missing(node);
        }
        word
    }

    pub(super) fn missing(&mut self, node: &Node) {
        self.error(
            node.place(),
            format!("`{}` says nothing", node.name()),
            format!("expected `{} {}`", node.name(), node.keyword.usage),
        );
    }

    /// A whole number behind a keyword.
    pub(super) fn number(&mut self, node: &Node, range: RangeInclusive<u32>) -> Option<u32> {
        let word = self.word(node)?;
        self.number_in(word, range)
    }

    pub(super) fn number_in(&mut self, word: &Word, range: RangeInclusive<u32>) -> Option<u32> {
        let digits = word.text.trim_start();
        let digits = digits.strip_prefix('+').unwrap_or(digits);
        let number = whole(digits).filter(|number| range.contains(number));
        if number.is_none() {
            let expected = format!(
                "expected a whole number from {} to {}",
                range.start(),
                range.end()
            );
            self.wrong(word, expected);
        }
        number
    }

    pub(super) fn wrong(&mut self, word: &Word, expected: impl Into<String>) {
        let message = match word.text.is_empty() {
            true => "nothing is not right here".to_owned(),
            false => format!("`{}` is not right here", word.text),
        };
        self.error(word.place, message, expected);
    }

    /// A whole number with a sign, as weights have.
    pub(super) fn signed_in(&mut self, word: &Word, range: RangeInclusive<i32>) -> Option<i32> {
        let text = word.text.trim_start();
        let text = text.strip_prefix('+').unwrap_or(text);
        let number = text.parse().ok().filter(|number| range.contains(number));
        if number.is_none() {
            let expected = format!(
                "expected a whole number from {} to {}",
                range.start(),
                range.end()
            );
            self.wrong(word, expected);
        }
        number
    }

    /// Seconds with up to so many decimal places.
    pub(super) fn seconds(
        &mut self,
        node: &Node,
        places: usize,
        range: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        let word = self.word(node)?;
        let found = decimal(&word.text, places, 1_000_000_000);
        let found = found.filter(|found| range.contains(found));
        if found.is_none() {
            let expected = format!(
                "expected seconds from {} to {}, with up to {places} decimal places",
                range.start().as_secs_f64(),
                range.end().as_secs_f64()
            );
            self.wrong(word, expected);
        }
        found
    }

    /// Milliseconds with up to three decimal places.
    pub(super) fn milliseconds(
        &mut self,
        node: &Node,
        range: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        let word = self.word(node)?;
        let found = decimal(&word.text, 3, 1_000_000).filter(|found| range.contains(found));
        if found.is_none() {
            let expected = format!(
                "expected milliseconds from {} to {}, with up to 3 decimal places",
                range.start().as_millis(),
                range.end().as_millis()
            );
            self.wrong(word, expected);
        }
        found
    }

    /// `on` or `off`, and on when nothing is said.
    pub(super) fn switch(&mut self, node: &Node) -> Option<bool> {
        let Some(word) = node.words().first() else {
            return Some(true);
        };
        match word.text.as_str() {
            "on" | "true" | "yes" => Some(true),
            "off" | "false" | "no" => Some(false),
            _ => {
                self.wrong(word, "expected on, off, true, false, yes or no");
                None
            }
        }
    }

    pub(super) fn address(&mut self, node: &Node) -> Option<IpAddr> {
        let word = self.word(node)?;
        self.address_in(word)
    }

    pub(super) fn address_in(&mut self, word: &Word) -> Option<IpAddr> {
        let address = word.text.parse().ok();
        if address.is_none() {
            self.wrong(word, "expected an address, like 192.0.2.1 or 2001:db8::1");
        }
        address
    }

    pub(super) fn port_in(&mut self, word: &Word) -> Option<u16> {
        self.number_in(word, 1..=65535)
            .and_then(|port| u16::try_from(port).ok())
    }

    pub(super) fn interface(&mut self, node: &Node) -> Option<InterfaceName> {
        let word = self.word(node)?;
        self.interface_in(word)
    }

    pub(super) fn interface_in(&mut self, word: &Word) -> Option<InterfaceName> {
        let interface = InterfaceName::new(&word.text);
        if interface.is_none() {
            let expected = "expected an interface's name: 1 to 15 characters, no space, no `/`";
            self.wrong(word, expected);
        }
        interface
    }

    /// One of some words.
    pub(super) fn one_of<T: Copy>(&mut self, node: &Node, known: &[(&str, T)]) -> Option<T> {
        let word = self.word(node)?;
        let found = known.iter().find(|(name, _)| *name == word.text);
        if found.is_none() {
            let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
            self.wrong(word, format!("expected {}", names.join(", ")));
        }
        found.map(|(_, value)| *value)
    }

    /// A command in quotation marks, or without, and as whom it runs.
    pub(super) fn script(&mut self, node: &Node) -> Option<Script> {
        let mut words = self.words_of_command(node)?.into_iter().skip(1);
        let Some(text) = words.next() else {
            self.missing(node);
            return None;
        };
        let place = node.words().first().map_or(node.place(), |word| word.place);
        let mut command = match command(&text, false) {
            Ok(command) if !command.is_empty() => command,
            Ok(_) => {
                self.error(place, "the command is empty", "expected a program");
                return None;
            }
            Err(bad) => {
                self.bad_command(place, bad);
                return None;
            }
        };
        if !command[0].starts_with('/') {
            let Some(program) = self.surroundings.program(&command[0]) else {
                let message = format!("there is no program `{}`", command[0]);
                self.warning(place, message, "the script is left out, as keepalived does");
                return None;
            };
            command[0] = program;
        }
        let user = words.next().map(|user| ScriptUser {
            user,
            group: words.next().and_then(|group| group_of(&group)),
        });
        Some(Script { command, user })
    }

    fn words_of_command(&mut self, node: &Node) -> Option<Vec<String>> {
        match command(node.line(), true) {
            Ok(words) => Some(words),
            Err(bad) => {
                let place = node.words().first().map_or(node.place(), |word| word.place);
                self.bad_command(place, bad);
                None
            }
        }
    }

    fn bad_command(&mut self, place: Place, bad: BadCommand) {
        let (message, expected) = match bad {
            BadCommand::Unclosed(_) => (
                "a quotation in the command is not closed",
                "expected another `\"` or `'`",
            ),
            BadCommand::EndsInEscape => (
                "the command ends in a backslash",
                "expected the character that it is for",
            ),
        };
        self.error(place, message, expected);
    }

    /// `USER [GROUP]`, from that word on.
    pub(super) fn user(&mut self, node: &Node, from: usize) -> Option<ScriptUser> {
        let mut words = node.words().iter().skip(from);
        let Some(user) = words.next() else {
            if from == 0 {
                self.missing(node);
            }
            return None;
        };
        Some(ScriptUser {
            user: user.text.clone(),
            group: words.next().and_then(|group| group_of(&group.text)),
        })
    }
}

/// Without the `:` that asks for the user's other groups, which a script has anyway.
fn group_of(text: &str) -> Option<String> {
    let group = text.trim_start_matches(':');
    (!group.is_empty()).then(|| group.to_owned())
}

fn whole(digits: &str) -> Option<u32> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

/// A number with decimal places, of a unit that is so many nanoseconds.
fn decimal(text: &str, places: usize, unit: u64) -> Option<Duration> {
    let (before, after) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if after.len() > places || !digits(before) || !digits(after) || text.is_empty() || text == "." {
        return None;
    }
    let whole: u64 = if before.is_empty() {
        0
    } else {
        before.parse().ok()?
    };
    let mut nanoseconds = whole.checked_mul(unit)?;
    let mut of_digit = unit;
    for digit in after.bytes() {
        of_digit /= 10;
        nanoseconds = nanoseconds.checked_add(u64::from(digit - b'0') * of_digit)?;
    }
    Some(Duration::from_nanos(nanoseconds))
}

/// `seconds` of a year and more: as much as anybody means.
pub(super) const LONG: Duration = Duration::from_secs(4_294_967);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_decimal_places() {
        for (text, expected) in [
            ("3", Some(3_000_000_000)),
            ("2.71828", Some(2_718_280_000)),
            ("0.01", Some(10_000_000)),
            (".5", Some(500_000_000)),
            ("1.", Some(1_000_000_000)),
            ("1.0000001", None),
            ("-1", None),
            ("", None),
            (".", None),
            ("1s", None),
            ("99999999999999999999", None),
        ] {
            let found = decimal(text, 6, 1_000_000_000).map(|d| d.as_nanos());
            assert_eq!(found, expected, "{text}");
        }
    }
}
