//! A log line cut into words, with everything that looks like a value hidden: the one set of masks.
//!
//! Written by hand and in one pass, because a regular expression for each mask costs ten times as much and lines come by the million. What is
//! hidden: whatever has a digit in it (numbers with their units, times, dates, addresses, ports, UUIDs, hashes, versions, names with a number),
//! paths and URLs, mail addresses, long hexadecimal words, quoted names, quoted texts with a value inside. A unit belongs to the number before it.
//! Neighbours that are hidden are one, so that a list is the same however long it is. Punctuation between words is not looked at.

/// What is at the place of a hidden word.
pub(super) const HIDDEN: u64 = 0;

/// Words beyond these are not read: a line is bounded.
pub(super) const WORDS_MAX: usize = 64;
/// Nor are bytes.
pub(super) const BYTES_MAX: usize = 4096;

/// Letters that are hexadecimal digits are a hexadecimal number from here on.
const HEX_MIN: usize = 8;

/// A word of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Word {
    /// Its hash, or [`HIDDEN`].
    pub(super) symbol: u64,
    /// Where it is, in bytes.
    pub(super) start: u32,
    pub(super) end: u32,
}

/// Fills `words`; whether all of the line was read.
pub(super) fn cut(line: &str, words: &mut Vec<Word>) -> bool {
    words.clear();
    let bytes = &line.as_bytes()[..line.floor_char_boundary(BYTES_MAX)];
    let mut reader = Reader { bytes, at: 0, quotable: true };
    while let Some(word) = reader.next() {
        if let Some(last) = words.last_mut()
            && last.symbol == HIDDEN
            && (word.symbol == HIDDEN || is_unit(bytes, last.end, word))
        {
            last.end = word.end;
        } else if words.len() == WORDS_MAX {
            return false;
        } else {
            words.push(word);
        }
    }
    bytes.len() == line.len()
}

/// Whether a word is the unit of the number that ends before it.
fn is_unit(bytes: &[u8], number_end: u32, word: Word) -> bool {
    const UNITS: [&[u8]; 18] = [
        b"B", b"KB", b"MB", b"GB", b"TB", b"KiB", b"MiB", b"GiB", b"kB", b"bytes", b"ns", b"us", b"ms", b"s", b"sec", b"secs", b"seconds",
        b"min",
    ];
    let (start, end) = (word.start as usize, word.end as usize);
    word.start == number_end + 1 && bytes[start - 1] == b' ' && bytes[start - 2].is_ascii_digit() && UNITS.contains(&&bytes[start..end])
}

/// What a byte can be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Between words, whatever is beside it.
    Gap,
    Letter,
    /// A letter that is a hexadecimal digit, too.
    Hex,
    Digit,
    /// In a word if it is inside one.
    Joint,
    Quote,
}

const CLASSES: [Class; 256] = classes();

const fn classes() -> [Class; 256] {
    let mut classes = [Class::Gap; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = match byte as u8 {
            b'0'..=b'9' => Class::Digit,
            b'a'..=b'f' | b'A'..=b'F' => Class::Hex,
            b'g'..=b'z' | b'G'..=b'Z' | b'_' | 0x80.. => Class::Letter,
            b'.' | b'-' | b'+' | b'$' | b'@' | b':' | b'/' | b'\\' | b'%' | b'~' => Class::Joint,
            b'"' | b'\'' => Class::Quote,
            _ => Class::Gap,
        };
        byte += 1;
    }
    classes
}

fn class(byte: u8) -> Class {
    CLASSES[usize::from(byte)]
}

fn is_alphanumeric(byte: u8) -> bool {
    matches!(class(byte), Class::Letter | Class::Hex | Class::Digit)
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Whether a quote here would begin a name or a text, and not the key or the value of a record.
    quotable: bool,
}

impl Reader<'_> {
    fn peek(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(b' ')
    }

    fn next(&mut self) -> Option<Word> {
        while let Some(&byte) = self.bytes.get(self.at) {
            let start = self.at;
            match class(byte) {
                Class::Letter | Class::Hex | Class::Digit => return Some(self.word(start)),
                Class::Quote if self.quotable && self.is_apart() => {
                    if let Some(end) = self.quoted(byte) {
                        self.at = end + 1;
                        return Some(hidden(start + 1, end));
                    }
                }
                Class::Joint if self.begins_path() => return Some(self.path(start)),
                Class::Joint if matches!(byte, b'-' | b'+' | b'.') && self.peek(1).is_ascii_digit() => {
                    self.at += 1;
                    return Some(self.word(start));
                }
                _ => {}
            }
            self.quotable = match byte {
                b':' | b',' | b'{' | b'[' | b'=' => false,
                b' ' | b'\t' => self.quotable,
                _ => true,
            };
            self.at += 1;
        }
        None
    }

    /// Whether there is room before: a quote behind a letter is an apostrophe or an end.
    fn is_apart(&self) -> bool {
        self.at == 0 || matches!(self.bytes[self.at - 1], b' ' | b'\t' | b'(')
    }

    /// Where the quoted text ends that begins here, if it is a value: a single word, or a text with a value in it that is no request.
    fn quoted(&self, quote: u8) -> Option<usize> {
        let rest = &self.bytes[self.at + 1..];
        let length = rest.iter().position(|byte| *byte == quote).filter(|length| *length > 0)?;
        let text = &rest[..length];
        let is_name = !text.contains(&b' ');
        let has_value = || text.iter().any(|byte| *byte == b'/' || byte.is_ascii_digit());
        let method = text.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
        let is_request = (3..=7).contains(&method) && text.get(method) == Some(&b' ');
        (is_name || has_value() && !is_request).then_some(self.at + 1 + length)
    }

    fn begins_path(&self) -> bool {
        let inside = |byte: u8| is_alphanumeric(byte) || matches!(byte, b'.' | b'-' | b'/' | b'$' | b'~');
        match self.peek(0) {
            b'/' => inside(self.peek(1)),
            b'~' | b'.' => self.peek(1) == b'/' || self.peek(1) == b'.' && self.peek(2) == b'/',
            b'\\' => self.peek(1) == b'\\' && is_alphanumeric(self.peek(2)),
            _ => false,
        }
    }

    /// A path or the rest of a URL, up to what can be in none.
    fn path(&mut self, start: usize) -> Word {
        let ends = |byte: &u8| {
            matches!(byte, b' ' | b'\t' | b'"' | b'\'' | b'<' | b'>' | b'(' | b')' | b'[' | b']' | b'{' | b'}' | b',' | b';' | b'|')
        };
        let rest = &self.bytes[self.at..];
        self.at += rest.iter().position(ends).unwrap_or(rest.len());
        while self.at > start + 1 && matches!(self.bytes[self.at - 1], b'.' | b':') {
            self.at -= 1;
        }
        self.quotable = true;
        hidden(start, self.at)
    }

    fn word(&mut self, start: usize) -> Word {
        let (mut is_value, mut is_hex, mut has_digit, mut parts) = (false, true, false, 0);
        while let Some(&byte) = self.bytes.get(self.at) {
            match class(byte) {
                Class::Letter => is_hex = false,
                Class::Hex => {}
                Class::Digit => has_digit = true,
                Class::Joint => match self.joint(byte, has_digit, is_hex, parts > 0) {
                    Joint::Gap => break,
                    Joint::Path => return self.path(start),
                    Joint::Last => {
                        self.at += 1;
                        break;
                    }
                    Joint::Part => {
                        is_value |= byte == b'@' || byte == b'/' && parts > 0 && self.bytes[start..self.at].contains(&b'/');
                        parts += 1;
                    }
                },
                Class::Quote | Class::Gap => break,
            }
            self.at += 1;
        }
        self.quotable = true;
        let end = self.at;
        let is_hash = is_hex && parts == 0 && end - start >= HEX_MIN;
        if is_value || has_digit || is_hash || self.is_date(start) || parts > 0 && is_host(&self.bytes[start..end]) {
            return hidden(start, end);
        }
        Word { symbol: symbol(&self.bytes[start..end]), start: start as u32, end: end as u32 }
    }

    /// What a byte is to the word before it.
    fn joint(&self, byte: u8, has_digit: bool, is_hex: bool, has_parts: bool) -> Joint {
        let next = self.peek(1);
        match byte {
            b'%' if has_digit => Joint::Last,
            b':' if next == b'/' && self.peek(2) == b'/' => Joint::Path,
            b':' if next == b'\\' => Joint::Path,
            b':' if next.is_ascii_digit() && (has_digit || has_parts) => Joint::Part,
            // Of an IPv6 or a hardware address.
            b':' if has_digit && is_hex && (next == b':' || class(next) == Class::Hex) => Joint::Part,
            b'\\' if is_alphanumeric(next) => Joint::Path,
            b'.' | b'-' | b'$' | b'@' | b'/' if is_alphanumeric(next) => Joint::Part,
            _ => Joint::Gap,
        }
    }

    /// Whether the word from `start` to here is the name of a month or a day in a date.
    fn is_date(&self, start: usize) -> bool {
        const NAMES: [&[u8; 3]; 19] = [
            b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec", b"Mon", b"Tue", b"Wed", b"Thu",
            b"Fri", b"Sat", b"Sun",
        ];
        let is_name = |name: &[u8]| NAMES.iter().any(|known| *known == name);
        if self.at - start != 3 || !self.bytes[start].is_ascii_uppercase() || !is_name(&self.bytes[start..self.at]) {
            return false;
        }
        let rest = &self.bytes[self.at..];
        let rest = &rest[rest.iter().take_while(|byte| matches!(byte, b' ' | b',')).count()..];
        rest.first().is_some_and(u8::is_ascii_digit) || rest.get(..3).is_some_and(is_name)
    }
}

/// What a byte inside a word does.
enum Joint {
    /// It ends it.
    Gap,
    /// It is inside.
    Part,
    /// It belongs to it and ends it.
    Last,
    /// The word is the beginning of a path.
    Path,
}

/// Whether a dotted name ends as names of hosts do and names of classes and files do not.
fn is_host(name: &[u8]) -> bool {
    const ENDS: [&[u8]; 14] = [
        b"com",
        b"net",
        b"org",
        b"edu",
        b"gov",
        b"info",
        b"io",
        b"dev",
        b"local",
        b"internal",
        b"localdomain",
        b"lan",
        b"corp",
        b"example",
    ];
    let mut labels = name.rsplit(|byte| *byte == b'.');
    let last = labels.next().unwrap_or_default();
    let others = labels.count();
    others > 0 && (ENDS.contains(&last) || others > 1 && last.len() == 2 && last.iter().all(u8::is_ascii_lowercase))
}

fn hidden(start: usize, end: usize) -> Word {
    Word { symbol: HIDDEN, start: start as u32, end: end as u32 }
}

/// A hash of a word that is the same everywhere. Never [`HIDDEN`].
pub(super) fn symbol(word: &[u8]) -> u64 {
    let mut hash = word.len() as u64;
    let mut chunks = word.chunks_exact(8);
    for chunk in &mut chunks {
        hash = mix(hash, u64::from_le_bytes(chunk.try_into().unwrap_or_default()));
    }
    let mut last = [0; 8];
    last[..chunks.remainder().len()].copy_from_slice(chunks.remainder());
    mix(hash, u64::from_le_bytes(last)) | 1
}

/// Folds a number into a hash: a multiplication to 128 bits whose halves are put together, as in wyhash.
pub(super) fn mix(hash: u64, number: u64) -> u64 {
    let product = u128::from(hash ^ 0x9e37_79b9_7f4a_7c15) * u128::from(number ^ 0xd1b5_4a32_d192_ed03);
    (product >> 64) as u64 ^ product as u64
}
