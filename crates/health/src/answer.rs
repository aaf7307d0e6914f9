//! What real servers answer, read as if they were hostile: every reader takes bytes as they come, keeps
//! a bounded number of them, and ends with an answer or with what is wrong with it.

pub mod agent;
pub mod body;
pub mod datagram;
pub mod dns;
pub mod echo;
pub mod figure;
pub mod grpc;
pub mod http;
pub mod proxy;
pub mod smtp;

/// The most that is shown of what a server said.
const SHOWN: usize = 80;

/// What a server said, for a message: a line of printable characters, not too long.
fn shown(bytes: &[u8]) -> String {
    let cut = &bytes[..bytes.len().min(SHOWN)];
    let mut text: String = String::from_utf8_lossy(cut)
        .trim()
        .chars()
        .map(|one| if one.is_control() { '.' } else { one })
        .collect();
    if bytes.len() > SHOWN {
        text.push_str("...");
    }
    text
}
