//! Words of a line.

use super::place::{Origins, Place};
use super::text::Text;

/// A word and where it stands.
#[derive(Clone, Debug)]
pub struct Word {
    /// The word, without the quotation marks around it.
    pub text: String,
    pub(crate) place: Place,
}

const BLANK: [char; 4] = [' ', '\t', '\x0c', '\x0b'];

/// The words of a line: between blanks, or between two `"`.
pub(super) fn words(line: &Text, origins: &Origins) -> Vec<Word> {
    let text = line.as_str();
    let mut words = Vec::new();
    let mut at = 0;
    loop {
        at = skip_blanks(text, at);
        if at >= text.len() {
            return words;
        }
        let quoted = text[at..].starts_with('"');
        let begin = at + usize::from(quoted);
        let end = if quoted {
            text[begin..].find('"')
        } else {
            text[begin..].find([' ', '\t', '\x0c', '\x0b', '"'])
        };
        let end = end.map_or(text.len(), |length| begin + length);
        let after = (end + usize::from(quoted)).min(text.len());
        words.push(Word {
            text: text[begin..end].to_owned(),
            place: line.place(origins, at..after),
        });
        at = after;
    }
}

fn skip_blanks(text: &str, at: usize) -> usize {
    text.len() - text[at..].trim_start_matches(BLANK).len()
}

/// Why a line is no command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadCommand {
    /// A quotation that begins there is not closed.
    Unclosed(usize),
    /// It ends in a backslash.
    EndsInEscape,
}

/// The words of a command: `"` and `'` quote, what touches is one word, and a backslash escapes as in a
/// shell: `\n`, `\t`, `\x41`, `\101`, `\cA`. With `kept`, escapes are left as they are written.
pub(crate) fn command(text: &str, kept: bool) -> Result<Vec<String>, BadCommand> {
    let mut words = Vec::new();
    let mut letters = text.char_indices().peekable();
    loop {
        while letters.next_if(|(_, c)| BLANK.contains(c)).is_some() {}
        if letters.peek().is_none() {
            return Ok(words);
        }
        let mut word = Vec::new();
        let mut quote: Option<(usize, char)> = None;
        while let Some((at, letter)) = letters.next() {
            match (letter, quote) {
                ('\\', _) => {
                    let (_, escaped) = letters.next().ok_or(BadCommand::EndsInEscape)?;
                    if kept {
                        push(&mut word, '\\');
                        push(&mut word, escaped);
                    } else {
                        unescape(escaped, &mut letters, &mut word);
                    }
                }
                ('"' | '\'', None) => quote = Some((at, letter)),
                (letter, Some((_, mark))) if letter == mark => quote = None,
                (letter, None) if BLANK.contains(&letter) => break,
                (letter, _) => push(&mut word, letter),
            }
        }
        if let Some((at, _)) = quote {
            return Err(BadCommand::Unclosed(at));
        }
        words.push(String::from_utf8_lossy(&word).into_owned());
    }
}

fn push(word: &mut Vec<u8>, letter: char) {
    word.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
}

fn unescape(
    escaped: char,
    letters: &mut std::iter::Peekable<std::str::CharIndices<'_>>,
    word: &mut Vec<u8>,
) {
    let simple = match escaped {
        'a' => 7,
        'b' => 8,
        'E' => 27,
        'f' => 12,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 11,
        'x' | 'c' | '0'..='7' => 0,
        other => return push(word, other),
    };
    if simple != 0 {
        return word.push(simple);
    }
    let next = letters.peek().map(|(_, letter)| *letter);
    match (escaped, next) {
        ('x', Some(digit)) if digit.is_ascii_hexdigit() => word.push(digits(letters, 16, 2, 0)),
        ('c', Some(control)) => {
            letters.next();
            word.push((u32::from(control) & 0x1f) as u8);
        }
        ('0'..='7', _) => {
            let first = escaped.to_digit(8).unwrap_or(0);
            word.push(digits(letters, 8, 2, first));
        }
        _ => push(word, escaped),
    }
}

/// The byte that at most so many digits say.
fn digits(
    letters: &mut std::iter::Peekable<std::str::CharIndices<'_>>,
    radix: u32,
    most: usize,
    mut value: u32,
) -> u8 {
    for _ in 0..most {
        let Some((_, digit)) = letters.next_if(|(_, letter)| letter.is_digit(radix)) else {
            break;
        };
        value = value * radix + digit.to_digit(radix).unwrap_or(0);
    }
    (value & 0xff) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_between_blanks_and_quotation_marks() {
        let origins = Origins::default();
        for (line, expected) in [
            ("a b\tc", &["a", "b", "c"][..]),
            ("a \"b c\" d", &["a", "b c", "d"]),
            ("a\"b c\"d", &["a", "b c", "d"]),
            ("a \"\" b", &["a", "", "b"]),
            ("a 'b c'", &["a", "'b", "c'"]),
            ("", &[]),
        ] {
            let found = words(&Text::in_file(line, 0, 0), &origins);
            let found: Vec<&str> = found.iter().map(|word| word.text.as_str()).collect();
            assert_eq!(found, expected, "{line}");
        }
        let found = words(&Text::in_file("ab \"c d\"", 0, 10), &origins);
        assert_eq!((found[1].place.start, found[1].place.end), (13, 18));
    }

    #[test]
    fn commands_are_quoted_as_in_a_shell() {
        for (line, expected) in [
            (r#"abcd" efg h jkl "mnop"#, &["abcd efg h jkl mnop"][..]),
            (r#"a "b c" d"#, &["a", "b c", "d"]),
            (r"a 'b \x41\101\t' \cA", &["a", "b AA\t", "\u{1}"]),
            (r#"'\"x y\"'"#, &["\"x y\""]),
            (r"a \\ \'", &["a", "\\", "'"]),
            (r"'\xg'", &["xg"]),
            ("''", &[""]),
        ] {
            assert_eq!(command(line, false).unwrap(), expected, "{line}");
        }
        assert_eq!(command(r"a\n b", true).unwrap(), [r"a\n", "b"]);
        assert_eq!(command("a 'b", false), Err(BadCommand::Unclosed(2)));
        assert_eq!(command("a\\", false), Err(BadCommand::EndsInEscape));
    }
}
