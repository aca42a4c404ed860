//! The value of an expression at an instant, as Prometheus would have it.

use super::{
    parse::{Aggregate, Expr, Grouping, Math, Operator, Over, Selector},
    series::{Labels, Series, Store},
};
use std::collections::{BTreeMap, BTreeSet};

/// The newest sample counts for so long.
const LOOKBACK: f64 = 300.0;

#[derive(Debug)]
pub(super) enum Value {
    Scalar(f64),
    Vector(Vec<(Labels, f64)>),
}

/// What is looked at, and when; all in seconds of Unix time.
#[derive(Clone, Copy)]
pub(super) struct Instant<'s> {
    pub(super) store: &'s Store,
    /// Nothing before this play is seen: its instances are others.
    pub(super) begin: f64,
    pub(super) now: f64,
}

/// Names of metrics that an expression asks for.
pub(super) fn names(expr: &Expr, names: &mut Vec<String>) {
    match expr {
        Expr::Number(_) => {}
        Expr::Select(selector) | Expr::Over(_, selector, _) | Expr::Absent(selector) => names.push(selector.name.clone()),
        Expr::Math(_, of) | Expr::Aggregate(_, _, of) | Expr::Quantile(_, of) => self::names(of, names),
        Expr::Binary(_, _, left, right) => {
            self::names(left, names);
            self::names(right, names);
        }
    }
}

impl Instant<'_> {
    /// `Err`: why that cannot be said.
    pub(super) fn value(&self, expr: &Expr) -> Result<Value, String> {
        Ok(match expr {
            Expr::Number(number) => Value::Scalar(*number),
            Expr::Select(selector) => Value::Vector(self.newest(selector)?),
            Expr::Over(over, selector, range) => Value::Vector(self.over(*over, selector, *range)?),
            Expr::Absent(selector) => {
                Value::Vector(if self.newest(selector)?.is_empty() { vec![(Labels::new(), 1.0)] } else { Vec::new() })
            }
            Expr::Math(math, of) => {
                let apply = |value: f64| match math {
                    Math::Abs => value.abs(),
                    Math::Ceil => value.ceil(),
                    Math::Floor => value.floor(),
                    Math::Negative => -value,
                };
                match self.value(of)? {
                    Value::Scalar(value) => Value::Scalar(apply(value)),
                    Value::Vector(all) => Value::Vector(all.into_iter().map(|(labels, value)| (labels, apply(value))).collect()),
                }
            }
            Expr::Aggregate(aggregate, grouping, of) => match self.value(of)? {
                Value::Scalar(_) => return Err("a number is aggregated".to_owned()),
                Value::Vector(all) => Value::Vector(aggregated(*aggregate, grouping, all)),
            },
            Expr::Quantile(quantile, of) => match self.value(of)? {
                Value::Scalar(_) => return Err("a number has no buckets".to_owned()),
                Value::Vector(all) => Value::Vector(quantiles(*quantile, all)?),
            },
            Expr::Binary(operator, matching, left, right) => binary(*operator, matching, self.value(left)?, self.value(right)?)?,
        })
    }

    fn within<'s>(&self, series: &'s Series, range: f64) -> &'s [(f64, f64)] {
        let after = self.begin.max(self.now - range);
        let start = series.samples.partition_point(|(at, _)| *at < after);
        let end = series.samples.partition_point(|(at, _)| *at <= self.now);
        &series.samples[start..end.max(start)]
    }

    fn newest(&self, selector: &Selector) -> Result<Vec<(Labels, f64)>, String> {
        let newest = |series: &&Series| self.within(series, LOOKBACK).last().map(|(_, value)| (series.labels.clone(), *value));
        Ok(self.store.select(selector)?.iter().filter_map(newest).collect())
    }

    fn over(&self, over: Over, selector: &Selector, range: f64) -> Result<Vec<(Labels, f64)>, String> {
        let value = |series: &&Series| Some((series.labels.clone(), self.of_range(over, self.within(series, range), range)?));
        Ok(self.store.select(selector)?.iter().filter_map(value).collect())
    }

    fn of_range(&self, over: Over, samples: &[(f64, f64)], range: f64) -> Option<f64> {
        let values = samples.iter().map(|(_, value)| *value);
        let last = samples.last()?.1;
        Some(match over {
            Over::Rate => self.extrapolated(samples, range, true)? / range,
            Over::Increase => self.extrapolated(samples, range, true)?,
            Over::Delta => self.extrapolated(samples, range, false)?,
            Over::Irate => {
                let [.., (before, from), (at, to)] = samples else { return None };
                let added = if to < from { *to } else { to - from };
                Some(added / (at - before)).filter(|rate| rate.is_finite())?
            }
            Over::Avg => values.sum::<f64>() / samples.len() as f64,
            Over::Min => values.fold(f64::INFINITY, f64::min),
            Over::Max => values.fold(f64::NEG_INFINITY, f64::max),
            Over::Sum => values.sum(),
            Over::Count => samples.len() as f64,
            Over::Last => last,
        })
    }

    /// What was added in the range, stretched to its ends where samples come near to them; a counter that fell was reset.
    fn extrapolated(&self, samples: &[(f64, f64)], range: f64, is_counter: bool) -> Option<f64> {
        let ([(first, from), ..], [.., (last, to)]) = (samples, samples) else { return None };
        let sampled = last - first;
        if samples.len() < 2 || sampled <= 0.0 {
            return None;
        }
        let resets: f64 = samples.windows(2).filter(|pair| pair[1].1 < pair[0].1).map(|pair| pair[0].1).sum();
        let added = to - from + if is_counter { resets } else { 0.0 };
        let apart = sampled / (samples.len() - 1) as f64;
        let reach = |gap: f64| if gap >= 1.1 * apart { apart / 2.0 } else { gap };
        let mut before = reach(first - (self.now - range));
        if is_counter && added > 0.0 && *from >= 0.0 {
            // It was not below zero.
            before = before.min(sampled * from / added);
        }
        Some(added * (sampled + before + reach(self.now - last)) / sampled)
    }
}

fn kept(labels: &Labels, grouping: &Grouping) -> Labels {
    let keep = |label: &String| match grouping {
        Grouping::None => true,
        Grouping::Only(only) => only.contains(label),
        Grouping::Without(without) => !without.contains(label),
    };
    labels.iter().filter(|(label, _)| keep(label)).map(|(label, value)| (label.clone(), value.clone())).collect()
}

fn aggregated(aggregate: Aggregate, grouping: &Grouping, all: Vec<(Labels, f64)>) -> Vec<(Labels, f64)> {
    let mut groups: BTreeMap<Labels, Vec<f64>> = BTreeMap::new();
    for (labels, value) in all {
        let group = if *grouping == Grouping::None { Labels::new() } else { kept(&labels, grouping) };
        groups.entry(group).or_default().push(value);
    }
    let value = |values: Vec<f64>| match aggregate {
        Aggregate::Sum => values.iter().sum(),
        Aggregate::Avg => values.iter().sum::<f64>() / values.len() as f64,
        Aggregate::Min => values.into_iter().fold(f64::INFINITY, f64::min),
        Aggregate::Max => values.into_iter().fold(f64::NEG_INFINITY, f64::max),
        Aggregate::Count => values.len() as f64,
    };
    groups.into_iter().map(|(labels, values)| (labels, value(values))).collect()
}

/// Of classic buckets, by the labels beside `le`.
fn quantiles(quantile: f64, all: Vec<(Labels, f64)>) -> Result<Vec<(Labels, f64)>, String> {
    let mut groups: BTreeMap<Labels, Vec<(f64, f64)>> = BTreeMap::new();
    for (mut labels, count) in all {
        let bound = labels
            .remove("le")
            .and_then(|bound| bound.parse().ok())
            .ok_or("what is no bucket has no quantile: the label `le` is missing")?;
        groups.entry(labels).or_default().push((bound, count));
    }
    Ok(groups.into_iter().filter_map(|(labels, buckets)| Some((labels, of_buckets(quantile, buckets)?))).collect())
}

/// As Prometheus does it: linear inside a bucket, the highest finite bound for what lies beyond it. `None`: nothing was counted.
fn of_buckets(quantile: f64, mut buckets: Vec<(f64, f64)>) -> Option<f64> {
    buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (last, all) = *buckets.last()?;
    if last != f64::INFINITY || buckets.len() < 2 || all.is_nan() || all <= 0.0 {
        return None;
    }
    if !(0.0..=1.0).contains(&quantile) {
        return Some(if quantile < 0.0 { f64::NEG_INFINITY } else { f64::INFINITY });
    }
    let finite = &buckets[..buckets.len() - 1];
    let rank = quantile * all;
    let Some(place) = finite.iter().position(|(_, count)| *count >= rank) else { return finite.last().map(|(bound, _)| *bound) };
    let (end, count) = finite[place];
    let (start, before) = if place > 0 { finite[place - 1] } else { (0.0, 0.0) };
    if place == 0 && end <= 0.0 {
        return Some(end);
    }
    Some(if count > before { start + (end - start) * (rank - before) / (count - before) } else { end })
}

fn binary(operator: Operator, matching: &Grouping, left: Value, right: Value) -> Result<Value, String> {
    use Value::{Scalar, Vector};
    if matches!(operator, Operator::And | Operator::Or | Operator::Unless) {
        let (Vector(left), Vector(right)) = (left, right) else {
            return Err("`and`, `or` and `unless` join series, not numbers".to_owned());
        };
        return Ok(Vector(joined(operator, matching, left, right)));
    }
    Ok(match (left, right) {
        (Scalar(left), Scalar(right)) => {
            Scalar(arithmetic(operator, left, right).ok_or("two numbers are compared, which says nothing of the run")?)
        }
        (Vector(left), Scalar(right)) => {
            Vector(left.into_iter().filter_map(|(labels, value)| Some((labels, applied(operator, value, right, value)?))).collect())
        }
        (Scalar(left), Vector(right)) => {
            Vector(right.into_iter().filter_map(|(labels, value)| Some((labels, applied(operator, left, value, value)?))).collect())
        }
        (Vector(left), Vector(right)) => {
            let (left, right) = (by_labels(left, matching)?, by_labels(right, matching)?);
            let pair = |(labels, left): (Labels, f64)| {
                let value = applied(operator, left, *right.get(&labels)?, left)?;
                Some((labels, value))
            };
            Vector(left.into_iter().filter_map(pair).collect())
        }
    })
}

/// The result of an operator; of a comparison the sample that is kept, where it holds.
fn applied(operator: Operator, left: f64, right: f64, kept: f64) -> Option<f64> {
    arithmetic(operator, left, right).or_else(|| compared(operator, left, right).then_some(kept))
}

fn arithmetic(operator: Operator, left: f64, right: f64) -> Option<f64> {
    Some(match operator {
        Operator::Add => left + right,
        Operator::Subtract => left - right,
        Operator::Multiply => left * right,
        Operator::Divide => left / right,
        Operator::Modulo => left % right,
        Operator::Power => left.powf(right),
        _ => return None,
    })
}

#[expect(clippy::float_cmp, reason = "`==` of PromQL compares so")]
fn compared(operator: Operator, left: f64, right: f64) -> bool {
    match operator {
        Operator::Equal => left == right,
        Operator::NotEqual => left != right,
        Operator::Greater => left > right,
        Operator::Less => left < right,
        Operator::GreaterEqual => left >= right,
        Operator::LessEqual => left <= right,
        _ => false,
    }
}

fn by_labels(all: Vec<(Labels, f64)>, matching: &Grouping) -> Result<BTreeMap<Labels, f64>, String> {
    let mut by_labels = BTreeMap::new();
    for (labels, value) in all {
        if by_labels.insert(kept(&labels, matching), value).is_some() {
            return Err("several series of one side have the labels that are matched by".to_owned());
        }
    }
    Ok(by_labels)
}

fn joined(operator: Operator, matching: &Grouping, left: Vec<(Labels, f64)>, right: Vec<(Labels, f64)>) -> Vec<(Labels, f64)> {
    let labels = |side: &[(Labels, f64)]| -> BTreeSet<Labels> { side.iter().map(|(labels, _)| kept(labels, matching)).collect() };
    let there = labels(&right);
    match operator {
        Operator::And => left.into_iter().filter(|(labels, _)| there.contains(&kept(labels, matching))).collect(),
        Operator::Unless => left.into_iter().filter(|(labels, _)| !there.contains(&kept(labels, matching))).collect(),
        _ => {
            let here = labels(&left);
            let more = right.into_iter().filter(|(labels, _)| !here.contains(&kept(labels, matching)));
            left.into_iter().chain(more).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::parse::parse, *};
    use shakedown_model::{evidence::MetricPoint, time::UnixNanos};

    /// Samples each second from 100 to 160.
    fn points(name: &str, service: &str, labels: &str, value: impl Fn(f64) -> f64) -> Vec<MetricPoint> {
        let point = |second: u64| MetricPoint {
            at: UnixNanos(second * 1_000_000_000),
            service: service.into(),
            name: name.into(),
            labels: labels.into(),
            value: value(second as f64 - 100.0),
        };
        (100..=160).map(point).collect()
    }

    fn world() -> Vec<MetricPoint> {
        [
            points("requests_total", "orders", "code=\"200\"", |second| 50.0 + 10.0 * second),
            points("requests_total", "orders", "code=\"503\"", |second| if second < 30.0 { 0.0 } else { 2.0 * (second - 30.0) }),
            points("requests_total", "payment", "code=\"200\"", |second| 10.0 * second),
            points("latency_bucket", "orders", "le=\"0.1\"", |second| 8.0 * second),
            points("latency_bucket", "orders", "le=\"0.5\"", |second| 9.0 * second),
            points("latency_bucket", "orders", "le=\"+Inf\"", |second| 10.0 * second),
            points("queue.length", "orders", "", |second| second),
            points("restarted_total", "orders", "", |second| if second < 50.0 { 100.0 + second } else { second - 50.0 }),
        ]
        .concat()
    }

    fn at(text: &str, now: f64) -> Result<Vec<(String, f64)>, String> {
        let expr = parse(text)?;
        let mut wanted = Vec::new();
        names(&expr, &mut wanted);
        let store = Store::of(&world(), &wanted);
        let shown = |labels: &Labels| labels.values().cloned().collect::<Vec<_>>().join(" ");
        Ok(match (Instant { store: &store, begin: 100.0, now }).value(&expr)? {
            Value::Scalar(value) => vec![("scalar".to_owned(), value)],
            Value::Vector(all) => all.iter().map(|(labels, value)| (shown(labels), (value * 1e6).round() / 1e6)).collect(),
        })
    }

    fn check(text: &str, expected: &[(&str, f64)]) {
        let expected: Vec<(String, f64)> = expected.iter().map(|(labels, value)| ((*labels).to_owned(), *value)).collect();
        assert_eq!(at(text, 160.0), Ok(expected), "{text}");
    }

    #[test]
    fn values_are_those_of_prometheus() {
        check("queue_length", &[("orders orders", 60.0)]);
        check("queue_length > 60", &[]);
        check("rate(requests_total{code=\"503\"}[10s])", &[("503 orders orders", 2.0)]);
        check("sum by (service) (rate(requests_total[10s]))", &[("orders", 12.0), ("payment", 10.0)]);
        check("sum(rate(requests_total{code=~\"5..\"}[10s])) / sum(rate(requests_total[10s])) * 100", &[("", 9.090_909)]);
        // What is counted between the last sample and the reset is seen by nobody.
        check("increase(restarted_total[20s])", &[("orders orders", 19.0)]);
        check("avg_over_time(queue_length[4s])", &[("orders orders", 58.0)]);
        check("count(requests_total) - 2 ^ 1", &[("", 1.0)]);
        check("requests_total{code=\"200\"} and on(service) queue_length", &[("200 orders orders", 650.0)]);
        check("requests_total{code=\"200\"} unless on(service) queue_length", &[("200 payment payment", 600.0)]);
        check("absent(queue_length{job=\"nobody\"})", &[("", 1.0)]);
        check("absent(queue_length)", &[]);
        check("histogram_quantile(0.5, rate(latency_bucket[10s]))", &[("orders orders", 0.062_5)]);
        check("histogram_quantile(0.85, sum by (le) (rate(latency_bucket[10s])))", &[("", 0.3)]);
        check("histogram_quantile(0.99, rate(latency_bucket[10s])) > 0.4", &[("orders orders", 0.5)]);
        check("histogram_quantile(0.99, rate(latency_bucket{le=\"0.1\"}[10s]))", &[]);
        check("2 * 3 - -1", &[("scalar", 7.0)]);
    }

    #[test]
    fn the_beginning_of_a_play_is_the_beginning_of_all() {
        // A minute of looking back finds ten seconds of samples: the rate is what Prometheus makes of them.
        let [(_, rate)] = &at("rate(queue_length[1m])", 110.0).unwrap()[..] else { panic!() };
        assert!((0.1..0.2).contains(rate), "{rate}");
        assert_eq!(at("queue_length", 99.0), Ok(Vec::new()));
    }

    #[test]
    fn what_cannot_be_known_is_no_empty_answer() {
        for (text, why) in [
            ("nothing_total > 1", "no samples of `nothing_total`"),
            ("queue_length{namespace=\"prod\"} > 1", "the label `namespace`"),
            ("requests_total / on(service) requests_total", "several series"),
            ("1 > 2", "two numbers"),
            ("sum(1)", "a number is aggregated"),
            ("histogram_quantile(0.9, queue_length)", "`le`"),
            ("queue_length and 1", "not numbers"),
        ] {
            assert!(at(text, 150.0).unwrap_err().contains(why), "{text}: {:?}", at(text, 150.0));
        }
        // A value that was not seen is another thing: there was no such request.
        check("requests_total{code=\"404\"} > 0", &[]);
        check("queue_length{namespace=\"\"}", &[("orders orders", 60.0)]);
    }
}
