//! Every scenario of an experiment as a test of its own.

use crate::{Experiment, RunError};
use libtest_mimic::{Arguments, Failed, Trial};
use shakedown_model::verdict::Verdict;
use std::process::ExitCode;

/// The `main` of a test target with `harness = false`: a test for each scenario, by its name, with libtest's arguments.
///
/// `configure` says how they run, such as `|experiment| experiment.runtime("process").against_nothing()`. A scenario that cannot tell fails its test, as
/// nothing exercised is no pass.
///
/// ```no_run
/// // [[test]]
/// // name = "scenarios"
/// // harness = false
/// fn main() -> std::process::ExitCode {
///     shakedown_front::scenarios("shakedown.yaml", |experiment| experiment)
/// }
/// ```
#[expect(clippy::print_stderr, reason = "it is the main of a program")]
pub fn scenarios(config: &str, configure: fn(Experiment) -> Experiment) -> ExitCode {
    let arguments = Arguments::from_args();
    let experiment = configure(Experiment::at(config));
    let names = match experiment.names() {
        Ok(names) => names,
        Err(error) => {
            eprintln!("{config}: {error}");
            return ExitCode::FAILURE;
        }
    };
    let trials = names.into_iter().map(|name| {
        let alone = experiment.clone().scenario(&name);
        Trial::test(name, move || played(&alone))
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

fn played(experiment: &Experiment) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(experiment.run()).map_err(|error: RunError| Failed::from(error.to_string()))?;
    if outcome.verdict() == Verdict::Pass { Ok(()) } else { Err(Failed::from(outcome.story())) }
}
