//! A datagram that answers another.

use weir_config::model::health::UdpCheck;

/// What is wrong with a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DatagramError {
    /// Too short or too long.
    #[error("the answer has {length} bytes, expected {least} to {most}")]
    Length {
        /// How long it is.
        length: usize,
        /// The least.
        least: u16,
        /// The greatest.
        most: u16,
    },
    /// Something else.
    #[error("byte {at} of the answer is {found:#04x}, expected {expected:#04x} in {mask:#04x}")]
    Byte {
        /// Where.
        at: usize,
        /// What is there.
        found: u8,
        /// What should be there.
        expected: u8,
        /// The bits of it that count.
        mask: u8,
    },
}

/// Whether an answer is as it must be. Only so many bytes are compared as both have, as keepalived does.
pub fn judge(answer: &[u8], check: &UdpCheck) -> Result<(), DatagramError> {
    let length = answer.len();
    let (least, most) = (check.least, check.most);
    if length < least.into() || length > most.into() {
        return Err(DatagramError::Length {
            length,
            least,
            most,
        });
    }
    let pattern = check.reply.as_deref().unwrap_or_default();
    for (at, (found, (expected, mask))) in answer.iter().zip(pattern).enumerate() {
        if (found ^ expected) & mask != 0 {
            return Err(DatagramError::Byte {
                at,
                found: *found,
                expected: *expected,
                mask: *mask,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_are_judged() {
        let check = UdpCheck {
            payload: Vec::new(),
            reply: Some(vec![(0x12, 0xff), (0x30, 0xf0), (0, 0)]),
            least: 1,
            most: 5,
        };
        for (answer, well) in [
            (&b"\x12\x3f\xff"[..], true),
            (b"\x12", true),
            (b"\x12\x30\0more", false),
            (b"\x12\x30\0mo", true),
            (b"", false),
            (b"\x13", false),
            (b"\x12\x40", false),
        ] {
            assert_eq!(judge(answer, &check).is_ok(), well, "{answer:?}");
        }
        let error = judge(b"\x12\x40", &check).unwrap_err().to_string();
        assert_eq!(error, "byte 1 of the answer is 0x40, expected 0x30 in 0xf0");
    }
}
