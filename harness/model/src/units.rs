//! Quantities with their units written out: `200ms`, `10%`, `200/s`, `1MiB`, `>= 99.5%`, `<= 2x`.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::{fmt, str::FromStr, time::Duration};

/// A text that is not the quantity that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, found {found:?}")]
pub struct UnitError {
    /// What would have been right, with an example.
    pub expected: &'static str,
    /// What stood there.
    pub found: String,
}

fn split_unit(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let number: f64 = number.parse().ok()?;
    number.is_finite().then_some((number, unit.trim()))
}

macro_rules! text_quantity {
    ($name:ident, $pattern:literal) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(D::Error::custom)
            }
        }
        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "pattern": $pattern })
            }
        }
    };
}

/// A length of time: `250us`, `200ms`, `5s`, `2m`, `1h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span(pub Duration);

impl FromStr for Span {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Self, UnitError> {
        let wrong = || UnitError { expected: "a duration such as `200ms`, `5s` or `2m`", found: text.to_owned() };
        let (number, unit) = split_unit(text).ok_or_else(wrong)?;
        let seconds = match unit {
            "ns" => 1e-9,
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3600.0,
            _ => return Err(wrong()),
        };
        Duration::try_from_secs_f64(number * seconds).map(Span).map_err(|_| wrong())
    }
}

/// A duration as Prometheus writes it: `30s`, `1m30s`, units from large to small; `1.5s` is none.
pub fn prometheus_duration(text: &str) -> Option<Duration> {
    let (mut all, mut rest) = (Duration::ZERO, text.trim());
    if rest == "0" {
        return Some(all);
    }
    let mut last = u64::MAX;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        let end = rest[digits..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |end| digits + end);
        let millis: u64 = match &rest[digits..end] {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 604_800_000,
            "y" => 31_536_000_000,
            _ => return None,
        };
        // From large to small, each once.
        if millis >= last {
            return None;
        }
        last = millis;
        all = all.checked_add(Duration::from_millis(number.checked_mul(millis)?))?;
        rest = &rest[end..];
    }
    (last != u64::MAX).then_some(all)
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        for (unit, size) in [("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000)] {
            if nanos.is_multiple_of(size) {
                return write!(f, "{}{unit}", nanos / size);
            }
        }
        write!(f, "{nanos}ns")
    }
}
text_quantity!(Span, r"^\s*[0-9.]+\s*(ns|us|µs|ms|s|m|min|h)\s*$");

/// A length of time forwards or back: `+5m`, `-1h`, `250ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shift {
    /// How far.
    pub length: Span,
    /// Whether back.
    pub is_back: bool,
}

impl Shift {
    /// In milliseconds, below zero where it leads back.
    pub fn as_millis(self) -> f64 {
        let millis = self.length.0.as_secs_f64() * 1e3;
        if self.is_back { -millis } else { millis }
    }
}

impl FromStr for Shift {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Self, UnitError> {
        let wrong = |_| UnitError { expected: "a shift of time such as `-1h`, `+5m` or `250ms`", found: text.to_owned() };
        let trimmed = text.trim_start();
        let is_back = trimmed.starts_with('-');
        let length = trimmed.trim_start_matches(['-', '+']).parse().map_err(wrong)?;
        if trimmed.len() - trimmed.trim_start_matches(['-', '+']).len() > 1 {
            return Err(wrong(UnitError { expected: "one sign", found: text.to_owned() }));
        }
        Ok(Shift { length, is_back })
    }
}

impl fmt::Display for Shift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.is_back { '-' } else { '+' }, self.length)
    }
}
text_quantity!(Shift, r"^\s*[+-]?[0-9.]+\s*(ns|us|µs|ms|s|m|min|h)\s*$");

/// A share, written in per cent, kept as a fraction: `10%` is `0.1`.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Percent(pub f64);

impl FromStr for Percent {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Self, UnitError> {
        match split_unit(text) {
            Some((number, "%")) => Ok(Percent(number / 100.0)),
            _ => Err(UnitError { expected: "a percentage such as `99.5%`", found: text.to_owned() }),
        }
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", trim_float(self.0 * 100.0))
    }
}
text_quantity!(Percent, r"^\s*[0-9.]+\s*%\s*$");

/// Arrivals per second: `200/s`, `30/m`.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Rate(pub f64);

impl FromStr for Rate {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Self, UnitError> {
        let wrong = || UnitError { expected: "a rate above zero such as `200/s` or `30/m`", found: text.to_owned() };
        let (number, unit) = split_unit(text).ok_or_else(wrong)?;
        let rate = match unit {
            "/s" | "/ s" => number,
            "/m" | "/min" => number / 60.0,
            _ => return Err(wrong()),
        };
        if rate > 0.0 { Ok(Rate(rate)) } else { Err(wrong()) }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s", trim_float(self.0))
    }
}
text_quantity!(Rate, r"^\s*[0-9.]+\s*/\s*(s|m|min)\s*$");

/// An amount of data: `512B`, `64KiB`, `1MiB`, `2GB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

impl FromStr for Bytes {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Self, UnitError> {
        let wrong = || UnitError { expected: "a size such as `64KiB` or `1MiB`", found: text.to_owned() };
        let (number, unit) = split_unit(text).ok_or_else(wrong)?;
        let factor = match unit {
            "B" | "b" => 1.0,
            "kB" | "KB" => 1e3,
            "MB" => 1e6,
            "GB" => 1e9,
            "KiB" | "k" => 1024.0,
            "MiB" | "m" => 1024.0 * 1024.0,
            "GiB" | "g" => 1024.0 * 1024.0 * 1024.0,
            _ => return Err(wrong()),
        };
        Ok(Bytes((number * factor) as u64))
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, size) in [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
            if self.0 >= size && self.0.is_multiple_of(size) {
                return write!(f, "{}{unit}", self.0 / size);
            }
        }
        write!(f, "{}B", self.0)
    }
}
text_quantity!(Bytes, r"^\s*[0-9.]+\s*([KMG]i?B|B|kB|[kmg])\s*$");

/// Bytes per second: `256KiB/s`, `1MB/s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Throughput(pub u64);

impl FromStr for Throughput {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Self, UnitError> {
        let wrong = || UnitError { expected: "a throughput above zero such as `256KiB/s` or `1MB/s`", found: text.to_owned() };
        let bytes: Bytes = text.trim().strip_suffix("/s").ok_or_else(wrong)?.parse().map_err(|_| wrong())?;
        if bytes.0 > 0 { Ok(Throughput(bytes.0)) } else { Err(wrong()) }
    }
}

impl fmt::Display for Throughput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s", Bytes(self.0))
    }
}
text_quantity!(Throughput, r"^\s*[0-9.]+\s*([KMG]i?B|B|kB|[kmg])/s\s*$");

/// Which side of a limit is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// `<=`
    AtMost,
    /// `<`
    Below,
    /// `>=`
    AtLeast,
    /// `>`
    Above,
}

impl Relation {
    /// Whether `observed` stands in this relation to `limit`.
    pub fn holds(self, observed: f64, limit: f64) -> bool {
        match self {
            Relation::AtMost => observed <= limit,
            Relation::Below => observed < limit,
            Relation::AtLeast => observed >= limit,
            Relation::Above => observed > limit,
        }
    }

    /// The sign as the config writes it.
    pub fn sign(self) -> &'static str {
        match self {
            Relation::AtMost => "<=",
            Relation::Below => "<",
            Relation::AtLeast => ">=",
            Relation::Above => ">",
        }
    }
}

fn split_relation(text: &str) -> Option<(Relation, &str)> {
    let text = text.trim();
    [("<=", Relation::AtMost), (">=", Relation::AtLeast), ("<", Relation::Below), (">", Relation::Above)]
        .into_iter()
        .find_map(|(sign, relation)| text.strip_prefix(sign).map(|rest| (relation, rest.trim())))
}

macro_rules! limit {
    ($(#[$doc:meta])* $name:ident, $inner:ty, $expected:literal, $render:expr, $parse:expr, $value:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq)]
        pub struct $name {
            /// Which side is allowed.
            pub relation: Relation,
            /// The limit.
            pub limit: $inner,
        }
        impl $name {
            /// The limit as a plain number (seconds, fraction, ratio or count).
            pub fn value(self) -> f64 {
                ($value)(self.limit)
            }
            /// Whether `observed`, in the unit of [`Self::value`], keeps the limit.
            pub fn holds(self, observed: f64) -> bool {
                self.relation.holds(observed, self.value())
            }
        }
        impl FromStr for $name {
            type Err = UnitError;
            fn from_str(text: &str) -> Result<Self, UnitError> {
                let wrong = || UnitError { expected: $expected, found: text.to_owned() };
                let (relation, rest) = split_relation(text).ok_or_else(wrong)?;
                let limit = ($parse)(rest).ok_or_else(wrong)?;
                Ok($name { relation, limit })
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{} {}", self.relation.sign(), ($render)(self.limit))
            }
        }
        text_quantity!($name, r"^\s*(<=|>=|<|>)\s*[0-9.]+.*$");
    };
}

limit!(
    /// A bound on a duration: `<= 250ms`.
    SpanLimit, Span, "a limit such as `<= 250ms`",
    |span: Span| span.to_string(), |text: &str| text.parse::<Span>().ok(), |span: Span| span.0.as_secs_f64()
);
limit!(
    /// A bound on a share: `>= 99.5%`.
    ShareLimit, Percent, "a limit such as `>= 99.5%`",
    |share: Percent| share.to_string(), |text: &str| text.parse::<Percent>().ok(), |share: Percent| share.0
);
limit!(
    /// A bound on a ratio: `<= 2x`.
    RatioLimit, f64, "a limit such as `<= 2x`",
    |ratio: f64| format!("{}x", trim_float(ratio)),
    |text: &str| match split_unit(text) { Some((number, "x" | "×")) => Some(number), _ => None },
    |ratio: f64| ratio
);
limit!(
    /// A bound on a plain number: `<= 0.01`.
    NumberLimit, f64, "a limit such as `<= 0.01`",
    trim_float,
    |text: &str| match split_unit(text) { Some((number, "")) => Some(number), _ => None },
    |number: f64| number
);

/// Prints a float without trailing zeros, at most four digits behind the point.
pub fn trim_float(value: f64) -> String {
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_of_prometheus_have_units_from_large_to_small() {
        let good =
            [("0", 0), ("30s", 30_000), ("1m30s", 90_000), ("2h", 7_200_000), ("1d12h", 129_600_000), ("500ms", 500), (" 5m ", 300_000)];
        for (text, millis) in good {
            assert_eq!(prometheus_duration(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "5", "1.5s", "30s1m", "1m1m", "-5s", "5 m", "1 minute", "99999999999999999999s", "18446744073709551615y"] {
            assert_eq!(prometheus_duration(text), None, "{text}");
        }
    }

    #[test]
    fn quantities_are_read_and_printed_in_their_own_units() {
        assert_eq!("1.5s".parse::<Span>().unwrap().to_string(), "1500ms");
        assert_eq!("99.5%".parse::<Percent>().unwrap().to_string(), "99.5%");
        assert_eq!("30/m".parse::<Rate>().unwrap(), Rate(0.5));
        assert_eq!("1MiB".parse::<Bytes>().unwrap(), Bytes(1 << 20));
        assert_eq!(">= 99.5%".parse::<ShareLimit>().unwrap().to_string(), ">= 99.5%");
        assert_eq!("-1h".parse::<Shift>().unwrap().to_string(), "-3600s");
        assert!(("5m".parse::<Shift>().unwrap().as_millis() - 300_000.0).abs() < 1e-6);
        assert!("--5m".parse::<Shift>().is_err() && "-".parse::<Shift>().is_err());
        assert_eq!("<=2x".parse::<RatioLimit>().unwrap().to_string(), "<= 2x");
    }

    #[test]
    fn a_missing_or_wrong_unit_is_an_error_that_shows_the_right_form() {
        for wrong in ["200", "200 parsecs", "", "-5s", "5 %"] {
            let error = wrong.parse::<Span>().unwrap_err().to_string();
            assert!(error.contains("`200ms`"), "{error}");
        }
        assert!("0/s".parse::<Rate>().is_err());
        assert!("99%".parse::<ShareLimit>().is_err());
    }

    #[test]
    fn limits_hold_on_their_own_side_only() {
        let limit: SpanLimit = "<= 250ms".parse().unwrap();
        assert!(limit.holds(0.25) && !limit.holds(0.2501));
    }
}
