//! What a callee says, and which of its answers arrive late or changed. It must not know bytes.

use super::{
    answer,
    block::Envelope,
    fields::Field,
    frame::{CONTINUATION, DATA, HEADERS, Malformed, PUSH_PROMISE, RST_STREAM},
    framing::{Fate, Frame},
    hpack::encoded,
    lane::Verdict,
    patching::{Patching, Stage},
    state::State,
    streams::{Held, Queue},
};
use crate::{pipe::Direction, talk::Context};
use tokio::time::Instant;

/// As good as forever.
const LIFETIME: std::time::Duration = std::time::Duration::from_hours(24 * 365);

impl State {
    /// Decides about a frame of the callee.
    pub(super) fn hear_callee(&mut self, frame: &Frame, context: Context<'_>) -> Result<Verdict, Malformed> {
        let header = frame.header;
        match header.kind {
            HEADERS | CONTINUATION | PUSH_PROMISE => self.hear_callee_block(frame, context),
            DATA => self.hear_data(frame, context),
            RST_STREAM => Ok(self.hear_reset(frame, context)),
            _ => Ok(Verdict::of(frame, Fate::Pass)),
        }
    }

    fn hear_callee_block(&mut self, frame: &Frame, context: Context<'_>) -> Result<Verdict, Malformed> {
        let lane = self.lane(Direction::Home);
        let Some((envelope, block)) = lane.blocks.hear(frame)? else { return Ok(Verdict::Keep) };
        let fields = lane.decoder.decode(&block)?;
        if envelope.is_promise() {
            return Ok(lane.forward(&envelope, &fields));
        }
        let is_held = self.holds(envelope.stream, context);
        Ok(match self.streams.patched.get(&envelope.stream).map(|patching| patching.stage) {
            Some(Stage::Head) => self.hear_head(envelope, &fields, context),
            Some(Stage::Trailers | Stage::Body | Stage::Done) => self.hear_trailers(envelope, &fields),
            None if is_held => self.write(envelope, encoded(&fields)),
            None => self.lane(Direction::Home).forward(&envelope, &fields),
        })
    }

    /// A block that the link writes goes on, behind what of its stream waits.
    fn write(&mut self, envelope: Envelope, block: Vec<u8>) -> Verdict {
        let stream = envelope.stream;
        let lane = self.lane(Direction::Home);
        lane.rewrite();
        if self.streams.held.contains_key(&stream) {
            self.hold(stream, Held::Block(envelope, block));
            return Verdict::Skip;
        }
        Verdict::Instead(self.lane(Direction::Home).write(&envelope, &block))
    }

    /// Whether what comes on this stream has to wait. An answer that is delayed does from its first frame on, if its setting still holds then.
    fn holds(&mut self, stream: u32, context: Context<'_>) -> bool {
        let Some(queue) = self.streams.held.get_mut(&stream) else { return false };
        if let Some(delay) = queue.delay.as_mut().filter(|delay| delay.since.is_none()) {
            if delay.epoch != context.epoch {
                self.streams.held.remove(&stream);
                return false;
            }
            let now = Instant::now();
            let until = now + delay.delay.min(LIFETIME);
            delay.since = Some(now);
            self.wait(stream, until);
        }
        true
    }

    fn hold(&mut self, stream: u32, held: Held) {
        if let Some(queue) = self.streams.held.get_mut(&stream) {
            self.held += held.len();
            queue.frames.push_back(held);
        }
    }

    fn hear_data(&mut self, frame: &Frame, context: Context<'_>) -> Result<Verdict, Malformed> {
        let (stream, length) = (frame.header.stream, frame.header.length);
        if self.streams.patched.get(&stream).is_some_and(|patching| patching.stage == Stage::Body) {
            return Ok(self.replace_data(frame));
        }
        if frame.header.ends_stream() {
            self.streams.patched.remove(&stream);
        }
        if self.holds(stream, context) {
            return self.hold_data(frame);
        }
        if frame.is_whole() && self.window.is_exceeded_by(length) {
            self.streams.held.insert(stream, Queue::default());
            self.drain(stream);
            return self.hold_data(frame);
        }
        self.window.carried(length);
        Ok(Verdict::of(frame, Fate::Pass))
    }

    /// DATA in whose place the link sends other DATA.
    fn replace_data(&mut self, frame: &Frame) -> Verdict {
        let header = frame.header;
        if header.ends_stream()
            && let Some(patching) = self.streams.patched.get_mut(&header.stream)
        {
            patching.end();
            self.sending.push_back(header.stream);
        }
        let bytes = self.window.dropped(header.length);
        self.give_back_all(Direction::Out, header, bytes);
        Verdict::of(frame, Fate::Drop)
    }

    /// DATA that waits. The callee gets back what it took of the connection's window: other streams are not to feel that this one does.
    fn hold_data(&mut self, frame: &Frame) -> Result<Verdict, Malformed> {
        let (header, payload) = (frame.header, frame.content()?);
        let bytes = self.window.dropped(header.length);
        self.give_back(Direction::Out, bytes);
        self.hold(header.stream, Held::Data { payload, ends_stream: header.ends_stream() });
        Ok(Verdict::Skip)
    }

    fn hear_reset(&mut self, frame: &Frame, context: Context<'_>) -> Verdict {
        let stream = frame.header.stream;
        self.streams.patched.remove(&stream);
        if self.holds(stream, context) {
            self.hold(stream, Held::Frame(frame.bytes.clone()));
            return Verdict::Skip;
        }
        Verdict::Pass
    }

    /// The head of an answer that is to be changed, or one before it.
    fn hear_head(&mut self, mut envelope: Envelope, fields: &[Field], context: Context<'_>) -> Verdict {
        let stream = envelope.stream;
        if answer::is_interim(fields) {
            return self.lane(Direction::Home).forward(&envelope, fields);
        }
        let Some(mut patching) = self.streams.patched.remove(&stream) else {
            return self.lane(Direction::Home).forward(&envelope, fields);
        };
        let rule = patching.rule();
        let Some(patch) = rule.patch().filter(|_| patching.epoch == context.epoch) else {
            return self.lane(Direction::Home).forward(&envelope, fields);
        };
        context.counter.patched(context.epoch);
        let patched = answer::patched(fields, envelope.ends_stream, patch);
        let stage = match patched.body {
            Some(body) if !patching.is_head => {
                patching.body = body;
                Stage::Body
            }
            _ if answer::has_trailers(fields, patch) => Stage::Trailers,
            _ => Stage::Done,
        };
        let ends_stream = envelope.ends_stream && patching.body.is_empty();
        self.follow(patching, stage, &envelope, ends_stream);
        envelope.ends_stream = ends_stream;
        self.write(envelope, encoded(&patched.fields))
    }

    /// What is still to be done behind the head of an answer.
    fn follow(&mut self, mut patching: Patching, stage: Stage, envelope: &Envelope, ends_stream: bool) {
        if ends_stream || stage == Stage::Done {
            return;
        }
        patching.stage = stage;
        if envelope.ends_stream {
            patching.end();
        }
        if !patching.body.is_empty() {
            self.sending.push_back(envelope.stream);
        }
        self.streams.patched.insert(envelope.stream, patching);
    }

    /// Trailers of an answer that is changed.
    fn hear_trailers(&mut self, envelope: Envelope, fields: &[Field]) -> Verdict {
        let stream = envelope.stream;
        let Some(patching) = self.streams.patched.get_mut(&stream) else {
            return self.lane(Direction::Home).forward(&envelope, fields);
        };
        let block = encoded(&match patching.rule().patch() {
            Some(patch) => answer::patched_trailers(fields, patch),
            None => fields.to_vec(),
        });
        if patching.stage == Stage::Body {
            patching.end_with(block);
            self.sending.push_back(stream);
            return Verdict::Skip;
        }
        self.streams.patched.remove(&stream);
        self.write(envelope, block)
    }
}
