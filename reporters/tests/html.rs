//! `report.html` as a browser meets it: self-contained, readable without JavaScript, hostile text shown and never obeyed.

mod common;
#[path = "common/waived.rs"]
mod waivers;

use common::{render, sample};
use shakedown_model::{
    result::{AlertExhibit, AlertState, LogDiff, LogExhibit, LogPattern, PatternChange, RunResult},
    verdict::Verdict,
};
use shakedown_reporters::Html;
use std::collections::HashSet;

/// The values of every attribute called `name`.
fn attributes<'a>(html: &'a str, name: &str) -> Vec<&'a str> {
    let needle = format!(" {name}=\"");
    html.match_indices(&needle).map(|(at, _)| html[at + needle.len()..].split('"').next().unwrap_or_default()).collect()
}

/// The page without its `<script>` elements.
fn without_scripts(html: &str) -> String {
    let mut parts = html.split("<script");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |page, part| page + part.split_once("</script>").map_or("", |(_, rest)| rest))
}

#[test]
fn the_page_asks_for_nothing_from_anywhere() {
    let html = render(&Html, &sample());
    assert!(attributes(&html, "src").iter().all(|src| *src == "x"), "only the hostile samples, escaped, hold a src");
    assert!(
        attributes(&without_scripts(&html), "href").iter().all(|href| href.starts_with('#') || *href == "data:,"),
        "{:?}",
        attributes(&html, "href")
    );
    let style = html.split("<style>").nth(1).and_then(|rest| rest.split("</style>").next()).expect("a style element");
    assert!(!style.contains("url(") && !style.contains("@import"));
    assert!(html.contains("default-src 'none'"));
    for call in ["fetch(", "XMLHttpRequest", "import(", "WebSocket", "blob:"] {
        assert!(!html.contains(call), "{call}");
    }
}

#[test]
fn hostile_text_is_shown_and_never_obeyed() {
    let html = render(&Html, &sample());
    let page = without_scripts(&html);
    for hostile in ["<script>alert(1)", "<img src=x", "alert(4)</script>"] {
        assert!(!page.contains(hostile), "{hostile}");
    }
    assert!(page.contains("&lt;script&gt;alert(1)&lt;&#x2f;script&gt;"), "the commit's subject is shown");
    assert!(page.contains("&lt;img src=x onerror=alert(3)&gt;"), "the log line is shown");
    assert!(page.contains("{{ 7*7 }}"), "text is never a template");
    assert_eq!(html.matches("</script>").count(), 1, "nothing from outside can end a script element");
}

#[test]
fn the_title_begins_with_the_verdict_and_the_worst_scenario_comes_first() {
    let mut result = sample();
    let html = render(&Html, &result);
    assert!(html.contains("<title>FAIL: slow-payment"));
    let position = |name: &str| html.find(&format!("aria-labelledby=\"s{name}-title\"")).expect(name);
    assert!(position("1-slow-payment") < position("2-db-partition") && position("2-db-partition") < position("3-payment-killed"));
    result.verdict = Verdict::Inconclusive;
    assert!(render(&Html, &result).contains("<title>INCONCLUSIVE: "));
}

#[test]
fn every_id_is_unique_and_every_inner_link_leads_somewhere() {
    let mut result = sample();
    let twin = result.scenarios[0].clone();
    result.scenarios.push(twin);
    let page = without_scripts(&render(&Html, &result));
    let ids = attributes(&page, "id");
    let unique: HashSet<_> = ids.iter().copied().collect();
    assert_eq!(ids.len(), unique.len(), "{ids:?}");
    for href in attributes(&page, "href").into_iter().filter_map(|href| href.strip_prefix('#')) {
        assert!(unique.contains(href), "#{href} leads nowhere");
    }
    for label in attributes(&page, "aria-labelledby").into_iter().flat_map(str::split_whitespace) {
        assert!(unique.contains(label), "{label} labels nothing");
    }
}

#[test]
fn the_chart_says_in_words_what_it_shows() {
    let html = render(&Html, &sample());
    assert!(
        html.contains("During the fault, P99 was 2.01 s against 412 ms of the baseline, and 97.4 % succeeded."),
        "the description states the finding"
    );
    assert!(html.contains("The same as a table"));
    assert!(html.contains("p99 limit 900 ms"));
}

#[test]
fn a_waived_failure_says_who_answers_for_it_until_when() {
    let sentence = "waived until 2026-12-31, team-payments answers for it: known | since May";
    assert!(render(&Html, &waivers::waived()).replace('\u{a0}', " ").contains(sentence));
    assert!(!render(&Html, &sample()).contains("answers for it"));
}

#[test]
fn an_alert_says_what_it_did_on_both_sides_or_why_it_was_not_evaluated() {
    let mut result = sample();
    let alert = |name: &str| AlertExhibit {
        name: name.to_owned(),
        severity: Some("page".to_owned()),
        needs: 2.0,
        candidate: Some(AlertState { fires: true, after: Some(3.5), fired_for: 6.0, held: 8.0, ..AlertState::default() }),
        baseline: Some(AlertState { held: 1.5, ..AlertState::default() }),
        problem: None,
    };
    let odd = AlertExhibit { candidate: None, baseline: None, problem: Some("topk <is> not understood".to_owned()), ..alert("Odd") };
    result.scenarios[0].exhibits.alerts = vec![alert("Slow"), odd];
    let html = render(&Html, &result).replace('\u{a0}', " ");
    for said in
        ["fires 3.5 s after the fault, for 6 s", "silent, its condition held for 1.5 s", "not evaluated: topk &lt;is&gt; not understood"]
    {
        assert!(html.contains(said), "{said}");
    }
    assert!(!render(&Html, &sample()).contains(">Alerts<"));
}

#[test]
fn a_run_with_next_to_nothing_in_it_still_makes_a_page() {
    let mut result = sample();
    for scenario in &mut result.scenarios {
        scenario.phases.clear();
        scenario.faults.clear();
        scenario.findings.clear();
        scenario.culprits.clear();
        scenario.exhibits = shakedown_model::result::Exhibits::default();
        scenario.why = None;
    }
    result.commit = shakedown_model::run::CommitInfo::default();
    result.run.ended = None;
    assert!(render(&Html, &result).contains("Nothing was judged in this scenario."));
    result.scenarios.clear();
    result.clean = false;
    let html = render(&Html, &result);
    assert!(html.contains("No scenario was run.") && html.contains("shakedown recover"));
}

#[test]
fn figures_that_are_no_numbers_do_not_reach_the_drawing() {
    let mut result = sample();
    for scenario in &mut result.scenarios {
        for load in &mut scenario.exhibits.loads {
            for (index, point) in load.candidate.iter_mut().enumerate() {
                point.p99 = [f64::NAN, f64::INFINITY, 0.0, -1.0][index % 4];
                point.p50 = 0.0;
            }
        }
        for finding in &mut scenario.findings {
            finding.ci = finding.ci.map(|[low, _]| [low, f64::INFINITY]);
        }
        for trace in &mut scenario.exhibits.traces {
            trace.latency = f64::NAN;
            trace.spans[0].length = f64::INFINITY;
        }
    }
    let page = without_scripts(&render(&Html, &result));
    for name in ["d", "x", "y", "x1", "x2", "y1", "y2", "width", "height", "cx"] {
        for value in attributes(&page, name) {
            assert!(!value.contains("NaN") && !value.contains("inf"), "{name}={value}");
        }
    }
}

#[test]
fn the_page_of_the_sample_is_small() {
    let size = render(&Html, &sample()).len();
    assert!(size < 500_000, "{size} bytes");
}

#[test]
fn of_several_rounds_the_page_draws_the_one_that_is_shown_and_says_which() {
    let mut result = sample();
    let scenario = &mut result.scenarios[0];
    let first: Vec<_> = scenario.phases.clone();
    let mut earlier = first.clone();
    for phase in &mut earlier {
        phase.round = Some(1);
        phase.start.0 -= 3_600_000_000_000;
        phase.end.0 -= 3_600_000_000_000;
    }
    for phase in &mut scenario.phases {
        phase.round = Some(2);
    }
    for fault in &mut scenario.faults {
        fault.round = Some(2);
    }
    scenario.phases.splice(0..0, earlier);
    scenario.exhibits.round = Some(2);
    let html = render(&Html, &result);
    assert!(html.contains("are of round 2 of 2"), "the page says which play it shows");
    assert!(!html.contains("−3600"), "what is not shown takes no room on the axis");
    scenario_bands_equal(&html, &render(&Html, &sample()));
}

/// The same play is drawn in the same way, whatever was played before it.
fn scenario_bands_equal(a: &str, b: &str) {
    let bands = |html: &str| html.matches("class=\"band-fault\"").count();
    assert_eq!(bands(a), bands(b));
}

/// A run of the demo shop whose change brought a retry storm.
fn storm() -> RunResult {
    serde_json::from_str(include_str!("../../fixtures/runs/retry-storm-result.json")).expect("the recorded result fits the model")
}

#[test]
fn the_account_of_the_culprit_is_drawn_with_its_way_its_pairs_and_who_is_ruled_out() {
    let html = render(&Html, &storm());
    for part in [
        "explains <strong>98.9\u{a0}%</strong> of the regression",
        "adds 1.27\u{a0}s to a slow request; 28.7\u{a0}ms without the fault",
        "<ol class=\"way\">",
        "The same path, fast and slow",
        "<strong>Ruled out:</strong> gateway",
        "class=\"edge-fault\"",
        "The fault: latency on orders → payment. It was felt at gateway, orders. Culprit: orders.",
        "class=\"critical\"",
    ] {
        assert!(html.contains(part), "{part}");
    }
    assert!(!html.contains("Too close to tell"), "it is clear");
}

#[test]
fn a_culprit_that_is_too_close_to_tell_is_said_to_be() {
    let mut result = storm();
    let blame = result.scenarios[0].blame.as_mut().expect("somebody is blamed");
    blame.ambiguous = true;
    blame.runner_up.as_mut().expect("there is a second").service = "<b>gateway".to_owned();
    let html = render(&Html, &result);
    assert!(html.contains("Too close to tell:</strong> it could be <strong>&lt;b&gt;gateway &#x2f; "), "hostile names stay names");
}

#[test]
fn names_of_the_account_are_shown_and_never_obeyed() {
    let mut result = storm();
    let hostile = "<script>alert(7)</script>".to_owned();
    for scenario in &mut result.scenarios {
        let blame = scenario.blame.as_mut().expect("somebody is blamed");
        for hop in &mut blame.path {
            hop.service.clone_from(&hostile);
            hop.added = f64::NAN;
        }
        for suspect in &mut blame.ruled_out {
            suspect.operation.clone_from(&hostile);
        }
        blame.pairs[0].largest = Some((hostile.clone(), f64::INFINITY));
        blame.differences[0].value.clone_from(&hostile);
        scenario.culprits[0].share = Some(f64::NAN);
        scenario.exhibits.traces[0].spans[1].service.clone_from(&hostile);
        scenario.faults[0].target = format!("{hostile} -> {hostile}");
    }
    let html = render(&Html, &result);
    assert!(!without_scripts(&html).contains("alert(7)</script>"));
    assert_eq!(html.matches("</script>").count(), 1);
    assert!(!html.contains("NaN"));
}

#[test]
fn log_lines_that_say_the_same_are_shown_three_times_and_counted() {
    let mut result = storm();
    let scenario = &mut result.scenarios[0];
    let line = scenario.exhibits.logs[0].clone();
    scenario.exhibits.logs =
        (0..50).map(|index| LogExhibit { body: format!("order {index} failed"), trace_id: None, ..line.clone() }).collect();
    scenario.exhibits.logs.push(LogExhibit { body: "something else".to_owned(), trace_id: None, ..line });
    result.scenarios.truncate(1);
    let html = render(&Html, &result);
    let shown = (0..50).filter(|index| html.contains(&format!("order {index} failed"))).count();
    assert_eq!(shown, 3);
    assert!(html.contains("47 more like it") && html.contains("something else"));
}

#[test]
fn what_is_broken_since_the_baseline_is_listed_with_a_link_to_its_finding() {
    let html = render(&Html, &storm());
    assert!(html.contains("1 new"));
    assert!(html.contains("<a href=\"#s1-slow-payment-f1\">slow-payment: retries of orders → payment, during the fault</a>"));
    let mut result = storm();
    result.commit.baseline = None;
    assert!(!render(&Html, &result).contains("Since the baseline"), "without a baseline nothing is since");
}

#[test]
fn the_page_of_a_demo_is_small() {
    let size = render(&Html, &storm()).len();
    assert!(size < 500_000, "{size} bytes");
}

#[test]
fn log_patterns_say_what_became_of_them_and_stay_text() {
    let pattern = |change, template: &str| LogPattern {
        change,
        service: "orders".to_owned(),
        severity: Some("error".to_owned()),
        template: template.to_owned(),
        lines: 1_200,
        reference: 0,
        before: 3,
        first_seen: None,
        example: "<img src=x onerror=alert(9)>".to_owned(),
        trace_id: None,
    };
    let mut result = storm();
    result.scenarios[0].exhibits.log_diff = Some(LogDiff {
        against: "the baseline".to_owned(),
        templates: 40,
        left_out: 2,
        patterns: vec![pattern(PatternChange::New, "payment <*> gave up"), pattern(PatternChange::Lost, "paid <*>")],
        ..LogDiff::default()
    });
    let html = render(&Html, &result);
    assert!(html.contains("</span> new</th>") && html.contains("</span> lost</th>") && html.contains("payment &lt;*&gt; gave up"));
    assert!(html.contains("1,200") && html.contains("40 patterns in all; 2 more that changed are not shown"));
    assert!(!html.contains("<img src=x"));
}
