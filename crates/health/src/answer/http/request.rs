//! The request.

use std::net::SocketAddr;

use weir_config::model::health::{HttpRequest, HttpVersion};

/// Who we are, unless configured otherwise: keepalived's word, which logs of web servers are already
/// filtered by.
const USER_AGENT: &str = "KeepAliveClient";

/// Why a request cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} {text:?} has a character that cannot be sent")]
pub struct RequestError {
    what: &'static str,
    text: String,
}

/// The request in HTTP/1, to the byte as keepalived sends it where nothing more is configured.
pub fn request(
    request: &HttpRequest,
    version: HttpVersion,
    target: SocketAddr,
) -> Result<Vec<u8>, RequestError> {
    let minor = match version {
        HttpVersion::Http10 | HttpVersion::Http10Close => 0,
        HttpVersion::Http11 | HttpVersion::Http2 => 1,
    };
    let close = match version {
        HttpVersion::Http10 => "",
        HttpVersion::Http10Close | HttpVersion::Http11 | HttpVersion::Http2 => {
            "Connection: close\r\n"
        }
    };
    let method = plain("method", &request.method)?;
    let path = plain("path", path(request))?;
    let agent = line("header", user_agent(request))?;
    let host = authority(request, target);
    let host = line("host", &host)?;
    let mut text =
        format!("{method} {path} HTTP/1.{minor}\r\nUser-Agent: {agent}\r\n{close}Host: {host}\r\n");
    for (name, value) in &request.headers {
        if !name.eq_ignore_ascii_case("user-agent") {
            let (name, value) = (plain("header", name)?, line("header", value)?);
            text.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    text.push_str("\r\n");
    Ok(text.into_bytes())
}

fn path(request: &HttpRequest) -> &str {
    if request.path.is_empty() {
        "/"
    } else {
        &request.path
    }
}

/// Whom the request is for: what was configured, or the target with its port.
pub fn authority(request: &HttpRequest, target: SocketAddr) -> String {
    request.host.clone().unwrap_or_else(|| target.to_string())
}

/// Who we say that we are.
pub fn user_agent(request: &HttpRequest) -> &str {
    let own = request
        .headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("user-agent"));
    own.map_or(USER_AGENT, |(_, value)| value)
}

/// Without control characters: nobody begins a header of his own in a value.
fn line<'a>(what: &'static str, text: &'a str) -> Result<&'a str, RequestError> {
    if text.chars().any(char::is_control) {
        let text = text.to_owned();
        return Err(RequestError { what, text });
    }
    Ok(text)
}

/// Without spaces too.
fn plain<'a>(what: &'static str, text: &'a str) -> Result<&'a str, RequestError> {
    if text.is_empty() || text.contains(' ') {
        let text = text.to_owned();
        return Err(RequestError { what, text });
    }
    line(what, text)
}
