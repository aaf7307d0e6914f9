//! Mail by SMTP (RFC 5321), in clear text, to a server of one's own network.

use std::io;
use std::time::SystemTime;

use config::model::Mail;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use weir_config as config;

/// A line of a server is no longer (RFC 5321, 4.5.3.1.5), and it does not say more of them.
const LONGEST_LINE: u64 = 1024;
const MOST_LINES: usize = 100;

/// Sends one mail. The caller limits the time.
pub async fn send(mail: &Mail, name: &str, subject: &str, body: &str) -> io::Result<()> {
    let stream = TcpStream::connect(mail.server).await?;
    let (reading, mut writing) = stream.into_split();
    let mut reading = BufReader::new(reading);
    expect(&mut reading, 220).await?;
    let greeting = mail.greeting.as_deref().unwrap_or(name);
    let mut dialogue = vec![
        (format!("HELO {}", one_line(greeting)), 250),
        (format!("MAIL FROM:<{}>", one_line(&mail.from)), 250),
    ];
    for to in &mail.to {
        dialogue.push((format!("RCPT TO:<{}>", one_line(to)), 250));
    }
    dialogue.push(("DATA".to_owned(), 354));
    for (line, code) in dialogue {
        writing.write_all(format!("{line}\r\n").as_bytes()).await?;
        expect(&mut reading, code).await?;
    }
    let message = message(mail, subject, body, SystemTime::now());
    writing.write_all(message.as_bytes()).await?;
    expect(&mut reading, 250).await?;
    // The mail has been taken, whatever is said now.
    let _ = writing.write_all(b"QUIT\r\n").await;
    Ok(())
}

async fn expect(reading: &mut (impl AsyncBufReadExt + Unpin), wanted: u16) -> io::Result<()> {
    for _ in 0..MOST_LINES {
        let mut line = String::new();
        (&mut *reading)
            .take(LONGEST_LINE)
            .read_line(&mut line)
            .await?;
        let code = line.get(..3).and_then(|code| code.parse::<u16>().ok());
        match (code, line.as_bytes().get(3)) {
            (Some(_), Some(b'-')) => {}
            (Some(code), _) if code == wanted => return Ok(()),
            _ => {
                return Err(io::Error::other(format!(
                    "the server said {:?}",
                    line.trim_end()
                )));
            }
        }
    }
    Err(io::Error::other("the server does not stop speaking"))
}

fn message(mail: &Mail, subject: &str, body: &str, now: SystemTime) -> String {
    let mut text = format!(
        "Date: {}\r\nFrom: {}\r\nSubject: {}\r\nX-Mailer: Weir\r\nTo: {}\r\n\r\n",
        date(now),
        one_line(&mail.from),
        one_line(subject),
        one_line(&mail.to.join(", ")),
    );
    for line in body.lines() {
        // RFC 5321, 4.5.2: a dot of ours is not the end.
        if line.starts_with('.') {
            text.push('.');
        }
        text.push_str(line);
        text.push_str("\r\n");
    }
    text.push_str(".\r\n");
    text
}

/// What is configured does not become commands.
fn one_line(text: &str) -> String {
    text.replace(['\r', '\n'], " ")
}

/// RFC 5322, 3.3, in universal time.
fn date(now: SystemTime) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let since = now
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let (days, seconds) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    // Days since 0000-03-01, in eras of 400 years (146 097 days).
    let shifted = days + 719_468;
    let (era, day) = (shifted / 146_097, shifted % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day_of_month = day - (153 * month + 2) / 5 + 1;
    let year = year + era * 400 + u64::from(month >= 10);
    let month = (month + 2) % 12;
    format!(
        "{}, {day_of_month:02} {} {year} {:02}:{:02}:{:02} +0000",
        DAYS[usize::try_from(days % 7).unwrap_or(0)],
        MONTHS[usize::try_from(month).unwrap_or(0)],
        seconds / 3_600,
        seconds / 60 % 60,
        seconds % 60
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::net::TcpListener;

    use super::*;

    fn mail(server: std::net::SocketAddr) -> Mail {
        Mail {
            to: vec!["a@example.net".to_owned(), "b@example.net".to_owned()],
            from: "weir@example.net".to_owned(),
            server,
            greeting: None,
            timeout: Duration::from_secs(30),
        }
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, expected) in [
            (0, "Thu, 01 Jan 1970 00:00:00 +0000"),
            (951_827_696, "Tue, 29 Feb 2000 12:34:56 +0000"),
            (1_767_225_599, "Wed, 31 Dec 2025 23:59:59 +0000"),
            (1_795_460_066, "Mon, 23 Nov 2026 18:54:26 +0000"),
        ] {
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(date(at), expected);
        }
    }

    #[test]
    fn a_body_cannot_end_the_mail_or_begin_a_header() {
        let mail = mail("127.0.0.1:25".parse().unwrap());
        let text = message(&mail, "a\r\nBcc: x", "one\n.\ntwo", SystemTime::UNIX_EPOCH);
        assert!(text.contains("\r\nSubject: a  Bcc: x\r\n"), "{text}");
        assert!(
            text.ends_with("\r\n\r\none\r\n..\r\ntwo\r\n.\r\n"),
            "{text}"
        );
    }

    #[tokio::test]
    async fn a_server_is_spoken_to_as_it_expects() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mail = mail(listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let (reading, mut writing) = stream.into_split();
            let mut lines = BufReader::new(reading).lines();
            let mut said = Vec::new();
            writing
                .write_all(b"220-hello\r\n220 there\r\n")
                .await
                .unwrap();
            while let Some(line) = lines.next_line().await.unwrap() {
                let answer: &[u8] = match line.as_str() {
                    "DATA" => b"354 go on\r\n",
                    "." => b"250 taken\r\n",
                    line if line.starts_with("HELO") => b"250-host\r\n250 fine\r\n",
                    line if line.starts_with("MAIL") || line.starts_with("RCPT") => b"250 fine\r\n",
                    _ => b"",
                };
                said.push(line);
                writing.write_all(answer).await.unwrap();
            }
            said
        });
        send(&mail, "lb1", "[lb1] subject", "text").await.unwrap();
        let said = server.await.unwrap();
        assert_eq!(
            said[..5],
            [
                "HELO lb1",
                "MAIL FROM:<weir@example.net>",
                "RCPT TO:<a@example.net>",
                "RCPT TO:<b@example.net>",
                "DATA"
            ]
        );
        assert!(
            said.contains(&"Subject: [lb1] subject".to_owned()),
            "{said:?}"
        );
        assert_eq!(said.last().unwrap(), "QUIT");
    }

    #[tokio::test]
    async fn a_server_that_refuses_is_told_of() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mail = mail(listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"554 no\r\n").await.unwrap();
        });
        let error = send(&mail, "lb1", "subject", "text").await.unwrap_err();
        assert!(error.to_string().contains("554 no"), "{error}");
    }
}
