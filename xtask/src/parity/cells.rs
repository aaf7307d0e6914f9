//! The cells of the matrix, played by `weir-parity` in a machine.

use super::{Arguments, guest};
use anyhow::{Context, Result, bail};
use std::{collections::BTreeMap, path::Path, time::Instant};
use weir_parity::Cell;

/// What became of a cell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The first difference in a few words; none if the directors did the same.
    pub differs: Option<String>,
    /// All that was said about it.
    pub details: Vec<String>,
}

/// The cells that were played.
pub type Outcomes = BTreeMap<Cell, Outcome>;

/// Plays a part of the matrix, or the cells that are asked for.
pub fn play(
    arguments: &Arguments,
    driver: &Path,
    weir: Option<&Path>,
    (part, parts): (usize, usize),
) -> Result<Outcomes> {
    let mut files = vec![driver.to_owned()];
    let seed = arguments.seeds.first().copied().unwrap_or(1);
    let mut options = format!(
        "--seed {seed} --mode {} --part {part} --parts {parts}",
        arguments.mode
    );
    for pattern in &arguments.only {
        options += &format!(" --only '{pattern}'");
    }
    if arguments.trace {
        options += " --trace";
    }
    if let Some(weir) = weir {
        let name = weir.file_name().context("the binary has no name")?;
        options += &format!(" --weir ./{}", name.to_string_lossy());
        files.push(weir.to_owned());
    }
    let begin = Instant::now();
    let mut outcomes = Outcomes::new();
    let mut error = None;
    let script = format!("exec ./weir-parity {options} 2>&1\n");
    let outcome = guest(arguments)?.run(&script, &files, |line| {
        if let Some(said) = line.strip_prefix("error: ") {
            error = Some(said.to_owned());
        }
        read(line, &mut outcomes);
        if arguments.trace || !line.starts_with("cell ") && !line.starts_with('|') {
            println!("  {line}");
        }
    })?;
    println!(
        "  part {} of {parts}: {} cells took {:.0} s with the machine",
        part + 1,
        outcomes.len(),
        begin.elapsed().as_secs_f32()
    );
    if outcome.status != 0 {
        bail!(
            "the cells could not be played: {}",
            error.unwrap_or_else(|| "see above".to_owned())
        );
    }
    Ok(outcomes)
}

/// Takes a line of the driver: `cell NAME same`, `cell NAME differs WHY`, or `| NAME: ` and more about it.
fn read(line: &str, outcomes: &mut Outcomes) {
    if let Some((name, verdict)) = line
        .strip_prefix("cell ")
        .and_then(|rest| rest.split_once(' '))
        && let Ok(cell) = name.parse()
    {
        let differs = verdict.strip_prefix("differs ").map(str::to_owned);
        outcomes.entry(cell).or_default().differs = differs;
    } else if let Some((name, detail)) = line
        .strip_prefix("| ")
        .and_then(|rest| rest.split_once(": "))
        && let Ok(cell) = name.parse()
    {
        let outcome: &mut Outcome = outcomes.entry(cell).or_default();
        outcome.details.push(detail.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_driver_says_is_understood() {
        let mut outcomes = Outcomes::new();
        for line in [
            "note both directors are up",
            "cell rr/nat/v4/tcp/balance same",
            "cell rr/dr/v4/tcp/balance differs weir refuses: DR: is still to come",
            "| rr/dr/v4/tcp/balance: commands:",
            "| rr/dr/v4/tcp/balance:   -A -t 192.0.2.1:1000",
            "cell nonsense same",
        ] {
            read(line, &mut outcomes);
        }
        assert_eq!(outcomes.len(), 2);
        let refused = &outcomes[&"rr/dr/v4/tcp/balance".parse().unwrap()];
        assert_eq!(
            refused.differs.as_deref(),
            Some("weir refuses: DR: is still to come")
        );
        assert_eq!(refused.details.len(), 2);
        assert_eq!(
            outcomes[&"rr/nat/v4/tcp/balance".parse().unwrap()].differs,
            None
        );
    }
}
