//! Files that a file includes.

/// What must be there when a file includes others; else it is an error and not only a note.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct Checks {
    /// A file that is there can be read.
    pub(super) readable: bool,
    /// A name without wildcards has a file.
    pub(super) named: bool,
    /// A pattern with wildcards has a file.
    pub(super) wildcard: bool,
    /// Each alternative in braces has a file.
    pub(super) brace: bool,
}

impl Checks {
    const ALL: Self = Self {
        readable: true,
        named: true,
        wildcard: true,
        brace: true,
    };

    pub(super) fn and(self, other: Self) -> Self {
        Self {
            readable: self.readable || other.readable,
            named: self.named || other.named,
            wildcard: self.wildcard || other.wildcard,
            brace: self.brace || other.brace,
        }
    }

    /// What `include_check` makes of it.
    pub(super) fn changed(mut self, words: &[String]) -> Self {
        if words.is_empty() {
            return Self::ALL;
        }
        let plain = |word: &String| !word.starts_with(['+', '-']);
        if words.iter().any(plain) {
            self = Self::default();
        }
        for word in words {
            let on = !word.starts_with('-');
            let checks = match word.trim_start_matches(['+', '-']) {
                "readable" => &mut self.readable,
                "match" => &mut self.named,
                "wildcard_match" => &mut self.wildcard,
                "brace_match" => &mut self.brace,
                _ => continue,
            };
            *checks = on;
        }
        self
    }
}

/// What a line that includes files asks for, and where the name begins.
pub(super) fn asked(line: &str) -> Option<(Checks, usize)> {
    let rest = line.strip_prefix("include")?;
    let none = Checks::default();
    let readable = Checks {
        readable: true,
        ..none
    };
    let checks = match rest.chars().next()? {
        ' ' | '\t' => none,
        'r' => readable,
        'm' => Checks {
            named: true,
            ..readable
        },
        'w' => Checks {
            named: true,
            wildcard: true,
            ..readable
        },
        'b' => Checks {
            brace: true,
            ..readable
        },
        'a' => Checks::ALL,
        _ => return None,
    };
    let after = rest.trim_start_matches(['r', 'm', 'w', 'b', 'a']);
    if rest.len() - after.len() > 1 || !after.starts_with([' ', '\t']) {
        return None;
    }
    Some((checks, line.len() - after.trim_start().len()))
}

/// The most patterns that braces may stand for.
const MOST: usize = 4096;

/// What braces stand for, as csh has it: `a{b,c}d` is `abd` and `acd`. Nothing when they are too many.
pub(super) fn alternatives(pattern: &str) -> Option<Vec<String>> {
    let mut done = Vec::new();
    let mut open = vec![pattern.to_owned()];
    while let Some(pattern) = open.pop() {
        if done.len() + open.len() > MOST {
            return None;
        }
        match first_braces(&pattern) {
            None => done.push(pattern),
            Some((begin, end)) => {
                let parts = parts(&pattern[begin + 1..end]);
                let whole =
                    |part: &str| format!("{}{part}{}", &pattern[..begin], &pattern[end + 1..]);
                open.extend(parts.iter().rev().map(|part| whole(part)));
            }
        }
    }
    Some(done)
}

/// The first braces that are closed and not empty.
fn first_braces(pattern: &str) -> Option<(usize, usize)> {
    let mut depth = 0;
    let mut begin = 0;
    for (at, letter) in pattern.char_indices() {
        match letter {
            '{' => {
                if depth == 0 {
                    begin = at;
                }
                depth += 1;
            }
            '}' if depth > 0 => {
                depth -= 1;
                if depth == 0 && at > begin + 1 {
                    return Some((begin, at));
                }
            }
            _ => {}
        }
    }
    None
}

/// Parts between commas that are in no braces.
fn parts(inside: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut begin) = (0, 0);
    for (at, letter) in inside.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&inside[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&inside[begin..]);
    parts
}

pub(super) fn has_wildcards(pattern: &str) -> bool {
    pattern.contains(['*', '?', '['])
}

/// A path, in a directory unless it is absolute.
pub(super) fn in_directory(directory: &str, path: &str) -> String {
    if path.starts_with('/') {
        return path.to_owned();
    }
    match directory {
        "" => path.to_owned(),
        "/" => format!("/{path}"),
        directory => format!("{directory}/{path}"),
    }
}

/// The directory that a file is in.
pub(super) fn directory_of(path: &str) -> String {
    match path.rfind('/') {
        Some(0) => "/".to_owned(),
        Some(at) => path[..at].to_owned(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_include() {
        assert_eq!(asked("include a.conf"), Some((Checks::default(), 8)));
        assert_eq!(asked("includea\t a"), Some((Checks::ALL, 10)));
        assert!(asked("includer a").unwrap().0.readable);
        for line in [
            "include",
            "include_check",
            "includes a",
            "includeaa a",
            "includea",
            "inc a",
        ] {
            assert_eq!(asked(line), None, "{line}");
        }
    }

    #[test]
    fn braces_stand_for_alternatives() {
        for (pattern, expected) in [
            ("a.conf", "a.conf"),
            ("a{b,c}d", "abd acd"),
            ("{foo/{,cat,dog},bar}", "foo/ foo/cat foo/dog bar"),
            ("{a,b}{1,2}", "a1 a2 b1 b2"),
            ("a{}b", "a{}b"),
            ("a{b", "a{b"),
        ] {
            let found = alternatives(pattern).unwrap().join(" ");
            assert_eq!(found, expected, "{pattern}");
        }
        assert_eq!(alternatives(&"{a,b}".repeat(40)), None);
    }

    #[test]
    fn checks_change() {
        let words = |text: &str| {
            text.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        assert_eq!(Checks::default().changed(&[]), Checks::ALL);
        let some = Checks::default().changed(&words("+match -wildcard_match"));
        assert!(some.named && !some.wildcard);
        assert!(!Checks::ALL.changed(&words("readable")).named);
    }
}
