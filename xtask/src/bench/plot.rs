//! Bars, as SVG, written by hand: one group for a case, one bar for a contender, a thin line from the least to the most.

use super::record::{Measured, Record};
use super::report::number_text;
use super::statistics::summary;
use std::fmt::Write as _;

/// Groups side by side.
const COLUMNS: usize = 2;
const COLUMN: f64 = 520.0;
const LABELS: f64 = 150.0;
const FIGURES: f64 = 90.0;
const BAR: f64 = 14.0;
const GAP: f64 = 3.0;
const HEADING: f64 = 8.0;
const BELOW: f64 = 26.0;

/// Ours stand out; a contender has the same colour in every plot.
const COLOURS: &[(&str, &str)] = &[
    ("Weir XDP", "#1c7ed6"),
    ("Weir TC", "#74c0fc"),
    ("floor", "#ced4da"),
    ("floor TC", "#adb5bd"),
    ("IPVS", "#e8590c"),
    ("nftables", "#ffa94d"),
    ("forwarding", "#8ce99a"),
    ("HAProxy", "#b197fc"),
    ("nginx", "#faa2c1"),
];
const ANOTHER: &str = "#dee2e6";

/// Whether a scenario has anything to compare.
pub fn has_any(record: &Record) -> bool {
    comparable(record).next().is_some()
}

/// The plot of a scenario; nothing if it compared nothing.
pub fn plot(record: &Record) -> Option<String> {
    let cases: Vec<&Measured> = comparable(record).collect();
    if cases.is_empty() {
        return None;
    }
    let mut body = String::new();
    let mut y = 24.0;
    for row in cases.chunks(COLUMNS) {
        for (column, measured) in row.iter().enumerate() {
            group(&mut body, column as f64 * COLUMN, y, measured);
        }
        let most = row.iter().map(|measured| measured.series.len()).max();
        y += HEADING + most.unwrap_or(0) as f64 * (BAR + GAP) + BELOW;
    }
    let width = COLUMNS.min(cases.len()) as f64 * COLUMN;
    Some(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {y:.0}\" width=\"{width}\" height=\"{y:.0}\" \
         font-family=\"sans-serif\" font-size=\"11\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n{body}</svg>\n"
    ))
}

fn comparable(record: &Record) -> impl Iterator<Item = &Measured> {
    record.cases.iter().filter(|one| one.series.len() > 1)
}

/// Draws the bars of one case, its heading's baseline at `top`.
fn group(body: &mut String, left: f64, top: f64, measured: &Measured) {
    let all = measured.series.iter().flat_map(|one| &one.samples);
    let most = all.copied().fold(f64::MIN_POSITIVE, f64::max);
    let (start, room) = (left + LABELS, COLUMN - LABELS - FIGURES);
    // A string takes whatever is written.
    let _ = writeln!(
        body,
        "<text x=\"{:.0}\" y=\"{top:.0}\" font-weight=\"bold\" font-size=\"10\">{}, {}</text>",
        left + 8.0,
        escaped(&measured.case.name),
        escaped(measured.case.unit)
    );
    let mut y = top + HEADING;
    for series in &measured.series {
        let Some(figure) = summary(&series.samples) else {
            continue;
        };
        let length = |value: f64| (value / most * room).max(0.0);
        let (text, middle) = (y + BAR - 3.0, y + BAR / 2.0);
        let _ = writeln!(
            body,
            "<text x=\"{:.0}\" y=\"{text:.0}\" text-anchor=\"end\">{}</text>\
             <rect x=\"{start}\" y=\"{y:.0}\" width=\"{:.1}\" height=\"{BAR}\" fill=\"{}\"/>\
             <line x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{middle:.0}\" y2=\"{middle:.0}\" stroke=\"black\"/>\
             <text x=\"{:.1}\" y=\"{text:.0}\">{}</text>",
            start - 6.0,
            escaped(&series.contender),
            length(figure.median),
            colour(&series.contender),
            start + length(figure.least),
            start + length(figure.most),
            start + length(figure.most) + 6.0,
            number_text(figure.median),
        );
        y += BAR + GAP;
    }
}

fn colour(contender: &str) -> &'static str {
    let found = COLOURS.iter().find(|(name, _)| *name == contender);
    found.map_or(ANOTHER, |(_, colour)| colour)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::plot;
    use crate::bench::record::{Bench, Better, Case};
    use crate::bench::{SCENARIOS, Scenario};

    #[test]
    fn a_case_with_two_contenders_is_drawn_and_one_with_one_is_not() {
        let scenario: &'static Scenario = &SCENARIOS[0];
        let mut bench = Bench::new("weir".into(), true, vec![]);
        bench.begin(scenario);
        let case = Case::new("a < b", "packets/s", Better::Higher, "floor");
        bench.measure(&case, "floor", 2.0);
        assert_eq!(plot(bench.last()), None);
        bench.measure(&case, "Weir XDP", 1.0);
        let image = plot(bench.last()).expect("two contenders");
        assert!(image.contains("a &lt; b, packets/s") && image.matches("<rect x").count() == 2);
    }
}
