//! HTTP/2: with prior knowledge, or as agreed in the TLS handshake.

use std::future::poll_fn;

use bytes::Bytes;
use h2::client::{Builder, Connection, ResponseFuture, SendRequest};
use h2::{Reason, RecvStream};
use http::{HeaderMap, Request, Uri};
use weir_config::model::health::HttpRequest;
use weir_health::answer::body::Body;
use weir_health::answer::http::{HEAD, HttpError, INTERIM, authority, user_agent};

use crate::http::Answer;
use crate::stream::Stream;
use crate::talk::{Fault, Talk};

/// So much of an answer may be under way.
const WINDOW: u32 = 64 << 10;

/// A request and its answer.
pub async fn get(
    talk: &mut Talk<'_>,
    stream: Stream,
    tls: bool,
    asked: &HttpRequest,
    mut body: Body,
) -> Result<Answer, Fault> {
    let request = built(talk, tls, asked)?;
    let (mut sender, connection) = begin(talk, stream).await?;
    let asking = async {
        let (response, _) = sender
            .send_request(request, true)
            .map_err(|error| in_words(&error))?;
        receive(response, &mut body).await
    };
    let head = talk.step("answer", beside(connection, asking)).await?;
    Ok(Answer {
        status: head.status,
        body,
    })
}

/// What comes before and after a body.
pub struct Head {
    pub status: u16,
    pub headers: HeaderMap,
    pub trailers: Option<HeaderMap>,
}

/// Reads an answer.
pub async fn receive(mut response: ResponseFuture, body: &mut Body) -> Result<Head, Fault> {
    interim(&mut response).await?;
    let response = response.await.map_err(|error| in_words(&error))?;
    let (parts, mut stream) = response.into_parts();
    let stream: &mut RecvStream = &mut stream;
    while let Some(piece) = stream.data().await {
        let piece = piece.map_err(|error| in_words(&error))?;
        body.add_raw(&piece).map_err(Fault::servers)?;
        body.add(&piece);
        stream
            .flow_control()
            .release_capacity(piece.len())
            .map_err(|error| in_words(&error))?;
    }
    let trailers = stream.trailers().await.map_err(|error| in_words(&error))?;
    Ok(Head {
        status: parts.status.as_u16(),
        headers: parts.headers,
        trailers,
    })
}

/// Takes the answers that only say that one will come (1xx), which are kept until somebody does; too many are an error.
async fn interim(response: &mut ResponseFuture) -> Result<(), Fault> {
    for _ in 0..=INTERIM {
        match poll_fn(|context| response.poll_informational(context)).await {
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(in_words(&error)),
            None => return Ok(()),
        }
    }
    Err(Fault::servers(HttpError::Interim))
}

/// The connection's own frames are read and answered while `doing` goes on. When the connection ends,
/// that hears of it.
pub async fn beside<T>(
    connection: Connection<Stream, Bytes>,
    doing: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    let mut connection = std::pin::pin!(connection);
    let mut doing = std::pin::pin!(doing);
    tokio::select! {
        biased;
        done = &mut doing => done,
        ended = &mut connection => match (ended, doing.await) {
            // What the connection ended with says more than that it did.
            (Err(error), Err(_)) => Err(in_words(&error)),
            (_, done) => done,
        },
    }
}

/// The preface and our settings.
pub async fn begin(
    talk: &mut Talk<'_>,
    stream: Stream,
) -> Result<(SendRequest<Bytes>, Connection<Stream, Bytes>), Fault> {
    let beginning = async {
        Builder::new()
            .enable_push(false)
            .initial_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .max_header_list_size(HEAD as u32)
            .max_concurrent_streams(1)
            .handshake(stream)
            .await
            .map_err(|error| in_words(&error))
    };
    talk.step("room to send", beginning).await
}

fn built(talk: &Talk<'_>, tls: bool, asked: &HttpRequest) -> Result<Request<()>, Fault> {
    let path = match asked.path.as_str() {
        "" => "/",
        path => path,
    };
    let uri = Uri::builder()
        .scheme(if tls { "https" } else { "http" })
        .authority(authority(asked, talk.target))
        .path_and_query(path)
        .build()
        .map_err(Fault::ours)?;
    let mut request = Request::builder()
        .method(asked.method.as_str())
        .uri(uri)
        .version(http::Version::HTTP_2)
        .header("user-agent", user_agent(asked));
    for (name, value) in &asked.headers {
        if !name.eq_ignore_ascii_case("user-agent") {
            request = request.header(name.to_ascii_lowercase(), value);
        }
    }
    request.body(()).map_err(Fault::ours)
}

/// What an error of HTTP/2 means.
pub fn in_words(error: &h2::Error) -> Fault {
    if let Some(error) = error.get_io() {
        return crate::socket::refused(error);
    }
    Fault::Servers(match error.reason() {
        Some(Reason::FRAME_SIZE_ERROR) => {
            "the answer is not HTTP/2: a frame of a length that cannot be".to_owned()
        }
        Some(Reason::HTTP_1_1_REQUIRED) => "the server wants HTTP/1.1".to_owned(),
        Some(reason) => format!("HTTP/2: {}", reason.description()),
        None => format!("HTTP/2: {error}"),
    })
}
