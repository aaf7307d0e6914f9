//! Programs that are run, and as whom.

use toml::Spanned;
use toml::de::DeValue;

use super::reader::{Keys, Problems, Section, kind, text};
use crate::model::{Script, ScriptUser};

const SCRIPT: Keys = Keys {
    known: &["command", "user", "group"],
    later: &[],
};
const EXPECTED: &str = r#"expected a program with its arguments, like "/usr/lib/weir/check fast", or ["/usr/lib/weir/check", "fast"], or { command = [...], user = "nobody" }"#;

impl Section<'_> {
    /// A script, if it is there.
    pub(super) fn script(&self, key: &str, problems: &mut Problems) -> Option<Script> {
        script(self.get(key)?, key, problems)
    }

    /// A user with a group, if it is there.
    pub(super) fn user(&self, problems: &mut Problems) -> Option<ScriptUser> {
        let user = self.text("user", problems);
        let group = self.text("group", problems);
        if let Some(group) = &group
            && self.lacks("user")
        {
            problems.add(
                group.span.clone(),
                "there is a group and no user",
                "add `user = \"nobody\"`, or leave it out",
            );
        }
        Some(ScriptUser {
            user: user?.value.to_owned(),
            group: group.map(|group| group.value.to_owned()),
        })
    }
}

/// A value that has to be a script.
pub(super) fn script(
    value: &Spanned<DeValue<'_>>,
    key: &str,
    problems: &mut Problems,
) -> Option<Script> {
    if let DeValue::Table(_) = value.get_ref() {
        let section = Section::of_value(value, &format!("`{key}`"), &SCRIPT, problems)?;
        if section.lacks("command") {
            problems.add(
                section.span.clone(),
                format!("`{key}` has no command"),
                EXPECTED,
            );
        }
        let user = section.user(problems);
        let command = command(section.get("command")?, "command", problems)?;
        return Some(Script { command, user });
    }
    let command = command(value, key, problems)?;
    Some(Script {
        command,
        user: None,
    })
}

/// Words of a text, or a list of texts.
fn command(
    value: &Spanned<DeValue<'_>>,
    key: &str,
    problems: &mut Problems,
) -> Option<Vec<String>> {
    let words: Option<Vec<String>> = match value.get_ref() {
        DeValue::String(text) => Some(text.split_whitespace().map(str::to_owned).collect()),
        DeValue::Array(list) => list
            .iter()
            .map(|word| {
                let word = text(word, &format!("a word of `{key}`"), EXPECTED, problems)?;
                Some(word.value.to_owned())
            })
            .collect(),
        DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Table(_) => {
            let is = kind(value.get_ref());
            problems.add(value.span(), format!("`{key}` is {is}"), EXPECTED);
            None
        }
    };
    let words = words?;
    if !words
        .first()
        .is_some_and(|program| program.starts_with('/'))
    {
        problems.add(
            value.span(),
            format!("`{key}` does not begin with the path of a program"),
            EXPECTED,
        );
        return None;
    }
    Some(words)
}
