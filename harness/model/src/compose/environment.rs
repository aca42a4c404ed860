//! `environment`, `env_file` and `.env`: what a service finds in its environment.

use super::{Reading, dotenv, forms, keys};
use crate::config::{fields::Field, tree::shorten};
use indexmap::IndexMap;
use std::{collections::BTreeMap, path::Path};

/// The environment that variables are looked up in: `.env` beside the file, under what the caller's environment holds.
pub(super) fn with_dotenv(
    compose_file: &Path,
    files: &dyn crate::config::Files,
    env: &BTreeMap<String, String>,
    problems: &mut crate::config::problems::Problems,
) -> BTreeMap<String, String> {
    let mut merged = BTreeMap::new();
    let path = compose_file.with_file_name(".env");
    if files.exists(&path)
        && let Some(text) = problems.open(&path, files, None)
    {
        merged.extend(dotenv::parse(&text, &|name| env.get(name).cloned(), problems));
    }
    merged.extend(env.iter().map(|(name, value)| (name.clone(), value.clone())));
    merged
}

/// What `env_file` and `environment` say together; the latter wins.
pub(super) fn read(service: Field<'_>, reading: &mut Reading<'_>) -> IndexMap<String, String> {
    let mut environment = IndexMap::new();
    if let Some(field) = keys::get(service, "env_file") {
        for item in forms::one_or_many(field) {
            read_file(item, &mut environment, reading);
        }
    }
    if let Some(field) = keys::get(service, "environment") {
        for pair in forms::pairs(field, &['='], reading.problems) {
            if pair.key.is_empty() || pair.key.contains('\0') {
                reading
                    .problems
                    .error(pair.spot, format!("{:?} is not the name of a variable", shorten(pair.key)))
                    .hint("for example `LOG_LEVEL: info`");
                continue;
            }
            if let Some(value) = pair.value.map(str::to_owned).or_else(|| reading.env.get(pair.key).cloned()) {
                environment.insert(pair.key.to_owned(), value);
                continue;
            }
            // As compose does it: a name without a value that nobody set is not set in the container, not even by an `env_file`.
            environment.shift_remove(pair.key);
            let message = format!("variable {} is not set: the service does not get it", shorten(pair.key));
            reading.problems.warn(pair.spot, message).hint("set it, or give it a value in the file");
        }
    }
    environment
}

fn read_file(field: Field<'_>, environment: &mut IndexMap<String, String>, reading: &mut Reading<'_>) {
    let mut required = true;
    let path = if field.node.scalar().is_some() {
        Some(field)
    } else {
        if !keys::check(field, "`env_file`", keys::ENV_FILE, reading.problems) {
            return;
        }
        if let Some(flag) = keys::get(field, "required") {
            required = forms::flag(flag, reading.problems).unwrap_or(true);
        }
        let format = keys::get(field, "format").filter(|format| !matches!(format.node.scalar(), Some("dotenv")));
        if let Some(format) = format {
            let message = format!("format {} of an `env_file` is not supported", format.node.describe());
            reading.problems.error(format.spot(), message).hint("take it away: `KEY=value` lines are read as compose reads them");
        }
        keys::get(field, "path")
    };
    let Some(path) = path else {
        reading.problems.error(field.spot(), "`path` is missing in `env_file`").hint("add `path: app.env`");
        return;
    };
    let Some(text) = path.full_text(reading.problems) else {
        return;
    };
    let full = forms::path(text, path.node, reading.home());
    if !required && !reading.files.exists(&full) {
        return;
    }
    if let Some(text) = reading.problems.open(&full, reading.files, Some(path.spot())) {
        let env = &reading.env;
        environment.extend(dotenv::parse(&text, &|name| env.get(name).cloned(), reading.problems));
    }
}
