//! What an agent says in one line: HAProxy's agent-check.

use super::shown;
use crate::verdict::{Outcome, Reading, WeightWord, Wish};

/// The longest line.
pub const LINE: usize = 1 << 10;

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AgentError {
    /// It does not end.
    #[error("the agent's line is longer than {LINE} bytes")]
    LongLine,
    /// Nothing came.
    #[error("the agent closed the connection without a word")]
    Nothing,
    /// Nothing in it is known.
    #[error("nothing in the agent's line is known: {0:?}")]
    Unknown(String),
}

/// Reads a line.
#[derive(Debug, Default)]
pub struct Reader {
    line: Vec<u8>,
}

impl Reader {
    /// Takes what came; whether the line is whole.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<bool, AgentError> {
        let end = bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
        let piece = &bytes[..end.unwrap_or(bytes.len())];
        if self.line.len() + piece.len() > LINE {
            return Err(AgentError::LongLine);
        }
        self.line.extend_from_slice(piece);
        Ok(end.is_some())
    }

    /// What the line says. An agent may close the connection instead of ending the line.
    pub fn read(&self) -> Result<(Outcome, Reading), AgentError> {
        read(&self.line)
    }
}

/// Words stand apart by spaces, tabs or commas; case does not matter; behind `#` is a remark. Of the
/// same kind the last counts. `maxconn:` and words that are not known say nothing to us.
fn read(line: &[u8]) -> Result<(Outcome, Reading), AgentError> {
    let mut parts = line.splitn(2, |byte| *byte == b'#');
    let words = parts.next().unwrap_or_default();
    let remark = parts.next().map(shown).unwrap_or_default();
    let mut outcome = None;
    let mut reading = Reading::default();
    let mut known = false;
    for word in words.split(|byte| matches!(byte, b' ' | b'\t' | b',')) {
        let word = word.to_ascii_lowercase();
        match &word[..] {
            b"up" => outcome = Some(Outcome::Passed),
            b"down" | b"fail" | b"failed" | b"stopped" => {
                let mut reason = format!("the agent says {}", shown(&word));
                if !remark.is_empty() {
                    reason.push_str(": ");
                    reason.push_str(&remark);
                }
                outcome = Some(Outcome::Failed(reason));
            }
            b"ready" => reading.wish = Some(Wish::Ready),
            b"drain" => reading.wish = Some(Wish::Drain),
            b"maint" => reading.wish = Some(Wish::Maintenance),
            other => match weight(other) {
                Some(weight) => reading.weight = Some(weight),
                None => {
                    known |= other.starts_with(b"maxconn:");
                    continue;
                }
            },
        }
        known = true;
    }
    if !known {
        return Err(match words.trim_ascii() {
            [] => AgentError::Nothing,
            _ => AgentError::Unknown(shown(line)),
        });
    }
    let ready = reading.wish == Some(Wish::Ready);
    let outcome = outcome.unwrap_or(if ready {
        Outcome::Passed
    } else {
        Outcome::Open(remark)
    });
    Ok((outcome, reading))
}

fn weight(word: &[u8]) -> Option<WeightWord> {
    let text = std::str::from_utf8(word).ok()?;
    let (digits, percent) = match text.strip_suffix('%') {
        Some(digits) => (digits, true),
        None => (text, false),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number = digits.parse().ok()?;
    Some(if percent {
        WeightWord::Percent(number)
    } else {
        WeightWord::Is(number)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_are_read() {
        let open = || Outcome::Open(String::new());
        let failed = |reason: &str| Outcome::Failed(format!("the agent says {reason}"));
        for (line, outcome, weight, wish) in [
            ("up", Outcome::Passed, None, None),
            (
                "UP 75%",
                Outcome::Passed,
                Some(WeightWord::Percent(75)),
                None,
            ),
            ("75%", open(), Some(WeightWord::Percent(75)), None),
            (
                "12\tready,up",
                Outcome::Passed,
                Some(WeightWord::Is(12)),
                Some(Wish::Ready),
            ),
            ("ready", Outcome::Passed, None, Some(Wish::Ready)),
            ("drain", open(), None, Some(Wish::Drain)),
            (
                "maint # disk",
                Outcome::Open("disk".to_owned()),
                None,
                Some(Wish::Maintenance),
            ),
            ("down", failed("down"), None, None),
            (
                "stopped#by hand, up",
                failed("stopped: by hand, up"),
                None,
                None,
            ),
            (
                "fail 0%",
                failed("fail"),
                Some(WeightWord::Percent(0)),
                None,
            ),
            ("maxconn:30", open(), None, None),
            ("up whatever", Outcome::Passed, None, None),
        ] {
            let read = read(line.as_bytes());
            assert_eq!(read, Ok((outcome, Reading { weight, wish })), "{line}");
        }
        assert_eq!(read(b" "), Err(AgentError::Nothing));
        assert_eq!(read(b"GET"), Err(AgentError::Unknown("GET".to_owned())));
        assert_eq!(read(b"-5%"), Err(AgentError::Unknown("-5%".to_owned())));
    }

    #[test]
    fn a_line_ends_and_is_bounded() {
        let mut reader = Reader::default();
        assert_eq!(reader.feed(b"u"), Ok(false));
        assert_eq!(reader.feed(b"p\r\ndown\n"), Ok(true));
        assert_eq!(reader.read().unwrap().0, Outcome::Passed);
        let mut reader = Reader::default();
        assert_eq!(reader.feed(&[b'x'; LINE]), Ok(false));
        assert_eq!(reader.feed(b"x"), Err(AgentError::LongLine));
    }

    proptest! {
        #[test]
        fn never_panics(line in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = read(&line);
        }
    }
}
