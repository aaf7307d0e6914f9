//! A server that sends back what it gets, and a client that looks whether it does.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;
use weir_lab::Namespace;

/// Serves there, on all addresses, until the test ends.
pub fn serve(namespace: &Namespace, port: u16) {
    let listener = namespace
        .enter(|| TcpListener::bind(("::", port)))
        .expect("a namespace")
        .expect("a socket");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            std::thread::spawn(move || {
                let mut buffer = [0; 65536];
                while let Ok(length @ 1..) = stream.read(&mut buffer) {
                    if stream.write_all(&buffer[..length]).is_err() {
                        return;
                    }
                }
            });
        }
    });
}

/// Sends so many bytes to the service, and gets them back.
pub fn talk(client: &Namespace, service: SocketAddr, length: usize) -> Result<(), String> {
    let talk = || -> io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect_timeout(&service, Duration::from_secs(5))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let mut writer = stream.try_clone()?;
        let sender = std::thread::spawn(move || {
            writer.write_all(&bytes(length))?;
            writer.shutdown(Shutdown::Write)
        });
        let mut back = Vec::new();
        stream.read_to_end(&mut back)?;
        sender.join().expect("a sender")?;
        Ok(back)
    };
    match client.enter(talk).expect("a namespace") {
        Ok(back) if back == bytes(length) => Ok(()),
        Ok(back) => Err(format!("{} bytes came back of {length}", back.len())),
        Err(error) => Err(error.to_string()),
    }
}

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i * 31 + i / 251) as u8).collect()
}
