//! What goes on of the bytes that were read. It must not know why.

use bytes::Bytes;
use std::time::Duration;

/// Bytes that go on together.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Parcel {
    pub(crate) bytes: Bytes,
    /// How much later, if a rule says so. [`Duration::MAX`] is until the setting ends; a side that ends before takes them along.
    pub(crate) delay: Option<Duration>,
}

impl Parcel {
    /// Bytes that are not late.
    pub(crate) fn now(bytes: Bytes) -> Parcel {
        Parcel { bytes, delay: None }
    }
}

/// The parcels of one read. What passes as it came is not copied and stays in one.
pub(crate) struct Parcels {
    input: Bytes,
    /// Before it all is decided.
    at: usize,
    /// From here to `at` bytes pass that are not in a parcel yet.
    from: usize,
    done: Vec<Parcel>,
}

impl Parcels {
    pub(crate) fn new(input: Bytes) -> Parcels {
        Parcels { input, at: 0, from: 0, done: Vec::new() }
    }

    /// What nothing was decided about.
    pub(crate) fn rest(&self) -> &[u8] {
        &self.input[self.at..]
    }

    /// The next `bytes` of that, of which there must be as many.
    pub(crate) fn ahead(&self, bytes: usize) -> Bytes {
        self.input.slice(self.at..self.at + bytes)
    }

    pub(crate) fn pass(&mut self, bytes: usize) {
        self.at += bytes;
    }

    pub(crate) fn pass_rest(&mut self) {
        self.at = self.input.len();
    }

    pub(crate) fn skip(&mut self, bytes: usize) {
        self.flush();
        self.at += bytes;
        self.from = self.at;
    }

    pub(crate) fn skip_rest(&mut self) {
        self.skip(self.rest().len());
    }

    pub(crate) fn insert(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.flush();
            self.done.push(Parcel::now(bytes));
        }
    }

    /// `earlier` and the next `bytes` go on later.
    pub(crate) fn delay(&mut self, earlier: &[u8], bytes: usize, delay: Duration) {
        let next = self.input.slice(self.at..self.at + bytes);
        self.skip(bytes);
        let bytes = if earlier.is_empty() { next } else { [earlier, &next].concat().into() };
        self.done.push(Parcel { bytes, delay: Some(delay) });
    }

    fn flush(&mut self) {
        if self.from < self.at {
            self.done.push(Parcel::now(self.input.slice(self.from..self.at)));
            self.from = self.at;
        }
    }

    pub(crate) fn finish(mut self) -> Vec<Parcel> {
        self.flush();
        self.done
    }
}
