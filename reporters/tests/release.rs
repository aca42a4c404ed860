//! A release as text, Markdown and a page.

use shakedown_model::{
    event::Phase,
    history::WaivedFailure,
    release::{Coverage, LastRun, RELEASE_SCHEMA, Release, ScenarioReadiness, Trend, TrendShift},
    result::Waived,
    time::UnixNanos,
    verdict::Verdict,
};
use shakedown_reporters::{release_html, release_markdown, release_text};

const AT: UnixNanos = UnixNanos(1_763_721_600_000_000_000);

fn last(verdict: Verdict, behind: usize) -> Option<LastRun> {
    let commit = "4f2c9d1e8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c3d".to_owned();
    Some(LastRun { run: "r1".to_owned(), commit, subject: Some("orders: retry payment harder".to_owned()), time: AT, verdict, behind })
}

fn release() -> Release {
    let scenario = |name: &str, last, runs, flaky| ScenarioReadiness { name: name.to_owned(), last, runs, flaky, waived: Vec::new() };
    let commit = || "a1b2c3d4e5f60718293a4b5c6d7e8f9012345678".to_owned();
    Release {
        schema: RELEASE_SCHEMA,
        range: "v1.4..HEAD".to_owned(),
        tip: "4f2c9d1e8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c3d".to_owned(),
        commits: 23,
        exercised: 9,
        runs: 11,
        verdict: Verdict::Fail,
        advice: "not ready: slow-payment failed at 4f2c9d1e8a and has not passed since".to_owned(),
        open: vec!["db-partition was not exercised in this range".to_owned()],
        scenarios: vec![
            scenario("slow-payment", last(Verdict::Fail, 0), [7, 1, 1], Some(0.5)),
            scenario("db-partition", None, [0, 0, 0], None),
            scenario("payment-killed", last(Verdict::Pass, 3), [9, 0, 0], None),
        ],
        coverage: vec![
            Coverage {
                target: "orders -> payment".to_owned(),
                kind: "latency".to_owned(),
                runs: 9,
                commit: commit(),
                time: AT,
                touched: 1_180,
            },
            Coverage { target: "payment".to_owned(), kind: "kill".to_owned(), runs: 1, commit: commit(), time: AT, touched: 1 },
        ],
        untouched: vec!["redis".to_owned(), "search".to_owned()],
        trends: vec![Trend {
            scenario: "slow-payment".to_owned(),
            subject: "checkout".to_owned(),
            phase: Phase::Fault,
            measure: "p99".to_owned(),
            unit: "s",
            machine_class: "2 cores".to_owned(),
            values: vec![0.31, 0.32, 0.3, 0.61, 0.62],
            shifts: vec![TrendShift {
                index: 3,
                commit: commit(),
                subject: Some("gateway: tidy".to_owned()),
                before: 0.31,
                after: 0.615,
                significance: 0.01,
            }],
        }],
    }
}

#[test]
fn a_release_prints_as_it_always_did() {
    insta::assert_snapshot!("release", release_text(&release()));
    insta::assert_snapshot!("release-markdown", release_markdown(&release()));
}

#[test]
fn lines_fit_a_terminal_and_long_lists_say_how_many_more_there_are() {
    let mut long = release();
    long.open = (0..50).map(|index| format!("scenario-{index} {}", "was not exercised ".repeat(9))).collect();
    long.trends[0].scenario = "x".repeat(200);
    long.coverage[0].target = "y".repeat(200);
    let text = release_text(&long);
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    assert!(text.contains("and 20 more"), "{text}");
    assert!(release_html(&long).unwrap().contains("scenario-49"), "the page has them all");
}

#[test]
fn hostile_names_stay_names_and_call_nobody() {
    let mut hostile = release();
    let name = "<script>alert(1)</script> | @everyone \u{1b}[31m ![x](http://example.org)";
    hostile.scenarios[0].name = name.to_owned();
    hostile.coverage[0].kind = name.to_owned();
    hostile.trends[0].shifts[0].subject = Some(name.to_owned());
    let page = release_html(&hostile).unwrap();
    assert!(!page.contains("<script") && !page.contains('\u{1b}') && page.contains("default-src 'none'"));
    let markdown = release_markdown(&hostile);
    assert!(!markdown.contains("<script") && !markdown.contains("@everyone") && !markdown.contains("![x]"), "{markdown}");
    assert!(markdown.lines().filter(|line| line.starts_with("| ✗")).all(|line| line.replace("\\|", "").matches('|').count() == 4));
    assert!(!release_text(&hostile).contains('\u{1b}'));
}

#[test]
fn figures_that_are_no_numbers_draw_no_line() {
    let mut odd = release();
    odd.trends[0].values = vec![f64::NAN, f64::INFINITY];
    assert!(!release_html(&odd).unwrap().contains("NaN"));
    odd.trends[0].values = Vec::new();
    assert!(release_html(&odd).is_ok());
}

#[test]
fn what_is_waived_is_named_with_owner_and_day() {
    let mut release = release();
    let by =
        Waived { owner: "team|payments".to_owned(), expires: "2026-12-31".parse().expect("a day"), why: Some("slow provider".to_owned()) };
    release.scenarios[0].waived = vec![WaivedFailure { finding: "slow-payment/fault/checkout/p99".to_owned(), by }];
    let text = release_text(&release).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("slow-payment/fault/checkout/p99: waived until 2026-12-31, team|payments answers"), "{text}");
    let markdown = release_markdown(&release);
    assert!(markdown.contains("| slow-payment/fault/checkout/p99: slow provider | team\\|payments | 2026-12-31 |"), "{markdown}");
    let page = release_html(&release).unwrap().replace('\u{a0}', " ").replace("&#x2f;", "/");
    assert!(page.contains("<code>slow-payment/fault/checkout/p99</code>: waived until 2026-12-31, team|payments answers"), "{page}");
}
