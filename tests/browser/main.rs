//! The report as a person meets it: recorded runs in a headless browser, opened, read, filtered, dragged over and linked into.

mod driver;
mod pages;
mod served;

use driver::{Page, in_browser};
use fantoccini::key::Key;
use pages::Report;
use served::Served;
use shakedown_tests::{repository, skip};
use std::fs;

/// What Jenkins sends with everything that a build has archived.
const JENKINS: &str = "sandbox allow-same-origin; default-src 'none'; img-src 'self'; style-src 'self'";
const STORM: &str = "retry-storm-result.json";

/// Keeps a picture for people to look at.
async fn picture(page: &Page, name: &str) {
    let folder = repository().join("target/report-pictures");
    fs::create_dir_all(&folder).expect("room for pictures");
    fs::write(folder.join(format!("{name}.png")), page.screenshot().await).expect("room for a picture");
}

/// The page complains of nothing, asks for nothing but itself, and fits the window.
async fn opens_well(page: &Page, report: &Report, name: &str) {
    page.requests().await;
    page.complaints().await;
    page.open(&report.address()).await;
    assert_eq!(page.complaints().await, [""; 0], "{name}");
    let own = report.address();
    let others: Vec<String> = page.requests().await.into_iter().filter(|url| *url != own && !url.starts_with("data:")).collect();
    assert_eq!(others, [""; 0], "{name} asks for more than itself");
    for (width, look) in [(1280, "wide"), (420, "narrow")] {
        page.resize(width, 900).await;
        assert!(
            page.holds("return document.documentElement.scrollWidth <= document.documentElement.clientWidth").await,
            "{name} is wider than a {look} window"
        );
        picture(page, &format!("{name}-{look}")).await;
    }
    page.resize(1280, 900).await;
}

#[test]
fn recorded_runs_open_without_a_complaint_or_a_request() {
    in_browser("recorded_runs_open_without_a_complaint_or_a_request", |page| async move {
        opens_well(&page, &Report::of_result(STORM), "retry-storm").await;
        opens_well(&page, &Report::of_result("sample-result.json"), "sample").await;
        opens_well(&page, &Report::of_run("gate-slower"), "gate-slower").await;
        opens_well(&page, &Report::of_run("gate-equal"), "gate-equal").await;
    });
}

#[test]
fn a_demo_is_small_and_quick_and_fifty_scenarios_are_quick_enough() {
    in_browser("a_demo_is_small_and_quick_and_fifty_scenarios_are_quick_enough", |page| async move {
        let demo = Report::of_result(STORM);
        assert!(demo.size() <= 500_000, "{} bytes", demo.size());
        let (fifty, _) = Report::of_scenarios(50);
        for (report, most) in [(demo, 0.3), (fifty, 1.5)] {
            let mut best = f64::INFINITY;
            for _ in 0..3 {
                page.open("about:blank").await;
                page.measure_work().await;
                page.open(&report.address()).await;
                let shown =
                    "const [load] = performance.getEntriesByType('navigation'); document.body.offsetHeight; return load.loadEventEnd";
                let (wall, work) = (page.number(shown).await, page.work().await);
                println!("{} bytes: loaded after {wall:.0} ms, {:.0} ms of work", report.size(), work * 1e3);
                best = best.min(work);
            }
            assert!(best < most, "{} bytes take {best} s of work, not {most}", report.size());
        }
    });
}

#[test]
fn no_accessibility_violation_is_found() {
    let Ok(axe) = fs::read_to_string(repository().join("target/axe/axe.min.js")) else {
        skip("no_accessibility_violation_is_found", "target/axe/axe.min.js is not there (tests/needs.sh fetches it from PyPI)");
        return;
    };
    in_browser("no_accessibility_violation_is_found", |page| async move {
        let (storm, sample) = (Report::of_result(STORM), Report::of_result("sample-result.json"));
        for (report, name, themes) in [(storm, "retry-storm", &["light", "dark"][..]), (sample, "sample", &["light"])] {
            page.open(&report.address()).await;
            page.value(&axe).await;
            // Rows that are like those before them would be looked at for minutes, with the same outcome.
            page.value("document.querySelectorAll('.scenario ~ .scenario, tbody tr:nth-child(n + 9)').forEach((part) => part.remove())")
                .await;
            for theme in themes {
                page.value(&format!(
                    "document.documentElement.dataset.theme = '{theme}'; document.querySelectorAll('details').forEach((d) => d.open = true)"
                ))
                .await;
                let violations = page
                    .awaited(
                        "const done = arguments[arguments.length - 1];
                         axe.run({ resultTypes: ['violations'] }).then(({ violations }) => done(violations.map(({ id, nodes }) =>
                           `${id}: ${nodes.length} × ${nodes[0].html.slice(0, 200)} ${nodes[0].failureSummary}`)), (error) => done([String(error)]))",
                    )
                    .await;
                assert_eq!(violations, serde_json::json!([]), "{name}, {theme}");
                picture(&page, &format!("{name}-{theme}")).await;
            }
        }
    });
}

#[test]
fn under_the_policy_of_jenkins_the_directory_has_its_looks_and_the_file_its_words() {
    in_browser("under_the_policy_of_jenkins_the_directory_has_its_looks_and_the_file_its_words", |page| async move {
        let words = "return document.querySelector('.hero .word').checkVisibility() && document.querySelector('h1').textContent.includes('slow-payment')
            && document.querySelectorAll('svg.plot path').length > 4 && document.querySelectorAll('.findings tbody tr').length > 10";
        let weight = "return Number(getComputedStyle(document.querySelector('.hero .word')).fontWeight)";
        let no_script = "return document.querySelector('.tools').hidden";
        let (file, directory) = (Report::of_result(STORM), Report::in_files(STORM));
        let served = Served::with_policy(file.folder.path(), JENKINS);
        page.open(&format!("{}/report.html", served.address)).await;
        assert!(page.holds(words).await && page.holds(no_script).await, "the file is readable without style and script");
        picture(&page, "jenkins-file").await;
        let served = Served::with_policy(directory.folder.path(), JENKINS);
        page.open(&format!("{}/report.html", served.address)).await;
        assert!(page.holds(words).await && page.holds(no_script).await);
        assert!(page.number(weight).await > 700.0, "the style beside the page is taken");
        picture(&page, "jenkins-directory").await;
        page.complaints().await;
        page.open(&directory.address()).await;
        assert_eq!(page.complaints().await, [""; 0], "the directory opens from disk");
        assert!(page.number(weight).await > 700.0 && !page.holds(no_script).await, "with its style and its script");
    });
}

#[test]
fn what_is_too_large_for_one_page_has_pages_beside_it_that_lead_back() {
    in_browser("what_is_too_large_for_one_page_has_pages_beside_it_that_lead_back", |page| async move {
        let (report, told) = Report::of_scenarios(60);
        assert!(told.contains("warning: ") && told.contains("report.html would have"), "{told}");
        assert!(report.size() < 5_000_000, "{} bytes", report.size());
        page.open(&report.address()).await;
        page.value("document.querySelectorAll('.side-link a')[7].click()").await;
        assert!(
            page.holds("return document.querySelectorAll('svg.plot').length > 0 && document.querySelectorAll('.trace').length > 0").await
        );
        let name = page.text("return document.querySelector('.scenario h2').textContent").await;
        page.value("document.querySelector('.bar a').click()").await;
        assert!(page.holds(&format!("return document.querySelector(location.hash).textContent.includes('{name}')")).await);
        assert_eq!(page.complaints().await, [""; 0]);
    });
}

#[test]
fn every_link_leads_to_something_that_is_seen() {
    in_browser("every_link_leads_to_something_that_is_seen", |page| async move {
        let report = Report::of_result(STORM);
        page.open(&report.address()).await;
        let unseen = page
            .awaited(
                "const done = arguments[arguments.length - 1];
                 const links = [...new Set([...document.querySelectorAll('a[href^=\"#\"]')].map((link) => link.hash))];
                 const unseen = [];
                 const next = () => {
                   const hash = links.pop();
                   if (!hash) return done(unseen);
                   addEventListener('hashchange', () => {
                     const target = document.querySelector(hash);
                     if (!target?.checkVisibility()) unseen.push(hash);
                     next();
                   }, { once: true });
                   location.hash = hash;
                 };
                 document.body.classList.add('hide-passed');
                 document.querySelectorAll('details').forEach((details) => { details.open = false; });
                 links.length > 30 ? next() : done(['there are few links']);",
            )
            .await;
        assert_eq!(unseen, serde_json::json!([]));
        // From outside, too: into a trace that is closed.
        page.open("about:blank").await;
        let trace = "s1-slow-payment-trace-3";
        page.open(&format!("{}#{trace}", report.address())).await;
        assert!(page.holds(&format!("return document.getElementById('{trace}').open")).await);
        assert!(page.number(&format!("return document.getElementById('{trace}').getBoundingClientRect().top")).await < 800.0);
        picture(&page, "deep-link").await;
        assert_eq!(page.complaints().await, [""; 0]);
    });
}

/// Left, right and middle of the first chart, in pixels of the window.
async fn chart(page: &Page) -> (f64, f64, f64) {
    page.value("document.querySelector('svg.plot').scrollIntoView({ block: 'center', behavior: 'instant' })").await;
    let edge = async |name: &str| page.number(&format!("return document.querySelector('svg.plot').getBoundingClientRect().{name}")).await;
    (edge("left").await, edge("right").await, edge("top").await + edge("height").await / 2.0)
}

const READOUT: &str = "return document.querySelector('.readout').textContent";
const LINES: &str = "return [...document.querySelectorAll('.scenario')[0].querySelectorAll('.logs tbody tr')].filter((row) => row.checkVisibility()).length";

#[test]
fn a_range_of_time_that_is_dragged_is_followed_by_everything_of_its_scenario() {
    in_browser("a_range_of_time_that_is_dragged_is_followed_by_everything_of_its_scenario", |page| async move {
        let report = Report::of_result(STORM);
        page.open(&report.address()).await;
        let (left, right, middle) = chart(&page).await;
        let at = |share: f64| (left + (right - left) * share, middle);
        page.point(at(0.6)).await;
        let read = page.text(READOUT).await;
        assert!(read.contains("candidate P99") && read.contains("baseline P99"), "{read}");

        let all_lines = page.number(LINES).await;
        let view = "return [...document.querySelectorAll('.scenario')[0].querySelectorAll('.pane')].map((pane) => pane.getAttribute('viewBox')).join()";
        let whole = page.text(view).await;
        page.drag(at(0.15), at(0.35)).await;
        let range = page.text(view).await;
        assert_ne!(range, whole);
        let panes: Vec<&str> = range.split(',').collect();
        assert!(panes.len() == 2 && panes[0].split(' ').next() == panes[1].split(' ').next(), "both charts follow: {range}");
        assert!(page.number(LINES).await < all_lines, "the lines of the fault are not of this range");
        assert!(page.text("return document.querySelector('.ticks').textContent").await.contains('s'));
        picture(&page, "range").await;
        let others = "return document.querySelectorAll('.scenario')[1].classList.contains('is-ranged')";
        assert!(!page.holds(others).await, "the other scenario has its own time");

        page.press_key(Key::Escape).await;
        assert_eq!(page.text(view).await, whole);
        assert!((page.number(LINES).await - all_lines).abs() < 0.5);
    });
}

#[test]
fn charts_are_read_with_the_keyboard() {
    in_browser("charts_are_read_with_the_keyboard", |page| async move {
        let report = Report::of_result(STORM);
        page.open(&report.address()).await;
        page.value("document.querySelector('figure.chart .scroll').focus()").await;
        page.press_key(Key::Right).await;
        let first = page.text(READOUT).await;
        page.press_key(Key::Right).await;
        let second = page.text(READOUT).await;
        assert!(first.contains("candidate P99") && second.contains("candidate P99") && first != second, "{first} / {second}");
        page.press("+").await;
        assert!(page.holds("return document.querySelector('.scenario').classList.contains('is-ranged')").await);
        page.press("-").await;
        assert!(!page.holds("return document.querySelector('.scenario').classList.contains('is-ranged')").await);
    });
}

#[test]
fn scenarios_and_lines_are_found_hidden_and_copied() {
    in_browser("scenarios_and_lines_are_found_hidden_and_copied", |page| async move {
        let report = Report::of_result("sample-result.json");
        page.open(&report.address()).await;
        let shown = "return [...document.querySelectorAll('.scenario')].filter((section) => section.checkVisibility()).length";
        let all = page.number(shown).await;

        page.press("/").await;
        page.press("slow-payment").await;
        assert!((page.number(shown).await - 1.0).abs() < 0.5);
        assert!(page.text("return document.querySelector('.overview [role=status]').textContent").await.starts_with("1 of "));
        page.press(&"\u{e003}".repeat("slow-payment".len())).await;
        assert!((page.number(shown).await - all).abs() < 0.5);

        page.value("document.activeElement.blur()").await;
        page.press("f").await;
        assert!(page.number(shown).await < all, "what passed is hidden");
        page.press("f").await;

        page.press("j").await;
        assert!(page.holds("return document.activeElement.closest('.scenario') === document.querySelector('.scenario')").await);
        page.press("?").await;
        assert!(page.holds("return document.getElementById('keys').open").await);
        page.press_key(Key::Escape).await;

        let lines = page.number(LINES).await;
        page.value("document.querySelector('input[data-find]').focus()").await;
        page.press("gave up").await;
        let found = page.number(LINES).await;
        assert!(found < lines && found >= 1.0, "{found} of {lines}");

        // The clipboard of a headless browser is nobody's: what would go there is caught.
        page.value("window.copied = []; Object.defineProperty(navigator, 'clipboard', { value: { writeText: async (text) => { copied.push(text); } } })").await;
        page.value(
            "document.querySelectorAll('[data-do=copy], [data-do=copy-scenario], [data-do=copy-link]').forEach((button) => button.click())",
        )
        .await;
        let copied = page.value("return window.copied").await;
        let has = |part: &str| copied.as_array().expect("texts").iter().any(|text| text.as_str().is_some_and(|text| text.contains(part)));
        assert!(
            has("## fail: slow-payment") && has("| Verdict |") && has("    shakedown run") && has("report.html#s1-slow-payment"),
            "{copied}"
        );
        assert!(!has("<img") || has("\\<img"), "what Markdown would obey is quoted");

        page.value("document.querySelector('[data-do=expand]').click()").await;
        assert!(page.holds("return [...document.querySelectorAll('details')].every((details) => details.open)").await);
        page.value("document.querySelector('[data-do=theme]').click()").await;
        assert_eq!(page.text("return document.documentElement.dataset.theme").await, "light");
        assert_eq!(page.complaints().await, [""; 0]);
    });
}
