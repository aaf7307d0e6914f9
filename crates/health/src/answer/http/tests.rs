use proptest::prelude::*;
use weir_config::model::health::{HttpBody, HttpRequest, HttpVersion};

use super::*;
use crate::answer::body::{Expected, KEPT};

fn keeping() -> Reader {
    Reader::new("GET", Body::to_keep())
}

/// What is read of an answer, whole or byte by byte; with the connection closed after it.
fn read(answer: &[u8]) -> Result<(u16, Vec<u8>), HttpError> {
    let whole = read_in(answer, answer.len().max(1));
    assert_eq!(
        rough(read_in(answer, 1)),
        rough(whole.clone()),
        "{:?}",
        shown(answer)
    );
    whole
}

/// How much was seen of what is not HTTP depends on the pieces.
fn rough(read: Result<(u16, Vec<u8>), HttpError>) -> Result<(u16, Vec<u8>), HttpError> {
    match read {
        Err(HttpError::NotHttp(_)) => Err(HttpError::NotHttp(String::new())),
        other => other,
    }
}

fn read_in(answer: &[u8], size: usize) -> Result<(u16, Vec<u8>), HttpError> {
    let mut reader = keeping();
    let mut progress = Progress::More;
    for piece in answer.chunks(size) {
        progress = reader.feed(piece)?;
        if progress == Progress::Complete {
            break;
        }
    }
    if progress == Progress::More {
        reader.end()?;
    }
    let status = reader.status().expect("a head");
    Ok((status, reader.body().kept().to_vec()))
}

#[test]
fn answers_are_read() {
    for (answer, status, body) in [
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            200,
            "hello",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello again",
            200,
            "hello",
        ),
        ("HTTP/1.0 503 Busy\r\n\r\nsorry", 503, "sorry"),
        ("HTTP/1.0 200\r\n\r\n", 200, ""),
        ("HTTP/1.1 200 OK\nServer: old\n\nbody", 200, "body"),
        ("HTTP/1.1 204 No Content\r\n\r\nnot a body", 204, ""),
        (
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
            304,
            "",
        ),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 200 OK\r\n\r\nx",
            200,
            "x",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;a=b\r\n world\r\n0\r\nA: b\r\n\r\nmore",
            200,
            "hello world",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
            200,
            "",
        ),
        // Shorter than was said: judged as it is.
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello",
            200,
            "hello",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n50\r\nhel",
            200,
            "hel",
        ),
        (
            "HTTP/1.1 200 OK\r\nbad header\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nab",
            200,
            "ab",
        ),
    ] {
        assert_eq!(
            read(answer.as_bytes()),
            Ok((status, body.into())),
            "{answer}"
        );
    }
}

#[test]
fn answers_that_are_wrong_are_told() {
    let long = format!("HTTP/1.1 200 OK\r\nA: {}", "x".repeat(HEAD));
    let interim = "HTTP/1.1 100 Continue\r\n\r\n".repeat(9);
    let headers = format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(101));
    for (answer, said) in [
        ("", "without an answer"),
        ("HTT", "within the head of the answer, after 3 bytes"),
        ("HTTP/1.1 200 OK\r\n", "within the head"),
        ("SSH-2.0-OpenSSH_9.2", "not HTTP: \"SSH-2.0-OpenSSH_9.2\""),
        ("\x16\x03\x01\0", "not HTTP"),
        ("HTTP/2 200\r\n\r\n", "not HTTP"),
        ("HTTP/1.1 abc\r\n\r\n", "is wrong"),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            "\"-1\" bytes",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
            "bytes",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            "differ",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            "not in chunks",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
            "not in chunks",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n11111111111111111\r\n",
            "not in chunks",
        ),
        (&long, "longer than"),
        (&interim, "interim"),
        (&headers, "too many headers"),
    ] {
        let error = read(answer.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(said), "{answer}: {error}");
    }
}

#[test]
fn nothing_comes_after_head() {
    let mut reader = Reader::new("HEAD", Body::default());
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    assert_eq!(reader.feed(head), Ok(Progress::Complete));
}

#[test]
fn an_endless_body_ends() {
    for head in [
        "",
        "Transfer-Encoding: chunked\r\n",
        "Content-Length: 18446744073709551615\r\n",
    ] {
        let mut reader = keeping();
        reader
            .feed(format!("HTTP/1.1 200 OK\r\n{head}\r\n").as_bytes())
            .unwrap();
        let error = (0..100_000).find_map(|_| {
            let chunk = format!("fff\r\n{}\r\n", "x".repeat(0xfff));
            reader.feed(chunk.as_bytes()).err()
        });
        assert_eq!(error, Some(HttpError::Body(BodyError::TooLong)));
        assert!(reader.body().kept().len() <= KEPT);
    }
}

#[test]
fn hashes_are_of_what_came_and_of_what_was_meant() {
    // As keepalived and genhash have it: MD5 with the chunks' sizes.
    let md5 = HttpBody::Md5("79e9489e3bd3f0cb0158215341de046d".to_owned());
    let sha256 = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    let expected: Vec<Expected> = [md5, HttpBody::Sha256(sha256.to_owned())]
        .iter()
        .map(|body| Expected::new(body).unwrap())
        .collect();
    let mut reader = Reader::new("GET", Body::new(&expected));
    let answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    assert_eq!(reader.feed(answer), Ok(Progress::Complete));
    assert_eq!(reader.body().judge(&expected[1..]), Ok(()));
    assert_eq!(reader.body().judge(&expected[..1]), Ok(()));
}

#[test]
fn statuses_are_judged() {
    let range = |first, last| StatusRange { first, last };
    assert_eq!(judge_status(204, &[]), Ok(()));
    assert_eq!(
        judge_status(404, &[range(200, 200), range(400, 404)]),
        Ok(())
    );
    let error = judge_status(503, &[range(200, 200), range(400, 404)]).unwrap_err();
    assert_eq!(error.to_string(), "status 503, expected 200, 400 to 404");
}

fn get(host: Option<&str>, headers: &[(&str, &str)]) -> HttpRequest {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    HttpRequest {
        method: "GET".to_owned(),
        path: "/health?x=1".to_owned(),
        host: host.map(str::to_owned),
        headers: headers.iter().map(own).collect(),
        status: Vec::new(),
        body: Vec::new(),
    }
}

#[test]
fn requests_are_keepaliveds() {
    let v4 = "192.0.2.1:80".parse().unwrap();
    let v6 = "[2001:db8::1]:8080".parse().unwrap();
    for (asked, version, target, text) in [
        (
            get(None, &[]),
            HttpVersion::Http10,
            v4,
            "GET /health?x=1 HTTP/1.0\r\nUser-Agent: KeepAliveClient\r\nHost: 192.0.2.1:80\r\n\r\n",
        ),
        (
            get(Some("web.example"), &[]),
            HttpVersion::Http10Close,
            v4,
            "GET /health?x=1 HTTP/1.0\r\nUser-Agent: KeepAliveClient\r\nConnection: close\r\nHost: web.example\r\n\r\n",
        ),
        (
            get(None, &[("user-agent", "me"), ("A", "b c")]),
            HttpVersion::Http11,
            v6,
            "GET /health?x=1 HTTP/1.1\r\nUser-Agent: me\r\nConnection: close\r\nHost: [2001:db8::1]:8080\r\nA: b c\r\n\r\n",
        ),
    ] {
        let bytes = request(&asked, version, target).unwrap();
        assert_eq!(String::from_utf8(bytes).unwrap(), text);
    }
    for wrong in [
        get(Some("a\r\nB: c"), &[]),
        get(None, &[("A", "b\nC: d")]),
        get(None, &[("A B", "c")]),
    ] {
        request(&wrong, HttpVersion::Http11, v4).unwrap_err();
    }
}

/// Pieces of answers, so that arbitrary ones go deep.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let known: Vec<Vec<u8>> = [
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.0 100 \r\n\r\n",
        "Content-Length: 7\r\n",
        "Transfer-Encoding: chunked\r\n",
        "\r\n",
        "\n",
        "5\r\n",
        "0\r\n",
        "ffffffffffffffff\r\n",
        ":",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec();
    prop_oneof![
        4 => prop::sample::select(known),
        1 => prop::collection::vec(any::<u8>(), 0..40),
    ]
}

proptest! {
    #[test]
    fn never_panics_and_pieces_do_not_matter(
        pieces in prop::collection::vec(piece(), 0..12),
        size in 1_usize..20,
    ) {
        let answer = pieces.concat();
        let whole = read_in(&answer, answer.len().max(1));
        prop_assert_eq!(rough(read_in(&answer, size)), rough(whole));
    }
}
