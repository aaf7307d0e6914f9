//! The table of argument rules: thousands of command lines, each in front of the same services. See `recorded/README.md`.

use super::table::{Recorded, words};

/// What a group of lines came to.
#[derive(Default)]
struct Ending {
    code: i32,
    stdout: String,
    stderr: String,
    /// What the saved services gained and lost.
    changes: Vec<String>,
}

/// Does every line of the table with `ipvsadm`, which returns exit code, standard output and standard error; returns what
/// differed.
pub fn differences(
    text: &str,
    mut ipvsadm: impl FnMut(&Recorded) -> (i32, String, String),
) -> Vec<String> {
    let (mut base, mut ending, mut within) = (Vec::new(), Ending::default(), false);
    let (mut before, mut differences) = (None, Vec::new());
    for (index, line) in text.lines().enumerate() {
        let (mark, rest) = line.split_at(1);
        let rest = rest.strip_prefix(' ').unwrap_or(rest);
        match mark {
            "#" => {}
            "@" => base.push(rest),
            "$" => {
                within = true;
                let before = before.get_or_insert_with(|| begin(&base, &mut ipvsadm));
                if let Some(difference) = done(rest, &ending, before, &mut ipvsadm) {
                    differences.push(format!("arguments.txt:{}: {difference}", index + 1));
                }
                // Only what ended well can have changed something.
                if ending.code == 0 {
                    begin(&base, &mut ipvsadm);
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

/// Makes what there is before each line; returns it as it is saved.
fn begin(
    base: &[&str],
    ipvsadm: &mut impl FnMut(&Recorded) -> (i32, String, String),
) -> Vec<String> {
    for line in [
        "-C",
        "--set 900 120 300",
        "--stop-daemon master",
        "--stop-daemon backup",
    ] {
        ipvsadm(&recorded(line));
    }
    for line in base {
        assert_eq!(ipvsadm(&recorded(line)).0, 0, "{line}");
    }
    saved(ipvsadm)
}

fn done(
    line: &str,
    ending: &Ending,
    before: &[String],
    ipvsadm: &mut impl FnMut(&Recorded) -> (i32, String, String),
) -> Option<String> {
    let (code, stdout, stderr) = ipvsadm(&recorded(line));
    // The table has no blanks at the ends of lines.
    if (code, trimmed(&stdout), trimmed(&stderr))
        != (ending.code, ending.stdout.clone(), ending.stderr.clone())
    {
        return Some(format!(
            "{line}\n  recorded {} {:?}\n{}  here     {code} {stderr:?}\n{stdout}",
            ending.code, ending.stderr, ending.stdout
        ));
    }
    if code != 0 || line.starts_with("-L") || line.starts_with("-S") {
        return None;
    }
    let after = saved(ipvsadm);
    let missing = |from: &[String], of: &[String], mark: &str| -> Vec<String> {
        let rows = from.iter().filter(|row| !of.contains(row));
        rows.map(|row| format!("{mark} {row}")).collect()
    };
    let mut changes = missing(&after, before, "+");
    changes.extend(missing(before, &after, "-"));
    (changes != ending.changes).then(|| {
        format!(
            "{line}\n  recorded {:?}\n  here     {changes:?}",
            ending.changes
        )
    })
}

fn recorded(line: &str) -> Recorded {
    Recorded {
        arguments: words(line),
        ..Recorded::default()
    }
}

fn trimmed(text: &str) -> String {
    let lines = text.lines();
    lines.map(|line| format!("{}\n", line.trim_end())).collect()
}

fn saved(ipvsadm: &mut impl FnMut(&Recorded) -> (i32, String, String)) -> Vec<String> {
    let (_, text, _) = ipvsadm(&recorded("-S -n"));
    text.lines()
        .map(|line| line.trim_end().to_owned())
        .collect()
}
