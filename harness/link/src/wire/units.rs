//! How values that are not numbers or words are said on the wire. For `#[serde(with = …)]`.

/// A duration, in microseconds. One that is longer than 64 bits of them is said as that many.
pub(crate) mod micros {
    use serde::{Deserialize, Deserializer, Serializer};
    use std::time::Duration;

    pub(crate) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_micros)
    }
}

/// A share from 0 to 1, in millionths: what comes from the wire is the nearest of them, and above 1 if it was.
pub(crate) mod ppm {
    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives references")]
    pub(crate) fn serialize<S: Serializer>(share: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32((share * 1e6).round() as u32)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        u32::deserialize(deserializer).map(|ppm| f64::from(ppm) / 1e6)
    }
}

/// Bytes that are text. Others are not said at all rather than said wrong.
pub(crate) mod text {
    use bytes::Bytes;
    use serde::{Deserialize, Deserializer, Serializer, ser::Error};

    #[expect(clippy::ref_option, reason = "serde gives references")]
    pub(crate) fn serialize<S: Serializer>(bytes: &Option<Bytes>, serializer: S) -> Result<S::Ok, S::Error> {
        match bytes.as_deref().map(std::str::from_utf8) {
            None => serializer.serialize_none(),
            Some(Ok(text)) => serializer.serialize_some(text),
            Some(Err(error)) => Err(Error::custom(format!("a body that is not text: {error}"))),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Bytes>, D::Error> {
        Ok(Option::<String>::deserialize(deserializer)?.map(Bytes::from))
    }
}
