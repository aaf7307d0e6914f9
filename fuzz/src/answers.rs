//! Answers of real servers to health checks: read without a panic, in bounded memory, and alike in
//! whatever pieces they come.

use weir_config::model::health::{FigureForm, HttpBody, UdpCheck};
use weir_health::answer::body::{Body, Expected, KEPT};
use weir_health::answer::http::{HttpError, Progress};
use weir_health::answer::{agent, datagram, dns, echo, figure, grpc, http, smtp};

/// The first byte says which reader, the second the size of the pieces; the rest is the answer.
pub fn answers(data: &[u8]) {
    let [choice, size, answer @ ..] = data else {
        return;
    };
    let size = usize::from(*size).max(1);
    let whole = answer.len().max(1);
    match choice % 8 {
        0 | 1 => assert_eq!(web(answer, size), web(answer, whole)),
        2 => assert_eq!(mail(answer, size).is_ok(), mail(answer, whole).is_ok()),
        3 => assert_eq!(line(answer, size), line(answer, whole)),
        4 => {
            let form = FigureForm::Json("/a/0".to_owned());
            let _ = figure::read(answer, &form);
        }
        5 => {
            let form = FigureForm::Prometheus {
                metric: "load".to_owned(),
                labels: vec![("cpu".to_owned(), "0".to_owned())],
            };
            let _ = figure::read(answer, &form);
        }
        6 => {
            let _ = grpc::read(answer);
            let _ = dns::read(answer, 0);
        }
        _ => {
            let packet = echo::without_ipv4_header(answer);
            echo::is_reply(echo::Version::V4, packet, None, 0);
            let check = UdpCheck {
                payload: Vec::new(),
                reply: Some(vec![(1, 2), (3, 0xff)]),
                least: 1,
                most: 100,
            };
            let _ = datagram::judge(answer, &check);
        }
    }
}

/// Status, length and what was kept of the body; nothing where it is no answer.
fn web(answer: &[u8], size: usize) -> Option<(u16, u64, Vec<u8>)> {
    let expected = Expected::new(&HttpBody::Matches {
        pattern: "a.*b".to_owned(),
        not: false,
        from: 1,
        before: None,
        options: String::new(),
    });
    let expected = [expected.expect("a pattern")];
    let mut reader = http::Reader::new("GET", Body::new(&expected));
    let read = (|| {
        for piece in answer.chunks(size) {
            if reader.feed(piece)? == Progress::Complete {
                return Ok(());
            }
        }
        reader.end()
    })();
    let body = reader.body();
    assert!(body.kept().len() <= KEPT);
    let _ = body.judge(&expected);
    match read {
        Ok(()) => Some((reader.status()?, body.length(), body.kept().to_vec())),
        Err(error) => {
            let _: HttpError = error;
            None
        }
    }
}

/// Whether all replies were read.
fn mail(answer: &[u8], size: usize) -> Result<(), smtp::SmtpError> {
    let mut reader = smtp::Reader::default();
    for piece in answer.chunks(size) {
        let mut rest = piece;
        while !rest.is_empty() {
            let (taken, reply) = reader.feed(rest)?;
            assert!(taken > 0 || reply.is_some());
            rest = &rest[taken..];
        }
    }
    Ok(())
}

fn line(answer: &[u8], size: usize) -> Option<String> {
    let mut reader = agent::Reader::default();
    for piece in answer.chunks(size) {
        if reader.feed(piece).ok()? {
            break;
        }
    }
    reader.read().ok().map(|said| format!("{said:?}"))
}

/// Answers that are well, for mutations.
pub const WELL: &[&[u8]] = &[
    b"\x00\x03HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    b"\x00\x07HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n\r\n",
    b"\x00\x01HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 404 Not Found\n\nbody",
    b"\x02\x02220-mail.example\r\n220 ready\r\n250-a\r\n250 b\r\n221 bye\r\n",
    b"\x03\x02up 75%, ready maxconn:3 # remark\n",
    b"\x04\x00{\"b\": [1, {}], \"a\": [1.5e3, \"x\\n\", null]}",
    b"\x05\x00# TYPE load gauge\nload{cpu=\"1\"} 1\nload{ cpu = \"0\" , a=\"\\\"\" } 2 17\n",
    b"\x06\x00\x00\x00\x00\x00\x09\x12\x05abcde\x08\x01",
    b"\x06\x00\x00\x00\x81\x80\x00\x01\x00\x00\x00\x00\x00\x00",
    b"\x07\x00\x45\x00\x00\x1c0000000000000000\x00\x00\x00\x00\x00\x00\x00\x00",
];
