//! What stands at the top of a JSON document, without keeping any of it: by that it is known which format it is.

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use std::fmt;

/// Keys that are looked at.
const KEYS: usize = 64;

/// The shape of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outline {
    /// Keys of an object.
    Object(Vec<String>),
    /// The first element of a list; `None`: it is empty.
    List(Option<Box<Outline>>),
    /// A number, a text, …
    Other,
}

impl Outline {
    /// `None`: it is no JSON document.
    pub(super) fn of(json: &[u8]) -> Option<Outline> {
        serde_json::from_slice(json).ok()
    }

    pub(super) fn has(&self, key: &str) -> bool {
        matches!(self, Outline::Object(keys) if keys.iter().any(|known| known == key))
    }
}

impl<'de> Deserialize<'de> for Outline {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Outline, D::Error> {
        deserializer.deserialize_any(Top)
    }
}

struct Top;

impl<'de> Visitor<'de> for Top {
    type Value = Outline;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Outline, M::Error> {
        let mut keys = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            map.next_value::<IgnoredAny>()?;
            if keys.len() < KEYS {
                keys.push(key);
            }
        }
        Ok(Outline::Object(keys))
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut list: S) -> Result<Outline, S::Error> {
        let first = list.next_element::<Outline>()?;
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Outline::List(first.map(Box::new)))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Outline, E> {
        Ok(Outline::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Outline, E> {
        Ok(Outline::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Outline, E> {
        Ok(Outline::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Outline, E> {
        Ok(Outline::Other)
    }

    fn visit_str<E>(self, _: &str) -> Result<Outline, E> {
        Ok(Outline::Other)
    }

    fn visit_unit<E>(self) -> Result<Outline, E> {
        Ok(Outline::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shape_of_a_document_is_known_and_what_is_no_document_has_none() {
        let keys = |keys: &[&str]| Outline::Object(keys.iter().map(|key| (*key).to_owned()).collect());
        assert_eq!(Outline::of(br#"{"data": [1, {"x": null}], "total": 0}"#), Some(keys(&["data", "total"])));
        assert_eq!(
            Outline::of(br#" [[{"id": "a"}], 7] "#),
            Some(Outline::List(Some(Box::new(Outline::List(Some(Box::new(keys(&["id"]))))))))
        );
        assert_eq!(Outline::of(b"[]"), Some(Outline::List(None)));
        let deep = "[".repeat(100_000);
        for broken in ["", "{", "{\"a\":1}}", "<html>", "{\"a\":1} {\"b\":2}", deep.as_str()] {
            assert_eq!(Outline::of(broken.as_bytes()), None, "{broken:.20}");
        }
    }
}
