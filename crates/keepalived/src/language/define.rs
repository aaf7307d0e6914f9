//! Definitions: `$NAME=value`, and what keepalived has defined.

use std::collections::HashMap;

use super::place::{Origins, Place, Trouble};
use super::text::Text;
use super::{Limits, Surroundings};

/// What a name stands for: lines, mostly one.
#[derive(Clone, Debug)]
pub(super) struct Definition {
    pub(super) lines: Vec<Text>,
    /// Whether it is of several lines: such a one stands at the end of a line only.
    pub(super) several: bool,
}

/// The definitions so far.
#[derive(Debug, Default)]
pub(super) struct Definitions(HashMap<String, Definition>);

/// What a line is after its names were replaced.
#[derive(Debug, Default)]
pub(super) struct Replaced {
    /// Whether anything was.
    pub(super) any: bool,
    /// The lines that follow it: of a definition of several lines, all but the first.
    pub(super) rest: Vec<Text>,
}

/// The begin of a definition: its name and where the value begins.
pub(super) fn begin(line: &str) -> Option<(&str, usize)> {
    let body = line.strip_prefix('$')?;
    let name = &body[..name_length(body)?];
    body[name.len()..].strip_prefix('=')?;
    let value = 1 + name.len() + 1;
    let blanks = line[value..].len() - line[value..].trim_start_matches([' ', '\t']).len();
    Some((name, value + blanks))
}

fn name_length(text: &str) -> Option<usize> {
    if !text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        return None;
    }
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    Some(end.unwrap_or(text.len()))
}

impl Definitions {
    pub(super) fn set(&mut self, name: &str, definition: Definition) {
        self.0.insert(name.to_owned(), definition);
    }

    pub(super) fn set_text(&mut self, name: &str, text: Text) {
        let definition = Definition {
            lines: vec![text],
            several: false,
        };
        self.set(name, definition);
    }

    /// Puts what names stand for in their places, and in the places of names in that.
    pub(super) fn replace(
        &self,
        line: &mut Text,
        origins: &mut Origins,
        around: &mut Context<'_>,
        troubles: &mut Vec<Trouble>,
    ) -> Replaced {
        let mut replaced = Replaced::default();
        let mut at = 0;
        let mut count = 0;
        while let Some(found) = line.as_str()[at..].find('$') {
            let here = at + found;
            let Some(reference) = Reference::of(&line.as_str()[here..]) else {
                at = here + 1;
                continue;
            };
            let range = here..here + reference.length;
            let place = line.place(origins, range.clone());
            let value = match self.value(&reference, place, around, troubles) {
                Some(value) => value,
                None => {
                    at = here + 1;
                    continue;
                }
            };
            count += 1;
            if count > around.limits.replacements
                || line.len() + value.lines[0].len() > around.limits.line
            {
                troubles.push(Trouble::error(
                    place,
                    format!("`{}` becomes longer and longer", reference.name),
                    "a definition that comes to an end: this one holds itself, or too much",
                ));
                line.truncate(here);
                replaced.rest.clear();
                return replaced;
            }
            let via = origins.substitute(place);
            let mut lines = value.lines.iter().map(|text| text.by_way_of(via));
            let first = lines.next().unwrap_or_default();
            let sequence = first.as_str().trim_start_matches([' ', '\t']);
            let begins_sequence = sequence.starts_with('~');
            line.replace(range, &first);
            if value.several {
                let mut rest: Vec<Text> = lines.collect();
                rest.append(&mut replaced.rest);
                replaced.rest = rest;
            }
            replaced.any = true;
            at = here;
            if begins_sequence {
                // What it repeats is replaced each time anew.
                break;
            }
        }
        replaced
    }

    fn value(
        &self,
        reference: &Reference,
        place: Place,
        around: &mut Context<'_>,
        troubles: &mut Vec<Trouble>,
    ) -> Option<Definition> {
        let made = |text: String| Definition {
            lines: vec![Text::made(text, place)],
            several: false,
        };
        if let Some(definition) = self.0.get(&reference.name) {
            let usable =
                (!definition.several || reference.ends_line) && reference.parameters.is_empty();
            return usable.then(|| definition.clone());
        }
        match (reference.name.as_str(), reference.parameters.as_slice()) {
            ("_PWD", []) => Some(made(around.directory.clone())),
            ("_INSTANCE", []) => Some(made(around.config_id.to_owned())),
            ("_HASH", []) => Some(made("#".to_owned())),
            ("_BANG", []) => Some(made("!".to_owned())),
            ("_ENV", [name]) => {
                let value = around.surroundings.environment(name);
                if value.is_none() {
                    troubles.push(Trouble::note(
                        place,
                        format!("the environment has no `{name}`"),
                        "nothing is put here",
                    ));
                }
                Some(made(value.unwrap_or_default()))
            }
            ("_RANDOM", bounds) if bounds.len() <= 2 => {
                let bounds: Vec<u64> = bounds.iter().filter_map(|b| b.parse().ok()).collect();
                if bounds.len() != reference.parameters.len() {
                    troubles.push(Trouble::error(
                        place,
                        "`_RANDOM` takes numbers",
                        "expected ${_RANDOM}, ${_RANDOM LEAST} or ${_RANDOM LEAST MOST}",
                    ));
                    return None;
                }
                let least = bounds.first().copied().unwrap_or(0);
                let most = bounds.get(1).copied().unwrap_or(32767).max(least);
                let number = around.surroundings.random(least, most);
                Some(made(number.clamp(least, most).to_string()))
            }
            ("_ENV" | "_RANDOM" | "_PWD" | "_INSTANCE" | "_HASH" | "_BANG", _) => {
                troubles.push(Trouble::error(
                    place,
                    format!("`{}` has the wrong number of parameters", reference.name),
                    "expected one for _ENV, up to two for _RANDOM, none for the others",
                ));
                None
            }
            _ => None,
        }
    }
}

/// What there is around a line.
pub(super) struct Context<'a> {
    pub(super) surroundings: &'a mut dyn Surroundings,
    pub(super) config_id: &'a str,
    pub(super) directory: String,
    pub(super) limits: &'a Limits,
}

/// `$NAME` before a blank, a comma, a parenthesis or the end; `${NAME}` or `${NAME PARAMETER ...}`.
struct Reference {
    name: String,
    parameters: Vec<String>,
    length: usize,
    ends_line: bool,
}

impl Reference {
    fn of(text: &str) -> Option<Self> {
        let body = &text[1..];
        let (inner, braces) = match body.strip_prefix('{') {
            Some(inner) => (inner, true),
            None => (body, false),
        };
        let name = &inner[..name_length(inner)?];
        let after = &inner[name.len()..];
        let (parameters, length) = if braces {
            let close = after.find('}')?;
            let parameters = &after[..close];
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, ' ' | '\t' | '_');
            if !parameters.chars().all(plain) || parameters.ends_with([' ', '\t']) {
                return None;
            }
            (parameters, 2 + name.len() + close + 1)
        } else {
            let stops = |c: char| matches!(c, ' ' | '\t' | ',' | ')');
            if !after.is_empty() && !after.starts_with(stops) {
                return None;
            }
            ("", 1 + name.len())
        };
        Some(Self {
            name: name.to_owned(),
            parameters: parameters.split_whitespace().map(str::to_owned).collect(),
            length,
            ends_line: length == text.len(),
        })
    }
}
