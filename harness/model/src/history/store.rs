//! `history.store` of the config: where records are kept, as a text.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::{fmt, path::PathBuf, str::FromStr};

/// `history`: where records are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistorySpec {
    /// The store.
    pub store: HistoryStore,
}

/// Where records are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HistoryStore {
    /// `.shakedown/history` beside the config.
    Directory,
    /// `refs/notes/shakedown` of the repository.
    GitNotes,
    /// A bucket that speaks S3.
    Bucket {
        /// Its name.
        bucket: String,
        /// What every key begins with; may be empty.
        prefix: String,
    },
    /// A folder that others may share; absolute.
    Folder(PathBuf),
}

/// A text that names no store. It does not repeat the text, which may hold a secret by mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StoreTextError {
    /// None of the forms.
    #[error("expected `directory`, `git-notes`, `s3://bucket/prefix` or `file:///folder`")]
    Form,
    /// `s3://key:secret@bucket`
    #[error("credentials have no place in a config: take them out, and set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment")]
    Credentials,
}

impl FromStr for HistoryStore {
    type Err = StoreTextError;
    fn from_str(text: &str) -> Result<HistoryStore, StoreTextError> {
        let plain = |part: &str| part.split('/').all(|step| step != ".." && step != ".") && !part.chars().any(char::is_control);
        match text {
            "directory" => return Ok(HistoryStore::Directory),
            "git-notes" => return Ok(HistoryStore::GitNotes),
            _ => {}
        }
        if let Some(path) = text.strip_prefix("file://") {
            let folder = path.trim_end_matches('/');
            return if path.starts_with('/') && !folder.is_empty() && plain(folder) {
                Ok(HistoryStore::Folder(PathBuf::from(folder)))
            } else {
                Err(StoreTextError::Form)
            };
        }
        let address = text.strip_prefix("s3://").ok_or(StoreTextError::Form)?;
        if address.contains(['@', '?', '#']) {
            return Err(StoreTextError::Credentials);
        }
        let (bucket, prefix) = address.split_once('/').unwrap_or((address, ""));
        let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_".contains(&byte);
        if !(3..=63).contains(&bucket.len()) || !bucket.bytes().all(letter) || !plain(prefix) {
            return Err(StoreTextError::Form);
        }
        Ok(HistoryStore::Bucket { bucket: bucket.to_owned(), prefix: prefix.trim_matches('/').to_owned() })
    }
}

impl fmt::Display for HistoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HistoryStore::Directory => f.write_str("directory"),
            HistoryStore::GitNotes => f.write_str("git-notes"),
            HistoryStore::Bucket { bucket, prefix } if prefix.is_empty() => write!(f, "s3://{bucket}"),
            HistoryStore::Bucket { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
            HistoryStore::Folder(path) => write!(f, "file://{}", path.display()),
        }
    }
}

impl Serialize for HistoryStore {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HistoryStore {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<HistoryStore, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_survives_the_way_to_text_and_back() {
        for text in ["directory", "git-notes", "s3://ci-history", "s3://ci-history/shop/main", "file:///srv/history"] {
            assert_eq!(text.parse::<HistoryStore>().unwrap().to_string(), text);
        }
        assert_eq!("s3://ci-history/".parse::<HistoryStore>().unwrap().to_string(), "s3://ci-history");
        for wrong in ["", "s3://", "s3://UPPER", "s3://ok/../x", "file://relative", "file:///", "file:///a/../b", "gs://b", "notes"] {
            assert_eq!(wrong.parse::<HistoryStore>(), Err(StoreTextError::Form), "{wrong}");
        }
    }

    #[test]
    fn a_secret_in_the_store_is_refused_and_not_repeated() {
        for text in ["s3://AKIA:hush@bucket", "s3://bucket/x?secret=hush"] {
            let error = text.parse::<HistoryStore>().unwrap_err();
            assert!(error == StoreTextError::Credentials && !error.to_string().contains("hush"), "{error}");
        }
    }
}
