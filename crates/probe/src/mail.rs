//! Whether a mail server greets.

use weir_config::model::health::SmtpCheck;
use weir_health::answer::smtp::{Reader, Reply, SmtpError};
use weir_health::verdict::{Outcome, Reading};

use crate::Finding;
use crate::stream::{Opening, Stream};
use crate::talk::{Fault, Talk};
use crate::tls::Protocol;

/// What keepalived says where nothing is configured.
const GREETING: &str = "smtpchecker.keepalived.org";

pub async fn check(talk: &mut Talk<'_>, check: &SmtpCheck) -> Finding {
    let greeting = check.greeting.as_deref().unwrap_or(GREETING);
    if greeting.chars().any(char::is_control) {
        let text = format!("{greeting:?} cannot be said to a mail server");
        return Err(Fault::Ours(text));
    }
    let opening = Opening {
        proxy: false,
        tls: None,
        name: None,
        protocol: Protocol::Any,
    };
    let mut server = Server {
        stream: Stream::open(talk, opening).await?,
        reader: Reader::default(),
        ahead: Vec::new(),
    };
    let greeted = server.reply(talk, "greeting").await?;
    greeted.judge("greeting", 220).map_err(Fault::servers)?;
    let hello = if check.extended { "EHLO" } else { "HELO" };
    let said = format!("{hello} {greeting}\r\n");
    server.stream.send(talk, said.as_bytes()).await?;
    let welcome = server.reply(talk, "reply to the greeting").await?;
    welcome.judge(hello, 250).map_err(Fault::servers)?;
    server.stream.send(talk, b"QUIT\r\n").await?;
    // Any will do.
    server.reply(talk, "reply to QUIT").await?;
    Ok((Outcome::Passed, Reading::default()))
}

struct Server {
    stream: Stream,
    reader: Reader,
    /// What came behind the last reply.
    ahead: Vec<u8>,
}

impl Server {
    async fn reply(&mut self, talk: &mut Talk<'_>, missing: &'static str) -> Result<Reply, Fault> {
        let Self {
            stream,
            reader,
            ahead,
        } = self;
        let mut take = |bytes: &[u8]| {
            let (taken, reply) = reader.feed(bytes).map_err(Fault::servers)?;
            Ok(reply.map(|reply| (reply, bytes[taken..].to_vec())))
        };
        let (reply, rest) = match take(&std::mem::take(ahead))? {
            Some(found) => found,
            None => {
                let take = |bytes: &[u8]| match bytes {
                    [] => Err(Fault::servers(SmtpError::Cut)),
                    bytes => take(bytes),
                };
                stream.receive(talk, missing, take).await?
            }
        };
        *ahead = rest;
        talk.tell(missing, || reply.text.clone());
        Ok(reply)
    }
}
