//! TLS: whom a check trusts, and what it says when it does not; HTTP/2 and gRPC in it and without.

#[path = "common/authority.rs"]
mod authority;
mod common;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use authority::{Authority, Identity, NAME, configured};
use bytes::Bytes;
use common::{answering, ask, check, failed, open, passed, prober, server, subject};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::server::ResolvesServerCert;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;
use weir_config::model::health::{
    CheckKind, GrpcCheck, HttpBody, HttpCheck, HttpRequest, HttpTurns, HttpVersion, TcpCheck, Tls,
};
use weir_health::probe::Question;
use weir_health::verdict::Outcome;

/// A web server of these.
async fn https(configuration: ServerConfig) -> SocketAddr {
    let acceptor = TlsAcceptor::from(Arc::new(configuration));
    server(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                return;
            };
            if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
                return http2(stream).await;
            }
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await;
            // Without good-bye.
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nhello").await;
            let _ = stream.flush().await;
        }
    })
    .await
}

/// Answers everything with `hello`, and gRPC's health service with SERVING for "" and "up".
async fn http2<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: S) {
    let Ok(mut connection) = h2::server::handshake(stream).await else {
        return;
    };
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        tokio::spawn(async move {
            let path = request.uri().path().to_owned();
            let mut asked = Vec::new();
            let mut body = request.into_body();
            while let Some(Ok(piece)) = body.data().await {
                asked.extend_from_slice(&piece);
            }
            let status = |code: u16| http::Response::builder().status(code).body(()).unwrap();
            if path != "/grpc.health.v1.Health/Check" {
                let code = if path == "/missing" { 404 } else { 200 };
                let mut stream = respond.send_response(status(code), false).unwrap();
                stream.send_data(Bytes::from("hello"), true).unwrap();
                return;
            }
            let says: &[u8] = match &asked[5..] {
                b"" | b"\x0a\x02up" => b"\0\0\0\0\x02\x08\x01",
                b"\x0a\x04down" => b"\0\0\0\0\x02\x08\x02",
                _ => {
                    let only = http::Response::builder()
                        .header("grpc-status", "5")
                        .header("grpc-message", "who?")
                        .body(())
                        .unwrap();
                    respond.send_response(only, true).unwrap();
                    return;
                }
            };
            let mut stream = respond.send_response(status(200), false).unwrap();
            stream.send_data(Bytes::from_static(says), false).unwrap();
            let mut trailers = http::HeaderMap::new();
            trailers.insert("grpc-status", "0".parse().unwrap());
            stream.send_trailers(trailers).unwrap();
        });
    }
}

fn get(tls: Option<Tls>, version: HttpVersion, path: &str) -> CheckKind {
    CheckKind::Http(HttpCheck {
        requests: vec![HttpRequest {
            method: "GET".to_owned(),
            path: path.to_owned(),
            host: None,
            headers: Vec::new(),
            status: Vec::new(),
            body: vec![HttpBody::Matches {
                pattern: "^hello$".to_owned(),
                not: false,
                from: 0,
                before: None,
                options: String::new(),
            }],
        }],
        version,
        tls,
        proxy: false,
        turns: HttpTurns::All,
    })
}

fn over(tls: Tls) -> CheckKind {
    get(Some(tls), HttpVersion::Http11, "/")
}

#[tokio::test]
async fn who_is_not_verified_may_be_anybody() {
    let authority = Authority::new("ours");
    let expired = authority.sign("other.example", |parameters| {
        parameters.not_before = date_time_ymd(2001, 1, 1);
        parameters.not_after = date_time_ymd(2002, 1, 1);
    });
    let address = https(configured(&expired, None)).await;
    passed(&ask(over(Tls::default()), address).await);
}

#[tokio::test]
async fn who_is_verified_must_be_whom_we_trust() {
    let authority = Authority::new("ours");
    let address = https(configured(&authority.of_server(), None)).await;
    passed(&ask(over(authority.trusted()), address).await);

    let stranger = Authority::new("others");
    let verdict = ask(over(stranger.trusted()), address).await;
    failed(
        &verdict,
        "TLS: the certificate is from nobody whom we trust",
    );

    // The same name is not enough.
    let namesake = Authority::new("ours");
    let verdict = ask(over(namesake.trusted()), address).await;
    failed(&verdict, "not signed by whom we trust");

    let other = Tls {
        server_name: Some("other.example".to_owned()),
        ..authority.trusted()
    };
    let verdict = ask(over(other), address).await;
    failed(&verdict, "for other.example");
    // Without a name, the address must be in it.
    let nameless = Tls {
        server_name: None,
        ..authority.trusted()
    };
    failed(&ask(over(nameless), address).await, "for 127.0.0.1");
}

#[tokio::test]
async fn who_signs_himself_is_trusted_by_name() {
    let mut parameters = CertificateParams::new(vec![NAME.to_owned()]).unwrap();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let certificate = parameters.self_signed(&key).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("own.pem");
    std::fs::write(&file, certificate.pem()).unwrap();
    let identity = Identity {
        chain: vec![certificate.der().clone()],
        key,
    };
    let address = https(configured(&identity, None)).await;
    let trusting = |name: &str, file: PathBuf| Tls {
        server_name: Some(name.to_owned()),
        verify: true,
        authorities: Some(file),
        identity: None,
    };
    passed(&ask(over(trusting(NAME, file.clone())), address).await);
    let verdict = ask(over(trusting("other.example", file)), address).await;
    failed(&verdict, "for other.example");
    let stranger = Authority::new("ours");
    let verdict = ask(over(trusting(NAME, stranger.file())), address).await;
    failed(&verdict, "self-signed");
}

#[tokio::test]
async fn a_certificate_has_its_time() {
    let authority = Authority::new("ours");
    for (from, to, said) in [(2001, 2002, "has expired"), (2900, 2901, "not valid yet")] {
        let identity = authority.sign(NAME, |parameters| {
            parameters.not_before = date_time_ymd(from, 1, 1);
            parameters.not_after = date_time_ymd(to, 1, 1);
        });
        let address = https(configured(&identity, None)).await;
        failed(&ask(over(authority.trusted()), address).await, said);
    }
}

#[derive(Debug)]
struct OnlyByName(Arc<dyn ResolvesServerCert>);

impl ResolvesServerCert for OnlyByName {
    fn resolve(
        &self,
        hello: rustls::server::ClientHello<'_>,
    ) -> Option<Arc<rustls::sign::CertifiedKey>> {
        (hello.server_name() == Some(NAME)).then(|| self.0.resolve(hello))?
    }
}

#[tokio::test]
async fn a_name_is_sent_only_where_it_is_configured() {
    let authority = Authority::new("ours");
    let mut configuration = configured(&authority.of_server(), None);
    configuration.cert_resolver = Arc::new(OnlyByName(configuration.cert_resolver.clone()));
    let address = https(configuration).await;
    let named = Tls {
        server_name: Some(NAME.to_owned()),
        ..Tls::default()
    };
    passed(&ask(over(named), address).await);
    failed(&ask(over(Tls::default()), address).await, "TLS");
}

#[tokio::test]
async fn our_own_certificate_is_shown() {
    let authority = Authority::new("ours");
    let address = https(configured(&authority.of_server(), Some(&authority))).await;
    let known = Tls {
        identity: Some(authority.of_director()),
        ..authority.trusted()
    };
    passed(&ask(over(known), address).await);
    let verdict = ask(over(authority.trusted()), address).await;
    failed(&verdict, "the server wants a certificate of ours");
}

#[tokio::test]
async fn files_that_cannot_be_read_are_not_the_servers_fault() {
    let authority = Authority::new("ours");
    let address = https(configured(&authority.of_server(), None)).await;
    let empty = authority.directory.path().join("empty");
    std::fs::write(&empty, "").unwrap();
    for file in [PathBuf::from("/no/such/file"), empty] {
        let tls = Tls {
            authorities: Some(file.clone()),
            ..authority.trusted()
        };
        open(&ask(over(tls), address).await, &file.display().to_string());
    }
}

#[tokio::test]
async fn who_does_not_speak_tls_is_told() {
    let plain = answering("HTTP/1.1 400 Bad Request\r\n\r\n").await;
    let silent = server(|_| async {}).await;
    let tcp = |tls| CheckKind::Tcp(TcpCheck { proxy: false, tls });
    let talking = server(|mut stream| async move {
        let _ = stream.write_all(b"220 mail.example ESMTP ready\r\n").await;
        common::until_closed(stream).await;
    })
    .await;
    failed(
        &ask(tcp(Some(Tls::default())), talking).await,
        "the server does not speak TLS there",
    );
    // It resets or closes; either way within the handshake.
    assert!(matches!(
        ask(tcp(Some(Tls::default())), silent).await.outcome,
        Outcome::Failed(_)
    ));
    passed(&ask(tcp(None), plain).await);
}

#[tokio::test]
async fn http2_is_agreed_on_or_known_before() {
    let authority = Authority::new("ours");
    let mut configuration = configured(&authority.of_server(), None);
    configuration.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let address = https(configuration).await;
    let tls = authority.trusted();
    let http2_check = |tls, path| get(tls, HttpVersion::Http2, path);
    passed(&ask(http2_check(Some(tls.clone()), "/"), address).await);
    let verdict = ask(http2_check(Some(tls.clone()), "/missing"), address).await;
    failed(&verdict, "status 404");
    passed(&ask(over(tls.clone()), address).await);

    let known = server(http2).await;
    passed(&ask(http2_check(None, "/"), known).await);

    let mut old = configured(&authority.of_server(), None);
    old.alpn_protocols = vec![b"http/1.1".to_vec()];
    let address = https(old).await;
    let verdict = ask(http2_check(Some(tls), "/"), address).await;
    failed(&verdict, "does not speak HTTP/2");
}

#[tokio::test]
async fn who_does_not_speak_http2_fails() {
    let check = || get(None, HttpVersion::Http2, "/");
    for answer in ["HTTP/1.1 400 Bad Request\r\n\r\n", ""] {
        let old = answering(answer).await;
        let verdict = ask(check(), old).await;
        assert!(
            matches!(verdict.outcome, Outcome::Failed(_)),
            "{:?}",
            verdict.outcome
        );
    }
    // Frames that no answer needs, for ever.
    let flooding = server(|mut stream| async move {
        let _ = stream.write_all(b"\0\0\0\x04\0\0\0\0\0").await;
        while stream
            .write_all(b"\0\0\x08\x06\0\0\0\0\x0012345678")
            .await
            .is_ok()
        {}
    })
    .await;
    let verdict = common::ask_within(check(), flooding, common::SHORT).await;
    assert!(matches!(verdict.outcome, Outcome::Failed(_)));
}

#[tokio::test]
async fn the_health_service_of_grpc_is_asked() {
    let serving = server(http2).await;
    let grpc = |service: &str| {
        CheckKind::Grpc(GrpcCheck {
            service: service.to_owned(),
            tls: None,
        })
    };
    passed(&ask(grpc(""), serving).await);
    passed(&ask(grpc("up"), serving).await);
    failed(&ask(grpc("down"), serving).await, "NOT_SERVING");
    let verdict = ask(grpc("other"), serving).await;
    failed(
        &verdict,
        "NOT_FOUND: it does not know the service (5): \"who?\"",
    );
}

#[tokio::test]
async fn every_step_is_told() {
    let authority = Authority::new("ours");
    let address = https(configured(&authority.of_server(), None)).await;
    let check = check(over(authority.trusted()), common::LONG);
    let subject = subject(address, Question::Check(Box::new(check)));
    let mut steps = Vec::new();
    let verdict = prober()
        .explain(&subject, &mut |step| steps.push(step))
        .await;
    passed(&verdict);
    let names: Vec<_> = steps.iter().map(|step| step.name).collect();
    assert_eq!(names, ["connect", "TLS handshake", "answer"]);
    assert!(steps[1].detail.contains("TLS 1.3"), "{}", steps[1].detail);
    assert_eq!(steps[2].detail, "status 200, a body of 5 bytes");
}

#[tokio::test]
async fn an_encrypted_key_is_said_to_be_one() {
    let authority = Authority::new("ours");
    let (certificate, key) = authority.of_director();
    let text = std::fs::read_to_string(&key).unwrap();
    std::fs::write(&key, text.replace("PRIVATE", "ENCRYPTED PRIVATE")).unwrap();
    let address = https(configured(&authority.of_server(), None)).await;
    let tls = Tls {
        identity: Some((certificate, key)),
        ..authority.trusted()
    };
    open(&ask(over(tls), address).await, "the key is encrypted");
}
