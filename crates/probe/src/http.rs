//! What a web server answers, in HTTP/1.

use weir_config::model::health::{HttpCheck, HttpRequest, HttpVersion};
use weir_health::answer::body::{Body, Expected};
use weir_health::answer::http::{Progress, Reader, judge_status, request};
use weir_health::verdict::{Outcome, Reading};

use crate::stream::{Opening, Stream};
use crate::talk::{Fault, Talk};
use crate::tls::Protocol;
use crate::{Finding, http2};

/// What has come, in whichever version.
pub struct Answer {
    pub status: u16,
    pub body: Body,
}

/// Asks one request, or one after another, each on a connection of its own.
pub async fn check(talk: &mut Talk<'_>, check: &HttpCheck, only: Option<usize>) -> Finding {
    let asked = match only.and_then(|number| check.requests.get(number)) {
        Some(one) => std::slice::from_ref(one),
        None => &check.requests,
    };
    for one in asked {
        talk.begin_anew();
        ask(talk, check, one).await.map_err(|fault| {
            // Which of several it was.
            match fault {
                Fault::Servers(reason) if check.requests.len() > 1 => {
                    Fault::Servers(format!("{}: {reason}", one.path))
                }
                Fault::Servers(reason) => Fault::Servers(reason),
                Fault::Ours(reason) => Fault::Ours(reason),
            }
        })?;
    }
    Ok((Outcome::Passed, Reading::default()))
}

async fn ask(talk: &mut Talk<'_>, check: &HttpCheck, asked: &HttpRequest) -> Result<(), Fault> {
    let expected = talk.prober.patterns.of(&asked.body)?;
    let body = Body::new(&expected);
    let answer = answer(talk, check, asked, body).await?;
    judge(talk, asked, &answer, &expected)
}

/// One request and its answer.
pub async fn answer(
    talk: &mut Talk<'_>,
    check: &HttpCheck,
    asked: &HttpRequest,
    body: Body,
) -> Result<Answer, Fault> {
    let opening = Opening {
        proxy: check.proxy,
        tls: check.tls.as_ref(),
        name: asked.host.as_deref(),
        protocol: match check.version {
            HttpVersion::Http2 => Protocol::Http2,
            HttpVersion::Http10 | HttpVersion::Http10Close | HttpVersion::Http11 => Protocol::Any,
        },
    };
    if check.version == HttpVersion::Http2 {
        let stream = Stream::open(talk, opening).await?;
        return http2::get(talk, stream, check.tls.is_some(), asked, body).await;
    }
    let text = request(asked, check.version, talk.target).map_err(Fault::ours)?;
    let mut stream = Stream::open(talk, opening).await?;
    stream.send(talk, &text).await?;
    let mut reader = Reader::new(&asked.method, body);
    stream
        .receive(talk, "answer", |bytes| {
            let progress = if bytes.is_empty() {
                reader.end().map(|()| Progress::Complete)
            } else {
                reader.feed(bytes)
            };
            let progress = progress.map_err(Fault::servers)?;
            Ok((progress == Progress::Complete).then_some(()))
        })
        .await?;
    let status = reader.status().unwrap_or_default();
    let body = reader.into_body();
    Ok(Answer { status, body })
}

fn judge(
    talk: &mut Talk<'_>,
    asked: &HttpRequest,
    answer: &Answer,
    expected: &[Expected],
) -> Result<(), Fault> {
    talk.tell("answer", || {
        format!(
            "status {}, a body of {} bytes",
            answer.status,
            answer.body.length()
        )
    });
    judge_status(answer.status, &asked.status).map_err(Fault::servers)?;
    answer.body.judge(expected).map_err(Fault::servers)
}
