//! Kinds that speak a protocol: gRPC, PostgreSQL, Redis, DNS.

use super::{only_one, share};
use crate::{
    config::{
        fields::Field,
        problems::{Problems, nearest},
        units,
    },
    fault::{
        Dns, DnsEffect, GRPC_STATUS, Grpc, GrpcEffect, Postgres, PostgresAt, PostgresEffect, REDIS_ERRORS, Redis, RedisEffect, SQLSTATES,
    },
    units::Percent,
};

pub(in crate::config) const GRPC_KEYS: &[&str] = &["method", "share", "status", "message", "delay"];
pub(in crate::config) const POSTGRES_KEYS: &[&str] = &["query", "connect", "share", "error", "delay", "timeout"];
pub(in crate::config) const REDIS_KEYS: &[&str] = &["command", "key", "share", "error", "miss", "delay", "timeout"];
pub(in crate::config) const DNS_KEYS: &[&str] = &["name", "types", "share", "answer", "delay"];

/// Types of DNS records that clients ask for, by the names of IANA's registry.
const DNS_TYPES: &[&str] = &["A", "AAAA", "CNAME", "MX", "NS", "PTR", "SOA", "SRV", "TXT", "HTTPS", "SVCB"];

pub(super) fn grpc(field: Field<'_>, problems: &mut Problems) -> Option<Grpc> {
    let fields = field.fields("`grpc`", GRPC_KEYS, problems)?;
    let method = fields.or("method", None, |field| grpc_method(field, problems).map(Some));
    let share = fields.or("share", Percent(1.0), |field| share(field, problems));
    let message = fields.or("message", "injected by shakedown", |field| field.text(problems));
    let one = only_one(&fields, &["status", "delay"], "add `status: UNAVAILABLE` or `delay: 200ms`", problems)?;
    let effect = match one.name {
        "status" => status(one, problems).zip(message).map(|(code, message)| GrpcEffect::Status { code, message: message.to_owned() }),
        _ => units::long_span(one, problems).map(|delay| GrpcEffect::Delay { delay }),
    };
    if let (Some(field), "delay") = (fields.get("message"), one.name) {
        problems.error(field.key, "`message` goes with `status`, and a delay has none").hint("take it away");
    }
    Some(Grpc { method: method?, share: share?, effect: effect? })
}

fn grpc_method(field: Field<'_>, problems: &mut Problems) -> Option<String> {
    let text = field.full_text(problems)?.trim_start_matches('/');
    match text.split('/').collect::<Vec<_>>().as_slice() {
        [service, method] if !service.is_empty() && !method.is_empty() => Some(text.to_owned()),
        _ => field.wrong("a method such as `shop.Payment/Charge` or `shop.Payment/*`", problems),
    }
}

/// A failure by name or number.
fn status(field: Field<'_>, problems: &mut Problems) -> Option<u8> {
    let text = field.text(problems)?;
    let by_name = GRPC_STATUS.iter().position(|name| name.eq_ignore_ascii_case(text));
    match by_name.or_else(|| text.parse().ok()) {
        Some(code @ 1..=16) => u8::try_from(code).ok(),
        _ => field.wrong("a gRPC status that is not OK, such as `UNAVAILABLE`", problems),
    }
}

pub(super) fn postgres(field: Field<'_>, problems: &mut Problems) -> Option<Postgres> {
    let fields = field.fields("`postgres`", POSTGRES_KEYS, problems)?;
    let share = fields.or("share", Percent(1.0), |field| share(field, problems));
    let hint = "add `error: serialization_failure`, `delay: 300ms`, `timeout: true`, or `connect: too_many_connections`";
    let one = only_one(&fields, &["error", "delay", "timeout", "connect"], hint, problems)?;
    let query = fields.or("query", None, |field| field.full_text(problems).map(|text| Some(text.to_owned())));
    if let (Some(field), "connect") = (fields.get("query"), one.name) {
        problems.error(field.key, "a session that begins has no query").hint("take `query` away, or use `error`");
    }
    let effect = match one.name {
        "delay" => units::long_span(one, problems).map(PostgresEffect::Delay),
        "timeout" => yes(one, problems).map(|()| PostgresEffect::Timeout),
        _ => sqlstate(one, problems).map(PostgresEffect::Error),
    };
    let at = if one.name == "connect" { PostgresAt::Connect } else { PostgresAt::Query(query?) };
    Some(Postgres { at, share: share?, effect: effect? })
}

fn sqlstate(field: Field<'_>, problems: &mut Problems) -> Option<String> {
    let text = field.text(problems)?;
    if let Some((_, code)) = SQLSTATES.iter().find(|(name, _)| *name == text) {
        return Some((*code).to_owned());
    }
    if text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()) && !text.starts_with("00") {
        return Some(text.to_owned());
    }
    let names = SQLSTATES.iter().map(|(name, _)| *name);
    let hint = nearest(text, names.clone())
        .map_or_else(|| format!("names: {}", names.collect::<Vec<_>>().join(", ")), |name| format!("did you mean `{name}`?"));
    let message = format!("`{}`: expected the name of an error or a SQLSTATE such as `40001`, found {}", field.name, field.node.describe());
    problems.error(field.spot(), message).hint(hint);
    None
}

/// `true`, and nothing else: to leave it out says no.
fn yes(field: Field<'_>, problems: &mut Problems) -> Option<()> {
    if field.flag(problems)? { Some(()) } else { field.wrong("`true`, or the key left out", problems) }
}

pub(super) fn redis(field: Field<'_>, problems: &mut Problems) -> Option<Redis> {
    let fields = field.fields("`redis`", REDIS_KEYS, problems)?;
    let share = fields.or("share", Percent(1.0), |field| share(field, problems));
    let commands = fields.or("command", Vec::new(), |field| words(field, problems));
    let key = fields.or("key", None, |field| field.full_text(problems).map(|text| Some(text.to_owned())));
    let hint = "add `error: LOADING`, `miss: true`, `delay: 50ms` or `timeout: true`";
    let one = only_one(&fields, &["error", "miss", "delay", "timeout"], hint, problems)?;
    let effect = match one.name {
        "delay" => units::long_span(one, problems).map(RedisEffect::Delay),
        "miss" => yes(one, problems).map(|()| RedisEffect::Miss),
        "timeout" => yes(one, problems).map(|()| RedisEffect::Timeout),
        _ => redis_error(one, problems).map(RedisEffect::Error),
    };
    Some(Redis { commands: commands?, key: key?, share: share?, effect: effect? })
}

/// A code alone stands for what Redis says with it.
fn redis_error(field: Field<'_>, problems: &mut Problems) -> Option<String> {
    let text = field.full_text(problems)?;
    if let Some((_, said)) = REDIS_ERRORS.iter().find(|(code, _)| *code == text) {
        return Some((*said).to_owned());
    }
    let code = text.split(' ').next().unwrap_or_default();
    let is_code = !code.is_empty() && code.bytes().all(|byte| byte.is_ascii_uppercase());
    if is_code && text.contains(' ') && !text.contains(['\r', '\n']) {
        return Some(text.to_owned());
    }
    let codes: Vec<&str> = REDIS_ERRORS.iter().map(|(code, _)| *code).collect();
    field.wrong(format!("one of {} or a text that begins with a code, such as `ERR no such thing`", codes.join(", ")), problems)
}

/// One word or a list of words.
fn words(field: Field<'_>, problems: &mut Problems) -> Option<Vec<String>> {
    let words = match field.node.scalar() {
        Some(text) => vec![text.to_owned()],
        None => field.texts(problems)?,
    };
    if words.is_empty() || words.iter().any(|word| word.is_empty() || word.contains(char::is_whitespace)) {
        return field.wrong("a word or a list of words", problems);
    }
    Some(words)
}

pub(super) fn dns(field: Field<'_>, problems: &mut Problems) -> Option<Dns> {
    let fields = field.fields("`dns`", DNS_KEYS, problems)?;
    let share = fields.or("share", Percent(1.0), |field| share(field, problems));
    let name = fields.or("name", None, |field| field.full_text(problems).map(|text| Some(text.to_owned())));
    let types = fields.or("types", Vec::new(), |field| dns_types(field, problems));
    let one = only_one(
        &fields,
        &["answer", "delay"],
        "add `answer: nxdomain` (or servfail, refused, timeout, truncated, an address) or `delay: 300ms`",
        problems,
    )?;
    let effect = match one.name {
        "delay" => units::long_span(one, problems).map(DnsEffect::Delay),
        _ => dns_answer(one, problems),
    };
    Some(Dns { name: name?, types: types?, share: share?, effect: effect? })
}

fn dns_types(field: Field<'_>, problems: &mut Problems) -> Option<Vec<String>> {
    let types: Vec<String> = words(field, problems)?.iter().map(|word| word.to_ascii_uppercase()).collect();
    if types.iter().all(|word| DNS_TYPES.contains(&word.as_str())) {
        return Some(types);
    }
    field.wrong(format!("types of record: {}", DNS_TYPES.join(", ")), problems)
}

fn dns_answer(field: Field<'_>, problems: &mut Problems) -> Option<DnsEffect> {
    let text = field.text(problems)?;
    match text.to_ascii_lowercase().as_str() {
        "nxdomain" => Some(DnsEffect::Nxdomain),
        "servfail" => Some(DnsEffect::Servfail),
        "refused" => Some(DnsEffect::Refused),
        "timeout" => Some(DnsEffect::Timeout),
        "truncated" => Some(DnsEffect::Truncated),
        _ => match text.parse() {
            Ok(address) => Some(DnsEffect::Address(address)),
            Err(_) => {
                field.wrong("`nxdomain`, `servfail`, `refused`, `timeout`, `truncated` or an address such as `203.0.113.7`", problems)
            }
        },
    }
}
