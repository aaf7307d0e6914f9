//! A question to a name server and what it answers (RFC 1035 section 4).

use weir_config::model::health::DnsType;

const HEADER: usize = 12;
/// The longest label.
const LABEL: usize = 63;
/// The longest name.
const NAME: usize = 255;
/// "Recursion desired", as keepalived has it.
const RECURSION_DESIRED: u16 = 0x0100;
const IS_ANSWER: u16 = 0x8000;
const IN: u16 = 1;

/// What is wrong with a question or an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DnsError {
    /// A name that cannot be asked for.
    #[error("{0:?} is no domain name")]
    Name(String),
    /// The server says no.
    #[error("the name server answers {}", rcode_in_words(*.0))]
    Rcode(u8),
    /// The answer over TCP is not one.
    #[error("the answer is not to the question")]
    Other,
}

fn rcode_in_words(rcode: u8) -> String {
    let name = match rcode {
        1 => "FORMERR: it does not understand the question",
        2 => "SERVFAIL: it cannot find out",
        3 => "NXDOMAIN: there is no such name",
        4 => "NOTIMP: it does not answer such questions",
        5 => "REFUSED: it does not answer us",
        _ => return format!("with error {rcode}"),
    };
    name.to_owned()
}

/// The question.
pub fn query(id: u16, name: &str, record: DnsType) -> Result<Vec<u8>, DnsError> {
    let mut query = Vec::with_capacity(HEADER + name.len() + 6);
    for field in [id, RECURSION_DESIRED, 1, 0, 0, 0] {
        query.extend(field.to_be_bytes());
    }
    let wrong = || DnsError::Name(name.to_owned());
    let labels = name.strip_suffix('.').unwrap_or(name);
    if !labels.is_empty() {
        for label in labels.split('.') {
            let length = u8::try_from(label.len()).map_err(|_| wrong())?;
            if label.is_empty() || label.len() > LABEL {
                return Err(wrong());
            }
            query.push(length);
            query.extend(label.as_bytes());
        }
    }
    query.push(0);
    if query.len() - HEADER > NAME {
        return Err(wrong());
    }
    query.extend(number(record).to_be_bytes());
    query.extend(IN.to_be_bytes());
    Ok(query)
}

const fn number(record: DnsType) -> u16 {
    match record {
        DnsType::A => 1,
        DnsType::Ns => 2,
        DnsType::Cname => 5,
        DnsType::Soa => 6,
        DnsType::Mx => 15,
        DnsType::Txt => 16,
        DnsType::Aaaa => 28,
    }
}

/// Reads a datagram: nothing if it does not answer the question, and the right one may still come.
pub fn read(datagram: &[u8], id: u16) -> Option<Result<(), DnsError>> {
    let header = datagram.get(..HEADER)?;
    let field = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    if field(0) != id || field(2) & IS_ANSWER == 0 {
        return None;
    }
    let rcode = header[3] & 0xf;
    Some(if rcode == 0 {
        Ok(())
    } else {
        Err(DnsError::Rcode(rcode))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn questions_are_asked() {
        let asked = query(0x1234, "a.example.", DnsType::Aaaa).unwrap();
        assert_eq!(
            asked,
            b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x01a\x07example\0\0\x1c\0\x01"
        );
        assert_eq!(
            query(1, "a.example", DnsType::A).unwrap()[12..24],
            asked[12..24]
        );
        assert_eq!(
            query(1, ".", DnsType::Soa).unwrap()[12..],
            *b"\0\0\x06\0\x01"
        );
        let long_label = "x".repeat(64);
        let long_name = "x.".repeat(128);
        for wrong in ["a..b", &long_label, &long_name, ".a"] {
            query(1, wrong, DnsType::A).unwrap_err();
        }
    }

    #[test]
    fn answers_are_read() {
        let answer = |second: u16, rcode: u8| {
            let mut bytes = vec![0; HEADER];
            bytes[..2].copy_from_slice(&0x1234_u16.to_be_bytes());
            bytes[2..4].copy_from_slice(&second.to_be_bytes());
            bytes[3] |= rcode;
            bytes
        };
        assert_eq!(read(&answer(0x8180, 0), 0x1234), Some(Ok(())));
        assert_eq!(read(&answer(0x8180, 0), 0x1235), None);
        assert_eq!(read(&answer(0x0100, 0), 0x1234), None);
        assert_eq!(read(&answer(0x8180, 0)[..11], 0x1234), None);
        let error = read(&answer(0x8180, 3), 0x1234).unwrap().unwrap_err();
        assert!(error.to_string().contains("NXDOMAIN"));
    }

    proptest! {
        #[test]
        fn never_panics(datagram in prop::collection::vec(any::<u8>(), 0..40), name in "\\PC{0,300}") {
            let _ = read(&datagram, 0);
            let _ = query(0, &name, DnsType::A);
        }
    }
}
