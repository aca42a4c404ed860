//! What a report draws: bounded extracts of the evidence. Judges nothing.

mod logs;
mod marks;
mod series;
mod traces;

use crate::view::View;
use shakedown_model::result::Exhibits;

/// The exhibits of one scenario.
pub(crate) fn exhibits(view: &View<'_>) -> Exhibits {
    let traces = traces::waterfalls(view);
    let (logs, logs_left_out) = logs::lines(view, &traces);
    Exhibits {
        loads: series::loads(view),
        logs,
        logs_left_out,
        marks: marks::marks(view),
        generator: view.evidence.generator.get(&view.scenario.name).cloned(),
        traces,
    }
}
