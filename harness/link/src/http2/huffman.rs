//! The code of strings in header blocks (RFC 7541, appendix B). It is canonical: the lengths say all. It must not know what the strings are.

use super::frame::Malformed;

/// Bits of the code of each byte.
#[rustfmt::skip]
const LENGTHS: [u8; 256] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
];

/// The longest code.
const LONGEST: usize = 30;

/// The bytes in the order of their codes, and for each length where its codes begin and how many there are.
struct Codes {
    bytes: [u8; 256],
    first: [u32; LONGEST + 1],
    offset: [usize; LONGEST + 1],
    count: [u32; LONGEST + 1],
}

static CODES: Codes = codes();

const fn codes() -> Codes {
    let mut codes = Codes { bytes: [0; 256], first: [0; LONGEST + 1], offset: [0; LONGEST + 1], count: [0; LONGEST + 1] };
    let (mut length, mut code, mut at) = (1, 0, 0);
    while length <= LONGEST {
        code <<= 1;
        codes.first[length] = code;
        codes.offset[length] = at;
        let mut byte = 0;
        while byte < 256 {
            if LENGTHS[byte] as usize == length {
                codes.bytes[at] = byte as u8;
                at += 1;
                code += 1;
                codes.count[length] += 1;
            }
            byte += 1;
        }
        length += 1;
    }
    codes
}

/// The text of a code, of at most `most` bytes. What is left of the last byte is filled with ones, fewer than eight.
pub(super) fn decoded(code: &[u8], most: usize) -> Result<Vec<u8>, Malformed> {
    let mut text = Vec::with_capacity(code.len() * 8 / 5);
    let (mut value, mut length) = (0_u32, 0);
    for bit in code.iter().flat_map(|byte| (0..8).rev().map(move |at| u32::from(byte >> at & 1))) {
        value = value << 1 | bit;
        length += 1;
        let index = value.wrapping_sub(CODES.first[length]);
        if value >= CODES.first[length] && index < CODES.count[length] {
            text.push(CODES.bytes[CODES.offset[length] + index as usize]);
            (value, length) = (0, 0);
        } else if length == LONGEST {
            return Err(Malformed);
        }
    }
    let is_filled = length < 8 && value == (1 << length) - 1;
    if is_filled && text.len() <= most { Ok(text) } else { Err(Malformed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strings_of_the_rfc_are_read() {
        for (code, text) in [
            (b"\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff".as_slice(), "www.example.com"),
            (b"\xa8\xeb\x10\x64\x9c\xbf", "no-cache"),
            (b"\xd0\x7a\xbe\x94\x10\x54\xd4\x44\xa8\x20\x05\x95\x04\x0b\x81\x66\xe0\x82\xa6\x2d\x1b\xff", "Mon, 21 Oct 2013 20:13:21 GMT"),
            (b"", ""),
        ] {
            assert_eq!(decoded(code, 64).as_deref(), Ok(text.as_bytes()));
        }
    }

    #[test]
    fn a_filling_that_is_too_long_or_not_of_ones_and_the_end_of_string_are_malformed() {
        for code in [b"\xff".as_slice(), b"\x18", b"\xff\xff\xff\xff", b"\xff\xff\xff\xfc"] {
            assert_eq!(decoded(code, 64), Err(Malformed), "{code:x?}");
        }
        assert_eq!(decoded(b"\x1f", 64).as_deref(), Ok(b"a".as_slice()));
        assert_eq!(decoded(b"\xa8\xeb\x10\x64\x9c\xbf", 7), Err(Malformed));
    }
}
