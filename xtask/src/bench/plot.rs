//! Bars, as SVG, written by hand: one group for a case, one bar for a contender, a thin line from the least to the most.

use super::record::{Measured, Record};
use super::report::number_text;
use super::statistics::summary;
use std::fmt::Write as _;

const WIDTH: f64 = 860.0;
const LABELS: f64 = 230.0;
const FIGURES: f64 = 110.0;
const BAR: f64 = 16.0;
const GAP: f64 = 4.0;
const COLOURS: [&str; 8] = [
    "#4c6ef5", "#12b886", "#fab005", "#fa5252", "#7950f2", "#15aabf", "#868e96", "#e64980",
];

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
    let mut contenders: Vec<&str> = Vec::new();
    for series in cases.iter().flat_map(|measured| &measured.series) {
        if !contenders.contains(&series.contender.as_str()) {
            contenders.push(&series.contender);
        }
    }
    let mut body = String::new();
    let mut y = 24.0;
    for measured in cases {
        group(&mut body, &mut y, measured, &contenders);
    }
    Some(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {y:.0}\" width=\"{WIDTH}\" height=\"{y:.0}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n{body}</svg>\n"
    ))
}

fn comparable(record: &Record) -> impl Iterator<Item = &Measured> {
    record.cases.iter().filter(|one| one.series.len() > 1)
}

/// Draws the bars of one case, and moves `y` below them.
fn group(body: &mut String, y: &mut f64, measured: &Measured, contenders: &[&str]) {
    let all = measured.series.iter().flat_map(|one| &one.samples);
    let most = all.copied().fold(f64::MIN_POSITIVE, f64::max);
    let room = WIDTH - LABELS - FIGURES;
    let _ = writeln!(
        body,
        "<text x=\"8\" y=\"{y:.0}\" font-weight=\"bold\">{}, {}</text>",
        escaped(&measured.case.name),
        escaped(measured.case.unit)
    );
    *y += 8.0;
    for series in &measured.series {
        let Some(figure) = summary(&series.samples) else {
            continue;
        };
        let place = contenders
            .iter()
            .position(|name| *name == series.contender)
            .unwrap_or(0);
        let length = |value: f64| (value / most * room).max(0.0);
        let (text, middle) = (*y + BAR - 4.0, *y + BAR / 2.0);
        let _ = writeln!(
            body,
            "<text x=\"{:.0}\" y=\"{text:.0}\" text-anchor=\"end\">{}</text>\
             <rect x=\"{LABELS}\" y=\"{y:.0}\" width=\"{:.1}\" height=\"{BAR}\" fill=\"{}\"/>\
             <line x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{middle:.0}\" y2=\"{middle:.0}\" stroke=\"black\"/>\
             <text x=\"{:.1}\" y=\"{text:.0}\">{}</text>",
            LABELS - 8.0,
            escaped(&series.contender),
            length(figure.median),
            COLOURS[place % COLOURS.len()],
            LABELS + length(figure.least),
            LABELS + length(figure.most),
            LABELS + length(figure.most) + 6.0,
            number_text(figure.median),
        );
        *y += BAR + GAP;
    }
    *y += 24.0;
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
