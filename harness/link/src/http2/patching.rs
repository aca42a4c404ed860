//! A stream whose answer is changed, and what takes the place of its body. It must not know the other streams.

use super::{
    block::Envelope,
    frame::{DATA, END_STREAM, PAYLOAD, written},
    window::signed,
};
use crate::http::HttpRule;
use bytes::Bytes;
use std::sync::Arc;

pub(super) struct Patching {
    rule: Arc<HttpRule>,
    /// The setting that changes it.
    pub(super) epoch: u64,
    /// An answer to `HEAD` has no body, whatever it says.
    pub(super) is_head: bool,
    pub(super) stage: Stage,
    /// What the caller takes on this stream.
    pub(super) window: i64,
    /// What still takes the place of the body.
    pub(super) body: Bytes,
    end: Option<End>,
}

/// What comes next of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Head,
    /// The body passes, and the trailers are to be changed.
    Trailers,
    /// The body is thrown away.
    Body,
    /// Nothing: all of it went.
    Done,
}

/// How the callee ended the stream whose body is replaced. The caller hears of it behind the new body, so that both agree on which streams are open.
enum End {
    Data,
    Trailers(Vec<u8>),
}

/// Something of a new body.
pub(super) enum Piece {
    /// So many bytes of DATA in a frame.
    Data(Bytes, usize),
    Trailers(Envelope, Vec<u8>),
}

impl Patching {
    pub(super) fn new(rule: &Arc<HttpRule>, epoch: u64, is_head: bool, window: i64) -> Patching {
        Patching { rule: Arc::clone(rule), epoch, is_head, stage: Stage::Head, window, body: Bytes::new(), end: None }
    }

    pub(super) fn rule(&self) -> Arc<HttpRule> {
        Arc::clone(&self.rule)
    }

    /// The callee's DATA ends the stream.
    pub(super) fn end(&mut self) {
        self.end = Some(End::Data);
    }

    pub(super) fn end_with(&mut self, trailers: Vec<u8>) {
        self.end = Some(End::Trailers(trailers));
    }

    /// The next piece that may go where the connection's window is so open.
    pub(super) fn next(&mut self, stream: u32, open: i64) -> Option<Piece> {
        if self.body.is_empty() {
            let end = self.end.take()?;
            self.stage = Stage::Done;
            return Some(match end {
                End::Data => Piece::Data(written(DATA, END_STREAM, stream, &[]), 0),
                End::Trailers(block) => Piece::Trailers(Envelope::headers(stream, true), block),
            });
        }
        let length = usize::try_from(open.min(self.window)).unwrap_or_default().min(PAYLOAD).min(self.body.len());
        if length == 0 {
            return None;
        }
        let part = self.body.split_to(length);
        self.window -= signed(length);
        let ends = self.body.is_empty() && matches!(self.end, Some(End::Data));
        if ends {
            self.end = None;
            self.stage = Stage::Done;
        }
        Some(Piece::Data(written(DATA, if ends { END_STREAM } else { 0 }, stream, &part), length))
    }
}
