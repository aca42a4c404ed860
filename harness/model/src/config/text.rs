//! The text of one file, and places in it. Knows nothing of YAML.

use crate::experiment::Source;
use std::{
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The text of one file.
#[derive(Debug)]
pub(crate) struct Text {
    /// Path as the user would type it.
    pub(crate) shown: String,
    /// The directory that relative paths in it are meant from.
    pub(crate) dir: PathBuf,
    /// The content.
    pub(crate) content: String,
    line_starts: Vec<usize>,
}

impl Text {
    pub(crate) fn new(shown: String, path: &Path, content: String) -> Arc<Text> {
        let line_starts = std::iter::once(0).chain(content.match_indices('\n').map(|(at, _)| at + 1)).collect();
        let dir = path.parent().unwrap_or(Path::new("")).to_owned();
        Arc::new(Text { shown, dir, content, line_starts })
    }

    /// Index of the line that `offset` lies in, from 0.
    pub(crate) fn line_index(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= offset).saturating_sub(1)
    }

    /// Bytes of a line, without its end.
    pub(crate) fn line_range(&self, index: usize) -> Range<usize> {
        let start = self.line_starts.get(index).copied().unwrap_or(self.content.len());
        let end = self.line_starts.get(index + 1).map_or(self.content.len(), |next| next - 1);
        start..end.max(start)
    }

    /// A place in it. It is cut at the end of its first line: a caret under a whole block says nothing.
    pub(crate) fn spot(self: &Arc<Text>, range: Range<usize>) -> Spot {
        let start = self.floor(range.start);
        let line = self.line_range(self.line_index(start));
        let end = self.floor(range.end.clamp(start, line.end.max(start)));
        let trimmed = self.content[start..end].trim_end().len();
        Spot { text: Arc::clone(self), range: start..start + trimmed }
    }

    fn floor(&self, offset: usize) -> usize {
        let mut offset = offset.min(self.content.len());
        while !self.content.is_char_boundary(offset) {
            offset -= 1;
        }
        offset
    }
}

/// A place in a text.
#[derive(Debug, Clone)]
pub(crate) struct Spot {
    /// The text.
    pub(crate) text: Arc<Text>,
    /// Bytes, within one line.
    pub(crate) range: Range<usize>,
}

impl Spot {
    /// 1-based line and column; the column counts characters.
    pub(crate) fn position(&self) -> (u32, u32) {
        let index = self.text.line_index(self.range.start);
        let line = self.text.line_range(index);
        let before = self.text.content.get(line.start..self.range.start).unwrap_or_default();
        (index as u32 + 1, before.chars().count() as u32 + 1)
    }

    /// For reports.
    pub(crate) fn source(&self) -> Source {
        Source { file: self.text.shown.clone(), line: self.position().0 }
    }

    /// The text at the spot.
    pub(crate) fn slice(&self) -> &str {
        &self.text.content[self.range.clone()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spot_knows_its_line_and_its_column_in_characters() {
        let text = Text::new("f".to_owned(), Path::new("/f"), "a\nü: x\n".to_owned());
        let spot = text.spot(6..7);
        assert_eq!((spot.slice(), spot.position()), ("x", (2, 4)));
    }

    #[test]
    fn a_spot_over_many_lines_is_cut_at_the_first_and_never_splits_a_character() {
        let text = Text::new("f".to_owned(), Path::new("/f"), "one  \ntwo\nü".to_owned());
        assert_eq!(text.spot(0..9).slice(), "one");
        assert_eq!(text.spot(11..99).slice(), "ü");
        assert_eq!(text.spot(99..200).slice(), "");
    }
}
