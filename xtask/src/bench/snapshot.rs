//! docs/instructions.txt: what packets cost when somebody last looked, so that it does not grow unseen.

use crate::place;
use anyhow::{Context, Result, bail};
use std::fmt::Write as _;

/// What Weir may cost more than the snapshot says, in percent of a packet's whole way.
const ALLOWED_GROWTH: f64 = 2.0;

/// What to do with the snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wish {
    /// Nothing.
    #[default]
    Ignore,
    /// Fail if Weir's figures have grown.
    Check,
    /// Write it anew.
    Accept,
}

/// A row, of the least of all rounds: what else the machine does falls into some and not into others,
/// and only ever adds. Instructions of a packet's whole way, and without the floor's.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// All.
    pub whole: f64,
    /// Without the floor's.
    pub net: f64,
    /// Of whom.
    pub contender: String,
    /// In which case.
    pub case: String,
}

/// Compares with the snapshot, or writes it, as wished.
pub fn settle(wish: Wish, found: &[Row]) -> Result<()> {
    let path = place::root().join("docs/instructions.txt");
    match wish {
        Wish::Ignore => Ok(()),
        Wish::Accept => std::fs::write(&path, written(found))
            .with_context(|| format!("cannot write {}", path.display())),
        Wish::Check => {
            let text = std::fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            let grown = grown(found, &read(&text)?);
            if !grown.is_empty() {
                bail!(
                    "packets cost more than docs/instructions.txt says; if they must, \
                     `cargo xtask bench instructions --accept`:\n  {}",
                    grown.join("\n  ")
                );
            }
            println!("  no packet costs more than docs/instructions.txt says");
            Ok(())
        }
    }
}

/// What Weir does at greater cost. Compared is what is left without the floor, so that another kernel or another veth does
/// not look like Weir's doing; the measure is the whole.
fn grown(found: &[Row], snapshot: &[Row]) -> Vec<String> {
    let mut grown = Vec::new();
    for row in found.iter().filter(|row| row.contender.starts_with("Weir")) {
        let before = snapshot
            .iter()
            .find(|before| before.case == row.case && before.contender == row.contender);
        let name = format!("{}, {}", row.contender, row.case);
        match before {
            None => grown.push(format!("{name}: not in the snapshot")),
            Some(before) if row.net > before.net + before.whole * ALLOWED_GROWTH / 100.0 => {
                grown.push(format!(
                    "{name}: {:.0} instructions without the floor, were {:.0}",
                    row.net, before.net
                ));
            }
            Some(_) => {}
        }
    }
    grown
}

fn written(rows: &[Row]) -> String {
    let mut text = String::from(
        "# Instructions of a packet on its whole way, and without the floor's: `cargo xtask bench instructions --check`\n\
         # compares with it, and with --accept writes it. How they are counted is in docs/performance.md.\n",
    );
    for row in rows {
        // A string takes whatever is written.
        let _ = writeln!(
            text,
            "{:6.0} {:6.0} | {:10} | {}",
            row.whole, row.net, row.contender, row.case
        );
    }
    text
}

fn read(text: &str) -> Result<Vec<Row>> {
    let lines = text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty());
    lines.map(read_row).collect()
}

fn read_row(line: &str) -> Result<Row> {
    let wrong = || format!("expected `whole net | contender | case`, got `{line}`");
    let fields: Vec<&str> = line.split('|').map(str::trim).collect();
    let [numbers, contender, case] = *fields else {
        bail!(wrong());
    };
    let (whole, net) = numbers.split_once(' ').with_context(wrong)?;
    Ok(Row {
        whole: whole.trim().parse().with_context(wrong)?,
        net: net.trim().parse().with_context(wrong)?,
        contender: contender.to_owned(),
        case: case.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(contender: &str, whole: f64, net: f64) -> Row {
        Row {
            whole,
            net,
            contender: contender.to_owned(),
            case: "UDP, 1 024 flows".to_owned(),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let rows = [row("Weir XDP", 1800.0, 500.0), row("IPVS", 6000.0, 4700.0)];
        assert_eq!(read(&written(&rows)).expect("its own text"), rows);
        assert!(read("1800 | Weir XDP | UDP").is_err() && read("1 2 | IPVS").is_err());
    }

    #[test]
    fn only_weir_may_not_grow_and_only_by_itself() {
        let snapshot = [row("Weir XDP", 2000.0, 500.0), row("IPVS", 6000.0, 4700.0)];
        for (found, objections) in [
            (row("Weir XDP", 2040.0, 540.0), 0),
            (row("Weir XDP", 2041.0, 541.0), 1),
            // A kernel whose veth costs more.
            (row("Weir XDP", 2500.0, 500.0), 0),
            (row("IPVS", 9000.0, 7700.0), 0),
            (row("Weir TC", 1.0, 1.0), 1),
        ] {
            assert_eq!(
                grown(std::slice::from_ref(&found), &snapshot).len(),
                objections,
                "{found:?}"
            );
        }
    }
}
