//! The senders file: who may push what, read again when it changes.
//!
//! A file that turns bad is no reason to turn senders away, nor to let them all in: the tokens from before count on, an
//! error is logged once, and a metric says so until the file is good. At the start there is nothing from before, so there
//! a bad file is an error.

use std::convert::Infallible;
use std::fs;
use std::io;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde::de::IgnoredAny;
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tokio::time::sleep;
use weir_event::{Source, Timestamp};
use weir_service::auth::{BearerTokens, TokenError};
use weir_service::config::{ByteSize, Value};
use weir_service::lifecycle::Shutdown;
use weir_service::telemetry::chain;

use super::allowance::{Allowance, Rates};
use super::senders::{Grant, Reach, Senders};
use crate::metrics::IngestMetrics;

/// How often the file is looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);

/// The sources that a token may be for.
const SOURCES: [Source; 2] = [Source::Logpush, Source::Http];

/// A senders file, and what was in it when it was read last.
#[derive(Clone, Debug)]
pub struct SendersFile {
    path: PathBuf,
    /// The tokens that do not come from it.
    listed: BearerTokens,
    seen: Option<[u8; 32]>,
}

/// Why a senders file cannot be used. No message repeats a token.
#[derive(Debug, thiserror::Error)]
pub enum SendersFileError {
    /// It cannot be read.
    #[error("senders file")]
    Unreadable(#[from] io::Error),
    /// It is not TOML, or has other keys or values than a senders file has.
    #[error("line {line}: {reason}")]
    Toml {
        /// Where, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// Everything that is wrong with its tokens.
    #[error("{}", .0.join("; "))]
    Tokens(Vec<String>),
    /// It has no token, and there is none elsewhere.
    #[error("has no token, so nobody could push")]
    Empty,
}

/// What is wrong with a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum EntryError {
    #[error(
        "a token in plain text is not taken: put the hex digits of `printf %s \"$TOKEN\" | sha256sum` into sha256"
    )]
    Plain,
    #[error("there is no sha256")]
    NoDigest,
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error(
        "accounts is not a list of account or account/gateway, such as [\"acme\", \"acme/prod-*\", \"*\"]"
    )]
    Accounts,
    #[error("sources is not a list of logpush and http")]
    Sources,
    #[error("not_after is not a time such as 2027-01-31T00:00:00Z")]
    NotAfter,
    #[error("bytes_per_second is not a number above 0, or a size such as 1MiB")]
    BytesPerSecond,
    #[error("another token of this label has other rates")]
    Rates,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    token: Option<Vec<Entry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    label: String,
    sha256: Option<String>,
    /// Only to say that it does not belong here.
    token: Option<IgnoredAny>,
    accounts: Vec<String>,
    sources: Vec<String>,
    not_after: Option<toml::Value>,
    records_per_second: Option<NonZeroU64>,
    bytes_per_second: Option<toml::Value>,
}

impl SendersFile {
    /// The file at `path`, beside the tokens of the list. It is not read yet.
    #[must_use]
    pub const fn new(path: PathBuf, listed: BearerTokens) -> Self {
        Self { path, listed, seen: None }
    }

    /// Reads it for the first time.
    pub fn open(&mut self) -> Result<Senders, SendersFileError> {
        let text = fs::read_to_string(&self.path)?;
        let senders = self.take_in(&text, &Senders::default())?;
        senders.ok_or(SendersFileError::Empty)
    }

    /// Reads it again and again until the process stops, and tells who may push whenever that changes.
    pub(crate) async fn watch(
        mut self,
        senders: watch::Sender<Arc<Senders>>,
        metrics: IngestMetrics,
        shutdown: Shutdown,
    ) -> Result<(), Infallible> {
        let mut told = None;
        while shutdown.hard_stop().run_until_cancelled(sleep(LOOK_INTERVAL)).await.is_some() {
            let before = Arc::clone(&senders.borrow());
            let read = tokio::fs::read_to_string(&self.path).await.map_err(SendersFileError::from);
            match read.and_then(|text| self.take_in(&text, &before)) {
                Ok(None) if told.is_none() => continue,
                Ok(changed) => {
                    let now = changed.map_or(before, Arc::new);
                    tracing::info!(tokens = now.len(), "the senders file was read again");
                    senders.send_replace(now);
                    told = None;
                }
                Err(error) => {
                    let reason = chain(&error);
                    if told.as_ref() != Some(&reason) {
                        tracing::error!(
                            reason,
                            "the senders file cannot be used; the tokens from before count on"
                        );
                    }
                    told = Some(reason);
                }
            }
            metrics.senders_file_is_stale(told.is_some());
        }
        Ok(())
    }

    /// The senders that `text` makes of those before; `None` if it is what was taken in last.
    fn take_in(&mut self, text: &str, before: &Senders) -> Result<Option<Senders>, SendersFileError> {
        let digest: [u8; 32] = Sha256::digest(text).into();
        if self.seen == Some(digest) {
            return Ok(None);
        }
        let senders = self.senders(text, before)?;
        self.seen = Some(digest);
        Ok(Some(senders))
    }

    fn senders(&self, text: &str, before: &Senders) -> Result<Senders, SendersFileError> {
        let document: Document = toml::from_str(text).map_err(|error| {
            // The error as it prints itself would show a line of the file.
            let start = error.span().map_or(0, |span| span.start);
            let line = text[..start].matches('\n').count() + 1;
            SendersFileError::Toml { line, reason: error.message().to_owned() }
        })?;
        let mut senders = Senders::of_list(self.listed.clone());
        let mut problems = Vec::new();
        for (number, entry) in (1..).zip(document.token.unwrap_or_default()) {
            let label = entry.label.clone();
            match senders.clone().with(entry, before) {
                Ok(more) => senders = more,
                Err(error) => problems.push(format!("token {number} ({label}): {error}")),
            }
        }
        if !problems.is_empty() {
            return Err(SendersFileError::Tokens(problems));
        }
        if senders.is_empty() { Err(SendersFileError::Empty) } else { Ok(senders) }
    }
}

impl Entry {
    fn sources(&self) -> Result<Vec<Source>, EntryError> {
        let known = |name: &String| SOURCES.into_iter().find(|source| source.as_str() == name);
        let sources: Option<Vec<_>> = self.sources.iter().map(known).collect();
        sources.filter(|sources| !sources.is_empty()).ok_or(EntryError::Sources)
    }

    fn reach(&self) -> Result<Vec<Reach>, EntryError> {
        let reach: Option<Vec<_>> = self.accounts.iter().map(|text| Reach::read(text)).collect();
        reach.filter(|reach| !reach.is_empty()).ok_or(EntryError::Accounts)
    }

    /// TOML has times of its own; a text is as good.
    fn not_after(&self) -> Result<Option<Timestamp>, EntryError> {
        let text = match &self.not_after {
            None => return Ok(None),
            Some(toml::Value::String(text)) => text.clone(),
            Some(toml::Value::Datetime(time)) => time.to_string(),
            Some(_) => return Err(EntryError::NotAfter),
        };
        text.parse().map(Some).map_err(|_| EntryError::NotAfter)
    }

    fn rates(&self) -> Result<Rates, EntryError> {
        let bytes = match &self.bytes_per_second {
            None => None,
            Some(toml::Value::Integer(number)) => Some(u64::try_from(*number).unwrap_or_default()),
            Some(toml::Value::String(text)) => Some(ByteSize::from_text(text).unwrap_or_default().bytes()),
            Some(_) => Some(0),
        };
        let bytes =
            bytes.map(|bytes| NonZeroU64::new(bytes).ok_or(EntryError::BytesPerSecond)).transpose()?;
        Ok(Rates { records: self.records_per_second, bytes })
    }
}

impl Senders {
    /// The same and the one of an entry. What a sender owes from before it still owes.
    fn with(self, entry: Entry, before: &Self) -> Result<Self, EntryError> {
        let rates = entry.rates()?;
        let grant = Grant {
            reach: entry.reach()?,
            sources: entry.sources()?,
            not_after: entry.not_after()?,
            allowance: match self.allowance_of(&entry.label) {
                Some(shared) if shared.rates() == rates => shared,
                Some(_) => return Err(EntryError::Rates),
                None => {
                    let kept = before.allowance_of(&entry.label).filter(|kept| kept.rates() == rates);
                    kept.unwrap_or_else(|| Arc::new(Allowance::new(rates)))
                }
            },
        };
        match (entry.token, entry.sha256) {
            (Some(_), _) => Err(EntryError::Plain),
            (None, None) => Err(EntryError::NoDigest),
            (None, Some(sha256)) => Ok(self.and(&entry.label, &sha256, grant)?),
        }
    }
}

#[cfg(test)]
mod tests;
