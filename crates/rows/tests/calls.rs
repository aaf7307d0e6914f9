//! The packet path finds the Call-ID in any message that is found by reading it as a whole.

use std::collections::HashMap;

use proptest::prelude::*;
use weir_rows::calls::reading::{call_id, found};

/// Pieces that messages are made of: what matters is likely to meet.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let known: [&[u8]; 27] = [
        b"\r\n",
        b"\r",
        b"\n",
        b" ",
        b"\t",
        b":",
        b"Call-ID",
        b"call-id",
        b"CALL-ID",
        b"i",
        b"I",
        b"@",
        b"a",
        b"xyz",
        b"@host",
        b"Call-ID: one@here\r\n",
        b"\r\nCall-ID: two\r\n",
        b"\r\ni:",
        b"Cal",
        b"\r\nCall-ID :\r\n ",
        b",",
        b";",
        b"\xe9",
        b"\xd7",
        b"\0",
        b"-",
        b"\r\nI: @",
    ];
    prop_oneof![
        9 => prop::sample::select(known.to_vec()).prop_map(<[u8]>::to_vec),
        1 => (240_usize..270).prop_map(|length| vec![b'l'; length]),
        1 => any::<u8>().prop_map(|byte| vec![byte]),
    ]
}

proptest! {
    #[test]
    fn both_readings_agree(pieces in prop::collection::vec(piece(), 0..40)) {
        let message = pieces.concat();
        let read = found(&message).map(|(id, _)| id);
        prop_assert_eq!(read.as_deref(), call_id(&message));
    }
}

/// Ten thousand calls, no two of which have the same hashes; and the same call always has.
#[test]
fn hashes_tell_calls_apart() {
    let mut seen = HashMap::new();
    for number in 0..10_000 {
        for text in [
            format!("x\r\ni: {number}\r\n"),
            format!("x\r\ni:{number}@h\r\n"),
        ] {
            let (id, hashes) = found(text.as_bytes()).expect("a Call-ID");
            assert_eq!(seen.insert(hashes, id), None);
            let again = text.replace("x\r\ni:", "y\nCall-ID: \t");
            assert_eq!(found(again.as_bytes()).expect("a Call-ID").1, hashes);
        }
    }
}
