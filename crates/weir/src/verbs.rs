//! What can be asked of the command line: a file each, with its help.

pub mod apply;
pub mod audit;
pub mod bfd;
pub mod check;
pub mod connections;
pub mod counters;
pub mod detach;
pub mod drain;
pub mod drift;
pub mod events;
pub mod get;
pub mod health;
pub mod history;
pub mod import;
pub mod ipvsadm;
pub mod maintenance;
pub mod plan;
pub mod probe;
pub mod proc;
pub mod realserver;
pub mod rollback;
pub mod run;
pub mod services;
pub mod set;
pub mod status;
pub mod vrrp;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use weir_api::client::Client;
use weir_api::management::Document;

use crate::exit::{self, Code, Failure, Outcome};
use crate::languages::{self, Language};

/// Which director is meant.
#[derive(Args, Clone, Debug)]
pub struct Target {
    /// The director's socket
    #[arg(
        long,
        value_name = "PATH",
        env = weir_api::SOCKET_VARIABLE,
        default_value = weir_api::DEFAULT_SOCKET
    )]
    pub socket: PathBuf,
}

/// How an answer is shown.
#[derive(Args, Clone, Copy, Debug)]
pub struct Form {
    /// Print JSON, as the management API gives it
    #[arg(long)]
    pub json: bool,
}

impl Target {
    /// A client of that director.
    pub fn client(&self) -> Result<Client, Failure> {
        Client::new(&self.socket).map_err(|error| Failure::new(Code::Failed, error))
    }
}

impl Form {
    /// Prints an answer, as JSON or as `render` writes it.
    pub fn print<T: Serialize>(self, answer: &T, render: impl FnOnce(&T) -> String) -> Outcome {
        if !self.json {
            print(&render(answer));
            return Ok(());
        }
        let json = serde_json::to_string_pretty(answer)
            .map_err(|error| Failure::new(Code::Failed, error))?;
        print(&(json + "\n"));
        Ok(())
    }
}

/// Prints to standard output. Whoever reads it may have stopped reading (`| head`): no matter.
pub fn print(text: &str) {
    let _ = io::stdout().write_all(text.as_bytes());
}

/// A configuration file; `-` is standard input.
fn read_document(path: &Path, keep: bool) -> Result<Document, Failure> {
    let is_file = path != Path::new("-");
    let text = if is_file {
        fs::read_to_string(path)
    } else {
        io::read_to_string(io::stdin())
    };
    let text = text.map_err(|error| {
        Failure::new(
            Code::Usage,
            format!("cannot read {}: {error}", path.display()),
        )
    })?;
    let whole = fs::canonicalize(path).ok().filter(|_| is_file);
    Ok(Document {
        name: path.display().to_string(),
        text: as_weir_toml(path, text)?,
        path: whole.map(|path| path.display().to_string()),
        keep,
    })
}

/// A file of another language, in the daemon's. Where packets are taken is not said in those.
fn as_weir_toml(path: &Path, text: String) -> Result<String, Failure> {
    if Language::of(path, &text) == Language::Weir {
        return Ok(text);
    }
    let mut said = languages::parse(path, &text, &languages::Options::default())
        .map_err(|unread| Failure::new(Code::Usage, unread))?;
    for note in &said.notes {
        exit::complain(&format!("{note}\n"));
    }
    said.config.director.interfaces.clear();
    import::translate(&said)
}

/// Rows in columns: all but the last padded to the widest.
fn columns(rows: &[Vec<String>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..count)
        .map(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        text += "  ";
        text += cells.join("  ").trim_end();
        text.push('\n');
    }
    text
}
