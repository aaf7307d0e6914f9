//! What each path of the API does: text in, a question to the director, text out.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, patch, post, put};
use config::model::ServiceKey;
use serde::Deserialize;
use weir_config as config;

use crate::error::{Code, Error, ErrorBody};
use crate::key::{Key, parse_address};
use crate::management::{Change, Document, Management, Peer};
use crate::status::Status;
use crate::types;

mod extract;
pub mod health;
pub mod history;
mod read;
pub mod settings;
pub mod sync_daemons;

use extract::{Answer, Body, Caller, Path, Query, Refusal, ask};
use read::filter;

type Director = State<Arc<dyn Management>>;

/// The largest body of a request that names one thing.
const BODY_LIMIT: usize = 64 << 10;
/// The largest configuration document: some hundred thousand real servers.
const DOCUMENT_LIMIT: usize = 32 << 20;

/// All paths.
pub fn router(director: Arc<dyn Management>) -> Router {
    let documents = Router::new()
        .route("/v1/plan", post(plan))
        .route("/v1/apply", post(apply))
        .layer(DefaultBodyLimit::max(DOCUMENT_LIMIT));
    Router::new()
        .route("/v1/openapi.json", get(openapi))
        .route("/v1/status", get(status))
        .route("/v1/counters", get(counters))
        .route("/v1/vrrp", get(vrrp))
        .route("/v1/bfd", get(bfd))
        .route("/v1/connections", get(connections))
        .route(
            "/v1/services",
            get(services).post(add_service).delete(flush),
        )
        .route(
            "/v1/services/{key}",
            get(service).patch(edit_service).delete(delete_service),
        )
        .route("/v1/services/{key}/servers", post(add_server))
        .route(
            "/v1/services/{key}/servers/{address}",
            patch(edit_server).delete(delete_server),
        )
        .route(
            "/v1/services/{key}/servers/{address}/drain",
            post(settings::drain),
        )
        .route("/v1/sysctls", get(settings::sysctls))
        .route("/v1/sysctls/{name}", put(settings::set_sysctl))
        .route("/v1/marks", get(settings::marks).put(settings::set_marks))
        .route("/v1/services/{key}/zero", post(zero_service))
        .route("/v1/zero", post(zero))
        .route("/v1/timeouts", get(timeouts).put(set_timeouts))
        .route(
            "/v1/sync-daemons",
            get(sync_daemons::list).post(sync_daemons::start),
        )
        .route("/v1/sync-daemons/{role}", delete(sync_daemons::stop))
        .route("/v1/health", get(health::all))
        .route("/v1/health/{key}", get(health::of_service))
        .route("/v1/history", get(history::history))
        .route("/v1/history/{number}", get(history::revision))
        .route("/v1/rollback", post(history::rollback))
        .route("/v1/drift", get(history::drift))
        .route("/v1/audit", get(history::audit))
        .route(
            "/v1/maintenance",
            get(history::maintenance).post(history::set_maintenance),
        )
        .route("/v1/events", get(history::events))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .merge(documents)
        .fallback(async || {
            Refusal(Error::new(
                Code::NotFound,
                "no such path: see /v1/openapi.json",
            ))
        })
        .method_not_allowed_fallback(async || {
            Refusal(Error::new(
                Code::MethodNotAllowed,
                "this path does not take that method: see /v1/openapi.json",
            ))
        })
        .with_state(director)
}

/// This document.
#[utoipa::path(get, path = "/v1/openapi.json", responses((status = 200, description = "OpenAPI")))]
async fn openapi() -> Response {
    axum::response::Response::builder()
        .header("content-type", "application/json")
        .body(crate::document().into())
        .unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

/// What the director says of itself.
#[utoipa::path(get, path = "/v1/status", responses((status = 200, body = Status)))]
async fn status(State(director): Director) -> Result<Answer<Status>, Refusal> {
    ask(director, |d| d.status()).await
}

/// Counted over all services, and what became of every packet.
#[utoipa::path(get, path = "/v1/counters", responses((status = 200, body = types::Totals)))]
async fn counters(State(director): Director) -> Result<Answer<types::Totals>, Refusal> {
    ask(director, |d| d.totals()).await
}

/// What VRRP's instances and groups are, and why.
#[utoipa::path(get, path = "/v1/vrrp",
    responses((status = 200, body = types::Vrrp), (status = "4XX", body = ErrorBody)))]
async fn vrrp(State(director): Director) -> Result<Answer<types::Vrrp>, Refusal> {
    ask(director, |d| d.vrrp()).await
}

/// Which neighbours BFD reaches, and why not the others.
#[utoipa::path(get, path = "/v1/bfd",
    responses((status = 200, body = types::Bfd), (status = "4XX", body = ErrorBody)))]
async fn bfd(State(director): Director) -> Result<Answer<types::Bfd>, Refusal> {
    ask(director, |d| d.bfd()).await
}

/// All services with their real servers.
#[utoipa::path(get, path = "/v1/services", responses((status = 200, body = types::Services)))]
async fn services(State(director): Director) -> Result<Answer<types::Services>, Refusal> {
    ask(director, |d| {
        Ok(types::Services {
            services: d.services()?,
        })
    })
    .await
}

/// One service with its real servers.
#[utoipa::path(get, path = "/v1/services/{key}", params(("key" = String, Path)),
    responses((status = 200, body = types::Service), (status = "4XX", body = ErrorBody)))]
async fn service(
    State(director): Director,
    Path(key): Path<String>,
) -> Result<Answer<types::Service>, Refusal> {
    let key: Key = key.parse()?;
    ask(director, move |d| d.service(key.0)).await
}

/// Adds a service.
#[utoipa::path(post, path = "/v1/services", request_body = types::NewService,
    responses((status = 204), (status = "4XX", body = ErrorBody)))]
async fn add_service(
    State(director): Director,
    Caller(peer): Caller,
    Body(new): Body<types::NewService>,
) -> Result<StatusCode, Refusal> {
    let key = new.key.0;
    match read::new_service(&new) {
        Ok(service) => change(director, peer, Change::AddService(service)).await,
        // As in IPVS, that the service is there is told first.
        Err(refusal) => {
            let exists = move |d: &dyn Management| match d.service(key) {
                Ok(_) => Err(Error::new(
                    Code::ServiceExists,
                    format!("virtual service {key} exists already"),
                )),
                Err(_) => Err(refusal),
            };
            ask(director, exists).await.map(|Answer(status)| status)
        }
    }
}

/// Changes a service; its real servers and connections stay.
#[utoipa::path(patch, path = "/v1/services/{key}", params(("key" = String, Path)),
    request_body = types::ServiceEdit,
    responses((status = 204), (status = "4XX", body = ErrorBody)))]
async fn edit_service(
    State(director): Director,
    Caller(peer): Caller,
    Path(key): Path<String>,
    Body(edit): Body<types::ServiceEdit>,
) -> Result<StatusCode, Refusal> {
    let key = key.parse::<Key>()?.0;
    match read::service_edit(key, &edit) {
        Ok(edit) => change(director, peer, Change::EditService { key, edit }).await,
        Err(refusal) => first_of_service(director, key, refusal).await,
    }
}

/// Deletes a service with its real servers.
#[utoipa::path(delete, path = "/v1/services/{key}", params(("key" = String, Path)),
    responses((status = 204), (status = "4XX", body = ErrorBody)))]
async fn delete_service(
    State(director): Director,
    Caller(peer): Caller,
    Path(key): Path<String>,
) -> Result<StatusCode, Refusal> {
    let key = key.parse::<Key>()?.0;
    change(director, peer, Change::DeleteService(key)).await
}

/// Deletes all services.
#[utoipa::path(delete, path = "/v1/services",
    responses((status = 204), (status = "4XX", body = ErrorBody)))]
async fn flush(State(director): Director, Caller(peer): Caller) -> Result<StatusCode, Refusal> {
    change(director, peer, Change::Flush).await
}

/// Adds a real server to a service.
#[utoipa::path(post, path = "/v1/services/{key}/servers", params(("key" = String, Path)),
    request_body = types::NewServer,
    responses((status = 204), (status = "4XX", body = ErrorBody)))]
async fn add_server(
    State(director): Director,
    Caller(peer): Caller,
    Path(key): Path<String>,
    Body(new): Body<types::NewServer>,
) -> Result<StatusCode, Refusal> {
    let key = key.parse::<Key>()?.0;
    match read::new_server(&new) {
        Ok(server) => change(director, peer, Change::AddServer { key, server }).await,
        Err(refusal) => first_of_service(director, key, refusal).await,
    }
}

/// Changes a real server; its connections stay.
#[utoipa::path(patch, path = "/v1/services/{key}/servers/{address}",
    params(("key" = String, Path), ("address" = String, Path)),
    request_body = types::ServerEdit,
    responses((status = 204), (status = "4XX", body = ErrorBody)))]
async fn edit_server(
    State(director): Director,
    Caller(peer): Caller,
    Path((key, address)): Path<(String, String)>,
    Body(edit): Body<types::ServerEdit>,
) -> Result<StatusCode, Refusal> {
    let key = key.parse::<Key>()?.0;
    let address = parse_address(&address)?;
    match read::server_edit(&edit) {
        Ok(edit) => {
            let edit = Change::EditServer { key, address, edit };
            change(director, peer, edit).await
        }
        Err(refusal) => first_of_service(director, key, refusal).await,
    }
}

/// Deletes a real server; its connections wait for it to come back, as in IPVS.
#[utoipa::path(delete, path = "/v1/services/{key}/servers/{address}",
    params(("key" = String, Path), ("address" = String, Path)),
    responses((status = 204), (status = "4XX", body = ErrorBody)))]
async fn delete_server(
    State(director): Director,
    Caller(peer): Caller,
    Path((key, address)): Path<(String, String)>,
) -> Result<StatusCode, Refusal> {
    let key = key.parse::<Key>()?.0;
    let address = parse_address(&address)?;
    change(director, peer, Change::DeleteServer { key, address }).await
}

/// Zeroes all counters.
#[utoipa::path(post, path = "/v1/zero",
    responses((status = 204), (status = "4XX", body = ErrorBody)))]
async fn zero(State(director): Director, Caller(peer): Caller) -> Result<StatusCode, Refusal> {
    change(director, peer, Change::Zero(None)).await
}

/// Zeroes the counters of one service.
#[utoipa::path(post, path = "/v1/services/{key}/zero", params(("key" = String, Path)),
    responses((status = 204), (status = "4XX", body = ErrorBody)))]
async fn zero_service(
    State(director): Director,
    Caller(peer): Caller,
    Path(key): Path<String>,
) -> Result<StatusCode, Refusal> {
    let key = key.parse::<Key>()?.0;
    change(director, peer, Change::Zero(Some(key))).await
}

/// The timeouts that can be set.
#[utoipa::path(get, path = "/v1/timeouts", responses((status = 200, body = types::Timeouts)))]
async fn timeouts(State(director): Director) -> Result<Answer<types::Timeouts>, Refusal> {
    ask(director, |d| Ok(types::Timeouts::from(d.timeouts()?))).await
}

/// Sets timeouts; 0 keeps what is there.
#[utoipa::path(put, path = "/v1/timeouts", request_body = types::Timeouts,
    responses((status = 204), (status = "4XX", body = ErrorBody)))]
async fn set_timeouts(
    State(director): Director,
    Caller(peer): Caller,
    Body(timeouts): Body<types::Timeouts>,
) -> Result<StatusCode, Refusal> {
    change(director, peer, Change::SetTimeouts(timeouts.into())).await
}

/// Connections, filtered and paged.
#[utoipa::path(get, path = "/v1/connections", params(types::ConnectionQuery),
    responses((status = 200, body = types::ConnectionPage), (status = "4XX", body = ErrorBody)))]
async fn connections(
    State(director): Director,
    Query(query): Query<types::ConnectionQuery>,
) -> Result<Answer<types::ConnectionPage>, Refusal> {
    let filter = filter(query)?;
    ask(director, move |d| d.connections(&filter)).await
}

/// What is said of a document beside its text.
#[derive(Deserialize)]
struct DocumentName {
    name: Option<String>,
    path: Option<String>,
    keep: Option<bool>,
}

/// What a configuration document (the text of a weir.toml) would change. `name` is how diagnostics call
/// it, `path` the file that it is; with `keep`, changes made by hand stay.
#[utoipa::path(post, path = "/v1/plan", params(("name" = Option<String>, Query),
    ("path" = Option<String>, Query), ("keep" = Option<bool>, Query)),
    request_body(content = String, content_type = "application/toml"),
    responses((status = 200, body = types::Plan), (status = "4XX", body = ErrorBody)))]
async fn plan(
    State(director): Director,
    Query(name): Query<DocumentName>,
    extract::Text(text): extract::Text,
) -> Result<Answer<types::Plan>, Refusal> {
    let document = document(name, text);
    ask(director, move |d| d.plan(&document)).await
}

/// Makes what a configuration document (the text of a weir.toml) says so.
#[utoipa::path(post, path = "/v1/apply", params(("name" = Option<String>, Query),
    ("path" = Option<String>, Query), ("keep" = Option<bool>, Query)),
    request_body(content = String, content_type = "application/toml"),
    responses((status = 200, body = types::Plan), (status = "4XX", body = ErrorBody)))]
async fn apply(
    State(director): Director,
    Caller(peer): Caller,
    Query(name): Query<DocumentName>,
    extract::Text(text): extract::Text,
) -> Result<Answer<types::Plan>, Refusal> {
    let document = document(name, text);
    ask(director, move |d| d.apply(peer, &document)).await
}

/// As in IPVS, that the service is not there is told first.
async fn first_of_service(
    director: Arc<dyn Management>,
    key: ServiceKey,
    refusal: Error,
) -> Result<StatusCode, Refusal> {
    let exists = move |d: &dyn Management| d.service(key).and(Err(refusal));
    ask(director, exists).await.map(|Answer(status)| status)
}

async fn change(
    director: Arc<dyn Management>,
    peer: Peer,
    change: Change,
) -> Result<StatusCode, Refusal> {
    ask(director, move |d| d.change(peer, change)).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn document(name: DocumentName, text: String) -> Document {
    Document {
        name: name.name.unwrap_or_else(|| "weir.toml".to_owned()),
        text,
        path: name.path,
        keep: name.keep.unwrap_or(false),
    }
}
