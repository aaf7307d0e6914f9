//! Everything but HTTP: TCP, SMTP, DNS, UDP, ping, scripts, files, agents and figures.

mod common;

use std::net::SocketAddr;
use std::path::PathBuf;

use common::{
    LONG, SHORT, answering, ask, ask_within, check, failed, nobody, open, passed, prober, server,
    subject, until_closed,
};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UdpSocket;
use weir_config::model::health::{
    Agent, CheckKind, DnsCheck, DnsType, Figure, FigureForm, FileCheck, PingCheck, ScriptCheck,
    SmtpCheck, Source, TcpCheck, UdpCheck, Way,
};
use weir_config::model::{Forwarding, InterfaceName, Script};
use weir_health::probe::Question;
use weir_health::verdict::{Reading, WeightWord, Wish};

fn tcp() -> CheckKind {
    CheckKind::Tcp(TcpCheck::default())
}

#[tokio::test]
async fn a_connection_is_accepted_or_refused() {
    let listening = server(until_closed).await;
    passed(&ask(tcp(), listening).await);
    let (address, _guard) = nobody();
    failed(&ask(tcp(), address).await, "connection refused");
}

#[tokio::test]
async fn checks_come_from_where_they_are_told() {
    let listening = server(until_closed).await;
    let mut from = check(tcp(), LONG);
    from.source = Source {
        address: Some("127.0.0.2".parse().unwrap()),
        ..Source::default()
    };
    let mut steps = Vec::new();
    let asked = subject(listening, Question::Check(Box::new(from.clone())));
    let verdict = prober().explain(&asked, &mut |step| steps.push(step)).await;
    passed(&verdict);
    assert!(
        steps[0].detail.starts_with("127.0.0.2:"),
        "{}",
        steps[0].detail
    );

    // What is not here is not the server's fault.
    from.source.address = Some("192.0.2.77".parse().unwrap());
    let asked = subject(listening, Question::Check(Box::new(from.clone())));
    open(&prober().probe(&asked).await, "source 192.0.2.77");
    from.source = Source {
        interface: Some(InterfaceName::new("no-such").unwrap()),
        ..Source::default()
    };
    let asked = subject(listening, Question::Check(Box::new(from)));
    open(&prober().probe(&asked).await, "interface no-such");
}

#[tokio::test]
async fn another_target_may_be_asked() {
    let listening = server(until_closed).await;
    let (address, _guard) = nobody();
    let mut elsewhere = check(tcp(), LONG);
    elsewhere.target = Some(listening);
    let asked = subject(address, Question::Check(Box::new(elsewhere)));
    passed(&prober().probe(&asked).await);
}

#[tokio::test]
async fn without_a_packet_path_nothing_goes_the_way_of_the_traffic() {
    let listening = server(until_closed).await;
    let mut check = check(tcp(), LONG);
    check.way = Way::Traffic;
    let mut asked = subject(listening, Question::Check(Box::new(check)));
    // Clients' packets go to the real server's address.
    passed(&prober().probe(&asked).await);
    asked.server.forwarding = Forwarding::Direct;
    open(&prober().probe(&asked).await, "packet path");
}

/// Greets, then answers each line with the next of these.
async fn mail_server(says: &'static [&'static str]) -> SocketAddr {
    server(move |stream| async move {
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        for text in says {
            if stream.write_all(text.as_bytes()).await.is_err() {
                return;
            }
            line.clear();
            if !matches!(stream.read_line(&mut line).await, Ok(1..)) {
                return;
            }
        }
        until_closed(stream.into_inner()).await;
    })
    .await
}

fn smtp() -> CheckKind {
    CheckKind::Smtp(SmtpCheck::default())
}

#[tokio::test]
async fn a_mail_server_greets() {
    let well = mail_server(&[
        "220-mail.example\r\n220 ready\r\n",
        "250-mail.example\r\n250 HELP\r\n",
        "221 bye\r\n",
    ])
    .await;
    passed(&ask(smtp(), well).await);
    // Any reply to QUIT will do.
    let odd = mail_server(&["220 x\r\n", "250 x\r\n", "500 what\r\n"]).await;
    passed(&ask(smtp(), odd).await);
}

#[tokio::test]
async fn a_mail_server_that_does_not_greet_fails() {
    let full = mail_server(&["421 too many connections\r\n"]).await;
    failed(
        &ask(smtp(), full).await,
        "greeting: \"421 too many connections\", expected 220",
    );
    let strict = mail_server(&["220 x\r\n", "550 who are you\r\n"]).await;
    failed(
        &ask(smtp(), strict).await,
        "HELO: \"550 who are you\", expected 250",
    );
    let web = answering("HTTP/1.1 400 Bad\r\n\r\n").await;
    failed(&ask_within(smtp(), web, SHORT).await, "within 50ms");
    let other = mail_server(&["SSH-2.0-OpenSSH\r\n"]).await;
    failed(&ask(smtp(), other).await, "not SMTP");
    let gone = server(|mut stream| async move {
        let _ = stream.write_all(b"220-more to come\r\n").await;
    })
    .await;
    failed(&ask(smtp(), gone).await, "without a whole reply");
    let endless =
        server(|mut stream| async move { while stream.write_all(&[b'2'; 1024]).await.is_ok() {} })
            .await;
    failed(&ask(smtp(), endless).await, "line of more than");
}

/// Answers each datagram with what is made of it.
async fn datagrams(answer: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut bytes = [0; 2048];
        while let Ok((length, from)) = socket.recv_from(&mut bytes).await {
            for answer in answer(&bytes[..length]) {
                let _ = socket.send_to(&answer, from).await;
            }
        }
    });
    address
}

fn dns(tcp: bool) -> CheckKind {
    CheckKind::Dns(DnsCheck {
        name: "example.com".to_owned(),
        record: DnsType::A,
        tcp,
    })
}

/// The header of an answer to that query.
fn answer_to(query: &[u8], rcode: u8) -> Vec<u8> {
    let mut answer = query.to_vec();
    answer[2] |= 0x80;
    answer[3] |= rcode;
    answer
}

#[tokio::test]
async fn a_name_server_answers() {
    let well = datagrams(|query| {
        let mut other = answer_to(query, 3);
        other[0] ^= 1;
        // Others' answers and noise before ours.
        vec![
            b"noise".to_vec(),
            query.to_vec(),
            other,
            answer_to(query, 0),
        ]
    })
    .await;
    passed(&ask(dns(false), well).await);
    let refusing = datagrams(|query| vec![answer_to(query, 5)]).await;
    failed(&ask(dns(false), refusing).await, "REFUSED");
    let noisy = datagrams(|_| vec![b"noise".to_vec()]).await;
    failed(&ask_within(dns(false), noisy, SHORT).await, "within 50ms");
    let (address, _guard) = no_datagrams();
    failed(&ask(dns(false), address).await, "port unreachable");
}

#[tokio::test]
async fn a_name_server_answers_over_tcp() {
    for (change, reason) in [(0, None), (1, Some("not to the question"))] {
        let address = server(move |mut stream| async move {
            let length = stream.read_u16().await.unwrap();
            let mut query = vec![0; length.into()];
            stream.read_exact(&mut query).await.unwrap();
            let mut answer = answer_to(&query, 0);
            answer[1] ^= change;
            stream.write_u16(length).await.unwrap();
            stream.write_all(&answer).await.unwrap();
        })
        .await;
        let verdict = ask(dns(true), address).await;
        match reason {
            None => passed(&verdict),
            Some(reason) => failed(&verdict, reason),
        }
    }
}

/// A port where no datagram is taken: it stays bound, by who is connected elsewhere.
fn no_datagrams() -> (SocketAddr, std::net::UdpSocket) {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect("127.0.0.1:9").unwrap();
    (socket.local_addr().unwrap(), socket)
}

fn udp(reply: Option<Vec<(u8, u8)>>) -> CheckKind {
    CheckKind::Udp(UdpCheck {
        payload: b"ping".to_vec(),
        reply,
        least: 1,
        most: 8,
    })
}

#[tokio::test]
async fn a_datagram_is_answered() {
    let echo = datagrams(|bytes| vec![bytes.to_vec()]).await;
    passed(&ask(udp(Some(Vec::new())), echo).await);
    passed(&ask(udp(Some(vec![(b'p', 0xff), (0, 0), (b'n', 0xff)])), echo).await);
    let verdict = ask(udp(Some(vec![(b'x', 0xff)])), echo).await;
    failed(&verdict, "byte 0 of the answer is 0x70, expected 0x78");
    let long = datagrams(|_| vec![vec![0; 100]]).await;
    failed(
        &ask(udp(Some(Vec::new())), long).await,
        "9 bytes, expected 1 to 8",
    );
    let silent = datagrams(|_| Vec::new()).await;
    let verdict = ask_within(udp(Some(Vec::new())), silent, SHORT).await;
    failed(&verdict, "within 50ms");
}

#[tokio::test]
async fn silence_is_well_where_no_answer_is_asked_for() {
    let silent = datagrams(|_| Vec::new()).await;
    passed(&ask_within(udp(None), silent, SHORT).await);
    let (address, _guard) = no_datagrams();
    failed(&ask(udp(None), address).await, "port unreachable");
}

#[tokio::test]
async fn a_script_says_how_it_is() {
    let nobody = "127.0.0.1:1".parse().unwrap();
    let script = |text: &str, dynamic| {
        CheckKind::Script(ScriptCheck {
            script: Script {
                command: ["sh", "-c", text].map(str::to_owned).to_vec(),
                user: None,
            },
            dynamic,
        })
    };
    passed(&ask(script("exit 0", false), nobody).await);
    failed(&ask(script("exit 1", true), nobody).await, "exits with 1");
    failed(&ask(script("exit 7", false), nobody).await, "exits with 7");
    let verdict = ask(script("exit 7", true), nobody).await;
    passed(&verdict);
    assert_eq!(verdict.reading.weight, Some(WeightWord::Is(5)));
    failed(&ask(script("kill -9 $$", true), nobody).await, "signal 9");
    let verdict = ask_within(script("sleep 60", false), nobody, SHORT).await;
    failed(&verdict, "did not end within 50ms");
}

#[tokio::test]
async fn a_file_says_how_it_is() {
    let nobody = "127.0.0.1:1".parse().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    let file = |weight, reverse| {
        CheckKind::File(FileCheck {
            path: path.clone(),
            weight,
            reverse,
        })
    };
    let plus = |weight| Reading {
        weight: Some(WeightWord::Plus(weight)),
        ..Reading::default()
    };
    // Not there is 0.
    passed(&ask(file(0, false), nobody).await);
    std::fs::write(&path, "3\n").unwrap();
    failed(&ask(file(0, false), nobody).await, "says 3");
    assert_eq!(ask(file(2, false), nobody).await.reading, plus(6));
    assert_eq!(ask(file(2, true), nobody).await.reading, plus(-6));
    std::fs::write(&path, "what").unwrap();
    open(&ask(file(2, true), nobody).await, "no number");
    let endless = CheckKind::File(FileCheck {
        path: PathBuf::from("/dev/zero"),
        weight: 1,
        reverse: false,
    });
    open(&ask(endless, nobody).await, "no number");
}

#[tokio::test]
async fn an_agent_says_how_it_is() {
    let agent = || {
        CheckKind::Agent(Agent {
            send: "state\n".to_owned(),
        })
    };
    let says = |text: &'static str| {
        server(move |mut stream| async move {
            let mut asked = [0; 6];
            stream.read_exact(&mut asked).await.unwrap();
            assert_eq!(&asked, b"state\n");
            stream.write_all(text.as_bytes()).await.unwrap();
        })
    };
    let verdict = ask(agent(), says("up 50%\n").await).await;
    passed(&verdict);
    assert_eq!(verdict.reading.weight, Some(WeightWord::Percent(50)));
    let verdict = ask(agent(), says("maint").await).await;
    open(&verdict, "");
    assert_eq!(verdict.reading.wish, Some(Wish::Maintenance));
    failed(&ask(agent(), says("down#disk\n").await).await, "down: disk");
    // One that is not there says nothing of the server.
    open(
        &ask(agent(), says("what\n").await).await,
        "agent: nothing in",
    );
    let (address, _guard) = nobody();
    open(&ask(agent(), address).await, "agent: connection refused");
}

#[tokio::test]
async fn a_figure_is_read() {
    let answer = "HTTP/1.1 200 OK\r\n\r\n{\"load\": [0.5, \"x\"]}";
    let figure = |address, form| {
        let figure = Figure {
            target: None,
            path: "/metrics".to_owned(),
            host: None,
            tls: None,
            pace: check(tcp(), LONG).pace,
            form,
            at: None,
        };
        subject(address, Question::Figure(Box::new(figure)))
    };
    let well = answering(answer).await;
    let json = |pointer: &str| FigureForm::Json(pointer.to_owned());
    let verdict = prober().probe(&figure(well, json("/load/0"))).await;
    passed(&verdict);
    assert_eq!(verdict.reading.weight, Some(WeightWord::Figure(500)));
    open(
        &prober().probe(&figure(well, json("/load/1"))).await,
        "no number",
    );
    let metrics = answering("HTTP/1.1 200 OK\r\n\r\nup 1\nload{cpu=\"0\"} 2\n").await;
    let form = FigureForm::Prometheus {
        metric: "load".to_owned(),
        labels: Vec::new(),
    };
    let verdict = prober().probe(&figure(metrics, form)).await;
    assert_eq!(verdict.reading.weight, Some(WeightWord::Figure(2000)));
    let busy = answering("HTTP/1.1 503 Busy\r\n\r\n").await;
    open(
        &prober().probe(&figure(busy, json("/load/0"))).await,
        "status 503",
    );
}

/// Needs a network namespace's permission (`ping_group_range`) or to be root.
#[cfg(feature = "privileged")]
#[tokio::test]
async fn loopback_answers_pings() {
    let ping = || CheckKind::Ping(PingCheck::default());
    passed(&ask(ping(), "127.0.0.1:0".parse().unwrap()).await);
    passed(&ask(ping(), "[::1]:80".parse().unwrap()).await);
}

#[cfg(not(feature = "privileged"))]
#[tokio::test]
async fn a_ping_that_is_not_allowed_is_not_the_servers_fault() {
    use weir_health::verdict::Outcome;
    let verdict = ask(
        CheckKind::Ping(PingCheck::default()),
        "127.0.0.1:0".parse().unwrap(),
    )
    .await;
    assert!(matches!(
        verdict.outcome,
        Outcome::Passed | Outcome::Open(_)
    ));
}
