//! OTLP values as text: what a service is called, and what an attribute says; out of messages and, borrowed, out of OTLP JSON.

use crate::admit::bound;
use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, KeyValue, any_value::Value as OtlpValue},
    resource::v1::Resource,
};
use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, MapAccess, Visitor},
};
use serde_json::json;
use shakedown_model::ids::hex;
use std::{borrow::Cow, fmt, str::FromStr};

/// What OpenTelemetry calls a service that does not say it.
pub(crate) const UNKNOWN_SERVICE: &str = "unknown_service";

/// A text of a line, borrowed from it where nothing in it is escaped.
#[derive(Deserialize, Default)]
pub(crate) struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl Text<'_> {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// An `AnyValue` of a line. Two values at once are an error.
pub(crate) enum Value<'a> {
    Empty,
    Text(Text<'a>),
    Bool(bool),
    Int(i64),
    Double(f64),
    /// A list, a map or bytes, as long as it came.
    Other(AnyValue),
}

impl Value<'_> {
    /// As [`text`] has it, bounded.
    pub(super) fn text(&self) -> Cow<'_, str> {
        Cow::Owned(match self {
            Value::Text(text) => return Cow::Borrowed(text.as_str()),
            Value::Empty => return Cow::Borrowed(""),
            Value::Bool(value) => value.to_string(),
            Value::Int(number) => number.to_string(),
            Value::Double(number) => json!(number).to_string(),
            Value::Other(value) => {
                let mut value = value.clone();
                bound(&mut value);
                text(value)
            }
        })
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Value<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Value<'a>, D::Error> {
        deserializer.deserialize_map(OneOf)
    }
}

struct OneOf;

impl<'de> Visitor<'de> for OneOf {
    type Value = Value<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an OTLP value, such as {\"stringValue\": \"…\"}")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Value<'de>, M::Error> {
        let mut value = Value::Empty;
        while let Some(kind) = map.next_key::<Text<'de>>()? {
            if !matches!(value, Value::Empty) {
                return Err(M::Error::custom("two values at once"));
            }
            value = match kind.as_str() {
                "stringValue" => Value::Text(map.next_value()?),
                "boolValue" => Value::Bool(map.next_value()?),
                "intValue" => Value::Int(map.next_value::<Int>()?.0),
                "doubleValue" => Value::Double(map.next_value()?),
                "arrayValue" | "kvlistValue" | "bytesValue" => {
                    Value::Other(nested(kind.as_str(), map.next_value()?).map_err(M::Error::custom)?)
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    Value::Empty
                }
            };
        }
        Ok(value)
    }
}

fn nested(kind: &str, value: serde_json::Value) -> serde_json::Result<AnyValue> {
    serde_json::from_value(serde_json::Map::from_iter([(kind.to_owned(), value)]).into())
}

/// A signed 64-bit integer, which Protobuf's JSON writes as text.
struct Int(i64);

impl<'de> Deserialize<'de> for Int {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Int, D::Error> {
        deserializer.deserialize_any(IntOrText)
    }
}

struct IntOrText;

impl Visitor<'_> for IntOrText {
    type Value = Int;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a whole number, bare or as text")
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Int, E> {
        Ok(Int(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Int, E> {
        i64::try_from(number).map(Int).map_err(E::custom)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Int, E> {
        text.parse().map(Int).map_err(E::custom)
    }
}

/// A 64-bit integer, which Protobuf's JSON writes as text (<https://protobuf.dev/programming-guides/json/>).
pub(crate) fn integer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    deserializer.deserialize_any(Integer)
}

struct Integer;

impl Visitor<'_> for Integer {
    type Value = u64;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a whole number, bare or as text")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<u64, E> {
        Ok(number)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<u64, E> {
        u64::from_str(text).map_err(E::custom)
    }
}

/// `service.name`, or [`UNKNOWN_SERVICE`].
pub(super) fn service(resource: Option<&Resource>) -> String {
    let attributes = resource.map(|resource| &resource.attributes[..]).unwrap_or_default();
    let name = attributes.iter().find(|pair| pair.key == "service.name").and_then(|pair| pair.value.clone());
    name.map(text).filter(|name| !name.is_empty()).unwrap_or_else(|| UNKNOWN_SERVICE.to_owned())
}

/// Attributes as pairs of texts.
pub(super) fn pairs(attributes: Vec<KeyValue>) -> impl Iterator<Item = (String, String)> {
    attributes.into_iter().map(|pair| (pair.key, pair.value.map_or_else(String::new, text)))
}

/// A text as it is, anything else as JSON.
pub(super) fn text(value: AnyValue) -> String {
    match value.value {
        Some(OtlpValue::StringValue(text)) => text,
        None => String::new(),
        Some(value) => plain(value).to_string(),
    }
}

fn plain(value: OtlpValue) -> serde_json::Value {
    let nested = |value: AnyValue| value.value.map_or(serde_json::Value::Null, plain);
    match value {
        OtlpValue::StringValue(text) => text.into(),
        OtlpValue::BoolValue(value) => value.into(),
        OtlpValue::IntValue(number) => number.into(),
        OtlpValue::DoubleValue(number) => json!(number),
        OtlpValue::BytesValue(bytes) => hex(&bytes).into(),
        OtlpValue::StringValueStrindex(index) => index.into(),
        OtlpValue::ArrayValue(array) => array.values.into_iter().map(nested).collect(),
        OtlpValue::KvlistValue(list) => {
            list.values.into_iter().map(|pair| (pair.key, pair.value.map_or(serde_json::Value::Null, nested))).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::common::v1::{ArrayValue, KeyValueList};

    fn value(value: OtlpValue) -> AnyValue {
        AnyValue { value: Some(value) }
    }

    #[test]
    fn every_kind_of_value_reads_as_text() {
        let array = OtlpValue::ArrayValue(ArrayValue { values: vec![value(OtlpValue::IntValue(1)), AnyValue { value: None }] });
        let pair = KeyValue { key: "k".into(), value: Some(value(OtlpValue::BoolValue(true))), ..KeyValue::default() };
        let cases = [
            (OtlpValue::StringValue("as \"it\" is".into()), "as \"it\" is"),
            (OtlpValue::IntValue(-7), "-7"),
            (OtlpValue::DoubleValue(0.5), "0.5"),
            (OtlpValue::BoolValue(false), "false"),
            (OtlpValue::BytesValue(vec![0xca, 0xfe]), "\"cafe\""),
            (array, "[1,null]"),
            (OtlpValue::KvlistValue(KeyValueList { values: vec![pair] }), "{\"k\":true}"),
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
