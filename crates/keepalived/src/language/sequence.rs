//! Lines that are repeated: `~SEQ(...)`, `~SEQx(...)`, `~LST(...)`.

use super::define::Definitions;
use super::place::Place;
use super::text::Text;

/// A line that is repeated, and with what.
#[derive(Clone, Debug)]
pub(super) struct Sequence {
    /// What is repeated.
    pub(super) text: Text,
    pub(super) values: Values,
    /// Where it is asked for.
    pub(super) place: Place,
}

/// What the variables are, one after another.
#[derive(Clone, Debug)]
pub(super) enum Values {
    Numbers {
        variable: String,
        next: i64,
        step: i64,
        last: i64,
        hexadecimal: bool,
    },
    /// The sets in reverse, so that the next is the last.
    List {
        variables: Vec<String>,
        sets: Vec<Vec<String>>,
    },
}

/// What is wrong with one.
pub(super) type Refusal = &'static str;

impl Values {
    /// How many there are.
    pub(super) fn count(&self) -> u64 {
        match self {
            Self::Numbers {
                next, step, last, ..
            } => {
                let way = if *step > 0 {
                    *last - *next
                } else {
                    *next - *last
                };
                u64::try_from(way).map_or(0, |way| way / step.unsigned_abs() + 1)
            }
            Self::List { sets, .. } => sets.len() as u64,
        }
    }
}

impl Sequence {
    /// Sets the variables to their next values and gives the line that is to be read with them.
    pub(super) fn next(&mut self, definitions: &mut Definitions) -> Option<Text> {
        let place = self.place;
        match &mut self.values {
            Values::Numbers {
                variable,
                next,
                step,
                last,
                hexadecimal,
            } => {
                let past = if *step > 0 {
                    *next > *last
                } else {
                    *next < *last
                };
                if past {
                    return None;
                }
                let value = match hexadecimal {
                    true => format!("{next:x}"),
                    false => next.to_string(),
                };
                definitions.set_text(variable, Text::made(value, place));
                *next = next.saturating_add(*step);
            }
            Values::List { variables, sets } => {
                let values = sets.pop()?;
                let values = values.into_iter().chain(std::iter::repeat(String::new()));
                for (variable, value) in variables.iter().zip(values) {
                    definitions.set_text(variable, Text::made(value, place));
                }
            }
        }
        Some(self.text.clone())
    }
}

/// Where the parenthesis of a sequence is, and where it is closed.
pub(super) fn parentheses(line: &str) -> Result<(usize, usize), Refusal> {
    let open = line.find('(').ok_or("expected `(` after it")?;
    let close = line[open..].find(')').ok_or("expected `)` at its end")?;
    Ok((open, open + close))
}

/// `~SEQ(VARIABLE, [START, [STEP,]] END)`; `arguments` is what is in the parentheses.
pub(super) fn numbers(arguments: &str, hexadecimal: bool) -> Result<Values, Refusal> {
    let usage =
        "expected (VARIABLE, START, STEP, END), whole numbers; STEP and START may be left out";
    let mut parts = arguments.split(',').map(str::trim);
    let variable = parts.next().filter(|name| !name.is_empty()).ok_or(usage)?;
    let numbers: Option<Vec<i64>> = parts.map(number).collect();
    let (start, step, last) = match numbers.as_deref() {
        Some([end]) => {
            let down = *end < 0;
            (
                if down { -1 } else { 1 },
                if *end < 1 { -1 } else { 1 },
                *end,
            )
        }
        Some([start, end]) => (*start, if start <= end { 1 } else { -1 }, *end),
        Some([start, step, end]) => (*start, *step, *end),
        _ => return Err(usage),
    };
    if step == 0 || (start < last && step < 0) || (start > last && step > 0) {
        return Err("expected a step that leads from the start to the end");
    }
    let bound = i64::MAX / 4;
    if [start, step, last]
        .iter()
        .any(|n| n.unsigned_abs() > bound.unsigned_abs())
    {
        return Err("expected smaller numbers");
    }
    if hexadecimal && (start < 0 || last < 0) {
        return Err("expected no negative number in a hexadecimal sequence");
    }
    Ok(Values::Numbers {
        variable: variable.to_owned(),
        next: start,
        step,
        last,
        hexadecimal,
    })
}

/// As C has them: decimal, `0x` hexadecimal, `0` octal.
fn number(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let value = match lower.strip_prefix("0x") {
        Some(digits) => i64::from_str_radix(digits, 16),
        None if lower.len() > 1 && lower.starts_with('0') => i64::from_str_radix(&lower[1..], 8),
        None => lower.parse(),
    };
    value.ok().map(|value| sign * value)
}

/// `~LST(VARIABLE, VALUE, ...)` or `~LST({VARIABLE, ...}, {VALUE, ...}, ...)`.
pub(super) fn list(arguments: &str) -> Result<Values, Refusal> {
    let usage = "expected (VARIABLE, VALUE, ...) or ({VARIABLE, ...}, {VALUE, ...}, ...)";
    let mut groups = groups(arguments).ok_or(usage)?.into_iter();
    let variables = groups.next().ok_or(usage)?;
    let named = |name: &String| !name.is_empty();
    if variables.is_empty() || !variables.iter().all(named) {
        return Err(usage);
    }
    let mut sets: Vec<Vec<String>> = groups.collect();
    if sets.is_empty() {
        return Err("expected at least one value");
    }
    if sets.iter().any(|set| set.len() > variables.len()) {
        return Err("expected no more values than variables");
    }
    sets.reverse();
    Ok(Values::List { variables, sets })
}

/// What is between commas: a word, or words in braces.
fn groups(arguments: &str) -> Option<Vec<Vec<String>>> {
    let mut groups = Vec::new();
    let mut rest = arguments.trim();
    loop {
        let group;
        (group, rest) = match rest.strip_prefix('{') {
            Some(inner) => {
                let (inside, after) = inner.split_once('}')?;
                let words = inside.split(',').map(|word| word.trim().to_owned());
                (words.collect(), after.trim_start())
            }
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                (vec![rest[..end].trim().to_owned()], &rest[end..])
            }
        };
        groups.push(group);
        if rest.is_empty() {
            return Some(groups);
        }
        rest = rest.strip_prefix(',')?.trim_start();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(mut values: Values) -> Vec<String> {
        let mut all = Vec::new();
        let count = values.count();
        for _ in 0..count {
            match &mut values {
                Values::Numbers { next, step, .. } => {
                    all.push(next.to_string());
                    *next += *step;
                }
                Values::List { sets, .. } => all.push(sets.pop().unwrap().join("+")),
            }
        }
        all
    }

    #[test]
    fn sequences_of_numbers() {
        for (arguments, expected) in [
            ("x, 3", "1 2 3"),
            ("x, -3", "-1 -2 -3"),
            ("x, 0, 3", "0 1 2 3"),
            ("x, 3, 1", "3 2 1"),
            ("x,0,5,12", "0 5 10"),
            ("x, 0x10, -0x8, 0", "16 8 0"),
            ("x,010,9", "8 9"),
            ("x, 4, 4", "4"),
        ] {
            let found = values(numbers(arguments, false).unwrap());
            assert_eq!(found.join(" "), expected, "{arguments}");
        }
        for arguments in [
            "",
            "x",
            "x,",
            ", 3",
            "x,1,0,3",
            "x,1,-1,3",
            "x,a",
            "x,1,2,3,4",
        ] {
            assert!(numbers(arguments, false).is_err(), "{arguments}");
        }
        assert!(numbers("x, -3, 3", true).is_err());
        assert_eq!(
            numbers("x, 1, 1000000000", false).unwrap().count(),
            1_000_000_000
        );
    }

    #[test]
    fn lists() {
        for (arguments, expected) in [
            ("x, a, b", "a b"),
            ("x, a", "a"),
            ("{x, y}, {1,2}, {3 , 4}", "1+2 3+4"),
            ("{x, y}, {1}, 3", "1 3"),
            ("x,a,,b", "a  b"),
        ] {
            let found = values(list(arguments).unwrap());
            assert_eq!(found.join(" "), expected, "{arguments}");
        }
        for arguments in ["", "x", "{x", "{x,y}, {1,2,3}", "{x} {y}", "x, {1} 2"] {
            assert!(list(arguments).is_err(), "{arguments}");
        }
    }
}
