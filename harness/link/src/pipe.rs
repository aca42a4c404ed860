//! One direction of a connection: pieces are read, held as the behaviour says, and written in order. It must not know who the two sides are.

use crate::{
    behaviour::{Behaviour, Setting},
    connection::Scope,
    shape::Shape,
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
/// Bytes that are held before reading stops. It bounds the memory, and the throughput under latency: 2 MiB over the delay, more than any service of
/// an experiment sends on one connection.
const HELD: usize = 2 << 20;
/// Pieces that are held before reading stops, where they are small.
const PIECES: usize = 4_096;

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
    /// The setting that delayed it, if one did.
    delayed_by: Option<u64>,
}

/// One direction of a connection.
pub(crate) struct Pipe<'a> {
    from: ReadHalf<'a>,
    to: WriteHalf<'a>,
    direction: Direction,
    scope: Scope<'a>,
    setting: Setting,
    shape: Option<Shape>,
    buffer: BytesMut,
    pieces: VecDeque<Piece>,
    held: usize,
    /// No piece overtakes another, whatever its jitter.
    latest_release: Instant,
    ended: Option<End>,
}

/// Why nothing more is read.
enum End {
    /// The side that is read from has sent all it had to send. Goes on at this instant, as the pieces before it did.
    Finished(Instant),
    /// It broke.
    Broken(io::Error),
}

/// What a pipe does next.
enum Turn {
    SettingChanged,
    Readable(io::Result<()>),
    Written(io::Result<()>),
    Released,
}

impl<'a> Pipe<'a> {
    pub(crate) fn new(from: ReadHalf<'a>, to: WriteHalf<'a>, direction: Direction, scope: Scope<'a>) -> Pipe<'a> {
        let mut pipe = Pipe {
            from,
            to,
            direction,
            scope,
            setting: Setting::default(),
            shape: None,
            buffer: BytesMut::new(),
            pieces: VecDeque::new(),
            held: 0,
            latest_release: Instant::now(),
            ended: None,
        };
        pipe.adopt();
        pipe
    }

    /// Runs until what the one side sent last has reached the other.
    pub(crate) async fn run(mut self) -> io::Result<()> {
        loop {
            let flows = self.setting.behaviour != Behaviour::Partition;
            if flows && self.pieces.is_empty() {
                match self.ended {
                    Some(End::Broken(error)) => return Err(error),
                    Some(End::Finished(release)) if release <= Instant::now() => return self.to.shutdown().await,
                    _ => {}
                }
            }
            match self.turn(flows).await {
                Turn::SettingChanged => self.adopt(),
                Turn::Readable(ready) => match ready.and_then(|()| self.read()) {
                    Ok(()) => {}
                    // A loss of the connection does not cross a partition either: it is passed on afterwards.
                    Err(error) => self.ended = Some(End::Broken(error)),
                },
                Turn::Written(ready) => ready.and_then(|()| self.write())?,
                Turn::Released => {}
            }
        }
    }

    /// Cancel-safe: nothing is read or written here, only waited for.
    async fn turn(&mut self, flows: bool) -> Turn {
        let now = Instant::now();
        let next_release = match (&self.ended, self.pieces.front()) {
            (_, Some(piece)) => Some(piece.release),
            (Some(End::Finished(release)), None) => Some(*release),
            _ => None,
        };
        let released = next_release.is_some_and(|release| release <= now);
        let reads = self.ended.is_none() && self.held < HELD && self.pieces.len() < PIECES;
        tokio::select! {
            // The sender lives as long as the scope: there is always another change to wait for.
            _ = self.scope.setting.changed() => Turn::SettingChanged,
            ready = self.from.readable(), if reads => Turn::Readable(ready),
            ready = self.to.writable(), if flows && released => Turn::Written(ready),
            () = tokio::time::sleep_until(next_release.unwrap_or(now)), if flows && next_release.is_some() && !released => Turn::Released,
        }
    }

    /// Takes over the current setting.
    fn adopt(&mut self) {
        let before = self.setting.behaviour;
        self.setting = *self.scope.setting.borrow_and_update();
        self.shape = match self.setting.behaviour {
            Behaviour::Latency { delay, jitter, distribution, seed } if self.direction == Direction::Out => {
                Some(Shape::new(delay, jitter, distribution, seed, self.scope.number))
            }
            _ => None,
        };
        match self.setting.behaviour {
            Behaviour::Pass | Behaviour::Reset => self.release_all(),
            Behaviour::Latency { .. } if before == Behaviour::Partition => self.release_all(),
            // Under latency what is queued keeps its time; under a partition it is held.
            Behaviour::Latency { .. } | Behaviour::Partition => {}
        }
    }

    /// What is held goes at once, in order.
    fn release_all(&mut self) {
        let now = Instant::now();
        for piece in &mut self.pieces {
            if piece.release > now {
                // Its delay was cut short: it says nothing about the delay that was asked.
                piece.release = now;
                piece.delayed_by = None;
            }
        }
        if let Some(End::Finished(release)) = &mut self.ended {
            *release = now.min(*release);
        }
        self.latest_release = now;
    }

    fn read(&mut self) -> io::Result<()> {
        self.buffer.reserve(PIECE);
        match self.from.try_read_buf(&mut self.buffer) {
            Ok(0) => {
                let release = self.release_of(Instant::now());
                self.ended = Some(End::Finished(release));
                Ok(())
            }
            Ok(_) => {
                self.hold();
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn hold(&mut self) {
        let bytes = self.buffer.split().freeze();
        let (arrived, epoch) = (Instant::now(), self.setting.epoch);
        if self.shape.is_some() || self.setting.behaviour == Behaviour::Partition {
            self.scope.shared.counter.chunk(epoch, self.scope.number, bytes.len());
        }
        let delayed_by = self.shape.is_some().then_some(epoch);
        let release = self.release_of(arrived);
        self.held += bytes.len();
        self.pieces.push_back(Piece { bytes, arrived, release, delayed_by });
    }

    fn release_of(&mut self, arrived: Instant) -> Instant {
        let delay = self.shape.as_mut().map_or(Duration::ZERO, Shape::draw);
        let release = arrived.checked_add(delay).unwrap_or(arrived);
        self.latest_release = self.latest_release.max(release);
        self.latest_release
    }

    fn write(&mut self) -> io::Result<()> {
        let Some(piece) = self.pieces.front_mut() else { return Ok(()) };
        match self.to.try_write(&piece.bytes) {
            Ok(written) => {
                piece.bytes.advance(written);
                self.held -= written;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
        if piece.bytes.is_empty()
            && let Some(piece) = self.pieces.pop_front()
            && let Some(epoch) = piece.delayed_by
        {
            self.scope.shared.counter.delayed(epoch, piece.arrived.elapsed());
        }
        Ok(())
    }
}
