//! Adds to the XML of `junit-report` what that crate cannot write: totals on the root, real lengths, skipped counts and properties of suites,
//! attributes and properties of cases.
//! Rewrites events one by one; it knows no scenario and no finding.

use crate::ReportError;
use quick_xml::{
    Reader, Writer,
    events::{BytesEnd, BytesStart, Event},
};

/// What is added to one suite.
pub(super) struct SuiteExtras {
    /// How long it took.
    pub(super) milliseconds: i64,
    /// Name and value, plain text.
    pub(super) properties: Vec<(String, String)>,
    /// What is added to its cases, in their order; those behind the last get nothing.
    pub(super) cases: Vec<CaseExtras>,
}

/// What is added to one case.
pub(super) struct CaseExtras {
    /// Name and value, plain text.
    pub(super) attributes: Vec<(&'static str, String)>,
    /// The same.
    pub(super) properties: Vec<(String, String)>,
}

/// Totals of a suite or of the root.
#[derive(Default, Clone, Copy)]
struct Totals {
    tests: u64,
    failures: u64,
    errors: u64,
    skipped: u64,
}

/// `xml` with `extras`, one for each suite in order.
pub(super) fn enrich(xml: &[u8], extras: &[SuiteExtras]) -> Result<Vec<u8>, ReportError> {
    let text = std::str::from_utf8(xml).map_err(|error| ReportError::Junit(error.to_string()))?;
    let suites = count(text)?;
    let mut reader = Reader::from_str(text);
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 1);
    let mut index = 0;
    let mut cases = [].iter();
    loop {
        match reader.read_event().map_err(wrong)? {
            Event::Eof => break,
            Event::Start(start) if is_case(&start) => match cases.next() {
                Some(extra) => write_case(&mut writer, start, extra)?,
                None => writer.write_event(Event::Start(start))?,
            },
            Event::Empty(start) if is_case(&start) => match cases.next() {
                Some(extra) => {
                    write_case(&mut writer, start, extra)?;
                    writer.write_event(Event::End(BytesEnd::new("testcase")))?;
                }
                None => writer.write_event(Event::Empty(start))?,
            },
            Event::Start(start) if start.name().as_ref() == b"testsuites" => {
                writer.write_event(Event::Start(root(&suites, extras)))?;
            }
            Event::Start(start) if start.name().as_ref() == b"testsuite" => {
                if let (Some(extra), Some(totals)) = (extras.get(index), suites.get(index)) {
                    writer.write_event(Event::Start(suite(&start, extra, *totals)?))?;
                    write_properties(&mut writer, &extra.properties)?;
                    cases = extra.cases.iter();
                } else {
                    return Err(ReportError::Junit(format!("suite {index} has no counterpart")));
                }
                index += 1;
            }
            event => writer.write_event(event)?,
        }
    }
    let mut bytes = writer.into_inner();
    bytes.push(b'\n');
    Ok(bytes)
}

fn wrong(error: impl std::fmt::Display) -> ReportError {
    ReportError::Junit(error.to_string())
}

/// Totals of each suite, counted from its cases.
fn count(text: &str) -> Result<Vec<Totals>, ReportError> {
    let mut reader = Reader::from_str(text);
    let mut suites: Vec<Totals> = Vec::new();
    loop {
        let start = match reader.read_event().map_err(wrong)? {
            Event::Eof => return Ok(suites),
            Event::Start(start) | Event::Empty(start) => start,
            _ => continue,
        };
        if start.name().as_ref() == b"testsuite" {
            suites.push(Totals::default());
        }
        let Some(suite) = suites.last_mut() else { continue };
        match start.name().as_ref() {
            b"testcase" => suite.tests += 1,
            b"failure" => suite.failures += 1,
            b"error" => suite.errors += 1,
            b"skipped" => suite.skipped += 1,
            _ => {}
        }
    }
}

fn root(suites: &[Totals], extras: &[SuiteExtras]) -> BytesStart<'static> {
    let sum = |figure: fn(&Totals) -> u64| suites.iter().map(figure).sum::<u64>().to_string();
    let mut root = BytesStart::new("testsuites");
    root.push_attribute(("name", "shakedown"));
    root.push_attribute(("tests", sum(|suite| suite.tests).as_str()));
    root.push_attribute(("failures", sum(|suite| suite.failures).as_str()));
    root.push_attribute(("errors", sum(|suite| suite.errors).as_str()));
    root.push_attribute(("time", seconds(extras.iter().map(|extra| extra.milliseconds).sum()).as_str()));
    root
}

fn suite(start: &BytesStart<'_>, extra: &SuiteExtras, totals: Totals) -> Result<BytesStart<'static>, ReportError> {
    let mut suite = BytesStart::new("testsuite");
    for attribute in start.attributes() {
        let attribute = attribute.map_err(wrong)?;
        if attribute.key.as_ref() != b"time" {
            suite.push_attribute(attribute);
        }
    }
    suite.push_attribute(("skipped", totals.skipped.to_string().as_str()));
    suite.push_attribute(("time", seconds(extra.milliseconds).as_str()));
    Ok(suite.into_owned())
}

fn is_case(start: &BytesStart<'_>) -> bool {
    start.name().as_ref() == b"testcase"
}

/// The beginning of a case, with its properties as its first child.
fn write_case(writer: &mut Writer<Vec<u8>>, mut start: BytesStart<'_>, extra: &CaseExtras) -> Result<(), ReportError> {
    for (name, value) in &extra.attributes {
        start.push_attribute((*name, value.as_str()));
    }
    writer.write_event(Event::Start(start))?;
    write_properties(writer, &extra.properties)
}

fn write_properties(writer: &mut Writer<Vec<u8>>, properties: &[(String, String)]) -> Result<(), ReportError> {
    writer.create_element("properties").write_inner_content(|writer| {
        for (name, value) in properties {
            writer.create_element("property").with_attributes([("name", name.as_str()), ("value", value.as_str())]).write_empty()?;
        }
        Ok(())
    })?;
    Ok(())
}

/// The schema allows at most three digits behind the point.
fn seconds(milliseconds: i64) -> String {
    format!("{}.{:03}", milliseconds / 1_000, milliseconds % 1_000)
}
