//! Points in time as every file of a run directory writes them.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A point in time: nanoseconds since 1970-01-01T00:00:00Z, as OTLP writes `timeUnixNano`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct UnixNanos(pub u64);

impl UnixNanos {
    /// Time that passed since `earlier`; zero where `earlier` is later.
    pub fn since(self, earlier: UnixNanos) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// Seconds since `origin`, negative before it: the x of every chart.
    pub fn seconds_from(self, origin: UnixNanos) -> f64 {
        (self.0 as f64 - origin.0 as f64) / 1e9
    }

    /// Out of seconds, as Prometheus writes times; what is negative or no number is 0. The fraction by itself, as 64 bits hold no nanoseconds of
    /// this century otherwise.
    pub fn from_seconds(seconds: f64) -> UnixNanos {
        let seconds = seconds.max(0.0);
        UnixNanos((seconds.trunc() as u64).saturating_mul(1_000_000_000).saturating_add((seconds.fract() * 1e9).round() as u64))
    }

    /// The day that it lies in, in UTC.
    pub fn day(self) -> Day {
        // 64 bits of nanoseconds end in 2554.
        Day(self.rfc3339().chars().take(10).collect())
    }

    /// RFC 3339 with milliseconds, in UTC.
    pub fn rfc3339(self) -> String {
        let nanos = i128::from(self.0);
        jiff::Timestamp::from_nanosecond(nanos).map_or_else(|_| self.0.to_string(), |timestamp| format!("{timestamp:.3}"))
    }
}

impl std::ops::Add<Duration> for UnixNanos {
    type Output = UnixNanos;
    fn add(self, duration: Duration) -> UnixNanos {
        UnixNanos(self.0.saturating_add(duration.as_nanos() as u64))
    }
}

/// A day of the calendar, in UTC: `2026-12-31`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Day(String);

impl schemars::JsonSchema for Day {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Day".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$" })
    }
}

/// The text is not a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a day of the calendar such as 2026-12-31")]
pub struct DayError;

impl std::str::FromStr for Day {
    type Err = DayError;
    fn from_str(text: &str) -> Result<Day, DayError> {
        let written_out = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
        // The text of a day of four-digit years sorts as the day does.
        if written_out && text.parse::<jiff::civil::Date>().is_ok() { Ok(Day(text.to_owned())) } else { Err(DayError) }
    }
}

impl TryFrom<String> for Day {
    type Error = DayError;
    fn try_from(text: String) -> Result<Day, DayError> {
        text.parse()
    }
}

impl From<Day> for String {
    fn from(day: Day) -> String {
        day.0
    }
}

impl std::fmt::Display for Day {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A half-open interval `[start, end)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Window {
    /// First instant inside.
    pub start: UnixNanos,
    /// First instant outside.
    pub end: UnixNanos,
}

impl Window {
    /// Whether `at` lies inside.
    pub fn contains(self, at: UnixNanos) -> bool {
        self.start <= at && at < self.end
    }

    /// How long the interval is.
    pub fn length(self) -> Duration {
        self.end.since(self.start)
    }
}

/// Prints a duration as people say it: `340 µs`, `12.3 ms`, `4.2 s`, `3 min 05 s`.
pub fn human(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 0.001 {
        format!("{:.0} µs", seconds * 1e6)
    } else if seconds < 0.01 {
        format!("{:.2} ms", seconds * 1e3)
    } else if seconds < 1.0 {
        format!("{:.1} ms", seconds * 1e3)
    } else if seconds < 60.0 {
        format!("{seconds:.1} s")
    } else {
        format!("{:.0} min {:02.0} s", (seconds / 60.0).floor(), seconds % 60.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_people_say_them() {
        let cases = [(340, "340 µs"), (1_234, "1.23 ms"), (12_340, "12.3 ms"), (4_200_000, "4.2 s"), (185_000_000, "3 min 05 s")];
        for (micros, expected) in cases {
            assert_eq!(human(Duration::from_micros(micros)), expected);
        }
    }

    #[test]
    fn a_window_holds_its_start_and_not_its_end() {
        let window = Window { start: UnixNanos(10), end: UnixNanos(20) };
        assert!(window.contains(UnixNanos(10)) && !window.contains(UnixNanos(20)));
    }

    #[test]
    fn seconds_with_a_fraction_become_nanoseconds() {
        assert_eq!(UnixNanos::from_seconds(1_700_000_000.25), UnixNanos(1_700_000_000_250_000_000));
        for nothing in [-1.0, f64::NAN, 0.0] {
            assert_eq!(UnixNanos::from_seconds(nothing), UnixNanos(0));
        }
        assert_eq!(UnixNanos::from_seconds(f64::INFINITY), UnixNanos(u64::MAX));
    }

    #[test]
    fn a_timestamp_prints_as_rfc_3339() {
        assert_eq!(UnixNanos(1_700_000_000_123_456_789).rfc3339(), "2023-11-14T22:13:20.123Z");
    }

    #[test]
    fn a_day_is_one_of_the_calendar_and_days_sort_as_time_does() {
        let day = |text: &str| text.parse::<Day>();
        assert!(day("2026-12-31").unwrap() > day("2026-12-30").unwrap());
        assert_eq!(UnixNanos(1_767_225_599_999_999_999).day(), day("2025-12-31").unwrap());
        assert_eq!(UnixNanos(1_767_225_600_000_000_000).day(), day("2026-01-01").unwrap());
        for wrong in ["", "2026-02-30", "2026-13-01", "26-01-01", "2026-1-1", "tomorrow", "2026-01-01T00:00:00Z", "20260101"] {
            assert_eq!(day(wrong), Err(DayError), "{wrong}");
        }
        assert!(serde_json::from_str::<Day>("\"2026-02-30\"").is_err(), "what a file says is checked, too");
    }
}
