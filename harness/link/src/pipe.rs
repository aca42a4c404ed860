//! One direction of a connection: pieces are read, held as the behaviour says, and written in order. It must not know who the two sides are.

use crate::{
    behaviour::{Behaviour, Setting},
    connection::Scope,
    pace::Pace,
    shape::Shape,
    talk::{Context, Parcel, Talk},
};
use bytes::{Buf, Bytes, BytesMut};
use std::{collections::VecDeque, io, time::Duration};
use tokio::{
    io::AsyncWriteExt,
    net::tcp::{ReadHalf, WriteHalf},
    time::Instant,
};

/// Largest piece that is read at once.
const PIECE: usize = 16 << 10;
/// Pieces that are held before reading stops, where they are small.
const PIECES: usize = 4_096;
/// As good as forever.
const LIFETIME: Duration = Duration::from_hours(24 * 365);

/// Which way a pipe leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// From caller to callee.
    Out,
    /// From callee to caller.
    Home,
}

/// A piece that was read and not yet written to the end.
struct Piece {
    bytes: Bytes,
    arrived: Instant,
    release: Instant,
    /// The setting that delays it, if one does.
    delayed_by: Option<u64>,
    /// Whether it goes on at the end of the setting only, and not at all if its side ends before.
    is_held: bool,
}

/// One direction of a connection.
pub(crate) struct Pipe<'a> {
    from: ReadHalf<'a>,
    to: WriteHalf<'a>,
    direction: Direction,
    scope: Scope<'a>,
    setting: Setting,
    shape: Option<Shape>,
    pace: Pace<'a>,
    talk: &'a Talk,
    buffer: BytesMut,
    pieces: VecDeque<Piece>,
    held: usize,
    /// No piece overtakes another, whatever its jitter.
    latest_release: Instant,
    /// When the connection is to be closed, if it is.
    deadline: Option<Instant>,
    ended: Option<End>,
}

/// Why nothing more is read.
enum End {
    /// The side that is read from has sent all it had to send. That goes on as the pieces before it did.
    Finished(Finish),
    /// It broke.
    Broken(io::Error),
}

/// The end of what one side sends.
#[derive(Clone, Copy)]
struct Finish {
    arrived: Instant,
    release: Instant,
    /// The setting that holds it back, if one does.
    delayed_by: Option<u64>,
}

/// Why a pipe stopped before its end.
pub(crate) enum Stop {
    /// A side broke.
    Broken(io::Error),
    /// This setting lets no more answers through.
    Spent(u64),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Stop {
        Stop::Broken(error)
    }
}

/// What a pipe does next.
enum Turn {
    SettingChanged,
    Readable(io::Result<()>),
    Written(io::Result<()>),
    Released,
    Woken,
}

impl<'a> Pipe<'a> {
    pub(crate) fn new(from: ReadHalf<'a>, to: WriteHalf<'a>, direction: Direction, talk: &'a Talk, scope: Scope<'a>) -> Pipe<'a> {
        let pace = Pace::new(&Setting::default(), direction, scope.shared);
        let mut pipe = Pipe {
            from,
            to,
            direction,
            scope,
            setting: Setting::default(),
            shape: None,
            pace,
            talk,
            buffer: BytesMut::new(),
            pieces: VecDeque::new(),
            held: 0,
            latest_release: Instant::now(),
            deadline: None,
            ended: None,
        };
        pipe.adopt();
        pipe
    }

    /// Runs until what the one side sent last has reached the other.
    pub(crate) async fn run(mut self) -> Result<(), Stop> {
        loop {
            let flows = self.setting.behaviour.flows();
            if self.pace.is_spent() || self.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                return Err(self.spent());
            }
            self.say();
            if flows && self.pieces.is_empty() {
                let owes = self.owes();
                match self.ended {
                    Some(End::Broken(error)) => return Err(error.into()),
                    Some(End::Finished(finish)) if !owes && finish.release <= Instant::now() => return Ok(self.close(finish).await?),
                    _ => {}
                }
            }
            match self.turn(flows).await {
                Turn::SettingChanged => self.adopt(),
                Turn::Readable(ready) => match ready.and_then(|()| self.read()) {
                    Ok(()) => {}
                    // A loss of the connection does not cross a partition either: it is passed on afterwards.
                    Err(error) => {
                        self.withdraw();
                        self.ended = Some(End::Broken(error));
                    }
                },
                Turn::Written(ready) => ready.and_then(|()| self.write())?,
                Turn::Released => {}
                Turn::Woken => self.let_go(),
            }
        }
    }

    /// Cancel-safe: nothing is read or written here, only waited for.
    async fn turn(&mut self, flows: bool) -> Turn {
        let now = Instant::now();
        let next_release = if flows { self.next_release(now) } else { None };
        let released = next_release.is_some_and(|release| release <= now);
        let wakes = [next_release.or(self.deadline), self.talk.due(self.direction).filter(|_| self.has_room())];
        let wake = wakes.into_iter().flatten().min();
        let reads = self.ended.is_none() && self.has_room() && !self.talk.is_full(self.direction, self.context());
        tokio::select! {
            // The sender lives as long as the scope: there is always another change to wait for.
            _ = self.scope.setting.changed() => Turn::SettingChanged,
            () = self.talk.woken(self.direction) => Turn::Woken,
            ready = self.from.readable(), if reads => Turn::Readable(ready),
            ready = self.to.writable(), if released => Turn::Written(ready),
            () = tokio::time::sleep_until(wake.unwrap_or(now)), if wake.is_some() && !released => Turn::Released,
        }
    }

    /// When there is something to write, or to close.
    fn next_release(&mut self, now: Instant) -> Option<Instant> {
        match (&self.ended, self.pieces.front()) {
            (_, Some(piece)) if piece.release <= now => Some(self.pace.release(piece.release, piece.bytes.len())),
            (_, Some(piece)) => Some(piece.release),
            (Some(End::Finished(finish)), None) if !self.owes() => Some(finish.release),
            _ => None,
        }
    }

    async fn close(mut self, finish: Finish) -> io::Result<()> {
        if let Some(epoch) = finish.delayed_by {
            self.scope.shared.counter.delayed(epoch, finish.arrived.elapsed());
        }
        self.to.shutdown().await
    }

    /// Counts what will not arrive any more.
    fn spent(&self) -> Stop {
        let (counter, epoch, number) = (&self.scope.shared.counter, self.setting.epoch, self.scope.number);
        counter.closing(epoch, number);
        // What was held back was counted when it came.
        if self.deadline.is_none() {
            for piece in &self.pieces {
                counter.chunk(epoch, number, piece.bytes.len());
            }
        }
        Stop::Spent(epoch)
    }

    /// Takes over the current setting.
    fn adopt(&mut self) {
        let setting = self.scope.adopt();
        let before = std::mem::replace(&mut self.setting, setting).behaviour;
        self.shape = match self.setting.behaviour {
            Behaviour::Latency { delay, jitter, distribution, seed } if self.direction == Direction::Out => {
                Some(Shape::new(delay, jitter, distribution, seed, self.scope.number))
            }
            _ => None,
        };
        self.deadline = match self.setting.behaviour {
            Behaviour::Timeout { after } => Instant::now().checked_add(after),
            _ => None,
        };
        self.pace = Pace::new(&self.setting, self.direction, self.scope.shared);
        match (&before, &self.setting.behaviour) {
            // Under another latency what is queued keeps its time; under a partition it is held.
            (Behaviour::Latency { .. } | Behaviour::Pass, Behaviour::Latency { .. })
            | (_, Behaviour::Partition | Behaviour::Timeout { .. }) => {}
            _ => self.release_all(),
        }
        self.let_go();
    }

    /// What holds for the conversation.
    fn context(&self) -> Context<'_> {
        Context::new(&self.setting, self.scope.number, &self.scope.shared.counter)
    }

    /// Queues what the conversation no longer holds back.
    fn let_go(&mut self) {
        let bytes = self.talk.let_go(self.direction, self.context());
        self.queue(Parcel::now(bytes));
    }

    /// Queues what the link itself has to say, as far as it is its turn and there is room.
    fn say(&mut self) {
        while self.has_room()
            && let Some(bytes) = self.talk.own(self.direction, self.context())
        {
            self.queue(Parcel::now(bytes));
        }
        if self.direction == Direction::Home && self.ended.is_none() && self.talk.is_over() {
            let finish = self.finish();
            self.ended = Some(End::Finished(finish));
        }
    }

    fn has_room(&self) -> bool {
        self.held < self.pace.room() && self.pieces.len() < PIECES
    }

    /// Whether something of the link comes before the end.
    fn owes(&self) -> bool {
        self.talk.owes(self.direction)
    }

    /// What is held goes at once, in order.
    fn release_all(&mut self) {
        let now = Instant::now();
        for piece in &mut self.pieces {
            piece.release = now.min(piece.release);
            // Its delay was cut short: it says nothing about the delay that was asked.
            piece.delayed_by = None;
            piece.is_held = false;
        }
        if let Some(End::Finished(finish)) = &mut self.ended {
            finish.release = now.min(finish.release);
            finish.delayed_by = None;
        }
        self.latest_release = now;
    }

    /// Whoever left before the end of a setting takes along what it holds, and what is behind it.
    fn withdraw(&mut self) {
        if let Some(first) = self.pieces.iter().position(|piece| piece.is_held) {
            let withdrawn = self.pieces.drain(first..);
            self.held -= withdrawn.map(|piece| piece.bytes.len()).sum::<usize>();
            self.latest_release = Instant::now();
        }
    }

    fn read(&mut self) -> io::Result<()> {
        self.buffer.reserve(PIECE);
        let read = self.from.try_read_buf(&mut self.buffer);
        if self.scope.setting.has_changed().unwrap_or(false) {
            // What was sent after a setting was made meets that setting.
            self.adopt();
        }
        match read {
            Ok(0) => {
                self.withdraw();
                let bytes = self.talk.end(self.direction);
                self.queue(Parcel::now(bytes));
                let finish = self.finish();
                self.ended = Some(End::Finished(finish));
                Ok(())
            }
            Ok(_) => {
                let bytes = self.buffer.split().freeze();
                for parcel in self.talk.hear(self.direction, bytes, self.context())? {
                    self.queue(parcel);
                }
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn finish(&mut self) -> Finish {
        let (arrived, epoch) = (Instant::now(), self.setting.epoch);
        let release = self.release_of(arrived);
        let Behaviour::SlowClose { delay } = self.setting.behaviour else {
            return Finish { arrived, release, delayed_by: None };
        };
        self.scope.shared.counter.closing(epoch, self.scope.number);
        Finish { arrived, release: release.checked_add(delay).unwrap_or(release), delayed_by: Some(epoch) }
    }

    fn queue(&mut self, Parcel { bytes, delay }: Parcel) {
        if bytes.is_empty() {
            return;
        }
        let (arrived, epoch) = (Instant::now(), self.setting.epoch);
        let slowed = self.shape.is_some() || self.pace.slows();
        if slowed || matches!(self.setting.behaviour, Behaviour::Partition | Behaviour::Timeout { .. }) {
            self.scope.shared.counter.chunk(epoch, self.scope.number, bytes.len());
        }
        let delayed_by = (slowed || delay.is_some()).then_some(epoch);
        let release = self.release_of(arrived + delay.unwrap_or_default().min(LIFETIME));
        self.held += bytes.len();
        self.pieces.push_back(Piece { bytes, arrived, release, delayed_by, is_held: delay == Some(Duration::MAX) });
    }

    fn release_of(&mut self, arrived: Instant) -> Instant {
        let delay = self.shape.as_mut().map_or(Duration::ZERO, Shape::draw);
        let release = arrived.checked_add(delay).unwrap_or(arrived);
        self.latest_release = self.latest_release.max(release);
        self.latest_release
    }

    fn write(&mut self) -> io::Result<()> {
        let Some(piece) = self.pieces.front_mut() else { return Ok(()) };
        let most = self.pace.most(piece.bytes.len());
        match self.to.try_write(&piece.bytes[..most]) {
            Ok(written) => {
                piece.bytes.advance(written);
                self.held -= written;
                self.pace.went(written);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.pace.blocked();
                return Ok(());
            }
            Err(error) => return Err(error),
        }
        if piece.bytes.is_empty()
            && let Some(piece) = self.pieces.pop_front()
            && let Some(epoch) = piece.delayed_by
        {
            let counter = &self.scope.shared.counter;
            counter.delayed(epoch, piece.arrived.elapsed());
            match self.setting.behaviour {
                Behaviour::Http(_) => counter.delayed_request(epoch),
                Behaviour::Postgres(_) => counter.postgres(epoch, |dose| dose.delayed += 1),
                Behaviour::Redis(_) => counter.redis(epoch, |dose| dose.delayed += 1),
                _ => {}
            }
        }
        Ok(())
    }
}
