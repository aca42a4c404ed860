//! `build` of a service.

use super::{Reading, forms, keys};
use crate::{config::fields::Field, stack::BuildSpec};
use indexmap::IndexMap;

/// `build`: a directory, or a mapping.
pub(super) fn read(field: Field<'_>, reading: &mut Reading<'_>) -> Option<BuildSpec> {
    if field.node.scalar().is_some() {
        return finish(Some(field), None, None, IndexMap::new(), reading);
    }
    if !keys::check(field, "`build`", keys::BUILD, reading.problems) {
        return None;
    }
    let target = keys::get(field, "target").and_then(|field| field.full_text(reading.problems)).map(str::to_owned);
    let mut args = IndexMap::new();
    if let Some(field) = keys::get(field, "args") {
        for pair in forms::pairs(field, &['='], reading.problems) {
            // A name alone hands on what the environment holds; without it the Dockerfile's default stays.
            if let Some(value) = pair.value.map(str::to_owned).or_else(|| reading.env.get(pair.key).cloned()) {
                args.insert(pair.key.to_owned(), value);
            }
        }
    }
    let dockerfile = keys::get(field, "dockerfile");
    let context = keys::get(field, "context");
    if context.is_none() && keys::get(field, "dockerfile_inline").is_none() {
        // Compose takes the directory of the file then.
        let node = field.node.clone();
        let here = crate::config::tree::Value::Scalar { text: ".".to_owned(), plain: true };
        let node = crate::config::tree::Node { value: here, ..node };
        return finish(Some(Field { name: "context", key: field.key, node: &node }), dockerfile, target, args, reading);
    }
    finish(context, dockerfile, target, args, reading)
}

fn finish(
    context: Option<Field<'_>>,
    dockerfile: Option<Field<'_>>,
    target: Option<String>,
    args: IndexMap<String, String>,
    reading: &mut Reading<'_>,
) -> Option<BuildSpec> {
    let context = context?;
    let text = context.full_text(reading.problems)?;
    let remote = ["http://", "https://", "git://", "ssh://", "git@", "docker-image://", "oci-layout://", "service:"];
    if remote.iter().any(|start| text.starts_with(start)) {
        let message = format!("build context {} is not a directory", context.node.describe());
        reading.problems.error(context.spot(), message).hint("only directories of the repository are built: both commits have their own");
        return None;
    }
    let path = forms::path(text, context.node, reading.home());
    let dockerfile_name = match dockerfile {
        Some(field) => field.full_text(reading.problems)?.to_owned(),
        None => "Dockerfile".to_owned(),
    };
    let spot = dockerfile.unwrap_or(context).spot();
    if !reading.files.exists(&path) {
        let shown = reading.problems.shown(&path);
        reading
            .problems
            .warn(context.spot(), format!("build context `{shown}` does not exist"))
            .hint("correct the path, or let `services.build` make it");
    } else if !reading.files.exists(&path.join(&dockerfile_name)) {
        let shown = reading.problems.shown(&path.join(&dockerfile_name));
        reading
            .problems
            .warn(spot, format!("Dockerfile `{shown}` does not exist"))
            .hint("correct the path, or let `services.build` make it");
    }
    Some(BuildSpec { context: path, dockerfile: dockerfile_name, target, args })
}
