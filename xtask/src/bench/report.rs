//! The report: Markdown for people, JSON for programs, plots.

use super::plot;
use super::record::{Bench, Goal, Measured, Record, Target};
use super::statistics::{Summary, summary};
use crate::place;
use crate::step::ask;
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

/// Writes `report.md`, `report.json` and a plot of every scenario into `directory`.
pub fn write(bench: &Bench, directory: &Path) -> Result<()> {
    std::fs::create_dir_all(directory)
        .with_context(|| format!("cannot make {}", directory.display()))?;
    let save = |name: &str, text: String| {
        let path = directory.join(name);
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    };
    let mut text = format!("# What `cargo xtask bench` measured\n\n{}\n", machine());
    if bench.quick() {
        text += "Short runs (`--quick`): these figures wobble.\n\n";
    }
    text += &targets(bench);
    for record in bench.records() {
        text += &section(record, "");
        if let Some(image) = plot::plot(record) {
            save(&format!("{}.svg", record.scenario.name), image)?;
        }
    }
    save("report.md", text)?;
    save(
        "report.json",
        serde_json::to_string_pretty(&as_json(bench))? + "\n",
    )
}

/// What a scenario measured, how, and what that leaves out; its plot lies in `plots`.
pub fn section(record: &Record, plots: &str) -> String {
    let scenario = record.scenario;
    let mut text = format!("\n## {}: {}\n\n", scenario.name, scenario.title);
    for (heading, words) in [
        ("How it is measured", scenario.how),
        ("What it leaves out", scenario.leaves_out),
    ] {
        if !words.is_empty() {
            text += &format!("{heading}: {}\n\n", words.trim());
        }
    }
    if plot::has_any(record) {
        text += &format!(
            "![{}: medians of every case]({plots}{}.svg)\n\n",
            scenario.name, scenario.name
        );
    }
    text += &tables(record);
    if !record.notes.is_empty() {
        text += "\nOf this run:\n\n";
        record
            .notes
            .iter()
            .for_each(|note| text += &format!("* {note}\n"));
    }
    text
}

/// A table of every unit that a scenario measured.
pub fn tables(record: &Record) -> String {
    let mut text = String::new();
    let mut units: Vec<&str> = Vec::new();
    for measured in &record.cases {
        if !units.contains(&measured.case.unit) {
            units.push(measured.case.unit);
        }
    }
    for unit in units {
        let _ = writeln!(
            text,
            "\n| case | contender | {unit}, median | least .. most | ratio to baseline | least .. most |\n\
             | --- | --- | ---: | ---: | ---: | ---: |"
        );
        let cases = record.cases.iter();
        for measured in cases.filter(|measured| measured.case.unit == unit) {
            rows(&mut text, measured);
        }
    }
    text
}

fn rows(text: &mut String, measured: &Measured) {
    for (number, series) in measured.series.iter().enumerate() {
        let Some(figure) = summary(&series.samples) else {
            continue;
        };
        let case = if number == 0 { &measured.case.name } else { "" };
        let (ratio, spread) = match measured.ratio(&series.contender) {
            Some(_) if series.contender == measured.case.baseline => {
                ("baseline".to_owned(), String::new())
            }
            Some(ratio) => (format!("{:.3}", ratio.median), spread(ratio)),
            None => (String::new(), String::new()),
        };
        let _ = writeln!(
            text,
            "| {case} | {} | {} | {} .. {} | {ratio} | {spread} |",
            series.contender,
            number_text(figure.median),
            number_text(figure.least),
            number_text(figure.most),
        );
    }
}

fn spread(ratio: Summary) -> String {
    format!("{:.3} .. {:.3}", ratio.least, ratio.most)
}

/// The targets that could be judged, of all scenarios.
pub fn targets(bench: &Bench) -> String {
    let rows: String = bench.records().iter().map(target_rows).collect();
    if rows.is_empty() {
        return rows;
    }
    format!("## Targets\n\n{TARGETS_HEADING}{rows}")
}

/// The heading of a table of targets.
pub const TARGETS_HEADING: &str =
    "| scenario | target | goal | measured | met |\n| --- | --- | ---: | ---: | --- |\n";

/// The targets of one scenario, as rows.
pub fn target_rows(record: &Record) -> String {
    let mut text = String::new();
    for target in &record.targets {
        let (goal, measured, met) = verdict(target);
        let _ = writeln!(
            text,
            "| {} | {} | {goal} | {measured} | {met} |",
            record.scenario.name, target.what
        );
    }
    text
}

fn verdict(target: &Target) -> (String, String, &'static str) {
    let unit = target.unit;
    let goal = match target.goal {
        Goal::AtLeast(limit) => format!("at least {} {unit}", number_text(limit)),
        Goal::AtMost(limit) => format!("at most {} {unit}", number_text(limit)),
    };
    match target.measured {
        None => (goal, "not measured".to_owned(), "unknown"),
        Some(measured) => {
            let met = if target.goal.is_met(measured) {
                "yes"
            } else {
                "**no**"
            };
            (goal, format!("{} {unit}", number_text(measured)), met)
        }
    }
}

/// A number for people: four digits that matter, thousands set apart.
pub fn number_text(number: f64) -> String {
    let size = number.abs();
    let digits = match size {
        _ if size >= 1000.0 || number == number.round() => 0,
        _ if size >= 100.0 => 1,
        _ if size >= 10.0 => 2,
        _ => 3,
    };
    let plain = format!("{number:.digits$}");
    let (sign, plain) = match plain.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", plain.as_str()),
    };
    let (whole, fraction) = plain.split_once('.').unwrap_or((plain, ""));
    let mut text = sign.to_owned();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    if !fraction.is_empty() {
        text.push('.');
        text.push_str(fraction);
    }
    text
}

/// The machine and what was measured on it, in two lines.
pub fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let model = read("/proc/cpuinfo")
        .lines()
        .find_map(|line| line.strip_prefix("model name").map(str::to_owned))
        .map(|rest| rest.trim_start_matches([' ', '\t', ':']).to_owned());
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = ask(Command::new("uname").arg("-sr")).unwrap_or_default();
    let commit = ask(Command::new("git")
        .args(["describe", "--always", "--dirty"])
        .current_dir(place::root()));
    format!(
        "{} with {processors} processors, {kernel}; Weir {}.\n",
        model.unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
        commit.unwrap_or_else(|| env!("CARGO_PKG_VERSION").to_owned()),
    )
}

fn as_json(bench: &Bench) -> Value {
    json!({
        "machine": machine().trim(),
        "quick": bench.quick(),
        "scenarios": bench.records().iter().map(record_json).collect::<Vec<_>>(),
    })
}

fn record_json(record: &Record) -> Value {
    json!({
        "name": record.scenario.name,
        "title": record.scenario.title,
        "how": record.scenario.how.trim(),
        "leaves_out": record.scenario.leaves_out.trim(),
        "seconds": record.took.as_secs_f64(),
        "notes": record.notes,
        "cases": record.cases.iter().map(case_json).collect::<Vec<_>>(),
        "targets": record.targets.iter().map(target_json).collect::<Vec<_>>(),
    })
}

fn case_json(measured: &Measured) -> Value {
    let contenders: Vec<Value> = measured
        .series
        .iter()
        .map(|series| {
            json!({
                "name": series.contender,
                "samples": series.samples,
                "summary": summary(&series.samples).map(summary_json),
                "ratio": measured.ratio(&series.contender).map(summary_json),
            })
        })
        .collect();
    json!({
        "name": measured.case.name,
        "unit": measured.case.unit,
        "better": match measured.case.better {
            super::Better::Higher => "higher",
            super::Better::Lower => "lower",
        },
        "baseline": measured.case.baseline,
        "contenders": contenders,
    })
}

fn summary_json(summary: Summary) -> Value {
    json!({
        "median": summary.median,
        "least": summary.least,
        "most": summary.most,
        "rounds": summary.count,
    })
}

fn target_json(target: &Target) -> Value {
    let (bound, limit) = match target.goal {
        Goal::AtLeast(limit) => ("at least", limit),
        Goal::AtMost(limit) => ("at most", limit),
    };
    json!({
        "what": target.what,
        "bound": bound,
        "limit": limit,
        "unit": target.unit,
        "measured": target.measured,
        "met": target.measured.map(|measured| target.goal.is_met(measured)),
    })
}

#[cfg(test)]
mod tests {
    use super::number_text;

    #[test]
    fn numbers_are_for_people() {
        for (number, text) in [
            (0.1234, "0.123"),
            (12.345, "12.35"),
            (123.45, "123.5"),
            (1234.5, "1 234"),
            (2_660_000.0, "2 660 000"),
            (-1500.0, "-1 500"),
            (4.0, "4"),
        ] {
            assert_eq!(number_text(number), text);
        }
    }
}
