//! OTLP values as text: what a service is called, and what an attribute says.

use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, KeyValue, any_value::Value},
    resource::v1::Resource,
};
use serde_json::json;
use shakedown_model::ids::hex;

/// `service.name`; what OpenTelemetry calls a service that does not say it where it is missing.
pub(super) fn service(resource: Option<&Resource>) -> String {
    let attributes = resource.map(|resource| &resource.attributes[..]).unwrap_or_default();
    let name = attributes.iter().find(|pair| pair.key == "service.name").and_then(|pair| pair.value.clone());
    name.map(text).filter(|name| !name.is_empty()).unwrap_or_else(|| "unknown_service".to_owned())
}

/// Attributes as pairs of texts.
pub(super) fn pairs(attributes: Vec<KeyValue>) -> impl Iterator<Item = (String, String)> {
    attributes.into_iter().map(|pair| (pair.key, pair.value.map_or_else(String::new, text)))
}

/// A text as it is, anything else as JSON.
pub(super) fn text(value: AnyValue) -> String {
    match value.value {
        Some(Value::StringValue(text)) => text,
        None => String::new(),
        Some(value) => plain(value).to_string(),
    }
}

fn plain(value: Value) -> serde_json::Value {
    let nested = |value: AnyValue| value.value.map_or(serde_json::Value::Null, plain);
    match value {
        Value::StringValue(text) => text.into(),
        Value::BoolValue(value) => value.into(),
        Value::IntValue(number) => number.into(),
        Value::DoubleValue(number) => json!(number),
        Value::BytesValue(bytes) => hex(&bytes).into(),
        Value::StringValueStrindex(index) => index.into(),
        Value::ArrayValue(array) => array.values.into_iter().map(nested).collect(),
        Value::KvlistValue(list) => {
            list.values.into_iter().map(|pair| (pair.key, pair.value.map_or(serde_json::Value::Null, nested))).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::common::v1::{ArrayValue, KeyValueList};

    fn value(value: Value) -> AnyValue {
        AnyValue { value: Some(value) }
    }

    #[test]
    fn every_kind_of_value_reads_as_text() {
        let array = Value::ArrayValue(ArrayValue { values: vec![value(Value::IntValue(1)), AnyValue { value: None }] });
        let pair = KeyValue { key: "k".into(), value: Some(value(Value::BoolValue(true))), ..KeyValue::default() };
        let cases = [
            (Value::StringValue("as \"it\" is".into()), "as \"it\" is"),
            (Value::IntValue(-7), "-7"),
            (Value::DoubleValue(0.5), "0.5"),
            (Value::BoolValue(false), "false"),
            (Value::BytesValue(vec![0xca, 0xfe]), "\"cafe\""),
            (array, "[1,null]"),
            (Value::KvlistValue(KeyValueList { values: vec![pair] }), "{\"k\":true}"),
        ];
        for (case, expected) in cases {
            assert_eq!(text(value(case)), expected);
        }
    }

    #[test]
    fn a_service_without_a_name_is_called_as_opentelemetry_calls_it() {
        assert_eq!(service(None), "unknown_service");
        assert_eq!(service(Some(&Resource::default())), "unknown_service");
    }
}
