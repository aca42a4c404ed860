//! Where a command ends, and what it says. It must not know what commands mean.

use super::{
    Malformed,
    number::{Line, Number},
};

/// Of a command as much is known, and held.
const KNOWN: usize = 64 << 10;
/// Arguments, at most, as with the server.
const ARGUMENTS: u64 = 1 << 20;
/// Bytes of an argument, at most. The server's own bound can be set, but not above this one.
const ARGUMENT: u64 = 4 << 30;

/// A command, in pieces as it comes.
#[derive(Default)]
pub(super) struct Request {
    step: Step,
    /// Those that are known, from the first on. The last may be in the making.
    arguments: Vec<Vec<u8>>,
    /// Bytes of the command so far.
    length: u64,
    known: usize,
    /// Whether something is not known.
    is_partial: bool,
}

/// Where in a command one is, and how many arguments follow.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Step {
    #[default]
    Start,
    /// In a command that is a line of words.
    Inline,
    /// In the number of arguments.
    Count(Number),
    /// Before the letter of a length.
    Letter(u64),
    Length(Number, u64),
    /// So many bytes are left of an argument.
    Data(u64, u64),
    /// Before the line break behind an argument.
    Return(u64),
    Feed(u64),
    Done,
}

impl Request {
    /// How many of `bytes` belong to the command.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<usize, Malformed> {
        let mut taken = 0;
        while taken < bytes.len() && self.step != Step::Done {
            taken += self.go_on(&bytes[taken..])?;
        }
        self.length += taken as u64;
        Ok(taken)
    }

    /// How many of `bytes` belong to the step. They are never all of nothing, but for the start of a line.
    fn go_on(&mut self, bytes: &[u8]) -> Result<usize, Malformed> {
        let first = bytes[0];
        self.step = match self.step {
            Step::Inline => return self.inline(bytes),
            Step::Data(left, behind) => return Ok(self.data(bytes, left, behind)),
            Step::Start if first == b'*' => Step::Count(Number::default()),
            Step::Start => {
                self.arguments.push(Vec::new());
                self.step = Step::Inline;
                return Ok(0);
            }
            Step::Count(mut number) => match number.step(first)? {
                Line::Open => Step::Count(number),
                Line::Number(count) if count > ARGUMENTS => return Err(Malformed),
                Line::Number(count) => expect(count),
                Line::Negative => Step::Done,
            },
            Step::Letter(behind) if first == b'$' => Step::Length(Number::default(), behind),
            Step::Length(mut number, behind) => match number.step(first)? {
                Line::Open => Step::Length(number, behind),
                Line::Number(length) if length <= ARGUMENT => self.begin_argument(length, behind),
                Line::Number(_) | Line::Negative => return Err(Malformed),
            },
            Step::Return(behind) if first == b'\r' => Step::Feed(behind),
            Step::Feed(behind) if first == b'\n' => expect(behind),
            Step::Letter(_) | Step::Return(_) | Step::Feed(_) | Step::Done => return Err(Malformed),
        };
        Ok(1)
    }

    fn begin_argument(&mut self, length: u64, behind: u64) -> Step {
        if !self.is_partial {
            self.arguments.push(Vec::new());
        }
        if length == 0 { Step::Return(behind) } else { Step::Data(length, behind) }
    }

    fn data(&mut self, bytes: &[u8], left: u64, behind: u64) -> usize {
        let taken = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        self.know(&bytes[..taken]);
        let left = left - taken as u64;
        self.step = if left == 0 { Step::Return(behind) } else { Step::Data(left, behind) };
        taken
    }

    /// More of the last argument, as long as there is room for it.
    fn know(&mut self, bytes: &[u8]) {
        if self.is_partial {
            return;
        }
        self.known += bytes.len();
        if self.known > KNOWN {
            self.is_partial = true;
            self.arguments.pop();
        } else if let Some(argument) = self.arguments.last_mut() {
            argument.extend_from_slice(bytes);
        }
    }

    fn inline(&mut self, bytes: &[u8]) -> Result<usize, Malformed> {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let taken = end.map_or(bytes.len(), |end| end + 1);
        self.know(&bytes[..taken]);
        if self.is_partial {
            return Err(Malformed);
        }
        if end.is_some() {
            let line = self.arguments.pop().unwrap_or_default();
            let words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).map(<[u8]>::to_vec);
            // What is quoted may have blanks in it: only the first word is known.
            self.is_partial = line.iter().any(|byte| matches!(byte, b'"' | b'\''));
            self.arguments = words.take(if self.is_partial { 1 } else { usize::MAX }).collect();
            self.step = Step::Done;
        }
        Ok(taken)
    }

    pub(super) fn is_done(&self) -> bool {
        self.step == Step::Done
    }

    /// Whether no more will be known of it.
    pub(super) fn is_known(&self) -> bool {
        self.is_done() || self.is_partial || self.length > KNOWN as u64
    }

    /// Those that are known.
    pub(super) fn arguments(&self) -> &[Vec<u8>] {
        let in_the_making = usize::from(matches!(self.step, Step::Data(..)) && !self.is_partial);
        &self.arguments[..self.arguments.len() - in_the_making]
    }

    /// Whether these are all.
    pub(super) fn is_whole(&self) -> bool {
        self.is_done() && !self.is_partial
    }
}

fn expect(arguments: u64) -> Step {
    arguments.checked_sub(1).map_or(Step::Done, Step::Letter)
}

/// A command of the link.
pub(super) fn command<'a>(arguments: impl ExactSizeIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", arguments.len()).into_bytes();
    for argument in arguments {
        bytes.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
        bytes.extend_from_slice(argument);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The arguments of the first command, whether these are all, and the bytes it has, where `at_once` bytes come at a time.
    fn read(bytes: &[u8], at_once: usize) -> Result<(Vec<String>, bool, usize), Malformed> {
        let (mut request, mut total) = (Request::default(), 0);
        for piece in bytes.chunks(at_once) {
            total += request.take(piece)?;
            if request.is_done() {
                break;
            }
        }
        let words = request.arguments().iter().map(|argument| String::from_utf8_lossy(argument).into_owned()).collect();
        Ok((words, request.is_whole(), total))
    }

    #[test]
    fn a_command_ends_where_it_ends_however_it_is_cut() {
        let resp = command([b"SET".as_slice(), b"a\r\nb", b""].into_iter());
        let cases: [(&[u8], &[&str]); 4] =
            [(&resp, &["SET", "a\r\nb", ""]), (b"get  a\r\n", &["get", "a"]), (b"\r\n", &[]), (b"*0\r\n", &[])];
        for (bytes, words) in cases {
            let with_more = [bytes, b"*1\r\n$4\r\nPING\r\n"].concat();
            for at_once in 1..=with_more.len() {
                let (read, is_whole, length) = read(&with_more, at_once).expect("it is well formed");
                assert_eq!(
                    (read.as_slice(), is_whole, length),
                    (words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>().as_slice(), true, bytes.len())
                );
            }
        }
    }

    #[test]
    fn of_a_large_command_the_beginning_is_known() {
        let mut request = Request::default();
        let bytes = command([b"SET".as_slice(), b"a", &vec![b'x'; 2 * KNOWN], b"EX", b"1"].into_iter());
        assert_eq!(request.take(&bytes[..100]), Ok(100));
        assert!(!request.is_known() && request.arguments().len() == 2);
        assert_eq!(request.take(&bytes[100..]), Ok(bytes.len() - 100));
        assert!(request.is_known() && request.is_done() && !request.is_whole());
        assert_eq!(request.arguments(), [b"SET".to_vec(), b"a".to_vec()]);
    }

    #[test]
    fn of_a_line_with_quotes_the_first_word_is_known() {
        assert_eq!(read(b"set \"a b\" c\r\n", 3), Ok((vec!["set".to_owned()], false, 13)));
    }

    #[test]
    fn what_is_no_command_is_malformed() {
        for bytes in [
            b"*1\r\n+4\r\n".as_slice(),
            b"*1\r\n$-1\r\n",
            b"*1\r\n$1\r\nabc",
            b"*9999999\r\n",
            b"*1\n",
            b"*1\r\n$99999999999\r\n",
            &vec![b'a'; 2 * KNOWN],
        ] {
            assert_eq!(read(bytes, 5).map(|_| ()), Err(Malformed));
        }
    }
}
