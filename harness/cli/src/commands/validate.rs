//! `shakedown validate`: all mistakes at once; nothing is started.

use crate::{
    args::{Format, Global},
    context,
    failure::Failure,
    terminal::Terminal,
};

pub(crate) fn run(global: &Global, terminal: &Terminal) -> Result<u8, Failure> {
    let loaded = context::load_and_show_warnings(&global.config, terminal)?;
    let experiment = &loaded.experiment;
    match terminal.format {
        Format::Json => terminal.json(experiment),
        Format::Human => terminal.out(&format!(
            "{} is valid: {} services, {} loads, {} scenarios\n",
            global.config.display(),
            loaded.project.as_ref().map_or(experiment.services.process.len(), |project| project.services.len()),
            experiment.loads.len(),
            experiment.scenarios.len(),
        )),
    }
    Ok(0)
}
