//! A rate with its interval, and work shared between the cores.

use shakedown_judge::stats::binomial;

/// Something that happened so often.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rate {
    hits: u64,
    trials: u64,
}

impl Rate {
    /// Counts what happened.
    pub(crate) fn of(outcomes: impl IntoIterator<Item = bool>) -> Rate {
        outcomes
            .into_iter()
            .fold(Rate { hits: 0, trials: 0 }, |rate, hit| Rate { hits: rate.hits + u64::from(hit), trials: rate.trials + 1 })
    }

    pub(crate) fn share(self) -> f64 {
        self.hits as f64 / self.trials.max(1) as f64
    }

    /// The 95 % interval of Clopper and Pearson.
    pub(crate) fn interval(self) -> (f64, f64) {
        let tail = 0.025;
        let low = bisect(|share| binomial::at_least(self.hits, self.trials, share) < tail);
        let high = bisect(|share| binomial::at_least(self.hits + 1, self.trials, share) < 1.0 - tail);
        (if self.hits == 0 { 0.0 } else { low }, if self.hits == self.trials { 1.0 } else { high })
    }

    /// `97 %`; a dash where nothing was tried.
    #[allow(dead_code, reason = "not every bench that shares this file prints rates without their interval")]
    pub(crate) fn percent(self) -> String {
        if self.trials == 0 { "–".to_owned() } else { format!("{:.0} %", 100.0 * self.share()) }
    }

    /// `0.3 % (0.1–0.9)`, the bracket being the interval.
    pub(crate) fn text(self) -> String {
        let (low, high) = self.interval();
        let percent =
            |share: f64| if share == 0.0 || share > 0.0995 { format!("{:.0}", 100.0 * share) } else { format!("{:.2}", 100.0 * share) };
        format!("{} % ({}–{})", percent(self.share()), percent(low), percent(high))
    }
}

/// Where a condition that holds for small shares stops to hold.
fn bisect(holds: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if holds(middle) { low = middle } else { high = middle }
    }
    low
}

/// The results of `work` on `0..count`, in order, worked out on all cores.
pub(crate) fn on_all_cores<T: Send>(count: u64, work: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    let mut parts: Vec<(u64, T)> = std::thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = (0..cores)
            .map(|core| scope.spawn(move || (core..count).step_by(cores as usize).map(|index| (index, work(index))).collect::<Vec<_>>()))
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("a simulation does not panic")).collect()
    });
    parts.sort_by_key(|(index, _)| *index);
    parts.into_iter().map(|(_, result)| result).collect()
}
