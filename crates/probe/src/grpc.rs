//! What the health service of gRPC says.

use bytes::Bytes;
use http::{HeaderMap, Request};
use weir_config::model::health::GrpcCheck;
use weir_health::answer::body::Body;
use weir_health::answer::grpc::{self, GrpcError, PATH};
use weir_health::answer::http::{HttpError, judge_status};
use weir_health::verdict::{Outcome, Reading};

use crate::Finding;
use crate::http2::{self, Head};
use crate::stream::{Opening, Stream};
use crate::talk::{Fault, Talk};
use crate::tls::Protocol;

pub async fn check(talk: &mut Talk<'_>, check: &GrpcCheck) -> Finding {
    let opening = Opening {
        proxy: false,
        tls: check.tls.as_ref(),
        name: None,
        protocol: Protocol::Http2,
    };
    let request = request(talk, check)?;
    let stream = Stream::open(talk, opening).await?;
    let (mut sender, connection) = http2::begin(talk, stream).await?;
    let mut body = Body::to_keep();
    let asking = async {
        let (response, mut stream) = sender
            .send_request(request, false)
            .map_err(|error| http2::in_words(&error))?;
        stream
            .send_data(Bytes::from(grpc::request(&check.service)), true)
            .map_err(|error| http2::in_words(&error))?;
        http2::receive(response, &mut body).await
    };
    let head = talk
        .step("answer", http2::beside(connection, asking))
        .await?;
    judge(&head, &body)?;
    talk.tell("health service", || "SERVING".to_owned());
    Ok((Outcome::Passed, Reading::default()))
}

fn request(talk: &Talk<'_>, check: &GrpcCheck) -> Result<Request<()>, Fault> {
    let (scheme, name) = match &check.tls {
        Some(tls) => ("https", tls.server_name.clone()),
        None => ("http", None),
    };
    let authority = name.unwrap_or_else(|| talk.target.to_string());
    Request::builder()
        .method("POST")
        .uri(format!("{scheme}://{authority}{PATH}"))
        .version(http::Version::HTTP_2)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("user-agent", "weir")
        .body(())
        .map_err(Fault::ours)
}

fn judge(head: &Head, body: &Body) -> Result<(), Fault> {
    judge_status(head.status, &[]).map_err(|error: HttpError| Fault::servers(error))?;
    // An answer without a message has its trailers where its headers are.
    let trailers = head.trailers.as_ref().unwrap_or(&head.headers);
    let code = text(trailers, "grpc-status");
    if code != "0" && !(code.is_empty() && head.trailers.is_some()) {
        let message = text(trailers, "grpc-message");
        return Err(Fault::servers(GrpcError::Status(code, message)));
    }
    grpc::read(body.kept()).map_err(Fault::servers)
}

fn text(headers: &HeaderMap, name: &str) -> String {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default().chars().take(100).collect()
}
