//! `healthcheck` of a service.

use super::{Reading, forms, keys};
use crate::{config::fields::Field, stack::Healthcheck};

/// `healthcheck`. An empty `test` means the image's own, with other times.
pub(super) fn read(field: Field<'_>, reading: &mut Reading<'_>) -> Option<Healthcheck> {
    if !keys::check(field, "`healthcheck`", keys::HEALTHCHECK, reading.problems) {
        return None;
    }
    let disabled = keys::get(field, "disable").and_then(|field| forms::flag(field, reading.problems)).unwrap_or(false);
    let test = match keys::get(field, "test") {
        _ if disabled => vec!["NONE".to_owned()],
        Some(test) => read_test(test, reading)?,
        None => Vec::new(),
    };
    let mut time = |key| keys::get(field, key).and_then(|field| forms::duration(field, reading.problems));
    let (interval, timeout, start_period) = (time("interval"), time("timeout"), time("start_period"));
    let retries = keys::get(field, "retries").and_then(|field| field.number("a number such as 3", reading.problems));
    Some(Healthcheck { test, interval, timeout, retries, start_period })
}

fn read_test(field: Field<'_>, reading: &mut Reading<'_>) -> Option<Vec<String>> {
    if let Some(text) = field.node.scalar() {
        return Some(vec!["CMD-SHELL".to_owned(), text.to_owned()]);
    }
    let words = field.texts(reading.problems)?;
    let fine = match words.first().map(String::as_str) {
        Some("NONE") => words.len() == 1,
        Some("CMD") => words.len() > 1,
        Some("CMD-SHELL") => words.len() == 2,
        _ => false,
    };
    if !fine {
        let mistake = reading.problems.error(field.spot(), "`test` of a health check begins with `CMD`, `CMD-SHELL` or `NONE`");
        match words.first().map(String::as_str) {
            Some("CMD" | "CMD-SHELL" | "NONE") => {
                mistake.hint("for example `[CMD, pg_isready]` or `[CMD-SHELL, \"curl -f http://localhost\"]`")
            }
            _ => mistake.hint(format!("write `[CMD, {}]`", words.join(", "))),
        };
        return None;
    }
    Some(words)
}
