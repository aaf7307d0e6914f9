//! HTTP/1: the request that is sent, and the answer as it comes.

mod chunks;
mod request;

use httparse::{EMPTY_HEADER, ParserConfig, Response, Status};
use weir_config::model::health::StatusRange;

pub use request::{RequestError, authority, request, user_agent};

use self::chunks::Chunks;
use super::body::{Body, BodyError};
use super::shown;

/// The longest head of an answer.
pub const HEAD: usize = 16 << 10;
/// The most headers in it.
const HEADERS: usize = 100;
/// So many answers that only say that one will come (1xx).
pub const INTERIM: u8 = 8;
/// What every answer begins with.
const BEGIN: &[u8] = b"HTTP/1.";

/// What is wrong with an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// Nothing came.
    #[error("the connection was closed without an answer")]
    Nothing,
    /// It ended before it had begun in earnest.
    #[error("the connection was closed within the head of the answer, after {0} bytes")]
    Cut(usize),
    /// Something else than HTTP.
    #[error("the answer is not HTTP: {0:?}")]
    NotHttp(String),
    /// A head without end.
    #[error("the head of the answer is longer than {HEAD} bytes")]
    LongHead,
    /// A head that cannot be read.
    #[error("the head of the answer is wrong: {0}")]
    Head(String),
    /// Interim answers without end.
    #[error("more than {INTERIM} interim answers")]
    Interim,
    /// Chunks that are none.
    #[error("the body is not in chunks as its head says")]
    Chunks,
    /// A status that is not good.
    #[error("status {status}, expected {expected}")]
    Status {
        /// What it is.
        status: u16,
        /// What is good.
        expected: String,
    },
    /// The body.
    #[error(transparent)]
    Body(#[from] BodyError),
}

/// Whether there is more to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// More is wanted.
    More,
    /// That was all.
    Complete,
}

/// Reads one answer.
#[derive(Debug)]
pub struct Reader {
    stage: Stage,
    head: Vec<u8>,
    interim: u8,
    bodiless: bool,
    status: u16,
    body: Body,
}

#[derive(Debug)]
enum Stage {
    Head,
    /// So many bytes of the body are to come.
    Length(u64),
    Chunked(Chunks),
    UntilEnd,
    Complete,
}

impl Reader {
    /// For an answer of which so much is kept. To `HEAD` there is no body.
    pub fn new(method: &str, body: Body) -> Self {
        Self {
            stage: Stage::Head,
            head: Vec::new(),
            interim: 0,
            bodiless: method == "HEAD",
            status: 0,
            body,
        }
    }

    /// Takes what came.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Progress, HttpError> {
        let mut bytes = bytes;
        while let Stage::Head = self.stage {
            let Some(taken) = self.feed_head(bytes)? else {
                return Ok(Progress::More);
            };
            bytes = &bytes[taken..];
        }
        self.feed_body(bytes)?;
        Ok(self.progress())
    }

    /// The connection was closed. A body that is shorter than its head says is judged as it is, as
    /// keepalived does.
    pub fn end(&mut self) -> Result<(), HttpError> {
        match (&self.stage, self.head.len()) {
            (Stage::Head, 0) => Err(HttpError::Nothing),
            (Stage::Head, length) if !self.may_be_http() => {
                debug_assert!(length > 0);
                Err(HttpError::NotHttp(shown(&self.head)))
            }
            (Stage::Head, length) => Err(HttpError::Cut(length)),
            (Stage::Length(_) | Stage::Chunked(_) | Stage::UntilEnd | Stage::Complete, _) => {
                self.stage = Stage::Complete;
                Ok(())
            }
        }
    }

    /// The status, when the head has come.
    pub fn status(&self) -> Option<u16> {
        (!matches!(self.stage, Stage::Head)).then_some(self.status)
    }

    /// The body, as far as it has come.
    pub const fn body(&self) -> &Body {
        &self.body
    }

    /// The body, for good.
    pub fn into_body(self) -> Body {
        self.body
    }

    fn progress(&self) -> Progress {
        match self.stage {
            Stage::Complete => Progress::Complete,
            Stage::Head | Stage::Length(_) | Stage::Chunked(_) | Stage::UntilEnd => Progress::More,
        }
    }

    fn may_be_http(&self) -> bool {
        let length = self.head.len().min(BEGIN.len());
        self.head[..length] == BEGIN[..length]
    }

    /// How many of the bytes belong to the head, if it ends in them.
    fn feed_head(&mut self, bytes: &[u8]) -> Result<Option<usize>, HttpError> {
        let before = self.head.len();
        let room = HEAD - before;
        self.head.extend_from_slice(&bytes[..bytes.len().min(room)]);
        if !self.may_be_http() {
            return Err(HttpError::NotHttp(shown(&self.head)));
        }
        let Some(end) = end_of_head(&self.head, before) else {
            let full = self.head.len() == HEAD;
            return if full {
                Err(HttpError::LongHead)
            } else {
                Ok(None)
            };
        };
        self.head.truncate(end);
        let stage = self.read_head()?;
        if (100..200).contains(&self.status) && self.status != 101 {
            self.interim += 1;
            if self.interim > INTERIM {
                return Err(HttpError::Interim);
            }
            self.head.clear();
        } else {
            self.stage = stage;
            self.head = Vec::new();
        }
        Ok(Some(end - before))
    }

    /// What follows the head (RFC 9112 section 6.3).
    fn read_head(&mut self) -> Result<Stage, HttpError> {
        let mut headers = [EMPTY_HEADER; HEADERS];
        let mut response = Response::new(&mut headers);
        let parsed = ParserConfig::default()
            .allow_spaces_after_header_name_in_responses(true)
            .allow_obsolete_multiline_headers_in_responses(true)
            .allow_multiple_spaces_in_response_status_delimiters(true)
            .ignore_invalid_headers_in_responses(true)
            .parse_response(&mut response, &self.head)
            .map_err(|error| HttpError::Head(error.to_string()))?;
        let (Status::Complete(_), Some(status)) = (parsed, response.code) else {
            return Err(HttpError::Head("it ends too early".to_owned()));
        };
        let mut length = None;
        let mut chunked = false;
        for header in &*response.headers {
            if header.name.eq_ignore_ascii_case("transfer-encoding") {
                chunked = is_chunked(header.value);
            } else if header.name.eq_ignore_ascii_case("content-length") {
                let value = content_length(header.value)?;
                if length.is_some_and(|length| length != value) {
                    let text = "two lengths of the body that differ";
                    return Err(HttpError::Head(text.to_owned()));
                }
                length = Some(value);
            }
        }
        self.status = status;
        let no_body = self.bodiless || matches!(status, 101 | 204 | 304);
        Ok(match (no_body, chunked, length) {
            (true, _, _) | (false, false, Some(0)) => Stage::Complete,
            (false, true, _) => Stage::Chunked(Chunks::default()),
            (false, false, Some(length)) => Stage::Length(length),
            (false, false, None) => Stage::UntilEnd,
        })
    }

    fn feed_body(&mut self, bytes: &[u8]) -> Result<(), HttpError> {
        match &mut self.stage {
            Stage::Head | Stage::Complete => {}
            Stage::Length(left) => {
                let taken =
                    usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
                *left -= taken as u64;
                let over = *left == 0;
                self.body.add_raw(&bytes[..taken])?;
                self.body.add(&bytes[..taken]);
                if over {
                    self.stage = Stage::Complete;
                }
            }
            Stage::Chunked(chunks) => {
                let taken = chunks.feed(bytes, &mut self.body)?;
                self.body.add_raw(&bytes[..taken])?;
                if chunks.is_over() {
                    self.stage = Stage::Complete;
                }
            }
            Stage::UntilEnd => {
                self.body.add_raw(bytes)?;
                self.body.add(bytes);
            }
        }
        Ok(())
    }
}

/// Behind the empty line, if it is there. What was searched before is not searched again.
fn end_of_head(head: &[u8], searched: usize) -> Option<usize> {
    let from = searched.saturating_sub(3);
    (from..head.len()).find_map(|at| {
        let rest = &head[at..];
        if rest.starts_with(b"\n\n") {
            Some(at + 2)
        } else if rest.starts_with(b"\n\r\n") {
            Some(at + 3)
        } else {
            None
        }
    })
}

fn is_chunked(value: &[u8]) -> bool {
    let last = value.rsplit(|byte| *byte == b',').next().unwrap_or(value);
    last.trim_ascii().eq_ignore_ascii_case(b"chunked")
}

fn content_length(value: &[u8]) -> Result<u64, HttpError> {
    let wrong = || HttpError::Head(format!("a body of {:?} bytes", shown(value)));
    let text = std::str::from_utf8(value.trim_ascii()).map_err(|_| wrong())?;
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    text.parse().map_err(|_| wrong())
}

/// Whether a status is good. None named are those of success.
pub fn judge_status(status: u16, good: &[StatusRange]) -> Result<(), HttpError> {
    let success = [StatusRange::SUCCESS];
    let good = if good.is_empty() { &success } else { good };
    if good.iter().any(|range| range.contains(status)) {
        return Ok(());
    }
    let range = |range: &StatusRange| {
        if range.first == range.last {
            range.first.to_string()
        } else {
            format!("{} to {}", range.first, range.last)
        }
    };
    let expected: Vec<String> = good.iter().map(range).collect();
    Err(HttpError::Status {
        status,
        expected: expected.join(", "),
    })
}

#[cfg(test)]
mod tests;
