//! The summaries of a run as text: Markdown, the terminal's table, annotations and JSON.

mod common;
#[path = "common/waived.rs"]
mod waivers;

use common::{render, sample};
use shakedown_model::{result::RunResult, verdict::Verdict};
use shakedown_reporters::{Comment, Console, Json, Markdown, Metrics, Outputs, Reporter, annotations};
use waivers::waived;

fn console(color: bool, width: usize) -> Console {
    Console { color, width, report: Some(".shakedown/runs/20251121-104000-4f2c9d1/report.html".to_owned()) }
}

#[test]
fn the_sample_prints_as_it_always_did() {
    insta::assert_snapshot!("markdown", render(&Markdown, &sample()));
    insta::assert_snapshot!("console", render(&console(false, 80), &sample()));
    insta::assert_snapshot!("metrics", render(&Metrics, &sample()));
    insta::assert_snapshot!("annotations", annotations(&sample(), "").join("\n"));
}

#[test]
fn the_verdict_comes_first_in_every_summary() {
    for (verdict, word) in [(Verdict::Pass, "PASS"), (Verdict::Inconclusive, "INCONCLUSIVE"), (Verdict::Fail, "FAIL")] {
        let mut result = sample();
        result.verdict = verdict;
        for reporter in [&Markdown as &dyn Reporter, &console(false, 80)] {
            let text = render(reporter, &result);
            assert!(text.lines().next().is_some_and(|line| line.contains(word)), "{text}");
        }
    }
}

#[test]
fn what_cannot_tell_does_not_bury_what_failed() {
    let mut result = sample();
    let open = result.scenarios.iter().flat_map(|scenario| &scenario.findings).find(|finding| finding.verdict == Verdict::Inconclusive);
    let open = open.expect("the sample has one").clone();
    let scenario = &mut result.scenarios[0];
    let failed = scenario.findings.iter().filter(|finding| finding.verdict == Verdict::Fail).count();
    scenario.findings.retain(|finding| finding.verdict == Verdict::Fail);
    scenario.findings.splice(0..0, std::iter::repeat_n(open, 9));
    result.scenarios.truncate(1);
    let text = render(&console(false, 80), &result);
    assert_eq!((text.matches("    ✗ ").count(), text.matches("    ? ").count()), (failed, 4), "{text}");
    assert!(text.contains("    ? 6 more cannot tell: the report has them"), "{text}");
}

#[test]
fn the_table_keeps_to_its_width_except_for_what_is_there_to_be_copied() {
    let mut result = sample();
    result.scenarios[0].findings[2].reason = "漢字".repeat(60);
    for width in [0, 40, 60, 80, 200] {
        let text = render(&console(false, width), &result);
        let (body, foot) = text.split_at(text.find("  report ").expect("the report's path"));
        let widest = body.lines().map(|line| line.chars().map(|c| if c > '\u{2e7f}' { 2 } else { 1 }).sum::<usize>()).max();
        assert!(widest <= Some(width.clamp(40, 80)), "{widest:?} columns of {width}:\n{body}");
        assert!(foot.contains(&result.run.rerun), "{foot}");
    }
}

#[test]
fn services_cannot_write_to_the_terminal() {
    let mut result = sample();
    result.scenarios[0].findings[2].reason = "\u{1b}[2J\u{1b}]0;owned\u{7}gone\r\u{8}".to_owned();
    result.scenarios[0].name = "\u{9b}31mred".to_owned();
    let plain = render(&console(false, 80), &result);
    assert!(!plain.chars().any(|c| c.is_control() && c != '\n'), "{plain:?}");
    let coloured = render(&console(true, 80), &result);
    assert!(coloured.contains("\u{1b}[1;31m") && !coloured.contains("\u{1b}[2J") && !coloured.contains('\u{7}'), "{coloured:?}");
}

#[test]
fn the_summary_quotes_what_markdown_would_obey() {
    let mut result = sample();
    result.scenarios[0].name = "a|b\n# head <img src=x onerror=1> @octocat `c`".to_owned();
    let text = render(&Markdown, &result);
    assert!(
        text.lines().any(|line| line.starts_with("| ✗ fail | a\\|b #\u{200b} head &lt;img src=x onerror=1&gt; @\u{200b}octocat \\`c\\` |")),
        "{text}"
    );
    assert!(!text.contains("<img") && !text.contains("@octocat"), "{text}");
}

#[test]
fn summary_and_comment_end_before_their_limits_and_keep_what_failed_and_the_command() {
    let mut result = sample();
    let failed = result.scenarios[0].findings[2].clone();
    let mut open = failed.clone();
    open.verdict = Verdict::Inconclusive;
    open.reason = "ü".repeat(900);
    result.scenarios[0].findings.splice(0..0, (0..2_000).map(|_| open.clone()));
    for (reporter, limit) in [(&Markdown as &dyn Reporter, 1 << 20), (&comment(), 65_000)] {
        let text = render(reporter, &result);
        assert!(text.len() <= limit, "{} of {limit}", text.len());
        assert!(text.contains("more lines were left out") && text.contains(&result.run.rerun) && text.contains("### Failed"));
        assert!(text.contains("### Culprit in slow-payment"), "what is inconclusive is left out first");
    }
}

fn comment() -> Comment {
    Comment { key: "gate".to_owned() }
}

#[test]
fn a_comment_begins_with_the_mark_by_which_it_is_found_again() {
    let text = render(&comment(), &sample());
    assert!(text.starts_with("<!-- shakedown: gate -->\n## ✗ FAIL — "), "{text}");
    assert_eq!(text.matches("<!--").count(), 1, "{text}");
}

#[test]
fn a_command_cannot_close_its_own_fence() {
    let mut result = sample();
    result.run.rerun = "shakedown run --scenario '````x'".to_owned();
    assert!(render(&Markdown, &result).contains("`````sh\nshakedown run --scenario '````x'\n`````"));
}

#[test]
fn annotations_stop_where_github_stops_and_count_the_rest() {
    let mut result = sample();
    let finding = result.scenarios[0].findings[2].clone();
    result.scenarios[0].findings = (0..15).map(|_| finding.clone()).collect();
    result.inconclusive_blocks = false;
    let lines = annotations(&result, "");
    let starting = |prefix: &str| lines.iter().filter(|line| line.starts_with(prefix)).count();
    assert_eq!((starting("::error "), starting("::warning "), starting("::notice ")), (10, 1, 1), "{lines:#?}");
    assert!(lines.last().is_some_and(|line| line.ends_with("::5 more findings are in the report")), "{lines:#?}");
}

#[test]
fn an_annotation_is_one_command_whatever_it_says() {
    let mut result = sample();
    result.scenarios[0].findings[2].reason = "100 %\n::error::injected".to_owned();
    result.scenarios[0].findings[2].source.file = "a,b:c\n.yaml".to_owned();
    let line = annotations(&result, "").into_iter().find(|line| line.contains("injected")).expect("the finding's line");
    assert!(line.starts_with("::error file=a%2Cb%3Ac%0A.yaml,line=8,title="), "{line}");
    assert!(line.ends_with("::100 %25%0A::error::injected") && !line.contains('\n'), "{line}");
}

#[test]
fn an_annotation_stands_at_the_file_as_the_repository_names_it_and_is_not_endless() {
    let mut result = sample();
    result.scenarios[0].findings[2].reason = "x".repeat(100_000);
    result.scenarios[0].name = "n".repeat(1_000);
    let line = annotations(&result, "services/shop/").into_iter().find(|line| line.contains("xxxx")).expect("the finding's line");
    assert!(line.starts_with("::error file=services/shop/chaos/slow-payment.yaml,line=8,title="), "{line}");
    assert!(line.len() < 2_500, "{}", line.len());
}

#[test]
fn a_waived_failure_is_shown_with_owner_and_day_and_is_no_failure() {
    let result = waived();
    let console = render(&console(false, 80), &result);
    assert!(console.contains("    ~ ") && console.contains("waived until 2026-12-31, team-payments answers for it"), "{console}");
    for text in [render(&Markdown, &result), render(&comment(), &result)] {
        let (before, after) = text.split_once("### Waived").expect("a section of its own");
        assert!(!before.contains("success of checkout"), "{text}");
        assert!(after.contains("waived until 2026-12-31, team-payments answers for it: known \\| since May"), "{text}");
    }
    assert!(annotations(&result, "").iter().all(|line| !line.contains("success of checkout")));
    assert!(render(&Outputs, &result).contains("\nwaived=1\n"));
}

#[test]
fn outputs_are_lines_that_no_value_can_add_to() {
    let mut result = sample();
    assert_eq!(
        render(&Outputs, &result).lines().take(5).collect::<Vec<_>>(),
        ["verdict=fail", "exit_code=1", "failures=4", "regressions=1", "waived=0"]
    );
    result.headline = "FAIL\nverdict=pass".to_owned();
    result.commit.candidate = Some("abc\nverdict=pass$(id)".to_owned());
    let text = render(&Outputs, &result);
    assert_eq!(text.lines().filter(|line| line.starts_with("verdict=")).count(), 1, "{text}");
    assert!(text.contains("\ncommit=abcverdictpassid\n"), "{text}");
}

#[test]
fn metrics_are_read_back_as_they_were_and_no_series_stands_twice() {
    let mut result = sample();
    result.scenarios[0].findings[0].id = "a\"b\\c\nd".to_owned();
    let twin = result.scenarios[0].findings[2].clone();
    result.scenarios[0].findings.push(twin);
    let text = render(&Metrics, &result);
    assert!(text.ends_with("\n# EOF\n"), "{text}");
    let scrape = prometheus_parse::Scrape::parse(text.lines().map(|line| Ok(line.to_owned()))).expect("the text format");
    let value = |metric: &str, wanted: &[(&str, &str)]| {
        let fits = |sample: &&prometheus_parse::Sample| {
            sample.metric == metric && wanted.iter().all(|(name, value)| sample.labels.get(name) == Some(*value))
        };
        let found: Vec<_> = scrape.samples.iter().filter(fits).collect();
        assert_eq!(found.len(), 1, "{metric} {wanted:?}");
        match found[0].value {
            prometheus_parse::Value::Gauge(value) | prometheus_parse::Value::Untyped(value) => value,
            ref other => panic!("{other:?}"),
        }
    };
    let row = &result.scenarios[0].exhibits.loads[0].table[1];
    let at = [("scenario", "slow-payment"), ("load", result.scenarios[0].exhibits.loads[0].load.as_str()), ("phase", row.phase.word())];
    let quantile = [&at[..], &[("variant", "candidate"), ("quantile", "0.99")]].concat();
    assert!((value("shakedown_latency_seconds", &quantile) - row.candidate.p99).abs() < 1e-12);
    assert!((value("shakedown_run_verdict", &[("verdict", "fail")]) - 1.0).abs() < 1e-12);
    assert!((value("shakedown_run_exit_code", &[]) - 1.0).abs() < 1e-12);
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let series = |line: &&str| line.rsplit_once(' ').map(|(series, _)| series.to_owned());
    let unique: std::collections::BTreeSet<_> = lines.iter().filter_map(series).collect();
    assert_eq!(unique.len(), lines.len(), "{text}");
    assert!(!text.lines().any(|line| ["NaN", "inf", "-inf"].iter().any(|odd| line.ends_with(odd))), "{text}");
}

#[test]
fn findings_without_a_line_in_the_config_are_not_annotated() {
    let mut result = sample();
    for scenario in &mut result.scenarios {
        for finding in &mut scenario.findings {
            finding.source.line = 0;
        }
    }
    assert_eq!(annotations(&result, ""), Vec::<String>::new());
}

#[test]
fn json_comes_back_as_it_went_and_is_the_same_each_time() {
    let first = render(&Json, &sample());
    let back: RunResult = serde_json::from_str(&first).expect("what was written can be read");
    assert_eq!(render(&Json, &back), first);
    assert!(first.starts_with("{\n  \"schema\": \"shakedown.result/1\"") && first.ends_with("}\n"));
}
