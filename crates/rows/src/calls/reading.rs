//! Which Call-ID a message has: by the packet path, and as it must be.

use std::ops::ControlFlow;

use weir_abi::call::Call;
use weir_abi::settings::Settings;
use weir_forward::call::read::{self, Reader};

/// The Call-ID that the packet path finds in a message, and the hashes that it makes of it.
pub fn found(message: &[u8]) -> Option<(Vec<u8>, [u64; 2])> {
    let settings = Settings::default();
    settings.hash_keys[0].store(0x1234_5678_9abc_def1);
    settings.hash_keys[1].store(0x0fed_cba9_8765_4321);
    // What another message has left.
    let call = Call::default();
    for word in &call.id.text {
        word.store(0xaaaa_aaaa_aaaa_aaaa);
    }
    read::begin(&call, &settings);
    let reader = Reader {
        state: &call.reader,
        id: &call.id,
        at: 0,
    };
    for (index, byte) in (0..).zip(message) {
        if let ControlFlow::Break(()) = reader.read(index, *byte) {
            break;
        }
    }
    let hashes = [0, 1].map(|which: usize| call.reader.hashes[which].load());
    read::finish(&call).then(|| (call.id.bytes().collect(), hashes))
}

/// The Call-ID that counts in a message, as Linux's connection tracker and IPVS read it together. (Written on
/// whole slices, where the packet path goes byte by byte.)
pub fn call_id(message: &[u8]) -> Option<&[u8]> {
    let mut from = 0;
    loop {
        let start = header(message, from)?;
        let length = id_length(&message[start..]);
        if length != 0 {
            let end = message.get(start + length)?;
            let counts = length <= 255 && matches!(end, b'\r' | b'\n');
            return counts.then(|| &message[start..start + length]);
        }
        from += start;
    }
}

/// Where the value of the next Call-ID header begins whose line's end before it is at `from` or later.
fn header(message: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        at += message
            .get(at..)?
            .iter()
            .position(|b| b"\r\n".contains(b))?;
        at += if message[at..].starts_with(b"\r\n") {
            2
        } else {
            1
        };
        let line = message.get(at..).filter(|line| !line.is_empty())?;
        if let Some(named) = name_length(line) {
            let colon = at + named + blanks(&line[named..])?;
            if message.get(colon) != Some(&b':') || colon + 1 == message.len() {
                return None;
            }
            return Some(colon + 1 + blanks(&message[colon + 1..])?);
        }
        at += 1;
    }
}

/// How long the header's name is with which a line begins.
fn name_length(line: &[u8]) -> Option<usize> {
    let is_long = line.len() >= 7 && line[..7].eq_ignore_ascii_case(b"call-id");
    let is_short = line.len() >= 2 && line[0].eq_ignore_ascii_case(&b'i') && !is_letter(line[1]);
    match (is_long, is_short) {
        (true, _) => Some(7),
        (false, true) => Some(1),
        (false, false) => None,
    }
}

/// How many blanks there are, with at most one line end, behind which the next line has to begin with one.
fn blanks(text: &[u8]) -> Option<usize> {
    let on_line = |text: &[u8]| text.iter().take_while(|b| b" \t".contains(b)).count();
    let first = on_line(text);
    let end = match &text[first..] {
        [b'\r', b'\n', ..] => 2,
        [b'\r' | b'\n', ..] => 1,
        _ => return Some(first),
    };
    let next = text.get(first + end..)?;
    match on_line(next) {
        0 => None,
        more => Some(first + end + more),
    }
}

/// `word [ "@" word ]`; 0 where that is not it.
fn id_length(text: &[u8]) -> usize {
    let word = |text: &[u8]| text.iter().take_while(|b| is_word(**b)).count();
    let own = word(text);
    if own == 0 || text.get(own) != Some(&b'@') {
        return own;
    }
    match word(&text[own + 1..]) {
        0 => 0,
        host => own + 1 + host,
    }
}

fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || matches!(byte, 0xc0..=0xd6 | 0xd8..=0xf6 | 0xf8..=0xff)
}

fn is_word(byte: u8) -> bool {
    is_letter(byte) || byte.is_ascii_digit() || b"-.!%*_+`'~()<>:\\\"/[]?{}".contains(&byte)
}
