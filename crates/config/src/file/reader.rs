//! Reading TOML with the place of everything at hand.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};

use toml::Spanned;
use toml::de::{DeArray, DeInteger, DeTable, DeValue};

use crate::diagnostic::Problem;

/// Something and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Placed<T> {
    pub(super) value: T,
    pub(super) span: Range<usize>,
}

/// What is wrong so far.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<Problem>);

impl Problems {
    pub(super) fn add(
        &mut self,
        span: Range<usize>,
        message: impl Into<String>,
        expected: impl Into<String>,
    ) {
        self.add_problem(Problem {
            span,
            message: message.into(),
            expected: expected.into(),
            other: None,
        });
    }

    pub(super) fn add_problem(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    /// As they stand in the file, each once.
    pub(super) fn in_order(mut self) -> Vec<Problem> {
        self.0.sort_by_key(|problem| problem.span.start);
        self.0
            .dedup_by(|a, b| a.span == b.span && a.message == b.message);
        self.0
    }
}

/// The keys that a section can have.
pub(super) struct Keys {
    pub(super) known: &'static [&'static str],
    /// Those whose feature is not there yet.
    pub(super) later: &'static [&'static str],
}

/// A TOML table whose keys are all known.
#[derive(Debug)]
pub(super) struct Section<'a> {
    pub(super) span: Range<usize>,
    entries: BTreeMap<&'a str, &'a Spanned<DeValue<'a>>>,
    /// Keys that were probably meant by some that are unknown.
    misspelt: Vec<&'static str>,
}

impl<'a> Section<'a> {
    /// The section in a value that has to be a table.
    pub(super) fn of_value(
        value: &'a Spanned<DeValue<'a>>,
        name: &str,
        keys: &Keys,
        problems: &mut Problems,
    ) -> Option<Self> {
        if let DeValue::Table(table) = value.get_ref() {
            return Some(Self::of_table(table, value.span(), name, keys, problems));
        }
        let is = kind(value.get_ref());
        problems.add(value.span(), format!("{name} is {is}"), "expected a table");
        None
    }

    pub(super) fn of_table(
        table: &'a DeTable<'a>,
        span: Range<usize>,
        name: &str,
        keys: &Keys,
        problems: &mut Problems,
    ) -> Self {
        let mut entries = BTreeMap::new();
        let mut misspelt = Vec::new();
        for (key, value) in table {
            let text: &str = key.get_ref();
            if keys.known.contains(&text) {
                entries.insert(text, value);
            } else if keys.later.contains(&text) {
                problems.add(
                    key.span(),
                    format!("`{text}` in {name} is known but still to come"),
                    "this version of Weir cannot do it; leave it out",
                );
            } else {
                misspelt.extend(nearest(text, keys.known));
                problems.add(
                    key.span(),
                    format!("{name} has no key `{text}`"),
                    suggestion(text, keys.known),
                );
            }
        }
        Self {
            span,
            entries,
            misspelt,
        }
    }

    /// The value of a key, if it is there.
    pub(super) fn get(&self, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.entries.get(key).copied()
    }

    /// Whether a key is neither there nor probably meant by another.
    pub(super) fn lacks(&self, key: &str) -> bool {
        !self.entries.contains_key(key) && !self.misspelt.contains(&key)
    }

    /// A text, if it is there.
    pub(super) fn text(&self, key: &str, problems: &mut Problems) -> Option<Placed<&'a str>> {
        let value = self.get(key)?;
        text(value, &format!("`{key}`"), "expected a string", problems)
    }

    /// A number in a range, if it is there.
    pub(super) fn number(
        &self,
        key: &str,
        range: RangeInclusive<u32>,
        problems: &mut Problems,
    ) -> Option<u32> {
        let value = self.get(key)?;
        let expected = format!(
            "expected a whole number from {} to {}",
            range.start(),
            range.end()
        );
        let DeValue::Integer(integer) = value.get_ref() else {
            let is = kind(value.get_ref());
            problems.add(value.span(), format!("`{key}` is {is}"), expected);
            return None;
        };
        let number = read_integer(integer).filter(|number| range.contains(number));
        if number.is_none() {
            problems.add(
                value.span(),
                format!("`{key}` is out of its range"),
                expected,
            );
        }
        number
    }

    /// A number with or without a sign, if it is there.
    pub(super) fn signed(&self, key: &str, problems: &mut Problems) -> Option<i32> {
        let value = self.get(key)?;
        let number = match value.get_ref() {
            DeValue::Integer(integer) => {
                i32::from_str_radix(integer.as_str(), integer.radix()).ok()
            }
            DeValue::String(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => None,
        };
        if number.is_none() {
            let expected = format!("expected a whole number from {} to {}", i32::MIN, i32::MAX);
            problems.add(value.span(), format!("`{key}` is no such number"), expected);
        }
        number
    }

    /// A truth value, if it is there.
    pub(super) fn truth(&self, key: &str, problems: &mut Problems) -> Option<bool> {
        let value = self.get(key)?;
        if let DeValue::Boolean(truth) = value.get_ref() {
            return Some(*truth);
        }
        let is = kind(value.get_ref());
        problems.add(
            value.span(),
            format!("`{key}` is {is}"),
            "expected true or false",
        );
        None
    }

    /// One of some names, if it is there.
    pub(super) fn name<T>(
        &self,
        key: &str,
        what: &str,
        read: impl Fn(&str) -> Option<T>,
        known: &[&'static str],
        problems: &mut Problems,
    ) -> Option<T> {
        let name = self.text(key, problems)?;
        let value = read(name.value);
        if value.is_none() {
            problems.add(
                name.span,
                format!("there is no {what} `{}`", name.value),
                suggestion(name.value, known),
            );
        }
        value
    }

    /// A list, if it is there.
    pub(super) fn list(
        &self,
        key: &str,
        expected: &str,
        problems: &mut Problems,
    ) -> Option<&'a DeArray<'a>> {
        let value = self.get(key)?;
        if let DeValue::Array(array) = value.get_ref() {
            return Some(array);
        }
        let is = kind(value.get_ref());
        problems.add(value.span(), format!("`{key}` is {is}"), expected);
        None
    }
}

/// What is in a value that has to be a table, where its keys are known.
pub(super) fn entries<'a>(
    value: &'a Spanned<DeValue<'a>>,
    name: &str,
    known: &[&'static str],
    problems: &mut Problems,
) -> Option<Vec<(&'a str, &'a Spanned<DeValue<'a>>)>> {
    let DeValue::Table(table) = value.get_ref() else {
        let is = kind(value.get_ref());
        problems.add(value.span(), format!("{name} is {is}"), "expected a table");
        return None;
    };
    let mut entries = Vec::new();
    for (key, value) in table {
        let text: &str = key.get_ref();
        if known.contains(&text) {
            entries.push((text, value));
        } else {
            let expected = nearest(text, known).map_or_else(
                || "expected the name of one of IPVS's sysctls".to_owned(),
                |nearest| format!("did you mean `{nearest}`?"),
            );
            problems.add(key.span(), format!("{name} has no key `{text}`"), expected);
        }
    }
    Some(entries)
}

/// A value that has to be a text.
pub(super) fn text<'a>(
    value: &'a Spanned<DeValue<'a>>,
    name: &str,
    expected: &str,
    problems: &mut Problems,
) -> Option<Placed<&'a str>> {
    if let DeValue::String(text) = value.get_ref() {
        return Some(Placed {
            value: text.as_ref(),
            span: value.span(),
        });
    }
    let is = kind(value.get_ref());
    problems.add(value.span(), format!("{name} is {is}"), expected);
    None
}

/// What was probably meant, or all that is possible.
pub(super) fn suggestion(word: &str, candidates: &[&'static str]) -> String {
    match nearest(word, candidates) {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => format!("expected {}", one_of(candidates)),
    }
}

/// What was probably meant of names that the file itself has, or all of them.
pub(super) fn suggestion_of(word: &str, names: &[String]) -> String {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    match (nearest(word, &names), names.is_empty()) {
        (Some(nearest), _) => format!("did you mean `{nearest}`?"),
        (None, false) => format!("expected {}", one_of(&names)),
        (None, true) => "there is none at all".to_owned(),
    }
}

/// The candidate that differs by a slip or two.
fn nearest<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let slips = (word.chars().count() / 3).max(1);
    let alike = |candidate: &str| strsim::jaro_winkler(word, candidate);
    let near = candidates.iter().copied();
    near.filter(|candidate| strsim::osa_distance(word, candidate) <= slips)
        .max_by(|a, b| alike(a).total_cmp(&alike(b)))
}

/// `` `a`, `b` or `c` ``.
fn one_of(words: &[&str]) -> String {
    let quoted: Vec<Cow<'_, str>> = words
        .iter()
        .map(|word| format!("`{word}`").into())
        .collect();
    match quoted.split_last() {
        Some((last, [])) => last.to_string(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => "nothing".to_owned(),
    }
}

fn read_integer(integer: &DeInteger<'_>) -> Option<u32> {
    u32::from_str_radix(integer.as_str(), integer.radix()).ok()
}

pub(super) fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "a truth value",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
