//! TLS of a check.

use std::path::PathBuf;

use toml::Spanned;
use toml::de::DeValue;

use super::super::reader::{Keys, Problems, Section};
use crate::model::health::Tls;

const TLS: Keys = Keys {
    known: &["server_name", "verify", "authorities", "certificate", "key"],
    later: &[],
};

/// `true`, or what is special.
pub(super) fn read(value: &Spanned<DeValue<'_>>, problems: &mut Problems) -> Option<Tls> {
    if let DeValue::Boolean(wanted) = value.get_ref() {
        return wanted.then(Tls::default);
    }
    let section = Section::of_value(value, "`tls`", &TLS, problems)?;
    let server_name = section.text("server_name", problems);
    let verify = section.truth("verify", problems);
    let path = |key, problems: &mut Problems| {
        let text = section.text(key, problems)?;
        Some(PathBuf::from(text.value))
    };
    let authorities = path("authorities", problems);
    let (certificate, key) = (path("certificate", problems), path("key", problems));
    let identity = certificate.zip(key);
    if identity.is_none() {
        let lonely = ["certificate", "key"].map(|key| section.get(key));
        for value in lonely.into_iter().flatten() {
            problems.add(
                value.span(),
                "a certificate needs its key, and a key its certificate",
                r#"expected `certificate = "/etc/weir/check.pem"` and `key = "/etc/weir/check.key"`"#,
            );
        }
    }
    Some(Tls {
        server_name: server_name.map(|name| name.value.to_owned()),
        // Who names authorities wants them asked.
        verify: verify.unwrap_or(authorities.is_some()),
        authorities,
        identity,
    })
}
