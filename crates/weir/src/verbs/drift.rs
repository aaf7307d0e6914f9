//! `weir drift`: how what runs differs from what the configuration file said.

use clap::Args;
use weir_api::types::{Difference, Drift};

use super::{Form, Target};
use crate::exit::Outcome;

/// Show how what runs differs from what the configuration file said, and why
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  weir drift
  weir apply /etc/weir/weir.toml    # makes the file all that is wanted again

First comes what was changed by hand (with ipvsadm, or by a rollback) since the file was read, then what
health checks, maintenance and draining make of what is wanted.")]
pub struct Arguments {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    form: Form,
}

/// Asks and prints.
pub fn run(arguments: &Arguments) -> Outcome {
    let drift = arguments.target.client()?.drift()?;
    arguments.form.print(&drift, render)
}

fn render(drift: &Drift) -> String {
    let Some(file) = &drift.file else {
        return "no configuration file has been read: all was made by hand\n".to_owned()
            + &part("In the tables, beside what is wanted", &drift.in_effect);
    };
    let by_hand = part(&format!("Beside what {file} said"), &drift.by_hand);
    let in_effect = part("In the tables, beside what is wanted", &drift.in_effect);
    match by_hand.is_empty() && in_effect.is_empty() {
        true => format!("nothing differs from what {file} said\n"),
        false => by_hand + &in_effect,
    }
}

fn part(title: &str, differences: &[Difference]) -> String {
    if differences.is_empty() {
        return String::new();
    }
    let mut text = format!("{title}\n");
    for difference in differences {
        text += &format!("  {}", difference.change);
        let revision = difference.revision;
        let revision = revision.map(|number| format!("revision {number}, "));
        if let Some(reason) = &difference.reason {
            text += &format!("  ({}{reason})", revision.unwrap_or_default());
        }
        text.push('\n');
    }
    text
}
