//! `experiment.yaml` of a run directory: the experiment as it was meant, defaults filled in.

use crate::experiment::Experiment;

/// The text is not an experiment.
#[derive(Debug, thiserror::Error)]
#[error("not an experiment as `shakedown run` writes it: {0}")]
pub struct ExperimentFileError(String);

/// As `experiment.yaml` holds it.
///
/// # Panics
/// When a path of the experiment is not UTF-8; [`super::load`] refuses such paths.
pub fn to_yaml(experiment: &Experiment) -> String {
    serde_saphyr::to_string(experiment).expect("an experiment is plain data: text, numbers and UTF-8 paths")
}

/// Reads what [`to_yaml`] wrote.
pub fn from_yaml(text: &str) -> Result<Experiment, ExperimentFileError> {
    serde_saphyr::from_str(text).map_err(|error| ExperimentFileError(error.to_string()))
}
