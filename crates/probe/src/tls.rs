//! TLS of checks.

mod anybody;
mod pinned;
pub mod sessions;
pub mod words;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rustls::client::danger::ServerCertVerifier;
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, HandshakeKind, RootCertStore};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use weir_config::model::health::Tls;

use self::anybody::Anybody;
use self::pinned::Pinned;
use self::sessions::Sessions;
use crate::stream::Stream;
use crate::talk::{Fault, Talk};

/// So many configurations are remembered; then those that are gone are forgotten with all others.
const MANY: usize = 1024;
/// And with so many servers sessions.
const MANY_SERVERS: usize = 65_536;

/// What is spoken in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// Nothing is agreed on.
    Any,
    /// HTTP/2 (ALPN `h2`).
    Http2,
}

/// Greets.
pub async fn handshake(
    talk: &mut Talk<'_>,
    stream: TcpStream,
    tls: &Tls,
    name: Option<&str>,
    protocol: Protocol,
) -> Result<Stream, Fault> {
    let name = server_name(talk, tls, name)?;
    let server = talk.prober.tls.server(tls, protocol, talk.target, &name)?;
    server.sessions.begin(Instant::now());
    talk.sessions = Some(server.sessions.clone());
    let greeting = async {
        TlsConnector::from(server.configuration.clone())
            .connect(name, stream)
            .await
            .map_err(|error| words::of(&error))
    };
    let stream = talk.step("end of the TLS handshake", greeting).await?;
    let resumed = stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed);
    if !resumed {
        server.sessions.was_whole(Instant::now());
    }
    talk.tell("TLS handshake", || {
        let (_, session) = stream.get_ref();
        let version = session
            .protocol_version()
            .and_then(|version| version.as_str())
            .unwrap_or("TLS")
            .replace("TLSv1_", "TLS 1.");
        let suite = session
            .negotiated_cipher_suite()
            .and_then(|suite| suite.suite().as_str())
            .unwrap_or("an unknown suite");
        let resumed = if resumed { ", resumed" } else { "" };
        format!("{version}, {suite}{resumed}")
    });
    Ok(Stream::Tls(Box::new(stream)))
}

/// The name that the certificate must have: what is sent, or the host that is asked for, or the address.
fn server_name(
    talk: &Talk<'_>,
    tls: &Tls,
    host: Option<&str>,
) -> Result<ServerName<'static>, Fault> {
    let Some(name) = tls.server_name.as_deref().or(host) else {
        return Ok(talk.target.ip().into());
    };
    ServerName::try_from(name.to_owned())
        .map_err(|_| Fault::Ours(format!("{name:?} cannot be the name of a server in TLS")))
}

/// What handshakes share.
#[derive(Default)]
pub struct Configurations {
    made: Mutex<HashMap<Wanted, Arc<ClientConfig>>>,
    servers: Mutex<HashMap<(Wanted, SocketAddr, ServerName<'static>), Server>>,
}

/// What is wanted of a handshake, whoever it is with.
type Wanted = (Tls, Protocol);

/// What is remembered for handshakes with one server.
#[derive(Clone)]
struct Server {
    configuration: Arc<ClientConfig>,
    sessions: Arc<Sessions>,
}

impl Configurations {
    /// Sessions are of one address each: that several servers have one name does not make them one.
    fn server(
        &self,
        tls: &Tls,
        protocol: Protocol,
        target: SocketAddr,
        name: &ServerName<'static>,
    ) -> Result<Server, Fault> {
        let key = ((tls.clone(), protocol), target, name.clone());
        let known = |servers: &HashMap<_, Server>| servers.get(&key).cloned();
        if let Some(known) = known(&self.servers.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(known);
        }
        let shared = self.of(tls, protocol)?;
        let sessions = Arc::new(Sessions::default());
        let mut configuration = ClientConfig::clone(&shared);
        configuration.resumption = Resumption::store(sessions.clone());
        let server = Server {
            configuration: Arc::new(configuration),
            sessions,
        };
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        if servers.len() >= MANY_SERVERS {
            servers.clear();
        }
        servers.insert(key, server.clone());
        Ok(server)
    }

    fn of(&self, tls: &Tls, protocol: Protocol) -> Result<Arc<ClientConfig>, Fault> {
        // The name is no part of what is shared, but whether there is one.
        let mut key = tls.clone();
        key.server_name = key.server_name.map(|_| String::new());
        let key = (key, protocol);
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = made.get(&key) {
            return Ok(known.clone());
        }
        let configuration = Arc::new(make(tls, protocol)?);
        if made.len() >= MANY {
            made.clear();
        }
        made.insert(key, configuration.clone());
        Ok(configuration)
    }

    /// Certificates are read anew, and shown anew.
    pub fn forget(&self) {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.clear();
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        servers.clear();
    }
}

fn make(tls: &Tls, protocol: Protocol) -> Result<ClientConfig, Fault> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(Fault::ours)?;
    let verifier: Arc<dyn ServerCertVerifier> = match (tls.verify, &tls.authorities) {
        (false, _) => Arc::new(Anybody(provider())),
        (true, None) => authorities(system_roots()?)?,
        (true, Some(path)) => {
            let trusted = certificates(path)?;
            let authorities = authorities(Arc::new(roots(path, &trusted)?))?;
            Arc::new(Pinned {
                trusted,
                authorities,
            })
        }
    };
    let builder = builder
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut configuration = match &tls.identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => builder
            .with_client_auth_cert(certificates(certificate)?, private_key(key)?)
            .map_err(|error| Fault::Ours(format!("{}: {error}", certificate.display())))?,
    };
    configuration.enable_sni = tls.server_name.is_some();
    // Each server has sessions of its own.
    configuration.resumption = Resumption::disabled();
    if protocol == Protocol::Http2 {
        configuration.alpn_protocols = vec![b"h2".to_vec()];
    }
    Ok(configuration)
}

fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    PROVIDER
        .get_or_init(|| Arc::new(ring::default_provider()))
        .clone()
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let wrong = |error: &dyn std::fmt::Display| Fault::Ours(format!("{}: {error}", path.display()));
    let read: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path)
        .map_err(|error| wrong(&error))?
        .collect();
    let read = read.map_err(|error| wrong(&error))?;
    if read.is_empty() {
        return Err(wrong(&"no certificate in it"));
    }
    Ok(read)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, Fault> {
    let wrong = |what: &dyn std::fmt::Display| Fault::Ours(format!("{}: {what}", path.display()));
    let text = std::fs::read(path).map_err(|error| wrong(&error))?;
    // PKCS #8's title, or what OpenSSL wrote below the title once.
    if text.windows(9).any(|word| word == b"ENCRYPTED") {
        return Err(wrong(
            &"the key is encrypted; `openssl pkey -in KEY -out PLAIN` writes it plain",
        ));
    }
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| wrong(&error))
}

fn roots(path: &Path, trusted: &[CertificateDer<'static>]) -> Result<RootCertStore, Fault> {
    let mut roots = RootCertStore::empty();
    for certificate in trusted {
        roots
            .add(certificate.clone())
            .map_err(|error| Fault::Ours(format!("{}: {error}", path.display())))?;
    }
    Ok(roots)
}

fn authorities(roots: Arc<RootCertStore>) -> Result<Arc<WebPkiServerVerifier>, Fault> {
    WebPkiServerVerifier::builder_with_provider(roots, provider())
        .build()
        .map_err(Fault::ours)
}

/// Read once: there are some hundred.
fn system_roots() -> Result<Arc<RootCertStore>, Fault> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let roots = ROOTS.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Arc::new(roots)
    });
    if roots.is_empty() {
        let text =
            "this system trusts no authorities (package ca-certificates), and none are named";
        return Err(Fault::Ours(text.to_owned()));
    }
    Ok(roots.clone())
}
