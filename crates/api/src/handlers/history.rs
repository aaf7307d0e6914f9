//! History, rollback, drift, maintenance, the audit log, events.

use std::sync::Arc;

use axum::body::Body as ResponseBody;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use http_body_util::channel::Channel;
use hyper::body::Bytes;
use serde::Deserialize;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::Director;
use super::extract::{Answer, Body, Caller, Path, Query, Refusal, ask};
use super::read;
use crate::error::{Error, ErrorBody};
use crate::management::Target;
use crate::types;

/// As many lines of the audit log are given unless something else is said.
const AUDIT_LINES: usize = 100;
/// So many events may wait for one listener's connection.
const EVENTS_WAITING: usize = 16;

/// What was changed, the newest first, with the first changes of each revision.
#[utoipa::path(get, path = "/v1/history", responses((status = 200, body = types::History)))]
pub async fn history(State(director): Director) -> Result<Answer<types::History>, Refusal> {
    ask(director, |d| d.history()).await
}

/// One revision with all of its changes.
#[utoipa::path(get, path = "/v1/history/{number}", params(("number" = u64, Path)),
    responses((status = 200, body = types::Revision), (status = "4XX", body = ErrorBody)))]
pub async fn revision(
    State(director): Director,
    Path(number): Path<u64>,
) -> Result<Answer<types::Revision>, Refusal> {
    ask(director, move |d| d.revision(number)).await
}

/// Goes back to what was wanted before a revision. That is a change too, and can be undone.
#[utoipa::path(post, path = "/v1/rollback", request_body = types::Rollback,
    responses((status = 200, body = types::Plan), (status = "4XX", body = ErrorBody)))]
pub async fn rollback(
    State(director): Director,
    Caller(peer): Caller,
    Body(wish): Body<types::Rollback>,
) -> Result<Answer<types::Plan>, Refusal> {
    ask(director, move |d| {
        d.rollback(peer, wish.before, wish.dry_run)
    })
    .await
}

/// How what runs differs from what the files said, and why.
#[utoipa::path(get, path = "/v1/drift", responses((status = 200, body = types::Drift)))]
pub async fn drift(State(director): Director) -> Result<Answer<types::Drift>, Refusal> {
    ask(director, |d| d.drift()).await
}

/// How much of the audit log is wanted.
#[derive(Deserialize)]
pub struct AuditQuery {
    limit: Option<usize>,
}

/// The last lines of the audit log.
#[utoipa::path(get, path = "/v1/audit", params(("limit" = Option<usize>, Query)),
    responses((status = 200, body = types::Audit)))]
pub async fn audit(
    State(director): Director,
    Query(query): Query<AuditQuery>,
) -> Result<Answer<types::Audit>, Refusal> {
    let limit = query.limit.unwrap_or(AUDIT_LINES);
    ask(director, move |d| d.audit(limit)).await
}

/// The real servers in maintenance.
#[utoipa::path(get, path = "/v1/maintenance",
    responses((status = 200, body = types::Maintenance)))]
pub async fn maintenance(State(director): Director) -> Result<Answer<types::Maintenance>, Refusal> {
    ask(director, |d| d.maintenance()).await
}

/// Puts real servers into maintenance, or takes them back. They keep their connections and get no new
/// ones; it outlives reloads and restarts.
#[utoipa::path(post, path = "/v1/maintenance", request_body = types::NewMaintenance,
    responses((status = 200, body = types::Maintenance), (status = "4XX", body = ErrorBody)))]
pub async fn set_maintenance(
    State(director): Director,
    Caller(peer): Caller,
    Body(wish): Body<types::NewMaintenance>,
) -> Result<Answer<types::Maintenance>, Refusal> {
    let target = Target {
        server: read::host(&wish.server)?,
        service: wish.service.map(|key| key.0),
    };
    ask(director, move |d| d.set_maintenance(peer, target, wish.on)).await
}

/// What happens from now on, a line of JSON each, until the listener goes.
#[utoipa::path(get, path = "/v1/events", responses(
    (status = 200, body = types::Event, content_type = "application/x-ndjson")))]
pub async fn events(State(director): Director) -> Result<Response, Refusal> {
    let Answer(events) = ask(director, |d| d.events()).await?;
    let (lines, body) = Channel::new(EVENTS_WAITING);
    tokio::spawn(tell(events, lines));
    let kind = [(header::CONTENT_TYPE, "application/x-ndjson")];
    Ok((kind, ResponseBody::new(body)).into_response())
}

/// Ends when the listener is gone, or the daemon.
async fn tell(
    mut events: Receiver<Arc<types::Event>>,
    mut lines: http_body_util::channel::Sender<Bytes, Error>,
) {
    // The listener knows by it that it misses nothing from here on.
    if lines.send_data(Bytes::from_static(b"\n")).await.is_err() {
        return;
    }
    loop {
        let line = match events.recv().await {
            Ok(event) => serde_json::to_vec(&*event),
            Err(RecvError::Lagged(missed)) => serde_json::to_vec(&types::Event {
                time: crate::time::rfc3339(crate::time::now()),
                kind: "missed".to_owned(),
                subject: "events".to_owned(),
                message: format!("{missed} events were missed: this listener reads too slowly"),
                detail: serde_json::Value::Null,
            }),
            Err(RecvError::Closed) => return,
        };
        let Ok(mut line) = line else {
            continue;
        };
        line.push(b'\n');
        if lines.send_data(line.into()).await.is_err() {
            return;
        }
    }
}
