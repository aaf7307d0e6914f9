//! Comments.

use super::text::Text;

/// Takes comments, escapes of comment signs and blanks around out of a line. Whether a quotation is
/// not closed; the backslash of a line that goes on stays, as its last character.
pub(super) fn strip(line: &mut Text) -> Result<(), usize> {
    line.trim();
    let mut quoted: Option<usize> = None;
    let mut continued = false;
    let mut at = 0;
    while let Some(found) = line.as_str()[at..].find(['!', '#', '"', '\\']) {
        let here = at + found;
        let next = line.as_str()[here + 1..].chars().next();
        match (line.as_str().as_bytes()[here], next) {
            (b'"', _) => {
                quoted = match quoted {
                    Some(_) => None,
                    None => Some(here),
                };
                at = here + 1;
            }
            (b'\\', None) => {
                line.truncate(here);
                continued = true;
                break;
            }
            (b'\\', Some('#' | '!')) if quoted.is_none() => {
                line.remove(here..here + 1);
                at = here + 1;
            }
            (b'\\', Some(escaped)) => at = here + 1 + escaped.len_utf8(),
            _ if quoted.is_none() => {
                line.truncate(here);
                break;
            }
            _ => at = here + 1,
        }
    }
    line.trim();
    if continued {
        line.append(&Text::in_file("\\", 0, 0));
    }
    match quoted {
        Some(begin) => Err(begin.min(line.len())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_go_and_what_is_quoted_stays() {
        for (line, left) in [
            ("  priority 100  # high", "priority 100"),
            ("!all of it", ""),
            ("a \"b # c ! d\" e ! f", "a \"b # c ! d\" e"),
            (r"a \# b # c", "a # b"),
            (r#"a "\# b""#, r#"a "\# b""#),
            (r"$A= \", r"$A=\"),
            (r"a \\ b", r"a \\ b"),
            (r#"a \" b # c"#, r#"a \" b"#),
            ("ümlaut ü#", "ümlaut ü"),
        ] {
            let mut text = Text::in_file(line, 0, 0);
            assert_eq!(strip(&mut text), Ok(()), "{line}");
            assert_eq!(text.as_str(), left, "{line}");
        }
        let mut open = Text::in_file("a \"b # c", 0, 0);
        assert_eq!(strip(&mut open), Err(2));
        assert_eq!(open.as_str(), "a \"b # c");
    }
}
