//! Header blocks (RFC 7541): what one endpoint's table is after all blocks so far, and blocks that need no table. It must not know frames.
//!
//! The decoders on crates.io read into lists without a bound and forget which fields must never be indexed.

use super::{
    fields::{Field, STATIC},
    frame::Malformed,
    huffman,
};
use bytes::Bytes;
use std::collections::VecDeque;

/// The table before anything else was agreed on.
const TABLE: usize = 4 << 10;
/// The largest table that is kept. Browsers ask for as much.
const LARGEST_TABLE: usize = 64 << 10;
/// All fields of a block together, each with its overhead.
const LIST: usize = 256 << 10;
/// What an entry counts for beside its bytes.
const OVERHEAD: usize = 32;
/// In front of a block: from here on the table is empty.
pub(super) const NO_TABLE: u8 = 0x20;

/// The reader of one direction's blocks.
pub(super) struct Decoder {
    /// The latest entry first.
    table: VecDeque<(Bytes, Bytes)>,
    size: usize,
    limit: usize,
}

impl Decoder {
    pub(super) fn new() -> Decoder {
        Decoder { table: VecDeque::new(), size: 0, limit: TABLE }
    }

    /// Reads a whole block.
    pub(super) fn decode(&mut self, block: &[u8]) -> Result<Vec<Field>, Malformed> {
        let (mut fields, mut total, mut rest) = (Vec::new(), 0, Reader(block));
        while let Some(first) = rest.0.first().copied() {
            if first & 0xe0 == NO_TABLE {
                // Only in front of all fields.
                let limit = rest.integer(5)?;
                self.resize(if fields.is_empty() { limit } else { usize::MAX })?;
                continue;
            }
            let field = self.field(first, &mut rest)?;
            total += field.name.len() + field.value.len() + OVERHEAD;
            if total > LIST {
                return Err(Malformed);
            }
            fields.push(field);
        }
        Ok(fields)
    }

    fn field(&mut self, first: u8, rest: &mut Reader<'_>) -> Result<Field, Malformed> {
        if first & 0x80 != 0 {
            let index = rest.integer(7)?;
            let (name, value) = self.entry(index)?;
            return Ok(Field { name, value, is_secret: false });
        }
        let is_kept = first & 0x40 != 0;
        let name = match rest.integer(if is_kept { 6 } else { 4 })? {
            0 => rest.string()?,
            index => self.entry(index)?.0,
        };
        let value = rest.string()?;
        if is_kept {
            self.keep(name.clone(), value.clone());
        }
        Ok(Field { name, value, is_secret: first & 0xf0 == 0x10 })
    }

    fn entry(&self, index: usize) -> Result<(Bytes, Bytes), Malformed> {
        let index = index.checked_sub(1).ok_or(Malformed)?;
        match STATIC.get(index) {
            Some((name, value)) => Ok((Bytes::from_static(name.as_bytes()), Bytes::from_static(value.as_bytes()))),
            None => self.table.get(index - STATIC.len()).cloned().ok_or(Malformed),
        }
    }

    /// Where a field is in the table, if it is.
    #[cfg(test)]
    pub(super) fn index_of(&self, name: &str, value: &str) -> Option<usize> {
        let known = STATIC.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        let kept = self.table.iter().map(|(name, value)| (&**name, &**value));
        known.chain(kept).position(|entry| entry == (name.as_bytes(), value.as_bytes())).map(|index| index + 1)
    }

    fn keep(&mut self, name: Bytes, value: Bytes) {
        self.size += name.len() + value.len() + OVERHEAD;
        self.table.push_front((name, value));
        self.evict();
    }

    fn resize(&mut self, limit: usize) -> Result<(), Malformed> {
        if limit > LARGEST_TABLE {
            return Err(Malformed);
        }
        self.limit = limit;
        self.evict();
        Ok(())
    }

    fn evict(&mut self) {
        while self.size > self.limit
            && let Some((name, value)) = self.table.pop_back()
        {
            self.size -= name.len() + value.len() + OVERHEAD;
        }
    }
}

/// What is left of a block.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn byte(&mut self) -> Result<u8, Malformed> {
        let (first, rest) = self.0.split_first().ok_or(Malformed)?;
        self.0 = rest;
        Ok(*first)
    }

    /// A number whose first bits share a byte with something else.
    fn integer(&mut self, bits: u32) -> Result<usize, Malformed> {
        let most = (1 << bits) - 1;
        let mut value = usize::from(self.byte()?) & most;
        if value < most {
            return Ok(value);
        }
        for shift in [0, 7, 14, 21] {
            let byte = self.byte()?;
            value += usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed)
    }

    fn string(&mut self) -> Result<Bytes, Malformed> {
        let is_coded = self.0.first().is_some_and(|first| first & 0x80 != 0);
        let length = self.integer(7)?;
        let (text, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(if is_coded { huffman::decoded(text, LIST)?.into() } else { Bytes::copy_from_slice(text) })
    }
}

/// A block that neither uses the table of its reader nor changes it.
pub(super) fn encoded(fields: &[Field]) -> Vec<u8> {
    let mut block = Vec::with_capacity(fields.iter().map(|field| field.name.len() + field.value.len() + 4).sum());
    for field in fields {
        block.push(if field.is_secret { 0x10 } else { 0 });
        put_string(&mut block, &field.name);
        put_string(&mut block, &field.value);
    }
    block
}

fn put_string(block: &mut Vec<u8>, text: &[u8]) {
    if text.len() < 0x7f {
        block.push(text.len() as u8);
    } else {
        block.push(0x7f);
        let mut rest = text.len() - 0x7f;
        while rest >= 0x80 {
            block.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        block.push(rest as u8);
    }
    block.extend_from_slice(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<char> = hex.chars().filter(|digit| !digit.is_whitespace()).collect();
        digits.chunks(2).map(|pair| u8::from_str_radix(&String::from_iter(pair), 16).expect("hex")).collect()
    }

    /// What the blocks of one direction say, and how large its table is after each.
    fn check(decoder: &mut Decoder, hex: &str, expected: &[(&str, &str)], size: usize) {
        let fields = decoder.decode(&bytes(hex)).expect("it is well formed");
        let read: Vec<_> =
            fields.iter().map(|field| (String::from_utf8_lossy(&field.name), String::from_utf8_lossy(&field.value))).collect();
        let read: Vec<(&str, &str)> = read.iter().map(|(name, value)| (name.as_ref(), value.as_ref())).collect();
        assert_eq!((read.as_slice(), decoder.size), (expected, size));
    }

    const REQUEST: [(&str, &str); 4] = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "www.example.com")];

    #[test]
    fn the_literals_of_the_rfc_are_read() {
        let mut decoder = Decoder::new();
        check(&mut decoder, "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572", &[("custom-key", "custom-header")], 55);
        check(&mut Decoder::new(), "040c 2f73 616d 706c 652f 7061 7468", &[(":path", "/sample/path")], 0);
        check(&mut Decoder::new(), "1008 7061 7373 776f 7264 0673 6563 7265 74", &[("password", "secret")], 0);
        assert!(Decoder::new().decode(&bytes("1008 7061 7373 776f 7264 0673 6563 7265 74")).expect("it is well formed")[0].is_secret);
    }

    #[test]
    fn the_requests_of_the_rfc_are_read_coded_or_not() {
        for [first, second, third] in [
            [
                "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
                "8286 84be 5808 6e6f 2d63 6163 6865",
                "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
            ],
            [
                "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
                "8286 84be 5886 a8eb 1064 9cbf",
                "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
            ],
        ] {
            let mut decoder = Decoder::new();
            check(&mut decoder, first, &REQUEST, 57);
            check(&mut decoder, second, &[&REQUEST[..], &[("cache-control", "no-cache")]].concat(), 110);
            let last = [REQUEST[0], (":scheme", "https"), (":path", "/index.html"), REQUEST[3], ("custom-key", "custom-value")];
            check(&mut decoder, third, &last, 164);
        }
    }

    #[test]
    fn the_answers_of_the_rfc_are_read_and_old_entries_make_room() {
        let mut decoder = Decoder::new();
        decoder.resize(256).expect("it is small");
        let common = [("cache-control", "private"), ("date", "Mon, 21 Oct 2013 20:13:21 GMT"), ("location", "https://www.example.com")];
        let with = |status| [&[(":status", status)][..], &common[..]].concat();
        let first = "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3";
        check(&mut decoder, first, &with("302"), 222);
        check(&mut decoder, "4883 640e ffc1 c0bf", &with("307"), 222);
        let third = "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07";
        let cookie = ("set-cookie", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1");
        let date = ("date", "Mon, 21 Oct 2013 20:13:22 GMT");
        check(&mut decoder, third, &[(":status", "200"), common[0], date, common[2], ("content-encoding", "gzip"), cookie], 215);
    }

    #[test]
    fn what_is_written_is_read_and_leaves_the_table_alone() {
        let field =
            |name: &str, length: usize, is_secret| Field { name: name.to_owned().into(), value: vec![b'v'; length].into(), is_secret };
        let fields = [field(":status", 3, false), field("authorization", 126, true), field("a", 127, false), field("b", 100_000, false)];
        let mut decoder = Decoder::new();
        let read = decoder.decode(&[&[NO_TABLE][..], &encoded(&fields)].concat()).expect("it is well formed");
        assert!(read == fields && decoder.size == 0 && decoder.limit == 0);
    }

    #[test]
    fn what_cannot_be_read_or_kept_is_malformed() {
        // No index, one that is not there, a number without end, a string without end, a table that is too large, and one that changes too late.
        for hex in ["80", "be", "ffffffffffff7f", "400a63", "3fe1ff0f", "8220", "00"] {
            assert!(Decoder::new().decode(&bytes(hex)).is_err(), "{hex}");
        }
        let field = Field { name: "a".into(), value: vec![0; 4_000].into(), is_secret: false };
        let mut kept = encoded(&[field]);
        kept[0] = 0x40;
        let bomb = [kept, vec![0xbe; 1_000]].concat();
        assert!(Decoder::new().decode(&bomb).is_err());
    }
}
