//! `metrics.txt`: the figures of a run as OpenMetrics text, for GitLab's `reports:metrics`, a Pushgateway or a textfile collector.
//! Labels are stable over runs, so that two of them can be compared; what differs from run to run stands in `shakedown_run_info` alone.

use crate::{ReportError, Reporter, plain::one_line};
use shakedown_model::{
    result::{Figures, Finding, RunResult, ScenarioResult},
    verdict::Verdict,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
};

const VERDICTS: [Verdict; 3] = [Verdict::Pass, Verdict::Inconclusive, Verdict::Fail];

/// Prints `metrics.txt`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Metrics;

impl Reporter for Metrics {
    fn file_name(&self) -> &'static str {
        "metrics.txt"
    }

    fn render(&self, result: &RunResult, out: &mut dyn io::Write) -> Result<(), ReportError> {
        let mut families = Families::default();
        of_run(&mut families, result);
        for scenario in &result.scenarios {
            of_scenario(&mut families, scenario);
        }
        families.write(out)?;
        Ok(())
    }
}

/// Name, help, samples. The samples of a family stand together, and no set of labels stands twice in it.
#[derive(Default)]
struct Families {
    order: Vec<(&'static str, &'static str)>,
    samples: BTreeMap<&'static str, Vec<(String, f64)>>,
    seen: BTreeSet<(&'static str, String)>,
}

impl Families {
    fn add(&mut self, (name, help): (&'static str, &'static str), labels: &[(&str, &str)], value: f64) {
        // Neither says anything, and GitLab knows neither.
        if !value.is_finite() {
            return;
        }
        let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escape(value))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        if !self.seen.insert((name, labels.clone())) {
            return;
        }
        if !self.samples.contains_key(name) {
            self.order.push((name, help));
        }
        self.samples.entry(name).or_default().push((labels, value));
    }

    fn write(&self, out: &mut dyn io::Write) -> io::Result<()> {
        for (name, help) in &self.order {
            // The name of an info metric loses its suffix where it is declared.
            let (declared, kind) = name.strip_suffix("_info").map_or((*name, "gauge"), |declared| (declared, "info"));
            writeln!(out, "# TYPE {declared} {kind}")?;
            if let Some(unit) = ["seconds", "bytes", "ratio"].iter().find(|unit| declared.ends_with(*unit)) {
                writeln!(out, "# UNIT {declared} {unit}")?;
            }
            writeln!(out, "# HELP {declared} {help}")?;
            for (labels, value) in &self.samples[name] {
                writeln!(out, "{name}{labels} {value}")?;
            }
        }
        writeln!(out, "# EOF")
    }
}

/// What a label may hold: a line, with what ends it quoted.
fn escape(text: &str) -> String {
    one_line(text, 200).replace('\\', "\\\\").replace('"', "\\\"")
}

fn of_run(families: &mut Families, result: &RunResult) {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let info = ("shakedown_run_info", "What was run.");
    let labels = [
        ("run", result.run.id.as_str()),
        ("commit", &text(&result.commit.candidate)),
        ("baseline", &text(&result.commit.baseline)),
        ("baseline_mode", &result.run.baseline_mode),
        ("runtime", result.run.runtime.word()),
        ("seed", &result.seed.to_string()),
        ("version", &result.run.tool_version),
    ];
    families.add(info, &labels, 1.0);
    for verdict in VERDICTS {
        let family = ("shakedown_run_verdict", "1 for the verdict of the run, 0 for the others.");
        families.add(family, &[("verdict", verdict.word())], f64::from(u8::from(verdict == result.verdict)));
    }
    families.add(("shakedown_run_exit_code", "What the process exited with."), &[], f64::from(result.exit_code));
    families.add(("shakedown_run_clean", "1 where nothing was left behind."), &[], f64::from(u8::from(result.clean)));
    if let Some(ended) = result.run.ended {
        let family = ("shakedown_run_duration_seconds", "From the start of the run to its end.");
        families.add(family, &[], ended.since(result.run.started).as_secs_f64());
    }
}

fn of_scenario(families: &mut Families, scenario: &ScenarioResult) {
    let name = scenario.name.as_str();
    for verdict in VERDICTS {
        let labels = [("scenario", name), ("verdict", verdict.word())];
        let family = ("shakedown_scenario_verdict", "1 for the verdict of the scenario, 0 for the others.");
        families.add(family, &labels, f64::from(u8::from(verdict == scenario.verdict)));
        let found = scenario.findings.iter().filter(|finding| !finding.advisory && finding.verdict == verdict);
        families.add(("shakedown_findings", "Findings by verdict, waived ones among them."), &labels, found.count() as f64);
    }
    let waived = scenario.findings.iter().filter(|finding| finding.waived.is_some()).count();
    families.add(("shakedown_findings_waived", "Failures that do not block."), &[("scenario", name)], waived as f64);
    for load in &scenario.exhibits.loads {
        for row in &load.table {
            let arms = [("candidate", Some(&row.candidate)), ("baseline", row.baseline.as_ref())];
            for (variant, figures) in arms.into_iter().filter_map(|(variant, figures)| Some((variant, figures?))) {
                let labels = [("scenario", name), ("load", load.load.as_str()), ("phase", row.phase.word()), ("variant", variant)];
                of_load(families, &labels, figures);
            }
        }
    }
    for finding in &scenario.findings {
        of_finding(families, name, finding);
    }
    let mut touched: BTreeMap<[&str; 3], u64> = BTreeMap::new();
    for fault in &scenario.faults {
        let met = touched.entry([fault.target.as_str(), fault.kind.as_str(), fault.variant.as_str()]).or_default();
        *met = met.saturating_add(fault.touched);
    }
    for ([target, kind, variant], met) in touched {
        let labels = [("scenario", name), ("target", target), ("kind", kind), ("variant", variant)];
        families.add(("shakedown_fault_touched", "Things that the fault met, in all plays."), &labels, met as f64);
    }
}

fn of_load(families: &mut Families, labels: &[(&str, &str); 4], figures: &Figures) {
    families.add(("shakedown_requests", "Requests that were due."), labels, figures.requests as f64);
    if figures.requests == 0 {
        return;
    }
    families.add(("shakedown_success_ratio", "Share of the requests that succeeded in time."), labels, figures.success);
    let quantiles = [
        ("0.5", figures.p50),
        ("0.9", figures.p90),
        ("0.95", figures.p95),
        ("0.99", figures.p99),
        ("0.999", figures.p999),
        ("1", figures.max),
    ];
    for (quantile, seconds) in quantiles {
        let labels = [&labels[..], &[("quantile", quantile)]].concat();
        families.add(("shakedown_latency_seconds", "Latency from due to done."), &labels, seconds);
    }
}

fn of_finding(families: &mut Families, scenario: &str, finding: &Finding) {
    let labels = [("scenario", scenario), ("finding", finding.id.as_str())];
    let observed = match finding.unit.as_str() {
        "s" => ("shakedown_observed_seconds", "What was seen."),
        "fraction" | "ratio" => ("shakedown_observed_ratio", "What was seen."),
        "B" => ("shakedown_observed_bytes", "What was seen."),
        _ => ("shakedown_observed", "What was seen."),
    };
    families.add(observed, &labels, finding.observed.unwrap_or(f64::NAN));
    let change = ("shakedown_change_ratio", "Relative change against the baseline: 0.38 is 38 % more.");
    families.add(change, &labels, finding.change.unwrap_or(f64::NAN));
    let [low, high] = finding.ci.unwrap_or([f64::NAN; 2]);
    families.add(("shakedown_change_low_ratio", "Lower end of the interval of the change."), &labels, low);
    families.add(("shakedown_change_high_ratio", "Upper end of the interval of the change."), &labels, high);
}
