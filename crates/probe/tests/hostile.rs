//! Servers that answer without end, or what nobody should: every check of them fails in its time, with little memory,
//! and a check of another server beside it passes.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::{answering, ask, ask_within, passed, server};
use tokio::io::AsyncWriteExt;
use tokio::net::UdpSocket;
use weir_config::model::health::{
    Agent, CheckKind, DnsCheck, DnsType, GrpcCheck, HttpBody, HttpCheck, HttpRequest, HttpTurns,
    HttpVersion, SmtpCheck, TcpCheck, Tls, UdpCheck,
};
use weir_health::verdict::Outcome;

/// Counts what is allocated now, and the most that ever was.
struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: all is handed to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        MOST.fetch_max(now, Ordering::Relaxed);
        // SAFETY: the caller's duty is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What a check and both ends of its connection may take together. What is kept of a body is 256 KiB.
const ROOM: usize = 1 << 20;
/// Of a step. A server that always has something more to say is given up after four of these.
const STEP: Duration = Duration::from_millis(100);

fn http(version: HttpVersion) -> CheckKind {
    let request = HttpRequest {
        method: "GET".to_owned(),
        path: "/".to_owned(),
        host: None,
        headers: Vec::new(),
        status: Vec::new(),
        body: vec![HttpBody::Matches {
            pattern: "^never$".to_owned(),
            not: false,
            from: 0,
            before: None,
            options: String::new(),
        }],
    };
    CheckKind::Http(HttpCheck {
        requests: vec![request],
        version,
        tls: None,
        proxy: false,
        turns: HttpTurns::All,
    })
}

/// Says this, and then the other for ever.
async fn endless(begin: Vec<u8>, again: Vec<u8>) -> SocketAddr {
    server(move |mut stream| {
        let (begin, again) = (begin.clone(), again.clone());
        async move {
            if stream.write_all(&begin).await.is_err() {
                return;
            }
            while !again.is_empty() && stream.write_all(&again).await.is_ok() {}
            // What the check still says is read, so that it hears what was said last.
            common::until_closed(stream).await;
        }
    })
    .await
}

/// A frame of HTTP/2 (RFC 9113 section 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
/// `:status: 200` in HPACK.
const OK: &[u8] = b"\x88";

/// A header that is not to be remembered, with a value of so many bytes.
fn header(value: usize) -> Vec<u8> {
    assert!(value < 127);
    let mut header = b"\x00\x01x".to_vec();
    header.push(value as u8);
    header.resize(header.len() + value, b'v');
    header
}

/// Settings, then an answer of this many bytes that begins, then the other for ever.
fn http2() -> Vec<(&'static str, Vec<u8>, Vec<u8>)> {
    let settings = frame(SETTINGS, 0, 0, &[]);
    let answered = [settings.clone(), frame(HEADERS, END_HEADERS, 1, OK)].concat();
    let unfinished = [settings.clone(), frame(HEADERS, 0, 1, OK)].concat();
    // Remembered once, said ten thousand times.
    let mut bomb = vec![OK[0], 0x40, 1, b'x', 0x7f, 0xa1, 0x1e];
    bomb.resize(bomb.len() + 4000, b'v');
    bomb.extend([0xbe; 10_000]);
    let table = [&[0, 1][..], &u32::MAX.to_be_bytes()].concat();
    let window = [&[0, 4][..], &0x7fff_ffff_u32.to_be_bytes()].concat();
    vec![
        ("silence", settings.clone(), Vec::new()),
        ("settings", settings.clone(), settings.clone()),
        (
            "settings of a huge table",
            settings.clone(),
            frame(SETTINGS, 0, 0, &table.repeat(1000)),
        ),
        (
            "settings of a huge window",
            settings.clone(),
            frame(SETTINGS, 0, 0, &window.repeat(1000)),
        ),
        (
            "acknowledgements",
            settings.clone(),
            frame(SETTINGS, ACK, 0, &[]),
        ),
        ("pings", settings.clone(), frame(PING, 0, 0, &[7; 8])),
        (
            "resets of our stream",
            settings.clone(),
            frame(RST_STREAM, 0, 1, &[0, 0, 0, 8]),
        ),
        (
            "resets of other streams",
            settings.clone(),
            frame(RST_STREAM, 0, 2, &[0, 0, 0, 8]),
        ),
        (
            "promises",
            settings.clone(),
            frame(PUSH_PROMISE, END_HEADERS, 1, b"\0\0\0\x02\x82\x84\x86"),
        ),
        (
            "priorities",
            settings.clone(),
            frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 7]),
        ),
        (
            "windows",
            settings.clone(),
            frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]),
        ),
        (
            "windows that are too large",
            settings.clone(),
            frame(WINDOW_UPDATE, 0, 1, &[0x7f, 0xff, 0xff, 0xff]),
        ),
        (
            "good-byes",
            settings.clone(),
            frame(GOAWAY, 0, 0, &[0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0]),
        ),
        (
            "headers that go on",
            unfinished.clone(),
            frame(CONTINUATION, 0, 1, &header(100).repeat(100)),
        ),
        (
            "headers that go on with nothing",
            unfinished,
            frame(CONTINUATION, 0, 1, &[]),
        ),
        (
            "interim answers",
            settings.clone(),
            frame(HEADERS, END_HEADERS, 1, b"\x08\x03103"),
        ),
        (
            "trailers",
            answered.clone(),
            frame(HEADERS, END_HEADERS, 1, &header(10)),
        ),
        (
            "a header said ten thousand times",
            settings.clone(),
            frame(HEADERS, END_HEADERS, 1, &bomb),
        ),
        (
            "a body",
            answered.clone(),
            frame(DATA, 0, 1, &[b'x'; 16_384]),
        ),
        (
            "a body of nothing",
            answered.clone(),
            frame(DATA, 0, 1, &[]),
        ),
        (
            "a body of padding",
            answered.clone(),
            frame(DATA, 8, 1, &[[250].as_slice(), &[0; 250]].concat()),
        ),
        (
            "another's body",
            answered,
            frame(DATA, 0, 3, &[b'x'; 16_384]),
        ),
        (
            "a frame of 16 megabytes",
            settings.clone(),
            b"\xff\xff\xff\0\0\0\0\0\x01xxxxxxxxxxxxxxxxxxxxxxxx".repeat(100),
        ),
        (
            "frames of no kind",
            settings,
            frame(0x77, 0xff, 1, &[0; 99]),
        ),
    ]
}

fn streams() -> Vec<(String, CheckKind, Vec<u8>, Vec<u8>)> {
    let http1 = || http(HttpVersion::Http11);
    let head = "HTTP/1.1 200 OK\r\n";
    let chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n");
    let mail = || CheckKind::Smtp(SmtpCheck::default());
    let agent = || {
        CheckKind::Agent(Agent {
            send: String::new(),
        })
    };
    let tls = || {
        CheckKind::Tcp(TcpCheck {
            proxy: false,
            tls: Some(Tls::default()),
        })
    };
    let names = || {
        CheckKind::Dns(DnsCheck {
            name: "example.com".to_owned(),
            record: DnsType::A,
            tcp: true,
        })
    };
    let junk = "x".repeat(4096);
    let mut rows = vec![
        (
            "HTTP: a first line",
            http1(),
            "HTTP/1.1 200 ".to_owned(),
            junk.clone(),
        ),
        (
            "HTTP: a header",
            http1(),
            format!("{head}A: "),
            junk.clone(),
        ),
        (
            "HTTP: headers",
            http1(),
            head.to_owned(),
            "A: b\r\n".repeat(100),
        ),
        (
            "HTTP: interim answers",
            http1(),
            String::new(),
            "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(10),
        ),
        ("HTTP: a body", http1(), format!("{head}\r\n"), junk.clone()),
        (
            "HTTP: a body of a huge length",
            http1(),
            format!("{head}Content-Length: 18446744073709551615\r\n\r\n"),
            junk.clone(),
        ),
        (
            "HTTP: a chunk's length",
            http1(),
            chunked.clone(),
            "0".repeat(4096),
        ),
        (
            "HTTP: a chunk's words",
            http1(),
            format!("{chunked}1;"),
            junk.clone(),
        ),
        (
            "HTTP: chunks",
            http1(),
            chunked.clone(),
            "1\r\nx\r\n".repeat(100),
        ),
        (
            "HTTP: trailers",
            http1(),
            format!("{chunked}0\r\n"),
            "A: b\r\n".repeat(100),
        ),
        ("SMTP: a line", mail(), "220 ".to_owned(), junk.clone()),
        ("SMTP: lines", mail(), String::new(), "220-x\r\n".repeat(10)),
        (
            "SMTP: greetings",
            mail(),
            String::new(),
            "220 x\r\n".repeat(10),
        ),
        ("agent: a line", agent(), "up ".to_owned(), junk.clone()),
        ("agent: words", agent(), String::new(), "50% ".repeat(1000)),
        (
            "DNS over TCP: others' answers",
            names(),
            String::new(),
            "\0\x0c0123456789ab".repeat(100),
        ),
        (
            "DNS over TCP: a long answer",
            names(),
            "\u{7f}\u{7f}".to_owned(),
            junk.clone(),
        ),
        ("TLS: no TLS", tls(), String::new(), junk),
    ]
    .into_iter()
    .map(|(name, kind, begin, again)| {
        (
            name.to_owned(),
            kind,
            begin.into_bytes(),
            again.into_bytes(),
        )
    })
    .collect::<Vec<_>>();
    let hello = [
        b"\x16\x03\x03\x40\0\x02\xff\xff\xff".as_slice(),
        &[3; 16_380],
    ]
    .concat();
    let more = [b"\x16\x03\x03\x40\0".as_slice(), &[3; 16_384]].concat();
    rows.push(("TLS: a huge message".to_owned(), tls(), hello, more));
    for (name, record) in [
        ("TLS: warnings", b"\x15\x03\x03\0\x02\x01\x5a".as_slice()),
        ("TLS: changes of cipher", b"\x14\x03\x03\0\x01\x01"),
        ("TLS: empty records", b"\x16\x03\x03\0\0"),
    ] {
        rows.push((name.to_owned(), tls(), Vec::new(), record.repeat(100)));
    }
    for (name, begin, again) in http2() {
        let grpc = CheckKind::Grpc(GrpcCheck {
            service: String::new(),
            tls: None,
        });
        let kinds = [("HTTP/2", http(HttpVersion::Http2)), ("gRPC", grpc)];
        for (kind, check) in kinds {
            rows.push((
                format!("{kind}: {name}"),
                check,
                begin.clone(),
                again.clone(),
            ));
        }
    }
    rows
}

/// Answers each datagram by many of these.
async fn flood(answer: impl Fn(&[u8]) -> Vec<u8> + Send + 'static) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut bytes = [0; 2048];
        while let Ok((length, from)) = socket.recv_from(&mut bytes).await {
            let answer = answer(&bytes[..length]);
            for _ in 0..2000 {
                let _ = socket.send_to(&answer, from).await;
            }
        }
    });
    address
}

/// keepalived looks at an answer's head only, and so do we: nothing that points anywhere is followed.
const ALLOWED: &str = "a name that points to itself";

/// Every row, one after the other: who fails to fail, or takes too much.
struct Rows {
    well: SocketAddr,
    wrong: Vec<String>,
}

impl Rows {
    async fn play(&mut self, name: &str, kind: CheckKind, at: SocketAddr) {
        let before = NOW.load(Ordering::Relaxed);
        MOST.store(before, Ordering::Relaxed);
        let beside = ask(tcp(), self.well);
        let (verdict, beside) = tokio::join!(ask_within(kind, at, STEP), beside);
        let took = MOST.load(Ordering::Relaxed).saturating_sub(before);
        passed(&beside);
        if verdict.outcome == Outcome::Passed && !name.ends_with(ALLOWED) {
            self.wrong.push(format!("{name}: passed"));
        }
        if took > ROOM {
            self.wrong.push(format!("{name}: took {took} bytes"));
        }
    }
}

fn tcp() -> CheckKind {
    CheckKind::Tcp(TcpCheck::default())
}

#[tokio::test]
async fn who_answers_without_end_or_sense_fails_and_costs_little() {
    let mut rows = Rows {
        well: answering("").await,
        wrong: Vec::new(),
    };
    for (name, kind, begin, again) in streams() {
        let at = endless(begin, again).await;
        rows.play(&name, kind, at).await;
    }
    let names = || {
        CheckKind::Dns(DnsCheck {
            name: "example.com".to_owned(),
            record: DnsType::A,
            tcp: false,
        })
    };
    let echo = CheckKind::Udp(UdpCheck {
        payload: b"x".to_vec(),
        reply: Some(vec![(b'y', 0xff)]),
        least: 1,
        most: 8,
    });
    let noise = flood(|_| vec![0xff; 1400]).await;
    rows.play("DNS: noise", names(), noise).await;
    rows.play("UDP: noise", echo, noise).await;
    // The question's name points to itself (RFC 1035 section 4.1.4).
    let looping = flood(|query| {
        let mut answer = query[..12].to_vec();
        answer[2] |= 0x80;
        answer[6..8].copy_from_slice(&[0xff, 0xff]);
        answer.extend(b"\xc0\x0c\0\x01\0\x01");
        answer.extend(b"\xc0\x0c".repeat(600));
        answer
    })
    .await;
    rows.play("DNS: a name that points to itself", names(), looping)
        .await;
    assert!(rows.wrong.is_empty(), "{}", rows.wrong.join("\n"));
}
