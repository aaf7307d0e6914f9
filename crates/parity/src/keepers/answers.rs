//! What servers of each protocol answer, well and otherwise.

use super::servers::Manner;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// What a program of the lab waits for, it gets at once.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is spoken over TCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// HTTP.
    Web,
    /// SMTP.
    Mail,
}

/// What is spoken over UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Datagram {
    /// DNS.
    Names,
    /// Anything is answered by `ok`.
    Echo,
}

/// Answers whoever comes, until it is to refuse when somebody does.
pub fn serve(listener: &TcpListener, spoken: Stream, manner: &Mutex<Manner>) {
    let mut silent = Vec::new();
    for stream in listener.incoming().map_while(Result::ok) {
        let manner = *manner.lock().unwrap_or_else(PoisonError::into_inner);
        if manner != Manner::Silent {
            silent.clear();
        }
        let well = match manner {
            Manner::Well => true,
            Manner::Errors => false,
            Manner::Silent => {
                silent.push(stream);
                continue;
            }
            Manner::Refuses => return,
        };
        // Who asks may have gone meanwhile, or have wanted a connection only.
        thread::spawn(move || match spoken {
            Stream::Web => web(stream, well).ok(),
            Stream::Mail => mail(stream, well).ok(),
        });
    }
}

fn web(mut stream: TcpStream, well: bool) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut asked = Vec::new();
    while !asked.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        asked.push(byte[0]);
    }
    let status = if well { "200 OK" } else { "500 No" };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Length: 5\r\nConnection: close\r\n\r\nfine\n"
    )
}

fn mail(stream: TcpStream, well: bool) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut writing = stream.try_clone()?;
    if !well {
        return writing.write_all(b"421 not now\r\n");
    }
    writing.write_all(b"220 server\r\n")?;
    for line in BufReader::new(stream).lines() {
        match line?.starts_with("QUIT") {
            true => return writing.write_all(b"221 bye\r\n"),
            false => writing.write_all(b"250 fine\r\n")?,
        }
    }
    Ok(())
}

/// The same with datagrams.
pub fn reply(socket: &UdpSocket, spoken: Datagram, manner: &Mutex<Manner>) {
    let mut bytes = [0; 1500];
    // A port of whoever has asked may have been closed: that is no end.
    loop {
        let received = socket.recv_from(&mut bytes);
        let manner = *manner.lock().unwrap_or_else(PoisonError::into_inner);
        let well = match manner {
            Manner::Well => true,
            Manner::Errors => false,
            Manner::Silent => continue,
            Manner::Refuses => return,
        };
        let Ok((length, from)) = received else {
            continue;
        };
        let answer = match (spoken, well) {
            (Datagram::Echo, true) => b"ok".to_vec(),
            (Datagram::Echo, false) => b"no".to_vec(),
            (Datagram::Names, _) if length < 12 => continue,
            (Datagram::Names, _) => {
                let mut answer = bytes[..length].to_vec();
                answer[2] |= 0x80;
                // SERVFAIL
                answer[3] |= if well { 0 } else { 2 };
                answer
            }
        };
        // Who asked may have gone.
        let _ = socket.send_to(&answer, from);
    }
}
