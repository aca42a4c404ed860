//! What is driven, and the thread that drives it.

use crate::{
    clock::Anchor,
    errand::{Ledger, Order},
    error::LoadError,
    lanes::Lanes,
    pacer::{Course, OPEN, Pacer},
    pool::Pool,
    priority,
    recipe::Recipe,
    schedule::Schedule,
    tally::Tally,
};
use shakedown_model::{
    event::{GeneratorReport, Phase},
    evidence::Request,
    experiment::Load,
    plan::Slots,
    stack::Variant,
};
use std::{collections::HashMap, io, net::SocketAddr, panic, sync::Arc, thread, time::Duration};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

/// One variant, and where each load reaches it.
#[derive(Debug, Clone)]
pub struct Lane {
    /// Which variant.
    pub variant: Variant,
    /// By name of the load. An address that changes is followed from the next request on.
    pub targets: HashMap<String, watch::Receiver<SocketAddr>>,
}

/// Everything that the load of one scenario needs.
#[derive(Debug, Clone)]
pub struct Drive {
    /// Id of the run: for baggage and templates.
    pub run: String,
    /// Name of the scenario: for baggage and records.
    pub scenario: String,
    /// What is sent, all at once.
    pub loads: Vec<Load>,
    /// To whom: one variant, or two in alternation.
    pub lanes: Vec<Lane>,
    /// When which of two variants has its turn; blocks are counted with one variant too.
    pub slots: Slots,
    /// Of due times and texts (with the name of the load) and of trace ids (with run and scenario too).
    pub seed: u64,
    /// Current phase: a request belongs to the one in which it is due.
    pub phase: watch::Receiver<Phase>,
}

impl Drive {
    /// Finds every mistake that would stop [`drive`].
    pub fn check(&self) -> Result<(), LoadError> {
        self.check_lanes()?;
        self.loads.iter().try_for_each(|load| Recipe::compile(load, &self.run, &self.scenario, self.seed).map(drop))
    }

    fn check_lanes(&self) -> Result<(), LoadError> {
        match self.lanes.as_slice() {
            [_] => {}
            [one, other] if one.variant != other.variant => {
                if self.slots.slot.is_zero() {
                    return Err(LoadError::Slot { slot: self.slots.slot });
                }
            }
            [] => return Err(LoadError::Lanes { found: "none".to_owned() }),
            lanes => {
                let words: Vec<&str> = lanes.iter().map(|lane| lane.variant.word()).collect();
                return Err(LoadError::Lanes { found: words.join(", ") });
            }
        }
        for (lane, load) in self.lanes.iter().flat_map(|lane| self.loads.iter().map(move |load| (lane, load))) {
            lane.target(load)?;
        }
        Ok(())
    }

    fn courses(&self) -> Result<Vec<Course>, LoadError> {
        let course = |load: &Load| {
            let recipe = Recipe::compile(load, &self.run, &self.scenario, self.seed)?;
            let pools = self.lanes.iter().map(|lane| Ok(Arc::new(Pool::new(lane.target(load)?.clone()))));
            let order = Order { load: load.clone(), recipe };
            Ok(Course::new(order, Schedule::new(load, self.seed), pools.collect::<Result<_, LoadError>>()?))
        };
        self.loads.iter().map(course).collect()
    }

    pub(crate) fn pacer(self, records: mpsc::UnboundedSender<(Variant, Request)>) -> Result<Pacer, LoadError> {
        self.check_lanes()?;
        let courses = self.courses()?;
        let variants = self.lanes.iter().map(|lane| lane.variant).collect();
        Ok(Pacer {
            courses,
            lanes: Lanes::new(variants, self.slots),
            open: self.lanes.iter().map(|_| Arc::new(Semaphore::new(OPEN))).collect(),
            phase: self.phase,
            ledger: Arc::new(Ledger { anchor: Anchor::now(), scenario: self.scenario, tally: Tally::new(), records }),
        })
    }
}

impl Lane {
    fn target(&self, load: &Load) -> Result<&watch::Receiver<SocketAddr>, LoadError> {
        self.targets.get(&load.name).ok_or_else(|| LoadError::NoTarget { load: load.name.clone(), variant: self.variant })
    }
}

/// Finds every mistake in the texts of one load, for those who only validate a config.
pub fn check_load(load: &Load) -> Result<(), LoadError> {
    Recipe::compile(load, "run", "scenario", 0).map(drop)
}

/// Drives until `stop`; then lets open requests finish (bounded by their timeout), and reports.
///
/// The load runs on a thread of its own, a little ahead of others where the system permits it. The thread is joined before this returns;
/// where the future is dropped instead, the thread abandons its open requests and ends by itself at once.
///
/// # Panics
///
/// Where [`Drive::check`] would have found a mistake, and where the system has no thread or file descriptor left at the start.
pub async fn drive(drive: Drive, records: mpsc::UnboundedSender<(Variant, Request)>, stop: CancellationToken) -> GeneratorReport {
    let pacer = drive.pacer(records).unwrap_or_else(|error| panic!("a drive is checked before it starts: {error}"));
    let abandon = CancellationToken::new();
    let _abandoned_on_drop = abandon.clone().drop_guard();
    let (over, ended) = oneshot::channel::<()>();
    let thread = thread::Builder::new().name("shakedown-load".to_owned()).spawn(move || {
        let report = on_this_thread(pacer, &stop, &abandon);
        drop(over);
        report
    });
    let thread = thread.unwrap_or_else(|error| panic!("no thread for the load generator ({error}): raise `ulimit -u`"));
    // An error is the only answer there is: the sender is dropped when the thread is done, also where it panics.
    let _ = ended.await;
    match thread.join() {
        Ok(Ok(report)) => report,
        Ok(Err(error)) => panic!("no timer for the load generator ({error}): raise `ulimit -n`"),
        Err(panic) => panic::resume_unwind(panic),
    }
}

fn on_this_thread(pacer: Pacer, stop: &CancellationToken, abandon: &CancellationToken) -> io::Result<GeneratorReport> {
    priority::raise();
    // Polling the timer often keeps a burst of answers from making the next request late.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().event_interval(8).build()?;
    let ledger = Arc::clone(&pacer.ledger);
    let outcome = runtime.block_on(async {
        tokio::select! {
            outcome = pacer.run(stop.clone()) => outcome,
            () = abandon.cancelled() => Ok(()),
        }
    });
    // Closing the connections of the pools is quick; nothing that blocks was ever started.
    runtime.shutdown_timeout(Duration::ZERO);
    outcome.map(|()| ledger.tally.report())
}

/// A load to vary in tests.
#[cfg(test)]
pub(crate) fn sample(name: &str) -> Load {
    use shakedown_model::{
        experiment::{Arrivals, Source},
        units::{Rate, Span},
    };
    Load {
        name: name.to_owned(),
        service: "gateway".to_owned(),
        port: 8080,
        method: "POST".to_owned(),
        path: "/checkout".to_owned(),
        headers: indexmap::IndexMap::new(),
        body: None,
        rate: Rate(200.0),
        arrivals: Arrivals::Constant,
        timeout: Span(Duration::from_secs(2)),
        success_status: Vec::new(),
        source: Source::default(),
    }
}
