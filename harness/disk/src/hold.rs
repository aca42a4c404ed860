//! Answers that wait for their time: one thread with a clock for all of them, so that a thousand slow operations need no thousand threads.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

/// Sends an answer. It is told whether the time was over or the fault ended before.
pub(crate) type Answering = Box<dyn FnOnce(Ended) + Send>;

/// Why an answer no longer waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    InTime,
    Early,
}

struct Waiting {
    due: Instant,
    /// Whose it is, for [`Hold::release`].
    fault: u64,
    send: Answering,
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.due == other.due
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.due.cmp(&other.due)
    }
}

#[derive(Default)]
struct Room {
    waiting: Mutex<BinaryHeap<Reverse<Waiting>>>,
    changed: Condvar,
}

/// The waiting room. Its thread lives as long as the process.
#[derive(Clone)]
pub(crate) struct Hold(Arc<Room>);

impl Hold {
    pub(crate) fn start() -> std::io::Result<Self> {
        let hold = Self(Arc::default());
        let room = Arc::clone(&hold.0);
        thread::Builder::new().name("hold".to_owned()).spawn(move || room.keep())?;
        Ok(hold)
    }

    /// Sends an answer when it is due.
    pub(crate) fn until(&self, due: Instant, fault: u64, send: Answering) {
        self.0.waiting().push(Reverse(Waiting { due, fault, send }));
        self.0.changed.notify_one();
    }

    /// Sends all answers of a fault now.
    pub(crate) fn release(&self, fault: u64) {
        let mut waiting = self.0.waiting();
        let (released, kept): (Vec<_>, Vec<_>) = waiting.drain().partition(|Reverse(one)| one.fault == fault);
        waiting.extend(kept);
        drop(waiting);
        for Reverse(one) in released {
            (one.send)(Ended::Early);
        }
    }
}

impl Room {
    /// A thread that panicked while it held the lock left the heap whole: each change is one call.
    fn waiting(&self) -> MutexGuard<'_, BinaryHeap<Reverse<Waiting>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self) {
        let mut waiting = self.waiting();
        loop {
            let now = Instant::now();
            let left = waiting.peek().map(|Reverse(first)| first.due.saturating_duration_since(now));
            waiting = match left {
                None => self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner),
                Some(left) if !left.is_zero() => self.changed.wait_timeout(waiting, left).unwrap_or_else(PoisonError::into_inner).0,
                Some(_) => {
                    let first = waiting.pop();
                    drop(waiting);
                    if let Some(Reverse(one)) = first {
                        (one.send)(Ended::InTime);
                    }
                    self.waiting()
                }
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{sync::mpsc, time::Duration};

    #[test]
    fn answers_go_in_the_order_of_their_time_and_not_before_it() {
        let hold = Hold::start().unwrap();
        let (sender, receiver) = mpsc::channel();
        let begun = Instant::now();
        for millis in [30, 10, 20] {
            let sender = sender.clone();
            let send = Box::new(move |ended| sender.send((millis, ended, begun.elapsed())).unwrap());
            hold.until(begun + Duration::from_millis(millis), 1, send);
        }
        for expected in [10, 20, 30] {
            let (millis, ended, after) = receiver.recv().unwrap();
            assert_eq!((millis, ended), (expected, Ended::InTime));
            assert!(after >= Duration::from_millis(expected));
        }
    }

    #[test]
    fn the_answers_of_a_fault_that_ends_go_at_once_and_those_of_others_stay() {
        let hold = Hold::start().unwrap();
        let (sender, receiver) = mpsc::channel();
        let due = Instant::now() + Duration::from_hours(1);
        for fault in [1, 2, 1] {
            let sender = sender.clone();
            hold.until(due, fault, Box::new(move |ended| sender.send((fault, ended)).unwrap()));
        }
        hold.release(1);
        assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [(1, Ended::Early), (1, Ended::Early)]);
    }
}
