//! Sysctls, rules for firewall marks, and draining.

use axum::extract::State;
use axum::http::StatusCode;
use config::model::MarkRule;
use config::sysctl::{BadSysctl, Sysctls};
use weir_config as config;

use super::extract::{Answer, Body, Caller, Path, Refusal, ask};
use super::{Director, change};
use crate::error::{Code, Error, ErrorBody};
use crate::key::{Key, parse_address};
use crate::management::Change;
use crate::types;

/// All sysctls of IPVS.
#[utoipa::path(get, path = "/v1/sysctls", responses((status = 200, body = types::Sysctls)))]
pub async fn sysctls(State(director): Director) -> Result<Answer<types::Sysctls>, Refusal> {
    ask(director, |d| {
        Ok(types::Sysctls {
            sysctls: d.sysctls()?,
        })
    })
    .await
}

/// Sets one.
#[utoipa::path(put, path = "/v1/sysctls/{name}", params(("name" = String, Path)),
    request_body = types::NewValue,
    responses((status = 204), (status = "4XX", body = ErrorBody)))]
pub async fn set_sysctl(
    State(director): Director,
    Caller(peer): Caller,
    Path(name): Path<String>,
    Body(new): Body<types::NewValue>,
) -> Result<StatusCode, Refusal> {
    let mut sysctls = Sysctls::default();
    sysctls.set(&name, &new.value).map_err(|bad| {
        let code = match &bad {
            BadSysctl::Unknown(_) => Code::NotFound,
            BadSysctl::Value { .. } => Code::Invalid,
        };
        Error::new(code, bad.to_string())
    })?;
    change(director, peer, Change::SetSysctls(sysctls)).await
}

/// The rules that give packets firewall marks.
#[utoipa::path(get, path = "/v1/marks", responses((status = 200, body = types::Marks)))]
pub async fn marks(State(director): Director) -> Result<Answer<types::Marks>, Refusal> {
    ask(director, |d| {
        Ok(types::Marks {
            marks: d.marks()?.iter().map(types::Mark::from).collect(),
        })
    })
    .await
}

/// Sets all of them.
#[utoipa::path(put, path = "/v1/marks", request_body = types::Marks,
    responses((status = 204), (status = "4XX", body = ErrorBody)))]
pub async fn set_marks(
    State(director): Director,
    Caller(peer): Caller,
    Body(new): Body<types::Marks>,
) -> Result<StatusCode, Refusal> {
    let rules: Result<Vec<MarkRule>, Error> = new.marks.iter().map(MarkRule::try_from).collect();
    change(director, peer, Change::SetMarks(rules?)).await
}

/// Lets a real server get no new connections, and removes it with its last one.
#[utoipa::path(post, path = "/v1/services/{key}/servers/{address}/drain",
    params(("key" = String, Path), ("address" = String, Path)),
    request_body = types::NewDrain,
    responses((status = 204), (status = "4XX", body = ErrorBody)))]
pub async fn drain(
    State(director): Director,
    Caller(peer): Caller,
    Path((key, address)): Path<(String, String)>,
    Body(new): Body<types::NewDrain>,
) -> Result<StatusCode, Refusal> {
    let drain = Change::Drain {
        key: key.parse::<Key>()?.0,
        address: parse_address(&address)?,
        timeout: new.timeout,
    };
    change(director, peer, drain).await
}
