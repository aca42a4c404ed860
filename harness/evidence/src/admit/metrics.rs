//! Which data points get in.

use super::{
    Account, Admission, Signal,
    measure::{Measure, TEXT},
};
use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    common::v1::KeyValue,
    metrics::v1::{
        Exemplar, ExponentialHistogramDataPoint, HistogramDataPoint, Metric, NumberDataPoint, SummaryDataPoint, exemplar, metric::Data,
        number_data_point::Value,
    },
};
use shakedown_model::time::UnixNanos;

/// Most buckets of one histogram point. A list of buckets that was cut would be a different histogram, so the point is refused.
const BUCKETS: usize = 4096;
const NOT_FINITE: &str = "a data point needs a finite number: JSON has no NaN and no infinity";
const TOO_MANY_BUCKETS: &str = "a histogram point has more than 4096 buckets";

impl Signal for ExportMetricsServiceRequest {
    const ITEMS: &'static str = "data points";

    fn admit(&mut self, now: UnixNanos) -> Admission {
        let mut account = Account::default();
        for resource in &mut self.resource_metrics {
            for scope in &mut resource.scope_metrics {
                scope.metrics.retain_mut(|metric| admit(metric, now, &mut account));
                account.measure.scope(&mut scope.scope, &mut scope.schema_url);
            }
            resource.scope_metrics.retain(|scope| !scope.metrics.is_empty());
            account.measure.resource(&mut resource.resource, &mut resource.schema_url);
        }
        self.resource_metrics.retain(|resource| !resource.scope_metrics.is_empty());
        account.close()
    }
}

/// Answers whether anything is left of the metric.
fn admit(metric: &mut Metric, now: UnixNanos, account: &mut Account) -> bool {
    let before = account.kept;
    match &mut metric.data {
        Some(Data::Gauge(gauge)) => points(&mut gauge.data_points, account, |point, measure| number(point, now, measure)),
        Some(Data::Sum(sum)) => points(&mut sum.data_points, account, |point, measure| number(point, now, measure)),
        Some(Data::Histogram(histogram)) => points(&mut histogram.data_points, account, |point, measure| buckets(point, now, measure)),
        Some(Data::ExponentialHistogram(histogram)) => {
            points(&mut histogram.data_points, account, |point, measure| exponential(point, now, measure));
        }
        Some(Data::Summary(summary)) => points(&mut summary.data_points, account, |point, measure| quantiles(point, now, measure)),
        None => {}
    }
    let measure = &mut account.measure;
    measure.weight += size_of::<Metric>();
    measure.text(&mut metric.name, TEXT);
    measure.text(&mut metric.description, TEXT);
    measure.text(&mut metric.unit, TEXT);
    measure.attributes(&mut metric.metadata, &mut 0);
    account.kept > before
}

fn points<T>(points: &mut Vec<T>, account: &mut Account, admit: impl Fn(&mut T, &mut Measure) -> Result<(), &'static str>) {
    points.retain_mut(|point| {
        account.measure.weight += size_of::<T>();
        let verdict = admit(point, &mut account.measure);
        account.book(verdict)
    });
}

fn number(point: &mut NumberDataPoint, now: UnixNanos, measure: &mut Measure) -> Result<(), &'static str> {
    match point.value {
        Some(Value::AsDouble(number)) if !number.is_finite() => return Err(NOT_FINITE),
        None => return Err("a data point needs a value"),
        Some(_) => {}
    }
    common(&mut point.time_unix_nano, &mut point.attributes, &mut point.exemplars, now, measure);
    Ok(())
}

fn buckets(point: &mut HistogramDataPoint, now: UnixNanos, measure: &mut Measure) -> Result<(), &'static str> {
    if point.bucket_counts.len() > BUCKETS || point.explicit_bounds.len() > BUCKETS {
        return Err(TOO_MANY_BUCKETS);
    }
    if point.explicit_bounds.iter().any(|bound| !bound.is_finite()) {
        return Err(NOT_FINITE);
    }
    for number in [&mut point.sum, &mut point.min, &mut point.max] {
        *number = number.filter(|number| number.is_finite());
    }
    measure.weight += (point.bucket_counts.len() + point.explicit_bounds.len()) * size_of::<u64>();
    common(&mut point.time_unix_nano, &mut point.attributes, &mut point.exemplars, now, measure);
    Ok(())
}

fn exponential(point: &mut ExponentialHistogramDataPoint, now: UnixNanos, measure: &mut Measure) -> Result<(), &'static str> {
    for buckets in [&point.positive, &point.negative].into_iter().flatten() {
        if buckets.bucket_counts.len() > BUCKETS {
            return Err(TOO_MANY_BUCKETS);
        }
        measure.weight += buckets.bucket_counts.len() * size_of::<u64>();
    }
    if !point.zero_threshold.is_finite() {
        return Err(NOT_FINITE);
    }
    for number in [&mut point.sum, &mut point.min, &mut point.max] {
        *number = number.filter(|number| number.is_finite());
    }
    common(&mut point.time_unix_nano, &mut point.attributes, &mut point.exemplars, now, measure);
    Ok(())
}

fn quantiles(point: &mut SummaryDataPoint, now: UnixNanos, measure: &mut Measure) -> Result<(), &'static str> {
    if !point.sum.is_finite() {
        return Err(NOT_FINITE);
    }
    // A summary that saw nothing yet says NaN for every quantile: that is no sample.
    point.quantile_values.retain(|at| at.quantile.is_finite() && at.value.is_finite());
    measure.list(&mut point.quantile_values);
    common(&mut point.time_unix_nano, &mut point.attributes, &mut Vec::new(), now, measure);
    Ok(())
}

fn common(time: &mut u64, attributes: &mut Vec<KeyValue>, exemplars: &mut Vec<Exemplar>, now: UnixNanos, measure: &mut Measure) {
    if *time == 0 {
        *time = now.0;
    }
    measure.attributes(attributes, &mut 0);
    exemplars.retain(|exemplar| match exemplar.value {
        Some(exemplar::Value::AsDouble(number)) => number.is_finite(),
        Some(exemplar::Value::AsInt(_)) => true,
        None => false,
    });
    measure.list(exemplars);
    for exemplar in exemplars {
        exemplar.trace_id.truncate(16);
        exemplar.span_id.truncate(8);
        measure.attributes(&mut exemplar.filtered_attributes, &mut 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::metrics::v1::{
        ExponentialHistogram, Gauge, Histogram, ResourceMetrics, ScopeMetrics, Summary, exponential_histogram_data_point::Buckets,
        summary_data_point::ValueAtQuantile,
    };

    fn request(data: Data) -> ExportMetricsServiceRequest {
        let metrics = vec![Metric { name: "m".into(), data: Some(data), ..Metric::default() }];
        let scope_metrics = vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }];
        ExportMetricsServiceRequest { resource_metrics: vec![ResourceMetrics { scope_metrics, ..ResourceMetrics::default() }] }
    }

    fn hostile() -> Vec<Data> {
        let gauge = |value| Data::Gauge(Gauge { data_points: vec![NumberDataPoint { value, ..NumberDataPoint::default() }] });
        let histogram = |point| Data::Histogram(Histogram { data_points: vec![point], ..Histogram::default() });
        let exponential = |point| Data::ExponentialHistogram(ExponentialHistogram { data_points: vec![point], ..Default::default() });
        let many = Some(Buckets { bucket_counts: vec![1; 5000], ..Buckets::default() });
        vec![
            gauge(None),
            gauge(Some(Value::AsDouble(f64::NAN))),
            gauge(Some(Value::AsDouble(f64::NEG_INFINITY))),
            histogram(HistogramDataPoint { explicit_bounds: vec![f64::INFINITY], ..Default::default() }),
            histogram(HistogramDataPoint { bucket_counts: vec![0; 5000], ..Default::default() }),
            exponential(ExponentialHistogramDataPoint { zero_threshold: f64::NAN, ..Default::default() }),
            exponential(ExponentialHistogramDataPoint { positive: many, ..Default::default() }),
            Data::Summary(Summary { data_points: vec![SummaryDataPoint { sum: f64::NAN, ..Default::default() }] }),
        ]
    }

    #[test]
    fn points_that_json_cannot_hold_are_refused_and_nothing_is_left_of_their_metric() {
        for data in hostile() {
            let mut request = request(data.clone());
            let admission = request.admit(UnixNanos(5));
            assert_eq!((admission.kept, admission.refused), (0, 1), "{data:?}");
            assert!(request.resource_metrics.is_empty(), "{data:?}");
        }
    }

    #[test]
    fn optional_numbers_that_json_cannot_hold_are_left_out_and_the_rest_is_read_back() {
        let exemplars = vec![Exemplar { value: Some(exemplar::Value::AsDouble(f64::NAN)), ..Exemplar::default() }];
        let point = HistogramDataPoint { count: 3, sum: Some(f64::NAN), min: Some(f64::INFINITY), exemplars, ..Default::default() };
        let quantile_values = vec![ValueAtQuantile { quantile: 0.5, value: f64::NAN }, ValueAtQuantile { quantile: 0.9, value: 1.0 }];
        let summary = SummaryDataPoint { quantile_values, ..Default::default() };
        for data in [
            Data::Histogram(Histogram { data_points: vec![point], ..Histogram::default() }),
            Data::Summary(Summary { data_points: vec![summary] }),
        ] {
            let mut request = request(data);
            assert_eq!(request.admit(UnixNanos(5)).kept, 1);
            let json = serde_json::to_string(&request).unwrap();
            assert_eq!(serde_json::from_str::<ExportMetricsServiceRequest>(&json).unwrap(), request);
        }
    }
}
