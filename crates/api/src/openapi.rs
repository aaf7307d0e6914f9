//! The OpenAPI document, from the handlers' and types' own attributes.

use utoipa::OpenApi;

use crate::handlers;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Weir management API",
        description = "What can be asked of a director, over its Unix socket.",
        license(name = "Apache-2.0 OR MIT", identifier = "Apache-2.0 OR MIT")
    ),
    paths(
        handlers::openapi,
        handlers::status,
        handlers::counters,
        handlers::connections,
        handlers::services,
        handlers::add_service,
        handlers::flush,
        handlers::service,
        handlers::edit_service,
        handlers::delete_service,
        handlers::add_server,
        handlers::edit_server,
        handlers::delete_server,
        handlers::zero,
        handlers::zero_service,
        handlers::timeouts,
        handlers::set_timeouts,
        handlers::sync_daemons::list,
        handlers::sync_daemons::start,
        handlers::sync_daemons::stop,
        handlers::settings::sysctls,
        handlers::settings::set_sysctl,
        handlers::settings::marks,
        handlers::settings::set_marks,
        handlers::settings::drain,
        handlers::vrrp,
        handlers::bfd,
        handlers::plan,
        handlers::apply,
        handlers::health::all,
        handlers::health::of_service,
        handlers::history::history,
        handlers::history::revision,
        handlers::history::rollback,
        handlers::history::drift,
        handlers::history::audit,
        handlers::history::maintenance,
        handlers::history::set_maintenance,
        handlers::history::events,
    )
)]
struct Document;

/// The document, as JSON.
pub fn document() -> String {
    // Serialising our own constant tree of strings into memory has nothing to fail on.
    Document::openapi().to_pretty_json().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_is_described() {
        let document: serde_json::Value =
            serde_json::from_str(&document()).expect("the document is JSON");
        let paths = document["paths"].as_object().expect("it has paths");
        let operations: usize = paths
            .values()
            .filter_map(|p| p.as_object())
            .map(|p| p.len())
            .sum();
        assert_eq!(operations, 39, "{paths:#?}");
        assert!(document["components"]["schemas"]["Status"].is_object());
    }
}
