//! The door to files: the caller opens them, this room only reads what it is given.

use super::glob::Glob;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// Why a file cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// Nothing is there.
    #[error("it does not exist")]
    NotFound,
    /// A directory is there.
    #[error("it is a directory")]
    IsDirectory,
    /// It holds bytes that are not text.
    #[error("it is not UTF-8 text")]
    NotUtf8,
    /// Anything else, in the words of the operating system.
    #[error("{0}")]
    Other(String),
}

/// Where the texts come from. Paths are absolute where the path of the config is.
pub trait Files {
    /// The text of a file.
    fn read(&self, path: &Path) -> Result<String, FileError>;
    /// Whether a file or a directory is there.
    fn exists(&self, path: &Path) -> bool;
    /// The files below `root` whose path relative to it matches `pattern` (see [`Glob`]), sorted.
    fn glob(&self, root: &Path, pattern: &str) -> Vec<PathBuf>;
}

/// Files in memory.
impl Files for BTreeMap<PathBuf, String> {
    fn read(&self, path: &Path) -> Result<String, FileError> {
        match self.get(path) {
            Some(text) => Ok(text.clone()),
            None if self.keys().any(|file| file.starts_with(path)) => Err(FileError::IsDirectory),
            None => Err(FileError::NotFound),
        }
    }

    fn exists(&self, path: &Path) -> bool {
        self.keys().any(|file| file.starts_with(path))
    }

    fn glob(&self, root: &Path, pattern: &str) -> Vec<PathBuf> {
        let Ok(glob) = Glob::new(pattern) else {
            return Vec::new();
        };
        let inside = |file: &&PathBuf| file.strip_prefix(root).ok().and_then(Path::to_str).is_some_and(|path| glob.matches(path));
        self.keys().filter(inside).cloned().collect()
    }
}

/// Resolves `.` and `..` by the letters alone.
pub(crate) fn normalize(path: &Path) -> PathBuf {
    use std::path::Component;
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if matches!(clean.components().next_back(), Some(Component::Normal(_))) => {
                clean.pop();
            }
            Component::ParentDir if clean.has_root() => {}
            other => clean.push(other),
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_by_their_letters() {
        for (dirty, clean) in [("/a/./b/../c", "/a/c"), ("../x", "../x"), ("a/../../b", "../b"), ("/../a", "/a")] {
            assert_eq!(normalize(Path::new(dirty)), PathBuf::from(clean), "{dirty}");
        }
    }

    #[test]
    fn a_map_of_texts_is_a_small_disk() {
        let files = BTreeMap::from([(PathBuf::from("/r/a/b.yaml"), "x".to_owned())]);
        assert_eq!(files.read(Path::new("/r/a")), Err(FileError::IsDirectory));
        assert_eq!(files.read(Path::new("/r/c")), Err(FileError::NotFound));
        assert!(files.exists(Path::new("/r/a")));
        assert_eq!(files.glob(Path::new("/r"), "a/*.yaml"), [PathBuf::from("/r/a/b.yaml")]);
    }
}
