//! The disk, as the config language sees it.

use shakedown_model::config::{FileError, Files, Glob};
use std::{
    collections::BTreeMap,
    io::ErrorKind,
    path::{Path, PathBuf},
};

/// Larger than any config; a larger file is a mistake or an attack.
const MAX_BYTES: u64 = 8 << 20;
/// Deeper than any repository.
const MAX_DEPTH: usize = 32;

/// The disk.
pub(crate) struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path) -> Result<String, FileError> {
        let other = |error: std::io::Error| match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => FileError::NotFound,
            _ => FileError::Other(error.to_string()),
        };
        let metadata = std::fs::metadata(path).map_err(other)?;
        if metadata.is_dir() {
            return Err(FileError::IsDirectory);
        }
        if !metadata.is_file() {
            return Err(FileError::Other("it is not a regular file".to_owned()));
        }
        if metadata.len() > MAX_BYTES {
            return Err(FileError::Other(format!("it is larger than {} MiB", MAX_BYTES >> 20)));
        }
        String::from_utf8(std::fs::read(path).map_err(other)?).map_err(|_| FileError::NotUtf8)
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    fn glob(&self, root: &Path, pattern: &str) -> Vec<PathBuf> {
        let Ok(glob) = Glob::new(pattern) else { return Vec::new() };
        let mut found = Vec::new();
        // Only the part of the tree that the pattern's fixed beginning names is walked.
        let fixed: PathBuf = pattern.split('/').take_while(|part| !part.contains(['*', '?', '[', '{'])).collect();
        walk(&root.join(if fixed.as_os_str() == pattern { PathBuf::new() } else { fixed }), 0, &mut |file| {
            if file.strip_prefix(root).ok().and_then(Path::to_str).is_some_and(|path| glob.matches(path)) {
                found.push(file.to_owned());
            }
        });
        found.sort();
        found
    }
}

fn walk(folder: &Path, depth: usize, visit: &mut impl FnMut(&Path)) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() && depth < MAX_DEPTH && name != ".git" && name != "node_modules" && name != "target" {
            walk(&entry.path(), depth + 1, visit);
        } else if kind.is_file() {
            visit(&entry.path());
        }
    }
}

/// The environment as the compose format interpolates it; what is not UTF-8 cannot be named in a file.
pub(crate) fn environment() -> BTreeMap<String, String> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))).collect()
}
