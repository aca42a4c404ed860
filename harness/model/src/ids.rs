//! Ids of traces and spans: bytes in memory, lower-case hex in files and on pages (W3C Trace Context).

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::fmt;

/// An id of `N` bytes; all zeros is none.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id<const N: usize>([u8; N]);

/// Of a trace: 32 lower-case hex digits.
pub type TraceId = Id<16>;
/// Of a span: 16 lower-case hex digits.
pub type SpanId = Id<8>;

impl<const N: usize> Id<N> {
    /// `None`: not `N` bytes, or all zeros.
    pub fn of(bytes: &[u8]) -> Option<Id<N>> {
        <[u8; N]>::try_from(bytes).ok().filter(|bytes| *bytes != [0; N]).map(Id)
    }

    /// Out of hex of any case. A shorter one is filled with zeros in front, as 64-bit ids are.
    pub fn from_hex(hex: &str) -> Option<Id<N>> {
        let digits = hex.trim().as_bytes();
        if digits.is_empty() || digits.len() % 2 == 1 || digits.len() > 2 * N {
            return None;
        }
        let mut id = [0; N];
        let front = N - digits.len() / 2;
        for (byte, pair) in id[front..].iter_mut().zip(digits.chunks_exact(2)) {
            let digit = |digit: u8| char::from(digit).to_digit(16);
            *byte = (digit(pair[0])? * 16 + digit(pair[1])?) as u8;
        }
        Id::of(&id)
    }

    /// The bytes, as OTLP has them.
    pub fn bytes(&self) -> &[u8; N] {
        &self.0
    }
}

impl<const N: usize> fmt::Display for Id<N> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex(&self.0))
    }
}

impl<const N: usize> fmt::Debug for Id<N> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl<const N: usize> Serialize for Id<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, const N: usize> Deserialize<'de> for Id<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Id<N>, D::Error> {
        let text = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
        Id::from_hex(&text).ok_or_else(|| D::Error::custom(format!("an id is {} hex digits that are not all zero", 2 * N)))
    }
}

/// Each byte in lower-case hex.
pub static HEX: [[u8; 2]; 256] = {
    let digits = b"0123456789abcdef";
    let (mut table, mut byte) = ([[0; 2]; 256], 0);
    while byte < 256 {
        table[byte] = [digits[byte >> 4], digits[byte & 15]];
        byte += 1;
    }
    table
};

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|byte| HEX[usize::from(*byte)]).map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_survive_the_way_to_hex_and_back() {
        assert_eq!(hex(&[0, 0x1f, 0xff]), "001fff");
        assert_eq!(SpanId::from_hex("00000000DEADbeef"), SpanId::of(&[0, 0, 0, 0, 0xde, 0xad, 0xbe, 0xef]));
        assert_eq!(TraceId::from_hex("1122334455667788").unwrap().to_string(), "00000000000000001122334455667788");
        let id = SpanId::of(&[1, 2, 3, 4, 5, 6, 7, 8]).unwrap();
        assert_eq!(serde_json::from_str::<SpanId>(&serde_json::to_string(&id).unwrap()).unwrap(), id);
    }

    #[test]
    fn what_is_no_id_is_none() {
        for wrong in ["", "0", "xyz0", "0000000000000000", "112233445566778899", "ää", "+1"] {
            assert_eq!(SpanId::from_hex(wrong), None, "{wrong:?}");
        }
        assert!(serde_json::from_str::<TraceId>("\"nothing\"").unwrap_err().to_string().contains("32 hex digits"));
    }
}
