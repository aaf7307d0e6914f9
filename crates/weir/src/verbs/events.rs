//! `weir events`: what happens, as it happens.

use std::io::{self, Write};
use std::ops::ControlFlow;

use clap::Args;
use weir_api::types::Event;

use super::{Form, Target};
use crate::exit::Outcome;

/// Show what happens as it happens: changes, health, VRRP
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  weir events
  weir events --kind health
  weir events --json | jq -c 'select(.kind == \"vrrp\")'

It ends with the daemon, or with Ctrl-C.")]
pub struct Arguments {
    /// Only of this kind: change, health, vrrp, reload; may be said more than once
    #[arg(long = "kind", value_name = "KIND")]
    kinds: Vec<String>,
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    form: Form,
}

/// Listens and prints.
pub fn run(arguments: &Arguments) -> Outcome {
    let client = arguments.target.client()?;
    let kinds = &arguments.kinds;
    client.listen(|event| {
        let Some(event) = event else {
            return ControlFlow::Continue(());
        };
        if !kinds.is_empty() && !kinds.contains(&event.kind) {
            return ControlFlow::Continue(());
        }
        // Nobody reads it any more (`| head`): there is no more to do.
        match writeln!(io::stdout(), "{}", line(&event, arguments.form)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    })?;
    Ok(())
}

fn line(event: &Event, form: Form) -> String {
    if form.json {
        return serde_json::to_string(event).unwrap_or_default();
    }
    let Event {
        time,
        kind,
        subject,
        message,
        ..
    } = event;
    format!("{time}  {kind}  {subject}: {message}")
}
