//! Whether a name server answers.

use socket2::Protocol;
use weir_config::model::health::DnsCheck;
use weir_health::answer::dns::{DnsError, query, read};
use weir_health::verdict::{Outcome, Reading};

use crate::stream::{Opening, Stream};
use crate::talk::{Fault, Talk};
use crate::udp::{refused_datagram, send};
use crate::{Finding, socket, tls};

/// So much of an answer is read: its header says all.
const READ: usize = 512;
/// The length that comes before a message over TCP.
const PREFIX: usize = 2;
/// So much must have come of it.
const HEADER: usize = 12;

pub async fn check(talk: &mut Talk<'_>, check: &DnsCheck) -> Finding {
    let id = talk.prober.number();
    let query = query(id, &check.name, check.record).map_err(Fault::ours)?;
    if check.tcp {
        over_tcp(talk, id, &query).await?;
    } else {
        over_udp(talk, id, &query).await?;
    }
    talk.tell("answer", || "NOERROR".to_owned());
    Ok((Outcome::Passed, Reading::default()))
}

async fn over_udp(talk: &mut Talk<'_>, id: u16, query: &[u8]) -> Result<(), Fault> {
    let socket = socket::datagrams(talk, Protocol::UDP)?;
    send(talk, &socket, query).await?;
    let receiving = async {
        let mut answer = vec![0; READ];
        loop {
            let received = socket.recv(&mut answer).await;
            let length = received.map_err(|error| refused_datagram(&error))?;
            if let Some(result) = read(&answer[..length], id) {
                return result.map_err(Fault::servers);
            }
        }
    };
    talk.step("answer", receiving).await
}

async fn over_tcp(talk: &mut Talk<'_>, id: u16, query: &[u8]) -> Result<(), Fault> {
    let opening = Opening {
        proxy: false,
        tls: None,
        name: None,
        protocol: tls::Protocol::Any,
    };
    let mut stream = Stream::open(talk, opening).await?;
    let length = u16::try_from(query.len()).map_err(Fault::ours)?;
    let sent = [&length.to_be_bytes()[..], query].concat();
    stream.send(talk, &sent).await?;
    let mut answer = Vec::new();
    stream
        .receive(talk, "answer", |bytes| {
            answer.extend_from_slice(&bytes[..bytes.len().min(READ)]);
            if answer.len() < PREFIX + HEADER {
                return Ok(None);
            }
            match read(&answer[PREFIX..], id) {
                Some(result) => result.map(Some).map_err(Fault::servers),
                None => Err(Fault::servers(DnsError::Other)),
            }
        })
        .await
}
