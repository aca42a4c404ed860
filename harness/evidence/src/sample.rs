//! A figure of our own among the metrics: what a probe saw.

use crate::{Overloaded, Recorder};
use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value},
    metrics::v1::{Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric::Data, number_data_point},
    resource::v1::Resource,
};
use shakedown_model::time::UnixNanos;

impl Recorder {
    /// Records one gauge of `service`.
    pub fn sample(&self, at: UnixNanos, service: &str, name: &str, labels: &[(&str, &str)], value: f64) -> Result<(), Overloaded> {
        let point = NumberDataPoint {
            attributes: labels.iter().map(|(key, value)| text(key, value)).collect(),
            time_unix_nano: at.0,
            value: Some(number_data_point::Value::AsDouble(value)),
            ..NumberDataPoint::default()
        };
        let gauge = Data::Gauge(Gauge { data_points: vec![point] });
        let metric = Metric { name: name.to_owned(), data: Some(gauge), ..Metric::default() };
        let scope = InstrumentationScope { name: "shakedown.probe".to_owned(), ..InstrumentationScope::default() };
        let resource = Resource { attributes: vec![text("service.name", service)], ..Resource::default() };
        let scope_metrics = vec![ScopeMetrics { scope: Some(scope), metrics: vec![metric], ..ScopeMetrics::default() }];
        let resource_metrics = vec![ResourceMetrics { resource: Some(resource), scope_metrics, ..ResourceMetrics::default() }];
        self.metrics(ExportMetricsServiceRequest { resource_metrics }).map(|_| ())
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}
