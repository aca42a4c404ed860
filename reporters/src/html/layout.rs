//! Which files a report is made of: one that holds everything, or a page with style and script beside it; and what is too heavy for one page.

use super::{SCRIPT, STYLE, page, page::PageView};
use crate::{ReportError, markdown};
use minijinja::{Value, context, value::Serde};
use shakedown_model::result::RunResult;
use std::fmt::Write;

/// A page above this keeps browsers busy: what is heavy moves out of it.
const MOST: usize = 5_000_000;

/// How the report is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HtmlLayout {
    /// One file that holds everything.
    #[default]
    File,
    /// Style and script as files beside the page, for where inline ones are forbidden.
    Dir,
}

/// The page and the files that it needs.
#[derive(Debug, Clone)]
pub struct HtmlFiles {
    /// The page.
    pub page: String,
    /// Files beside it: path relative to the page's folder, and content.
    pub beside: Vec<(String, String)>,
    /// Size that the page would have had, where it was too large for one.
    pub moved_from: Option<usize>,
}

/// The report called `name`; what does not fit into it lies in `<stem>-files/`.
pub fn html_files(result: &RunResult, layout: HtmlLayout, name: &str) -> Result<HtmlFiles, ReportError> {
    files(result, layout, name, MOST)
}

/// The page alone, with everything in it.
pub(super) fn whole(result: &RunResult) -> Result<String, ReportError> {
    Ok(files(result, HtmlLayout::File, "report.html", usize::MAX)?.page)
}

fn files(result: &RunResult, layout: HtmlLayout, name: &str, most: usize) -> Result<HtmlFiles, ReportError> {
    let folder = folder(name);
    let view = PageView::of(result);
    let sides: Vec<String> = view.anchors().map(|anchor| format!("{anchor}.html")).collect();
    let view = Value::from(Serde(view));
    let fill = |template: &str, assets: &str, sides: Option<&[String]>, scenario: Value| {
        page(
            template,
            context! {
                page => view.clone(),
                scenario,
                side_pages => sides.map(|sides| sides.iter().map(|side| format!("{folder}{side}")).collect::<Vec<_>>()),
                back => address(name),
                assets => (layout == HtmlLayout::Dir).then_some(assets),
                markdown => markdown::text(result),
                script => Value::from_safe_string(SCRIPT.to_owned()),
            },
        )
    };
    let mut files = HtmlFiles { page: fill("report.html", &folder, None, Value::UNDEFINED)?, beside: Vec::new(), moved_from: None };
    if layout == HtmlLayout::Dir {
        files.beside.push((format!("{folder}report.css"), STYLE.to_owned()));
        files.beside.push((format!("{folder}report.js"), SCRIPT.to_owned()));
    }
    if files.page.len() > most {
        files.moved_from = Some(files.page.len());
        files.page = fill("report.html", &folder, Some(&sides), Value::UNDEFINED)?;
        let scenarios = view.get_attr("scenarios")?;
        for (index, side) in sides.iter().enumerate() {
            let content = fill("side.html", "", None, scenarios.get_item(&Value::from(index))?)?;
            files.beside.push((format!("{folder}{side}"), content));
        }
    }
    Ok(files)
}

/// Where the files beside `name` lie: a name that needs no quoting in an address.
fn folder(name: &str) -> String {
    let stem = name.strip_suffix(".html").unwrap_or(name);
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    format!("{}-files/", stem.chars().map(plain).collect::<String>())
}

/// A file's name as an address relative to its folder.
fn address(name: &str) -> String {
    let mut address = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            address.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(address, "%{byte:02X}");
        }
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> RunResult {
        serde_json::from_str(include_str!("../../tests/data/sample-result.json")).unwrap()
    }

    #[test]
    fn what_is_too_heavy_lies_on_a_page_for_each_scenario_and_the_report_links_to_them() {
        let files = files(&sample(), HtmlLayout::File, "out.html", 100_000).unwrap();
        let names: Vec<&str> = files.beside.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names[0], "out-files/s1-slow-payment.html");
        assert_eq!(names.len(), sample().scenarios.len());
        assert!(files.moved_from.is_some_and(|size| size > 100_000) && files.page.len() < 150_000, "{}", files.page.len());
        for (name, content) in &files.beside {
            assert!(files.page.contains(&format!("href=\"out-files&#x2f;{}\"", &name["out-files/".len()..])), "{name}");
            assert!(content.contains("<svg class=\"plot\"") && content.contains("href=\"../out.html#s"), "{name}");
        }
        assert!(!files.page.contains("<svg class=\"plot\""), "the charts have moved");
        assert!(files.page.contains("class=\"grid stack findings\""), "the findings have not");
    }

    #[test]
    fn a_directory_has_style_and_script_beside_the_page_and_none_in_it() {
        let files = html_files(&sample(), HtmlLayout::Dir, "report.html").unwrap();
        let names: Vec<&str> = files.beside.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["report-files/report.css", "report-files/report.js"]);
        assert!(!files.page.contains("<style") && !files.page.contains("style=") && !files.page.contains("<script>"));
        assert!(!files.page.contains("unsafe-inline"));
        assert!(files.moved_from.is_none());
    }

    #[test]
    fn one_file_is_what_the_reporter_prints() {
        let files = html_files(&sample(), HtmlLayout::File, "report.html").unwrap();
        assert!(files.beside.is_empty() && files.page == whole(&sample()).unwrap());
    }

    #[test]
    fn names_that_mean_something_in_an_address_do_not_there() {
        assert_eq!((folder("a #1?.html"), address("a #1?.html")), ("a--1--files/".to_owned(), "a%20%231%3F.html".to_owned()));
        assert_eq!((folder("plain"), address("ü")), ("plain-files/".to_owned(), "%C3%BC".to_owned()));
    }
}
