//! A sample in Prometheus' text format (and OpenMetrics', which differs in nothing that is read here).

use super::FigureError;

/// The value of the metric with all these labels. Lines that cannot be read are passed over.
pub fn read(body: &[u8], metric: &str, labels: &[(String, String)]) -> Result<f64, FigureError> {
    let mut found: Option<f64> = None;
    for line in body.split(|byte| *byte == b'\n') {
        let Some(value) = std::str::from_utf8(line)
            .ok()
            .and_then(|line| sample(line.trim(), metric, labels))
        else {
            continue;
        };
        if found.is_some_and(|first| first != value) {
            return Err(FigureError::Several(metric.to_owned()));
        }
        found = Some(value);
    }
    found.ok_or_else(|| FigureError::NoMetric(metric.to_owned()))
}

/// The value on a line, if it is of that metric with all these labels.
fn sample(line: &str, metric: &str, wanted: &[(String, String)]) -> Option<f64> {
    let rest = line.strip_prefix(metric)?;
    let mut has = vec![false; wanted.len()];
    let rest = match rest.strip_prefix('{') {
        Some(labels) => read_labels(labels, |name, value| {
            for (has, (wanted_name, wanted_value)) in has.iter_mut().zip(wanted) {
                *has |= name == wanted_name && value == wanted_value;
            }
        })?,
        None if rest.starts_with([' ', '\t', '{']) => rest,
        None => return None,
    };
    if !has.iter().all(|has| *has) {
        return None;
    }
    let value = rest.split_ascii_whitespace().next()?;
    match value {
        "+Inf" => Some(f64::INFINITY),
        "-Inf" => Some(f64::NEG_INFINITY),
        // Nothing was measured.
        "NaN" => None,
        other => other.parse().ok(),
    }
}

/// What is behind the brace.
fn read_labels(text: &str, mut each: impl FnMut(&str, &str)) -> Option<&str> {
    let mut rest = text.trim_start();
    loop {
        if let Some(after) = rest.strip_prefix('}') {
            return Some(after);
        }
        let (name, after) = rest.split_once('=')?;
        let after = after.trim_start().strip_prefix('"')?;
        let mut value = String::new();
        let mut characters = after.chars();
        loop {
            match characters.next()? {
                '"' => break,
                '\\' => match characters.next()? {
                    'n' => value.push('\n'),
                    other => value.push(other),
                },
                other => value.push(other),
            }
        }
        each(name.trim(), &value);
        rest = characters.as_str().trim_start();
        rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = r#"# HELP load The load
# TYPE load gauge
load 0.75
load_total{cpu="0"} 3
requests{method="get",code="200"} 10 1395066363000
requests{ method = "post" , code="200", } 20
odd{path="a\"b}\\n\n c"} 1.5e1 # {trace="x"} 1
twice 4
twice 4.0
none NaN
high +Inf
broken{a="b 1
"#;

    fn labels(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        pairs.iter().map(own).collect()
    }

    #[test]
    fn samples_are_found() {
        for (metric, pairs, value) in [
            ("load", &[][..], 0.75),
            ("load_total", &[("cpu", "0")], 3.0),
            ("load_total", &[], 3.0),
            ("requests", &[("method", "get")], 10.0),
            ("requests", &[("code", "200"), ("method", "post")], 20.0),
            ("odd", &[("path", "a\"b}\\n\n c")], 15.0),
            ("twice", &[], 4.0),
            ("high", &[], f64::INFINITY),
        ] {
            assert_eq!(
                read(TEXT.as_bytes(), metric, &labels(pairs)),
                Ok(value),
                "{metric}"
            );
        }
        for (metric, pairs) in [
            ("loa", &[][..]),
            ("load", &[("cpu", "0")]),
            ("load_total", &[("cpu", "1")]),
            ("none", &[]),
            ("broken", &[]),
            ("# HELP", &[]),
        ] {
            let error = FigureError::NoMetric(metric.to_owned());
            assert_eq!(read(TEXT.as_bytes(), metric, &labels(pairs)), Err(error));
        }
        let error = FigureError::Several("requests".to_owned());
        assert_eq!(read(TEXT.as_bytes(), "requests", &[]), Err(error));
    }

    proptest! {
        #[test]
        fn never_panics(text in "(a([{}=\", \\\\n0-9b#\n]){0,40}){0,3}") {
            let _ = read(text.as_bytes(), "a", &labels(&[("b", "")]));
        }
    }
}
