//! The table of argument rules: thousands of command lines, each in front of the same services. See `recorded/README.md`.

use crate::difference;
use crate::fake::FakeDirector;
use crate::table::{self, Program, Recorded};

/// What a group of lines came to.
#[derive(Default)]
struct Ending {
    code: i32,
    stdout: String,
    stderr: String,
    /// What the saved services lost and gained.
    changes: Vec<String>,
}

/// Does every line of the table and returns what differed.
pub fn differences(text: &str) -> Vec<String> {
    let mut base = FakeDirector::default();
    let (mut ending, mut within, mut differences) = (Ending::default(), false, Vec::new());
    for (index, line) in text.lines().enumerate() {
        let (mark, rest) = line.split_at(1);
        let rest = rest.strip_prefix(' ').unwrap_or(rest);
        match mark {
            "#" => {}
            "@" => assert_eq!(run(&mut base, rest, index), None),
            "$" => {
                within = true;
                if let Some(difference) = done(&base, rest, index, &ending) {
                    differences.push(format!("arguments.txt:{}: {difference}", index + 1));
                }
            }
            _ => {
                // The first line after those that came to another end.
                if std::mem::take(&mut within) {
                    ending = Ending::default();
                }
                match mark {
                    "=" => ending.code = rest.parse().unwrap(),
                    ">" => ending.stdout += &format!("{rest}\n"),
                    "!" => ending.stderr += &format!("{rest}\n"),
                    "+" | "-" => ending.changes.push(line.to_owned()),
                    _ => panic!("line {}: what is {line:?}?", index + 1),
                }
            }
        }
    }
    differences
}

fn run(director: &mut FakeDirector, line: &str, index: usize) -> Option<String> {
    difference(director, &recorded(line, index, &Ending::default()))
}

fn done(base: &FakeDirector, line: &str, index: usize, ending: &Ending) -> Option<String> {
    let mut director = base.clone();
    if let Some(difference) = difference(&mut director, &recorded(line, index, ending)) {
        return Some(difference);
    }
    if ending.code != 0 || line.starts_with("-L") || line.starts_with("-S") {
        return None;
    }
    let (before, after) = (saved(&mut base.clone()), saved(&mut director));
    let missing = |from: &[String], of: &[String], mark: &str| -> Vec<String> {
        let rows = from.iter().filter(|row| !of.contains(row));
        rows.map(|row| format!("{mark} {row}")).collect()
    };
    let mut changes = missing(&after, &before, "+");
    changes.extend(missing(&before, &after, "-"));
    (changes != ending.changes).then(|| {
        format!(
            "{line}\n  recorded {:?}\n  here     {changes:?}",
            ending.changes
        )
    })
}

fn recorded(line: &str, index: usize, ending: &Ending) -> Recorded {
    Recorded {
        line: index + 1,
        program: Program::Ipvsadm,
        arguments: table::words(line),
        input: Vec::new(),
        code: ending.code,
        stdout: ending.stdout.clone(),
        stderr: ending.stderr.clone(),
    }
}

fn saved(director: &mut FakeDirector) -> Vec<String> {
    let mut text = String::new();
    crate::invocation(director, &mut |_, said| text += said)
        .run(&["-S".to_owned(), "-n".to_owned()], &mut std::iter::empty());
    text.lines()
        .map(|line| line.trim_end().to_owned())
        .collect()
}
