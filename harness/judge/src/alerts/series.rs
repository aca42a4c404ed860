//! Samples of one variant by name and labels, as an alert sees them.

use super::parse::Selector;
use shakedown_model::evidence::MetricPoint;
use std::collections::{BTreeMap, HashMap};

/// Series of one name.
const SERIES_MAX: usize = 5_000;

pub(super) type Labels = BTreeMap<String, String>;

/// One series: seconds (of Unix time) and values, in order.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) labels: Labels,
    pub(super) samples: Vec<(f64, f64)>,
}

/// Series by name.
#[derive(Debug, Default)]
pub(super) struct Store(HashMap<String, Vec<Series>>);

impl Store {
    /// Of these names only. Every sample is also labelled with its service, as `service` and as `job`, where it does not say so itself.
    pub(super) fn of(points: &[MetricPoint], names: &[String]) -> Store {
        let mut store = Store::default();
        let mut known: HashMap<(&str, &str, &str), usize> = HashMap::new();
        let mut is_wanted: HashMap<&str, Option<String>> = HashMap::new();
        for point in points {
            let wanted =
                is_wanted.entry(&point.name).or_insert_with(|| Some(prometheus_name(&point.name)).filter(|name| names.contains(name)));
            let Some(name) = wanted else { continue };
            let all = store.0.entry(name.clone()).or_default();
            let place = *known.entry((&point.service, &point.name, &point.labels)).or_insert_with(|| {
                if all.len() < SERIES_MAX {
                    all.push(Series { labels: labels(point), samples: Vec::new() });
                }
                all.len() - 1
            });
            all[place].samples.push((point.at.0 as f64 / 1e9, point.value));
        }
        store
    }

    /// The series that a selector names; `Err`: that cannot be said, because nothing was recorded that it could mean.
    pub(super) fn select<'s>(&'s self, selector: &Selector) -> Result<Vec<&'s Series>, String> {
        let all = self.0.get(&selector.name).ok_or_else(|| format!("no samples of `{}` were recorded", selector.name))?;
        if all.len() >= SERIES_MAX {
            return Err(format!("`{}` has more than {SERIES_MAX} series", selector.name));
        }
        for matcher in selector.matchers.iter().filter(|matcher| !matcher.holds("")) {
            if !all.iter().any(|series| series.labels.contains_key(&matcher.label)) {
                return Err(format!("no sample of `{}` has the label `{}`", selector.name, matcher.label));
            }
        }
        let value = |series: &'s Series, label: &str| series.labels.get(label).map_or("", String::as_str);
        let matches = |series: &&'s Series| selector.matchers.iter().all(|matcher| matcher.holds(value(series, &matcher.label)));
        Ok(all.iter().filter(matches).collect())
    }
}

/// OpenTelemetry's dots are underscores in Prometheus.
fn prometheus_name(name: &str) -> String {
    name.replace(['.', '-'], "_")
}

fn labels(point: &MetricPoint) -> Labels {
    let mut labels = Labels::new();
    let mut rest = &*point.labels;
    // As `evidence` writes them: `k="v",k="v"`, with `\\`, `\"` and `\n`.
    while let Some((key, after)) = rest.split_once("=\"") {
        let (mut value, mut end, mut characters) = (String::new(), after.len(), after.char_indices());
        while let Some((at, character)) = characters.next() {
            match character {
                '\\' => value.extend(characters.next().map(|(_, escaped)| if escaped == 'n' { '\n' } else { escaped })),
                '"' => {
                    end = at + 1;
                    break;
                }
                _ => value.push(character),
            }
        }
        labels.insert(prometheus_name(key.trim_start_matches(',')), value);
        rest = &after[end..];
    }
    for label in ["service", "job"] {
        labels.entry(label.to_owned()).or_insert_with(|| point.service.to_string());
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::*;
    use shakedown_model::time::UnixNanos;

    #[test]
    fn labels_are_read_back_as_they_were_written() {
        let point = MetricPoint {
            at: UnixNanos(0),
            service: "orders".into(),
            name: "x".into(),
            labels: "a=\"1,b=\\\"2\\\"\",c.d=\"\\\\\\n\",job=\"mine\"".into(),
            value: 0.0,
        };
        let labels = labels(&point);
        let pairs: Vec<(&str, &str)> = labels.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(pairs, [("a", "1,b=\"2\""), ("c_d", "\\\n"), ("job", "mine"), ("service", "orders")]);
    }
}
