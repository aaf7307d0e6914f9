//! Bodies in, answers out: JSON both ways, and a reason in every refusal.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{self, ConnectInfo, FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Code, Error, ErrorBody};
use crate::management::{Management, Peer};

/// The longest name that is kept of who asks.
const LONGEST_AGENT: usize = 64;

/// Who asks.
pub struct Caller(pub Peer);

/// The names in a path.
pub struct Path<T>(pub T);

/// What stands behind a path's question mark.
pub struct Query<T>(pub T);

/// A body in JSON, whatever its content type says.
pub struct Body<T>(pub T);

/// A body of text.
pub struct Text(pub String);

/// An answer in JSON.
pub struct Answer<T>(pub T);

/// A refusal in JSON.
pub struct Refusal(pub Error);

/// Asks the director on a thread where it may block, and survives its panic.
pub async fn ask<T: Send + 'static>(
    director: Arc<dyn Management>,
    question: impl FnOnce(&dyn Management) -> Result<T, Error> + Send + 'static,
) -> Result<Answer<T>, Refusal> {
    match tokio::task::spawn_blocking(move || question(&*director)).await {
        Ok(answer) => Ok(Answer(answer?)),
        Err(panic) => {
            tracing::error!(%panic, "a request made the director panic");
            Err(Refusal(Error::new(
                Code::Internal,
                "the director failed on this request: its log says where; please report it",
            )))
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let caller = ConnectInfo::<Peer>::from_request_parts(parts, state).await;
        let ConnectInfo(mut peer) =
            caller.map_err(|error| Refusal(Error::new(Code::Internal, error.body_text())))?;
        let agent = parts.headers.get(header::USER_AGENT);
        peer.agent = agent.and_then(|agent| agent.to_str().ok()).map(|agent| {
            let agent: String = agent.chars().take(LONGEST_AGENT).collect();
            agent
        });
        Ok(Self(peer))
    }
}

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        match extract::Path::from_request_parts(parts, state).await {
            Ok(extract::Path(names)) => Ok(Self(names)),
            Err(rejection) => Err(invalid("path", &rejection.body_text())),
        }
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        match extract::Query::from_request_parts(parts, state).await {
            Ok(extract::Query(query)) => Ok(Self(query)),
            Err(rejection) => Err(invalid("query", &rejection.body_text())),
        }
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let bytes = bytes(request, state).await?;
        serde_json::from_slice(&bytes)
            .map(Self)
            .map_err(|error| Refusal(Error::invalid(format!("the body: {error}"))))
    }
}

impl<S: Send + Sync> FromRequest<S> for Text {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let bytes = bytes(request, state).await?;
        String::from_utf8(bytes.into())
            .map(Self)
            .map_err(|error| Refusal(Error::invalid(format!("the body is not text: {error}"))))
    }
}

impl<T: Serialize> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        json(StatusCode::OK, &self.0)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.0.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        json(status, &ErrorBody { error: self.0 })
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

fn invalid(part: &str, reason: &str) -> Refusal {
    Refusal(Error::invalid(format!("the {part}: {reason}")))
}

async fn bytes<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Refusal> {
    Bytes::from_request(request, state)
        .await
        .map_err(|rejection: BytesRejection| {
            let code = match rejection.status() {
                StatusCode::PAYLOAD_TOO_LARGE => Code::TooLarge,
                _ => Code::Invalid,
            };
            Refusal(Error::new(
                code,
                format!("the body: {}", rejection.body_text()),
            ))
        })
}

fn json(status: StatusCode, body: &impl Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(bytes) => (status, [(header::CONTENT_TYPE, "application/json")], bytes).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
