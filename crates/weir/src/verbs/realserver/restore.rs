//! `weir realserver restore`.

use clap::Args;
use weir_host::{privilege, realserver as host};
use weir_realserver::record::{Undo, restore};

use super::{Places, program, state};
use crate::exit::{self, Code, Failure, Outcome};

/// Put back everything that `weir realserver prepare` has changed
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  weir realserver restore

Takes the program out of the kernel, the virtual addresses from lo that were not there before, and
gives the settings the values that they had. A setting that somebody has changed since is left alone.")]
pub struct Arguments {
    #[command(flatten)]
    places: Places,
}

/// Puts back, and says what.
pub fn run(arguments: &Arguments) -> Outcome {
    privilege::check().map_err(|error| Failure::new(Code::Machine, error))?;
    let places = &arguments.places;
    let record = state::load(&places.state)?;
    if record.is_empty() {
        exit::say("nothing to put back: nothing was prepared here");
        return state::remove(&places.state);
    }
    let facts = places.pinned.facts()?;
    for undo in restore(&record, &facts) {
        exit::say(&apply(&undo, places)?);
    }
    state::remove(&places.state)
}

/// What was done, in a line.
fn apply(undo: &Undo, places: &Places) -> Result<String, Failure> {
    let failed = |what: String, error: std::io::Error| {
        Failure::new(
            Code::Failed,
            format!("cannot {what}: {error}. Run this again when that is mended"),
        )
    };
    Ok(match undo {
        Undo::StopDecapsulation => {
            program::remove(&places.pinned.bpffs)?;
            "opens no tunnels any more".to_owned()
        }
        Undo::RemoveAddress(address) => {
            host::remove_address(*address)
                .map_err(|error| failed(format!("remove {address} from lo"), error))?;
            format!("removed {address} from lo")
        }
        Undo::Set(sysctl, value) => {
            host::set(sysctl, *value).map_err(|error| failed(format!("set {sysctl}"), error))?;
            format!("{sysctl}: {value}, as before")
        }
        Undo::Leave(sysctl, value) => {
            format!("{sysctl}: left at {value}, which somebody has made it since")
        }
    })
}
