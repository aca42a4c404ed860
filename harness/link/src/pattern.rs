//! Patterns of texts and keys: `*` is any run of characters, `?` is one, and everything else is itself. It must not know what is matched.

/// Whether `text` is of the form of `pattern`. Linear but for the tail behind the last `*`, which is tried at each place.
pub(crate) fn is_like(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut from) = (0, 0);
    // Where to go on after a mismatch: behind the last star, with one byte more under it.
    let mut star: Option<(usize, usize)> = None;
    while from < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                at += 1;
                star = Some((at, from));
            }
            Some(b'?') => {
                at += 1;
                from += character(&text[from..]);
            }
            Some(byte) if *byte == text[from] => (at, from) = (at + 1, from + 1),
            _ => {
                let Some((behind, under)) = star else { return false };
                star = Some((behind, under + 1));
                (at, from) = (behind, under + 1);
            }
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

/// Bytes of the character that comes first, in UTF-8.
fn character(text: &[u8]) -> usize {
    1 + text[1..].iter().take_while(|byte| **byte & 0b1100_0000 == 0b1000_0000).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks_are_the_only_special_characters() {
        let cases = [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("?", "", false),
            ("cart:*", "cart:7", true),
            ("cart:*", "art:7", false),
            ("*:7", "cart:17:7", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("c?rt", "cärt", true),
            ("c?rt", "crt", false),
            ("[ab]{c}\\", "[ab]{c}\\", true),
            ("[ab]", "a", false),
            ("a**", "a", true),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(is_like(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_matched_too() {
        assert!(is_like(b"*\xff?", b"\x80\xff\xfe"));
        assert!(!is_like(b"?\xff", b"\xfe"));
    }
}
