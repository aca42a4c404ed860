//! One thing that is wrong in a file, and how it is shown: message, place, caret, way out. Does not know what the files mean.

use super::text::{Spot, Text};
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use std::{fmt, ops::Range, sync::Arc};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Severity {
    /// Nothing runs.
    Error,
    /// It runs, but not all of the file has an effect.
    Warning,
}

/// One thing that is wrong.
#[derive(Debug, Clone)]
pub struct Mistake {
    /// Path as the user would type it.
    pub file: String,
    /// 1-based; 0: the file as a whole.
    pub line: u32,
    /// 1-based, in characters; 0: the file as a whole.
    pub column: u32,
    /// Bytes of the file.
    pub span: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// The way out.
    pub hint: Option<String>,
    /// How bad it is.
    pub severity: Severity,
    /// Other places that belong to it.
    pub also: Vec<Related>,
    text: Option<Arc<Text>>,
}

/// Another place that belongs to a mistake.
#[derive(Debug, Clone)]
pub struct Related {
    /// Path as the user would type it.
    pub file: String,
    /// Bytes of the file.
    pub span: Range<usize>,
    /// What stands there.
    pub label: String,
    text: Arc<Text>,
}

impl Mistake {
    pub(crate) fn at(severity: Severity, spot: &Spot, message: String) -> Mistake {
        let (line, column) = spot.position();
        let (file, span, text) = (spot.text.shown.clone(), spot.range.clone(), Some(Arc::clone(&spot.text)));
        let message = cut(message);
        Mistake { file, line, column, span, message, hint: None, severity, also: Vec::new(), text }
    }

    pub(crate) fn of_file(file: String, message: String) -> Mistake {
        Mistake { file, line: 0, column: 0, span: 0..0, message, hint: None, severity: Severity::Error, also: Vec::new(), text: None }
    }

    /// Adds the way out.
    pub(crate) fn hint(&mut self, hint: impl Into<String>) -> &mut Mistake {
        self.hint = Some(cut(hint.into()));
        self
    }

    /// Adds another place.
    pub(crate) fn also(&mut self, spot: &Spot, label: impl Into<String>) -> &mut Mistake {
        let (file, span, text) = (spot.text.shown.clone(), spot.range.clone(), Arc::clone(&spot.text));
        self.also.push(Related { file, span, label: label.into(), text });
        self
    }

    /// `file:line:column: message (hint)`, on one line.
    pub fn line_of_text(&self) -> String {
        let hint = self.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
        match self.line {
            0 => format!("{}: {}{hint}", self.file, self.message),
            line => format!("{}:{line}:{}: {}{hint}", self.file, self.column, self.message),
        }
    }

    fn render(&self, renderer: &Renderer) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut group = Group::with_title(level.primary_title(self.message.as_str()));
        match &self.text {
            None => group = group.element(Origin::path(self.file.as_str())),
            Some(text) => {
                let (here, elsewhere): (Vec<_>, Vec<_>) = self.also.iter().partition(|also| Arc::ptr_eq(&also.text, text));
                let mut marks = vec![(AnnotationKind::Primary, &self.span, "")];
                marks.extend(here.iter().map(|also| (AnnotationKind::Context, &also.span, also.label.as_str())));
                group = group.element(snippet(text, &marks));
                for also in elsewhere {
                    group = group.element(snippet(&also.text, &[(AnnotationKind::Context, &also.span, also.label.as_str())]));
                }
            }
        }
        if let Some(hint) = &self.hint {
            group = group.element(Level::HELP.message(hint.as_str()));
        }
        renderer.render(&[group])
    }
}

/// A message may quote the file: nobody reads a megabyte of it.
fn cut(mut text: String) -> String {
    const LONGEST: usize = 600;
    if text.len() > LONGEST {
        let end = (0..=LONGEST).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

type Mark<'a> = (AnnotationKind, &'a Range<usize>, &'a str);

/// Lines longer than this in total are not printed: a config on one line of a megabyte would flood the terminal.
const WIDEST: usize = 64 * 1024;

/// The lines that the marks touch, and no more: a renderer that is given the whole file for every mistake is slow on hostile input.
fn snippet<'a>(text: &'a Text, marks: &[Mark<'a>]) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    let lines = marks.iter().map(|(_, span, _)| text.line_index(span.start));
    let first = lines.clone().min().unwrap_or(0);
    let last = lines.max().unwrap_or(first);
    let window = text.line_range(first).start..text.line_range(last).end;
    let content = if window.len() > WIDEST { "" } else { &text.content[window.clone()] };
    let mut snippet = Snippet::source(content).line_start(first + 1).path(text.shown.as_str()).fold(true);
    for (kind, span, label) in marks {
        let clamp = |offset: usize| offset.saturating_sub(window.start).min(content.len());
        let annotation = kind.span(clamp(span.start)..clamp(span.end));
        snippet = snippet.annotation(if label.is_empty() { annotation } else { annotation.label(*label) });
    }
    snippet
}

/// Everything that is wrong, errors and warnings, in the order of the files.
#[derive(Debug, Clone, Default)]
pub struct Mistakes(pub Vec<Mistake>);

impl Mistakes {
    /// As a compiler prints it: message, `file:line:column`, the line with a caret, help.
    pub fn render(&self, color: bool) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let shown: Vec<String> = self.0.iter().map(|mistake| mistake.render(&renderer)).collect();
        shown.join("\n\n")
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many of them are errors.
    pub fn errors(&self) -> usize {
        self.0.iter().filter(|mistake| mistake.severity == Severity::Error).count()
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Mistakes {}
