//! Replies of a mail server (RFC 5321 section 4.2).

use super::shown;

/// The longest line; 512 are allowed, and some take it lightly.
const LINE: usize = 2 << 10;
/// The most lines of one reply.
const LINES: u16 = 100;

/// A reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Its code.
    pub code: u16,
    /// Its last line, for a message.
    pub text: String,
}

/// What is wrong with a reply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SmtpError {
    /// It ended too early.
    #[error("the connection was closed without a whole reply")]
    Cut,
    /// No code where one must be.
    #[error("the reply is not SMTP: {0:?}")]
    NotSmtp(String),
    /// Too much.
    #[error("the reply has a line of more than {LINE} bytes")]
    LongLine,
    /// Too many.
    #[error("the reply has more than {LINES} lines")]
    ManyLines,
    /// Another code.
    #[error("{step}: {text:?}, expected {expected}")]
    Code {
        /// What it answers.
        step: &'static str,
        /// What was said.
        text: String,
        /// What was to be said.
        expected: u16,
    },
}

/// Reads one reply after another.
#[derive(Debug, Default)]
pub struct Reader {
    line: Vec<u8>,
    lines: u16,
    code: Option<u16>,
}

impl Reader {
    /// Takes what came: how many bytes are of this reply, and the reply if it is whole.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(usize, Option<Reply>), SmtpError> {
        let mut taken = 0;
        while taken < bytes.len() {
            let rest = &bytes[taken..];
            let newline = rest.iter().position(|byte| *byte == b'\n');
            let length = newline.map_or(rest.len(), |at| at + 1);
            if self.line.len() + length > LINE {
                return Err(SmtpError::LongLine);
            }
            self.line.extend_from_slice(&rest[..length]);
            taken += length;
            if newline.is_none() {
                self.begins_well()?;
                break;
            }
            let line = std::mem::take(&mut self.line);
            if let Some(reply) = self.after_line(&line)? {
                *self = Self::default();
                return Ok((taken, Some(reply)));
            }
        }
        Ok((taken, None))
    }

    /// What does not begin with digits needs not be waited for.
    fn begins_well(&self) -> Result<(), SmtpError> {
        if self.line.iter().take(3).all(u8::is_ascii_digit) {
            return Ok(());
        }
        Err(SmtpError::NotSmtp(shown(&self.line)))
    }

    fn after_line(&mut self, line: &[u8]) -> Result<Option<Reply>, SmtpError> {
        self.lines += 1;
        if self.lines > LINES {
            return Err(SmtpError::ManyLines);
        }
        let wrong = || SmtpError::NotSmtp(shown(line));
        let code = line.get(..3).ok_or_else(wrong)?;
        if !code.iter().all(u8::is_ascii_digit) {
            return Err(wrong());
        }
        let digit = |byte: u8| u16::from(byte - b'0');
        let code = 100 * digit(code[0]) + 10 * digit(code[1]) + digit(code[2]);
        if self.code.is_some_and(|first| first != code) {
            return Err(wrong());
        }
        self.code = Some(code);
        match line.get(3) {
            Some(b'-') => Ok(None),
            Some(b' ' | b'\r' | b'\n') => Ok(Some(Reply {
                code,
                text: shown(line),
            })),
            Some(_) | None => Err(wrong()),
        }
    }
}

impl Reply {
    /// Whether it is the one that must come.
    pub fn judge(&self, step: &'static str, expected: u16) -> Result<(), SmtpError> {
        if self.code == expected {
            return Ok(());
        }
        Err(SmtpError::Code {
            step,
            text: self.text.clone(),
            expected,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &[u8], size: usize) -> Result<Option<(Reply, usize)>, SmtpError> {
        let mut reader = Reader::default();
        let mut used = 0;
        for piece in text.chunks(size) {
            let (taken, reply) = reader.feed(piece)?;
            used += taken;
            if let Some(reply) = reply {
                return Ok(Some((reply, used)));
            }
        }
        Ok(None)
    }

    #[test]
    fn replies_are_read() {
        for (text, code, used) in [
            ("220 mail.example ESMTP\r\n", 220, 24),
            (
                "250-mail.example\r\n250-SIZE 100\r\n250 HELP\r\n220 x",
                250,
                42,
            ),
            ("250\r\n", 250, 5),
            ("221 bye\n", 221, 8),
        ] {
            for size in [1, 7, 1000] {
                let (reply, taken) = read(text.as_bytes(), size).unwrap().expect("a reply");
                assert_eq!((reply.code, taken), (code, used), "{text}");
            }
        }
        assert_eq!(read(b"250-more\r\n250", 100), Ok(None));
    }

    #[test]
    fn replies_that_are_wrong_are_told() {
        let long = format!("220 {}", "x".repeat(LINE));
        let many = "250-x\r\n".repeat(101);
        for (text, said) in [
            ("SSH-2.0", "not SMTP: \"SSH-2.0\""),
            ("22\r\n", "not SMTP"),
            ("220_x\r\n", "not SMTP"),
            ("250-a\r\n251 b\r\n", "not SMTP"),
            (&long, "2048 bytes"),
            (&many, "100 lines"),
        ] {
            let error = read(text.as_bytes(), 1000).unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    #[test]
    fn a_code_is_expected() {
        let (reply, _) = read(b"554 go away\r\n", 100).unwrap().expect("a reply");
        assert_eq!(reply.judge("greeting", 554), Ok(()));
        let error = reply.judge("greeting", 220).unwrap_err().to_string();
        assert_eq!(error, "greeting: \"554 go away\", expected 220");
    }

    proptest! {
        #[test]
        fn never_panics(text in "[0-9]{2,4}[- x]?\\PC{0,5}(\r\n)?([0-9]{3}[- ]\r?\n?){0,3}", size in 1_usize..9) {
            let _ = read(text.as_bytes(), size);
        }
    }
}
