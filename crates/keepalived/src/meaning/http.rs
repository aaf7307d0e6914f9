//! Checks of web servers.

use weir_config::model::health::{
    HttpBody, HttpCheck, HttpRequest, HttpTurns, HttpVersion, StatusRange, Tls,
};
use weir_config::pattern::compile;

use super::check::Inherited;
use super::values::Troubles;
use crate::grammar::Node;
use crate::language::command;

/// `HTTP_GET` and, with TLS, `SSL_GET`.
pub(super) fn check(
    node: &Node,
    inherited: &Inherited,
    tls: Option<&Tls>,
    troubles: &mut Troubles,
) -> Option<HttpCheck> {
    let mut version = HttpVersion::Http10;
    let mut fast_recovery = false;
    let mut named: Option<Option<String>> = None;
    let mut requests = Vec::new();
    for inner in &node.nodes {
        match inner.name() {
            "http_protocol" => {
                let known = [
                    ("1.0", HttpVersion::Http10),
                    ("1.1", HttpVersion::Http11),
                    ("1.0C", HttpVersion::Http10Close),
                    ("1.0c", HttpVersion::Http10Close),
                ];
                version = troubles.one_of(inner, &known).unwrap_or(version);
            }
            "fast_recovery" => fast_recovery = troubles.switch(inner).unwrap_or(false),
            "enable_sni" => {
                let on = troubles.switch(inner) == Some(true);
                named = named.or(on.then_some(None));
            }
            "sni_name" => named = Some(inner.words().first().map(|word| word.text.clone())),
            "url" => requests.push(request(inner, inherited, troubles)),
            _ => {}
        }
    }
    let Some(first) = requests.first() else {
        let message = format!("`{}` asks nothing", node.name());
        troubles.error(node.place(), message, "expected `url { ... }` in it");
        return None;
    };
    // The name of a request, where none is said for TLS.
    let server_name = named.and_then(|name| name.or_else(|| first.host.clone()));
    let tls = tls.map(|tls| Tls {
        server_name,
        ..tls.clone()
    });
    Some(HttpCheck {
        requests,
        version,
        tls,
        proxy: false,
        turns: HttpTurns::One { fast_recovery },
    })
}

fn request(node: &Node, inherited: &Inherited, troubles: &mut Troubles) -> HttpRequest {
    let mut request = HttpRequest {
        method: "GET".to_owned(),
        path: "/".to_owned(),
        host: inherited.host.clone(),
        headers: Vec::new(),
        status: Vec::new(),
        body: Vec::new(),
    };
    if node.last("path").is_none() {
        let message = "the request has no path";
        troubles.error(node.place(), message, "expected `path PATH` in it");
    }
    let mut expression = Expression::default();
    for inner in &node.nodes {
        match inner.name() {
            "path" => {
                if let Some(word) = troubles.word(inner) {
                    request.path = word.text.clone();
                }
            }
            "virtualhost" => {
                if let Some(word) = troubles.word(inner) {
                    request.host = Some(word.text.clone());
                }
            }
            "status_code" => status(inner, &mut request.status, troubles),
            "digest" => {
                let Some(word) = troubles.word(inner) else {
                    continue;
                };
                let digits = word.text.bytes().all(|byte| byte.is_ascii_hexdigit());
                if word.text.len() == 32 && digits {
                    request
                        .body
                        .push(HttpBody::Md5(word.text.to_ascii_lowercase()));
                } else {
                    troubles.wrong(word, "expected an MD5: 32 hexadecimal digits");
                }
            }
            _ => expression.take(inner, troubles),
        }
    }
    request.body.extend(expression.finish(node, troubles));
    request
}

fn status(node: &Node, codes: &mut Vec<StatusRange>, troubles: &mut Troubles) {
    if node.words().is_empty() {
        troubles.missing(node);
    }
    for word in node.words() {
        let (first, last) = word
            .text
            .split_once('-')
            .unwrap_or((&word.text, &word.text));
        let code = |text: &str| {
            let code = text.parse::<u16>().ok();
            code.filter(|code| (100..=599).contains(code))
        };
        match (code(first), code(last)) {
            (Some(first), Some(last)) if first <= last => {
                codes.push(StatusRange { first, last });
            }
            _ => troubles.wrong(
                word,
                "expected a code from 100 to 599, or a range like 200-299",
            ),
        }
    }
}

/// A regular expression, as it is said piece by piece.
#[derive(Default)]
struct Expression {
    pattern: Option<String>,
    not: bool,
    from: usize,
    before: Option<usize>,
    options: String,
    said: bool,
}

impl Expression {
    fn take(&mut self, node: &Node, troubles: &mut Troubles) {
        let offset = |troubles: &mut Troubles| {
            let number = troubles.number(node, 0..=u32::MAX)?;
            usize::try_from(number).ok()
        };
        match node.name() {
            "regex" => {
                self.pattern = match command(node.line(), false).as_deref() {
                    Ok([_, pattern]) => Some(pattern.clone()),
                    _ => {
                        let message = "this is not one expression";
                        let expected = "expected one, in quotation marks where it has blanks";
                        troubles.error(node.place(), message, expected);
                        None
                    }
                };
                return;
            }
            "regex_no_match" => self.not = true,
            "regex_min_offset" => self.from = offset(troubles).unwrap_or(0),
            "regex_max_offset" => self.before = offset(troubles).map(|offset| offset + 1),
            "regex_options" => self.options(node, troubles),
            _ => return,
        }
        self.said = true;
    }

    fn options(&mut self, node: &Node, troubles: &mut Troubles) {
        for word in node.words() {
            let letter = match word.text.as_str() {
                "caseless" => 'i',
                "multiline" => 'm',
                "dotall" => 's',
                "extended" => 'x',
                "ungreedy" => 'U',
                "utf" | "ucp" => 'u',
                "dollar_endonly" => 'D',
                "auto_callout" | "no_auto_possess" | "no_dotstar_anchor" | "no_start_optimize"
                | "no_auto_capture" | "dupnames" | "never_ucp" | "never_utf"
                | "never_backslash_c" | "use_offset_limit" | "alt_verbnames" => {
                    continue;
                }
                "allow_empty_class"
                | "alt_bsux"
                | "firstline"
                | "match_unset_backref"
                | "alt_circumflex" => {
                    let message = format!("`{}` changes what matches", word.text);
                    let expected = "Weir knows caseless, multiline, dotall, extended and ungreedy";
                    troubles.error(word.place, message, expected);
                    continue;
                }
                _ => {
                    troubles.wrong(word, "expected an option of PCRE, like caseless");
                    continue;
                }
            };
            self.options.push(letter);
        }
    }

    fn finish(self, node: &Node, troubles: &mut Troubles) -> Option<HttpBody> {
        let Some(pattern) = self.pattern else {
            if self.said && node.last("regex").is_none() {
                let message = "there is no regular expression";
                troubles.warning(node.place(), message, "expected `regex EXPRESSION` in it");
            }
            return None;
        };
        if let (Err(error), Some(said)) = (compile(&pattern, &self.options), node.last("regex")) {
            let expected = "expected an expression that can be matched in linear time";
            troubles.error(said.place(), error.to_string(), expected);
        }
        Some(HttpBody::Matches {
            pattern,
            not: self.not,
            from: self.from,
            before: self.before,
            options: self.options,
        })
    }
}
