//! What a file says.

use std::io;

use tokio::task::spawn_blocking;
use weir_config::model::health::FileCheck;
use weir_health::verdict::{Outcome, Reading, WeightWord};

use crate::Finding;
use crate::talk::{Fault, Talk};

/// So much of a file is read.
const READ: u64 = 64;

pub async fn check(talk: &mut Talk<'_>, check: &FileCheck) -> Finding {
    let path = check.path.clone();
    let reading = async move {
        // A disk may be slow.
        match spawn_blocking(move || read(&path)).await {
            Ok(Ok(text)) => Ok(text),
            Ok(Err(error)) => Err(Fault::Ours(error.to_string())),
            Err(error) => Err(Fault::ours(error)),
        }
    };
    let text = talk.step("file", reading).await?;
    let number = number(&text, check)?;
    talk.tell("file", || format!("{} says {number}", check.path.display()));
    if check.weight == 0 {
        if number == 0 {
            return Ok((Outcome::Passed, Reading::default()));
        }
        let reason = format!("{} says {number}", check.path.display());
        return Err(Fault::Servers(reason));
    }
    let factor = i64::from(check.weight);
    let factor = if check.reverse { -factor } else { factor };
    let reading = Reading {
        weight: Some(WeightWord::Plus(factor.saturating_mul(number))),
        ..Reading::default()
    };
    Ok((Outcome::Passed, reading))
}

/// Its beginning; a file that is not there says nothing, as under keepalived.
fn read(path: &std::path::Path) -> io::Result<String> {
    use std::io::Read;
    use std::os::unix::fs::OpenOptionsExt;
    let opened = std::fs::OpenOptions::new()
        .read(true)
        // Nobody waits for who writes a pipe.
        .custom_flags(NONBLOCK)
        .open(path);
    let file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        Err(error) => return Err(error),
    };
    let mut text = Vec::new();
    file.take(READ).read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

const NONBLOCK: i32 = 0o4000;

/// The number at its beginning; nothing is 0.
fn number(text: &str, check: &FileCheck) -> Result<i64, Fault> {
    let word = text.split_ascii_whitespace().next().unwrap_or("0");
    word.parse().map_err(|_| {
        let path = check.path.display();
        Fault::Ours(format!("{path} says {word:?}, which is no number"))
    })
}
