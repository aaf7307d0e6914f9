//! `weir detach`: takes everything out of the kernel.

use std::path::PathBuf;

use clap::Args;
use dataplane::{Attachment, Removed};
use serde::Serialize;
use weir_dataplane as dataplane;
use weir_host::{bpffs, privilege};

use super::Form;
use super::run::with_causes;
use crate::amount::Amount;
use crate::exit::{Code, Failure, Outcome};

/// Take programs, tables and connections out of the kernel
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  systemctl stop weir && weir detach

A daemon that is stopped or killed leaves everything in the kernel, and forwarding goes on. This
ends it: connections are forgotten, and the next daemon begins with empty tables.")]
pub struct Arguments {
    /// Where tables and programs are pinned
    #[arg(long, value_name = "DIR", default_value = super::run::DEFAULT_BPFFS)]
    bpffs: PathBuf,
    #[command(flatten)]
    form: Form,
}

/// Detaches, unless a daemon runs.
pub fn run(arguments: &Arguments) -> Outcome {
    privilege::check().map_err(|error| Failure::new(Code::Machine, error))?;
    if !arguments.bpffs.exists() {
        return arguments.form.print(&Answer::default(), Answer::render);
    }
    let _held = bpffs::hold_existing(&arguments.bpffs).map_err(|error| match error {
        bpffs::Error::InUse(path) => Failure::new(
            Code::Taken,
            format!(
                "a director runs on {}: stop it first, it would only attach again",
                path.display()
            ),
        ),
        error @ bpffs::Error::NotBpf(_) => Failure::new(Code::Usage, error),
        error @ (bpffs::Error::NotMounted { .. } | bpffs::Error::Refused { .. }) => {
            Failure::new(Code::Failed, error)
        }
    })?;
    let removed = dataplane::detach(&arguments.bpffs)
        .map_err(|error| Failure::new(Code::Failed, with_causes(&error)))?;
    arguments.form.print(&Answer::of(removed), Answer::render)
}

/// What has been taken out.
#[derive(Default, Serialize)]
struct Answer {
    interfaces: Vec<Detached>,
    tables: usize,
}

/// A program taken off an interface.
#[derive(Serialize)]
struct Detached {
    /// Nothing when the interface is gone.
    name: Option<String>,
    index: u32,
    mode: &'static str,
}

impl Answer {
    fn of(removed: Removed) -> Self {
        let interfaces = removed.attachments.into_iter();
        Self {
            interfaces: interfaces
                .map(|(index, name, how)| Detached {
                    name,
                    index,
                    mode: match how {
                        Attachment::Xdp => "xdp",
                        Attachment::XdpGeneric => "xdp-generic",
                        Attachment::Tc => "tc",
                    },
                })
                .collect(),
            tables: removed.tables,
        }
    }

    fn render(&self) -> String {
        if self.interfaces.is_empty() && self.tables == 0 {
            return "nothing to take out\n".to_owned();
        }
        let mut text = String::new();
        for one in &self.interfaces {
            let name = one.name.as_deref().unwrap_or("(gone)");
            text += &format!("detached {} from {name} (index {})\n", one.mode, one.index);
        }
        text + &format!(
            "removed {} and all connections\n",
            Amount::of(self.tables, "table")
        )
    }
}
