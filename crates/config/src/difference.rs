//! What differs between two configurations in health, VRRP and notifications, in the words of
//! `weir.toml`: things that have a name, and what is said of each.

use std::collections::BTreeMap;
use std::fmt;

use toml::{Table, Value};

use crate::file::Config;
use crate::save;

/// What is not shown: VRRP's passwords and keys, and what a check is let in by.
const SECRETS: [&str; 5] = [
    "authentication.password",
    "authentication.header",
    ".secret",
    ".secret_hex",
    "headers",
];
const HIDDEN: &str = "(hidden)";
const HIDDEN_ANOTHER: &str = "(hidden, another)";

/// What is said of a thing, in order of the keys.
pub type Fields = BTreeMap<String, String>;

/// A thing of which something else is said. Shown, it is a line of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What it is, by name.
    pub subject: String,
    /// What was said of it; nothing where it is new.
    pub before: Option<Fields>,
    /// What is said of it; nothing where it is gone.
    pub after: Option<Fields>,
}

/// What differs in health, VRRP and notifications.
pub fn upkeep(before: &Config, after: &Config) -> Vec<Difference> {
    let (old, new) = (things(before), things(after));
    let gone = old
        .iter()
        .filter(|(subject, _)| !new.contains_key(*subject));
    let gone = gone.map(|(subject, fields)| Difference {
        subject: subject.clone(),
        before: Some(fields.clone()),
        after: None,
    });
    let mut differences: Vec<Difference> = new
        .iter()
        .filter(|(subject, fields)| old.get(*subject) != Some(*fields))
        .map(|(subject, fields)| Difference {
            subject: subject.clone(),
            before: old.get(subject).cloned(),
            after: Some(fields.clone()),
        })
        .collect();
    differences.extend(gone);
    differences.iter_mut().for_each(Difference::conceal);
    differences
}

/// All of it, by name.
fn things(config: &Config) -> BTreeMap<String, Fields> {
    let mut things = BTreeMap::new();
    for health in &config.health {
        for (server, text) in save::health_of(health) {
            let subject = match server {
                Some(server) => format!("health of {} server {server}", health.key),
                None => format!("health of {}", health.key),
            };
            let table: Table = text.parse().unwrap_or_default();
            add(&mut things, subject, &table);
        }
    }
    let rest = Config {
        vrrp: config.vrrp.clone(),
        notifications: config.notifications.clone(),
        ..Config::default()
    };
    let rest: Table = save::save(&rest).parse().unwrap_or_default();
    for (key, value) in rest {
        named(&mut things, &key, &value);
    }
    things
}

/// A section, or each of a list of them.
fn named(things: &mut BTreeMap<String, Fields>, key: &str, value: &Value) {
    match value {
        Value::Table(table) => add(things, key.to_owned(), table),
        Value::Array(list) => {
            for (number, one) in (1..).zip(list) {
                let Value::Table(table) = one else { continue };
                let name = table.get("name").and_then(Value::as_str);
                let name = name.map_or_else(|| number.to_string(), str::to_owned);
                add(things, format!("{key} {name}"), table);
            }
        }
        Value::String(_)
        | Value::Integer(_)
        | Value::Float(_)
        | Value::Boolean(_)
        | Value::Datetime(_) => {}
    }
}

/// A thing with what is said of it. A list of sections in it has things of its own.
fn add(things: &mut BTreeMap<String, Fields>, subject: String, table: &Table) {
    let mut fields = Fields::new();
    let mut within = Vec::new();
    flatten(&mut fields, &mut within, "", table);
    let has_own = within.is_empty() || !fields.is_empty();
    for (key, list) in within {
        named(things, &format!("{subject} {key}"), list);
    }
    if has_own {
        fields.remove("name");
        things.insert(subject, fields);
    }
}

fn flatten<'a>(
    fields: &mut Fields,
    within: &mut Vec<(String, &'a Value)>,
    prefix: &str,
    table: &'a Table,
) {
    for (key, value) in table {
        let key = format!("{prefix}{key}");
        match value {
            Value::Table(table) => flatten(fields, within, &format!("{key}."), table),
            Value::Array(list) if is_sections(list) => within.push((key, value)),
            Value::Array(list) if list.iter().all(Value::is_table) => {
                let tables = list.iter().filter_map(Value::as_table);
                for (number, table) in (1..).zip(tables) {
                    flatten(fields, within, &format!("{key}.{number}."), table);
                }
            }
            Value::String(text) => {
                fields.insert(key, text.clone());
            }
            Value::Array(_)
            | Value::Integer(_)
            | Value::Float(_)
            | Value::Boolean(_)
            | Value::Datetime(_) => {
                fields.insert(key, value.to_string());
            }
        }
    }
}

/// Whether each of a list has a name of its own.
fn is_sections(list: &[Value]) -> bool {
    let named = |one: &Value| {
        one.as_table()
            .is_some_and(|table| table.contains_key("name"))
    };
    !list.is_empty() && list.iter().all(named)
}

impl Difference {
    /// Logs and history are read by more people than keys are for.
    fn conceal(&mut self) {
        let (before, after) = (self.before.clone(), self.after.as_mut());
        if let Some(after) = after {
            for (key, value) in after.iter_mut().filter(|(key, _)| is_secret(key)) {
                let before = before.as_ref().and_then(|before| before.get(key));
                let same = before.is_none_or(|before| before == value);
                *value = if same { HIDDEN } else { HIDDEN_ANOTHER }.to_owned();
            }
        }
        for (_, value) in self
            .before
            .iter_mut()
            .flatten()
            .filter(|(key, _)| is_secret(key))
        {
            *value = HIDDEN.to_owned();
        }
    }
}

fn is_secret(key: &str) -> bool {
    SECRETS.iter().any(|secret| key.ends_with(secret))
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let subject = &self.subject;
        let words = |f: &mut fmt::Formatter<'_>, fields: &Fields| {
            let mut fields = fields.iter();
            fields.try_for_each(|(name, value)| write!(f, " {name} {value}"))
        };
        match (&self.before, &self.after) {
            (None, None) => Ok(()),
            (None, Some(after)) => {
                write!(f, "+ {subject}")?;
                words(f, after)
            }
            (Some(before), None) => {
                write!(f, "- {subject}")?;
                words(f, before)
            }
            (Some(before), Some(after)) => {
                write!(f, "~ {subject}")?;
                let gone = before.keys().filter(|name| !after.contains_key(*name));
                for name in after.keys().chain(gone) {
                    let of = |fields: &Fields| fields.get(name).cloned();
                    let (old, new) = (of(before), of(after));
                    if old != new {
                        let unset = || "unset".to_owned();
                        let (old, new) = (old.unwrap_or_else(unset), new.unwrap_or_else(unset));
                        write!(f, " {name} {old} -> {new}")?;
                    }
                }
                Ok(())
            }
        }
    }
}
