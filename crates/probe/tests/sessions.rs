//! TLS sessions are resumed by the next check, and certificates are noticed all the same.

#[path = "common/authority.rs"]
mod authority;
mod common;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use authority::{Authority, Identity, configured};
use common::{LONG, check, failed, passed, prober, server, subject};
use rustls::HandshakeKind;
use rustls::ServerConfig;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;
use weir_config::model::health::{CheckKind, HttpCheck, HttpRequest, HttpTurns, HttpVersion, Tls};
use weir_health::probe::{Question, Subject};

/// How many handshakes a server has had.
#[derive(Debug, Default)]
struct Handshakes {
    whole: AtomicUsize,
    resumed: AtomicUsize,
}

/// The certificate that is shown now.
#[derive(Debug)]
struct Shown(Mutex<Arc<CertifiedKey>>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.lock().unwrap().clone())
    }
}

fn certified(identity: &Identity) -> Arc<CertifiedKey> {
    let key = PrivateKeyDer::try_from(identity.key.serialize_der()).unwrap();
    let key = any_supported_type(&key).unwrap();
    Arc::new(CertifiedKey::new(identity.chain.clone(), key))
}

/// A web server, which can be told to close connections that resume a session.
async fn https(configuration: ServerConfig, bears: bool) -> (SocketAddr, Arc<Handshakes>) {
    let acceptor = TlsAcceptor::from(Arc::new(configuration));
    let handshakes = Arc::new(Handshakes::default());
    let counted = Arc::clone(&handshakes);
    let address = server(move |stream| {
        let (acceptor, counted) = (acceptor.clone(), Arc::clone(&counted));
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                return;
            };
            let resumed = stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed);
            let which = match resumed {
                true => &counted.resumed,
                false => &counted.whole,
            };
            which.fetch_add(1, Ordering::Relaxed);
            if resumed && !bears {
                return;
            }
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await;
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
            let _ = stream.write_all(answer).await;
            let _ = stream.shutdown().await;
        }
    })
    .await;
    (address, handshakes)
}

fn over(tls: Tls, address: SocketAddr) -> Subject {
    let kind = CheckKind::Http(HttpCheck {
        requests: vec![HttpRequest {
            method: "GET".to_owned(),
            path: "/".to_owned(),
            host: None,
            headers: Vec::new(),
            status: Vec::new(),
            body: Vec::new(),
        }],
        version: HttpVersion::Http11,
        tls: Some(tls),
        proxy: false,
        turns: HttpTurns::All,
    });
    subject(address, Question::Check(Box::new(check(kind, LONG))))
}

#[tokio::test]
async fn one_handshake_of_ten_is_whole() {
    let authority = Authority::new("ours");
    let identity = authority.of_server();
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let mut configuration = configured(&identity, None);
        if version == &rustls::version::TLS12 {
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let builder = ServerConfig::builder_with_provider(provider);
            let builder = builder.with_protocol_versions(&[version]).unwrap();
            let shown = Arc::new(Shown(Mutex::new(certified(&identity))));
            configuration = builder.with_no_client_auth().with_cert_resolver(shown);
        }
        let (address, handshakes) = https(configuration, true).await;
        let (prober, subject) = (prober(), over(authority.trusted(), address));
        for _ in 0..20 {
            passed(&prober.probe(&subject).await);
        }
        let whole = handshakes.whole.load(Ordering::Relaxed);
        let resumed = handshakes.resumed.load(Ordering::Relaxed);
        assert_eq!((whole, resumed), (2, 18), "{version:?}");
        // As after a reload.
        prober.forget();
        passed(&prober.probe(&subject).await);
        assert_eq!(handshakes.whole.load(Ordering::Relaxed), 3);
    }
}

#[tokio::test]
async fn another_certificate_is_noticed_though_sessions_could_be_resumed() {
    let authority = Authority::new("ours");
    let shown = Arc::new(Shown(Mutex::new(certified(&authority.of_server()))));
    let mut configuration = configured(&authority.of_server(), None);
    configuration.cert_resolver = shown.clone();
    let (address, _) = https(configuration, true).await;
    let (prober, subject) = (prober(), over(authority.trusted(), address));
    for _ in 0..3 {
        passed(&prober.probe(&subject).await);
    }
    let stranger = Authority::new("others");
    *shown.0.lock().unwrap() = certified(&stranger.of_server());
    let mut last = prober.probe(&subject).await;
    for _ in 0..9 {
        if matches!(last.outcome, weir_health::verdict::Outcome::Failed(_)) {
            break;
        }
        last = prober.probe(&subject).await;
    }
    failed(&last, "whom we trust");
    // And it does not pass again by a session of before.
    for _ in 0..3 {
        failed(&prober.probe(&subject).await, "whom we trust");
    }
}

#[tokio::test]
async fn who_does_not_bear_it_is_greeted_anew_each_time() {
    let authority = Authority::new("ours");
    let (address, handshakes) = https(configured(&authority.of_server(), None), false).await;
    let (prober, subject) = (prober(), over(authority.trusted(), address));
    // A failure is always followed by a whole handshake, and after three nothing is resumed.
    for _ in 0..3 {
        passed(&prober.probe(&subject).await);
        failed(&prober.probe(&subject).await, "without an answer");
    }
    for _ in 0..5 {
        passed(&prober.probe(&subject).await);
    }
    assert_eq!(handshakes.resumed.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn servers_of_one_name_do_not_share_sessions() {
    let authority = Authority::new("ours");
    let (prober, mut wholes) = (prober(), Vec::new());
    for _ in 0..2 {
        let (address, handshakes) = https(configured(&authority.of_server(), None), true).await;
        passed(&prober.probe(&over(authority.trusted(), address)).await);
        wholes.push(handshakes.whole.load(Ordering::Relaxed));
    }
    assert_eq!(wholes, [1, 1]);
}
