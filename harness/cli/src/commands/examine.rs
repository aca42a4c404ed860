//! The question after each play of a search: did the scenario's expectations hold, for each variant as if it were the candidate. The judge answers
//! from what the play showed, which is kept in memory: nothing has to be read back, however many plays there were.

use shakedown_model::{
    event::SearchAnswer,
    evidence::{Baseline, Evidence, VariantEvidence},
    experiment::Experiment,
    run::{Rounds, RunMeta, ScenarioRun},
    stack::Variant,
};
use shakedown_run::{Examiner, SeenPlay, SeenSide};
use std::sync::Arc;

/// Examines plays of this experiment.
pub(crate) fn examiner(experiment: Experiment) -> Examiner {
    let experiment = Arc::new(experiment);
    Box::new(move |meta, play| {
        let (experiment, meta) = (Arc::clone(&experiment), meta.clone());
        Box::pin(async move {
            let answering = tokio::task::spawn_blocking(move || answers(&experiment, &meta, &play));
            answering.await.map_err(|panic| format!("the judge crashed, which is a bug in shakedown: {panic}"))
        })
    })
}

fn answers(experiment: &Experiment, meta: &RunMeta, play: &SeenPlay) -> Vec<SearchAnswer> {
    let answer = |(variant, side): (&Variant, &SeenSide)| {
        let (held, reason) = match &side.unsteady {
            Some(why) => (None, format!("it was not in its steady state before the fault: {why}")),
            None => shakedown_judge::answer(&evidence(experiment, meta, play, *variant, side)),
        };
        SearchAnswer { variant: *variant, held, reason }
    };
    play.sides.iter().map(answer).collect()
}

/// What one variant showed, in the candidate's place. A stop condition looks at the candidate only.
fn evidence(experiment: &Experiment, meta: &RunMeta, play: &SeenPlay, variant: Variant, side: &SeenSide) -> Evidence {
    let name = play.scenario.name.clone();
    let stopped = play.run.stopped.clone().filter(|_| variant == Variant::Candidate);
    let run = ScenarioRun { stopped, ..play.run.clone() };
    // The load alternates between both: without the other one its pauses would look like a load that stood still.
    let other = play.sides.iter().find(|(of, _)| **of != variant).map(|(_, side)| seen(side));
    Evidence {
        run: RunMeta { scenarios: vec![run], rounds: Rounds::default(), aborted: None, ..meta.clone() },
        experiment: Experiment { scenarios: vec![play.scenario.clone()], ..experiment.clone() },
        events: Vec::new(),
        generator: play.report.iter().map(|report| (name.clone(), report.clone())).collect(),
        candidate: seen(side),
        baseline: other.map(|evidence| Baseline { evidence, paired: true, run: None }),
    }
}

fn seen(side: &SeenSide) -> VariantEvidence {
    let mut requests = side.requests.clone();
    requests.sort_by_key(|request| request.due);
    VariantEvidence { requests, faults: side.faults.clone(), ..VariantEvidence::default() }
}
