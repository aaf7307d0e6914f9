//! A body in chunks (RFC 9112 section 7.1).

use super::HttpError;
use crate::answer::body::Body;

/// The longest line that says how long a chunk is, with its extensions.
const LINE: usize = 1 << 10;
/// The longest trailer.
const TRAILER: usize = 16 << 10;

/// Where we are in it.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    stage: Stage,
    line: Vec<u8>,
    trailer: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Size,
    Data(u64),
    DataEnd,
    Trailer,
    Over,
}

impl Chunks {
    pub fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }

    /// Gives the body what is in the chunks. How many bytes were of it.
    pub fn feed(&mut self, bytes: &[u8], body: &mut Body) -> Result<usize, HttpError> {
        let mut rest = bytes;
        while !rest.is_empty() && self.stage != Stage::Over {
            if let Stage::Data(left) = self.stage {
                let taken = usize::try_from(left).map_or(rest.len(), |left| left.min(rest.len()));
                body.add(&rest[..taken]);
                rest = &rest[taken..];
                self.stage = match left - taken as u64 {
                    0 => Stage::DataEnd,
                    left => Stage::Data(left),
                };
                continue;
            }
            let newline = rest.iter().position(|byte| *byte == b'\n');
            let taken = newline.map_or(rest.len(), |at| at + 1);
            if self.line.len() + taken > LINE {
                return Err(HttpError::Chunks);
            }
            self.line.extend_from_slice(&rest[..taken]);
            rest = &rest[taken..];
            if newline.is_some() {
                self.stage = self.after_line()?;
                self.line.clear();
            }
        }
        Ok(bytes.len() - rest.len())
    }

    fn after_line(&mut self) -> Result<Stage, HttpError> {
        let line = self.line.trim_ascii();
        Ok(match self.stage {
            Stage::Size => match size(line)? {
                0 => Stage::Trailer,
                size => Stage::Data(size),
            },
            Stage::DataEnd if line.is_empty() => Stage::Size,
            Stage::DataEnd => return Err(HttpError::Chunks),
            Stage::Trailer if line.is_empty() => Stage::Over,
            Stage::Trailer => {
                self.trailer += self.line.len();
                if self.trailer > TRAILER {
                    return Err(HttpError::Chunks);
                }
                Stage::Trailer
            }
            Stage::Data(_) | Stage::Over => self.stage,
        })
    }
}

fn size(line: &[u8]) -> Result<u64, HttpError> {
    let digits = line.split(|byte| *byte == b';').next().unwrap_or(line);
    let text = std::str::from_utf8(digits.trim_ascii()).map_err(|_| HttpError::Chunks)?;
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(HttpError::Chunks);
    }
    u64::from_str_radix(text, 16).map_err(|_| HttpError::Chunks)
}
