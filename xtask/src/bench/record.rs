//! What scenarios write down.

use super::Scenario;
use super::snapshot::Wish;
use super::statistics::{self, Summary};
use anyhow::Result;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Which way is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// More of it.
    Higher,
    /// Less of it.
    Lower,
}

/// One thing that contenders are measured at, like "UDP, 1 024 flows".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// What it is.
    pub name: String,
    /// What is counted, like "packets/s".
    pub unit: &'static str,
    /// Which way is better.
    pub better: Better,
    /// The contender that the others are ratios of.
    pub baseline: &'static str,
}

impl Case {
    /// A case.
    pub fn new(
        name: impl Into<String>,
        unit: &'static str,
        better: Better,
        baseline: &'static str,
    ) -> Case {
        Case {
            name: name.into(),
            unit,
            better,
            baseline,
        }
    }
}

/// What a target asks of a figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    /// At least so much.
    AtLeast(f64),
    /// At most so much.
    AtMost(f64),
}

impl Goal {
    /// Whether a figure reaches it.
    pub fn is_met(self, measured: f64) -> bool {
        match self {
            Goal::AtLeast(limit) => measured >= limit,
            Goal::AtMost(limit) => measured <= limit,
        }
    }
}

/// A target and what was measured.
pub struct Target {
    /// What was promised.
    pub what: String,
    /// How much of it.
    pub goal: Goal,
    /// In which unit ("x" for a ratio).
    pub unit: &'static str,
    /// What came out; nothing if it could not be measured.
    pub measured: Option<f64>,
}

/// The samples of one contender in one case.
pub struct Series {
    /// Who.
    pub contender: String,
    /// One for each round.
    pub samples: Vec<f64>,
}

/// A case with everybody's samples.
pub struct Measured {
    /// The case.
    pub case: Case,
    /// In the order in which they were first measured.
    pub series: Vec<Series>,
}

impl Measured {
    /// The samples of a contender.
    pub fn samples(&self, contender: &str) -> &[f64] {
        let found = self.series.iter().find(|one| one.contender == contender);
        found.map_or(&[], |one| &one.samples)
    }

    /// How many times the baseline a contender is.
    pub fn ratio(&self, contender: &str) -> Option<Summary> {
        statistics::ratio(self.samples(contender), self.samples(self.case.baseline))
    }
}

/// All that a scenario wrote down.
pub struct Record {
    /// Which.
    pub scenario: &'static Scenario,
    /// Its cases.
    pub cases: Vec<Measured>,
    /// Versions, settings, what went wrong.
    pub notes: Vec<String>,
    /// Targets that it can judge.
    pub targets: Vec<Target>,
    /// How long it took.
    pub took: Duration,
}

/// The bench, as a scenario sees it.
pub struct Bench {
    weir: PathBuf,
    quick: bool,
    only: Vec<String>,
    snapshot: Wish,
    records: Vec<Record>,
}

impl Bench {
    /// Nothing measured yet.
    pub fn new(weir: PathBuf, quick: bool, only: Vec<String>) -> Bench {
        Bench {
            weir,
            quick,
            only,
            snapshot: Wish::default(),
            records: Vec::new(),
        }
    }

    /// With something to be done with the snapshot of instructions.
    pub(super) fn with_snapshot(mut self, wish: Wish) -> Bench {
        self.snapshot = wish;
        self
    }

    /// What to do with the snapshot of instructions.
    pub(super) fn snapshot(&self) -> Wish {
        self.snapshot
    }

    /// The built `weir`.
    pub fn weir(&self) -> &Path {
        &self.weir
    }

    /// Whether runs are to be short.
    pub fn quick(&self) -> bool {
        self.quick
    }

    /// Whether a contender takes part (`--only`).
    pub fn takes_part(&self, contender: &str) -> bool {
        let word = |name: &str| name.to_lowercase().replace(' ', "-");
        self.only.is_empty() || self.only.iter().any(|name| word(name) == word(contender))
    }

    /// A line for whoever waits.
    pub fn progress(&self, text: impl AsRef<str>) {
        println!("  {}", text.as_ref());
    }

    /// Calls `measure` with every contender in turn, `rounds` times over (A B A B), and says how far it is. `name` names a
    /// contender to people. The first error ends it.
    pub fn interleave<C>(
        &mut self,
        rounds: usize,
        contenders: &mut [C],
        name: impl Fn(&C) -> String,
        mut measure: impl FnMut(&mut Bench, &mut C) -> Result<()>,
    ) -> Result<()> {
        for round in 1..=rounds {
            for contender in contenders.iter_mut() {
                self.progress(format!("round {round}/{rounds}: {}", name(contender)));
                measure(self, contender)?;
            }
        }
        Ok(())
    }

    /// Writes one sample down.
    pub fn measure(&mut self, case: &Case, contender: &str, sample: f64) {
        let record = self.record();
        let at = match record.cases.iter().position(|one| one.case == *case) {
            Some(at) => at,
            None => {
                record.cases.push(Measured {
                    case: case.clone(),
                    series: Vec::new(),
                });
                record.cases.len() - 1
            }
        };
        let series = &mut record.cases[at].series;
        match series.iter_mut().find(|one| one.contender == contender) {
            Some(one) => one.samples.push(sample),
            None => series.push(Series {
                contender: contender.to_owned(),
                samples: vec![sample],
            }),
        }
    }

    /// Writes down a version, a setting, or what a reader has to know of this run.
    pub fn note(&mut self, text: impl Into<String>) {
        let text = text.into();
        let notes = &mut self.record().notes;
        if !notes.contains(&text) {
            notes.push(text);
        }
    }

    /// Judges a target; `measured` is nothing where it could not be measured.
    pub fn target(
        &mut self,
        what: impl Into<String>,
        goal: Goal,
        unit: &'static str,
        measured: Option<f64>,
    ) {
        let what = what.into();
        self.record().targets.push(Target {
            what,
            goal,
            unit,
            measured,
        });
    }

    /// A contender's samples so far in a case of this scenario, summed up.
    pub fn summary(&self, case: &str, contender: &str) -> Option<Summary> {
        statistics::summary(self.case(case)?.samples(contender))
    }

    /// How many times `base` a contender is in a case of this scenario, so far.
    pub fn ratio(&self, case: &str, contender: &str, base: &str) -> Option<Summary> {
        let case = self.case(case)?;
        statistics::ratio(case.samples(contender), case.samples(base))
    }

    /// All records.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// The record of the scenario that runs or ran last.
    pub fn last(&self) -> &Record {
        self.records.last().expect("a scenario has begun")
    }

    pub(super) fn begin(&mut self, scenario: &'static Scenario) {
        self.records.push(Record {
            scenario,
            cases: Vec::new(),
            notes: Vec::new(),
            targets: Vec::new(),
            took: Duration::ZERO,
        });
    }

    pub(super) fn end(&mut self, took: Duration) {
        self.record().took = took;
    }

    fn record(&mut self) -> &mut Record {
        self.records.last_mut().expect("a scenario has begun")
    }

    fn case(&self, name: &str) -> Option<&Measured> {
        self.last().cases.iter().find(|one| one.case.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::{Bench, Better, Case, Goal, Scenario};

    static SCENARIO: Scenario = Scenario {
        name: "test",
        title: "a test",
        how: "",
        leaves_out: "",
        run: |_| Ok(()),
    };

    #[test]
    fn rounds_alternate_and_samples_find_their_case() {
        let mut bench = Bench::new("weir".into(), true, vec![]);
        bench.begin(&SCENARIO);
        let case = Case::new("UDP", "packets/s", Better::Higher, "a");
        let mut order = Vec::new();
        let name = |contender: &&'static str| (*contender).to_owned();
        bench
            .interleave(2, &mut ["a", "b"], name, |bench, contender| {
                order.push(*contender);
                bench.measure(&case, contender, order.len() as f64);
                Ok(())
            })
            .expect("nothing fails");
        assert_eq!(order, ["a", "b", "a", "b"]);
        assert_eq!(bench.last().cases.len(), 1);
        assert_eq!(bench.summary("UDP", "b").map(|b| b.median), Some(3.0));
        let ratio = bench.ratio("UDP", "b", "a").expect("both were measured");
        assert_eq!((ratio.least, ratio.most), (4.0 / 3.0, 2.0));
    }

    #[test]
    fn a_goal_is_met_at_its_limit() {
        assert!(Goal::AtLeast(5.0).is_met(5.0) && !Goal::AtLeast(5.0).is_met(4.9));
        assert!(Goal::AtMost(5.0).is_met(5.0) && !Goal::AtMost(5.0).is_met(5.1));
    }
}
