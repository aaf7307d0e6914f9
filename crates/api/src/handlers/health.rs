//! Whether real servers are up.

use axum::extract::State;

use super::Director;
use super::extract::{Answer, Path, Refusal, ask};
use crate::error::ErrorBody;
use crate::key::Key;
use crate::types;

/// Whether the real servers are up that are watched, and why.
#[utoipa::path(get, path = "/v1/health", responses((status = 200, body = types::Health)))]
pub async fn all(State(director): Director) -> Result<Answer<types::Health>, Refusal> {
    ask(director, |d| d.health(None)).await
}

/// The same of one service.
#[utoipa::path(get, path = "/v1/health/{key}", params(("key" = String, Path)),
    responses((status = 200, body = types::Health), (status = "4XX", body = ErrorBody)))]
pub async fn of_service(
    State(director): Director,
    Path(key): Path<String>,
) -> Result<Answer<types::Health>, Refusal> {
    let key: Key = key.parse()?;
    ask(director, move |d| d.health(Some(key.0))).await
}
