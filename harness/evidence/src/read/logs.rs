//! Log records out of OTLP.

use super::{
    texts::Texts,
    values::{service, text},
};
use crate::{
    admit::{BODY, cut},
    logs::Severity,
};
use opentelemetry_proto::tonic::{collector::logs::v1::ExportLogsServiceRequest, logs::v1::LogRecord as OtlpRecord};
use shakedown_model::{evidence::LogRecord, ids::TraceId, text::Text, time::UnixNanos};

/// Longest severity that is no known one.
const SEVERITY: usize = 32;

pub(super) fn read(request: ExportLogsServiceRequest, texts: &mut Texts, logs: &mut Vec<LogRecord>) {
    for resource in request.resource_logs {
        let service = texts.text(&service(resource.resource.as_ref()));
        let of_scopes = resource.scope_logs.into_iter().flat_map(|scope| scope.log_records);
        logs.extend(of_scopes.map(|record| read_one(record, &service, texts)));
    }
}

fn read_one(record: OtlpRecord, service: &Text, texts: &mut Texts) -> LogRecord {
    let at = if record.time_unix_nano == 0 { record.observed_time_unix_nano } else { record.time_unix_nano };
    let mut body = record.body.map_or_else(String::new, text);
    cut(&mut body, BODY);
    LogRecord {
        at: UnixNanos(at),
        service: Text::clone(service),
        severity: severity(record.severity_number, record.severity_text).map(|severity| texts.text(&severity)),
        body,
        trace_id: TraceId::of(&record.trace_id),
    }
}

/// The number where there is one, because words differ between loggers.
fn severity(number: i32, mut text: String) -> Option<String> {
    if let Some(severity) = Severity::from_number(number).or_else(|| Severity::from_word(&text)) {
        return Some(severity.word().to_owned());
    }
    cut(&mut text, SEVERITY);
    (!text.is_empty()).then(|| text.to_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_severity_reads_the_same_however_it_was_written() {
        let cases = [
            (17, "", Some("ERROR")),
            (20, "whatever", Some("ERROR")),
            (0, "warning", Some("WARN")),
            (0, "odd", Some("ODD")),
            (99, "", None),
        ];
        for (number, text, expected) in cases {
            assert_eq!(severity(number, text.to_owned()).as_deref(), expected, "{number} {text}");
        }
    }
}
