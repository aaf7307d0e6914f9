//! `--publish`: what was measured goes into docs/performance.md, each scenario between marks of its own. Everything outside
//! the marks is written by people and stays.

use super::SCENARIOS;
use super::plot;
use super::record::Bench;
use super::report;
use crate::place;
use anyhow::{Context, Result};

/// Refreshes the sections of the scenarios that ran, and their plots.
pub fn publish(bench: &Bench) -> Result<()> {
    let docs = place::root().join("docs");
    let page = docs.join("performance.md");
    let mut text = match std::fs::read_to_string(&page) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            "# How fast Weir is\n".to_owned()
        }
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", page.display())),
    };
    let plots = docs.join("plots");
    std::fs::create_dir_all(&plots)?;
    for record in bench.records() {
        let name = record.scenario.name;
        let mut section = report::section(record, "plots/");
        section += &format!("* Measured on {}", report::machine());
        text = replaced(&text, name, &section);
        if let Some(image) = plot::plot(record) {
            std::fs::write(plots.join(format!("{name}.svg")), image)?;
        }
    }
    text = replaced(&text, "targets", &targets(&text, bench));
    std::fs::write(&page, text).with_context(|| format!("cannot write {}", page.display()))?;
    println!("-> {}", page.display());
    Ok(())
}

/// All targets: those of the scenarios that ran, and what the page says of the others.
fn targets(page: &str, bench: &Bench) -> String {
    let mut text = report::TARGETS_HEADING.to_owned();
    for scenario in SCENARIOS {
        let ran = bench
            .records()
            .iter()
            .find(|record| record.scenario.name == scenario.name);
        match ran {
            Some(record) => text += &report::target_rows(record),
            None => text += &rows_of(page, scenario.name),
        }
    }
    text
}

/// The rows of a scenario in the page's table of targets.
fn rows_of(page: &str, scenario: &str) -> String {
    let begin = format!("| {scenario} | ");
    let part = page
        .lines()
        .skip_while(|line| *line != "<!-- bench targets -->")
        .take_while(|line| *line != "<!-- end targets -->");
    let rows = part.filter(|line| line.starts_with(&begin));
    rows.map(|row| format!("{row}\n")).collect()
}

/// The page with the marked part `name` being `section`; a part that is not there yet is appended.
fn replaced(page: &str, name: &str, section: &str) -> String {
    let (begin, end) = (
        format!("<!-- bench {name} -->"),
        format!("<!-- end {name} -->"),
    );
    let part = format!("{begin}\n{}\n{end}", section.trim());
    match (page.find(&begin), page.find(&end)) {
        (Some(from), Some(to)) if from < to => {
            format!("{}{part}{}", &page[..from], &page[to + end.len()..])
        }
        _ => format!("{}\n\n{part}\n", page.trim_end()),
    }
}

#[cfg(test)]
mod tests {
    use super::{replaced, rows_of};

    #[test]
    fn targets_of_scenarios_that_did_not_run_stay() {
        let page = "| bulk | elsewhere |\n<!-- bench targets -->\n| bulk | a |\n| table | b |\n<!-- end targets -->\n";
        assert_eq!(rows_of(page, "bulk"), "| bulk | a |\n");
        assert_eq!(rows_of(page, "flood"), "");
    }

    #[test]
    fn only_the_marked_part_changes() {
        let page = "# Title\n\n<!-- bench a -->\nold\n<!-- end a -->\n\nby hand\n";
        let once = replaced(page, "a", "\nnew\n");
        assert_eq!(
            once,
            "# Title\n\n<!-- bench a -->\nnew\n<!-- end a -->\n\nby hand\n"
        );
        let twice = replaced(&once, "b", "more");
        assert!(twice.ends_with("by hand\n\n<!-- bench b -->\nmore\n<!-- end b -->\n"));
        assert_eq!(replaced(&twice, "b", "more"), twice);
    }
}
