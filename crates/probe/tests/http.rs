//! Web servers: good ones, bad ones and hostile ones.

mod common;

use std::time::Duration;

use common::{LONG, SHORT, answering, ask, ask_within, failed, head, nobody, open, passed, server};
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;
use weir_config::model::health::{
    CheckKind, HttpBody, HttpCheck, HttpRequest, HttpTurns, HttpVersion, StatusRange,
};

fn get(path: &str) -> HttpRequest {
    HttpRequest {
        method: "GET".to_owned(),
        path: path.to_owned(),
        host: None,
        headers: Vec::new(),
        status: Vec::new(),
        body: Vec::new(),
    }
}

fn http(requests: Vec<HttpRequest>) -> CheckKind {
    CheckKind::Http(HttpCheck {
        requests,
        version: HttpVersion::Http11,
        tls: None,
        proxy: false,
        turns: HttpTurns::All,
    })
}

fn matching(pattern: &str) -> HttpRequest {
    HttpRequest {
        body: vec![HttpBody::Matches {
            pattern: pattern.to_owned(),
            not: false,
            from: 0,
            before: None,
            options: String::new(),
        }],
        ..get("/")
    }
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

#[tokio::test]
async fn a_good_answer_passes() {
    let well = answering(OK).await;
    passed(&ask(http(vec![get("/")]), well).await);
    passed(&ask(http(vec![get("/"), matching("^hel+o$")]), well).await);
}

#[tokio::test]
async fn chunks_are_put_together() {
    let chunked =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n";
    let well = answering(chunked).await;
    passed(&ask(http(vec![matching("^hello$")]), well).await);
}

#[tokio::test]
async fn an_answer_ends_where_it_says_and_not_with_the_connection() {
    let kept = server(|mut stream| async move {
        head(&mut stream).await;
        stream.write_all(OK.as_bytes()).await.unwrap();
        common::until_closed(stream).await;
    })
    .await;
    passed(&ask(http(vec![matching("hello")]), kept).await);
}

#[tokio::test]
async fn a_wrong_status_or_body_fails() {
    let busy = answering("HTTP/1.1 503 Busy\r\n\r\n").await;
    let verdict = ask(http(vec![get("/")]), busy).await;
    failed(&verdict, "status 503, expected 200 to 299");
    let only = HttpRequest {
        status: vec![StatusRange {
            first: 500,
            last: 599,
        }],
        ..get("/")
    };
    passed(&ask(http(vec![only]), busy).await);

    let well = answering(OK).await;
    let verdict = ask(http(vec![get("/a"), matching("goodbye")]), well).await;
    failed(
        &verdict,
        "/: \"goodbye\" does not match the body of 5 bytes",
    );
    let hashed = HttpRequest {
        body: vec![HttpBody::Md5("5d41402abc4b2a76b9719d911017c592".to_owned())],
        ..get("/")
    };
    passed(&ask(http(vec![hashed]), well).await);
}

#[tokio::test]
async fn who_is_not_there_is_said_to_refuse() {
    let (address, _guard) = nobody();
    let verdict = ask(http(vec![get("/")]), address).await;
    failed(&verdict, "connection refused");
}

#[tokio::test]
async fn who_closes_early_or_speaks_otherwise_fails() {
    for (answer, reason) in [
        ("", "closed without an answer"),
        ("HTTP/1.1 200", "within the head"),
        ("220 mail.example ESMTP\r\n", "not HTTP"),
        ("\x15\x03\x01\0\x02\x02\x46", "not HTTP"),
    ] {
        let wrong = answering(answer).await;
        failed(&ask(http(vec![get("/")]), wrong).await, reason);
    }
}

#[tokio::test]
async fn a_reset_fails() {
    let resetting = server(|mut stream| async move {
        head(&mut stream).await;
        socket2::SockRef::from(&stream)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
    })
    .await;
    failed(&ask(http(vec![get("/")]), resetting).await, "reset");
}

#[tokio::test]
async fn who_never_answers_fails_in_time() {
    let silent = server(common::until_closed).await;
    let verdict = ask_within(http(vec![get("/")]), silent, SHORT).await;
    failed(&verdict, "within 50ms");
}

/// Each byte comes in time, and they never end: the whole has a time too.
#[tokio::test]
async fn a_slow_drip_fails_in_time() {
    for begin in ["HTTP/1.1 200 OK\r\nA: ", "HTTP/1.1 200 OK\r\n\r\n"] {
        let slow = server(move |mut stream| async move {
            let _ = stream.write_all(begin.as_bytes()).await;
            while stream.write_all(b"x").await.is_ok() {
                tokio::time::sleep(SHORT / 10).await;
            }
        })
        .await;
        let verdict = ask_within(http(vec![get("/")]), slow, SHORT).await;
        failed(&verdict, "within");
    }
}

#[tokio::test]
async fn an_endless_body_fails() {
    for begin in [
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffff\r\n",
    ] {
        let endless = server(move |mut stream| async move {
            let _ = stream.write_all(begin.as_bytes()).await;
            while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
        })
        .await;
        let verdict = ask(http(vec![matching("^xx")]), endless).await;
        failed(&verdict, "longer than 4194304 bytes");
    }
}

#[tokio::test]
async fn the_request_is_keepaliveds() {
    let (sent, mut received) = mpsc::unbounded_channel();
    let listening = server(move |mut stream| {
        let sent = sent.clone();
        async move {
            sent.send(head(&mut stream).await).unwrap();
            stream.write_all(OK.as_bytes()).await.unwrap();
        }
    })
    .await;
    for (version, line, close) in [
        (HttpVersion::Http10, "GET /x HTTP/1.0", ""),
        (
            HttpVersion::Http10Close,
            "GET /x HTTP/1.0",
            "Connection: close\r\n",
        ),
        (
            HttpVersion::Http11,
            "GET /x HTTP/1.1",
            "Connection: close\r\n",
        ),
    ] {
        let kind = CheckKind::Http(HttpCheck {
            requests: vec![get("/x")],
            version,
            tls: None,
            proxy: false,
            turns: HttpTurns::All,
        });
        passed(&ask(kind, listening).await);
        let expected =
            format!("{line}\r\nUser-Agent: KeepAliveClient\r\n{close}Host: {listening}\r\n\r\n");
        assert_eq!(received.recv().await.unwrap(), expected);
    }
}

#[tokio::test]
async fn the_proxy_protocol_greets_first() {
    let proxied = server(|mut stream| async move {
        let mut greeting = [0; 16];
        tokio::io::AsyncReadExt::read_exact(&mut stream, &mut greeting)
            .await
            .unwrap();
        assert_eq!(&greeting, b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0");
        head(&mut stream).await;
        stream.write_all(OK.as_bytes()).await.unwrap();
    })
    .await;
    let kind = CheckKind::Http(HttpCheck {
        requests: vec![get("/")],
        version: HttpVersion::Http11,
        tls: None,
        proxy: true,
        turns: HttpTurns::All,
    });
    passed(&ask(kind, proxied).await);
}

#[tokio::test]
async fn what_cannot_be_asked_is_not_the_servers_fault() {
    let well = answering(OK).await;
    open(
        &ask(http(vec![matching("(?=x)")]), well).await,
        "look-ahead",
    );
    open(&ask(http(vec![get("/a b")]), well).await, "path");
}

/// A thousand at once, one of a kind: nobody waits for anybody.
#[tokio::test]
async fn one_that_hangs_delays_nobody() {
    let silent = server(common::until_closed).await;
    let well = answering(OK).await;
    let hanging: Vec<_> = (0..200)
        .map(|_| tokio::spawn(ask_within(http(vec![get("/")]), silent, LONG)))
        .collect();
    passed(&ask(http(vec![get("/")]), well).await);
    assert!(hanging.iter().all(|one| !one.is_finished()));
    hanging.iter().for_each(tokio::task::JoinHandle::abort);
}
