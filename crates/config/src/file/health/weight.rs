//! Weights that follow: `weights`, `slow_start` and `passive`.

use std::ops::Range;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::super::duration;
use super::super::reader::{Keys, Problems, Section};
use super::check::{LONGEST, Place};
use super::{http, tls};
use crate::model::health::{
    Figure, FigureForm, Pace, Passive, SlowStart, WeightPolicy, WeightSource,
};
use crate::model::{RealServer, Weight};

const WEIGHTS: Keys = Keys {
    known: &[
        "checks",
        "connect_time",
        "figure",
        "least",
        "most",
        "smoothing",
        "tolerance",
    ],
    later: &[],
};
const FIGURE: Keys = Keys {
    known: &[
        "path", "host", "tls", "port", "address", "interval", "timeout", "warm_up", "json",
        "metric", "labels", "at",
    ],
    later: &[],
};
const SLOW_START: Keys = Keys {
    known: &["duration", "from"],
    later: &[],
};
const PASSIVE: Keys = Keys {
    known: &["share", "least", "window", "pause"],
    later: &[],
};
const LEAST_TIME: Duration = Duration::from_micros(1);
const SECOND: Duration = Duration::from_secs(1);

/// What is said of weights, each of the three by itself.
#[derive(Clone, Default)]
pub(super) struct Weights {
    weights: Option<Follow>,
    slow_start: Option<SlowStart>,
    passive: Option<Passive>,
}

#[derive(Clone)]
struct Follow {
    source: Option<Source>,
    least: Option<u32>,
    most: Option<u32>,
    smoothing: Option<u32>,
    tolerance: Option<u32>,
}

#[derive(Clone)]
enum Source {
    Checks,
    ConnectTime(Duration),
    Figure(Box<Figure>, Place),
}

impl Weights {
    pub(super) fn read(section: &Section<'_>, problems: &mut Problems) -> Self {
        let value = section.get("weights");
        let own = value.and_then(|value| Section::of_value(value, "`weights`", &WEIGHTS, problems));
        Self {
            weights: own.map(|own| Follow::read(&own, problems)),
            slow_start: section
                .get("slow_start")
                .and_then(|value| slow_start(value, problems)),
            passive: section
                .get("passive")
                .and_then(|value| passive(value, problems)),
        }
    }

    pub(super) fn says_anything(&self) -> bool {
        self.weights.is_some() || self.slow_start.is_some() || self.passive.is_some()
    }

    /// With what the service says where nothing is said here.
    pub(super) fn or(&self, of_service: &Self) -> Self {
        Self {
            weights: self.weights.clone().or_else(|| of_service.weights.clone()),
            slow_start: self.slow_start.or(of_service.slow_start),
            passive: self.passive.or(of_service.passive),
        }
    }

    pub(super) fn policy(
        &self,
        server: &RealServer,
        span: &Range<usize>,
        problems: &mut Problems,
    ) -> Option<WeightPolicy> {
        if !self.says_anything() {
            return None;
        }
        let follow = self.weights.as_ref();
        let source = follow.and_then(|follow| follow.source.clone());
        let source = source.map(|source| match source {
            Source::Checks => WeightSource::Checks,
            Source::ConnectTime(target) => WeightSource::ConnectTime { target },
            Source::Figure(mut figure, place) => {
                place.check(server, span, problems);
                figure.target = place.target(server);
                WeightSource::Figure(figure)
            }
        });
        let default = WeightPolicy::following(source);
        let percent = |number: Option<u32>| number.map(|number| number as u8);
        Some(WeightPolicy {
            least: follow.and_then(|own| own.least).unwrap_or(default.least),
            most: follow.and_then(|own| own.most).unwrap_or(default.most),
            smoothing: percent(follow.and_then(|own| own.smoothing)).unwrap_or(default.smoothing),
            tolerance: percent(follow.and_then(|own| own.tolerance)).unwrap_or(default.tolerance),
            slow_start: self.slow_start,
            passive: self.passive,
            source: default.source,
        })
    }
}

impl Follow {
    fn read(section: &Section<'_>, problems: &mut Problems) -> Self {
        let sources = ["checks", "connect_time", "figure"];
        let mut here = sources.iter().filter_map(|key| section.get(key));
        if let (Some(_), Some(second)) = (here.next(), here.next()) {
            problems.add(
                second.span(),
                "a weight follows one thing",
                "expected one of `checks = true`, `connect_time` and `figure`",
            );
        }
        let checks = section.truth("checks", problems) == Some(true);
        let time = section.duration("connect_time", LEAST_TIME..=LONGEST, problems);
        let figure = section
            .get("figure")
            .and_then(|value| figure(value, problems));
        let source = match (checks, time, figure) {
            (true, ..) => Some(Source::Checks),
            (false, Some(target), _) => Some(Source::ConnectTime(target)),
            (false, None, Some((figure, place))) => Some(Source::Figure(Box::new(figure), place)),
            (false, None, None) => None,
        };
        let least = section.number("least", 0..=Weight::MAX, problems);
        Self {
            source,
            least,
            most: section.number("most", least.unwrap_or(0)..=Weight::MAX, problems),
            smoothing: section.number("smoothing", 1..=100, problems),
            tolerance: section.number("tolerance", 0..=100, problems),
        }
    }
}

fn figure(value: &Spanned<DeValue<'_>>, problems: &mut Problems) -> Option<(Figure, Place)> {
    let section = Section::of_value(value, "`figure`", &FIGURE, problems)?;
    let place = Place::read(&section, problems);
    let host = section.text("host", problems);
    let tls = section
        .get("tls")
        .and_then(|value| tls::read(value, problems));
    let interval = section.duration("interval", Duration::from_millis(1)..=LONGEST, problems);
    let pace = Pace::of_interval(interval.unwrap_or(Pace::WEIR.interval));
    let mut time = |key, least| section.duration(key, least..=LONGEST, problems);
    let pace = Pace {
        timeout: time("timeout", Duration::from_millis(1)).unwrap_or(pace.timeout),
        warm_up: time("warm_up", Duration::ZERO).unwrap_or(pace.warm_up),
        ..pace
    };
    let at = section
        .get("at")
        .and_then(|value| thousandths(value, problems));
    let form = form(&section, problems);
    if section.lacks("path") {
        problems.add(
            section.span.clone(),
            "this figure has no path",
            r#"expected `path = "/metrics"`"#,
        );
    }
    let path = section.text("path", problems)?;
    http::check_path(&path, problems)?;
    let figure = Figure {
        target: None,
        path: path.value.to_owned(),
        host: host.map(|host| host.value.to_owned()),
        tls,
        pace,
        form: form?,
        at,
    };
    Some((figure, place))
}

fn form(section: &Section<'_>, problems: &mut Problems) -> Option<FigureForm> {
    let json = section.text("json", problems);
    let metric = section.text("metric", problems);
    let labels = labels(section, problems);
    match (json, metric) {
        (Some(json), None) => {
            if !(json.value.is_empty() || json.value.starts_with('/')) {
                problems.add(
                    json.span,
                    format!("`{}` is no pointer into JSON (RFC 6901)", json.value),
                    r#"expected one like "/load/one""#,
                );
                return None;
            }
            Some(FigureForm::Json(json.value.to_owned()))
        }
        (None, Some(metric)) => Some(FigureForm::Prometheus {
            metric: metric.value.to_owned(),
            labels,
        }),
        (Some(_), Some(_)) | (None, None) => {
            if section.lacks("json") == section.lacks("metric") {
                problems.add(
                    section.span.clone(),
                    "where is the figure in the answer?",
                    r#"expected `json = "/load"`, or `metric = "node_load1"` with or without `labels`"#,
                );
            }
            None
        }
    }
}

const LABELS: &str = r#"expected a list like ["job=web"]"#;

fn labels(section: &Section<'_>, problems: &mut Problems) -> Vec<(String, String)> {
    let list = section.list("labels", LABELS, problems);
    let mut labels = Vec::new();
    for value in list.into_iter().flat_map(|list| list.iter()) {
        let Some(text) = super::super::reader::text(value, "a label", LABELS, problems) else {
            continue;
        };
        match text.value.split_once('=') {
            Some((name, value)) => labels.push((name.to_owned(), value.to_owned())),
            None => problems.add(text.span, format!("`{}` is no label", text.value), LABELS),
        }
    }
    labels
}

/// A number greater than 0 with at most three decimal places.
fn thousandths(value: &Spanned<DeValue<'_>>, problems: &mut Problems) -> Option<u64> {
    let text = match value.get_ref() {
        DeValue::Integer(integer) if integer.radix() == 10 => Some(integer.as_str()),
        DeValue::Float(float) => Some(float.as_str()),
        DeValue::Integer(_)
        | DeValue::String(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_)
        | DeValue::Table(_) => None,
    };
    let number = text.and_then(|text| {
        let (whole, places) = text.split_once('.').unwrap_or((text, ""));
        let whole: u64 = whole.parse::<u32>().ok()?.into();
        let places = places.trim_end_matches('0');
        if places.len() > 3 {
            return None;
        }
        let part: u64 = format!("{places:0<3}").parse().ok()?;
        Some(whole * 1000 + part).filter(|number| *number > 0)
    });
    if number.is_none() {
        problems.add(
            value.span(),
            "`at` is no such number",
            "expected one greater than 0, with at most three decimal places",
        );
    }
    number
}

/// `"30s"`, or `{ duration = "30s", from = 10 }`.
fn slow_start(value: &Spanned<DeValue<'_>>, problems: &mut Problems) -> Option<SlowStart> {
    let range = SECOND..=LONGEST;
    if let DeValue::String(_) = value.get_ref() {
        let duration = duration::read(value, "slow_start", range, problems)?;
        return Some(SlowStart {
            duration,
            ..SlowStart::DEFAULT
        });
    }
    let section = Section::of_value(value, "`slow_start`", &SLOW_START, problems)?;
    let from = section.number("from", 1..=100, problems);
    let duration = section.duration("duration", range, problems);
    Some(SlowStart {
        duration: duration.unwrap_or(SlowStart::DEFAULT.duration),
        from: from.map_or(SlowStart::DEFAULT.from, |from| from as u8),
    })
}

/// `true`, or with numbers.
fn passive(value: &Spanned<DeValue<'_>>, problems: &mut Problems) -> Option<Passive> {
    if let DeValue::Boolean(wanted) = value.get_ref() {
        return wanted.then_some(Passive::DEFAULT);
    }
    let section = Section::of_value(value, "`passive`", &PASSIVE, problems)?;
    let default = Passive::DEFAULT;
    let share = section.number("share", 1..=100, problems);
    Some(Passive {
        share: share.map_or(default.share, |share| share as u8),
        least: section
            .number("least", 1..=u32::MAX, problems)
            .unwrap_or(default.least),
        window: section
            .duration("window", SECOND..=LONGEST, problems)
            .unwrap_or(default.window),
        pause: section
            .duration("pause", SECOND..=LONGEST, problems)
            .unwrap_or(default.pause),
    })
}
