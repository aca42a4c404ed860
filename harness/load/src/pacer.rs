//! The loop that waits for the next due time and sets an errand going. It must not know what became of any.

use crate::{
    alarm::Alarm,
    errand::{Errand, Ledger, Order},
    lanes::Lanes,
    pool::Pool,
    schedule::{Arrival, Schedule},
};
use shakedown_model::event::Phase;
use std::{
    io, panic,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    sync::{Semaphore, watch},
    task::{JoinError, JoinSet},
};
use tokio_util::sync::CancellationToken;

/// Requests that one variant may have open at once, over all loads. An open model has no limit of its own, and this machine has.
pub(crate) const OPEN: usize = 2_000;

/// One load on its way.
pub(crate) struct Course {
    order: Arc<Order>,
    schedule: Schedule,
    next: Arrival,
    /// By lane.
    pools: Vec<Arc<Pool>>,
}

impl Course {
    pub(crate) fn new(order: Order, mut schedule: Schedule, pools: Vec<Arc<Pool>>) -> Course {
        let next = next(&mut schedule);
        Course { order: Arc::new(order), schedule, next, pools }
    }
}

fn next(schedule: &mut Schedule) -> Arrival {
    schedule.next().expect("a schedule has no end")
}

/// Everything that the loop needs.
pub(crate) struct Pacer {
    pub(crate) courses: Vec<Course>,
    pub(crate) lanes: Lanes,
    /// Places for open requests, by lane: one variant that stalls must not take them from the other.
    pub(crate) open: Vec<Arc<Semaphore>>,
    pub(crate) phase: watch::Receiver<Phase>,
    pub(crate) ledger: Arc<Ledger>,
}

impl Pacer {
    /// Runs until `stop`, then until every open request is done.
    pub(crate) async fn run(mut self, stop: CancellationToken) -> io::Result<()> {
        let mut errands = JoinSet::new();
        let mut alarm = Alarm::new()?;
        while let Some((course, due)) = self.upcoming() {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                rung = alarm.until(due) => rung?,
            }
            self.dispatch(course, due, &mut errands);
            // Also where the loop is behind: what is due must get its turn before what comes next.
            tokio::task::yield_now().await;
            while let Some(ended) = errands.try_join_next() {
                surface(ended);
            }
        }
        // At once, unless there was nothing to send at all.
        stop.cancelled().await;
        while let Some(ended) = errands.join_next().await {
            surface(ended);
        }
        Ok(())
    }

    /// The course whose next request is due first, and when.
    fn upcoming(&self) -> Option<(usize, Instant)> {
        let (index, course) = self.courses.iter().enumerate().min_by_key(|(_, course)| course.next.offset)?;
        let start = self.ledger.anchor.instant;
        let due = start.checked_add(course.next.offset).unwrap_or(start + Duration::from_hours(365 * 24));
        Some((index, due))
    }

    fn dispatch(&mut self, index: usize, due: Instant, errands: &mut JoinSet<()>) {
        let course = &mut self.courses[index];
        let arrival = std::mem::replace(&mut course.next, next(&mut course.schedule));
        let place = self.lanes.place(arrival.offset);
        let errand = Errand {
            order: Arc::clone(&course.order),
            seq: arrival.seq,
            due,
            variant: self.lanes.variant(place.lane),
            block: place.block,
            phase: *self.phase.borrow(),
        };
        self.ledger.tally.due();
        match Arc::clone(&self.open[place.lane]).try_acquire_owned() {
            Ok(held) => {
                errands.spawn(errand.run(Arc::clone(&course.pools[place.lane]), Arc::clone(&self.ledger), held));
            }
            Err(_) => errand.shed(&self.ledger),
        }
    }
}

/// A panic of an errand is a bug of ours: it must not pass for a request that was never due.
fn surface(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && let Ok(panic) = error.try_into_panic()
    {
        panic::resume_unwind(panic);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drive::{Drive, Lane, sample};
    use shakedown_model::{plan::Slots, stack::Variant};
    use std::collections::HashMap;
    use tokio::{net::TcpListener, sync::mpsc};

    /// One lane to a service that accepts connections and never answers.
    async fn silent() -> (TcpListener, Drive, watch::Sender<Phase>) {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = watch::Sender::new(silent.local_addr().unwrap()).subscribe();
        let targets = HashMap::from([("checkout".to_owned(), target)]);
        let (sender, phase) = watch::channel(Phase::Steady);
        let drive = Drive {
            run: "r".to_owned(),
            scenario: "s".to_owned(),
            loads: vec![sample("checkout")],
            lanes: vec![Lane { variant: Variant::Candidate, targets }],
            slots: Slots { slot: Duration::from_millis(100), seed: 1 },
            seed: 1,
            phase,
        };
        (silent, drive, sender)
    }

    #[tokio::test]
    async fn requests_beyond_the_open_ones_are_shed_and_counted_and_the_schedule_goes_on() {
        let (silent, drive, _phase) = silent().await;
        let (records, mut received) = mpsc::unbounded_channel();
        let mut pacer = drive.pacer(records).unwrap();
        pacer.open = vec![Arc::new(Semaphore::new(3))];
        let (ledger, stop) = (Arc::clone(&pacer.ledger), CancellationToken::new());
        let observe = async {
            let mut first = Vec::new();
            while first.len() < 5 {
                first.push(received.recv().await.unwrap().1);
            }
            stop.cancel();
            // Resets the open ones, so that nobody has to wait for their timeout.
            drop(silent);
            first
        };
        let (ran, first) = tokio::join!(pacer.run(stop.clone()), observe);
        ran.unwrap();
        for request in &first {
            assert_eq!(request.error.as_deref(), Some("shed"));
            assert!(request.sent.is_none() && !request.ok && request.status == 0);
        }
        let report = ledger.tally.report();
        assert!(report.shed >= 5, "{report:?}");
        assert_eq!(report.due, report.sent + report.shed);
        for pair in first.windows(2) {
            let gap = pair[1].due.since(pair[0].due);
            assert!(gap.abs_diff(Duration::from_millis(5)) < Duration::from_micros(1), "{gap:?}");
        }
    }
}
