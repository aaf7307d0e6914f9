//! The driver of packets, `crates/bench`, and what it says.

use super::{Bench, Case};
use crate::vm::{Clock, Guest, Series};
use crate::{build, step};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The kernel of the machine.
pub const KERNEL: &str = "6.12";

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

    /// Runs it on this machine; `words` are a verb and its options.
    pub fn here(&self, weir: &Path, title: &str, words: &[String]) -> Result<Vec<Said>> {
        let mut command = Command::new(&self.binary);
        command
            .args(words)
            .arg("--programs")
            .arg(&self.programs)
            .arg("--weir")
            .arg(weir);
        let said = step::run(title, &mut command)?;
        said.lines().map(read).collect()
    }

    /// What most verbs are given.
    pub fn files<'a>(&'a self, weir: &'a Path) -> [(&'static str, &'a Path); 2] {
        [("--programs", &self.programs), ("--weir", weir)]
    }

    /// Runs it in a machine that has just booted and whose clock counts instructions, shows what it says. `files` go
    /// along, each the value of an option.
    pub fn in_machine(&self, files: &[(&str, &Path)], words: &[String]) -> Result<Vec<Said>> {
        let guest = Guest {
            kernel: KERNEL.parse::<Series>().map_err(anyhow::Error::msg)?,
            memory_mib: 3072,
            limit: Duration::from_secs(1800),
            clock: Clock::Instructions,
        };
        let in_guest = |path: &Path| {
            let name = path.file_name().context("a file without a name")?;
            anyhow::Ok(format!("/job/{}", name.to_string_lossy()))
        };
        let mut line = format!("exec {} {}", in_guest(&self.binary)?, words.join(" "));
        let mut taken = vec![self.binary.clone()];
        for (option, path) in files {
            line += &format!(" {option} {}", in_guest(path)?);
            taken.push((*path).to_owned());
        }
        line += " 2>&1\n";
        let mut lines = Vec::new();
        let outcome = guest.run(&line, &taken, |line| {
            show(line);
            lines.push(line.to_owned());
        })?;
        if outcome.status != 0 {
            bail!("the driver failed in the machine:\n{}", lines.join("\n"));
        }
        lines.iter().map(|line| read(line)).collect()
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
    /// Whether it is for this machine: in front of its other programs, and with losses told instead of refused.
    pub busy: bool,
}

impl Run<'_> {
    /// As the driver's words.
    pub fn words(&self) -> Vec<String> {
        let numbers: Vec<_> = self.flows.iter().map(u32::to_string).collect();
        let contenders: Vec<_> = self.contenders.iter().map(|name| word(name)).collect();
        let mut words = vec!["packets".to_owned()];
        for (name, value) in [
            ("--contenders", contenders.join(",")),
            ("--traffic", self.traffic.join(",")),
            ("--flows", numbers.join(",")),
            ("--packets", self.packets.to_string()),
            ("--rounds", self.rounds.to_string()),
        ] {
            words.extend([name.to_owned(), value]);
        }
        if self.busy {
            words.extend(["--lossy", "--in-front"].map(str::to_owned));
        }
        words
    }
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

/// Shows a line to whoever waits.
fn show(line: &str) {
    match read(line) {
        Ok(Said::Progress(text)) => println!("  {text}"),
        Ok(Said::Sample {
            case,
            contender,
            value,
        }) => println!("    {case:45} {contender:12} {value:9.1}"),
        Ok(Said::Refused(text)) => println!("    {text}"),
        Ok(Said::Note(_)) | Err(_) => {}
    }
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
