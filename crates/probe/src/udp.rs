//! Whether a datagram is answered, or at least not refused.

use socket2::Protocol;
use tokio::net::UdpSocket;
use tokio::time::timeout;
use weir_config::model::health::UdpCheck;
use weir_health::answer::datagram;
use weir_health::verdict::{Outcome, Reading};

use crate::Finding;
use crate::socket::{self, refused};
use crate::talk::{Fault, Talk};

pub async fn check(talk: &mut Talk<'_>, check: &UdpCheck) -> Finding {
    let socket = socket::datagrams(talk, Protocol::UDP)?;
    send(talk, &socket, &check.payload).await?;
    // One byte more than is allowed shows that there are more.
    let mut answer = vec![0; usize::from(check.most) + 1];
    let receiving = async {
        socket
            .recv(&mut answer)
            .await
            .map_err(|error| refused_datagram(&error))
    };
    if check.reply.is_some() {
        let length = talk.step("answer", receiving).await?;
        talk.tell("answer", || format!("{length} bytes"));
        datagram::judge(&answer[..length], check).map_err(Fault::servers)?;
    } else {
        // Silence is well: a port that is closed says so.
        match timeout(talk.timeout(), receiving).await {
            Ok(received) => {
                let length = received?;
                talk.tell("answer", || format!("{length} bytes"));
            }
            Err(_) => talk.tell("silence", || "nobody refused the datagram".to_owned()),
        }
    }
    Ok((Outcome::Passed, Reading::default()))
}

/// Sends a datagram.
pub async fn send(talk: &mut Talk<'_>, socket: &UdpSocket, bytes: &[u8]) -> Result<(), Fault> {
    let sending = async {
        socket
            .send(bytes)
            .await
            .map_err(|error| refused_datagram(&error))
    };
    talk.step("room to send", sending).await?;
    let target = talk.target;
    talk.tell("send", || match target.port() {
        0 => format!("{} bytes to {}", bytes.len(), target.ip()),
        _ => format!("{} bytes to {target}", bytes.len()),
    });
    Ok(())
}

/// Like [`refused`], where a port is what is refused.
pub fn refused_datagram(error: &std::io::Error) -> Fault {
    if error.kind() == std::io::ErrorKind::ConnectionRefused {
        return Fault::servers("port unreachable: nothing takes datagrams there");
    }
    refused(error)
}
