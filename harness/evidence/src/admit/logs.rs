//! Which log records get in.

use super::{
    Account, Admission, Signal, is_id,
    measure::{BODY, Measure, TEXT},
};
use opentelemetry_proto::tonic::{collector::logs::v1::ExportLogsServiceRequest, logs::v1::LogRecord};
use shakedown_model::time::UnixNanos;

impl Signal for ExportLogsServiceRequest {
    const ITEMS: &'static str = "log records";

    fn admit(&mut self, now: UnixNanos) -> Admission {
        let mut account = Account::default();
        for resource in &mut self.resource_logs {
            for scope in &mut resource.scope_logs {
                for record in &mut scope.log_records {
                    admit(record, now, &mut account.measure);
                    account.book(Ok(()));
                }
                account.measure.scope(&mut scope.scope, &mut scope.schema_url);
            }
            resource.scope_logs.retain(|scope| !scope.log_records.is_empty());
            account.measure.resource(&mut resource.resource, &mut resource.schema_url);
        }
        self.resource_logs.retain(|resource| !resource.scope_logs.is_empty());
        account.close()
    }
}

/// A log record says something even where its ids are broken, so none is refused.
fn admit(record: &mut LogRecord, now: UnixNanos, measure: &mut Measure) {
    if !is_id(&record.trace_id, 16) {
        record.trace_id.clear();
        record.span_id.clear();
    }
    if !is_id(&record.span_id, 8) {
        record.span_id.clear();
    }
    if record.time_unix_nano == 0 && record.observed_time_unix_nano == 0 {
        record.observed_time_unix_nano = now.0;
    }
    measure.weight += size_of::<LogRecord>();
    measure.text(&mut record.severity_text, TEXT);
    measure.text(&mut record.event_name, TEXT);
    measure.attributes(&mut record.attributes, &mut record.dropped_attributes_count);
    if let Some(body) = &mut record.body {
        measure.value(body, BODY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::logs::v1::{ResourceLogs, ScopeLogs};

    #[test]
    fn a_record_without_time_and_with_broken_ids_stays_and_gets_the_time_of_its_arrival() {
        let record = LogRecord { trace_id: vec![1; 3], span_id: vec![1; 8], ..LogRecord::default() };
        let scope_logs = vec![ScopeLogs { log_records: vec![record], ..ScopeLogs::default() }];
        let mut request = ExportLogsServiceRequest { resource_logs: vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }] };
        assert_eq!(request.admit(UnixNanos(77)).kept, 1);
        let record = &request.resource_logs[0].scope_logs[0].log_records[0];
        assert_eq!((record.observed_time_unix_nano, record.trace_id.len(), record.span_id.len()), (77, 0, 0));
    }
}
