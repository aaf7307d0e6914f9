//! A figure of the real server over HTTP.

use weir_config::model::health::{Figure, HttpCheck, HttpRequest, HttpTurns, HttpVersion};
use weir_health::answer::body::Body;
use weir_health::answer::figure;
use weir_health::answer::http::judge_status;
use weir_health::verdict::{Outcome, Reading, WeightWord};

use crate::Finding;
use crate::http::answer;
use crate::talk::{Fault, Talk};

/// One that cannot be had says nothing of the server.
pub async fn ask(talk: &mut Talk<'_>, asked: &Figure) -> Finding {
    let said = read(talk, asked).await.map_err(|fault| match fault {
        Fault::Servers(reason) | Fault::Ours(reason) => Fault::Ours(reason),
    })?;
    talk.tell("figure", || format!("{said} thousandths"));
    let reading = Reading {
        weight: Some(WeightWord::Figure(said)),
        ..Reading::default()
    };
    Ok((Outcome::Passed, reading))
}

async fn read(talk: &mut Talk<'_>, asked: &Figure) -> Result<u64, Fault> {
    let request = HttpRequest {
        method: "GET".to_owned(),
        path: asked.path.clone(),
        host: asked.host.clone(),
        headers: vec![("User-Agent".to_owned(), "weir".to_owned())],
        status: Vec::new(),
        body: Vec::new(),
    };
    let check = HttpCheck {
        requests: Vec::new(),
        version: HttpVersion::Http11,
        tls: asked.tls.clone(),
        proxy: false,
        turns: HttpTurns::All,
    };
    let answer = answer(talk, &check, &request, Body::to_keep()).await?;
    judge_status(answer.status, &[]).map_err(Fault::servers)?;
    figure::read(answer.body.kept(), &asked.form).map_err(Fault::servers)
}
