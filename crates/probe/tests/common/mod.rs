//! What the tests of checks share: subjects, and small servers on loopback.
#![allow(dead_code, reason = "every test uses a part of it")]

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use weir_config::model::health::{Check, CheckKind, Pace, Source, Way};
use weir_config::model::{
    Forwarding, Notifications, Protocol, RealServer, ServiceKey, Thresholds, Weight,
};
use weir_health::probe::{Question, Subject};
use weir_health::verdict::{Outcome, Verdict};
use weir_probe::Prober;

/// Longer than any machine takes for what the test expects to come.
pub const LONG: Duration = Duration::from_secs(60);
/// Where nothing is expected to come.
pub const SHORT: Duration = Duration::from_millis(50);

pub fn prober() -> Prober {
    Prober::new(&Notifications {
        script_security: false,
        ..Notifications::default()
    })
}

pub fn check(kind: CheckKind, timeout: Duration) -> Check {
    Check {
        kind,
        pace: Pace {
            interval: LONG,
            timeout,
            warm_up: Duration::ZERO,
            rise: NonZeroU32::MIN,
            fall: NonZeroU32::MIN,
            retry_delay: LONG,
            alpha: false,
            first_counts: false,
        },
        target: None,
        source: Source::default(),
        way: Way::Server,
        log_all_failures: false,
    }
}

pub fn subject(target: SocketAddr, question: Question) -> Subject {
    Subject {
        question,
        service: ServiceKey::Address {
            protocol: Protocol::Tcp,
            address: "192.0.2.1:80".parse().unwrap(),
        },
        server: RealServer {
            address: target,
            forwarding: Forwarding::Nat,
            weight: Weight::new(1).unwrap(),
            thresholds: Thresholds::default(),
        },
    }
}

/// Asks once.
pub async fn ask(kind: CheckKind, target: SocketAddr) -> Verdict {
    ask_within(kind, target, LONG).await
}

pub async fn ask_within(kind: CheckKind, target: SocketAddr, timeout: Duration) -> Verdict {
    let question = Question::Check(Box::new(check(kind, timeout)));
    let subject = subject(target, question);
    prober().probe(&subject).await
}

#[track_caller]
pub fn passed(verdict: &Verdict) {
    assert_eq!(verdict.outcome, Outcome::Passed);
}

/// It failed, for a reason with these words in it.
#[track_caller]
pub fn failed(verdict: &Verdict, words: &str) {
    let outcome = &verdict.outcome;
    let well = matches!(outcome, Outcome::Failed(reason) if reason.contains(words));
    assert!(well, "expected a failure with {words:?}: {outcome:?}");
}

/// Nothing was learned, for a reason with these words in it.
#[track_caller]
pub fn open(verdict: &Verdict, words: &str) {
    let outcome = &verdict.outcome;
    let well = matches!(outcome, Outcome::Open(reason) if reason.contains(words));
    assert!(well, "expected nothing learned with {words:?}: {outcome:?}");
}

/// A server that does the same with every connection.
pub async fn server<F: Future<Output = ()> + Send + 'static>(
    serve: impl Fn(TcpStream) -> F + Send + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    address
}

/// Reads a request's head, answers so, and closes.
pub async fn answering(answer: impl Into<Vec<u8>>) -> SocketAddr {
    let answer = answer.into();
    server(move |mut stream| {
        let answer = answer.clone();
        async move {
            head(&mut stream).await;
            let _ = stream.write_all(&answer).await;
            let _ = stream.shutdown().await;
        }
    })
    .await
}

/// Reads to the end of a request's head.
pub async fn head(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    while !text.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => text.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(text).unwrap()
}

/// An address where nobody listens: the port stays bound while the guard lives.
pub fn nobody() -> (SocketAddr, socket2::Socket) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    socket.bind(&any.into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (address, socket)
}

/// Waits until the other end goes.
pub async fn until_closed(mut stream: TcpStream) {
    let mut bytes = [0; 1024];
    while !matches!(stream.read(&mut bytes).await, Ok(0) | Err(_)) {}
}
