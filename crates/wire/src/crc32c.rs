//! CRC32c (RFC 9260, appendix A), updated instead of recomputed.
//!
//! A CRC is linear: that of a packet some of whose bits have changed differs by the CRC, begun at zero, of
//! those bits alone. And bytes of zero that follow multiply it by a power of x: so what a change of the
//! ports means does not ask for the packet's other bytes, only for how many they are.
//!
//! Polynomials lie as CRC32c's do, the coefficient of x^0 in the highest bit.

/// The polynomial of CRC32c without x^32.
const POLYNOMIAL: u32 = 0x82f6_3b78;
/// x^0.
const ONE: u32 = 1 << 31;
/// x^8: one byte.
const BYTE: u32 = ONE >> 8;

/// For each digit of a length in bytes, base 16, and its place: so many bytes of zero.
static BYTES: [[u32; 16]; 4] = {
    let mut bytes = [[ONE; 16]; 4];
    let mut unit = BYTE;
    let mut place = 0;
    while place < 4 {
        let mut digit = 1;
        while digit < 16 {
            bytes[place][digit] = multiply(bytes[place][digit - 1], unit);
            digit += 1;
        }
        unit = multiply(bytes[place][15], unit);
        place += 1;
    }
    bytes
};

/// The product of two polynomials.
#[inline(always)]
pub const fn multiply(a: u32, b: u32) -> u32 {
    let mut product = 0;
    let mut a = a;
    let mut b = b;
    let mut bit = 0;
    // Masks instead of branches: a branch would double what the verifier has to follow.
    while bit < 32 {
        product ^= b & 0u32.wrapping_sub(a >> 31);
        a <<= 1;
        b = b >> 1 ^ POLYNOMIAL & 0u32.wrapping_sub(b & 1);
        bit += 1;
    }
    product
}

/// What a CRC32c changes by, bit for bit, when the first four of the `length` bytes that it covers change
/// by those bits. Both as numbers of which the first byte in the packet is the lowest.
#[inline(always)]
pub fn change(first: u32, length: u16) -> u32 {
    let digit = |place: usize| BYTES[place][length as usize >> (4 * place) & 15];
    let mut change = multiply(first, digit(0));
    change = multiply(change, digit(1));
    change = multiply(change, digit(2));
    multiply(change, digit(3))
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec;
    use std::vec::Vec;

    use super::*;

    /// As its definition reads, bit by bit.
    fn plain(bytes: &[u8]) -> u32 {
        let mut crc = u32::MAX;
        for byte in bytes {
            crc ^= u32::from(*byte);
            for _ in 0..8 {
                crc = crc >> 1 ^ if crc & 1 == 1 { POLYNOMIAL } else { 0 };
            }
        }
        !crc
    }

    #[test]
    fn the_definition_gives_the_known_value() {
        // RFC 3720, B.4, and the check value that catalogues of CRCs give.
        assert_eq!(plain(b"123456789"), 0xe306_9283);
        assert_eq!(plain(&[0; 32]), 0x8a91_36aa);
    }

    #[test]
    fn a_change_of_the_ports_changes_it_as_a_new_one_would_be() {
        for length in (12..300).chain([576, 1480, 4095, 4096, 9001, 65_515, 65_535]) {
            let old: Vec<u8> = (0..length).map(|at| (at * 7 + at / 256) as u8).collect();
            for ports in [[0, 0, 0, 1], [0x80, 0, 0, 0], [0x1f, 0x90, 0xc3, 0x50]] {
                let mut new = old.clone();
                for (byte, bits) in new.iter_mut().zip(ports) {
                    *byte ^= bits;
                }
                let change = change(u32::from_le_bytes(ports), length as u16);
                assert_eq!(
                    plain(&old) ^ change,
                    plain(&new),
                    "{length} bytes, {ports:x?}"
                );
            }
        }
    }

    #[test]
    fn no_change_is_none() {
        assert_eq!(change(0, 1234), 0);
        let zeros = vec![0; 4];
        assert_eq!(change(0x0403_0201, 4), plain(&zeros) ^ plain(&[1, 2, 3, 4]));
    }
}
