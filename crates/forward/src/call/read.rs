//! Reads the Call-ID out of a message, as IPVS's `sip` engine does: which takes Linux's own reading of SIP
//! headers with all that is peculiar to it (`ct_sip_get_header`, `callid_len`, `get_callid`). A director of
//! either kind must find the same Call-ID in a message, or none.

use core::ops::ControlFlow;

use weir_abi::call::{CALL_ID_LENGTH, Call, CallId, CallReader};
use weir_abi::settings::Settings;
use weir_abi::shared::Shared64;

use crate::hook::{Hook, Turn};

/// Reads a message byte by byte.
pub struct Reader<'t> {
    /// What it remembers.
    pub state: &'t CallReader,
    /// Where the Call-ID goes.
    pub id: &'t CallId,
    /// Where the message begins in the frame.
    pub at: usize,
}

// Stages.
/// On the way to the end of a line.
const LINE: u32 = 0;
/// Behind a line's CR or LF.
const LINE_END: u32 = 1;
/// Behind its CR LF.
const LINE_BEGIN: u32 = 2;
/// Behind the first letter of what may be the header's name; the stages up to [`NAMED`] count its letters.
const NAME: u32 = 3;
/// Behind its name.
const NAMED: u32 = NAME + NAME_REST.len() as u32;
/// Behind the name's short form, which a letter would make another's.
const SHORT: u32 = 10;
/// Before the colon, and behind the blanks with which the line after begins.
const BEFORE_COLON: Blanks = Blanks(11);
/// Before the Call-ID.
const BEFORE_ID: Blanks = Blanks(16);
/// In the Call-ID.
const WORD: u32 = 21;
/// Behind its `@`.
const HOST_BEGIN: u32 = 22;
/// Behind that.
const HOST: u32 = 23;
/// It has been read.
const FOUND: u32 = 24;
/// There is none that counts.
const FAILED: u32 = 25;

/// The header's name behind its first letter.
const NAME_REST: &[u8; 6] = b"all-id";

const _: () = assert!(NAMED < SHORT);

/// The stages of passing over blanks: on a line, behind its CR or LF, behind its CR LF, and on the line that
/// goes on with it.
#[derive(Clone, Copy)]
struct Blanks(u32);

impl Blanks {
    const fn on_line(self) -> u32 {
        self.0
    }

    const fn behind_end(self) -> u32 {
        self.0 + 1
    }

    const fn behind_both(self) -> u32 {
        self.0 + 2
    }

    const fn on_next(self) -> u32 {
        self.0 + 3
    }
}

/// Begins to read. The hashes are keyed as flows are, so that nobody can choose messages that meet.
#[inline(always)]
pub fn begin(call: &Call, settings: &Settings) {
    let state = &call.reader;
    state.stage.store(LINE);
    state.before.store(0);
    state.resume.store(0);
    state.start.store(0);
    state.keys[0].store(settings.hash_keys[0].load() & PRIME);
    state.keys[1].store(settings.hash_keys[1].load() & PRIME);
    restart(state);
}

/// Whether a Call-ID has been found, which is complete then.
#[inline(always)]
pub fn finish(call: &Call) -> bool {
    let state = &call.reader;
    if state.stage.load() != FOUND {
        return false;
    }
    let length = state.length.load();
    if !length.is_multiple_of(8) {
        call.id.text[(length / 8) as usize % WORDS].store(state.word.load());
    }
    call.id.length.store(length);
    true
}

const WORDS: usize = (CALL_ID_LENGTH as usize + 1) / 8;

impl Reader<'_> {
    /// Reads a byte.
    #[inline(always)]
    pub fn read(&self, index: u32, byte: u8) -> ControlFlow<()> {
        let stage = self.state.stage.load();
        match stage {
            LINE => self.line(index, byte),
            LINE_END if self.is_second(byte) => self.state.stage.store(LINE_BEGIN),
            LINE_END | LINE_BEGIN => self.begin_line(byte),
            SHORT if is_letter(byte) => self.line(index, byte),
            SHORT => return self.blanks(BEFORE_COLON, index, byte),
            WORD | HOST_BEGIN | HOST => return self.word(stage, index, byte),
            NAMED => return self.blanks(BEFORE_COLON, index, byte),
            _name if stage < NAMED => self.name(stage, index, byte),
            _before if stage < BEFORE_ID.0 => return self.fold(BEFORE_COLON, stage, index, byte),
            _before => return self.fold(BEFORE_ID, stage, index, byte),
        }
        ControlFlow::Continue(())
    }

    /// Up to the end of a line.
    #[inline(always)]
    fn line(&self, index: u32, byte: u8) {
        let ends = is_end(byte) && index >= self.state.resume.load();
        self.state.before.store(byte.into());
        self.state.stage.store(if ends { LINE_END } else { LINE });
    }

    /// Whether it is LF behind CR.
    #[inline(always)]
    fn is_second(&self, byte: u8) -> bool {
        self.state.before.load() == b'\r'.into() && byte == b'\n'
    }

    /// The first byte of a line. Whatever it is, an end of line too, it is passed over.
    #[inline(always)]
    fn begin_line(&self, byte: u8) {
        self.state.stage.store(match byte {
            b'C' | b'c' => NAME,
            b'I' | b'i' => SHORT,
            _other => LINE,
        });
    }

    #[inline(always)]
    fn name(&self, stage: u32, index: u32, byte: u8) {
        let expected = match stage - NAME {
            0 => b'a',
            1 | 2 => b'l',
            3 => b'-',
            4 => b'i',
            _last => b'd',
        };
        // As `-` has that bit, CR would be taken for it otherwise.
        let is_same = byte == expected || (expected != b'-' && byte | 0x20 == expected);
        if is_same {
            self.state.stage.store(stage + 1);
        } else {
            self.line(index, byte);
        }
    }

    /// A byte where blanks may be, also at the end of a line: the next then has to begin with one.
    #[inline(always)]
    fn blanks(&self, before: Blanks, index: u32, byte: u8) -> ControlFlow<()> {
        if is_blank(byte) {
            self.state.stage.store(before.on_line());
        } else if is_end(byte) {
            self.state.before.store(byte.into());
            self.state.stage.store(before.behind_end());
        } else {
            return self.significant(before, index, byte);
        }
        ControlFlow::Continue(())
    }

    #[inline(always)]
    fn fold(&self, before: Blanks, stage: u32, index: u32, byte: u8) -> ControlFlow<()> {
        let stage = stage - before.0;
        if stage == 0 {
            return self.blanks(before, index, byte);
        }
        if stage == 1 && self.is_second(byte) {
            self.state.stage.store(before.behind_both());
        } else if is_blank(byte) {
            self.state.stage.store(before.on_next());
        } else if stage == 3 {
            // One line only is gone on with: an end of line here is taken for what it is not.
            return self.significant(before, index, byte);
        } else {
            return self.fail();
        }
        ControlFlow::Continue(())
    }

    /// What follows the blanks: the colon, or the Call-ID.
    #[inline(always)]
    fn significant(&self, before: Blanks, index: u32, byte: u8) -> ControlFlow<()> {
        if before.0 == BEFORE_ID.0 {
            self.state.start.store(index);
            return self.word(WORD, index, byte);
        }
        if byte != b':' {
            return self.fail();
        }
        self.state.stage.store(BEFORE_ID.on_line());
        ControlFlow::Continue(())
    }

    /// `word [ "@" word ]` (RFC 3261, 25.1), and the end of its line.
    #[inline(always)]
    fn word(&self, stage: u32, index: u32, byte: u8) -> ControlFlow<()> {
        let is_word = is_word(byte);
        let is_host = stage == WORD && byte == b'@' && self.state.length.load() != 0;
        if is_word || is_host {
            self.push(byte);
            self.state.stage.store(match stage {
                _word if is_host => HOST_BEGIN,
                WORD => WORD,
                _host => HOST,
            });
            return ControlFlow::Continue(());
        }
        // Without a word there, the next is looked for: from as far on as this one has begun, which is where
        // the message is anyway the first time, and further on later.
        if stage == HOST_BEGIN || self.state.length.load() == 0 {
            let resume = self.state.resume.load() + self.state.start.load();
            self.state.resume.store(resume);
            restart(self.state);
            self.line(index, byte);
            return ControlFlow::Continue(());
        }
        if self.state.length.load() > CALL_ID_LENGTH || !is_end(byte) {
            return self.fail();
        }
        self.state.stage.store(FOUND);
        ControlFlow::Break(())
    }

    #[inline(always)]
    fn fail(&self) -> ControlFlow<()> {
        self.state.stage.store(FAILED);
        ControlFlow::Break(())
    }

    /// Keeps a byte of the Call-ID.
    #[inline(always)]
    fn push(&self, byte: u8) {
        let length = self.state.length.load();
        self.state.length.store(length + 1);
        if length >= CALL_ID_LENGTH {
            return;
        }
        let within = length % 8;
        let word = match within {
            0 => byte as u64,
            _more => self.state.word.load() | (byte as u64) << (8 * within),
        };
        self.state.word.store(word);
        if within == 7 {
            self.id.text[(length / 8) as usize % WORDS].store(word);
        }
        hash(self.state, byte.into());
    }
}

impl<H: Hook> Turn<H> for Reader<'_> {
    #[inline(always)]
    fn turn(&mut self, hook: &mut H, index: u32) -> ControlFlow<()> {
        match hook.read::<[u8; 1]>(self.at + index as usize) {
            Some([byte]) => self.read(index, byte),
            None => ControlFlow::Break(()),
        }
    }
}

#[inline(always)]
fn restart(state: &CallReader) {
    state.length.store(0);
    state.word.store(0);
    state.hashes[0].store(1);
    state.hashes[1].store(1);
}

/// The modulus of the hashes, a Mersenne prime.
const PRIME: u64 = (1 << 31) - 1;

/// Takes a number below 2^31 into both hashes: polynomials of it at two secret places. Two messages of at
/// most so many bytes meet in one at 255 places of two thousand million.
#[inline(always)]
pub fn hash(state: &CallReader, number: u32) {
    take(&state.hashes[0], &state.keys[0], number);
    take(&state.hashes[1], &state.keys[1], number);
}

#[inline(always)]
fn take(hash: &Shared64, key: &Shared64, number: u32) {
    // Below 2^32 and 2^31.
    let product = (hash.load() * key.load()).wrapping_add(number as u64 + 1);
    let folded = (product & PRIME) + (product >> 31);
    hash.store((folded & PRIME) + (folded >> 31));
}

#[inline(always)]
const fn is_end(byte: u8) -> bool {
    byte == b'\r' || byte == b'\n'
}

#[inline(always)]
const fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// A letter, as the kernel has them: Latin-1's too.
#[inline(always)]
const fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || (byte >= 0xc0 && byte != 0xd7 && byte != 0xf7)
}

/// Whether a byte may be in a word.
#[inline(always)]
const fn is_word(byte: u8) -> bool {
    WORD_BYTES[(byte >> 6) as usize] >> (byte & 63) & 1 != 0
}

/// A bit for each byte.
static WORD_BYTES: [u64; 4] = word_bytes();

const fn word_bytes() -> [u64; 4] {
    let mut bytes = [0; 4];
    let mut byte = 0;
    while byte < 256 {
        let others = matches!(
            byte as u8,
            b'!' | b'"'
                | b'%'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'/'
                | b':'
                | b'<'
                | b'>'
                | b'?'
                | b'['
                | b'\\'
                | b']'
                | b'_'
                | b'`'
                | b'{'
                | b'}'
                | b'~'
        );
        if is_letter(byte as u8) || (byte as u8).is_ascii_digit() || others {
            bytes[byte / 64] |= 1 << (byte % 64);
        }
        byte += 1;
    }
    bytes
}
