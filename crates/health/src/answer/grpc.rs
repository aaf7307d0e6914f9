//! The health service of gRPC (`grpc.health.v1.Health/Check`): its two messages.

/// Where it is asked.
pub const PATH: &str = "/grpc.health.v1.Health/Check";
/// The longest message that is read.
pub const MESSAGE: usize = 4 << 10;
/// A flag and a length come before every message.
const PREFIX: usize = 5;
const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const BYTES: u64 = 2;
const FIXED32: u64 = 5;
/// The number of `status` in the answer, and of `service` in the question.
const FIELD: u64 = 1;

/// What is wrong with an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GrpcError {
    /// It is no message of the health service.
    #[error("the answer is no message of grpc.health.v1")]
    Message,
    /// It is compressed, which was not asked for.
    #[error("the answer is compressed, which was not asked for")]
    Compressed,
    /// It does not serve.
    #[error("the health service says {0}")]
    NotServing(&'static str),
    /// The call failed.
    #[error("the health service answers {}", code_in_words(.0, .1))]
    Status(String, String),
}

fn code_in_words(code: &str, message: &str) -> String {
    let name = match code {
        "1" => "CANCELLED",
        "4" => "DEADLINE_EXCEEDED",
        "5" => "NOT_FOUND: it does not know the service",
        "7" => "PERMISSION_DENIED",
        "8" => "RESOURCE_EXHAUSTED",
        "12" => "UNIMPLEMENTED: there is no health service",
        "13" => "INTERNAL",
        "14" => "UNAVAILABLE",
        "16" => "UNAUTHENTICATED",
        _ => "with gRPC status",
    };
    if message.is_empty() {
        format!("{name} ({code})")
    } else {
        format!("{name} ({code}): {message:?}")
    }
}

/// The question, as it is sent.
pub fn request(service: &str) -> Vec<u8> {
    let mut message = Vec::new();
    if !service.is_empty() {
        put_varint(&mut message, FIELD << 3 | BYTES);
        put_varint(&mut message, service.len() as u64);
        message.extend(service.as_bytes());
    }
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let mut sent = vec![0];
    sent.extend(length.to_be_bytes());
    sent.extend(message);
    sent
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Whether the answer says that it serves.
pub fn read(body: &[u8]) -> Result<(), GrpcError> {
    let (prefix, message) = body.split_at_checked(PREFIX).ok_or(GrpcError::Message)?;
    if prefix[0] != 0 {
        return Err(GrpcError::Compressed);
    }
    let length = u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]);
    let length = usize::try_from(length).map_err(|_| GrpcError::Message)?;
    let message = message.get(..length).ok_or(GrpcError::Message)?;
    match status(message).ok_or(GrpcError::Message)? {
        1 => Ok(()),
        0 => Err(GrpcError::NotServing("UNKNOWN")),
        2 => Err(GrpcError::NotServing("NOT_SERVING")),
        3 => Err(GrpcError::NotServing("SERVICE_UNKNOWN")),
        _ => Err(GrpcError::Message),
    }
}

/// The field `status`; one that is not there is 0, of several the last counts.
fn status(message: &[u8]) -> Option<u64> {
    let mut rest = message;
    let mut status = 0;
    while !rest.is_empty() {
        let key = varint(&mut rest)?;
        match key & 7 {
            VARINT => {
                let value = varint(&mut rest)?;
                if key >> 3 == FIELD {
                    status = value;
                }
            }
            FIXED64 => rest = rest.get(8..)?,
            FIXED32 => rest = rest.get(4..)?,
            BYTES => {
                let length = usize::try_from(varint(&mut rest)?).ok()?;
                rest = rest.get(length..)?;
            }
            _ => return None,
        }
    }
    Some(status)
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in 0..10 {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << (7 * shift);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn framed(message: &[u8]) -> Vec<u8> {
        let length = u32::try_from(message.len()).unwrap();
        [&[0][..], &length.to_be_bytes(), message].concat()
    }

    #[test]
    fn questions_are_asked() {
        assert_eq!(request(""), [0, 0, 0, 0, 0]);
        assert_eq!(request("ab"), b"\0\0\0\0\x04\x0a\x02ab");
        let long = request(&"x".repeat(300));
        assert_eq!(long[..8], [0, 0, 0, 1, 0x2f, 0x0a, 0xac, 0x02]);
    }

    #[test]
    fn answers_are_read() {
        for (message, read_as) in [
            (&b"\x08\x01"[..], Ok(())),
            (b"\x12\x03abc\x08\x01\x1d1234\x2112345678", Ok(())),
            (b"", Err(GrpcError::NotServing("UNKNOWN"))),
            (b"\x08\x02", Err(GrpcError::NotServing("NOT_SERVING"))),
            (
                b"\x08\x01\x08\x03",
                Err(GrpcError::NotServing("SERVICE_UNKNOWN")),
            ),
            (b"\x08\x07", Err(GrpcError::Message)),
            (b"\x08", Err(GrpcError::Message)),
            (b"\x12\xff", Err(GrpcError::Message)),
            (b"\x0b", Err(GrpcError::Message)),
            (
                b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
                Err(GrpcError::Message),
            ),
        ] {
            assert_eq!(read(&framed(message)), read_as, "{message:?}");
        }
        assert_eq!(read(b"\0\0\0"), Err(GrpcError::Message));
        assert_eq!(read(b"\0\0\0\0\x09\x08\x01"), Err(GrpcError::Message));
        assert_eq!(read(b"\x01\0\0\0\0"), Err(GrpcError::Compressed));
    }

    proptest! {
        #[test]
        fn never_panics(body in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = read(&body);
            let _ = read(&framed(&body));
        }
    }
}
