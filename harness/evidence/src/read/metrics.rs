//! Samples out of OTLP metrics: a number is one sample, a histogram is its count and its sum, as Prometheus writes them.

use super::{
    texts::Texts,
    values::{pairs, service},
};
use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    common::v1::KeyValue,
    metrics::v1::{Metric, NumberDataPoint, SummaryDataPoint, metric::Data, number_data_point::Value},
};
use shakedown_model::{evidence::MetricPoint, text::Text, time::UnixNanos};
use std::{collections::BTreeMap, fmt::Write as _};

pub(super) fn read(request: ExportMetricsServiceRequest, texts: &mut Texts, points: &mut Vec<MetricPoint>) {
    for resource in request.resource_metrics {
        let service = texts.text(&service(resource.resource.as_ref()));
        let mut samples = Samples { service, texts, points };
        for metric in resource.scope_metrics.into_iter().flat_map(|scope| scope.metrics) {
            samples.metric(metric);
        }
    }
}

struct Samples<'a> {
    service: Text,
    texts: &'a mut Texts,
    points: &'a mut Vec<MetricPoint>,
}

impl Samples<'_> {
    fn metric(&mut self, Metric { name, data, .. }: Metric) {
        match data {
            Some(Data::Gauge(gauge)) => gauge.data_points.into_iter().for_each(|point| self.number(&name, point)),
            Some(Data::Sum(sum)) => sum.data_points.into_iter().for_each(|point| self.number(&name, point)),
            Some(Data::Histogram(histogram)) => {
                for point in histogram.data_points {
                    self.count_and_sum(&name, point.time_unix_nano, &labels(point.attributes, None), point.count, point.sum);
                }
            }
            Some(Data::ExponentialHistogram(histogram)) => {
                for point in histogram.data_points {
                    self.count_and_sum(&name, point.time_unix_nano, &labels(point.attributes, None), point.count, point.sum);
                }
            }
            Some(Data::Summary(summary)) => summary.data_points.into_iter().for_each(|point| self.quantiles(&name, point)),
            None => {}
        }
    }

    fn number(&mut self, name: &str, point: NumberDataPoint) {
        let value = match point.value {
            Some(Value::AsDouble(number)) => number,
            Some(Value::AsInt(number)) => number as f64,
            None => return,
        };
        self.push(name, point.time_unix_nano, &labels(point.attributes, None), value);
    }

    fn quantiles(&mut self, name: &str, point: SummaryDataPoint) {
        for at in &point.quantile_values {
            let labels = labels(point.attributes.clone(), Some(("quantile", at.quantile.to_string())));
            self.push(name, point.time_unix_nano, &labels, at.value);
        }
        self.count_and_sum(name, point.time_unix_nano, &labels(point.attributes, None), point.count, Some(point.sum));
    }

    fn count_and_sum(&mut self, name: &str, at: u64, labels: &str, count: u64, sum: Option<f64>) {
        self.push(&format!("{name}_count"), at, labels, count as f64);
        if let Some(sum) = sum {
            self.push(&format!("{name}_sum"), at, labels, sum);
        }
    }

    fn push(&mut self, name: &str, at: u64, labels: &str, value: f64) {
        let (service, name, labels) = (Text::clone(&self.service), self.texts.text(name), self.texts.text(labels));
        self.points.push(MetricPoint { at: UnixNanos(at), service, name, labels, value });
    }
}

/// `k="v"`, sorted by key, with commas between.
fn labels(attributes: Vec<KeyValue>, more: Option<(&str, String)>) -> String {
    let more = more.map(|(key, value)| (key.to_owned(), value));
    let sorted: BTreeMap<_, _> = pairs(attributes).chain(more).collect();
    let mut text = String::new();
    for (key, value) in sorted {
        let comma = if text.is_empty() { "" } else { "," };
        let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        // Writing to a string cannot fail.
        let _written = write!(text, "{comma}{key}=\"{value}\"");
    }
    text
}
