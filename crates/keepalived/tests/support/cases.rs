//! The small files of `recorded/cases.txt` and what keepalived -t ends with.
#![allow(dead_code)] // Each test looks at what it needs.

use std::collections::BTreeMap;

const CASES: &str = include_str!("../recorded/cases.txt");
const VERDICTS: &str = include_str!("../recorded/verdicts.txt");

/// A small file.
#[derive(Clone)]
pub struct Case {
    pub name: &'static str,
    pub text: String,
    /// Others that it includes, by their paths.
    pub files: BTreeMap<String, String>,
    /// How keepalived -t ended; below 0 by a signal.
    pub verdict: i32,
}

impl Case {
    /// Whether keepalived takes it without a word.
    pub fn keepalived_takes_it(&self) -> bool {
        self.verdict == 0
    }
}

/// All of them.
pub fn cases() -> Vec<Case> {
    let verdicts: BTreeMap<&str, i32> = VERDICTS
        .lines()
        .skip(1)
        .map(|line| {
            let (name, verdict) = line.split_once(' ').unwrap();
            (name, verdict.parse().unwrap())
        })
        .collect();
    let (head, list) = CASES.split_once("\n=== ").unwrap();
    let templates: BTreeMap<&str, &str> = head
        .split("\n%%% ")
        .skip(1)
        .map(|template| template.split_once('\n').unwrap())
        .collect();
    let case = |text: &'static str| {
        let (title, body) = text.split_once('\n').unwrap_or((text, ""));
        let (name, template) = title.split_once(" @").unwrap_or((title, ""));
        let mut parts = body.split("--- ");
        let main = parts.next().unwrap_or_default();
        let text = match template {
            "" => main.to_owned(),
            template => {
                let template = format!("{}\n", templates[template]);
                template.replace("BODY\n", &format!("{main}\n"))
            }
        };
        let files = parts.map(|part| {
            let (path, text) = part.split_once('\n').unwrap();
            (format!("/etc/keepalived/{path}"), text.to_owned())
        });
        Case {
            name,
            text,
            files: files.collect(),
            verdict: *verdicts
                .get(name)
                .unwrap_or_else(|| panic!("{name} was not recorded")),
        }
    };
    list.split("\n=== ").map(case).collect()
}
