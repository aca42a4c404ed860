//! How numbers and verdicts are said, the same in every report. Knows no format: what comes out is plain text.

use crate::plain::one_line;
use shakedown_model::{
    event::Phase,
    result::{FaultResult, Finding, PhaseWindow, ScenarioResult, Waived},
    time::{UnixNanos, human},
    units::trim_float,
    verdict::Verdict,
};
use std::time::Duration;

/// Stands where there is no value.
pub(crate) const NOTHING: &str = "—";

/// The verdict as headlines write it.
pub(crate) fn shout(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "PASS",
        Verdict::Inconclusive => "INCONCLUSIVE",
        Verdict::Fail => "FAIL",
    }
}

/// The verdict as one character, so that colour never speaks alone.
pub(crate) fn symbol(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "✓",
        Verdict::Inconclusive => "?",
        Verdict::Fail => "✗",
    }
}

/// The headline without the verdict that it may begin with: the reports set that word themselves.
pub(crate) fn sentence(headline: &str, verdict: Verdict) -> String {
    let line = one_line(headline, 600);
    let word = shout(verdict);
    let rest = line.get(..word.len()).filter(|head| head.eq_ignore_ascii_case(word)).map(|_| &line[word.len()..]);
    match rest.map(|rest| rest.trim_start_matches([' ', '—', '-', ':', '·', '–'])) {
        Some(rest) if !rest.is_empty() => rest.to_owned(),
        _ => line,
    }
}

/// Three significant digits: `412 ms`, `2.01 s`, `12.3 ms`; negative lengths (clocks that disagree) keep their sign.
pub(crate) fn seconds(value: f64) -> String {
    let size = value.abs();
    let text = match size {
        _ if !value.is_finite() => return NOTHING.to_owned(),
        0.0 => "0 ms".to_owned(),
        _ if size >= 60.0 => Duration::try_from_secs_f64(size).map_or_else(|_| NOTHING.to_owned(), human),
        _ if size >= 0.9995 => format!("{} s", three_digits(size)),
        _ if size >= 0.000_999_5 => format!("{} ms", three_digits(size * 1e3)),
        _ => format!("{} µs", three_digits(size * 1e6)),
    };
    if value < 0.0 { format!("−{text}") } else { text }
}

fn three_digits(value: f64) -> String {
    let digits = match value {
        _ if value >= 99.95 => 0,
        _ if value >= 9.995 => 1,
        _ => 2,
    };
    let text = format!("{value:.digits$}");
    if digits == 0 { text } else { text.trim_end_matches('0').trim_end_matches('.').to_owned() }
}

/// `97.4 %`; never rounded up to a whole or down to nothing.
pub(crate) fn share(value: f64) -> String {
    if !value.is_finite() {
        return NOTHING.to_owned();
    }
    let percent = value * 100.0;
    for digits in [1, 2, 3] {
        let text = trim_float(format!("{percent:.digits$}").parse().unwrap_or(percent));
        let lies = (text == "100" && value < 1.0) || (text == "0" && value > 0.0);
        if !lies {
            return format!("{text} %");
        }
    }
    if value > 0.5 { "> 99.999 %".to_owned() } else { "< 0.001 %".to_owned() }
}

/// A relative change: `+388 %`, `−3.0 %`; from elevenfold on as a multiple, `×266`.
pub(crate) fn change(value: f64) -> String {
    let percent = value.abs() * 100.0;
    let size = if percent >= 10.0 { format!("{percent:.0}") } else { format!("{percent:.1}") };
    match value {
        _ if value.is_nan() => NOTHING.to_owned(),
        f64::INFINITY => "+∞".to_owned(),
        f64::NEG_INFINITY => "−∞".to_owned(),
        _ if size == "0.0" => "±0 %".to_owned(),
        _ if value < 0.0 => format!("−{size} %"),
        _ if value >= 10.0 => format!("×{:.0}", 1.0 + value),
        _ => format!("+{size} %"),
    }
}

/// The interval of a change; one that is open on a side says so in words.
pub(crate) fn interval([low, high]: [f64; 2]) -> String {
    match (low.is_finite(), high.is_finite()) {
        (true, true) => format!("{} … {}", change(low), change(high)),
        (true, false) => format!("at least {}", change(low)),
        (false, true) => format!("at most {}", change(high)),
        (false, false) => NOTHING.to_owned(),
    }
}

/// A value with the unit of its finding.
pub(crate) fn value(number: f64, unit: &str) -> String {
    match unit {
        _ if !number.is_finite() => NOTHING.to_owned(),
        "s" => seconds(number),
        "fraction" => share(number),
        "ratio" => format!("{}×", trim_float(number)),
        "/s" => format!("{}/s", trim_float((number * 10.0).round() / 10.0)),
        "count" if number.fract() == 0.0 && number.abs() < 1e15 => signed_count(number),
        "" | "count" => trim_float(number),
        unit => format!("{} {}", trim_float(number), one_line(unit, 20)),
    }
}

fn signed_count(number: f64) -> String {
    let sign = if number < 0.0 { "−" } else { "" };
    format!("{sign}{}", count(number.abs() as u64))
}

/// A value that may be missing.
pub(crate) fn optional(number: Option<f64>, unit: &str) -> String {
    number.map_or_else(|| NOTHING.to_owned(), |number| value(number, unit))
}

/// `1,180`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The limit with its side, where the kind of check tells the side.
pub(crate) fn limit(finding: &Finding) -> String {
    let Some(limit) = finding.limit else { return NOTHING.to_owned() };
    let sign = match finding.check.as_str() {
        "success" | "success-vs-baseline" | "throughput-vs-baseline" | "dose" => "≥ ",
        "p50"
        | "p90"
        | "p95"
        | "p99"
        | "p999"
        | "p50-vs-baseline"
        | "p99-vs-baseline"
        | "recovery"
        | "recovery-vs-baseline"
        | "retries"
        | "logs" => "≤ ",
        _ => "",
    };
    format!("{sign}{}", value(limit, &finding.unit))
}

/// The phase as a sentence says it.
pub(crate) fn during(phase: Option<Phase>) -> &'static str {
    match phase {
        Some(Phase::Warmup) => "warming up",
        Some(Phase::Steady) => "before the fault",
        Some(Phase::Fault) => "during the fault",
        Some(Phase::Recovery) => "after the fault",
        None => "whole scenario",
    }
}

/// What a finding is about, in a few words: `p99 of checkout, during the fault`.
pub(crate) fn topic(finding: &Finding) -> String {
    let check = one_line(&finding.check, 60);
    let subject = one_line(&finding.subject, 80);
    match finding.phase {
        Some(phase) => format!("{check} of {subject}, {}", during(Some(phase))),
        None => format!("{check} of {subject}"),
    }
}

/// `waived until 2026-12-31, team-payments answers for it: the provider is slow until its move`.
pub(crate) fn waived(waived: &Waived) -> String {
    let why = waived.why.as_deref().map(|why| format!(": {}", one_line(why, 300))).unwrap_or_default();
    format!("waived until {}, {} answers for it{why}", waived.expires, one_line(&waived.owner, 100))
}

/// One figure of a dose: the unit stands in its name (`delay_ms` → `delay`, `200.0 ms`).
pub(crate) fn dose_figure(name: &str, number: f64) -> (String, String) {
    let (label, text) = match name.rsplit_once('_') {
        Some((label, "ms")) => (label, seconds(number / 1e3)),
        Some((label, "us")) => (label, seconds(number / 1e6)),
        Some((label, "s")) => (label, seconds(number)),
        Some((label, "percent")) => (label, format!("{} %", trim_float(number))),
        Some((label, "bytes")) => (label, format!("{} B", value(number, "count"))),
        _ => (name, value(number, "count")),
    };
    (one_line(&label.replace('_', " "), 40), text)
}

/// Asked and achieved, in a few words: `delay 200 ms → 201 ms`. Where nothing was asked in figures, what was achieved.
pub(crate) fn dose(fault: &FaultResult) -> String {
    if let Some(error) = &fault.error {
        return format!("not carried out: {}", one_line(error, 120));
    }
    let pairs = fault.asked.iter().filter_map(|(name, asked)| {
        let (label, asked) = dose_figure(name, *asked);
        fault.achieved.get(name).map(|achieved| format!("{label} {asked} → {}", dose_figure(name, *achieved).1))
    });
    let mut parts: Vec<String> = pairs.collect();
    if parts.is_empty() {
        let figures = if fault.achieved.is_empty() { &fault.asked } else { &fault.achieved };
        parts = figures.iter().map(|(name, number)| dose_figure(name, *number)).map(|(label, text)| format!("{label} {text}")).collect();
    }
    if parts.is_empty() { NOTHING.to_owned() } else { parts.join(", ") }
}

/// `orders → payment`.
pub(crate) fn target(text: &str) -> String {
    one_line(text, 80).replace("->", "→")
}

/// `round 3 of 4`, `round 1 of 2, episode 3 of 3`: the play that the pictures of a scenario are of; `None`: there was one only.
pub(crate) fn shown_play(scenario: &ScenarioResult) -> Option<String> {
    let most = |of: fn(&PhaseWindow) -> Option<u32>| scenario.phases.iter().filter_map(of).max();
    let part = |name: &str, number: Option<u32>, most: Option<u32>| Some(format!("{name} {} of {}", number?, most?));
    let round = part("round", scenario.exhibits.round, most(|phase| phase.round));
    let episode = part("episode", scenario.exhibits.episode, most(|phase| phase.episode));
    let parts: Vec<String> = round.into_iter().chain(episode).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// The first seven digits of a commit.
pub(crate) fn short(commit: &str) -> String {
    plain_prefix(commit, 7)
}

fn plain_prefix(text: &str, length: usize) -> String {
    one_line(text, 64).chars().take(length).collect()
}

/// `2025-11-21 10:39:52 UTC`.
pub(crate) fn moment(at: UnixNanos) -> String {
    let text = at.rfc3339();
    match text.split_once('T') {
        Some((date, time)) => format!("{date} {} UTC", time.split(['.', 'Z']).next().unwrap_or(time)),
        None => text,
    }
}

/// Seconds on the axis of a scenario: `+12.3 s`.
pub(crate) fn offset(at: UnixNanos, origin: UnixNanos) -> String {
    let seconds = at.seconds_from(origin);
    let sign = if seconds < -0.05 { "−" } else { "+" };
    format!("{sign}{:.1} s", seconds.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_three_digits_and_the_unit_that_fits() {
        let cases = [
            (2.014, "2.01 s"),
            (0.412, "412 ms"),
            (0.0455, "45.5 ms"),
            (0.9, "900 ms"),
            (0.9997, "1 s"),
            (12.0, "12 s"),
            (59.96, "60 s"),
            (185.0, "3 min 05 s"),
            (0.000_34, "340 µs"),
            (0.0, "0 ms"),
            (-0.002, "−2 ms"),
            (f64::NAN, "—"),
            (1e300, "—"),
        ];
        for (value, expected) in cases {
            assert_eq!(seconds(value), expected, "{value}");
        }
    }

    #[test]
    fn shares_are_never_rounded_to_a_whole_or_to_nothing() {
        let cases = [
            (1.0, "100 %"),
            (0.974, "97.4 %"),
            (0.9996, "99.96 %"),
            (0.99996, "99.996 %"),
            (0.999_999_9, "> 99.999 %"),
            (0.0, "0 %"),
            (0.0001, "0.01 %"),
            (0.000_000_1, "< 0.001 %"),
            (0.5, "50 %"),
            (0.72, "72 %"),
            (f64::NAN, "—"),
        ];
        for (value, expected) in cases {
            assert_eq!(share(value), expected);
        }
    }

    #[test]
    fn changes_carry_their_sign_and_open_intervals_are_words() {
        assert_eq!(change(3.88), "+388 %");
        assert_eq!(change(-0.031), "−3.1 %");
        assert_eq!(change(264.84), "×266");
        assert_eq!(change(0.000_01), "±0 %");
        assert_eq!(interval([3.01, f64::INFINITY]), "at least +301 %");
        assert_eq!(interval([-0.03, 0.062]), "−3.0 % … +6.2 %");
    }

    #[test]
    fn a_headline_loses_the_verdict_word_only_once_and_only_whole() {
        assert_eq!(sentence("FAIL — slow-payment: P99", Verdict::Fail), "slow-payment: P99");
        assert_eq!(sentence("checkout got slower", Verdict::Fail), "checkout got slower");
        assert_eq!(sentence("FAIL", Verdict::Fail), "FAIL");
        assert_eq!(sentence("é", Verdict::Pass), "é");
    }

    #[test]
    fn figures_of_a_dose_take_the_unit_out_of_their_name() {
        assert_eq!(dose_figure("delay_ms", 201.3), ("delay".to_owned(), "201 ms".to_owned()));
        assert_eq!(dose_figure("down_ms", 12_000.0), ("down".to_owned(), "12 s".to_owned()));
        assert_eq!(dose_figure("packets", 1180.0), ("packets".to_owned(), "1,180".to_owned()));
    }

    #[test]
    fn counts_are_grouped_by_thousands() {
        assert_eq!([count(0), count(999), count(1_180), count(1_234_567)], ["0", "999", "1,180", "1,234,567"]);
    }
}
