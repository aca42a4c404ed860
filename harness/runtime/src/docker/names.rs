//! The names and labels under which things of a run are made: chosen by us, so that the undo can be noted before the thing exists.

use crate::{marks, owner::Owner};
use shakedown_model::stack::{StackSpec, Variant};
use std::collections::HashMap;

/// Names of one variant of one run.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    pub(crate) run: String,
    pub(crate) variant: Variant,
    pub(crate) round: u32,
}

impl Names {
    pub(crate) fn of(spec: &StackSpec) -> Names {
        Names { run: spec.run.clone(), variant: spec.variant, round: spec.round }
    }

    pub(crate) fn container(&self, service: &str) -> String {
        self.name(service)
    }

    pub(crate) fn network(&self, network: &str) -> String {
        self.name(network)
    }

    pub(crate) fn volume(&self, volume: &str) -> String {
        self.name(volume)
    }

    pub(crate) fn helper(&self, service: &str, helper: &str, number: u32) -> String {
        format!("{}-{helper}{number}", self.name(service))
    }

    fn name(&self, what: &str) -> String {
        let short = match self.variant {
            Variant::Candidate => "c",
            Variant::Baseline => "b",
        };
        let round = if self.round > 1 { self.round.to_string() } else { String::new() };
        format!("sd-{}-{short}{round}-{what}", self.run)
    }

    /// Of networks and volumes.
    pub(crate) fn labels(&self) -> HashMap<String, String> {
        HashMap::from([
            (marks::RUN.to_owned(), self.run.clone()),
            (marks::VARIANT.to_owned(), self.variant.word().to_owned()),
            (marks::OWNER.to_owned(), Owner::current().to_string()),
        ])
    }

    /// Of containers. testcontainers finds a container by its own label and ours.
    pub(crate) fn container_labels(&self, service: &str, name: &str) -> HashMap<String, String> {
        let mut labels = self.labels();
        labels.insert(marks::SERVICE.to_owned(), service.to_owned());
        labels.insert(marks::NAME.to_owned(), name.to_owned());
        labels.insert("org.testcontainers.managed-by".to_owned(), "testcontainers".to_owned());
        labels
    }
}
