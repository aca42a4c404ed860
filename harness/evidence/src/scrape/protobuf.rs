//! The Prometheus protobuf exposition: `io.prometheus.client.MetricFamily`, each behind its length. It alone has native histograms.
//!
//! Messages are those of `io/prometheus/client/metrics.proto` in prometheus/client_model, as far as they are read.

use super::{
    exposition::{Point, bound, metrics, pairs, request},
    openmetrics,
};
use crate::otlp::{Shape, objection};
use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    metrics::v1::{
        AggregationTemporality, Exemplar as OtlpExemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Metric as OtlpMetric,
        exponential_histogram_data_point::Buckets, metric::Data,
    },
};
use prost::Message as _;
use std::collections::BTreeMap;

/// Most messages within one family; two bytes on the wire become a hundred in memory.
const PARTS: usize = 250_000;
/// Most buckets of a native histogram.
const BUCKETS: usize = 2_048;
/// Exponential resolutions (schema); another number means another kind of buckets.
const SCHEMAS: std::ops::RangeInclusive<i32> = -4..=8;

static LEAF: Shape = Shape::of(&[]);
static EXEMPLAR: Shape = Shape::of(&[(1, &LEAF), (3, &LEAF)]);
static BUCKET: Shape = Shape::of(&[(3, &EXEMPLAR)]);
static HISTOGRAM: Shape = Shape::of(&[(3, &BUCKET), (9, &LEAF), (12, &LEAF), (16, &EXEMPLAR)]);
static COUNTER: Shape = Shape::of(&[(2, &EXEMPLAR)]);
static SUMMARY: Shape = Shape::of(&[(3, &LEAF)]);
static METRIC: Shape = Shape::of(&[(1, &LEAF), (2, &LEAF), (3, &COUNTER), (4, &SUMMARY), (5, &LEAF), (7, &HISTOGRAM)]);
static FAMILY: Shape = Shape::of(&[(4, &METRIC)]);

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct MetricFamily {
    #[prost(string, optional, tag = "1")]
    name: Option<String>,
    #[prost(message, repeated, tag = "4")]
    metric: Vec<Metric>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Metric {
    #[prost(message, repeated, tag = "1")]
    label: Vec<Label>,
    #[prost(message, optional, tag = "2")]
    gauge: Option<Number>,
    #[prost(message, optional, tag = "3")]
    counter: Option<Counter>,
    #[prost(message, optional, tag = "4")]
    summary: Option<Summary>,
    #[prost(message, optional, tag = "5")]
    untyped: Option<Number>,
    #[prost(message, optional, tag = "7")]
    histogram: Option<Histogram>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Label {
    #[prost(string, optional, tag = "1")]
    name: Option<String>,
    #[prost(string, optional, tag = "2")]
    value: Option<String>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Number {
    #[prost(double, optional, tag = "1")]
    value: Option<f64>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Counter {
    #[prost(double, optional, tag = "1")]
    value: Option<f64>,
    #[prost(message, optional, tag = "2")]
    exemplar: Option<Exemplar>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Summary {
    #[prost(uint64, optional, tag = "1")]
    sample_count: Option<u64>,
    #[prost(double, optional, tag = "2")]
    sample_sum: Option<f64>,
    #[prost(message, repeated, tag = "3")]
    quantile: Vec<Quantile>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Quantile {
    #[prost(double, optional, tag = "1")]
    quantile: Option<f64>,
    #[prost(double, optional, tag = "2")]
    value: Option<f64>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Histogram {
    #[prost(uint64, optional, tag = "1")]
    sample_count: Option<u64>,
    #[prost(double, optional, tag = "2")]
    sample_sum: Option<f64>,
    #[prost(message, repeated, tag = "3")]
    bucket: Vec<Bucket>,
    #[prost(sint32, optional, tag = "5")]
    schema: Option<i32>,
    #[prost(double, optional, tag = "6")]
    zero_threshold: Option<f64>,
    #[prost(uint64, optional, tag = "7")]
    zero_count: Option<u64>,
    #[prost(message, repeated, tag = "9")]
    negative_span: Vec<Span>,
    #[prost(sint64, repeated, tag = "10")]
    negative_delta: Vec<i64>,
    #[prost(message, repeated, tag = "12")]
    positive_span: Vec<Span>,
    #[prost(sint64, repeated, tag = "13")]
    positive_delta: Vec<i64>,
    #[prost(message, repeated, tag = "16")]
    exemplars: Vec<Exemplar>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Bucket {
    #[prost(uint64, optional, tag = "1")]
    cumulative_count: Option<u64>,
    #[prost(double, optional, tag = "2")]
    upper_bound: Option<f64>,
    #[prost(message, optional, tag = "3")]
    exemplar: Option<Exemplar>,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
struct Span {
    #[prost(sint32, optional, tag = "1")]
    offset: Option<i32>,
    #[prost(uint32, optional, tag = "2")]
    length: Option<u32>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Exemplar {
    #[prost(message, repeated, tag = "1")]
    label: Vec<Label>,
    #[prost(double, optional, tag = "2")]
    value: Option<f64>,
    #[prost(message, optional, tag = "3")]
    timestamp: Option<Timestamp>,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
struct Timestamp {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

/// All samples of an answer; none where it holds none or is broken from the start. And how many native histograms could not be kept.
pub(super) fn to_otlp(service: &str, mut bytes: &[u8]) -> (Option<ExportMetricsServiceRequest>, u64) {
    let (mut points, mut natives, mut lost) = (Vec::new(), Vec::new(), 0);
    while let Some(message) = next(&mut bytes) {
        if objection(PARTS, message, &FAMILY).is_some() {
            break;
        }
        let Ok(family) = MetricFamily::decode(message) else { break };
        for metric in family.metric {
            lost += u64::from(!metric_into(family.name.as_deref().unwrap_or_default(), metric, &mut points, &mut natives));
        }
    }
    let mut all = metrics(points.into_iter());
    all.extend(natives);
    (request(service, all), lost)
}

/// The next message behind its length; `None`: there is no whole one.
fn next<'b>(bytes: &mut &'b [u8]) -> Option<&'b [u8]> {
    let mut rest = *bytes;
    let length = prost::encoding::decode_varint(&mut rest).ok()?;
    let (message, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    *bytes = rest;
    Some(message)
}

/// Answers whether everything of it was kept.
fn metric_into(name: &str, metric: Metric, points: &mut Vec<Point>, natives: &mut Vec<OtlpMetric>) -> bool {
    let labels: BTreeMap<String, String> = metric.label.into_iter().map(text_of).collect();
    let level = |value: Option<f64>| Point::level(name.to_owned(), labels.clone(), value.unwrap_or_default());
    points.extend(metric.gauge.iter().chain(&metric.untyped).map(|number| level(number.value)));
    if let Some(counter) = metric.counter {
        let exemplar = counter.exemplar.map(exemplar);
        points.push(Point::total(name.to_owned(), labels.clone(), counter.value.unwrap_or_default()).counting(exemplar));
    }
    if let Some(summary) = metric.summary {
        let of = |quantile: &Quantile| {
            let labels = with(&labels, "quantile", quantile.quantile.unwrap_or_default());
            Point::level(name.to_owned(), labels, quantile.value.unwrap_or(f64::NAN))
        };
        points.extend(summary.quantile.iter().map(of));
        points.extend(count_and_sum(name, &labels, summary.sample_count, summary.sample_sum));
    }
    metric.histogram.is_none_or(|histogram| histogram_into(name, &labels, histogram, points, natives))
}

fn histogram_into(
    name: &str,
    labels: &BTreeMap<String, String>,
    histogram: Histogram,
    points: &mut Vec<Point>,
    natives: &mut Vec<OtlpMetric>,
) -> bool {
    let of = |bucket: &Bucket| {
        let labels = with(labels, "le", bucket.upper_bound.unwrap_or(f64::INFINITY));
        let count = bucket.cumulative_count.unwrap_or_default() as f64;
        Point::total(format!("{name}_bucket"), labels, count).counting(bucket.exemplar.clone().map(exemplar))
    };
    points.extend(histogram.bucket.iter().map(of));
    let count_and_sum = count_and_sum(name, labels, histogram.sample_count, histogram.sample_sum);
    let is_native = histogram.is_native();
    let native = is_native.then(|| native(name, labels, histogram)).flatten();
    let is_kept = native.is_some() || !is_native;
    match native {
        Some(metric) => natives.push(metric),
        None => points.extend(count_and_sum),
    }
    is_kept
}

fn count_and_sum(name: &str, labels: &BTreeMap<String, String>, count: Option<u64>, sum: Option<f64>) -> [Point; 2] {
    [
        Point::total(format!("{name}_count"), labels.clone(), count.unwrap_or_default() as f64),
        Point::total(format!("{name}_sum"), labels.clone(), sum.unwrap_or_default()),
    ]
}

impl Histogram {
    /// As Prometheus itself tells (`isNativeHistogram` in its protobuf parser).
    fn is_native(&self) -> bool {
        self.zero_threshold.is_some_and(|threshold| threshold > 0.0)
            || self.zero_count.is_some_and(|count| count > 0)
            || !self.positive_span.is_empty()
            || !self.negative_span.is_empty()
    }
}

/// `None`: its buckets are of another kind, contradict themselves, or are too many.
fn native(name: &str, labels: &BTreeMap<String, String>, histogram: Histogram) -> Option<OtlpMetric> {
    let scale = histogram.schema.filter(|schema| SCHEMAS.contains(schema))?;
    let data_point = ExponentialHistogramDataPoint {
        attributes: pairs(labels.clone()),
        count: histogram.sample_count.unwrap_or_default(),
        sum: histogram.sample_sum,
        scale,
        zero_count: histogram.zero_count.unwrap_or_default(),
        zero_threshold: histogram.zero_threshold.unwrap_or_default(),
        positive: Some(buckets(&histogram.positive_span, &histogram.positive_delta)?),
        negative: Some(buckets(&histogram.negative_span, &histogram.negative_delta)?),
        exemplars: histogram.exemplars.into_iter().map(exemplar).collect(),
        ..ExponentialHistogramDataPoint::default()
    };
    let data = ExponentialHistogram { data_points: vec![data_point], aggregation_temporality: AggregationTemporality::Cumulative as i32 };
    Some(OtlpMetric { name: name.to_owned(), data: Some(Data::ExponentialHistogram(data)), ..OtlpMetric::default() })
}

/// Spans of counts, each the difference to the one before it, as one row of counts. Bucket i ends at base^i here and begins there in OTLP.
fn buckets(spans: &[Span], deltas: &[i64]) -> Option<Buckets> {
    let (mut counts, mut count, mut deltas) = (Vec::new(), 0_i64, deltas.iter());
    let mut offset = None;
    for span in spans {
        let (gap, length) = (span.offset.unwrap_or_default(), span.length.unwrap_or_default() as usize);
        let zeros = if offset.is_none() { 0 } else { usize::try_from(gap).ok()? };
        offset.get_or_insert(gap);
        if counts.len() + zeros + length > BUCKETS {
            return None;
        }
        counts.resize(counts.len() + zeros, 0);
        for _ in 0..length {
            count = count.checked_add(*deltas.next()?)?;
            counts.push(u64::try_from(count).ok()?);
        }
    }
    Some(Buckets { offset: offset.unwrap_or_default().saturating_sub(1), bucket_counts: counts })
}

fn exemplar(exemplar: Exemplar) -> OtlpExemplar {
    let Timestamp { seconds, nanos } = exemplar.timestamp.unwrap_or_default();
    let at = u64::try_from(i128::from(seconds) * 1_000_000_000 + i128::from(nanos)).unwrap_or_default();
    openmetrics::of(exemplar.label.into_iter().map(text_of).collect(), exemplar.value.unwrap_or_default(), at)
}

fn text_of(label: Label) -> (String, String) {
    (label.name.unwrap_or_default(), label.value.unwrap_or_default())
}

fn with(labels: &BTreeMap<String, String>, key: &str, value: f64) -> BTreeMap<String, String> {
    let mut labels = labels.clone();
    labels.insert(key.to_owned(), bound(value));
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(name: &str, value: &str) -> Label {
        Label { name: Some(name.to_owned()), value: Some(value.to_owned()) }
    }

    fn page(families: &[MetricFamily]) -> Vec<u8> {
        families.iter().flat_map(prost::Message::encode_length_delimited_to_vec).collect()
    }

    fn family(name: &str, metric: Metric) -> MetricFamily {
        MetricFamily { name: Some(name.to_owned()), metric: vec![metric] }
    }

    fn native_histogram() -> Histogram {
        Histogram {
            sample_count: Some(12),
            sample_sum: Some(4.5),
            schema: Some(3),
            zero_threshold: Some(1e-9),
            zero_count: Some(1),
            positive_span: vec![Span { offset: Some(-2), length: Some(2) }, Span { offset: Some(1), length: Some(1) }],
            positive_delta: vec![3, 2, -2],
            ..Histogram::default()
        }
    }

    #[test]
    fn a_native_histogram_becomes_an_exponential_one_with_the_same_bounds() {
        let metric = Metric { histogram: Some(native_histogram()), label: vec![label("route", "/")], ..Metric::default() };
        let (request, lost) = to_otlp("shop", &page(&[family("took", metric)]));
        let metrics = &request.unwrap().resource_metrics[0].scope_metrics[0].metrics;
        let [OtlpMetric { name, data: Some(Data::ExponentialHistogram(histogram)), .. }] = &metrics[..] else { panic!("{metrics:?}") };
        let point = &histogram.data_points[0];
        assert_eq!((name.as_str(), point.count, point.sum, point.scale, point.zero_count, lost), ("took", 12, Some(4.5), 3, 1, 0));
        // Prometheus's bucket -2 ends at base^-2; in OTLP it is -3, which begins at base^-3.
        assert_eq!(point.positive, Some(Buckets { offset: -3, bucket_counts: vec![3, 5, 0, 3] }));
    }

    #[test]
    fn classic_buckets_counters_and_summaries_read_as_in_text_with_their_exemplars() {
        let trace = Exemplar {
            label: vec![label("trace_id", "0af7651916cd43dd8448eb211c80319c")],
            value: Some(0.3),
            timestamp: Some(Timestamp { seconds: 5, nanos: 7 }),
        };
        let bucket = Bucket { cumulative_count: Some(2), upper_bound: Some(0.5), exemplar: Some(trace.clone()) };
        let classic = Histogram { sample_count: Some(3), sample_sum: Some(1.5), bucket: vec![bucket], ..Histogram::default() };
        let counter = Counter { value: Some(7.0), exemplar: Some(trace) };
        let quantile = vec![Quantile { quantile: Some(0.9), value: Some(4.0) }, Quantile { quantile: Some(0.5), value: Some(f64::NAN) }];
        let summary = Summary { sample_count: Some(1), sample_sum: Some(2.0), quantile };
        let gauge = Some(Number { value: Some(-1.0) });
        let (request, lost) = to_otlp(
            "shop",
            &page(&[
                family("took", Metric { histogram: Some(classic), ..Metric::default() }),
                family("n_total", Metric { counter: Some(counter), ..Metric::default() }),
                family("size", Metric { summary: Some(summary), ..Metric::default() }),
                family("open", Metric { gauge, ..Metric::default() }),
            ]),
        );
        let mut seen = Vec::new();
        for metric in &request.unwrap().resource_metrics[0].scope_metrics[0].metrics {
            let points = match metric.data.as_ref().unwrap() {
                Data::Gauge(gauge) => &gauge.data_points,
                Data::Sum(sum) => &sum.data_points,
                other => panic!("{other:?}"),
            };
            for point in points {
                let exemplar = point.exemplars.first().map(|exemplar| (exemplar.time_unix_nano, exemplar.trace_id.len()));
                seen.push((metric.name.clone(), point.attributes.len(), exemplar));
            }
        }
        let linked = Some((5_000_000_007, 16));
        let name = str::to_owned;
        assert_eq!(
            seen,
            [
                (name("n_total"), 0, linked),
                (name("open"), 0, None),
                (name("size"), 1, None),
                (name("size_count"), 0, None),
                (name("size_sum"), 0, None),
                (name("took_bucket"), 1, linked),
                (name("took_count"), 0, None),
                (name("took_sum"), 0, None),
            ]
        );
        assert_eq!(lost, 0);
    }

    #[test]
    fn native_buckets_without_end_or_sense_are_counted_and_count_and_sum_stay() {
        let good = native_histogram();
        let broken = [
            Histogram { positive_span: vec![Span { offset: Some(0), length: Some(u32::MAX) }], ..good.clone() },
            Histogram {
                positive_span: vec![Span { offset: Some(0), length: Some(1) }, Span { offset: Some(i32::MAX), length: Some(1) }],
                ..good.clone()
            },
            Histogram {
                positive_span: vec![Span { offset: Some(0), length: Some(1) }, Span { offset: Some(-5), length: Some(1) }],
                ..good.clone()
            },
            Histogram { positive_delta: vec![3, -9, 1], ..good.clone() },
            Histogram { positive_delta: vec![i64::MAX, 1, 1], ..good.clone() },
            Histogram { positive_delta: vec![1], ..good.clone() },
            Histogram { schema: Some(-53), ..good },
        ];
        for histogram in broken {
            let (request, lost) =
                to_otlp("shop", &page(&[family("took", Metric { histogram: Some(histogram.clone()), ..Metric::default() })]));
            let names: Vec<String> =
                request.unwrap().resource_metrics[0].scope_metrics[0].metrics.iter().map(|metric| metric.name.clone()).collect();
            assert_eq!((names, lost), (vec!["took_count".to_owned(), "took_sum".to_owned()], 1), "{histogram:?}");
        }
    }

    #[test]
    fn what_is_broken_or_floods_ends_the_page_and_what_was_before_it_stays() {
        let good = page(&[family("open", Metric { gauge: Some(Number { value: Some(1.0) }), ..Metric::default() })]);
        let flood = [0x22, 0x00].repeat(PARTS + 1);
        let mut delimited = Vec::new();
        prost::encoding::encode_varint(flood.len() as u64, &mut delimited);
        delimited.extend(flood);
        for tail in [&[0xff; 20][..], &[0x05, 0x0a], &[0x02, 0x0a, 0x7f], &delimited] {
            let (request, _) = to_otlp("shop", &[&good[..], tail].concat());
            assert_eq!(request.unwrap().resource_metrics[0].scope_metrics[0].metrics.len(), 1);
        }
        assert_eq!(to_otlp("shop", b"<html>").0, None);
    }
}
