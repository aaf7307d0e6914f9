//! docs/parity.md: the matrix. It is what a run is held against, too: a cell that it shows as the same must be the same.

use super::{Arguments, cells::Outcomes};
use crate::place;
use anyhow::{Context, Result, bail};
use std::{collections::BTreeMap, fmt::Write, fs, path::PathBuf};
use weir_parity::{Cell, Feature, Scheduler, Transport};

const SAME: &str = "same";
const DIFFERS: &str = "differs";
const NO_TEST: &str = "no test";
const MEANINGLESS: &str = "-";

/// A table of the document.
struct Table {
    title: &'static str,
    about: &'static str,
    columns: Vec<String>,
    rows: Vec<String>,
    /// The cell's name from its column and row.
    name: fn(&str, &str) -> String,
}

fn tables() -> Vec<Table> {
    let schedulers = || {
        Scheduler::ALL
            .iter()
            .map(|one| one.name().to_owned())
            .collect()
    };
    let transports = || Transport::all().iter().map(ToString::to_string).collect();
    let features = || -> Vec<String> {
        let others = Feature::ALL.iter().filter(|one| **one != Feature::Balance);
        others.map(|one| one.name().to_owned()).collect()
    };
    vec![
        Table {
            title: "Every scheduler by every way",
            about: "Who gets which connection while weights change and real servers come and go, and every packet's bytes.",
            columns: schedulers(),
            rows: transports(),
            name: |column, row| format!("{column}/{row}/balance"),
        },
        Table {
            title: "Every feature by every way",
            about: "With `rr`.",
            columns: features(),
            rows: transports(),
            name: |column, row| format!("rr/{row}/{column}"),
        },
        Table {
            title: "Every feature by every scheduler",
            about: "With masquerading, IPv4 and TCP (UDP for one-packet scheduling).",
            columns: schedulers(),
            rows: features(),
            name: |column, row| {
                let way = row.parse().ok().and_then(Cell::plainest);
                way.map_or_else(String::new, |way| format!("{column}/{way}/{row}"))
            },
        },
    ]
}

/// Holds what became of the cells against the document, or writes it.
pub fn hold(outcomes: &Outcomes, arguments: &Arguments) -> Result<()> {
    let report = place::target()?.join("parity.txt");
    fs::write(&report, told(outcomes))
        .with_context(|| format!("cannot write {}", report.display()))?;
    let differing = outcomes
        .values()
        .filter(|outcome| outcome.differs.is_some())
        .count();
    println!(
        "  {} cells: {} the same, {differing} differ (all that was seen of them: {})",
        outcomes.len(),
        outcomes.len() - differing,
        report.display()
    );
    if arguments.itself || !arguments.only.is_empty() {
        print!("{}", told(outcomes));
        if arguments.itself && differing > 0 {
            bail!("IPVS differs from itself in {differing} cells");
        }
    }
    if arguments.itself {
        return Ok(());
    }
    let path = path();
    if arguments.accept {
        // Of cells that were not played, what was known stays.
        let known = fs::read_to_string(&path).map_or_else(|_| BTreeMap::new(), |text| read(&text));
        fs::write(&path, text(outcomes, &known))
            .with_context(|| format!("cannot write {}", path.display()))?;
        println!("  -> {}", path.display());
        return Ok(());
    }
    let written =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let expected = read(&written);
    let lost: Vec<&Cell> = outcomes
        .iter()
        .filter(|(cell, outcome)| {
            outcome.differs.is_some() && expected.get(cell).is_some_and(|word| word == SAME)
        })
        .map(|(cell, _)| cell)
        .collect();
    let gained = outcomes
        .iter()
        .filter(|(cell, outcome)| {
            outcome.differs.is_none() && expected.get(cell).is_none_or(|word| word != SAME)
        })
        .count();
    if gained > 0 {
        println!(
            "  {gained} cells are the same now and docs/parity.md does not say so: `cargo xtask parity --cells --accept`"
        );
    }
    if !lost.is_empty() {
        let only: Outcomes = lost
            .iter()
            .filter_map(|cell| outcomes.get(cell).map(|outcome| (**cell, outcome.clone())))
            .take(5)
            .collect();
        print!("{}", told(&only));
        bail!(
            "Weir differs from IPVS in {} cells that docs/parity.md shows as the same: {}",
            lost.len(),
            lost.iter()
                .take(20)
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(" ")
        );
    }
    Ok(())
}

fn path() -> PathBuf {
    place::root().join("docs/parity.md")
}

/// Everything that differs.
fn told(outcomes: &Outcomes) -> String {
    let mut text = String::new();
    for (cell, outcome) in outcomes {
        let Some(why) = &outcome.differs else {
            continue;
        };
        let _ = writeln!(text, "{cell}: {why}");
        for line in &outcome.details {
            let _ = writeln!(text, "    {line}");
        }
    }
    text
}

fn text(outcomes: &Outcomes, known: &BTreeMap<Cell, String>) -> String {
    let words: BTreeMap<String, &str> = Cell::all()
        .into_iter()
        .map(|cell| {
            let word = match outcomes.get(&cell) {
                Some(outcome) if outcome.differs.is_none() => SAME,
                Some(_) => DIFFERS,
                None => known.get(&cell).map_or(NO_TEST, String::as_str),
            };
            (cell.to_string(), word)
        })
        .collect();
    let count = |wanted: &str| words.values().filter(|word| **word == wanted).count();
    let mut text = format!(
        "# What is shown against the kernel's IPVS\n\n\
         Written by `cargo xtask parity --cells --accept`; a run fails where a cell that is `{SAME}` here is not any more.\n\n\
         In one virtual machine stand two directors: Linux's IPVS with ipvsadm 1.31, and Weir with `weir ipvsadm`. Both get\n\
         the same commands and the same packets. A cell is a scenario drawn from a seed. It is `{SAME}` if both sent the\n\
         same packets, byte by byte and to the same next hop, and list the same connections (state, and expiry within two\n\
         seconds), services, real servers, thresholds, persistent connections and counters. What a director chooses by\n\
         itself is not compared: the identification of ICMP messages and outer headers, the source port of GUE. Fragments are\n\
         compared as what they make together. The choices of `twos` are random: of them only the number is.\n\n\
         | | cells |\n| --- | --- |\n| {SAME} | {} |\n| {DIFFERS} | {} |\n| {NO_TEST} | {} |\n\n\
         A cell alone: `cargo xtask parity --only 'rr/gue/v4-in-v6/udp/mtu'`. `v4-in-v6` is IPv4 to a real server with an\n\
         IPv6 address. What a feature's scenario does is in `crates/parity/src/scenario`.\n",
        count(SAME),
        count(DIFFERS),
        count(NO_TEST)
    );
    for table in tables() {
        let _ = write!(text, "\n## {}\n\n{}\n\n| |", table.title, table.about);
        for column in &table.columns {
            let _ = write!(text, " {column} |");
        }
        let _ = writeln!(text, "\n|{}", " --- |".repeat(table.columns.len() + 1));
        for row in &table.rows {
            let _ = write!(text, "| {row} |");
            for column in &table.columns {
                let word = words
                    .get(&(table.name)(column, row))
                    .unwrap_or(&MEANINGLESS);
                let _ = write!(text, " {word} |");
            }
            text.push('\n');
        }
    }
    text + &differences(outcomes)
}

/// The differences, those of the same words together.
fn differences(outcomes: &Outcomes) -> String {
    let mut by_reason: BTreeMap<&str, Vec<&Cell>> = BTreeMap::new();
    for (cell, outcome) in outcomes {
        if let Some(why) = &outcome.differs {
            by_reason.entry(why).or_default().push(cell);
        }
    }
    if by_reason.is_empty() {
        return String::new();
    }
    let mut text = "\n## What differs\n\nThe first difference of each cell.\n\n| cells | why | such as |\n| --- | --- | --- |\n".to_owned();
    let mut reasons: Vec<_> = by_reason.into_iter().collect();
    reasons.sort_by_key(|(why, cells)| (std::cmp::Reverse(cells.len()), *why));
    for (why, cells) in reasons {
        let some: Vec<String> = cells
            .iter()
            .take(2)
            .map(|cell| format!("`{cell}`"))
            .collect();
        let _ = writeln!(
            text,
            "| {} | {} | {} |",
            cells.len(),
            why.replace('|', "\\|"),
            some.join(", ")
        );
    }
    text
}

/// The words of a document's tables.
fn read(text: &str) -> BTreeMap<Cell, String> {
    let mut words = BTreeMap::new();
    for table in tables() {
        let heading = format!("## {}", table.title);
        let mut lines = text
            .lines()
            .skip_while(|line| *line != heading)
            .skip_while(|line| !line.starts_with('|'))
            .take_while(|line| line.starts_with('|'))
            .map(|line| {
                line.trim_matches('|')
                    .split('|')
                    .map(str::trim)
                    .collect::<Vec<_>>()
            });
        let columns = lines.next().unwrap_or_default();
        for row in lines.skip(1) {
            for (column, word) in columns.iter().zip(&row).skip(1) {
                if let Ok(cell) = (table.name)(column, row[0]).parse() {
                    words.insert(cell, (*word).to_owned());
                }
            }
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parity::cells::Outcome;

    #[test]
    fn a_document_is_read_as_it_was_written() {
        let mut outcomes: Outcomes = Cell::all()
            .into_iter()
            .map(|cell| (cell, Outcome::default()))
            .collect();
        let differing: Cell = "sh/nat/v4/tcp/states".parse().unwrap();
        let untested: Cell = "rr/gue/v4-in-v6/udp/mtu".parse().unwrap();
        outcomes.get_mut(&differing).unwrap().differs = Some("other bytes".to_owned());
        outcomes.remove(&untested);
        let words = read(&text(&outcomes, &BTreeMap::new()));
        for cell in Cell::all() {
            let expected = match cell {
                cell if cell == differing => DIFFERS,
                cell if cell == untested => NO_TEST,
                _ => SAME,
            };
            assert_eq!(
                words.get(&cell).map(String::as_str),
                Some(expected),
                "{cell}"
            );
        }
    }

    #[test]
    fn the_document_is_about_the_matrix_there_is() {
        let written = fs::read_to_string(path()).unwrap();
        let words = read(&written);
        for cell in Cell::all() {
            let word = words.get(&cell).map(String::as_str);
            assert!(
                matches!(word, Some(SAME | DIFFERS | NO_TEST)),
                "{cell}: {word:?}"
            );
            assert!(
                word != Some(SAME) || weir_parity::scenario::script(cell.feature).is_some(),
                "{cell}"
            );
        }
    }
}
