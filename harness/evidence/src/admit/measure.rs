//! Bounds on the common parts of OTLP: texts, values, attributes, resources, scopes.

use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value},
    resource::v1::Resource,
};

/// Longest name, key or attribute value, in bytes.
pub(crate) const TEXT: usize = 4096;
/// Longest log body, in bytes.
pub(crate) const BODY: usize = 16 * 1024;
/// Most attributes of one record, and most elements of one list.
pub(crate) const ATTRIBUTES: usize = 128;
/// Deepest value that is kept; JSON readers give up at 128 levels and each of these is three.
const DEPTH: u32 = 8;

/// Shortens a text to at most `limit` bytes, between two characters. Answers whether it did.
pub(crate) fn cut(text: &mut String, limit: usize) -> bool {
    if text.len() <= limit {
        return false;
    }
    text.truncate(text.floor_char_boundary(limit));
    text.shrink_to_fit();
    true
}

/// Shortens a value of an attribute.
pub(crate) fn bound(value: &mut AnyValue) {
    Measure::default().value(value, TEXT);
}

/// Weight so far, and how much was shortened.
#[derive(Debug, Default)]
pub(super) struct Measure {
    pub(super) weight: usize,
    pub(super) cut: u64,
}

impl Measure {
    pub(super) fn text(&mut self, text: &mut String, limit: usize) {
        self.cut += u64::from(cut(text, limit));
        self.weight += text.len();
    }

    pub(super) fn attributes(&mut self, attributes: &mut Vec<KeyValue>, dropped: &mut u32) {
        let over = self.list(attributes);
        *dropped = dropped.saturating_add(over);
        self.pairs(attributes, 0);
    }

    /// Shortens a list; answers by how many.
    pub(super) fn list<T>(&mut self, list: &mut Vec<T>) -> u32 {
        let over = list.len().saturating_sub(ATTRIBUTES);
        if over > 0 {
            list.truncate(ATTRIBUTES);
            list.shrink_to_fit();
            self.cut += 1;
        }
        self.weight += list.len() * size_of::<T>();
        over as u32
    }

    pub(super) fn value(&mut self, value: &mut AnyValue, limit: usize) {
        self.nested(value, limit, 0);
    }

    fn pairs(&mut self, pairs: &mut [KeyValue], depth: u32) {
        for pair in pairs {
            self.text(&mut pair.key, TEXT);
            // An index into a dictionary that OTLP over the wire does not carry.
            pair.key_strindex = 0;
            if let Some(value) = &mut pair.value {
                self.nested(value, TEXT, depth);
            }
        }
    }

    fn nested(&mut self, value: &mut AnyValue, limit: usize, depth: u32) {
        match &mut value.value {
            Some(Value::StringValue(text)) => self.text(text, limit),
            Some(Value::BytesValue(bytes)) => {
                self.cut += u64::from(bytes.len() > limit);
                bytes.truncate(limit);
                self.weight += bytes.len();
            }
            // JSON has no such numbers.
            Some(Value::DoubleValue(number)) if !number.is_finite() => {
                value.value = Some(Value::StringValue(number.to_string()));
            }
            Some(Value::ArrayValue(_) | Value::KvlistValue(_)) if depth == DEPTH => {
                self.cut += 1;
                value.value = Some(Value::StringValue("…".to_owned()));
            }
            Some(Value::ArrayValue(array)) => {
                self.list(&mut array.values);
                for element in &mut array.values {
                    self.nested(element, limit, depth + 1);
                }
            }
            Some(Value::KvlistValue(pairs)) => {
                self.list(&mut pairs.values);
                self.pairs(&mut pairs.values, depth + 1);
            }
            Some(Value::StringValueStrindex(_)) => value.value = None,
            Some(Value::BoolValue(_) | Value::IntValue(_) | Value::DoubleValue(_)) | None => {}
        }
    }

    pub(super) fn resource(&mut self, resource: &mut Option<Resource>, schema_url: &mut String) {
        self.text(schema_url, TEXT);
        if let Some(resource) = resource {
            // Entities are still in development and nothing reads them.
            resource.entity_refs = Vec::new();
            self.attributes(&mut resource.attributes, &mut resource.dropped_attributes_count);
        }
    }

    pub(super) fn scope(&mut self, scope: &mut Option<InstrumentationScope>, schema_url: &mut String) {
        self.text(schema_url, TEXT);
        if let Some(scope) = scope {
            self.text(&mut scope.name, TEXT);
            self.text(&mut scope.version, TEXT);
            self.attributes(&mut scope.attributes, &mut scope.dropped_attributes_count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deep(levels: u32) -> AnyValue {
        (0..levels).fold(AnyValue { value: Some(Value::BoolValue(true)) }, |inner, _| AnyValue {
            value: Some(Value::ArrayValue(opentelemetry_proto::tonic::common::v1::ArrayValue { values: vec![inner] })),
        })
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        let mut text = "ää".repeat(3000);
        assert!(cut(&mut text, 4095));
        assert_eq!(text.len(), 4094);
        assert!(!cut(&mut text, 4095));
    }

    #[test]
    fn a_value_that_nests_too_deep_is_cut_and_can_be_read_back() {
        for (levels, cuts) in [(8, 0), (9, 1), (49, 1)] {
            let (mut value, mut measure) = (deep(levels), Measure::default());
            measure.value(&mut value, TEXT);
            assert_eq!(measure.cut, cuts, "{levels} levels");
            let json = serde_json::to_string(&value).unwrap();
            assert_eq!(serde_json::from_str::<AnyValue>(&json).unwrap(), value);
        }
    }

    #[test]
    fn numbers_that_json_does_not_have_become_text() {
        let mut value = AnyValue { value: Some(Value::DoubleValue(f64::NAN)) };
        Measure::default().value(&mut value, TEXT);
        assert_eq!(value.value, Some(Value::StringValue("NaN".to_owned())));
    }
}
