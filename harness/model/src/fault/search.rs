//! A dose that is searched: which parameters of a fault can be, in which unit, which way is worse, and how a value is put in. Pure.

use super::Action;
use crate::units::{Bytes, Percent, Span, Throughput, trim_float};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::Duration;

/// Steps that a range has where nothing is said of them.
pub const STEPS: f64 = 32.0;
/// More steps than this are more plays than anybody waits for.
pub const MOST_STEPS: f64 = 1024.0;
/// Plays beyond the bisection: both ends of the bracket once more, …
const CONFIRMING: u32 = 2;
/// … and answers that contradict each other.
const SPARE: u32 = 4;

/// Quantity of a dose, kept in its base unit: seconds, a fraction, bytes, bytes a second, a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DoseUnit {
    /// A length of time.
    #[serde(rename = "s")]
    Seconds,
    /// A share.
    #[serde(rename = "fraction")]
    Fraction,
    /// A size.
    #[serde(rename = "B")]
    Bytes,
    /// A throughput.
    #[serde(rename = "B/s")]
    BytesPerSecond,
    /// A whole number.
    #[serde(rename = "count")]
    Count,
}

impl DoseUnit {
    /// As results write it.
    pub fn word(self) -> &'static str {
        match self {
            DoseUnit::Seconds => "s",
            DoseUnit::Fraction => "fraction",
            DoseUnit::Bytes => "B",
            DoseUnit::BytesPerSecond => "B/s",
            DoseUnit::Count => "count",
        }
    }

    /// What a config writes; the error says what was expected.
    pub fn parse(self, text: &str) -> Result<f64, String> {
        let text = text.trim();
        let said = |error: crate::units::UnitError| error.to_string();
        match self {
            DoseUnit::Seconds => text.parse().map(|span: Span| span.0.as_secs_f64()).map_err(said),
            DoseUnit::Fraction => text.parse().map(|share: Percent| share.0).map_err(said),
            DoseUnit::Bytes => text.parse().map(|bytes: Bytes| bytes.0 as f64).map_err(said),
            DoseUnit::BytesPerSecond => text.parse().map(|rate: Throughput| rate.0 as f64).map_err(said),
            DoseUnit::Count => {
                text.parse().map(|count: u32| f64::from(count)).map_err(|_| format!("expected a whole number, found {text:?}"))
            }
        }
    }

    /// As the config writes it, to the grain of the quantity: `430ms`, `2.5%`, `64KiB`, `12`.
    pub fn write(self, dose: f64) -> String {
        match self {
            DoseUnit::Seconds => Span(Duration::from_micros((dose * 1e6).round() as u64)).to_string(),
            DoseUnit::Fraction => Percent(dose).to_string(),
            DoseUnit::Bytes => Bytes(dose.round() as u64).to_string(),
            DoseUnit::BytesPerSecond => Throughput(dose.round() as u64).to_string(),
            DoseUnit::Count => format!("{}", dose.round() as u64),
        }
    }

    /// As people read it, with three digits that matter: `430 ms`, `1.05 s`, `2.5 %`.
    pub fn show(self, dose: f64) -> String {
        let digits = |value: f64| match value {
            small if small < 10.0 => trim_float((small * 100.0).round() / 100.0),
            middle if middle < 100.0 => trim_float((middle * 10.0).round() / 10.0),
            _ => format!("{value:.0}"),
        };
        let sized = |value: f64| match value {
            large if large >= 1_048_576.0 => format!("{} MiB", digits(large / 1_048_576.0)),
            middle if middle >= 1024.0 => format!("{} KiB", digits(middle / 1024.0)),
            small => format!("{small:.0} B"),
        };
        match self {
            DoseUnit::Seconds if dose >= 1.0 => format!("{} s", digits(dose)),
            DoseUnit::Seconds => format!("{} ms", digits(dose * 1e3)),
            DoseUnit::Fraction => format!("{} %", digits(dose * 100.0)),
            DoseUnit::Bytes => sized(dose),
            DoseUnit::BytesPerSecond => format!("{}/s", sized(dose)),
            DoseUnit::Count => format!("{dose:.0}"),
        }
    }

    /// The nearest dose that can be written.
    pub fn settle(self, dose: f64) -> f64 {
        self.parse(&self.write(dose)).unwrap_or(dose)
    }

    /// The smallest difference between two doses.
    pub fn grain(self) -> f64 {
        match self {
            DoseUnit::Seconds | DoseUnit::Fraction => 1e-6,
            DoseUnit::Bytes | DoseUnit::BytesPerSecond | DoseUnit::Count => 1.0,
        }
    }
}

/// Which way a fault gets worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Worse {
    /// With a larger number: a longer delay.
    Larger,
    /// With a smaller one: a narrower line.
    Smaller,
}

use DoseUnit::{Bytes as Size, BytesPerSecond as Line, Count, Fraction as Share, Seconds as Time};
use Worse::{Larger, Smaller};

/// What can be searched: kind and parameter as the config writes them.
const FIELDS: &[(&str, DoseUnit, Worse)] = &[
    ("cpu.workers", Count, Larger),
    ("cpu.load", Share, Larger),
    ("cpu.quota", Share, Smaller),
    ("memory.use", Size, Larger),
    ("memory.fill", Share, Larger),
    ("memory.limit", Size, Smaller),
    ("io.workers", Count, Larger),
    ("fill.to", Share, Larger),
    ("fill.leave", Size, Smaller),
    ("fill.bytes", Size, Larger),
    ("disk.share", Share, Larger),
    ("disk.delay", Time, Larger),
    ("pids.leave", Count, Smaller),
    ("pids.limit", Count, Smaller),
    ("files.leave", Count, Smaller),
    ("dns.share", Share, Larger),
    ("dns.delay", Time, Larger),
    ("latency.delay", Time, Larger),
    ("latency.jitter", Time, Larger),
    ("loss.share", Share, Larger),
    ("reorder.share", Share, Larger),
    ("reorder.delay", Time, Larger),
    ("corrupt.share", Share, Larger),
    ("duplicate.share", Share, Larger),
    ("connect.delay", Time, Larger),
    ("mtu.size", Size, Smaller),
    ("bandwidth.rate", Line, Smaller),
    ("slicer.delay", Time, Larger),
    ("slow_close.delay", Time, Larger),
    ("limit_data.bytes", Size, Smaller),
    ("http.share", Share, Larger),
    ("http.delay", Time, Larger),
    ("grpc.share", Share, Larger),
    ("grpc.delay", Time, Larger),
    ("postgres.share", Share, Larger),
    ("postgres.delay", Time, Larger),
    ("redis.share", Share, Larger),
    ("redis.delay", Time, Larger),
];

/// Unit and direction of a parameter; `None`: it cannot be searched.
pub fn field(path: &str) -> Option<(DoseUnit, Worse)> {
    FIELDS.iter().find(|(known, ..)| *known == path).map(|(_, unit, worse)| (*unit, *worse))
}

/// The parameters of a kind that can be searched.
pub fn fields_of(kind: &str) -> impl Iterator<Item = &'static str> {
    let of_kind = move |path: &&str| path.split_once('.').is_some_and(|(of, _)| of == kind);
    FIELDS.iter().map(|(path, ..)| *path).filter(of_kind)
}

/// `search: {latency.delay: 0ms..2s}`: the largest dose under which the scenario's expectations hold is to be found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Search {
    /// The parameter: `latency.delay`.
    pub path: String,
    /// Its quantity.
    pub unit: DoseUnit,
    /// Which way it gets worse.
    pub worse: Worse,
    /// The smaller end of the range, as it is played: never zero where more is worse, since no fault is no dose.
    pub from: f64,
    /// The larger end.
    pub to: f64,
    /// How exactly the boundary is wanted.
    pub step: f64,
}

impl Search {
    /// How bad a dose is: grows as it gets worse.
    pub fn severity(&self, dose: f64) -> f64 {
        if self.worse == Worse::Larger { dose } else { -dose }
    }

    /// The dose of a severity, to the grain of its quantity.
    pub fn dose(&self, severity: f64) -> f64 {
        self.unit.settle(self.severity(severity))
    }

    /// Plays that a bisection needs for so many variants where no answer contradicts another.
    pub fn plays(&self, variants: u32) -> u32 {
        let halvings = ((self.to - self.from) / self.step).log2().ceil().clamp(1.0, MOST_STEPS.log2()) as u32;
        // All variants share the first one.
        1 + variants * (halvings + CONFIRMING)
    }

    /// Plays that are made at most.
    pub fn most_plays(&self, variants: u32) -> u32 {
        self.plays(variants) + variants * SPARE
    }
}

impl Action {
    /// The same with another value of a parameter that [`Search`] names.
    pub fn with_dose(&self, search: &Search, dose: f64) -> Result<Action, String> {
        let wrong = |why: &str| format!("{} of {} cannot be set to {}: {why}", search.path, self.kind(), search.unit.write(dose));
        let (kind, parameter) = search.path.split_once('.').ok_or_else(|| wrong("it names no parameter"))?;
        if kind != self.kind() {
            return Err(wrong("it is of another kind"));
        }
        let mut value = serde_json::to_value(self).map_err(|error| wrong(&error.to_string()))?;
        let new = match search.unit {
            DoseUnit::Count => Value::from(dose.round() as u64),
            unit => Value::from(unit.write(dose)),
        };
        let body = value.get_mut(kind).ok_or_else(|| wrong("it takes no parameters"))?;
        if !put(body, parameter, &new) {
            return Err(wrong("the fault does not have it"));
        }
        serde_json::from_value(value).map_err(|error| wrong(&error.to_string()))
    }
}

/// Puts `new` in the place of the first text or number under `name`, at any depth; `false`: there is none.
fn put(value: &mut Value, name: &str, new: &Value) -> bool {
    let Value::Object(entries) = value else { return false };
    match entries.get_mut(name) {
        Some(found @ (Value::String(_) | Value::Number(_))) => {
            *found = new.clone();
            true
        }
        _ => entries.values_mut().any(|inner| put(inner, name, new)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use std::{
        collections::BTreeMap,
        path::{Path, PathBuf},
    };

    /// The action of a fault as a config writes it.
    fn action(on: &str, fault: &str) -> Action {
        let text = format!(
            "services: {{process: {{a: {{run: [./a]}}, b: {{run: [./b]}}}}}}\nload: {{l: {{to: \"a:80\", request: GET /, rate: 50/s}}}}\nscenarios: [{{scenario: s, faults: [{{for: 5s, on: \"{on}\", {fault}}}]}}]\n"
        );
        let files = BTreeMap::from([(PathBuf::from("/p/shakedown.yaml"), text)]);
        let loaded = config::load(Path::new("/p/shakedown.yaml"), &files, &BTreeMap::new());
        let mut scenario = loaded.unwrap_or_else(|mistakes| panic!("{mistakes}")).experiment.scenarios.remove(0);
        scenario.faults.remove(0).action
    }

    fn search(path: &str, from: f64, to: f64) -> Search {
        let (unit, worse) = field(path).unwrap();
        Search { path: path.to_owned(), unit, worse, from, to, step: (to - from) / STEPS }
    }

    #[test]
    fn a_dose_is_put_into_every_kind_that_can_be_searched_and_nothing_else_changes() {
        let edge = "a -> b";
        let cases = [
            ("a", "cpu: {workers: 2, load: 50%}", "cpu.workers", 7.0),
            ("a", "cpu: {workers: 2, load: 50%}", "cpu.load", 0.25),
            ("a", "cpu: {quota: 50%}", "cpu.quota", 0.25),
            ("a", "memory: {use: 64MiB}", "memory.use", 1024.0),
            ("a", "memory: {fill: 80%}", "memory.fill", 0.25),
            ("a", "memory: {limit: 64MiB}", "memory.limit", 1024.0),
            ("a", "io: {path: /data, workers: 2}", "io.workers", 7.0),
            ("a", "fill: {path: /data, to: 90%}", "fill.to", 0.25),
            ("a", "fill: {path: /data, leave: 1MiB}", "fill.leave", 1024.0),
            ("a", "fill: {path: /data, bytes: 1MiB}", "fill.bytes", 1024.0),
            ("a", "pids: {leave: 4}", "pids.leave", 7.0),
            ("a", "pids: {limit: 4}", "pids.limit", 7.0),
            ("a", "files: {leave: 4}", "files.leave", 7.0),
            ("a", "dns: {delay: 50ms}", "dns.delay", 0.43),
            (edge, "latency: {delay: 50ms, jitter: 5ms}", "latency.delay", 0.43),
            (edge, "latency: {delay: 50ms, jitter: 5ms}", "latency.jitter", 0.01),
            (edge, "loss: {share: 5%}", "loss.share", 0.25),
            (edge, "reorder: {share: 5%, delay: 30ms}", "reorder.delay", 0.43),
            (edge, "connect: {delay: 1s}", "connect.delay", 0.43),
            (edge, "mtu: {size: 1280B}", "mtu.size", 1024.0),
            (edge, "bandwidth: {rate: 1MiB/s}", "bandwidth.rate", 1024.0),
            (edge, "slow_close: {delay: 1s}", "slow_close.delay", 0.43),
            (edge, "limit_data: {bytes: 1MiB}", "limit_data.bytes", 1024.0),
            (edge, "http: {share: 50%, delay: 200ms}", "http.delay", 0.43),
            (edge, "http: {share: 50%, delay: 200ms}", "http.share", 0.25),
        ];
        for (on, fault, path, dose) in cases {
            let before = action(on, fault);
            let search = search(path, 0.0, 1.0);
            let after = before.with_dose(&search, dose).unwrap();
            let (old, new) = (before.asked(), after.asked());
            let changed: Vec<&String> = new.keys().filter(|name| old[*name].to_bits() != new[*name].to_bits()).collect();
            assert_eq!(changed.len(), 1, "{path}: {old:?} became {new:?}");
            assert_eq!(after.with_dose(&search, dose).unwrap(), after, "{path}");
        }
    }

    #[test]
    fn what_a_fault_does_not_have_and_what_it_cannot_be_is_refused() {
        let quota = action("a", "cpu: {quota: 50%}");
        assert!(quota.with_dose(&search("cpu.load", 0.0, 1.0), 0.5).unwrap_err().contains("does not have it"));
        assert!(quota.with_dose(&search("loss.share", 0.0, 1.0), 0.5).unwrap_err().contains("another kind"));
        let line = action("a -> b", "bandwidth: {rate: 1MiB/s}");
        assert!(line.with_dose(&search("bandwidth.rate", 0.0, 1e6), 0.0).unwrap_err().contains("above zero"));
        assert_eq!(fields_of("latency").collect::<Vec<_>>(), ["latency.delay", "latency.jitter"]);
        assert!(field("latency.correlation").is_none());
    }

    #[test]
    fn doses_are_written_as_the_config_reads_them_and_shown_with_three_digits() {
        let cases = [
            (Time, 0.046_875, "46875us", "46.9 ms"),
            (Time, 1.05, "1050ms", "1.05 s"),
            (Share, 0.025, "2.5%", "2.5 %"),
            (Size, 65_536.4, "64KiB", "64 KiB"),
            (Line, 300.0, "300B/s", "300 B/s"),
            (Count, 11.6, "12", "12"),
        ];
        for (unit, dose, written, shown) in cases {
            assert_eq!((unit.write(dose).as_str(), unit.show(dose).as_str()), (written, shown));
            assert!((unit.parse(written).unwrap() - unit.settle(dose)).abs() < 1e-12);
        }
    }

    #[test]
    fn where_less_is_worse_the_order_of_doses_turns_round() {
        let line = search("bandwidth.rate", 1024.0, 1_048_576.0);
        assert!(line.severity(1024.0) > line.severity(1_048_576.0));
        assert!((line.dose(line.severity(4096.0)) - 4096.0).abs() < 1e-9);
    }

    #[test]
    fn the_number_of_plays_grows_with_the_steps_and_is_bounded() {
        let delay = search("latency.delay", 0.0, 2.0);
        assert_eq!((delay.plays(1), delay.plays(2), delay.most_plays(2)), (8, 15, 23));
        assert_eq!(Search { step: 1e-6, ..delay.clone() }.plays(1), 13);
        assert_eq!(Search { step: 1.0, ..delay }.plays(1), 4);
    }
}
