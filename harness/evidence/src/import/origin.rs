//! Where telemetry is taken from: a file, a directory of files, or the address of a query API.

use super::query::Address;
use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    str::FromStr,
};

/// Most files of one directory, and how deep they may lie.
const FILES: usize = 10_000;
const DEPTH: usize = 8;

/// A source of telemetry, as a user names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A file, or a directory of files.
    Path(PathBuf),
    /// `http://…`
    Address(Address),
}

impl FromStr for Origin {
    type Err = String;

    fn from_str(text: &str) -> Result<Origin, String> {
        if text.contains("://") { text.parse().map(Origin::Address) } else { Ok(Origin::Path(text.into())) }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Path(path) => path.display().fmt(formatter),
            Origin::Address(address) => address.fmt(formatter),
        }
    }
}

/// Files of a path in the order of their names, and how many were too many. Only regular ones: a pipe or a device may never end.
pub(super) fn files(path: &Path) -> io::Result<(Vec<PathBuf>, u64)> {
    let metadata = fs::metadata(path)?;
    if metadata.is_file() {
        return Ok((vec![path.to_owned()], 0));
    }
    if !metadata.is_dir() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is neither a file nor a directory"));
    }
    let (mut found, mut over) = (Vec::new(), 0);
    walk(path, 0, &mut found, &mut over)?;
    found.sort();
    Ok((found, over))
}

fn walk(folder: &Path, depth: usize, found: &mut Vec<PathBuf>, over: &mut u64) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (kind, path) = (entry.file_type()?, entry.path());
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        if kind.is_dir() && depth < DEPTH && !hidden {
            walk(&path, depth + 1, found, over)?;
        } else if !hidden && fs::metadata(&path).is_ok_and(|metadata| metadata.is_file()) {
            if found.len() < FILES {
                found.push(path);
            } else {
                *over += 1;
            }
        }
    }
    Ok(())
}
