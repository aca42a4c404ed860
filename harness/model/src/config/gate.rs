//! `baseline`, `gate`, `history` and `phases`.

use super::{fields::Field, problems::Problems, units};
use crate::{
    experiment::{BaselineCommit, BaselineMode, BaselineSpec, Gate, PhaseLengths},
    history::{HistorySpec, HistoryStore},
    units::{Percent, Span},
    verdict::GateMode,
};
use std::time::Duration;

pub(super) const BASELINE_KEYS: &[&str] = &["commit", "mode", "rounds", "slot"];
pub(super) const GATE_KEYS: &[&str] = &["tolerance", "harmful", "confidence", "inconclusive", "mode"];
pub(super) const HISTORY_KEYS: &[&str] = &["store"];
pub(super) const PHASE_KEYS: &[&str] = &["warmup", "steady", "recovery"];

/// An instance carries its own luck; with four of each it is averaged out far enough that a comparison can be trusted.
const ROUNDS: u32 = 4;
/// More than anybody waits for.
const MOST_ROUNDS: std::ops::RangeInclusive<u32> = 1..=50;

/// A shorter one holds too few requests; of longer ones a phase has too few.
const SLOTS: std::ops::RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(30);

/// `baseline`.
pub(super) fn read_baseline(field: Option<Field<'_>>, problems: &mut Problems) -> Option<BaselineSpec> {
    let default = BaselineSpec { commit: BaselineCommit::MergeBase, mode: BaselineMode::Paired, rounds: ROUNDS, slot: None };
    let Some(field) = field else {
        return Some(default);
    };
    let fields = field.fields("baseline", BASELINE_KEYS, problems)?;
    let commit = fields.or("commit", default.commit, |field| read_commit(field, problems));
    let words = [("paired", BaselineMode::Paired), ("recorded", BaselineMode::Recorded), ("none", BaselineMode::None)];
    let mode = fields.or("mode", default.mode, |field| field.choice(&words, problems));
    let rounds = fields.or("rounds", default.rounds, |field| units::count(field, "a number of rounds such as 4", &MOST_ROUNDS, problems));
    let slot = fields.or("slot", default.slot, |field| read_slot(field, problems).map(Some));
    Some(BaselineSpec { commit: commit?, mode: mode?, rounds: rounds?, slot: slot? })
}

fn read_slot(field: Field<'_>, problems: &mut Problems) -> Option<Span> {
    let slot = units::span(field, problems)?;
    if SLOTS.contains(&slot.0) { Some(slot) } else { field.wrong("a time from 100ms to 30s, such as 1s", problems) }
}

fn read_commit(field: Field<'_>, problems: &mut Problems) -> Option<BaselineCommit> {
    let text = field.full_text(problems)?;
    if text.starts_with('-') || text.chars().any(|char| char.is_control() || char == ' ') {
        return field.wrong("`merge-base`, `last-tag` or a revision such as `origin/main`", problems);
    }
    Some(match text {
        "merge-base" => BaselineCommit::MergeBase,
        "last-tag" => BaselineCommit::LastTag,
        revision => BaselineCommit::Revision(revision.to_owned()),
    })
}

/// `gate`.
pub(super) fn read_gate(field: Option<Field<'_>>, problems: &mut Problems) -> Option<Gate> {
    let default = Gate {
        tolerance: Percent(0.05),
        harmful: Percent(0.30),
        confidence: Percent(0.99),
        inconclusive: GateMode::Block,
        mode: GateMode::Block,
    };
    let Some(field) = field else {
        return Some(default);
    };
    let fields = field.fields("gate", GATE_KEYS, problems)?;
    let above_zero = "a percentage above zero";
    let tolerance = fields.or("tolerance", default.tolerance, |field| units::share(field, above_zero, |share| share > 0.0, problems));
    let harmful = fields.or("harmful", default.harmful, |field| units::share(field, above_zero, |share| share > 0.0, problems));
    let between = |share: f64| (0.5..1.0).contains(&share);
    let confidence =
        fields.or("confidence", default.confidence, |field| units::share(field, "at least 50% and less than 100%", between, problems));
    let words = [("block", GateMode::Block), ("warn", GateMode::Warn)];
    let inconclusive = fields.or("inconclusive", default.inconclusive, |field| field.choice(&words, problems));
    let mode = fields.or("mode", default.mode, |field| field.choice(&words, problems));
    if let (Some(tolerance), Some(harmful)) = (tolerance, harmful)
        && tolerance >= harmful
    {
        let at = fields.get("harmful").or(fields.get("tolerance")).unwrap_or(field);
        let message = format!("`harmful` ({harmful}) is not larger than `tolerance` ({tolerance})");
        problems.error(at.spot(), message).hint("between them lies what is inconclusive: for example `tolerance: 5%, harmful: 30%`");
    }
    Some(Gate { tolerance: tolerance?, harmful: harmful?, confidence: confidence?, inconclusive: inconclusive?, mode: mode? })
}

/// `history`. A value that is wrong is not repeated: it may hold a secret.
pub(super) fn read_history(field: Field<'_>, problems: &mut Problems) -> Option<HistorySpec> {
    let fields = field.fields("history", HISTORY_KEYS, problems)?;
    let store = fields.need("store", "store: git-notes", problems)?;
    match store.text(problems)?.parse::<HistoryStore>() {
        Ok(store) => Some(HistorySpec { store }),
        Err(error) => {
            problems.error(store.spot(), format!("`store`: {error}"));
            None
        }
    }
}

/// Where neither config nor scenario says how long a phase is.
pub(super) const DEFAULT_PHASES: PhaseLengths =
    PhaseLengths { warmup: Span(Duration::from_secs(5)), steady: Span(Duration::from_secs(10)), recovery: Span(Duration::from_secs(10)) };

/// `phases`; what it does not say is as in `default`.
pub(super) fn read_phases(field: Option<Field<'_>>, default: PhaseLengths, problems: &mut Problems) -> Option<PhaseLengths> {
    let Some(field) = field else {
        return Some(default);
    };
    let fields = field.fields("phases", PHASE_KEYS, problems)?;
    let warmup = fields.or("warmup", default.warmup, |field| units::span(field, problems));
    let steady = fields.or("steady", default.steady, |field| units::long_span(field, problems));
    let recovery = fields.or("recovery", default.recovery, |field| units::long_span(field, problems));
    Some(PhaseLengths { warmup: warmup?, steady: steady?, recovery: recovery? })
}
