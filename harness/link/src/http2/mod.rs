//! Faults on the streams of an HTTP/2 connection (RFC 9113) whose caller knows that the callee speaks it, and so on gRPC. Frames are followed from the
//! first byte on: header blocks of either direction can be read only by who has read all before them.

mod answer;
mod block;
mod callee;
mod caller;
mod fields;
mod frame;
mod framing;
mod hpack;
mod huffman;
mod lane;
mod patching;
mod request;
mod state;
mod streams;
#[cfg(test)]
mod tests;
mod window;

use crate::talk::{Begins, Protocol};

/// What a caller begins with.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(crate) const PROTOCOL: Protocol =
    Protocol { caller: begins, callee: |first| frame::begins(first), converse: || Box::new(state::State::new()) };

fn begins(first: &[u8]) -> Begins {
    if first.starts_with(PREFACE) {
        Begins::Yes
    } else if PREFACE.starts_with(first) {
        Begins::Perhaps
    } else {
        Begins::No
    }
}
