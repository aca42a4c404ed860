//! Which of the client's messages the server answers at the moment. Every query and every `Sync` is a turn, and ends with one `ReadyForQuery`.
//! It must not know what was asked.

use super::frame::Malformed;
use std::collections::VecDeque;

/// Turns that wait before no more is read under a rule: the client is to feel it.
const IN_FLIGHT: usize = 1 << 10;
/// And before a connection is taken for something else. One read of the smallest messages does not lead from the other bound to this one.
const UNANSWERED: usize = 1 << 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// An introduction, a simple query or a function call.
    Query,
    /// What came before a `Sync`.
    Series,
    /// A simple query of the link in the place of the client's.
    Own,
    /// As [`Turn::Series`], and the next one ends for both.
    Muted,
    /// A simple query of the link of which the client sees the end only.
    Silent,
    /// No turn: here the client ended a copy.
    CopyEnd,
}

impl Turn {
    /// Whether the server's answer is not the client's.
    pub(super) fn is_changed(self) -> bool {
        matches!(self, Turn::Own | Turn::Muted | Turn::Silent)
    }
}

/// The turns that wait for their ends.
#[derive(Default)]
pub(super) struct Turns {
    waiting: VecDeque<Turn>,
    /// How many were begun.
    begun: u64,
    /// Whether the server reads a copy: it overlooks `Sync` then.
    copies: bool,
    /// What the server said last about its transaction.
    status: u8,
    /// Behind the latest turn in which the transaction may have been ended.
    ended_before: u64,
}

impl Turns {
    pub(super) fn begin(&mut self, turn: Turn) -> Result<(), Malformed> {
        if self.waiting.len() >= UNANSWERED {
            return Err(Malformed);
        }
        self.waiting.push_back(turn);
        self.begun += 1;
        Ok(())
    }

    /// The client sent `Sync`.
    pub(super) fn sync(&mut self, turn: Turn) -> Result<(), Malformed> {
        if self.copies { Ok(()) } else { self.begin(turn) }
    }

    /// The client ended a copy.
    pub(super) fn end_copy(&mut self) -> Result<(), Malformed> {
        if std::mem::take(&mut self.copies) { Ok(()) } else { self.begin(Turn::CopyEnd) }
    }

    /// The server begins to read a copy. It overlooks the `Sync`s up to the end of it, some of which may be sent already.
    pub(super) fn begin_copy(&mut self) {
        // A copy of a simple query is in that query's turn.
        let first = usize::from(self.current() == Some(Turn::Query));
        let end = self.waiting.iter().position(|turn| *turn == Turn::CopyEnd);
        self.copies = end.is_none();
        let until = end.map_or(self.waiting.len(), |end| end + 1);
        self.waiting.drain(first.min(until)..until);
    }

    /// The turn that the server answers.
    pub(super) fn current(&mut self) -> Option<Turn> {
        // A copy that failed before it began.
        while self.waiting.front() == Some(&Turn::CopyEnd) {
            self.waiting.pop_front();
        }
        self.waiting.front().copied()
    }

    /// The number of the turn that the server answers.
    pub(super) fn number(&self) -> u64 {
        self.begun - self.waiting.len() as u64
    }

    /// The number of the turn that begins next.
    pub(super) fn next(&self) -> u64 {
        self.begun
    }

    /// The server is ready for the next one.
    pub(super) fn end(&mut self, status: u8) -> Result<Turn, Malformed> {
        let turn = self.current().ok_or(Malformed)?;
        self.waiting.pop_front();
        self.status = status;
        Ok(turn)
    }

    /// The server reported an error. Clients read it before the end of its turn, and may ask the next thing before that end is heard here.
    pub(super) fn fail(&mut self) {
        if self.status == b'T' {
            self.status = b'E';
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty()
    }

    /// What is asked in the turn that begins next may end the transaction.
    pub(super) fn may_end_transaction(&mut self) {
        self.ended_before = self.begun + 1;
    }

    /// Whether the transaction has failed for sure: the server refuses everything but its end.
    pub(super) fn has_failed(&self) -> bool {
        self.status == b'E' && self.ended_before <= self.number()
    }

    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= IN_FLIGHT
    }

    /// Whether the link changed a turn whose end has not come.
    pub(super) fn owes(&self) -> bool {
        self.waiting.iter().any(|turn| turn.is_changed())
    }

    pub(super) fn clear(&mut self) {
        *self = Turns::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(begun: &[Turn]) -> Turns {
        let mut turns = Turns::default();
        for turn in begun {
            turns.begin(*turn).expect("there is room");
        }
        turns
    }

    #[test]
    fn every_turn_ends_once_and_in_order() {
        let mut turns = turns(&[Turn::Query, Turn::Series]);
        assert_eq!((turns.number(), turns.next()), (0, 2));
        assert_eq!(turns.end(b'T'), Ok(Turn::Query));
        assert_eq!((turns.number(), turns.has_failed()), (1, false));
        assert_eq!(turns.end(b'E'), Ok(Turn::Series));
        assert!(turns.has_failed() && turns.end(b'I').is_err());
    }

    #[test]
    fn a_transaction_that_failed_has_failed_until_something_may_have_ended_it() {
        let mut turns = turns(&[Turn::Query, Turn::Series]);
        assert_eq!((turns.end(b'E'), turns.has_failed()), (Ok(Turn::Query), true));
        turns.may_end_transaction();
        turns.begin(Turn::Query).expect("there is room");
        assert_eq!((turns.end(b'E'), turns.has_failed()), (Ok(Turn::Series), false));
        // A rollback to a savepoint that is not there.
        assert_eq!((turns.end(b'E'), turns.has_failed()), (Ok(Turn::Query), true));
    }

    #[test]
    fn an_error_fails_the_transaction_before_its_turn_has_ended() {
        let mut open = turns(&[Turn::Query, Turn::Series]);
        assert_eq!(open.end(b'T'), Ok(Turn::Query));
        open.fail();
        assert!(open.has_failed());
        // Outside a transaction nothing fails but the query.
        let mut idle = turns(&[Turn::Query, Turn::Series]);
        assert_eq!(idle.end(b'I'), Ok(Turn::Query));
        idle.fail();
        assert!(!idle.has_failed());
        // A commit before the error has ended it.
        let mut ended = turns(&[Turn::Query]);
        assert_eq!(ended.end(b'T'), Ok(Turn::Query));
        ended.may_end_transaction();
        ended.begin(Turn::Query).expect("there is room");
        ended.fail();
        assert!(!ended.has_failed());
    }

    #[test]
    fn a_sync_that_comes_in_a_copy_has_no_end_of_its_own() {
        // As libpq sends it: Execute and Sync, then the copy, its end and a Sync.
        let mut libpq = turns(&[Turn::Series]);
        libpq.begin_copy();
        assert_eq!(libpq.current(), None);
        libpq.sync(Turn::Series).expect("there is room");
        libpq.end_copy().expect("there is room");
        libpq.sync(Turn::Series).expect("there is room");
        assert_eq!((libpq.end(b'I'), libpq.is_idle()), (Ok(Turn::Series), true));
        // All at once, before the server began to read it.
        let mut hasty = turns(&[Turn::Series, Turn::CopyEnd, Turn::Series, Turn::Query]);
        hasty.begin_copy();
        assert_eq!((hasty.end(b'I'), hasty.end(b'I'), hasty.is_idle()), (Ok(Turn::Series), Ok(Turn::Query), true));
    }

    #[test]
    fn a_copy_of_a_simple_query_ends_with_it() {
        let mut turns = turns(&[Turn::Query]);
        turns.begin_copy();
        turns.end_copy().expect("there is room");
        assert_eq!((turns.end(b'I'), turns.is_idle()), (Ok(Turn::Query), true));
        let mut failed = self::turns(&[Turn::CopyEnd, Turn::Series]);
        assert_eq!((failed.end(b'I'), failed.is_idle()), (Ok(Turn::Series), true));
    }
}
