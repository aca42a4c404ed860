//! Where a reply ends, in RESP2 and RESP3. It must not know what it says.

use super::{
    Malformed,
    number::{Line, Number},
};

/// Values within values, at most.
const DEEPEST: usize = 64;

/// A reply, in pieces as it comes.
pub(super) struct Reply {
    step: Step,
    /// How many values are to come, at each depth.
    left: Vec<u64>,
    is_push: bool,
}

/// Where in a value one is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Letter,
    /// To the end of a line.
    Line,
    /// In a number of bytes.
    Length(Number),
    /// In a number of values, each counted so often, of this kind.
    Count(Number, Kind),
    /// So many bytes are left, with their line break.
    Data(u64),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Values,
    Pairs,
    /// Pairs that say something about the value behind them, and are none themselves.
    About,
}

impl Default for Reply {
    fn default() -> Reply {
        Reply { step: Step::Letter, left: vec![1], is_push: false }
    }
}

impl Reply {
    /// How many of `bytes` belong to the reply.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<usize, Malformed> {
        let mut taken = 0;
        while taken < bytes.len() && !self.is_done() {
            taken += self.go_on(&bytes[taken..])?;
        }
        Ok(taken)
    }

    fn go_on(&mut self, bytes: &[u8]) -> Result<usize, Malformed> {
        let first = bytes[0];
        match self.step {
            Step::Letter => self.letter(first)?,
            Step::Line => {
                let end = bytes.iter().position(|byte| *byte == b'\n');
                if end.is_some() {
                    self.end_value();
                }
                return Ok(end.map_or(bytes.len(), |end| end + 1));
            }
            Step::Length(mut number) => match number.step(first)? {
                Line::Open => self.step = Step::Length(number),
                Line::Number(length) => self.step = Step::Data(length.checked_add(2).ok_or(Malformed)?),
                Line::Negative => self.end_value(),
            },
            Step::Count(mut number, kind) => match number.step(first)? {
                Line::Open => self.step = Step::Count(number, kind),
                Line::Number(count) => self.begin_values(count, kind)?,
                Line::Negative => self.end_value(),
            },
            Step::Data(left) => {
                let taken = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                self.step = Step::Data(left - taken as u64);
                if left == taken as u64 {
                    self.end_value();
                }
                return Ok(taken);
            }
        }
        Ok(1)
    }

    fn letter(&mut self, letter: u8) -> Result<(), Malformed> {
        let number = Number::default();
        self.step = match letter {
            b'+' | b'-' | b':' | b'_' | b',' | b'#' | b'(' => Step::Line,
            b'$' | b'!' | b'=' => Step::Length(number),
            b'*' | b'~' => Step::Count(number, Kind::Values),
            b'>' if self.left == [1] => {
                self.is_push = true;
                Step::Count(number, Kind::Values)
            }
            b'%' => Step::Count(number, Kind::Pairs),
            b'|' => Step::Count(number, Kind::About),
            _ => return Err(Malformed),
        };
        if letter != b'|'
            && let Some(left) = self.left.last_mut()
        {
            *left -= 1;
        }
        Ok(())
    }

    fn begin_values(&mut self, count: u64, kind: Kind) -> Result<(), Malformed> {
        let values = if kind == Kind::Values { Some(count) } else { count.checked_mul(2) };
        if self.left.len() >= DEEPEST {
            return Err(Malformed);
        }
        self.left.push(values.ok_or(Malformed)?);
        self.end_value();
        Ok(())
    }

    fn end_value(&mut self) {
        self.step = Step::Letter;
        while self.left.last() == Some(&0) {
            self.left.pop();
        }
    }

    pub(super) fn is_at_start(&self) -> bool {
        self.step == Step::Letter && self.left == [1] && !self.is_push
    }

    pub(super) fn is_done(&self) -> bool {
        self.left.is_empty()
    }

    /// Whether it comes of itself and answers no command.
    pub(super) fn is_push(&self) -> bool {
        self.is_push
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes of the first reply, and whether it is a push, where `at_once` bytes come at a time.
    fn read(bytes: &[u8], at_once: usize) -> Result<(usize, bool), Malformed> {
        let (mut reply, mut total) = (Reply::default(), 0);
        for piece in bytes.chunks(at_once) {
            total += reply.take(piece)?;
            if reply.is_done() {
                return Ok((total, reply.is_push()));
            }
        }
        Err(Malformed)
    }

    #[test]
    fn a_reply_ends_where_it_ends_however_it_is_cut() {
        for text in [
            "+OK\r\n",
            "-ERR no\r\n",
            ":-1\r\n",
            "$-1\r\n",
            "*-1\r\n",
            "_\r\n",
            "#t\r\n",
            ",1.5\r\n",
            "(123456789012345678901234567890\r\n",
            "$0\r\n\r\n",
            "$4\r\na\r\nb\r\n",
            "*0\r\n",
            "%0\r\n",
            "*2\r\n*2\r\n:1\r\n*0\r\n$1\r\nx\r\n",
            "%2\r\n+a\r\n*1\r\n:1\r\n+b\r\n~1\r\n_\r\n",
            "|1\r\n+ttl\r\n:9\r\n*2\r\n|0\r\n:1\r\n:2\r\n",
            "=7\r\ntxt:abc\r\n",
            "!5\r\nERR x\r\n",
        ] {
            let with_more = format!("{text}:7\r\n");
            for at_once in 1..=with_more.len() {
                assert_eq!(read(with_more.as_bytes(), at_once), Ok((text.len(), false)), "{text:?} {at_once}");
            }
        }
        assert_eq!(read(b">2\r\n+invalidate\r\n*1\r\n$1\r\na\r\n+OK\r\n", 3), Ok((28, true)));
    }

    #[test]
    fn what_is_no_reply_is_malformed() {
        let deep = "*1\r\n".repeat(DEEPEST);
        for text in [
            "HTTP/1.1 200\r\n",
            "\r\n",
            "$?\r\n",
            "*?\r\n",
            "*1\r\n>0\r\n",
            "$18446744073709551615\r\n",
            "%18446744073709551615\r\n",
            &deep,
        ] {
            assert_eq!(read(text.as_bytes(), 4), Err(Malformed), "{text}");
        }
    }
}
