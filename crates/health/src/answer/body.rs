//! A body as it comes: hashed, and kept as far as somebody looks into it.

use std::sync::Arc;

use md5::{Digest, Md5};
use regex::bytes::Regex;
use sha2::Sha256;
use weir_config::model::health::HttpBody;
use weir_config::pattern::{self, PatternError};

/// So much of a body is looked into.
pub const KEPT: usize = 256 << 10;
/// A longer one is not read to its end.
pub const LONGEST: u64 = 4 << 20;

/// What a body must be, ready to be compared with many.
#[derive(Clone, Debug)]
pub enum Expected {
    /// That MD5.
    Md5([u8; 16]),
    /// That SHA-256.
    Sha256([u8; 32]),
    /// Something in it matches, or nothing does.
    Matches(Arc<Match>),
}

/// A pattern, and where it counts.
#[derive(Debug)]
pub struct Match {
    pattern: String,
    regex: Regex,
    not: bool,
    from: usize,
    before: Option<usize>,
}

/// Why nothing can be compared with what was configured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExpectedError {
    /// No such hash.
    #[error("{0:?} is no {1} in hexadecimal")]
    Hash(String, &'static str),
    /// No such pattern.
    #[error("pattern {0:?}: {1}")]
    Pattern(String, PatternError),
}

/// What is wrong with a body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// It goes on and on.
    #[error("the body is longer than {LONGEST} bytes")]
    TooLong,
    /// Another hash.
    #[error("the body of {length} bytes has {kind} {found}, expected {expected}")]
    Hash {
        /// Which hash.
        kind: &'static str,
        /// What it is.
        found: String,
        /// What it should be.
        expected: String,
        /// How long the body was.
        length: u64,
    },
    /// The pattern is not there.
    #[error("{pattern:?} does not match the body{}", part(*.length))]
    NoMatch {
        /// The pattern.
        pattern: String,
        /// How long the body was.
        length: u64,
    },
    /// The pattern is there and should not.
    #[error("{pattern:?} matches the body at byte {at}")]
    Match {
        /// The pattern.
        pattern: String,
        /// Where.
        at: usize,
    },
}

fn part(length: u64) -> String {
    if length > KEPT as u64 {
        format!(" (its first {KEPT} of {length} bytes)")
    } else {
        format!(" of {length} bytes")
    }
}

impl Expected {
    /// Compiles what was configured.
    pub fn new(configured: &HttpBody) -> Result<Self, ExpectedError> {
        match configured {
            HttpBody::Md5(text) => bytes(text)
                .map(Self::Md5)
                .ok_or_else(|| ExpectedError::Hash(text.clone(), "MD5")),
            HttpBody::Sha256(text) => bytes(text)
                .map(Self::Sha256)
                .ok_or_else(|| ExpectedError::Hash(text.clone(), "SHA-256")),
            HttpBody::Matches {
                pattern,
                not,
                from,
                before,
                options,
            } => {
                let regex = pattern::compile(pattern, options)
                    .map_err(|error| ExpectedError::Pattern(pattern.clone(), error))?;
                Ok(Self::Matches(Arc::new(Match {
                    pattern: pattern.clone(),
                    regex,
                    not: *not,
                    from: *from,
                    before: *before,
                })))
            }
        }
    }
}

fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |digit: u8| char::from(digit).to_digit(16);
        *byte = u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).ok()?;
    }
    Some(bytes)
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What has come of a body.
#[derive(Debug, Default)]
pub struct Body {
    md5: Option<Md5>,
    sha256: Option<Sha256>,
    keep: bool,
    kept: Vec<u8>,
    raw: u64,
    length: u64,
}

impl Body {
    /// None yet, of which so much must be known in the end.
    pub fn new(expected: &[Expected]) -> Self {
        let mut body = Self::default();
        for one in expected {
            match one {
                Expected::Md5(_) => body.md5 = Some(Md5::new()),
                Expected::Sha256(_) => body.sha256 = Some(Sha256::new()),
                Expected::Matches(_) => body.keep = true,
            }
        }
        body
    }

    /// None yet, which is kept.
    pub fn to_keep() -> Self {
        Self {
            keep: true,
            ..Self::default()
        }
    }

    /// Bytes as they came, chunks' sizes among them. MD5 is that of these, as `genhash` has it.
    pub fn add_raw(&mut self, bytes: &[u8]) -> Result<(), BodyError> {
        self.raw += bytes.len() as u64;
        if self.raw > LONGEST {
            return Err(BodyError::TooLong);
        }
        if let Some(hash) = &mut self.md5 {
            hash.update(bytes);
        }
        Ok(())
    }

    /// The same bytes without what chunks are told apart by.
    pub fn add(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        if let Some(hash) = &mut self.sha256 {
            hash.update(bytes);
        }
        if self.keep {
            let room = KEPT - self.kept.len();
            self.kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
    }

    /// How long it is by now.
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// What was kept of it.
    pub fn kept(&self) -> &[u8] {
        &self.kept
    }

    /// Whether it is what it must be.
    pub fn judge(&self, expected: &[Expected]) -> Result<(), BodyError> {
        expected.iter().try_for_each(|one| self.judge_one(one))
    }

    fn judge_one(&self, expected: &Expected) -> Result<(), BodyError> {
        match expected {
            Expected::Md5(hash) => {
                let found = self.md5.clone().unwrap_or_default().finalize();
                self.compare("MD5", &found, hash)
            }
            Expected::Sha256(hash) => {
                let found = self.sha256.clone().unwrap_or_default().finalize();
                self.compare("SHA-256", &found, hash)
            }
            Expected::Matches(wanted) => self.look_for(wanted),
        }
    }

    fn compare(&self, kind: &'static str, found: &[u8], hash: &[u8]) -> Result<(), BodyError> {
        if found == hash {
            return Ok(());
        }
        Err(BodyError::Hash {
            kind,
            found: hexadecimal(found),
            expected: hexadecimal(hash),
            length: self.length,
        })
    }

    fn look_for(&self, wanted: &Match) -> Result<(), BodyError> {
        let found = (wanted.from <= self.kept.len())
            .then(|| wanted.regex.find_at(&self.kept, wanted.from))
            .flatten()
            .map(|found| found.start())
            .filter(|at| wanted.before.is_none_or(|before| *at < before));
        match (found, wanted.not) {
            (Some(_), false) | (None, true) => Ok(()),
            (Some(at), true) => Err(BodyError::Match {
                pattern: wanted.pattern.clone(),
                at,
            }),
            (None, false) => Err(BodyError::NoMatch {
                pattern: wanted.pattern.clone(),
                length: self.length,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, not: bool, from: usize, before: Option<usize>) -> HttpBody {
        HttpBody::Matches {
            pattern: pattern.to_owned(),
            not,
            from,
            before,
            options: String::new(),
        }
    }

    fn judge(text: &[u8], configured: &HttpBody) -> Result<(), String> {
        let expected = [Expected::new(configured).unwrap()];
        let mut body = Body::new(&expected);
        for piece in text.chunks(1000) {
            body.add_raw(piece).map_err(|error| error.to_string())?;
            body.add(piece);
        }
        body.judge(&expected).map_err(|error| error.to_string())
    }

    #[test]
    fn bodies_are_compared() {
        let md5 = "5eb63bbbe01eeed093cb22bb8f5acdc3";
        let sha256 = "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9";
        for (configured, well) in [
            (HttpBody::Md5(md5.to_owned()), true),
            (HttpBody::Md5(md5.to_uppercase()), true),
            (HttpBody::Md5(md5.replace('5', "6")), false),
            (HttpBody::Sha256(sha256.to_owned()), true),
            (HttpBody::Sha256(sha256.replace('b', "c")), false),
            (matches("wor", false, 0, None), true),
            (matches("wor", false, 6, None), true),
            (matches("wor", false, 7, None), false),
            (matches("wor", false, 0, Some(7)), true),
            (matches("wor", false, 0, Some(6)), false),
            (matches("wor", false, 999, None), false),
            (matches("^hello world$", false, 0, None), true),
            (matches("wor", true, 0, None), false),
            (matches("error", true, 0, None), true),
        ] {
            let judged = judge(b"hello world", &configured);
            assert_eq!(judged.is_ok(), well, "{configured:?}: {judged:?}");
        }
    }

    #[test]
    fn long_bodies_are_looked_into_at_their_beginning() {
        let mut long = vec![b'x'; KEPT];
        long.extend(b"end");
        assert!(judge(&long, &matches("^x", false, 0, None)).is_ok());
        let error = judge(&long, &matches("end", false, 0, None)).unwrap_err();
        assert!(error.contains("262144 of 262147"), "{error}");
        let endless = vec![0; usize::try_from(LONGEST).unwrap() + 1];
        let error = judge(&endless, &matches("x", true, 0, None)).unwrap_err();
        assert!(error.contains("longer than"), "{error}");
    }

    #[test]
    fn what_is_no_hash_is_refused() {
        for wrong in ["", "12", "zz3bbbe01eeed093cb22bb8f5acdc35eb6"] {
            Expected::new(&HttpBody::Md5(wrong.to_owned())).unwrap_err();
        }
    }
}
