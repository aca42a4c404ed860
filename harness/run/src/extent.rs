//! How many rounds a run has and how long they take. Pure.

use shakedown_model::{
    experiment::{Experiment, Scenario},
    plan::RuntimeKind,
};
use std::time::Duration;

/// Looks at the evidence beyond the planned ones cost some of the error that each of them may spend, so there are not any number of them.
const MOST_TO_PLANNED: u32 = 2;

/// What rounds are asked for, and what they cost beside the phases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) rounds: u32,
    /// Starting and stopping the instances of one round.
    restart: Duration,
    /// How many are measured side by side.
    variants: u32,
}

impl Extent {
    /// Where nothing is measured beside the candidate, another round would bring nothing that a longer phase does not.
    pub(crate) fn of(experiment: &Experiment, is_paired: bool, runtime: RuntimeKind) -> Extent {
        Extent {
            rounds: if is_paired { experiment.baseline.rounds.max(1) } else { 1 },
            restart: restart(runtime),
            variants: if is_paired { 2 } else { 1 },
        }
    }

    /// Where there is nothing to play, playing it again is of no use; searches are made in the first round only.
    pub(crate) fn for_scenarios<'a>(self, mut scenarios: impl Iterator<Item = &'a Scenario>) -> Extent {
        let is_again = scenarios.any(|scenario| scenario.searched().is_none() && !scenario.length_in_round().is_zero());
        if is_again { self } else { Extent { rounds: 1, ..self } }
    }

    /// What a scenario costs in each round: of a search, which is made once, its part.
    pub(crate) fn in_round(self, scenario: &Scenario) -> Duration {
        match scenario.searched() {
            Some((_, search)) => scenario.length() * search.plays(self.variants) / self.rounds,
            None => scenario.length_in_round(),
        }
    }

    /// The phases of all plays of a round.
    pub(crate) fn phases<'a>(self, scenarios: impl Iterator<Item = &'a Scenario>) -> Duration {
        scenarios.map(|scenario| self.in_round(scenario)).sum()
    }

    /// What the phases of one round may take, so that all rounds that are asked for fit into `budget`. A run of one round has no restart.
    pub(crate) fn phases_within(self, budget: Duration) -> Duration {
        if self.rounds == 1 {
            return budget;
        }
        (budget / self.rounds).saturating_sub(self.restart)
    }

    /// Time of the rounds that are asked for.
    pub(crate) fn time(self, phases: Duration) -> Duration {
        match self.rounds {
            1 => phases,
            rounds => (phases + self.restart) * rounds,
        }
    }

    /// How many rounds there is room for, where those that are asked for leave something open.
    pub(crate) fn most(self, phases: Duration, budget: Option<Duration>) -> u32 {
        let Some(budget) = budget.filter(|_| !phases.is_zero()) else { return self.rounds };
        let fit = budget.as_nanos() / (phases + self.restart).as_nanos().max(1);
        u32::try_from(fit).unwrap_or(u32::MAX).clamp(self.rounds, self.rounds * MOST_TO_PLANNED)
    }
}

/// Starting and stopping both variants, as measured with the demo's services on two cores.
fn restart(runtime: RuntimeKind) -> Duration {
    match runtime {
        RuntimeKind::Docker => Duration::from_secs(12),
        RuntimeKind::Process => Duration::from_secs(2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PHASES: Duration = Duration::from_secs(60);

    fn extent(rounds: u32) -> Extent {
        Extent { rounds, restart: Duration::from_secs(10), variants: 2 }
    }

    fn minutes(minutes: u64) -> Option<Duration> {
        Some(Duration::from_mins(minutes))
    }

    #[test]
    fn rounds_cost_their_restarts_and_a_run_of_one_has_none() {
        assert_eq!(extent(1).time(PHASES), PHASES);
        assert_eq!(extent(4).time(PHASES), Duration::from_secs(280));
        assert_eq!(extent(1).phases_within(PHASES), PHASES);
        assert_eq!(extent(4).phases_within(Duration::from_secs(280)), PHASES);
        assert_eq!(extent(4).phases_within(Duration::from_secs(20)), Duration::ZERO, "a budget that no restart fits into");
    }

    #[test]
    fn a_budget_gives_room_for_more_rounds_but_not_for_any_number_of_them() {
        assert_eq!(extent(4).most(PHASES, None), 4, "nobody said that there is more time");
        assert_eq!(extent(4).most(PHASES, minutes(1)), 4, "what is asked for is played, which scenarios is another question");
        assert_eq!(extent(4).most(PHASES, minutes(7)), 6);
        assert_eq!(extent(4).most(PHASES, minutes(600)), 8);
        let nothing = extent(4).for_scenarios(std::iter::empty());
        assert_eq!((nothing.rounds, nothing.most(Duration::ZERO, minutes(5))), (1, 1), "nothing to play is not played more often");
    }
}
