//! Kinds that are done to byte streams.

use super::size;
use crate::{
    config::{fields::Field, problems::Problems, units},
    fault::{LimitData, Slicer, SlowClose, Timeout},
};

pub(in crate::config) const SLICER_KEYS: &[&str] = &["size", "delay"];

pub(super) fn slicer(field: Field<'_>, problems: &mut Problems) -> Option<Slicer> {
    let fields = field.fields("`slicer`", SLICER_KEYS, problems)?;
    let size = fields.need("size", "size: 64B", problems).and_then(|field| size(field, problems));
    let delay = fields.need("delay", "delay: 10ms", problems).and_then(|field| units::long_span(field, problems));
    Some(Slicer { size: size?, delay: delay? })
}

pub(super) fn limit_data(field: Field<'_>, problems: &mut Problems) -> Option<LimitData> {
    let fields = field.fields("`limit_data`", &["bytes"], problems)?;
    let bytes = fields.need("bytes", "bytes: 1KiB", problems).and_then(|field| size(field, problems));
    Some(LimitData { bytes: bytes? })
}

pub(super) fn slow_close(field: Field<'_>, problems: &mut Problems) -> Option<SlowClose> {
    let fields = field.fields("`slow_close`", &["delay"], problems)?;
    let delay = fields.need("delay", "delay: 2s", problems).and_then(|field| units::long_span(field, problems));
    Some(SlowClose { delay: delay? })
}

pub(super) fn timeout(field: Field<'_>, problems: &mut Problems) -> Option<Timeout> {
    let fields = field.fields("`timeout`", &["after"], problems)?;
    let after = fields.need("after", "after: 5s", problems).and_then(|field| units::span(field, problems));
    Some(Timeout { after: after? })
}
