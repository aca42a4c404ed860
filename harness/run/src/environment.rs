//! What every service is told by its environment: where to send telemetry, and under which name.

use indexmap::IndexMap;

/// Where services find the OTLP receiver of their variant: `host:port`.
#[derive(Debug, Clone)]
pub(crate) struct Receiver {
    pub(crate) grpc: String,
    pub(crate) http: String,
}

/// Adds the OpenTelemetry variables (specification: environment variables 1.x, OTLP exporter) to one service. What the team set stays,
/// except for endpoints: those would lead past us. Returns the endpoint variables that were replaced.
pub(crate) fn add_telemetry(
    service: &str,
    environment: &mut IndexMap<String, String>,
    receiver: &Receiver,
    attributes: &str,
) -> Vec<String> {
    let mut replaced = Vec::new();
    let speaks_grpc = |environment: &IndexMap<String, String>, endpoint: &str| match environment.get("OTEL_EXPORTER_OTLP_PROTOCOL") {
        Some(protocol) => protocol == "grpc",
        None => environment.get(endpoint).is_some_and(|value| value.trim_end_matches('/').ends_with(":4317")),
    };
    for (variable, path) in [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", ""),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "/v1/traces"),
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "/v1/logs"),
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "/v1/metrics"),
    ] {
        let present = environment.get(variable).is_some_and(|value| !value.is_empty());
        if !present && !path.is_empty() {
            continue;
        }
        let endpoint = if speaks_grpc(environment, variable) {
            format!("http://{}", receiver.grpc)
        } else {
            format!("http://{}{path}", receiver.http)
        };
        if present {
            replaced.push(variable.to_owned());
        }
        environment.insert(variable.to_owned(), endpoint);
    }
    let grpc = environment["OTEL_EXPORTER_OTLP_ENDPOINT"] == format!("http://{}", receiver.grpc);
    let mut default = |name: &str, value: &str| {
        environment.entry(name.to_owned()).or_insert_with(|| value.to_owned());
    };
    default("OTEL_EXPORTER_OTLP_PROTOCOL", if grpc { "grpc" } else { "http/protobuf" });
    default("OTEL_SERVICE_NAME", service);
    default("OTEL_RESOURCE_ATTRIBUTES", attributes);
    // A batch that waits five seconds would miss the end of a short phase.
    default("OTEL_BSP_SCHEDULE_DELAY", "500");
    default("OTEL_BLRP_SCHEDULE_DELAY", "500");
    default("OTEL_METRIC_EXPORT_INTERVAL", "2000");
    replaced
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(given: &[(&str, &str)]) -> (IndexMap<String, String>, Vec<String>) {
        let mut environment = given.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        let receiver = Receiver { grpc: "10.0.0.1:4317".to_owned(), http: "10.0.0.1:4318".to_owned() };
        let replaced = add_telemetry("orders", &mut environment, &receiver, "shakedown.run=r");
        (environment, replaced)
    }

    #[test]
    fn a_service_without_settings_gets_http_and_its_own_name() {
        let (environment, replaced) = told(&[]);
        assert_eq!(environment["OTEL_EXPORTER_OTLP_ENDPOINT"], "http://10.0.0.1:4318");
        assert_eq!(environment["OTEL_EXPORTER_OTLP_PROTOCOL"], "http/protobuf");
        assert_eq!(environment["OTEL_SERVICE_NAME"], "orders");
        assert!(replaced.is_empty());
    }

    #[test]
    fn an_endpoint_of_the_team_is_replaced_in_its_own_protocol_and_the_rest_stays() {
        let (environment, replaced) = told(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4317"), ("OTEL_SERVICE_NAME", "mine")]);
        assert_eq!(environment["OTEL_EXPORTER_OTLP_ENDPOINT"], "http://10.0.0.1:4317");
        assert_eq!(environment["OTEL_EXPORTER_OTLP_PROTOCOL"], "grpc");
        assert_eq!(environment["OTEL_SERVICE_NAME"], "mine");
        assert_eq!(replaced, ["OTEL_EXPORTER_OTLP_ENDPOINT"]);
    }

    #[test]
    fn an_endpoint_for_one_signal_is_replaced_with_its_path() {
        let (environment, _) = told(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://collector:4318/v1/traces")]);
        assert_eq!(environment["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"], "http://10.0.0.1:4318/v1/traces");
    }
}
