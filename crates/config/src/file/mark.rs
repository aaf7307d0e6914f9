//! `[[mark]]`.

use std::num::NonZeroU32;

use toml::Spanned;
use toml::de::DeValue;

use weir_abi::mark::MARK_RULES;

use super::reader::{Keys, Problems, Section};
use crate::model::{InterfaceName, MarkRule, Ports, Prefix, Protocol};

const MARK: Keys = Keys {
    known: &["mark", "protocol", "destination", "ports", "interface"],
    later: &[],
};
const MOST: usize = MARK_RULES as usize;
const LIST_OF_MARKS: &str = "expected sections that begin with [[mark]]";
const DESTINATION: &str = "expected an address or a prefix, like `192.0.2.10` or `2001:db8::/64`";

/// All rules, in the order in which they stand in the file.
pub(super) fn marks(file: &Section<'_>, problems: &mut Problems) -> Vec<MarkRule> {
    let list = file.list("mark", LIST_OF_MARKS, problems);
    if let Some(one_too_many) = list.and_then(|list| list.get(MOST)) {
        problems.add(
            one_too_many.span(),
            format!("this is rule {}", MOST + 1),
            format!("expected at most {MOST}"),
        );
    }
    let values = list.into_iter().flat_map(|list| list.iter());
    values.filter_map(|value| mark(value, problems)).collect()
}

fn mark(value: &Spanned<DeValue<'_>>, problems: &mut Problems) -> Option<MarkRule> {
    let section = Section::of_value(value, "[[mark]]", &MARK, problems)?;
    for (key, expected) in [
        ("mark", "expected `mark = 7`"),
        ("destination", "expected `destination = \"192.0.2.10\"`"),
    ] {
        if section.lacks(key) {
            problems.add(
                section.span.clone(),
                format!("this rule has no `{key}`"),
                expected,
            );
        }
    }
    let mark = section.number("mark", 1..=u32::MAX, problems);
    let protocol = read(
        &section,
        "protocol",
        Protocol::from_name,
        "expected `tcp`, `udp` or `sctp`",
        problems,
    );
    let destination = read(
        &section,
        "destination",
        |text| text.parse::<Prefix>().ok(),
        DESTINATION,
        problems,
    );
    let ports = read(
        &section,
        "ports",
        |text| text.parse::<Ports>().ok(),
        "expected a port or a range, like `80` or `8000-8100`",
        problems,
    );
    let interface = read(
        &section,
        "interface",
        InterfaceName::new,
        "expected 1 to 15 characters, no space and no `/`",
        problems,
    );
    Some(MarkRule {
        mark: NonZeroU32::new(mark?)?,
        protocol,
        destination: destination?,
        ports: ports.unwrap_or(Ports::ALL),
        interface,
    })
}

fn read<T>(
    section: &Section<'_>,
    key: &str,
    read: impl Fn(&str) -> Option<T>,
    expected: &str,
    problems: &mut Problems,
) -> Option<T> {
    let text = section.text(key, problems)?;
    let value = read(text.value);
    if value.is_none() {
        problems.add(
            text.span,
            format!("`{}` is no `{key}`", text.value),
            expected,
        );
    }
    value
}
