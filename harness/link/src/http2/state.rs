//! Both directions of a connection, and what the link itself has to say on it. It must not know sockets.

use super::{
    block::Envelope,
    fields::Field,
    frame::{
        CONTINUATION, DATA, END_STREAM, HEADERS, Header, Malformed, PAYLOAD, PRIORITY, PUSH_PROMISE, RST_STREAM, SETTINGS, WINDOW_UPDATE,
        window_update, written,
    },
    hpack::encoded,
    lane::Lane,
    patching::{Piece, Stage},
    streams::{Delay, Held, Streams},
    window::Window,
};
use crate::{
    http::Draws,
    pipe::Direction,
    talk::{Context, Conversation, Parcels},
};
use bytes::Bytes;
use std::{collections::VecDeque, io};
use tokio::time::Instant;

/// Payload of a frame that is waited for, at most. A header block has less.
const WHOLE: usize = 128 << 10;
/// What is held back of answers before no more is read.
const HELD: usize = 2 << 20;
/// Frames of the link that wait before no more requests are read.
const WAITING: usize = 4 << 10;

/// The state of a conversation.
pub(super) struct State {
    pub(super) lanes: [Lane; 2],
    pub(super) streams: Streams,
    pub(super) window: Window,
    pub(super) draws: Draws,
    own: [VecDeque<Own>; 2],
    /// Answers that are held back, in the order of their times.
    waiting: VecDeque<(Instant, u32)>,
    /// Streams whose held frames may have to go.
    draining: VecDeque<u32>,
    /// Streams whose new bodies, or their ends, may have to go.
    pub(super) sending: VecDeque<u32>,
    /// Bytes of answers that are held back.
    pub(super) held: usize,
    is_opaque: bool,
    /// The other direction may do what it could not.
    pub(super) stirred: bool,
}

/// Something that the link has to say.
pub(super) enum Own {
    Frame(Bytes),
    /// The answer to a request that was taken away.
    Answer {
        stream: u32,
        fields: Vec<Field>,
    },
}

impl State {
    pub(super) fn new() -> State {
        State {
            lanes: [Direction::Out, Direction::Home].map(Lane::new),
            streams: Streams::new(),
            window: Window::new(),
            draws: Draws::default(),
            own: [VecDeque::new(), VecDeque::new()],
            waiting: VecDeque::new(),
            draining: VecDeque::new(),
            sending: VecDeque::new(),
            held: 0,
            is_opaque: false,
            stirred: false,
        }
    }

    pub(super) fn lane(&mut self, direction: Direction) -> &mut Lane {
        &mut self.lanes[direction as usize]
    }

    fn is_open(&self, direction: Direction) -> bool {
        self.lanes[direction as usize].is_open()
    }

    /// Something of the link is to go in this direction, which somebody still listens to.
    pub(super) fn say(&mut self, direction: Direction, own: Own) {
        if !self.lane(direction).is_over {
            self.own[direction as usize].push_back(own);
            self.stirred = true;
        }
    }

    /// Gives back, to whoever sends in the other direction, what DATA that went no further took of the connection's window.
    pub(super) fn give_back(&mut self, direction: Direction, bytes: u32) {
        if bytes > 0 {
            self.say(direction, Own::Frame(window_update(0, bytes)));
        }
    }

    /// As [`State::give_back`], and of the stream's window too where more follows on it.
    pub(super) fn give_back_all(&mut self, direction: Direction, header: Header, bytes: u32) {
        self.give_back(direction, bytes);
        if header.length > 0 && !header.ends_stream() {
            self.say(direction, Own::Frame(window_update(header.stream, header.length as u32)));
        }
    }

    /// The answer on a stream is held back.
    pub(super) fn wait(&mut self, stream: u32, until: Instant) {
        self.waiting.push_back((until, stream));
    }

    fn hear_frame(&mut self, direction: Direction, parcels: &mut Parcels, context: Context<'_>) -> Result<(), Malformed> {
        // What comes before the caller said what it speaks is only told.
        let is_told = self.lane(Direction::Out).is_in_preface();
        let (streams, lane) = (&self.streams, &mut self.lanes[direction as usize]);
        if lane.goes_on(parcels)? {
            return Ok(());
        }
        let window = &self.window;
        let waits = |header: &Header| streams.held.contains_key(&header.stream) || window.is_exceeded_by(header.length);
        let is_whole = |header: &Header| is_whole(header, direction == Direction::Home && waits(header));
        let Some(frame) = lane.framing.next(parcels, is_whole)? else {
            if is_told {
                lane.framing.has_gone();
            }
            return Ok(());
        };
        let heard = lane.check(&frame).and_then(|()| match direction {
            Direction::Out => self.hear_caller(&frame, context),
            Direction::Home => self.hear_callee(&frame, context),
        });
        let lane = self.lane(direction);
        if heard.is_err() {
            lane.framing.restore(&frame);
        }
        lane.obey(heard?, frame, parcels);
        Ok(())
    }

    /// From here on bytes are only passed on. Where the link wrote header blocks, the receiver could not read those of the sender, and what is held
    /// back has lost its place.
    fn give_up(&mut self) -> io::Result<()> {
        if self.held > 0 || self.lanes.iter().any(Lane::is_rewritten) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "not HTTP/2 any more, and messages were changed"));
        }
        self.is_opaque = true;
        self.streams = Streams::new();
        (self.waiting, self.draining, self.sending) = Default::default();
        self.stirred = true;
        Ok(())
    }

    /// Answers whose time has come, or whose setting is over, only wait for room from here on.
    fn release(&mut self, context: Context<'_>) {
        while let Some((until, stream)) = self.waiting.front().copied() {
            let delay = self.streams.held.get_mut(&stream).map(|queue| &mut queue.delay);
            let lapsed = delay.as_ref().and_then(|delay| delay.as_ref()).is_none_or(|delay| delay.epoch != context.epoch);
            if !lapsed && until > Instant::now() {
                return;
            }
            self.waiting.pop_front();
            let Some(Delay { epoch, since, .. }) = delay.and_then(Option::take) else { continue };
            if let Some(since) = since.filter(|_| !lapsed) {
                context.counter.delayed(epoch, since.elapsed());
                context.counter.delayed_request(epoch);
            }
            self.draining.push_back(stream);
        }
    }

    /// What waits on this stream goes as soon as there is room.
    pub(super) fn drain(&mut self, stream: u32) {
        self.draining.push_back(stream);
    }

    /// What the caller still takes on the connection. Where it says no more it will not say so.
    fn room(&self) -> i64 {
        if self.lanes[Direction::Out as usize].is_over { i64::MAX } else { self.window.open() }
    }

    pub(super) fn waits_for_room(&self) -> bool {
        !(self.draining.is_empty() && self.sending.is_empty())
    }

    /// The next frames that were held back and need no longer be.
    fn next_held(&mut self) -> Option<Bytes> {
        for _ in 0..self.draining.len() {
            let stream = self.draining.pop_front()?;
            let Some(queue) = self.streams.held.get_mut(&stream) else { continue };
            let Some(held) = queue.frames.pop_front() else {
                self.streams.held.remove(&stream);
                continue;
            };
            self.draining.push_back(stream);
            self.held -= held.len();
            let bytes = match held {
                Held::Frame(frame) => Some(frame),
                Held::Block(envelope, block) => Some(self.lane(Direction::Home).write(&envelope, &block)),
                Held::Data { payload, ends_stream } => self.next_data(stream, payload, ends_stream),
            };
            if bytes.is_some() {
                self.stirred = true;
                return bytes;
            }
        }
        None
    }

    /// As much of DATA as there is room for. The rest waits on.
    fn next_data(&mut self, stream: u32, mut payload: Bytes, ends_stream: bool) -> Option<Bytes> {
        let length = usize::try_from(self.room()).unwrap_or_default().min(PAYLOAD).min(payload.len());
        let part = payload.split_to(length);
        let is_last = payload.is_empty();
        if !is_last && let Some(queue) = self.streams.held.get_mut(&stream) {
            self.held += payload.len();
            queue.frames.push_front(Held::Data { payload, ends_stream });
        }
        if part.is_empty() && !is_last {
            return None;
        }
        self.window.borrow(length);
        Some(written(DATA, if is_last && ends_stream { END_STREAM } else { 0 }, stream, &part))
    }

    /// The next piece of a body that takes the place of another, as far as the caller has room for it.
    fn next_piece(&mut self) -> Option<Bytes> {
        for _ in 0..self.sending.len() {
            let (stream, room) = (self.sending.pop_front()?, self.room());
            let Some(patching) = self.streams.patched.get_mut(&stream) else { continue };
            let piece = patching.next(stream, room);
            if patching.stage == Stage::Done {
                self.streams.patched.remove(&stream);
            } else if piece.is_some() || !patching.body.is_empty() {
                self.sending.push_back(stream);
            }
            match piece {
                Some(Piece::Data(frame, bytes)) => {
                    self.window.borrow(bytes);
                    return Some(frame);
                }
                Some(Piece::Trailers(envelope, block)) => return Some(self.lane(Direction::Home).write(&envelope, &block)),
                None => {}
            }
        }
        None
    }
}

/// Whether all of a frame is waited for.
fn is_whole(header: &Header, is_held: bool) -> Result<bool, Malformed> {
    match header.kind {
        DATA => Ok(is_held),
        HEADERS | PRIORITY | RST_STREAM | SETTINGS | PUSH_PROMISE | WINDOW_UPDATE | CONTINUATION if header.length > WHOLE => Err(Malformed),
        HEADERS | PRIORITY | RST_STREAM | SETTINGS | PUSH_PROMISE | WINDOW_UPDATE | CONTINUATION => Ok(true),
        _ => Ok(false),
    }
}

impl Conversation for State {
    fn hear(&mut self, direction: Direction, parcels: &mut Parcels, context: Context<'_>) -> io::Result<()> {
        if self.is_opaque {
            parcels.insert(self.lane(direction).release());
            parcels.pass_rest();
            return Ok(());
        }
        if self.hear_frame(direction, parcels, context).is_err() {
            self.give_up()?;
            parcels.insert(self.lane(direction).release());
        }
        // One read may bring many frames, and its end may be in the middle of one.
        while let Some(own) = self.own(direction, context) {
            parcels.insert(own);
        }
        Ok(())
    }

    fn let_go(&mut self, direction: Direction, _context: Context<'_>) -> Bytes {
        if self.is_opaque { self.lane(direction).release() } else { Bytes::new() }
    }

    /// What is not between two frames then never will be.
    fn end(&mut self, direction: Direction) -> Bytes {
        if !self.lane(direction).is_between() {
            self.own[direction as usize].clear();
            if direction == Direction::Home {
                (self.waiting, self.draining, self.sending) = Default::default();
            }
        }
        self.stirred = true;
        let lane = self.lane(direction);
        lane.is_over = true;
        lane.release()
    }

    fn own(&mut self, direction: Direction, context: Context<'_>) -> Option<Bytes> {
        if !self.is_open(direction) {
            return None;
        }
        // Whoever sends the other way may have stopped because of those that wait.
        self.stirred |= self.own[direction as usize].len() > WAITING;
        match self.own[direction as usize].pop_front() {
            Some(Own::Frame(frame)) => Some(frame),
            Some(Own::Answer { stream, fields }) => {
                let envelope = Envelope::headers(stream, true);
                Some(self.lane(direction).write(&envelope, &encoded(&fields)))
            }
            None if direction == Direction::Out => None,
            None => {
                self.release(context);
                self.next_held().or_else(|| self.next_piece())
            }
        }
    }

    fn owes(&self, direction: Direction) -> bool {
        let is_mine = !self.own[direction as usize].is_empty();
        is_mine || (direction == Direction::Home && (!self.waiting.is_empty() || self.waits_for_room()))
    }

    fn due(&self, direction: Direction) -> Option<Instant> {
        let until = self.waiting.front().map(|(until, _)| *until);
        until.filter(|_| direction == Direction::Home && self.is_open(direction))
    }

    fn is_full(&self, direction: Direction, _context: Context<'_>) -> bool {
        let waits = match direction {
            Direction::Out => self.own[Direction::Home as usize].len() > WAITING,
            Direction::Home => self.held > HELD || self.own[Direction::Out as usize].len() > WAITING,
        };
        // Within a frame nothing else could go this way, and what waits for that would wait forever.
        waits && self.is_open(direction)
    }

    fn is_opaque(&self, context: Context<'_>) -> bool {
        self.is_opaque || context.http().is_none()
    }

    fn take_stirred(&mut self) -> bool {
        std::mem::take(&mut self.stirred)
    }
}
