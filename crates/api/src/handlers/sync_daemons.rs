//! The paths of the sync daemons.

use axum::extract::State;
use axum::http::StatusCode;
use weir_config::model;

use super::Director;
use super::extract::{Answer, Body, Caller, Path, Refusal, ask};
use crate::error::ErrorBody;
use crate::types::{self, sync_role};

/// The sync daemons that run.
#[utoipa::path(get, path = "/v1/sync-daemons",
    responses((status = 200, body = types::SyncDaemons)))]
pub async fn list(State(director): Director) -> Result<Answer<types::SyncDaemons>, Refusal> {
    ask(director, |d| {
        let daemons = d.sync_daemons()?.into_iter();
        Ok(types::SyncDaemons {
            daemons: daemons.map(types::SyncDaemon::from).collect(),
        })
    })
    .await
}

/// Starts a sync daemon.
#[utoipa::path(post, path = "/v1/sync-daemons", request_body = types::SyncDaemon,
    responses((status = 204), (status = "4XX", body = ErrorBody)))]
pub async fn start(
    State(director): Director,
    Caller(peer): Caller,
    Body(daemon): Body<types::SyncDaemon>,
) -> Result<StatusCode, Refusal> {
    let daemon = model::SyncDaemon::try_from(daemon)?;
    ask(director, move |d| d.start_sync_daemon(peer, daemon)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Stops a sync daemon.
#[utoipa::path(delete, path = "/v1/sync-daemons/{role}", params(("role" = String, Path)),
    responses((status = 204), (status = "4XX", body = ErrorBody)))]
pub async fn stop(
    State(director): Director,
    Caller(peer): Caller,
    Path(role): Path<String>,
) -> Result<StatusCode, Refusal> {
    let role = sync_role(&role)?;
    ask(director, move |d| d.stop_sync_daemon(peer, role)).await?;
    Ok(StatusCode::NO_CONTENT)
}
