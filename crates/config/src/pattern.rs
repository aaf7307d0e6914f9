//! Regular expressions as operators write them for keepalived: PCRE's spelling, matched in linear time.
//!
//! What PCRE takes literally and we would not is translated. What needs backtracking (look-around,
//! back-references, atomic groups) cannot be had in linear time and is an error, so that it is told
//! when the configuration is read, and not when a real server goes down.

use regex::bytes::{Regex, RegexBuilder};

/// The greatest size of a compiled expression.
const SIZE: usize = 1 << 20;
/// The greatest memory that matching keeps, each time it runs at once.
const MEMORY: usize = 256 << 10;

/// Why an expression is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// A letter that says nothing to us.
    #[error("option {0:?} of a regular expression is not known; there are i, m, s, x, U, u and D")]
    Option(char),
    /// It cannot be compiled.
    #[error("{0}")]
    Pattern(String),
    /// Something that PCRE has and linear time does not allow.
    #[error(
        "{0} cannot be matched in linear time and is not supported: say it without, or use several patterns"
    )]
    Backtracking(&'static str),
}

/// Our letters for an option of keepalived's `regex_options`: empty where it changes nothing for us,
/// nothing where it is not supported.
pub fn letters(option: &str) -> Option<&'static str> {
    Some(match option {
        "caseless" => "i",
        "multiline" => "m",
        "dotall" => "s",
        "extended" => "x",
        "ungreedy" => "U",
        "utf" | "ucp" => "u",
        "dollar_endonly" => "D",
        "auto_callout" | "dupnames" | "never_ucp" | "never_utf" | "no_auto_capture"
        | "no_auto_possess" | "no_dotstar_anchor" | "no_start_optimize" | "never_backslash_c"
        | "use_offset_limit" => "",
        _ => return None,
    })
}

/// Compiles it. The letters are PCRE's: `i` ignores case, `m` takes lines for lines, `s` lets a dot be a
/// newline, `x` ignores spaces, `U` turns greediness round, `u` takes text for UTF-8, `D` lets `$` be
/// the very end only.
pub fn compile(pattern: &str, letters: &str) -> Result<Regex, PatternError> {
    if let Some(unknown) = letters.chars().find(|letter| !"imsxUuD".contains(*letter)) {
        return Err(PatternError::Option(unknown));
    }
    let has = |letter| letters.contains(letter);
    let translated = Translation::of(pattern, letters)?;
    RegexBuilder::new(&translated)
        .unicode(has('u'))
        .case_insensitive(has('i'))
        .multi_line(has('m'))
        .dot_matches_new_line(has('s'))
        .ignore_whitespace(has('x'))
        .swap_greed(has('U'))
        .size_limit(SIZE)
        .dfa_size_limit(MEMORY)
        .build()
        .map_err(|error| PatternError::Pattern(in_words(&error)))
}

fn in_words(error: &regex::Error) -> String {
    if matches!(error, regex::Error::CompiledTooBig(_)) {
        return "the regular expression is too large".to_owned();
    }
    // Of several lines with a caret, the last says what is wrong.
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    let reason = last.trim().trim_start_matches("error: ");
    format!("the regular expression is wrong: {reason}")
}

/// From PCRE's spelling to ours.
struct Translation<'a> {
    rest: std::str::Chars<'a>,
    /// Whether `$` is also before a newline that is the last character.
    lenient_end: bool,
    extended: bool,
    out: String,
}

impl<'a> Translation<'a> {
    fn of(pattern: &'a str, letters: &str) -> Result<String, PatternError> {
        let mut translation = Self {
            rest: pattern.chars(),
            lenient_end: !letters.contains('m') && !letters.contains('D'),
            extended: letters.contains('x'),
            out: String::with_capacity(pattern.len() + 8),
        };
        while let Some(character) = translation.rest.next() {
            match character {
                '\\' => translation.escape(false)?,
                '[' => translation.class()?,
                '(' => translation.group()?,
                '#' if translation.extended => translation.comment(),
                '{' if !translation.is_count() => translation.out.push_str(r"\{"),
                '$' if translation.lenient_end => translation.out.push_str(r"(?:\n?\z)"),
                other => translation.out.push(other),
            }
        }
        Ok(translation.out)
    }

    /// To the end of the line, with `x`.
    fn comment(&mut self) {
        let rest = self.rest.as_str();
        let end = rest.find('\n').unwrap_or(rest.len());
        self.rest = rest[end..].chars();
    }

    /// Whether a count follows the `{`: anything else PCRE takes literally.
    fn is_count(&self) -> bool {
        let Some((count, _)) = self.rest.as_str().split_once('}') else {
            return false;
        };
        let (least, most) = count.split_once(',').unwrap_or((count, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        !least.is_empty() && digits(least) && digits(most)
    }

    fn group(&mut self) -> Result<(), PatternError> {
        let rest = self.rest.as_str();
        if let Some(comment) = rest.strip_prefix("?#") {
            let end = comment
                .find(')')
                .ok_or_else(|| PatternError::Pattern("a comment (?# has no end".to_owned()))?;
            self.rest = comment[end + 1..].chars();
            return Ok(());
        }
        for (begin, what) in [
            ("?=", "a look-ahead (?=...)"),
            ("?!", "a look-ahead (?!...)"),
            ("?<=", "a look-behind (?<=...)"),
            ("?<!", "a look-behind (?<!...)"),
            ("?>", "an atomic group (?>...)"),
            ("?(", "a condition (?(...)...)"),
            ("?|", "a branch reset (?|...)"),
            ("?R", "a recursion (?R)"),
            ("?&", "a call of a group (?&...)"),
            ("*", "a verb (*...)"),
        ] {
            if rest.starts_with(begin) {
                return Err(PatternError::Backtracking(what));
            }
        }
        self.out.push('(');
        // The spelling of a group's name.
        if let Some(name) = rest.strip_prefix("?'")
            && let Some((name, rest)) = name.split_once('\'')
        {
            self.out.push_str(&format!("?<{name}>"));
            self.rest = rest.chars();
        } else if rest.starts_with('?') {
            self.inline_options();
        }
        Ok(())
    }

    /// `(?m)` may change what `$` is: then it is left as it is written.
    fn inline_options(&mut self) {
        let rest = self.rest.as_str();
        let end = rest.find([')', ':']).unwrap_or(rest.len());
        let options = &rest[1..end];
        if options.contains('m') && options.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            self.lenient_end = false;
        }
    }

    /// After a backslash.
    fn escape(&mut self, in_class: bool) -> Result<(), PatternError> {
        let Some(character) = self.rest.next() else {
            return Err(PatternError::Pattern(
                "the regular expression ends with a backslash".to_owned(),
            ));
        };
        match character {
            'Q' => {
                let rest = self.rest.as_str();
                let (literal, rest) = rest.split_once(r"\E").unwrap_or((rest, ""));
                literal.chars().for_each(|one| self.literal(one));
                self.rest = rest.chars();
            }
            'E' => {}
            'e' => self.out.push_str(r"\x1b"),
            'Z' if !in_class => self.out.push_str(r"(?:\n?\z)"),
            'h' if in_class => self.out.push_str(r"\x20\t"),
            'h' => self.out.push_str(r"[\x20\t]"),
            'H' if !in_class => self.out.push_str(r"[^\x20\t]"),
            'N' if !in_class => self.out.push_str(r"[^\n]"),
            'R' if !in_class => self.out.push_str(r"(?:\r\n|[\n\x0b\x0c\r])"),
            'b' if in_class => self.out.push_str(r"\x08"),
            'G' | 'K' | 'X' | 'C' | 'g' | 'k' => {
                return Err(PatternError::Backtracking(match character {
                    'g' | 'k' => "a back-reference",
                    'G' => r"\G",
                    'K' => r"\K",
                    'X' => r"\X",
                    _ => r"\C",
                }));
            }
            '1'..='9' if !in_class && !self.is_octal(character) => {
                return Err(PatternError::Backtracking("a back-reference"));
            }
            '0'..='7' => self.octal(character),
            letter if letter.is_ascii_alphabetic() => {
                self.out.push('\\');
                self.out.push(letter);
            }
            other => self.literal(other),
        }
        Ok(())
    }

    /// Whether three octal digits are a character, and no reference.
    fn is_octal(&self, first: char) -> bool {
        let mut digits = std::iter::once(first).chain(self.rest.clone().take(2));
        (0..3).all(|_| digits.next().is_some_and(|digit| digit.is_digit(8)))
    }

    fn octal(&mut self, first: char) {
        let mut value = first.to_digit(8).unwrap_or(0);
        for _ in 0..2 {
            let digit = self.rest.clone().next().and_then(|next| next.to_digit(8));
            let Some(digit) = digit else { break };
            value = value * 8 + digit;
            self.rest.next();
        }
        self.out.push_str(&format!(r"\x{:02x}", value & 0xff));
    }

    /// A character that stands for itself, inside and outside of classes.
    fn literal(&mut self, character: char) {
        if character.is_ascii() && !character.is_ascii_alphanumeric() {
            self.out
                .push_str(&format!(r"\x{:02x}", u32::from(character)));
        } else {
            self.out.push(character);
        }
    }

    /// After the bracket that opens a class. Inside, we would take brackets and some pairs for sets.
    fn class(&mut self) -> Result<(), PatternError> {
        self.out.push('[');
        let mut first = true;
        while let Some(character) = self.rest.next() {
            let rest = self.rest.as_str();
            match character {
                '^' if first && self.out.ends_with('[') => {
                    self.out.push('^');
                    continue;
                }
                ']' if !first => {
                    self.out.push(']');
                    return Ok(());
                }
                '\\' => self.escape(true)?,
                '[' if rest.starts_with(':') && rest.contains(":]") => {
                    let end = rest.find(":]").map_or(rest.len(), |at| at + 2);
                    self.out.push('[');
                    self.out.push_str(&rest[..end]);
                    self.rest = rest[end..].chars();
                }
                '-' => self.dash(first, rest.starts_with(']')),
                '[' | ']' | '&' | '~' => self.literal(character),
                space if self.extended && (space.is_ascii_whitespace() || space == '#') => {
                    self.literal(space);
                }
                other => self.out.push(other),
            }
            first = false;
        }
        Err(PatternError::Pattern(
            "a class [...] of the regular expression has no end".to_owned(),
        ))
    }

    /// At an end it is itself, else it makes a range.
    fn dash(&mut self, first: bool, last: bool) {
        if first || last {
            self.literal('-');
        } else {
            self.out.push('-');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, letters: &str, text: &str) -> bool {
        compile(pattern, letters)
            .unwrap_or_else(|error| panic!("{pattern}: {error}"))
            .is_match(text.as_bytes())
    }

    #[test]
    fn what_pcre_matches_is_matched() {
        for (pattern, letters, text) in [
            (r#"{"status":"(ok|up)"}"#, "", r#"x {"status":"up"} y"#),
            (r"a{2}b{1,}c{1,2}", "", "aabbcc"),
            (r"a{,2}", "", "a{,2}"),
            (r"\<html\>", "", "<html>"),
            (r"healthy$", "", "healthy\n"),
            (r"healthy\Z", "", "healthy\n"),
            (r"^b$", "m", "a\nb\nc"),
            (r"(?m)^b$", "", "a\nb\nc"),
            (r"HEALTHY", "i", "healthy"),
            (r"a.b", "s", "a\nb"),
            (r"a b # c [", "x", "ab"),
            (r"[a b]c", "x", " c"),
            (r"\Qa.b*\E+", "", "a.b**"),
            (r"[[]x", "", "[x"),
            (r"[]x]y", "", "]y"),
            (r"[^]x]y", "", "ay"),
            (r"[a&&b]", "", "&"),
            (r"[[:digit:]-]{3}", "", "1-2"),
            (r"[a-c]", "", "b"),
            (r"[\w.-]+@", "", "a.b-c@"),
            (r"\/a\-b\ c", "", "/a-b c"),
            (r"a\h\R", "", "a \r\n"),
            (r"\x41\101\e", "", "AA\u{1b}"),
            (r"a++b", "", "aab"),
            (r"(?'name'a)(?<other>b)(?P<third>c)", "", "abc"),
            (r"a(?# said aside)b", "", "ab"),
            (r"é", "u", "é"),
            (r"^.$", "u", "é"),
            (r"\d+ (?:ms|s)", "", "12 ms"),
        ] {
            assert!(matches(pattern, letters, text), "{pattern} on {text:?}");
        }
    }

    #[test]
    fn what_pcre_does_not_match_is_not_matched() {
        for (pattern, letters, text) in [
            (r"healthy$", "D", "healthy\n"),
            (r"healthy$", "", "healthy\n\n"),
            (r"^b$", "", "a\nb\nc"),
            (r"HEALTHY", "", "healthy"),
            (r"a.b", "", "a\nb"),
            (r"[a-c]", "", "-"),
            (r"^.$", "", "é"),
        ] {
            assert!(!matches(pattern, letters, text), "{pattern} on {text:?}");
        }
    }

    #[test]
    fn what_cannot_be_is_said() {
        for (pattern, letters, said) in [
            ("(?=a)", "", "look-ahead"),
            ("(?<!a)b", "", "look-behind"),
            (r"(a)\1", "", "back-reference"),
            ("(?>a)", "", "atomic"),
            ("(?R)", "", "recursion"),
            ("(", "", "unclosed group"),
            ("a\\", "", "backslash"),
            ("[a", "", "no end"),
            ("a{9999}{9999}", "", "too large"),
            ("a", "q", "'q'"),
        ] {
            let error = compile(pattern, letters).unwrap_err().to_string();
            assert!(error.contains(said), "{pattern}: {error}");
        }
    }

    #[test]
    fn the_options_of_keepalived_are_known() {
        assert_eq!(letters("caseless"), Some("i"));
        assert_eq!(letters("dupnames"), Some(""));
        assert_eq!(letters("firstline"), None);
    }

    proptest::proptest! {
        #[test]
        fn never_panics(pattern in "\\PC{0,40}", letters in "[imsxUuD]{0,3}") {
            let _ = compile(&pattern, &letters);
        }

        #[test]
        fn never_panics_on_what_looks_like_one(pattern in r"[\[\](){}\\^$.|?*+a-z0-9:,<>=!'#&~ -]{0,30}") {
            let _ = compile(&pattern, "");
        }
    }
}
