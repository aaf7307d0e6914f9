//! What an agent on the real server says.

use weir_config::model::health::Agent;
use weir_health::answer::agent::{AgentError, Reader};

use crate::Finding;
use crate::stream::{Opening, Stream};
use crate::talk::{Fault, Talk};
use crate::tls::Protocol;

/// An agent that is not there or makes no sense says nothing of the server, as HAProxy has it.
pub async fn check(talk: &mut Talk<'_>, agent: &Agent) -> Finding {
    ask(talk, agent).await.map_err(|fault| match fault {
        Fault::Servers(reason) | Fault::Ours(reason) => Fault::Ours(format!("agent: {reason}")),
    })
}

async fn ask(talk: &mut Talk<'_>, agent: &Agent) -> Finding {
    let opening = Opening {
        proxy: false,
        tls: None,
        name: None,
        protocol: Protocol::Any,
    };
    let mut stream = Stream::open(talk, opening).await?;
    if !agent.send.is_empty() {
        stream.send(talk, agent.send.as_bytes()).await?;
    }
    let mut reader = Reader::default();
    stream
        .receive(talk, "line", |bytes| {
            let whole = bytes.is_empty() || reader.feed(bytes).map_err(Fault::servers)?;
            Ok(whole.then_some(()))
        })
        .await?;
    let said = reader
        .read()
        .map_err(|error: AgentError| Fault::servers(error))?;
    talk.tell("line", || format!("{:?}, {:?}", said.0, said.1));
    Ok(said)
}
