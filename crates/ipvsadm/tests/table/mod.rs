//! The recorded tables: what the real ipvsadm did, line by line. See `recorded/README.md`.

/// One line of a table or what belongs to it.
#[derive(Debug)]
pub enum Entry {
    /// `@`: an empty director.
    Fresh,
    /// `%`: another moment of the same director, with its invocations.
    Moment,
    /// `|`: the kernel's connections.
    Connection(String),
    /// `$`: an invocation; `*` of one of the scripts.
    Invocation(Recorded),
    /// `&`: a file of the kernel; its name is the one argument.
    File(Recorded),
}

/// Which program was called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Program {
    #[default]
    Ipvsadm,
    Save,
    Restore,
}

/// An invocation and what came of it.
#[derive(Debug, Default)]
pub struct Recorded {
    pub line: usize,
    pub program: Program,
    pub arguments: Vec<String>,
    pub input: Vec<String>,
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

pub fn read(text: &str) -> Vec<Entry> {
    let mut entries = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let Some(mark) = line.chars().next() else {
            continue;
        };
        let rest = line[1..].strip_prefix(' ').unwrap_or(&line[1..]);
        match mark {
            '#' => {}
            '@' => entries.push(Entry::Fresh),
            '%' => entries.push(Entry::Moment),
            '|' => entries.push(Entry::Connection(rest.to_owned())),
            '&' => entries.push(Entry::File(Recorded {
                line: index + 1,
                arguments: vec![rest.to_owned()],
                ..Recorded::default()
            })),
            '$' => entries.push(Entry::Invocation(Recorded {
                line: index + 1,
                arguments: words(rest),
                ..Recorded::default()
            })),
            '*' => {
                let (name, rest) = rest.split_once(' ').unwrap_or((rest, ""));
                entries.push(Entry::Invocation(Recorded {
                    line: index + 1,
                    program: match name {
                        "save" => Program::Save,
                        "restore" => Program::Restore,
                        other => panic!("line {}: no ipvsadm-{other}", index + 1),
                    },
                    arguments: words(rest),
                    ..Recorded::default()
                }));
            }
            '<' | '=' | '>' | '!' => {
                let Some(Entry::Invocation(recorded) | Entry::File(recorded)) = entries.last_mut()
                else {
                    panic!("line {}: {line:?} belongs to nothing", index + 1);
                };
                match mark {
                    '<' => recorded.input.push(unescaped(rest)),
                    '=' => recorded.code = rest.parse().unwrap(),
                    '>' => recorded.stdout += &format!("{rest}\n"),
                    _ => recorded.stderr += &format!("{rest}\n"),
                }
            }
            _ => panic!("line {}: what is {line:?}?", index + 1),
        }
    }
    entries
}

/// The words of an invocation.
pub fn words(text: &str) -> Vec<String> {
    let words = text.split(' ').filter(|word| !word.is_empty());
    words.map(unescaped).collect()
}

/// `\e` nothing, `\s` blank, `\t`, `\r`, `\\`.
fn unescaped(text: &str) -> String {
    if text == "\\e" {
        return String::new();
    }
    let mut out = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            out.push(character);
            continue;
        }
        out.push(match characters.next() {
            Some('s') => ' ',
            Some('t') => '\t',
            Some('r') => '\r',
            Some('\\') => '\\',
            other => panic!("{text:?} escapes {other:?}"),
        });
    }
    out
}
