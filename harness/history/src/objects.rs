//! Records as objects of a bucket or files of a folder: one each, under a name that nobody else chooses, so that writers need no lock.

use crate::store::{HistoryError, MAX_RECORD_BYTES};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use object_store::{
    ClientOptions, ObjectMeta, ObjectStore, ObjectStoreExt as _, PutPayload, RetryConfig, aws::AmazonS3Builder, local::LocalFileSystem,
    path::Path as Key,
};
use shakedown_model::history::{HistoryRecord, HistoryStore};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// Records that are read: the latest.
const MOST: usize = 2000;
/// Objects that are asked for at once.
const AT_ONCE: usize = 16;
/// All of one command's dealings with a store.
const PATIENCE: Duration = Duration::from_secs(60);
/// Of what these hold nothing is ever printed.
const SECRETS: [&str; 3] = ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID"];

/// A bucket or a folder.
#[derive(Debug)]
pub(crate) struct Objects {
    /// As the config writes it.
    name: String,
    place: Place,
    prefix: Key,
}

#[derive(Debug)]
enum Place {
    /// Made when the first record is kept.
    Folder(PathBuf),
    Bucket(Arc<dyn ObjectStore>),
}

impl Objects {
    pub(crate) fn folder(store: &HistoryStore, folder: &Path) -> Objects {
        Objects { name: store.to_string(), place: Place::Folder(folder.to_owned()), prefix: Key::default() }
    }

    /// Region, endpoint and credentials come from the environment (`AWS_…`) and from nowhere else.
    pub(crate) fn bucket(store: &HistoryStore, bucket: &str, prefix: &str) -> Result<Objects, HistoryError> {
        // Fails where another one is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let retry = RetryConfig { max_retries: 3, retry_timeout: Duration::from_secs(20), ..RetryConfig::default() };
        let http = std::env::var("AWS_ENDPOINT_URL").or_else(|_| std::env::var("AWS_ENDPOINT")).is_ok_and(|url| url.starts_with("http://"));
        let client =
            ClientOptions::new().with_allow_http(http).with_timeout(Duration::from_secs(20)).with_connect_timeout(Duration::from_secs(5));
        let built = AmazonS3Builder::from_env().with_bucket_name(bucket).with_retry(retry).with_client_options(client).build();
        let name = store.to_string();
        match built {
            Ok(bucket) => Ok(Objects { name, place: Place::Bucket(Arc::new(bucket)), prefix: Key::from(prefix) }),
            Err(error) => Err(HistoryError::Store { store: name, why: without_secrets(&error.to_string()) }),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Keeps a record under its time, run and commit: the same record twice is one object.
    pub(crate) async fn put(&self, record: &HistoryRecord, line: String) -> Result<(), HistoryError> {
        if let Place::Folder(folder) = &self.place {
            std::fs::create_dir_all(folder).map_err(|error| self.failed(&error))?;
        }
        let run: String = record.run.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(64).collect();
        let commit = record.commit.get(..12).unwrap_or(&record.commit);
        let key = self.prefix.clone().join(format!("{:020}-{run}-{commit}.json", record.time.0));
        let store = self.store()?;
        self.patiently(store.put(&key, PutPayload::from(line + "\n"))).await.map(|_| ())
    }

    /// The latest records, each as bytes; `None`: too large to be one.
    pub(crate) async fn latest(&self) -> Result<Vec<Option<Vec<u8>>>, HistoryError> {
        if matches!(&self.place, Place::Folder(folder) if !folder.exists()) {
            return Ok(Vec::new());
        }
        let store = self.store()?;
        let is_record = |meta: &ObjectMeta| meta.location.extension() == Some("json");
        let reading = async {
            let prefix = Some(&self.prefix).filter(|prefix| !prefix.as_ref().is_empty());
            let mut found: Vec<ObjectMeta> =
                store.list(prefix).try_filter(|meta| std::future::ready(is_record(meta))).try_collect().await?;
            // Names begin with the time.
            found.sort_by(|a, b| b.location.filename().cmp(&a.location.filename()));
            found.truncate(MOST);
            let one = |meta: ObjectMeta| {
                let store = Arc::clone(&store);
                async move {
                    if meta.size > MAX_RECORD_BYTES as u64 {
                        return Ok(None);
                    }
                    Ok(Some(store.get(&meta.location).await?.bytes().await?.to_vec()))
                }
            };
            stream::iter(found).map(one).buffered(AT_ONCE).try_collect().await
        };
        self.patiently(reading).await
    }

    fn store(&self) -> Result<Arc<dyn ObjectStore>, HistoryError> {
        match &self.place {
            Place::Bucket(store) => Ok(Arc::clone(store)),
            Place::Folder(folder) => Ok(Arc::new(LocalFileSystem::new_with_prefix(folder).map_err(|error| self.failed(&error))?)),
        }
    }

    async fn patiently<T>(&self, work: impl Future<Output = object_store::Result<T>>) -> Result<T, HistoryError> {
        match tokio::time::timeout(PATIENCE, work).await {
            Ok(answer) => answer.map_err(|error| self.failed(&error)),
            Err(_) => Err(self.failed(&format!("no answer within {} s", PATIENCE.as_secs()))),
        }
    }

    fn failed(&self, error: &dyn std::fmt::Display) -> HistoryError {
        HistoryError::Store { store: self.name.clone(), why: without_secrets(&error.to_string()) }
    }
}

/// An error of a client may quote a request, and what a server answered: one line of it, without what the environment keeps secret.
fn without_secrets(text: &str) -> String {
    let held = SECRETS.iter().filter_map(|name| std::env::var(name).ok()).filter(|value| value.len() >= 4);
    let text = held.fold(text.to_owned(), |text, secret| text.replace(&secret, "***"));
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(400).collect()
}
