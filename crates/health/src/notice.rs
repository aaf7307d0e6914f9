//! Who is to be told of what, and in which words.

use std::net::SocketAddr;

use weir_config::model::health::CheckKind;
use weir_config::model::{Script, ServiceKey};

use crate::names;

/// Somebody is to be told: by script, pipe or mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The service.
    pub service: ServiceKey,
    /// Of what.
    pub kind: NoticeKind,
    /// Whether it or its quorum is up now.
    pub up: bool,
    /// Whether it is the first that is said of it (`rs_init_notifies`).
    pub first: bool,
    /// What is run.
    pub script: Option<Script>,
    /// Whether it is told by mail.
    pub mail: bool,
    /// What keepalived's mail says of the check, of the quorum, or of what else was the cause.
    pub cause: String,
    /// Why.
    pub reason: String,
}

/// Of what somebody is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeKind {
    /// A real server.
    Server(SocketAddr),
    /// The service's quorum.
    Quorum {
        /// The weights that are up.
        sum: u64,
        /// The quorum.
        quorum: u32,
        /// Its hysteresis.
        hysteresis: u32,
    },
}

impl Notice {
    /// The line that keepalived writes into its pipes.
    pub fn line(&self) -> String {
        let vs = names::service(&self.service);
        let state = match self.up {
            true => "UP",
            false => "DOWN",
        };
        match self.kind {
            NoticeKind::Server(server) => {
                format!("RS {} {vs} {state}", names::server(&self.service, server))
            }
            NoticeKind::Quorum { .. } => format!("VS {vs} {state}"),
        }
    }

    /// Subject and text of a mail, as keepalived writes them; the reason stands behind in a line of its own.
    pub fn mail(&self) -> (String, String) {
        let vs = names::service(&self.service);
        let state = match self.up {
            true => "UP",
            false => "DOWN",
        };
        let (subject, text) = match self.kind {
            NoticeKind::Server(server) => {
                let rs = names::server(&self.service, server);
                let subject = format!("Realserver {rs} of virtual server {vs} - {state}");
                (subject, format!("=> {} <=", self.cause))
            }
            NoticeKind::Quorum {
                sum,
                quorum,
                hysteresis,
            } => {
                let threshold = match self.up {
                    true => u64::from(quorum) + u64::from(hysteresis),
                    false => quorum.saturating_sub(hysteresis).into(),
                };
                let cause = &self.cause;
                let text = format!("=> {cause} {quorum}+{hysteresis}={threshold} <= {sum} <=");
                (format!("Virtualserver {vs} - {state}"), text)
            }
        };
        match (self.up, self.reason.as_str()) {
            (true, _) | (false, "") => (subject, text),
            (false, reason) => (subject, format!("{text}\n{reason}")),
        }
    }
}

/// What keepalived's mail says when a check of that kind has turned.
pub(crate) fn cause(
    check: Option<&CheckKind>,
    target: SocketAddr,
    up: bool,
    reason: &str,
) -> String {
    let word = match up {
        true => "succeed",
        false => "failed",
    };
    match check {
        Some(CheckKind::Tcp(_)) => format!("TCP CHECK {word} on service"),
        Some(CheckKind::Udp(_)) => format!("UDP CHECK {word} on service"),
        Some(CheckKind::Ping(_)) => format!("ICMP CHECK {word} on service"),
        Some(CheckKind::Dns(_)) => format!("DNS_CHECK: {word} on service"),
        Some(CheckKind::Script(_)) if up => "MISC CHECK succeeded on service".to_owned(),
        Some(CheckKind::Script(_)) => "MISC CHECK failed on service".to_owned(),
        Some(CheckKind::Bfd(name)) if up => format!("BFD CHECK {name} succeeded on service"),
        Some(CheckKind::Bfd(name)) => format!("BFD CHECK {name} failed on service"),
        Some(CheckKind::Http(_)) if !up => {
            "CHECK failed on service : HTTP request failed".to_owned()
        }
        Some(CheckKind::Smtp(_)) if !up => format!(
            "CHECK failed on service : {} server [{}]:{}",
            smtp(reason),
            target.ip(),
            target.port()
        ),
        Some(
            CheckKind::Http(_)
            | CheckKind::Smtp(_)
            | CheckKind::File(_)
            | CheckKind::Grpc(_)
            | CheckKind::Agent(_),
        )
        | None => match up {
            true => "CHECK succeed on service".to_owned(),
            false => format!("CHECK failed on service : {reason}"),
        },
    }
}

/// What keepalived says of a mail server, by how the conversation ended.
fn smtp(reason: &str) -> &'static str {
    let known = [
        ("greeting: ", "Bad greeting banner from"),
        ("HELO: ", "Bad HELO response from"),
        ("EHLO: ", "Bad HELO response from"),
        (
            "no answer to the connection attempt within",
            "Connection timeout to",
        ),
        ("not complete within", "Read timeout from"),
        ("no greeting within", "Read timeout from"),
        ("no reply to the greeting within", "Read timeout from"),
        ("no reply to QUIT within", "Read timeout from"),
        ("closed", "Read failure from"),
        ("reset", "Read failure from"),
    ];
    let found = known.iter().find(|(words, _)| reason.contains(words));
    found.map_or("Could not connect to", |(_, said)| said)
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_config::model::health::TcpCheck;

    #[test]
    fn lines_and_mails_read_as_keepalived_writes_them() {
        let tcp = CheckKind::Tcp(TcpCheck::default());
        let mut notice = Notice {
            service: "tcp:192.0.2.10:80".parse().unwrap(),
            kind: NoticeKind::Server("10.0.0.11:8080".parse().unwrap()),
            up: false,
            first: false,
            script: None,
            mail: false,
            cause: cause(
                Some(&tcp),
                "10.0.0.11:8080".parse().unwrap(),
                false,
                "connection refused",
            ),
            reason: "connection refused".to_owned(),
        };
        assert_eq!(
            notice.line(),
            "RS [10.0.0.11]:tcp:8080 [192.0.2.10]:tcp:80 DOWN"
        );
        let subject =
            "Realserver [10.0.0.11]:tcp:8080 of virtual server [192.0.2.10]:tcp:80 - DOWN";
        let text = "=> TCP CHECK failed on service <=\nconnection refused";
        assert_eq!(notice.mail(), (subject.to_owned(), text.to_owned()));
        notice.kind = NoticeKind::Quorum {
            sum: 1,
            quorum: 3,
            hysteresis: 1,
        };
        notice.cause = "Lost quorum".to_owned();
        notice.reason = String::new();
        let (subject, text) = notice.mail();
        assert_eq!(subject, "Virtualserver [192.0.2.10]:tcp:80 - DOWN");
        assert_eq!(text, "=> Lost quorum 3+1=2 <= 1 <=");
    }
}
