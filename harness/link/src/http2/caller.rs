//! What a caller says, and which of its requests the callee never hears of. It must not know bytes.

use super::{
    answer,
    block::Envelope,
    fields::Field,
    frame::{
        CONTINUATION, DATA, HEADERS, Header, Malformed, PUSH_PROMISE, RST_STREAM, SETTINGS, WINDOW_UPDATE, increment, initial_window,
        window_update,
    },
    framing::{Fate, Frame},
    lane::Verdict,
    patching::Patching,
    request::Request,
    state::{Own, State},
    streams::{Delay, Held, Queue},
};
use crate::{http::HttpAction, pipe::Direction, talk::Context};

impl State {
    /// Decides about a frame of the caller.
    pub(super) fn hear_caller(&mut self, frame: &Frame, context: Context<'_>) -> Result<Verdict, Malformed> {
        let header = frame.header;
        match header.kind {
            HEADERS | CONTINUATION => return self.hear_caller_block(frame, context),
            PUSH_PROMISE => return Err(Malformed),
            SETTINGS => self.hear_caller_settings(frame)?,
            WINDOW_UPDATE => return self.hear_room(header, increment(frame.payload())?),
            _ => {}
        }
        if !self.streams.is_aborted(header.stream) {
            if header.kind == RST_STREAM {
                self.forget(header.stream);
            }
            return Ok(Verdict::of(frame, Fate::Pass));
        }
        if header.kind == DATA {
            self.give_back_all(Direction::Home, header, header.length as u32);
        }
        if header.kind == RST_STREAM || header.ends_stream() {
            self.streams.end(header.stream);
        }
        Ok(Verdict::of(frame, Fate::Drop))
    }

    fn hear_caller_block(&mut self, frame: &Frame, context: Context<'_>) -> Result<Verdict, Malformed> {
        let lane = self.lane(Direction::Out);
        let Some((envelope, block)) = lane.blocks.hear(frame)? else { return Ok(Verdict::Keep) };
        let fields = lane.decoder.decode(&block)?;
        let stream = envelope.stream;
        let is_new = self.streams.opens(stream);
        if is_new && self.begin(&envelope, &fields, context) {
            return Ok(Verdict::Skip);
        }
        if !is_new && self.streams.is_aborted(stream) {
            if envelope.ends_stream {
                self.streams.end(stream);
            }
            return Ok(Verdict::Skip);
        }
        self.streams.forward(stream);
        Ok(self.lane(Direction::Out).forward(&envelope, &fields))
    }

    /// A request comes; whether it is taken away.
    fn begin(&mut self, envelope: &Envelope, fields: &[Field], context: Context<'_>) -> bool {
        let (stream, request) = (envelope.stream, Request(fields));
        let can_answer = self.streams.has_room() && !self.lane(Direction::Home).is_over;
        let Some(rule) = context.http().filter(|_| can_answer) else { return false };
        if !self.draws.chooses(rule, !request.is("CONNECT") && rule.matches(&request), context) {
            return false;
        }
        let answer = match rule.action() {
            HttpAction::Abort { status } => answer::own(*status),
            HttpAction::GrpcAbort { status, message } => answer::own_grpc(*status, message),
            HttpAction::Delay { duration } => {
                let delay = Delay { delay: *duration, epoch: context.epoch, since: None };
                self.streams.held.insert(stream, Queue { delay: Some(delay), ..Queue::default() });
                return false;
            }
            HttpAction::Patch(_) => {
                let patching = Patching::new(rule, context.epoch, request.is("HEAD"), self.window.initial);
                self.streams.patched.insert(stream, patching);
                return false;
            }
        };
        self.abort(envelope, answer, context);
        true
    }

    fn abort(&mut self, envelope: &Envelope, fields: Vec<Field>, context: Context<'_>) {
        context.counter.aborted(context.epoch);
        self.streams.abort(envelope.stream);
        if envelope.ends_stream {
            self.streams.end(envelope.stream);
        }
        self.lane(Direction::Out).rewrite();
        self.lane(Direction::Home).rewrite();
        self.say(Direction::Home, Own::Answer { stream: envelope.stream, fields });
    }

    fn hear_caller_settings(&mut self, frame: &Frame) -> Result<(), Malformed> {
        let Some(initial) = initial_window(frame.payload())? else { return Ok(()) };
        let more = i64::from(initial) - self.window.initial;
        self.window.initial = i64::from(initial);
        for patching in self.streams.patched.values_mut() {
            patching.window += more;
        }
        self.stirred = true;
        Ok(())
    }

    /// The caller makes room for more DATA.
    fn hear_room(&mut self, header: Header, increment: u32) -> Result<Verdict, Malformed> {
        self.stirred |= self.waits_for_room();
        if header.stream == 0 {
            let theirs = self.window.granted(increment);
            return Ok(match theirs {
                _ if theirs == increment => Verdict::Pass,
                0 => Verdict::Skip,
                _ => Verdict::Instead(window_update(0, theirs)),
            });
        }
        if let Some(patching) = self.streams.patched.get_mut(&header.stream) {
            patching.window += i64::from(increment);
        }
        Ok(if self.streams.is_aborted(header.stream) { Verdict::Skip } else { Verdict::Pass })
    }

    /// The caller wants no answer any more: what of it is held back will not arrive.
    fn forget(&mut self, stream: u32) {
        self.streams.patched.remove(&stream);
        if let Some(queue) = self.streams.held.remove(&stream) {
            self.held -= queue.frames.iter().map(Held::len).sum::<usize>();
            self.stirred = true;
        }
    }
}
