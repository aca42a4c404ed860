//! Prometheus samples as OTLP metrics, and the text format that most of them come in. Pure.
//!
//! prometheus-parse splits labels at every comma, equals sign and brace, also inside quotes (`path="/orders/{id}"` would lose the sample),
//! and knows no colon in names. So these characters are put under a disguise before, which is taken off afterwards.

use super::openmetrics::{self, MARK};
use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value as Text},
    metrics::v1::{
        AggregationTemporality, Exemplar, Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, metric::Data,
        number_data_point,
    },
    resource::v1::Resource,
};
use prometheus_parse::{Sample, Scrape, Value};
use std::collections::BTreeMap;

/// Most samples of one page.
const SAMPLES: usize = 50_000;
/// What the parser takes for syntax, and letters of private use in its place.
const DISGUISES: [(char, char); 8] = [
    ('{', '\u{e000}'),
    ('}', '\u{e001}'),
    (',', '\u{e002}'),
    ('=', '\u{e003}'),
    ('"', '\u{e004}'),
    ('\\', '\u{e005}'),
    ('\n', '\u{e006}'),
    ('#', '\u{e007}'),
];
/// A colon in a name must remain part of a word for the parser: a letter that nobody else uses (Lisu).
const COLON: char = '\u{a4fd}';

/// Whether a value only grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Level,
    Total,
}

/// One sample.
pub(super) struct Point {
    name: String,
    kind: Kind,
    labels: BTreeMap<String, String>,
    value: f64,
    /// A request that it counted.
    exemplar: Option<Exemplar>,
}

impl Point {
    /// What may rise and fall.
    pub(super) fn level(name: String, labels: BTreeMap<String, String>, value: f64) -> Point {
        Point { name, kind: Kind::Level, labels, value, exemplar: None }
    }

    /// What only grows.
    pub(super) fn total(name: String, labels: BTreeMap<String, String>, value: f64) -> Point {
        Point { name, kind: Kind::Total, labels, value, exemplar: None }
    }

    /// With a request that it counted.
    pub(super) fn counting(self, exemplar: Option<Exemplar>) -> Point {
        Point { exemplar, ..self }
    }
}

/// All samples of a page in the Prometheus text format; none where it holds none. They get the time of their arrival.
pub(super) fn to_otlp(service: &str, text: &str) -> Option<ExportMetricsServiceRequest> {
    with_exemplars(service, text, &[])
}

/// The same of a page in OpenMetrics text.
pub(super) fn openmetrics_to_otlp(service: &str, text: &str) -> Option<ExportMetricsServiceRequest> {
    let (plain, exemplars) = openmetrics::lift(text);
    with_exemplars(service, &plain, &exemplars)
}

fn with_exemplars(service: &str, text: &str, exemplars: &[Exemplar]) -> Option<ExportMetricsServiceRequest> {
    let scrape = Scrape::parse(text.lines().map(|line| Ok(disguise(line)))).ok()?;
    let types = totals(&scrape.samples);
    let points = scrape.samples.into_iter().flat_map(|sample| flatten(sample, &types)).map(|mut point| {
        let mark = if exemplars.is_empty() { None } else { point.labels.remove(MARK) };
        point.exemplar = mark.and_then(|number| exemplars.get(number.parse::<usize>().ok()?)).cloned();
        point
    });
    request(service, metrics(points))
}

/// Samples by name.
pub(super) fn metrics(points: impl Iterator<Item = Point>) -> Vec<Metric> {
    let mut metrics: BTreeMap<(String, Kind), Vec<NumberDataPoint>> = BTreeMap::new();
    // A summary that has seen nothing yet says NaN: that is no sample.
    for Point { name, kind, labels, value, exemplar } in points.filter(|point| point.value.is_finite()).take(SAMPLES) {
        let point = NumberDataPoint {
            attributes: pairs(labels),
            value: Some(number_data_point::Value::AsDouble(value)),
            exemplars: exemplar.into_iter().collect(),
            ..NumberDataPoint::default()
        };
        metrics.entry((name, kind)).or_default().push(point);
    }
    metrics.into_iter().map(|((name, kind), points)| metric(name, kind, points)).collect()
}

/// All metrics of one service; none where there are none.
pub(super) fn request(service: &str, metrics: Vec<Metric>) -> Option<ExportMetricsServiceRequest> {
    if metrics.is_empty() {
        return None;
    }
    let scope = InstrumentationScope { name: "shakedown.scrape".to_owned(), ..InstrumentationScope::default() };
    let resource = Resource { attributes: vec![pair("service.name".to_owned(), service.to_owned())], ..Resource::default() };
    let scope_metrics = vec![ScopeMetrics { scope: Some(scope), metrics, ..ScopeMetrics::default() }];
    Some(ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics { resource: Some(resource), scope_metrics, ..ResourceMetrics::default() }],
    })
}

/// Names of the histograms and summaries, whose `_sum` and `_count` the parser calls untyped.
fn totals(samples: &[Sample]) -> Vec<String> {
    let families = samples.iter().filter(|sample| matches!(sample.value, Value::Histogram(_) | Value::Summary(_)));
    let mut names: Vec<_> = families.flat_map(|family| ["_sum", "_count"].map(|suffix| format!("{}{suffix}", family.metric))).collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn flatten(sample: Sample, totals: &[String]) -> Vec<Point> {
    // Quotes inside a value are in disguise, so those that are left stand around it.
    let value = |hidden: &str| unescape(&reveal(hidden.trim().trim_matches('"')));
    let labels: BTreeMap<_, _> = sample.labels.iter().map(|(key, hidden)| (reveal(key.trim()), value(hidden))).collect();
    let with = |key: &str, value: f64| {
        let mut labels = labels.clone();
        labels.insert(key.to_owned(), bound(value));
        labels
    };
    let name = reveal(&sample.metric);
    match sample.value {
        Value::Counter(value) => vec![Point::total(name, labels, value)],
        Value::Untyped(value) if totals.binary_search(&sample.metric).is_ok() => vec![Point::total(name, labels, value)],
        Value::Gauge(value) | Value::Untyped(value) => vec![Point::level(name, labels, value)],
        Value::Histogram(buckets) => {
            let name = format!("{name}_bucket");
            buckets.iter().map(|bucket| Point::total(name.clone(), with("le", bucket.less_than), bucket.count)).collect()
        }
        Value::Summary(quantiles) => {
            quantiles.iter().map(|at| Point::level(name.clone(), with("quantile", at.quantile), at.count)).collect()
        }
    }
}

/// As Prometheus writes bounds.
pub(super) fn bound(value: f64) -> String {
    if value == f64::INFINITY { "+Inf".to_owned() } else { value.to_string() }
}

/// Labels as attributes.
pub(super) fn pairs(labels: BTreeMap<String, String>) -> Vec<KeyValue> {
    labels.into_iter().map(|(key, value)| pair(key, value)).collect()
}

fn metric(name: String, kind: Kind, data_points: Vec<NumberDataPoint>) -> Metric {
    let data = match kind {
        Kind::Level => Data::Gauge(Gauge { data_points }),
        Kind::Total => {
            Data::Sum(Sum { data_points, aggregation_temporality: AggregationTemporality::Cumulative as i32, is_monotonic: true })
        }
    };
    Metric { name, data: Some(data), ..Metric::default() }
}

pub(super) fn pair(key: String, value: String) -> KeyValue {
    KeyValue { key, value: Some(AnyValue { value: Some(Text::StringValue(value)) }), ..KeyValue::default() }
}

/// Hides from the parser what stands inside quotes, colons in names, and braces around nothing.
fn disguise(line: &str) -> String {
    let (mut hidden, mut quoted, mut escaped) = (String::with_capacity(line.len()), false, false);
    let name_ends = line.find(['{', ' ', '\t']).unwrap_or(line.len());
    let comment = line.starts_with('#');
    for (at, char) in line.char_indices() {
        let is_quote = char == '"' && !escaped && !comment;
        escaped = quoted && char == '\\' && !escaped;
        match DISGUISES.iter().find(|(plain, _)| *plain == char) {
            Some((_, disguised)) if quoted && !is_quote => hidden.push(*disguised),
            _ if char == ':' && (comment || at < name_ends) => hidden.push(COLON),
            _ => hidden.push(char),
        }
        quoted ^= is_quote;
    }
    if hidden.contains("{}") { hidden.replacen("{}", "", 1) } else { hidden }
}

fn reveal(hidden: &str) -> String {
    let plain = |char| {
        if char == COLON {
            return ':';
        }
        DISGUISES.iter().find(|(_, disguised)| *disguised == char).map_or(char, |(plain, _)| *plain)
    };
    hidden.chars().map(plain).collect()
}

/// `\\`, `\"` and `\n` inside a label.
fn unescape(text: &str) -> String {
    let (mut plain, mut chars) = (String::with_capacity(text.len()), text.chars());
    while let Some(char) = chars.next() {
        match (char, char == '\\') {
            (_, true) => match chars.next() {
                Some('n') => plain.push('\n'),
                Some(next) => plain.push(next),
                None => plain.push('\\'),
            },
            (char, false) => plain.push(char),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each sample as `kind name{labels} value`.
    fn check(page: &str, expected: &[&str]) {
        let request = to_otlp("shop", page);
        let mut lines = Vec::new();
        for metric in request.iter().flat_map(|request| &request.resource_metrics[0].scope_metrics[0].metrics) {
            let (kind, points) = match metric.data.as_ref().unwrap() {
                Data::Gauge(gauge) => ("level", &gauge.data_points),
                Data::Sum(sum) => ("total", &sum.data_points),
                other => panic!("{other:?}"),
            };
            for point in points {
                let label = |pair: &KeyValue| match pair.value.as_ref().unwrap().value.as_ref().unwrap() {
                    Text::StringValue(text) => format!("{}={text:?}", pair.key),
                    other => panic!("{other:?}"),
                };
                let labels: Vec<_> = point.attributes.iter().map(label).collect();
                let Some(number_data_point::Value::AsDouble(value)) = point.value else { panic!("{point:?}") };
                lines.push(format!("{kind} {}{{{}}} {value}", metric.name, labels.join(",")));
            }
        }
        lines.sort();
        assert_eq!(lines, expected);
    }

    #[test]
    fn each_type_becomes_a_level_or_a_total() {
        let page = "\
# HELP requests_total Requests.
# TYPE requests_total counter
requests_total{code=\"200\"} 7
# TYPE open gauge
open 3
unknown -1.5 1395066363000
# TYPE took histogram
took_bucket{le=\"0.1\"} 1
took_bucket{le=\"+Inf\"} 2
took_sum 0.5
took_count 2
# TYPE size summary
size{quantile=\"0.5\"} NaN
size{quantile=\"0.9\"} 4
size_sum 9
size_count 3
";
        check(
            page,
            &[
                "level open{} 3",
                "level size{quantile=\"0.9\"} 4",
                "level unknown{} -1.5",
                "total requests_total{code=\"200\"} 7",
                "total size_count{} 3",
                "total size_sum{} 9",
                "total took_bucket{le=\"+Inf\"} 2",
                "total took_bucket{le=\"0.1\"} 1",
                "total took_count{} 2",
                "total took_sum{} 0.5",
            ],
        );
    }

    #[test]
    fn exemplars_of_openmetrics_stay_with_their_samples() {
        let trace = "0af7651916cd43dd8448eb211c80319c";
        let page = format!(
            "# TYPE n counter\nn_total{{p=\"{{a}}\"}} 3 1700000000.5 # {{trace_id=\"{trace}\"}} 1\n# TYPE took histogram\n\
             took_bucket{{le=\"0.10\"}} 1 # {{trace_id=\"{trace}\"}} 0.07\ntook_bucket{{le=\"+Inf\"}} 2\ntook_sum 0.5\ntook_count 2\n# EOF\n"
        );
        let request = openmetrics_to_otlp("shop", &page).unwrap();
        let mut seen = Vec::new();
        for metric in &request.resource_metrics[0].scope_metrics[0].metrics {
            let Some(Data::Sum(sum)) = &metric.data else { panic!("{metric:?}") };
            seen.extend(sum.data_points.iter().map(|point| (metric.name.as_str(), point.attributes.len(), point.exemplars.len())));
        }
        seen.sort_unstable();
        let expected = [("n_total", 1, 1), ("took_bucket", 1, 0), ("took_bucket", 1, 1), ("took_count", 0, 0), ("took_sum", 0, 0)];
        assert_eq!(seen, expected);
    }

    #[test]
    fn labels_keep_whatever_stands_inside_the_quotes() {
        check(r#"a{path="/orders/{id}",q="x=1,y=2"} 1"#, &[r#"level a{path="/orders/{id}",q="x=1,y=2"} 1"#]);
        check(r#"a{ m = "say \"hi\"" , n="C:\\dir\nend#" ,} 2"#, &[r#"level a{m="say \"hi\"",n="C:\\dir\nend#"} 2"#]);
        check("job:errors:rate5m{} 0.25", &["level job:errors:rate5m{} 0.25"]);
        check("# TYPE job:n counter\njob:n 2", &["total job:n{} 2"]);
    }

    #[test]
    fn a_page_that_is_no_exposition_holds_nothing() {
        for page in ["", "<html><body>404</body></html>", "\u{0}\u{1}\u{2}", "{{{{{{", "a{b=\"", "name only", "a NaN"] {
            assert!(to_otlp("shop", page).is_none(), "{page:?}");
        }
    }

    #[test]
    fn an_endless_page_ends() {
        let lines: Vec<_> = (0..60_000).map(|index| format!("m{{i=\"{index}\"}} 1")).collect();
        let page = lines.join("\n");
        let request = to_otlp("shop", &page).unwrap();
        let Some(Data::Gauge(gauge)) = &request.resource_metrics[0].scope_metrics[0].metrics[0].data else { panic!() };
        assert_eq!(gauge.data_points.len(), SAMPLES);
    }
}
