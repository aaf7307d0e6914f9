//! `weir realserver show`.

use clap::Args;
use serde::Serialize;
use weir_dataplane::realserver as kernel;
use weir_realserver::record::Record;

use super::{Places, program, state};
use crate::exit::{Code, Failure, Outcome};
use crate::verbs::run::with_causes;
use crate::verbs::{Form, columns};

/// Show what was prepared on this host, and what became of packets in tunnels
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  weir realserver show
  weir realserver show --json | jq .packets")]
pub struct Arguments {
    #[command(flatten)]
    places: Places,
    #[command(flatten)]
    form: Form,
}

#[derive(Serialize)]
struct Answer {
    /// What was changed, and how it was before.
    changed: Record,
    /// What became of packets that came in tunnels; nothing where none are opened.
    packets: Option<Vec<Packets>>,
}

#[derive(Serialize)]
struct Packets {
    became: &'static str,
    outcome: &'static str,
    packets: u64,
}

/// Reads and prints.
pub fn run(arguments: &Arguments) -> Outcome {
    let changed = state::load(&arguments.places.state)?;
    let state = kernel::state(&arguments.places.pinned.bpffs)
        .map_err(|error| Failure::new(Code::Failed, with_causes(&error)))?;
    let packets = state.as_ref().map(|state| {
        let all = state.decapsulations.iter();
        all.map(|(became, packets)| Packets {
            became: became.name(),
            outcome: match (became.is_dropped(), became.is_passed()) {
                (true, _) => "dropped",
                (false, true) => "passed",
                (false, false) => "held",
            },
            packets: *packets,
        })
        .collect()
    });
    let changed = Record {
        decapsulation: state.as_ref().map(program::decapsulation),
        ..changed
    };
    let answer = Answer { changed, packets };
    arguments.form.print(&answer, Answer::render)
}

impl Answer {
    fn render(&self) -> String {
        let record = &self.changed;
        if record.is_empty() {
            return "nothing was prepared here\n".to_owned();
        }
        let mut text = String::new();
        for address in &record.addresses {
            text += &format!("added {address} to lo\n");
        }
        for one in &record.sysctls {
            text += &format!("{}: {} -> {}\n", one.sysctl, one.before, one.after);
        }
        if let Some(told) = &record.decapsulation {
            text += &format!("opens tunnels on {}\n", told.interfaces.join(", "));
        }
        let rows = self.packets.iter().flatten().map(|one| {
            vec![
                one.outcome.to_owned(),
                one.became.to_owned(),
                one.packets.to_string(),
            ]
        });
        text + &columns(&rows.collect::<Vec<_>>())
    }
}
