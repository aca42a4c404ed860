//! `junit.xml` as consumers read it: well-formed whatever services wrote, valid against the strictest schema, every verdict in its element.

mod common;
#[path = "common/waived.rs"]
mod waivers;

use common::{render, sample};
use quick_xml::{Reader, events::Event};
use rand::{RngExt, SeedableRng};
use shakedown_model::{result::RunResult, verdict::Verdict};
use shakedown_reporters::{Flavour, Junit};
use std::{io::Write, path::Path, process::Command};
use waivers::waived;

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
    insta::assert_snapshot!(render(&Junit::default(), &sample()));
}

#[test]
fn every_file_is_valid_against_the_schema_of_jenkins() {
    let mut warn_only = sample();
    warn_only.inconclusive_blocks = false;
    for (name, result) in [
        ("sample", sample()),
        ("waived", waived()),
        ("not blocking", warn_only),
        ("nothing run", nothing_run()),
        ("hostile", hostile(&nasty(7))),
    ] {
        let xml = render(&Junit::default(), &result);
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
    let blocking = render(&Junit::default(), &result);
    assert_eq!((count(&blocking, "failure"), count(&blocking, "error"), count(&blocking, "skipped")), (4, 2, 0));
    result.inconclusive_blocks = false;
    let warning = render(&Junit::default(), &result);
    assert_eq!((count(&warning, "failure"), count(&warning, "error"), count(&warning, "skipped")), (4, 0, 2));
}

#[test]
fn a_waived_failure_is_skipped_and_says_who_answers_for_it_until_when() {
    let xml = render(&Junit::default(), &waived());
    assert_eq!((count(&xml, "failure"), count(&xml, "skipped")), (3, 1));
    let message = xml.split_once("<skipped ").map(|(_, rest)| rest).expect("skipped");
    let sentence = "waived until 2026-12-31, team-payments answers for it: known | since May; ";
    assert!(message.contains(&format!(r#"message="{sentence}"#)), "{message}");
    assert!(message.contains(&format!("<![CDATA[{sentence}")), "{message}");
}

#[test]
fn the_totals_of_the_root_are_those_of_its_cases() {
    let xml = render(&Junit::default(), &sample());
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
    assert_eq!(count(&render(&Junit::default(), &result), "error"), 1);
}

#[test]
fn a_scenario_in_which_nothing_was_judged_is_an_error_not_an_empty_suite() {
    let mut result = sample();
    result.scenarios[1].findings.clear();
    let xml = render(&Junit::default(), &result);
    assert!(xml.contains("nothing was judged"), "{xml}");
    assert_eq!(count(&xml, "error"), 3);
}

#[test]
fn what_goes_wrong_outside_scenarios_has_a_suite_of_its_own() {
    let xml = render(&Junit::default(), &nothing_run());
    assert!(xml.contains(r#"name="shakedown" package="" tests="3""#), "{xml}");
    for text in ["shakedown recover", "the engine went away", "no scenario was run"] {
        assert!(xml.contains(text), "{text} is missing in {xml}");
    }
}

#[test]
fn cases_of_one_suite_never_share_a_name() {
    let mut result = sample();
    let twin = result.scenarios[0].findings[2].clone();
    let mut look_alike = twin.clone();
    look_alike.id.push_str(" (2)");
    result.scenarios[0].findings.splice(0..0, [look_alike]);
    result.scenarios[0].findings.push(twin);
    let xml = render(&Junit::default(), &result);
    assert!(xml.contains(r#"name="fault/checkout/success""#) && xml.contains(r#"name="fault/checkout/success (3)""#));
}

#[test]
fn whatever_services_write_both_flavours_stay_well_formed() {
    for seed in 0..200 {
        let text = nasty(seed);
        let result = hostile(&text);
        for junit in [Junit::default(), Junit { folder: Some(text.clone()), ..rich() }] {
            let xml = render(&junit, &result);
            assert_eq!(count(&xml, "testsuite"), 3, "{text:?}");
        }
    }
}

fn rich() -> Junit {
    Junit { flavour: Flavour::Rich, folder: None }
}

#[test]
fn a_rich_case_knows_the_line_of_its_expectation_its_time_and_its_numbers() {
    let result = sample();
    let xml = render(&rich(), &result);
    let (scenario, finding) = (&result.scenarios[0], &result.scenarios[0].findings[2]);
    let head = format!(r#"file="{}" line="{}""#, finding.source.file, finding.source.line);
    let case = xml.split("<testcase ").find(|case| case.contains(&head)).expect("a case with file and line");
    assert!(case.contains(r#"timestamp="2025-11-21T"#), "{case}");
    assert!(case.contains(&format!(r#"<property name="id" value="{}"/>"#, finding.id)), "{case}");
    assert_eq!(count(&xml, "testcase"), count(&render(&Junit::default(), &result), "testcase"), "{}", scenario.name);
    let parent_first = xml
        .split("<testcase ")
        .skip(1)
        .all(|case| case.split_once('>').is_some_and(|(_, rest)| rest.trim_start().starts_with("<properties>")));
    assert!(parent_first, "properties come first in a case");
}

#[test]
fn the_portable_flavour_has_nothing_that_the_schema_does_not_know() {
    let xml = render(&Junit::default(), &sample());
    for case in xml.split("<testcase ").skip(1) {
        let head = case.split_once('>').map_or(case, |(head, _)| head);
        assert!(!["file=", "line=", "timestamp="].iter().any(|name| head.contains(name)), "{head}");
    }
}

#[test]
fn what_did_not_pass_begins_with_its_sentence_in_message_and_body_and_links_the_reports() {
    let result = sample();
    let xml = render(&Junit { folder: Some("out/shakedown/".to_owned()), ..Junit::default() }, &result);
    let failed: Vec<&str> = xml.split("<testcase ").filter(|case| case.contains("<failure ")).collect();
    assert_eq!(failed.len(), 4);
    for case in failed {
        let sentence = case.split_once("message=\"").and_then(|(_, rest)| rest.split_once('"')).map(|(text, _)| text).expect("a message");
        let body = case.split_once("<![CDATA[").map(|(_, body)| body).expect("a body");
        let start: String = sentence.chars().take(40).collect();
        let plain = quick_xml::escape::unescape(&start).expect("well-formed");
        assert!(body.starts_with(&*plain), "{sentence}\n{body}");
        assert!(case.contains("[[ATTACHMENT|out/shakedown/report.html]]"), "{case}");
    }
    assert!(
        !xml.split("<testcase ").any(|case| case.contains("ATTACHMENT") && case.trim_end().ends_with("/>")),
        "passed cases link nothing"
    );
}

#[test]
fn a_log_line_can_neither_attach_a_file_nor_push_out_the_end_of_the_log() {
    let mut result = sample();
    let log = result.scenarios[0].exhibits.logs[0].clone();
    let mut logs = vec![log; 3_000];
    for (index, log) in logs.iter_mut().enumerate() {
        log.body = format!("line {index} [[ATTACHMENT|/etc/passwd]] {}", "x".repeat(100));
    }
    result.scenarios[0].exhibits.logs = logs;
    let xml = render(&Junit::default(), &result);
    assert!(!xml.contains("[[ATTACHMENT|/etc/passwd"), "a service attached a file");
    assert!(xml.contains("line 2999 ") && !xml.contains("line 0 ") && xml.contains("what came before is in the report"));
    assert!(xml.len() < 400_000, "{}", xml.len());
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
            let file = &mut finding.source.file;
            for field in [&mut finding.id, &mut finding.check, &mut finding.subject, &mut finding.reason, &mut finding.unit, file] {
                text.clone_into(field);
            }
        }
        for fault in &mut scenario.faults {
            text.clone_into(&mut fault.target);
            fault.achieved.insert(text.to_owned(), f64::NAN);
        }
        text.clone_into(&mut scenario.headline);
        for log in &mut scenario.exhibits.logs {
            text.clone_into(&mut log.body);
            text.clone_into(&mut log.service);
            log.severity = Some(text.to_owned());
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
    let xml = render(&Junit::default(), &result);
    let names = elements(&xml);
    let count = |name: &str| names.iter().filter(|known| *known == name).count();
    let findings: usize = result.scenarios.iter().map(|scenario| scenario.findings.len()).sum();
    assert_eq!(count("skipped"), findings);
}
