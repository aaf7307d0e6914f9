//! What `[[service]]` says of health: checks, quorum, sorry server, weights, who is told.

pub(super) mod check;
mod http;
mod tls;
mod weight;

use std::ops::Range;

use super::reader::{Keys, Problems, Section, kind};
use crate::model::health::{Quorum, ServerHealth, ServiceHealth, Sorry};
use crate::model::{RealServer, Script, ServiceKey};
use check::Written;
use toml::de::DeValue;
use weight::Weights;

/// Keys of a service that are read here.
pub(super) const OF_SERVICE: [&str; 11] = [
    "check",
    "checks",
    "quorum",
    "sorry_server",
    "inhibit_on_failure",
    "only_while_active",
    "weights",
    "slow_start",
    "passive",
    "notify",
    "omega",
];
const QUORUM: Keys = Keys {
    known: &["weight", "hysteresis"],
    later: &[],
};
const NOTIFY_SERVICE: Keys = Keys {
    known: &["quorum_up", "quorum_down", "up", "down", "mail"],
    later: &[],
};
const NOTIFY_SERVER: Keys = Keys {
    known: &["up", "down", "mail"],
    later: &[],
};
const LIST_OF_CHECKS: &str = r#"expected a list like [{ tcp = true }, { http = "/healthz" }]"#;

/// What a service says, for itself and for those of its real servers that say nothing else.
pub(super) struct OfService {
    /// Whether anything is said.
    said: bool,
    quorum: Quorum,
    omega: bool,
    only_while_active: bool,
    quorum_up: Option<Script>,
    quorum_down: Option<Script>,
    servers: OfServer,
}

/// What a real server says of itself.
#[derive(Clone, Default)]
pub(super) struct OfServer {
    checks: Option<Vec<Written>>,
    inhibit: Option<bool>,
    weights: Weights,
    up: Option<Script>,
    down: Option<Script>,
    mail: Option<bool>,
}

impl OfService {
    pub(super) fn read(section: &Section<'_>, problems: &mut Problems) -> Self {
        let notify = section.get("notify");
        let notify = notify
            .and_then(|value| Section::of_value(value, "`notify`", &NOTIFY_SERVICE, problems));
        let mut script = |key| notify.as_ref().and_then(|own| own.script(key, problems));
        let (quorum_up, quorum_down) = (script("quorum_up"), script("quorum_down"));
        Self {
            said: OF_SERVICE.iter().any(|key| section.get(key).is_some()),
            quorum: quorum(section, problems),
            omega: section.truth("omega", problems).unwrap_or(false),
            only_while_active: section
                .truth("only_while_active", problems)
                .unwrap_or(false),
            quorum_up,
            quorum_down,
            servers: OfServer::with_notify(section, notify.as_ref(), problems),
        }
    }

    /// How one virtual service of the section is watched; nothing when nothing is said.
    pub(super) fn health<'a>(
        &self,
        key: ServiceKey,
        servers: impl Iterator<Item = (RealServer, &'a OfServer, Range<usize>)>,
        sorry: Option<Sorry>,
        problems: &mut Problems,
    ) -> Option<ServiceHealth> {
        let mut said = self.said || sorry.is_some();
        let mut found = Vec::new();
        for (server, own, span) in servers {
            said |= own.says_anything();
            found.push(own.health(&self.servers, &server, &span, problems));
        }
        said.then(|| ServiceHealth {
            servers: found,
            quorum: self.quorum,
            sorry,
            omega: self.omega,
            only_while_active: self.only_while_active,
            quorum_up: self.quorum_up.clone(),
            quorum_down: self.quorum_down.clone(),
            mail: self.servers.mail.unwrap_or(false),
            ..ServiceHealth::new(key)
        })
    }
}

impl OfServer {
    pub(super) fn read(section: &Section<'_>, problems: &mut Problems) -> Self {
        let notify = section.get("notify");
        let notify =
            notify.and_then(|value| Section::of_value(value, "`notify`", &NOTIFY_SERVER, problems));
        Self::with_notify(section, notify.as_ref(), problems)
    }

    fn with_notify(
        section: &Section<'_>,
        notify: Option<&Section<'_>>,
        problems: &mut Problems,
    ) -> Self {
        let mut script = |key| notify.and_then(|own| own.script(key, problems));
        let (up, down) = (script("up"), script("down"));
        Self {
            checks: checks(section, problems),
            inhibit: section.truth("inhibit_on_failure", problems),
            weights: Weights::read(section, problems),
            up,
            down,
            mail: notify.and_then(|own| own.truth("mail", problems)),
        }
    }

    fn says_anything(&self) -> bool {
        self.checks.is_some()
            || self.inhibit.is_some()
            || self.weights.says_anything()
            || self.up.is_some()
            || self.down.is_some()
            || self.mail.is_some()
    }

    fn health(
        &self,
        of_service: &Self,
        server: &RealServer,
        span: &Range<usize>,
        problems: &mut Problems,
    ) -> ServerHealth {
        let checks = self.checks.as_ref().or(of_service.checks.as_ref());
        let checks = checks.into_iter().flatten();
        ServerHealth {
            checks: checks
                .map(|check| check.of(server, span, problems))
                .collect(),
            inhibit: self.inhibit.or(of_service.inhibit).unwrap_or(false),
            weight: self
                .weights
                .or(&of_service.weights)
                .policy(server, span, problems),
            up: self.up.clone().or_else(|| of_service.up.clone()),
            down: self.down.clone().or_else(|| of_service.down.clone()),
            mail: self.mail.or(of_service.mail).unwrap_or(false),
            ..ServerHealth::new(server.address)
        }
    }
}

/// `check = {...}`, or `checks = [...]`.
fn checks(section: &Section<'_>, problems: &mut Problems) -> Option<Vec<Written>> {
    if let Some(one) = section.get("check") {
        if let Some(all) = section.get("checks") {
            problems.add(
                all.span(),
                "there is `check` and `checks`",
                "put all checks into `checks`",
            );
        }
        return Some(Written::read(one, problems).into_iter().collect());
    }
    section.get("checks")?;
    let list = section.list("checks", LIST_OF_CHECKS, problems)?;
    let checks = list.iter();
    Some(
        checks
            .filter_map(|value| Written::read(value, problems))
            .collect(),
    )
}

/// `quorum = 2`, or with its hysteresis.
fn quorum(section: &Section<'_>, problems: &mut Problems) -> Quorum {
    let Some(value) = section.get("quorum") else {
        return Quorum::default();
    };
    match value.get_ref() {
        DeValue::Integer(_) => Quorum {
            weight: section
                .number("quorum", 1..=u32::MAX, problems)
                .unwrap_or(1),
            hysteresis: 0,
        },
        DeValue::Table(_) => {
            let Some(own) = Section::of_value(value, "`quorum`", &QUORUM, problems) else {
                return Quorum::default();
            };
            let weight = own.number("weight", 1..=u32::MAX, problems).unwrap_or(1);
            Quorum {
                weight,
                hysteresis: own
                    .number("hysteresis", 0..=weight - 1, problems)
                    .unwrap_or(0),
            }
        }
        DeValue::String(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_) => {
            let is = kind(value.get_ref());
            problems.add(
                value.span(),
                format!("`quorum` is {is}"),
                "expected the least weight that must be up, like 2, or { weight = 2, hysteresis = 1 }",
            );
            Quorum::default()
        }
    }
}
