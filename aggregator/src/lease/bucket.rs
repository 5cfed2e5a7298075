//! The bucket of NATS that the records are in.

use async_nats::jetstream::Context;
use async_nats::jetstream::kv::{Config, Entry, Operation, Store, UpdateErrorKind};
use async_nats::jetstream::stream::StorageType;
use tokio::sync::Mutex;

use super::error::LeaseError;
use super::record::Record;

/// The name of the bucket. One that is there is taken as it is.
pub const BUCKET: &str = "weir_leases";

/// The records, by name.
#[derive(Debug)]
pub(super) struct Bucket {
    context: Context,
    /// Once it was found.
    store: Mutex<Option<Store>>,
}

/// What is there under a name.
#[derive(Debug)]
pub(super) struct Found(Option<Entry>);

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// It is there, at this revision.
    At(u64),
    /// It is not: there is another revision than the expected one.
    Superseded,
}

impl Bucket {
    pub(super) fn new(context: Context) -> Self {
        Self { context, store: Mutex::new(None) }
    }

    pub(super) async fn read(&self, name: &str) -> Result<Found, LeaseError> {
        let found = self.store().await?.entry(name).await;
        match found {
            Ok(entry) => Ok(Found(entry)),
            Err(error) => {
                self.forget().await;
                Err(LeaseError::Read(error))
            }
        }
    }

    /// Writes a record in the place of `revision`, 0 being none.
    pub(super) async fn write(
        &self,
        name: &str,
        record: &Record,
        revision: u64,
    ) -> Result<Written, LeaseError> {
        let json = serde_json::to_vec(record).expect("texts and numbers print as JSON");
        match self.store().await?.update(name, json.into(), revision).await {
            Ok(revision) => Ok(Written::At(revision)),
            Err(error) if error.kind() == UpdateErrorKind::WrongLastRevision => Ok(Written::Superseded),
            Err(error) => {
                self.forget().await;
                Err(LeaseError::Write(error))
            }
        }
    }

    async fn store(&self) -> Result<Store, LeaseError> {
        let mut store = self.store.lock().await;
        if let Some(store) = &*store {
            return Ok(store.clone());
        }
        let found = match self.context.get_key_value(BUCKET).await {
            Ok(found) => found,
            // Whatever it was: that it is not there, or that nothing is, which is said again.
            Err(_) => self.context.create_key_value(config()).await.map_err(LeaseError::Bucket)?,
        };
        Ok(store.insert(found).clone())
    }

    /// It may be gone: the next question looks for it anew.
    async fn forget(&self) {
        *self.store.lock().await = None;
    }
}

fn config() -> Config {
    Config {
        bucket: BUCKET.to_owned(),
        description: "who does what only one process may do".to_owned(),
        history: 1,
        storage: StorageType::File,
        ..Config::default()
    }
}

impl Found {
    /// 0 where there never was anything.
    pub(super) fn revision(&self) -> u64 {
        self.0.as_ref().map_or(0, |entry| entry.revision)
    }

    /// Whether something is there, even if it cannot be read.
    pub(super) fn is_something(&self) -> bool {
        self.0.as_ref().is_some_and(|entry| entry.operation == Operation::Put)
    }

    /// The record, if there is one that can be read.
    pub(super) fn record(&self) -> Option<Record> {
        let entry = self.0.as_ref().filter(|_| self.is_something())?;
        serde_json::from_slice(&entry.value).ok()
    }
}
