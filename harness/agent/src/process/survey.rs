//! A look at every process of the pid namespace for what faults do to processes. It knows no fault: what a process has is compared with
//! the kernel's own vDSO, and its limit told as it is.

use std::fs;

use super::swap::{base, own_vdso, read};
use super::vdso::{State, Vdso};
use super::{Process, census, limits, permit};
use crate::survey::bounded;
use crate::wire::{ProcessSurvey, Processes};

/// Limits that are told apart: more are no sign of ours.
const LIMITS_MAX: usize = 64;

/// `None` where the pid namespace is the machine's own, of which a service is only a part.
pub(crate) fn of_namespace() -> Option<ProcessSurvey> {
    permit(Processes::Namespace).ok()?;
    let (vdso, mut survey) = (own_vdso().ok(), ProcessSurvey::default());
    for seen in census() {
        let process = seen.process;
        survey.count += 1;
        if vdso.as_ref().is_some_and(|vdso| is_skewed(process, vdso)) {
            survey.skewed.push(named(process));
        }
        if is_stopped(process) {
            survey.stopped.push(named(process));
        }
        if let Ok((soft, _)) = limits::limits(process)
            && (survey.file_limits.len() < LIMITS_MAX || survey.file_limits.contains_key(&soft))
        {
            *survey.file_limits.entry(soft).or_default() += 1;
        }
    }
    survey.skewed = bounded(survey.skewed);
    survey.stopped = bounded(survey.stopped);
    Some(survey)
}

/// Whether the functions that tell the time lead elsewhere. An image of another sort (a 32-bit program's) is nobody's work.
fn is_skewed(process: Process, vdso: &Vdso) -> bool {
    let image = base(process).and_then(|base| read(process, base, vdso.len()));
    image.is_ok_and(|image| matches!(vdso.state(&image), State::Shimmed { .. }))
}

fn is_stopped(process: Process) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.pid)).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(['T', 't']))
}

fn named(process: Process) -> String {
    let name = fs::read_to_string(format!("/proc/{}/comm", process.pid)).unwrap_or_default();
    format!("{} {}", process.pid, name.trim_end())
}
