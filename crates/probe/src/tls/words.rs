//! What went wrong with TLS, for an operator.

use std::io;

use rustls::{AlertDescription, CertificateError, Error};

use crate::socket::refused;
use crate::talk::Fault;

/// Of an error of a connection, with or without TLS.
pub fn of(error: &io::Error) -> Fault {
    let inner = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<Error>());
    match inner {
        Some(error) => Fault::Servers(format!("TLS: {}", of_tls(error))),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            Fault::servers("TLS: the server closed the connection within the handshake")
        }
        None => refused(error),
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "rustls has many errors, and more to come; the rest speak for themselves"
)]
fn of_tls(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(error) => match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "the certificate has expired".to_owned()
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "the certificate is not valid yet (is the clock right?)".to_owned()
            }
            CertificateError::UnknownIssuer => {
                "the certificate is from nobody whom we trust".to_owned()
            }
            CertificateError::BadSignature => {
                "the certificate is not signed by whom we trust, though it says so".to_owned()
            }
            CertificateError::NotValidForName => "the certificate is for another name".to_owned(),
            CertificateError::NotValidForNameContext {
                expected,
                presented,
            } => format!(
                "the certificate is for {}, not for {}",
                if presented.is_empty() {
                    "no name".to_owned()
                } else {
                    presented.join(", ")
                },
                expected.to_str()
            ),
            CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
                "the certificate is self-signed: name it as an authority to trust it".to_owned()
            }
            other => format!("the certificate is not valid: {other}"),
        },
        Error::InvalidMessage(_) => "the server does not speak TLS there".to_owned(),
        Error::NoCertificatesPresented => "the server has no certificate".to_owned(),
        Error::AlertReceived(AlertDescription::UnrecognisedName) => {
            "the server does not know that name (SNI)".to_owned()
        }
        Error::AlertReceived(AlertDescription::NoApplicationProtocol) => {
            "the server does not speak HTTP/2".to_owned()
        }
        Error::AlertReceived(
            AlertDescription::CertificateRequired | AlertDescription::BadCertificate,
        ) => "the server wants a certificate of ours".to_owned(),
        other => other.to_string(),
    }
}
