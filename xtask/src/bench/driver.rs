//! The driver of packets, `crates/bench`, and what it says.

use super::{Bench, Case};
use crate::build;
use anyhow::{Context, Result, bail};
use std::path::PathBuf;

/// The driver and its programs, built.
pub struct Driver {
    /// The binary.
    pub binary: PathBuf,
    /// The object with its programs.
    pub programs: PathBuf,
}

impl Driver {
    /// Builds both.
    pub fn build() -> Result<Driver> {
        Ok(Driver {
            programs: build::bench_programs()?,
            binary: build::bench_driver()?,
        })
    }

    /// The words of a run, with its files where `place` says that they are.
    pub fn line(
        &self,
        weir: &std::path::Path,
        place: impl Fn(&std::path::Path) -> Result<String>,
        run: &Run,
    ) -> Result<Vec<String>> {
        let numbers = run.flows.iter().map(u32::to_string).collect::<Vec<_>>();
        let contenders: Vec<_> = run.contenders.iter().map(|name| word(name)).collect();
        let mut words = vec![place(&self.binary)?, "packets".to_owned()];
        for (name, value) in [
            ("--programs", place(&self.programs)?),
            ("--weir", place(weir)?),
            ("--contenders", contenders.join(",")),
            ("--traffic", run.traffic.join(",")),
            ("--flows", numbers.join(",")),
            ("--packets", run.packets.to_string()),
            ("--rounds", run.rounds.to_string()),
        ] {
            words.extend([name.to_owned(), value]);
        }
        if run.lossy {
            words.push("--lossy".to_owned());
        }
        Ok(words)
    }
}

/// What to drive.
pub struct Run<'a> {
    /// Who, by the names of the report.
    pub contenders: &'a [&'a str],
    /// What traffic, in the driver's words.
    pub traffic: &'a [&'a str],
    /// On how many flows.
    pub flows: &'a [u32],
    /// Packets of each figure.
    pub packets: u32,
    /// How many figures of each.
    pub rounds: u32,
    /// Whether packets may be lost.
    pub lossy: bool,
}

/// A contender's name as a word of a command line.
pub fn word(contender: &str) -> String {
    contender.to_lowercase().replace(' ', "-")
}

/// A line that the driver said.
#[derive(Debug, PartialEq)]
pub enum Said {
    /// Nanoseconds a packet; instructions, where the clock counts those.
    Sample {
        /// What was measured.
        case: String,
        /// Of whom.
        contender: String,
        /// How much.
        value: f64,
    },
    /// No figure.
    Refused(String),
    /// A version or a setting.
    Note(String),
    /// For whoever waits.
    Progress(String),
}

/// Reads a line.
pub fn read(line: &str) -> Result<Said> {
    let fields: Vec<&str> = line.split('\t').collect();
    Ok(match *fields {
        ["sample", case, contender, value] => Said::Sample {
            case: case.to_owned(),
            contender: contender.to_owned(),
            value: value
                .parse()
                .with_context(|| format!("no number in `{line}`"))?,
        },
        ["refused", case, contender, reason] => {
            Said::Refused(format!("No figure for {contender}, {case}: {reason}."))
        }
        ["note", text] => Said::Note(text.to_owned()),
        ["sample" | "refused" | "note", ..] => bail!("cannot read `{line}`"),
        _ => Said::Progress(line.to_owned()),
    })
}

/// Writes what was said down: samples by the case that `case` makes of a name, and a value.
pub fn record(bench: &mut Bench, said: Vec<Said>, case: impl Fn(&str, f64) -> (Case, f64)) {
    for said in said {
        match said {
            Said::Sample {
                case: name,
                contender,
                value,
            } => {
                let (case, value) = case(&name, value);
                bench.measure(&case, &contender, value);
            }
            Said::Refused(text) | Said::Note(text) => bench.note(text),
            Said::Progress(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Said, read};

    #[test]
    fn lines_are_samples_notes_or_for_people() {
        let sample = Said::Sample {
            case: "UDP".to_owned(),
            contender: "floor".to_owned(),
            value: 2.5,
        };
        assert_eq!(read("sample\tUDP\tfloor\t2.5").expect("a sample"), sample);
        assert_eq!(read("note\tx").expect("a note"), Said::Note("x".to_owned()));
        assert_eq!(
            read("sample of words").expect("progress"),
            Said::Progress("sample of words".to_owned())
        );
        assert!(read("sample\tUDP\tfloor").is_err() && read("sample\ta\tb\tc").is_err());
    }
}
