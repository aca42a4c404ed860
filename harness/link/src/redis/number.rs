//! A number that ends a line, in pieces as it comes. It must not know what it counts.

use super::Malformed;

/// Letters of a number and its line break, at most.
const LONGEST: usize = 24;

/// A number in the making.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Number {
    length: usize,
    is_negative: bool,
    value: u64,
    has_returned: bool,
}

/// What a line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line {
    /// It goes on.
    Open,
    Number(u64),
    /// Below zero: there is none of what it counts.
    Negative,
}

impl Number {
    /// One byte more of its line.
    pub(super) fn step(&mut self, byte: u8) -> Result<Line, Malformed> {
        self.length += 1;
        let digits = self.length - 1 - usize::from(self.is_negative);
        match byte {
            b'\n' if self.has_returned && self.is_negative => return Ok(Line::Negative),
            b'\n' if self.has_returned => return Ok(Line::Number(self.value)),
            _ if self.has_returned || self.length > LONGEST => return Err(Malformed),
            b'\r' if digits > 0 => self.has_returned = true,
            b'-' if self.length == 1 => self.is_negative = true,
            b'0'..=b'9' => {
                let value = self.value.checked_mul(10).and_then(|value| value.checked_add(u64::from(byte - b'0')));
                self.value = value.ok_or(Malformed)?;
            }
            _ => return Err(Malformed),
        }
        Ok(Line::Open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Line, Malformed> {
        let mut number = Number::default();
        text.bytes().try_fold(Line::Open, |_, byte| number.step(byte))
    }

    #[test]
    fn a_number_is_digits_and_a_line_break_and_nothing_else() {
        assert_eq!(read("0\r\n"), Ok(Line::Number(0)));
        assert_eq!(read("4294967296\r\n"), Ok(Line::Number(1 << 32)));
        assert_eq!(read("-1\r\n"), Ok(Line::Negative));
        assert_eq!(read("12"), Ok(Line::Open));
        for text in ["\r\n", "-\r\n", "1\n", "1\r\r", "+1\r\n", "1-\r\n", "?\r\n", "99999999999999999999\r\n", &"0".repeat(30)] {
            assert_eq!(read(text), Err(Malformed), "{text}");
        }
    }
}
