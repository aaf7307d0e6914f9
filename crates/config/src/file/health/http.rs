//! What is asked of a web server, and what is a good answer.

use toml::Spanned;
use toml::de::DeValue;

use super::super::reader::{Keys, Placed, Problems, Section, kind, text};
use crate::model::health::{
    HttpBody, HttpCheck, HttpRequest, HttpTurns, HttpVersion, StatusRange, Tls,
};
use crate::pattern;

/// Keys of a check that go with `http` and `https`.
pub(super) const KEYS: [&str; 10] = [
    "tls",
    "proxy",
    "method",
    "host",
    "headers",
    "status",
    "body",
    "version",
    "in_turn",
    "fast_recovery",
];
const REQUEST: Keys = Keys {
    known: &["path", "method", "host", "headers", "status", "body"],
    later: &[],
};
const BODY: Keys = Keys {
    known: &[
        "matches", "not", "from", "before", "options", "md5", "sha256",
    ],
    later: &[],
};
const REQUESTS: &str =
    r#"expected a path like "/healthz", or a list of paths or of { path = "/", host = "..." }"#;
const STATUS: &str = r#"expected 200, "200-399", or a list of them"#;
const HEADERS: &str = r#"expected a list like ["Accept: text/html"]"#;
const BODIES: &str =
    r#"expected a regular expression, { matches = "ok" }, { sha256 = "..." }, or a list of them"#;
const MOST_OFFSET: u32 = i32::MAX as u32;

pub(super) fn read(
    section: &Section<'_>,
    key: &str,
    tls: Option<Tls>,
    problems: &mut Problems,
) -> Option<HttpCheck> {
    let names = HttpVersion::ALL.map(HttpVersion::name);
    let version = section.name(
        "version",
        "version of HTTP",
        HttpVersion::from_name,
        &names,
        problems,
    );
    let common = Said::read(section, problems);
    let value = section.get(key)?;
    let requests = match value.get_ref() {
        DeValue::Array(list) if list.is_empty() => {
            problems.add(value.span(), "nothing is asked", REQUESTS);
            return None;
        }
        DeValue::Array(list) => list
            .iter()
            .map(|value| request(value, key, &common, problems))
            .collect::<Option<Vec<_>>>()?,
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Table(_) => vec![request(value, key, &common, problems)?],
    };
    Some(HttpCheck {
        requests,
        version: version.unwrap_or(HttpVersion::Http11),
        tls,
        proxy: section.truth("proxy", problems).unwrap_or(false),
        turns: turns(section, problems),
    })
}

fn turns(section: &Section<'_>, problems: &mut Problems) -> HttpTurns {
    let in_turn = section.truth("in_turn", problems).unwrap_or(false);
    let fast_recovery = section.truth("fast_recovery", problems).unwrap_or(false);
    if in_turn {
        return HttpTurns::One { fast_recovery };
    }
    if let Some(value) = section.get("fast_recovery").filter(|_| fast_recovery) {
        let expected =
            "say `in_turn = true` too, or leave it out: all requests are asked each time";
        problems.add(
            value.span(),
            "`fast_recovery` is for requests that are asked in turn",
            expected,
        );
    }
    HttpTurns::All
}

/// What a request says beside its path, or all of a check that say nothing else.
#[derive(Clone)]
struct Said {
    method: Option<String>,
    host: Option<String>,
    headers: Option<Vec<(String, String)>>,
    status: Option<Vec<StatusRange>>,
    body: Option<Vec<HttpBody>>,
}

impl Said {
    fn read(section: &Section<'_>, problems: &mut Problems) -> Self {
        let token = |text: &str| {
            !text.is_empty()
                && text
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
        };
        let method = checked(
            section,
            "method",
            token,
            r#"expected one like "HEAD""#,
            problems,
        );
        let host = checked(
            section,
            "host",
            |text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()),
            r#"expected a name like "www.example.org""#,
            problems,
        );
        Self {
            method,
            host,
            headers: headers(section, token, problems),
            status: status(section, problems),
            body: body(section, problems),
        }
    }
}

fn checked(
    section: &Section<'_>,
    key: &str,
    good: impl Fn(&str) -> bool,
    expected: &str,
    problems: &mut Problems,
) -> Option<String> {
    let text = section.text(key, problems)?;
    if !good(text.value) {
        let message = format!("`{}` is no `{key}`", text.value);
        problems.add(text.span, message, expected);
        return None;
    }
    Some(text.value.to_owned())
}

fn request(
    value: &Spanned<DeValue<'_>>,
    key: &str,
    common: &Said,
    problems: &mut Problems,
) -> Option<HttpRequest> {
    let (path, own) = match value.get_ref() {
        DeValue::Table(_) => {
            let section = Section::of_value(value, "a request", &REQUEST, problems)?;
            if section.lacks("path") {
                problems.add(section.span.clone(), "this request has no path", REQUESTS);
            }
            let own = Said::read(&section, problems);
            (section.text("path", problems)?, Some(own))
        }
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_) => (text(value, &format!("`{key}`"), REQUESTS, problems)?, None),
    };
    check_path(&path, problems)?;
    let said = own.unwrap_or_else(|| common.clone());
    Some(HttpRequest {
        method: said
            .method
            .or_else(|| common.method.clone())
            .unwrap_or_else(|| "GET".to_owned()),
        path: path.value.to_owned(),
        host: said.host.or_else(|| common.host.clone()),
        headers: said
            .headers
            .or_else(|| common.headers.clone())
            .unwrap_or_default(),
        status: said
            .status
            .or_else(|| common.status.clone())
            .unwrap_or_default(),
        body: said
            .body
            .or_else(|| common.body.clone())
            .unwrap_or_default(),
    })
}

/// A path goes into a request as it is.
pub(super) fn check_path(path: &Placed<&str>, problems: &mut Problems) -> Option<()> {
    let good =
        path.value.starts_with('/') && path.value.bytes().all(|byte| byte.is_ascii_graphic());
    if !good {
        problems.add(
            path.span.clone(),
            format!("`{}` is no path", path.value),
            "expected one that begins with `/`, its spaces written as `%20`",
        );
    }
    good.then_some(())
}

fn headers(
    section: &Section<'_>,
    token: impl Fn(&str) -> bool,
    problems: &mut Problems,
) -> Option<Vec<(String, String)>> {
    let list = section.list("headers", HEADERS, problems)?;
    let mut headers = Vec::new();
    for value in list {
        let Some(line) = text(value, "a header", HEADERS, problems) else {
            continue;
        };
        let split = line
            .value
            .split_once(':')
            .map(|(name, value)| (name, value.trim()));
        let good = |(name, value): &(&str, &str)| {
            token(name) && !value.bytes().any(|byte| byte.is_ascii_control())
        };
        match split.filter(good) {
            Some((name, value)) => headers.push((name.to_owned(), value.to_owned())),
            None => {
                let message = format!("`{}` is no header", line.value.escape_debug());
                problems.add(line.span, message, HEADERS);
            }
        }
    }
    Some(headers)
}

fn status(section: &Section<'_>, problems: &mut Problems) -> Option<Vec<StatusRange>> {
    let value = section.get("status")?;
    let mut ranges = Vec::new();
    for value in one_or_more(value) {
        match range(value.get_ref()) {
            Some(range) => ranges.push(range),
            None => problems.add(value.span(), "this is no status of HTTP", STATUS),
        }
    }
    Some(ranges)
}

fn range(value: &DeValue<'_>) -> Option<StatusRange> {
    let number = |text: &str| {
        let number = text.parse::<u16>().ok();
        number.filter(|number| (100..=999).contains(number))
    };
    let (first, last) = match value {
        DeValue::Integer(integer) if integer.radix() == 10 => {
            let one = number(integer.as_str())?;
            (one, one)
        }
        DeValue::String(text) => match text.split_once('-') {
            Some((first, last)) => (number(first)?, number(last)?),
            None => (number(text)?, number(text)?),
        },
        DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_)
        | DeValue::Table(_) => return None,
    };
    (first <= last).then_some(StatusRange { first, last })
}

fn body(section: &Section<'_>, problems: &mut Problems) -> Option<Vec<HttpBody>> {
    let value = section.get("body")?;
    let mut bodies = Vec::new();
    for value in one_or_more(value) {
        bodies.extend(one_body(value, problems));
    }
    Some(bodies)
}

fn one_body(value: &Spanned<DeValue<'_>>, problems: &mut Problems) -> Option<HttpBody> {
    if let DeValue::String(pattern) = value.get_ref() {
        let pattern = Placed {
            value: pattern.as_ref(),
            span: value.span(),
        };
        check_pattern(&pattern, "", problems)?;
        return Some(HttpBody::Matches {
            pattern: pattern.value.to_owned(),
            not: false,
            from: 0,
            before: None,
            options: String::new(),
        });
    }
    if !matches!(value.get_ref(), DeValue::Table(_)) {
        let is = kind(value.get_ref());
        problems.add(value.span(), format!("an entry of `body` is {is}"), BODIES);
        return None;
    }
    let section = Section::of_value(value, "`body`", &BODY, problems)?;
    let digest = |key, length, problems: &mut Problems| {
        let hexadecimal =
            |text: &str| text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let expected = format!("expected {length} hexadecimal digits");
        checked(&section, key, hexadecimal, &expected, problems).map(|it| it.to_ascii_lowercase())
    };
    let whats = ["matches", "md5", "sha256"];
    if whats
        .iter()
        .filter(|key| section.get(key).is_some())
        .count()
        != 1
        && whats
            .iter()
            .all(|key| section.lacks(key) || section.get(key).is_some())
    {
        problems.add(
            section.span.clone(),
            "an entry of `body` says one of `matches`, `md5` and `sha256`",
            BODIES,
        );
        return None;
    }
    if section.get("md5").is_some() {
        return digest("md5", 32, problems).map(HttpBody::Md5);
    }
    if section.get("sha256").is_some() {
        return digest("sha256", 64, problems).map(HttpBody::Sha256);
    }
    let options = section
        .text("options", problems)
        .map_or("", |text| text.value);
    let mut offset = |key| section.number(key, 0..=MOST_OFFSET, problems);
    let (from, before) = (offset("from"), offset("before"));
    let not = section.truth("not", problems);
    let pattern = section.text("matches", problems)?;
    check_pattern(&pattern, options, problems)?;
    Some(HttpBody::Matches {
        pattern: pattern.value.to_owned(),
        not: not.unwrap_or(false),
        from: from.unwrap_or(0) as usize,
        before: before.map(|before| before as usize),
        options: options.to_owned(),
    })
}

fn check_pattern(pattern: &Placed<&str>, options: &str, problems: &mut Problems) -> Option<()> {
    match pattern::compile(pattern.value, options) {
        Ok(_) => Some(()),
        Err(error) => {
            problems.add(
                pattern.span.clone(),
                format!("`{}` is no regular expression", pattern.value),
                error.to_string(),
            );
            None
        }
    }
}

fn one_or_more<'a, 'v>(value: &'a Spanned<DeValue<'v>>) -> Vec<&'a Spanned<DeValue<'v>>> {
    match value.get_ref() {
        DeValue::Array(list) => list.iter().collect(),
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Table(_) => vec![value],
    }
}
