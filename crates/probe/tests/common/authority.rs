//! Certificates for tests, and web servers that show them.
#![allow(dead_code, reason = "every test uses a part of it")]

use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tempfile::TempDir;
use weir_config::model::health::Tls;

/// The name of web servers.
pub const NAME: &str = "web.example";

/// An authority with a directory of what it has signed.
pub struct Authority {
    pub issuer: CertifiedIssuer<'static, KeyPair>,
    pub directory: TempDir,
}

/// A certificate and its key.
pub struct Identity {
    pub chain: Vec<CertificateDer<'static>>,
    pub key: KeyPair,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        let names = &mut parameters.distinguished_name;
        names.push(DnType::CommonName, name);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let issuer = CertifiedIssuer::self_signed(parameters, key).unwrap();
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer, directory }
    }

    pub fn file(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    pub fn sign(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let mut parameters = CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut parameters);
        let key = KeyPair::generate().unwrap();
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap();
        Identity {
            chain: vec![certificate.der().clone()],
            key,
        }
    }

    pub fn of_server(&self) -> Identity {
        self.sign(NAME, |_| {})
    }

    /// A certificate of ours and its key, as files.
    pub fn of_director(&self) -> (PathBuf, PathBuf) {
        let identity = self.sign("director", |_| {});
        let (certificate, key) = (
            self.directory.path().join("own.pem"),
            self.directory.path().join("own.key"),
        );
        std::fs::write(&certificate, pem(&identity.chain[0])).unwrap();
        std::fs::write(&key, identity.key.serialize_pem()).unwrap();
        (certificate, key)
    }

    pub fn trusted(&self) -> Tls {
        Tls {
            server_name: Some(NAME.to_owned()),
            verify: true,
            authorities: Some(self.file()),
            identity: None,
        }
    }
}

fn pem(certificate: &CertificateDer<'_>) -> String {
    use std::fmt::Write;
    let mut text = "-----BEGIN CERTIFICATE-----\n".to_owned();
    for line in base64(certificate).as_bytes().chunks(64) {
        writeln!(text, "{}", std::str::from_utf8(line).unwrap()).unwrap();
    }
    text + "-----END CERTIFICATE-----\n"
}

fn base64(bytes: &[u8]) -> String {
    const SIGNS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let byte = |at: usize| u32::from(three.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            text.push(if at <= three.len() {
                char::from(SIGNS[(bits >> (18 - 6 * at) & 63) as usize])
            } else {
                '='
            });
        }
    }
    text
}

pub fn configured(identity: &Identity, clients: Option<&Authority>) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(authority.issuer.der().clone()).unwrap();
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.unwrap())
        }
    };
    let key = PrivateKeyDer::try_from(identity.key.serialize_der()).unwrap();
    builder
        .with_single_cert(identity.chain.clone(), key)
        .unwrap()
}
