//! Ids of traces and spans as bytes and as lower-case hex.

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

/// An id of `N` bytes out of hex of any case. A shorter one is filled with zeros in front, as 64-bit ids are; all zeros are no id.
pub(crate) fn id<const N: usize>(hex: &str) -> Option<[u8; N]> {
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
    (id != [0; N]).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_survive_the_way_to_hex_and_back() {
        assert_eq!(hex(&[0, 0x1f, 0xff]), "001fff");
        assert_eq!(id::<8>("00000000DEADbeef"), Some([0, 0, 0, 0, 0xde, 0xad, 0xbe, 0xef]));
        assert_eq!(id::<16>("1122334455667788").map(|id| hex(&id)).unwrap(), "00000000000000001122334455667788");
    }

    #[test]
    fn what_is_no_id_is_none() {
        for wrong in ["", "0", "xyz0", "0000000000000000", "112233445566778899", "ää", "+1"] {
            assert_eq!(id::<8>(wrong), None, "{wrong:?}");
        }
    }
}
