//! The parameters of an HTTP fault: which requests, and what is done to them.

use super::{
    fields::{Field, Fields},
    glob::Glob,
    kinds, load,
    problems::Problems,
    units,
};
use crate::{
    fault::{Http, HttpEffect, HttpPatch},
    units::Percent,
};
use indexmap::IndexMap;

pub(super) const KEYS: &[&str] = &["method", "path", "header", "baggage", "share", "abort", "delay", "patch"];
pub(super) const PATCH_KEYS: &[&str] = &["status", "set", "remove", "body"];
const EFFECTS: &[&str] = &["abort", "delay", "patch"];
/// They say where a message ends, which the relay sees to itself.
const FRAMING: &[&str] = &["content-length", "transfer-encoding", "connection", "keep-alive", "trailer", "upgrade"];

pub(super) fn read(field: Field<'_>, problems: &mut Problems) -> Option<Http> {
    let fields = field.fields("`http`", KEYS, problems)?;
    let method = fields.or("method", None, |field| method(field, problems).map(Some));
    let path = fields.or("path", None, |field| path(field, problems).map(Some));
    let header = fields.or("header", None, |field| pair(field, "X-Tenant: beta", problems).map(Some));
    let baggage = fields.or("baggage", None, |field| pair(field, "chaos: \"1\"", problems).map(Some));
    let share = fields.or("share", Percent(1.0), |field| kinds::share(field, problems));
    let effect = effect(&fields, problems);
    Some(Http { method: method?, path: path?, header: header?, baggage: baggage?, share: share?, effect: effect? })
}

fn effect(fields: &Fields<'_>, problems: &mut Problems) -> Option<HttpEffect> {
    let one = kinds::only_one(fields, EFFECTS, "add one of `abort: 503`, `delay: 200ms`, `patch: {status: 500}`", problems)?;
    match one.name {
        "abort" => status(one, problems).map(|status| HttpEffect::Abort { status }),
        "delay" => units::long_span(one, problems).map(|delay| HttpEffect::Delay { delay }),
        _ => patch(one, problems).map(HttpEffect::Patch),
    }
}

fn patch(field: Field<'_>, problems: &mut Problems) -> Option<HttpPatch> {
    let fields = field.fields("`patch`", PATCH_KEYS, problems)?;
    let status = fields.or("status", None, |field| status(field, problems).map(Some));
    let set = fields.or("set", IndexMap::new(), |field| load::read_headers(field, problems));
    let remove = fields.or("remove", Vec::new(), |field| field.texts(problems));
    let body = fields.or("body", None, |field| field.text(problems).map(|text| Some(text.to_owned())));
    let patch = HttpPatch { status: status?, set: set?, remove: remove?, body: body? };
    if patch.changes() == 0 && !fields.has_unknown() {
        let hint = "add `status: 500`, `set: {…}`, `remove: […]` or `body: …`";
        problems.error(field.spot(), "`patch` changes nothing").hint(hint);
    }
    for (key, name) in patch.set.keys().map(|name| ("set", name)).chain(patch.remove.iter().map(|name| ("remove", name))) {
        if let (Some(list), true) = (fields.get(key), FRAMING.contains(&name.to_ascii_lowercase().as_str())) {
            let message = format!("`{name}` says where a message ends, which the relay sees to itself");
            problems.error(list.spot(), message).hint("take it away");
        }
    }
    Some(patch)
}

/// The status of a final answer.
fn status(field: Field<'_>, problems: &mut Problems) -> Option<u16> {
    match load::status(field, problems)? {
        status @ 200.. => Some(status),
        _ => field.wrong("the status of a final answer, 200 to 599", problems),
    }
}

fn method(field: Field<'_>, problems: &mut Problems) -> Option<String> {
    let text = field.text(problems)?;
    if load::is_token(text) { Some(text.to_owned()) } else { field.wrong("a method such as `POST`", problems) }
}

fn path(field: Field<'_>, problems: &mut Problems) -> Option<String> {
    let pattern = field.text(problems)?;
    let mistake = match Glob::new(pattern) {
        _ if !pattern.starts_with(['/', '*']) => "it must begin with `/` or `*`".to_owned(),
        Err(error) => error.to_string(),
        Ok(_) => return Some(pattern.to_owned()),
    };
    let message = format!("`path`: {pattern:?} is not a pattern of paths: {mistake}");
    problems.error(field.spot(), message).hint("for example `/charges`, `/products/*`, `/api/**`");
    None
}

/// A mapping of one name to its value.
fn pair(field: Field<'_>, example: &str, problems: &mut Problems) -> Option<(String, String)> {
    let entries = field.entries(problems)?;
    let hint = format!("for example `{}: {{{example}}}`", field.name);
    let [entry] = entries.as_slice() else {
        let message = format!("`{}`: expected one name and its value, found {}", field.name, entries.len());
        problems.error(field.spot(), message).hint(hint);
        return None;
    };
    if !load::is_token(entry.name) {
        problems.error(entry.key, format!("{:?} is not a name", super::tree::shorten(entry.name))).hint(hint);
        return None;
    }
    Some((entry.name.to_owned(), entry.text(problems)?.to_owned()))
}
