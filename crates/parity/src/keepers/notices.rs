//! What a keeper tells: mails, lines in its pipes, scripts that it runs.

use super::servers::{Mail, Mails};
use anyhow::Result;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

type Lines = Arc<Mutex<Vec<String>>>;

/// Who listens.
pub struct Notices {
    mails: Mails,
    pipes: [(&'static str, Lines); 2],
    scripts: PathBuf,
    read: usize,
}

impl Notices {
    /// Listens to the pipes `all` and `lvs` in a directory, which are made, and to the file that scripts write.
    pub fn listen(mails: Mails, directory: &Path) -> Result<Notices> {
        Ok(Notices {
            mails,
            pipes: [
                ("pipe of all", follow(&directory.join("all"))?),
                ("pipe of services", follow(&directory.join("lvs"))?),
            ],
            scripts: directory.join("scripts"),
            read: 0,
        })
    }

    /// What was told since it was last asked.
    pub fn take(&mut self) -> Vec<String> {
        let mut all: Vec<(&'static str, String)> = Vec::new();
        let mails = std::mem::take(&mut *self.mails.lock().unwrap_or_else(PoisonError::into_inner));
        for mail in &mails {
            all.extend(written(mail));
        }
        for (name, lines) in &self.pipes {
            let lines = std::mem::take(&mut *lines.lock().unwrap_or_else(PoisonError::into_inner));
            all.extend(lines.into_iter().map(|line| (*name, line)));
        }
        // Where no script has run yet, there is no file.
        let scripts = fs::read_to_string(&self.scripts).unwrap_or_default();
        let lines: Vec<&str> = scripts.lines().collect();
        let new = lines.iter().skip(self.read);
        all.extend(new.map(|line| ("script", (*line).to_owned())));
        self.read = lines.len();
        all.iter()
            .map(|(how, text)| format!("{how}: {}", text.trim_end()))
            .collect()
    }
}

/// What a mail says, and what it is like otherwise: without what is of its moment, its program and its host.
fn written(mail: &Mail) -> [(&'static str, String); 2] {
    let mut text = mail.text.iter();
    let mut subject = "";
    let mut like: Vec<String> = mail.commands.clone();
    like.extend(text.by_ref().take_while(|line| !line.is_empty()).cloned());
    for line in &mut like {
        if let Some(said) = mail
            .text
            .iter()
            .find_map(|line| line.strip_prefix("Subject: "))
        {
            subject = said;
        }
        for beginning in ["HELO ", "Date: ", "X-Mailer: ", "Subject: "] {
            if line.starts_with(beginning) {
                *line = format!("{beginning}...");
            }
        }
    }
    let body: Vec<&str> = text
        .map(String::as_str)
        .filter(|line| !line.is_empty())
        .collect();
    [
        ("mail", format!("{subject} | {}", body.join(" | "))),
        ("mail like", like.join(" | ")),
    ]
}

fn follow(path: &Path) -> Result<Lines> {
    weir_lab::run(std::process::Command::new("mkfifo").arg(path))?;
    // Open for writing too, so that it never ends.
    let pipe = File::options().read(true).write(true).open(path)?;
    let lines = Lines::default();
    let all = Arc::clone(&lines);
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            all.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(line);
        }
    });
    Ok(lines)
}
