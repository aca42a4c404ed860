//! Collects mistakes while files are read, so that all of them are told at once; and finds what was meant.

use super::{
    files::{FileError, Files},
    mistake::{Mistake, Mistakes, Severity},
    text::{Spot, Text},
};
use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::Arc,
};

/// More than this nobody reads.
const MOST: usize = 100;

/// More than this no file becomes when variables and inheritance are worked out.
const MOST_BYTES: usize = 64 << 20;

/// A config file larger than this is a mistake.
const LARGEST: usize = 1 << 20;

/// What was found wrong so far.
pub(crate) struct Problems {
    root: PathBuf,
    list: Vec<Mistake>,
    seen: HashSet<(String, usize, String)>,
    /// Takes what is told twice or beyond [`MOST`].
    bin: Mistake,
    spent: usize,
}

impl Problems {
    /// `root`: paths are shown relative to it.
    pub(crate) fn new(root: &Path) -> Problems {
        let bin = Mistake::of_file(String::new(), String::new());
        Problems { root: root.to_owned(), list: Vec::new(), seen: HashSet::new(), bin, spent: 0 }
    }

    /// As the user would type it.
    pub(crate) fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).display().to_string()
    }

    pub(crate) fn error(&mut self, spot: &Spot, message: impl Into<String>) -> &mut Mistake {
        self.push(Mistake::at(Severity::Error, spot, message.into()))
    }

    pub(crate) fn warn(&mut self, spot: &Spot, message: impl Into<String>) -> &mut Mistake {
        self.push(Mistake::at(Severity::Warning, spot, message.into()))
    }

    /// Tells something once, however many places it is true of.
    pub(crate) fn warn_once(&mut self, spot: &Spot, message: String) -> &mut Mistake {
        if self.seen.insert((String::new(), 0, message.clone())) {
            return self.warn(spot, message);
        }
        self.bin = Mistake::at(Severity::Warning, spot, message);
        &mut self.bin
    }

    /// Counts memory that variables and inheritance multiply. `false`: it is too much, which is told.
    pub(crate) fn spend(&mut self, bytes: usize, spot: &Spot) -> bool {
        self.spent = self.spent.saturating_add(bytes);
        if self.spent <= MOST_BYTES {
            return true;
        }
        let message = format!("variables, files of variables and `extends` make more than {} MiB of it", MOST_BYTES >> 20);
        self.error(spot, message).hint("say less, or say it in fewer places");
        false
    }

    fn push(&mut self, mistake: Mistake) -> &mut Mistake {
        let identity = (mistake.file.clone(), mistake.span.start, mistake.message.clone());
        // Room is kept for errors: a file with a hundred warnings must not hide one.
        let full = self.list.len() >= MOST && (mistake.severity == Severity::Warning || self.errors() >= MOST);
        if full || !self.seen.insert(identity) {
            self.bin = mistake;
            return &mut self.bin;
        }
        let index = self.list.len();
        self.list.push(mistake);
        &mut self.list[index]
    }

    /// How much was told so far.
    pub(crate) fn count(&self) -> usize {
        self.list.len()
    }

    /// The warnings that came after [`Self::count`] was asked, one line each.
    pub(crate) fn warnings_since(&self, count: usize) -> Vec<String> {
        let warnings = self.list.iter().skip(count).filter(|mistake| mistake.severity == Severity::Warning);
        warnings.map(Mistake::line_of_text).collect()
    }

    /// How many errors so far.
    pub(crate) fn errors(&self) -> usize {
        self.list.iter().filter(|mistake| mistake.severity == Severity::Error).count()
    }

    /// The warnings where nothing is wrong, else everything.
    pub(crate) fn finish(self) -> Result<Mistakes, Mistakes> {
        let errors = self.errors();
        let mut list = self.list;
        // As they stand in their files; the files in the order in which something was found in them.
        let mut files: Vec<String> = list.iter().map(|mistake| mistake.file.clone()).collect();
        let mut seen = HashSet::new();
        files.retain(|file| seen.insert(file.clone()));
        list.sort_by_key(|mistake| {
            let file = files.iter().position(|file| *file == mistake.file);
            (mistake.severity == Severity::Warning, file, mistake.span.start)
        });
        if errors == 0 { Ok(Mistakes(list)) } else { Err(Mistakes(list)) }
    }

    /// Reads a file; `at` is where the config names it.
    pub(crate) fn open(&mut self, path: &Path, files: &dyn Files, at: Option<&Spot>) -> Option<Arc<Text>> {
        let shown = self.shown(path);
        let error = match files.read(path) {
            Ok(content) if content.len() > LARGEST => FileError::Other(format!("it is larger than {} KiB", LARGEST / 1024)),
            Ok(content) => return Some(Text::new(shown, path, content)),
            Err(error) => error,
        };
        let message = format!("cannot read `{shown}`: {error}");
        match at {
            Some(spot) => self.error(spot, message),
            None => self.push(Mistake::of_file(shown.clone(), message)),
        };
        let first_file = at.is_none() && self.list.len() == 1;
        if let (true, Some(mistake)) = (first_file, self.list.last_mut()) {
            match error {
                FileError::NotFound => mistake.hint("`shakedown init` writes a first one; `--config FILE` names another"),
                FileError::IsDirectory => mistake.hint(format!("name the file in it: `--config {shown}/shakedown.yaml`")),
                FileError::NotUtf8 => mistake.hint("save it as UTF-8"),
                FileError::Other(_) => mistake,
            };
        }
        None
    }
}

/// The candidate that was most likely meant.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > 64 {
        return None;
    }
    let lower = word.to_lowercase();
    let reach = word.chars().count() / 3;
    let distance = |candidate: &str| match candidate.to_lowercase() {
        same if same == lower => 0,
        longer if lower.len() >= 3 && longer.starts_with(&lower) => 1,
        other => strsim::damerau_levenshtein(&lower, &other),
    };
    // Of thousands of names the first will do: hostile files must not cost time either.
    candidates
        .into_iter()
        .take(500)
        .filter(|candidate| candidate.len() <= 64)
        .map(|candidate| (distance(candidate), candidate))
        .filter(|(distance, _)| *distance <= reach)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// "did you mean", or what there is.
pub(crate) fn meant<'a>(word: &str, kind: &str, candidates: impl IntoIterator<Item = &'a str> + Clone) -> String {
    if let Some(candidate) = nearest(word, candidates.clone()) {
        return format!("did you mean `{candidate}`?");
    }
    let all: Vec<&str> = candidates.into_iter().take(41).collect();
    match all.len() {
        0 => format!("there are no {kind}"),
        41 => format!("{kind}: {}, …", all[..40].join(", ")),
        _ => format!("{kind}: {}", all.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_found_and_a_far_one_is_not() {
        assert_eq!(nearest("tolerence", ["tolerance", "harmful"]), Some("tolerance"));
        assert_eq!(nearest("P99", ["p90", "p99"]), Some("p99"));
        assert_eq!(nearest("alias", ["alms", "aliases"]), Some("aliases"));
        assert_eq!(nearest("c", ["a", "b"]), None, "of so short a word everything is near");
        assert_eq!(nearest("zebra", ["tolerance", "harmful"]), None);
        assert_eq!(meant("zebra", "services", ["a", "b"]), "services: a, b");
    }

    #[test]
    fn one_mistake_at_one_place_is_told_once_and_errors_come_first() {
        let text = Text::new("f".to_owned(), Path::new("/f"), "abc".to_owned());
        let mut problems = Problems::new(Path::new("/"));
        problems.warn(&text.spot(0..1), "odd");
        problems.error(&text.spot(1..2), "wrong");
        problems.error(&text.spot(1..2), "wrong");
        let mistakes = problems.finish().unwrap_err();
        let messages: Vec<&str> = mistakes.0.iter().map(|mistake| mistake.message.as_str()).collect();
        assert_eq!(messages, ["wrong", "odd"]);
    }

    #[test]
    fn a_flood_of_warnings_hides_no_error() {
        let text = Text::new("f".to_owned(), Path::new("/f"), "x".repeat(1000));
        let mut problems = Problems::new(Path::new("/"));
        for at in 0..500 {
            problems.warn(&text.spot(at..at + 1), "odd");
        }
        problems.error(&text.spot(900..901), "wrong");
        assert_eq!(problems.finish().unwrap_err().0[0].message, "wrong");
    }
}
