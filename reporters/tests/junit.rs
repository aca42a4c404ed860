//! `junit.xml` as consumers read it: well-formed whatever services wrote, valid against the strictest schema, every verdict in its element.

mod common;

use common::{render, sample};
use quick_xml::{Reader, events::Event};
use rand::{RngExt, SeedableRng};
use shakedown_model::{result::RunResult, verdict::Verdict};
use shakedown_reporters::Junit;
use std::{io::Write, path::Path, process::Command};

/// Names of the elements, in order; fails where the text is not well-formed or holds a character that XML 1.0 forbids.
fn elements(xml: &str) -> Vec<String> {
    let forbidden = xml.chars().find(|c| matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}'));
    assert_eq!(forbidden, None, "XML 1.0 forbids this character");
    let mut reader = Reader::from_str(xml);
    reader.config_mut().check_end_names = true;
    let mut names = Vec::new();
    loop {
        match reader.read_event().expect("well-formed") {
            Event::Eof => return names,
            Event::Start(start) | Event::Empty(start) => {
                for attribute in start.attributes() {
                    let attribute = attribute.expect("well-formed attribute");
                    quick_xml::escape::unescape(std::str::from_utf8(&attribute.value).expect("UTF-8")).expect("well-formed value");
                }
                names.push(String::from_utf8_lossy(start.name().as_ref()).into_owned());
            }
            Event::Text(text) => assert!(!text.as_ref().windows(3).any(|end| end == b"]]>"), "`]]>` in text"),
            _ => {}
        }
    }
}

fn count(xml: &str, element: &str) -> usize {
    elements(xml).iter().filter(|name| *name == element).count()
}

/// What xmllint says against the schema; `None` where it is not installed.
fn schema_errors(xml: &str) -> Option<String> {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(xml.as_bytes()).expect("room for a temporary file");
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/jenkins-junit-10.xsd");
    let output = Command::new("xmllint").arg("--noout").arg("--nonet").arg("--schema").arg(schema).arg(file.path()).output().ok()?;
    Some(if output.status.success() { String::new() } else { String::from_utf8_lossy(&output.stderr).into_owned() })
}

fn skip_aloud(reason: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED: {reason}");
}

#[test]
fn the_sample_prints_as_it_always_did() {
    insta::assert_snapshot!(render(&Junit, &sample()));
}

#[test]
fn every_file_is_valid_against_the_schema_of_jenkins() {
    let mut warn_only = sample();
    warn_only.inconclusive_blocks = false;
    for (name, result) in
        [("sample", sample()), ("not blocking", warn_only), ("nothing run", nothing_run()), ("hostile", hostile(&nasty(7)))]
    {
        let xml = render(&Junit, &result);
        elements(&xml);
        match schema_errors(&xml) {
            Some(errors) => assert_eq!(errors, "", "{name}:\n{xml}"),
            None => return skip_aloud("xmllint is not installed; `apt-get install libxml2-utils` lets this test check the schema"),
        }
    }
}

#[test]
fn a_failure_is_a_failure_and_inconclusive_follows_the_gate() {
    let mut result = sample();
    let blocking = render(&Junit, &result);
    assert_eq!((count(&blocking, "failure"), count(&blocking, "error"), count(&blocking, "skipped")), (4, 2, 0));
    result.inconclusive_blocks = false;
    let warning = render(&Junit, &result);
    assert_eq!((count(&warning, "failure"), count(&warning, "error"), count(&warning, "skipped")), (4, 0, 2));
}

#[test]
fn the_totals_of_the_root_are_those_of_its_cases() {
    let xml = render(&Junit, &sample());
    let cases = count(&xml, "testcase");
    assert!(
        xml.contains(&format!(r#"<testsuites name="shakedown" tests="{cases}" failures="4" errors="2" time="128.000">"#)),
        "{}",
        &xml[..300]
    );
}

#[test]
fn a_broken_environment_is_an_error_even_where_the_judge_says_fail() {
    let mut result = sample();
    result.inconclusive_blocks = false;
    let finding = &mut result.scenarios[0].findings[0];
    assert_eq!(finding.check, "steady-state");
    finding.verdict = Verdict::Fail;
    assert_eq!(count(&render(&Junit, &result), "error"), 1);
}

#[test]
fn a_scenario_in_which_nothing_was_judged_is_an_error_not_an_empty_suite() {
    let mut result = sample();
    result.scenarios[1].findings.clear();
    let xml = render(&Junit, &result);
    assert!(xml.contains("nothing was judged"), "{xml}");
    assert_eq!(count(&xml, "error"), 3);
}

#[test]
fn what_goes_wrong_outside_scenarios_has_a_suite_of_its_own() {
    let xml = render(&Junit, &nothing_run());
    assert!(xml.contains(r#"name="shakedown" package="" tests="3""#), "{xml}");
    for text in ["shakedown recover", "the engine went away", "no scenario was run"] {
        assert!(xml.contains(text), "{text} is missing in {xml}");
    }
}

#[test]
fn cases_of_one_suite_never_share_a_name() {
    let mut result = sample();
    let twin = result.scenarios[0].findings[2].clone();
    result.scenarios[0].findings.push(twin);
    let xml = render(&Junit, &result);
    assert!(xml.contains(r#"name="fault/checkout/success""#) && xml.contains(r#"name="fault/checkout/success (2)""#));
}

#[test]
fn whatever_services_write_the_file_stays_well_formed() {
    for seed in 0..400 {
        let text = nasty(seed);
        let xml = render(&Junit, &hostile(&text));
        assert_eq!(count(&xml, "testsuite"), 3, "{text:?}");
    }
}

fn nothing_run() -> RunResult {
    let mut result = sample();
    result.scenarios.clear();
    result.clean = false;
    result.run.aborted = Some("the engine went away".to_owned());
    result.run.ended_by = Some("environment".to_owned());
    result
}

/// The sample with `text` in every place that the outside world can write to.
fn hostile(text: &str) -> RunResult {
    let mut result = sample();
    result.commit.candidate = Some(text.to_owned());
    text.clone_into(&mut result.commit.baseline_source);
    text.clone_into(&mut result.run.rerun);
    for scenario in &mut result.scenarios {
        text.clone_into(&mut scenario.name);
        for finding in &mut scenario.findings {
            finding.verdict = Verdict::Fail;
            for field in [&mut finding.id, &mut finding.check, &mut finding.subject, &mut finding.reason, &mut finding.unit] {
                text.clone_into(field);
            }
        }
        for fault in &mut scenario.faults {
            text.clone_into(&mut fault.target);
            fault.achieved.insert(text.to_owned(), f64::NAN);
        }
        for log in &mut scenario.exhibits.logs {
            text.clone_into(&mut log.body);
        }
        for culprit in &mut scenario.culprits {
            text.clone_into(&mut culprit.operation);
        }
    }
    result
}

/// A string of pieces that break XML, terminals and readers, and of random characters.
fn nasty(seed: u64) -> String {
    const PIECES: [&str; 18] = [
        "]]>",
        "]]",
        ">",
        "<![CDATA[",
        "\u{1b}[31m",
        "\u{1b}]0;x\u{7}",
        "\u{1b}",
        "\0",
        "\u{8}",
        "\u{fffe}",
        "\u{ffff}",
        "<!--",
        "-->",
        "&",
        "\"",
        "'",
        "\r\n",
        "\u{85}",
    ];
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let mut text = String::new();
    for _ in 0..random.random_range(0..24) {
        if random.random_bool(0.6) {
            text.push_str(PIECES[random.random_range(0..PIECES.len())]);
        } else if let Some(c) = char::from_u32(random.random_range(0..0x11_0000)) {
            text.push(c);
        }
    }
    text
}

#[test]
fn what_decides_nothing_is_skipped_and_never_an_error() {
    let mut result = sample();
    result.inconclusive_blocks = true;
    for finding in result.scenarios.iter_mut().flat_map(|scenario| &mut scenario.findings) {
        finding.verdict = Verdict::Inconclusive;
        finding.check = "recovery-vs-baseline".to_owned();
        finding.advisory = true;
    }
    let xml = render(&Junit, &result);
    let names = elements(&xml);
    let count = |name: &str| names.iter().filter(|known| *known == name).count();
    let findings: usize = result.scenarios.iter().map(|scenario| scenario.findings.len()).sum();
    assert_eq!(count("skipped"), findings);
}
