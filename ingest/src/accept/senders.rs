//! Who may push, what, and how much of it.
//!
//! A token of the list `ingest.tokens` may push everything. One of the senders file may push what its entry says, from the
//! sources that it says, until it expires. Several tokens may have one label: they are one sender's, whose rates they
//! share, so that a token can be replaced while both are valid.

use std::sync::Arc;
use std::time::{Duration, Instant};

use weir_event::{AccountId, GatewayId, Scope, Source, Timestamp};
use weir_service::auth::{AuthError, BearerTokens, TokenError};

use super::allowance::Allowance;
use super::{Chunk, Origin};
use crate::glob::Glob;
use crate::pipeline::Batch;

/// Everyone who may push.
#[derive(Clone, Debug, Default)]
pub struct Senders {
    tokens: BearerTokens,
    /// Those of the last tokens, in their order. The tokens before them may push everything.
    grants: Vec<Grant>,
}

/// What the holder of a token may push.
#[derive(Clone, Debug)]
pub(super) struct Grant {
    pub(super) reach: Vec<Reach>,
    pub(super) sources: Vec<Source>,
    /// The last moment at which the token is good.
    pub(super) not_after: Option<Timestamp>,
    pub(super) allowance: Arc<Allowance>,
}

/// Accounts whose events may be pushed, and the gateways of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reach {
    account: Glob,
    gateway: Glob,
}

/// A sender that is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sender<'s> {
    /// For the log.
    pub(super) label: &'s str,
    /// `None` if it may push everything.
    grant: Option<&'s Grant>,
}

/// On what terms a push is taken.
#[derive(Clone, Debug, Default)]
pub(super) struct Terms {
    /// Whether its records may be of no other gateway than the path names.
    is_bound: bool,
    /// What its sender is kept to.
    allowance: Option<Arc<Allowance>>,
}

/// Why a sender is not known. Every variant is an HTTP 401.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum UnknownSender {
    #[error(transparent)]
    Auth(#[from] AuthError),
    #[error("the bearer token has expired")]
    Expired,
}

/// What a sender may not do: an HTTP 403. No message says what it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// Push to this door.
    #[error("this token may not push here")]
    Source,
    /// Push for what the path names.
    #[error("this token may not push for this account and gateway")]
    Gateway,
    /// Push the records of every gateway.
    #[error("this token may not push for a whole account")]
    WholeAccount,
    /// Push a record that names a gateway of its own.
    #[error("a record names another gateway than the path, and this token may push for that one alone")]
    Record,
}

impl Senders {
    /// The holders of these tokens may push everything.
    #[must_use]
    pub const fn of_list(tokens: BearerTokens) -> Self {
        Self { tokens, grants: Vec::new() }
    }

    /// The same and the holder of one more token, known by its SHA-256 in hex.
    pub(super) fn and(self, label: &str, sha256: &str, grant: Grant) -> Result<Self, TokenError> {
        let Self { tokens, mut grants } = self;
        let tokens = tokens.with_digest(label, sha256)?;
        grants.push(grant);
        Ok(Self { tokens, grants })
    }

    /// How many tokens there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether nobody may push.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// Finds the sender by the value of an `Authorization` header.
    pub(super) fn sender(
        &self,
        authorization: Option<&str>,
        now_ms: i64,
    ) -> Result<Sender<'_>, UnknownSender> {
        let caller = self.tokens.authenticate(authorization)?;
        let listed = self.tokens.len() - self.grants.len();
        let grant = caller.index.checked_sub(listed).and_then(|index| self.grants.get(index));
        let end = grant.and_then(|grant| grant.not_after);
        if end.is_some_and(|end| now_ms > end.millis()) {
            return Err(UnknownSender::Expired);
        }
        Ok(Sender { label: caller.label, grant })
    }

    /// What keeps the sender of a label to its rates.
    pub(super) fn allowance_of(&self, label: &str) -> Option<Arc<Allowance>> {
        let labels = self.tokens.labels().skip(self.tokens.len() - self.grants.len());
        let (_, grant) = labels.zip(&self.grants).find(|(known, _)| *known == label)?;
        Some(Arc::clone(&grant.allowance))
    }
}

impl Sender<'_> {
    /// The terms of a push to a path, if it may push there.
    pub(super) fn terms(
        &self,
        source: Source,
        account: &AccountId,
        gateway: Option<&GatewayId>,
    ) -> Result<Terms, Forbidden> {
        let Some(grant) = self.grant else {
            return Ok(Terms::default());
        };
        if !grant.sources.contains(&source) {
            return Err(Forbidden::Source);
        }
        let allowance = Some(Arc::clone(&grant.allowance));
        if grant.reach.iter().any(|reach| reach.has_account(account)) {
            return Ok(Terms { is_bound: false, allowance });
        }
        let gateway = gateway.ok_or(Forbidden::WholeAccount)?;
        if grant.reach.iter().any(|reach| reach.has_gateway(account, gateway)) {
            return Ok(Terms { is_bound: true, allowance });
        }
        Err(Forbidden::Gateway)
    }
}

impl Terms {
    /// How long it takes from `now` until the sender may push again; `None` if it may.
    pub(super) fn wait(&self, now: Instant) -> Option<Duration> {
        self.allowance.as_ref()?.wait(now)
    }

    /// Takes account of what a chunk became, before it is stored, and says whether that may be.
    pub(super) fn admit(&self, chunk: &Chunk, batch: &Batch, now: Instant) -> Result<(), Forbidden> {
        if let Some(allowance) = &self.allowance {
            allowance.charge(batch.received(), chunk.len_bytes() as u64, now);
        }
        let Origin { account_id, gateway_id, .. } = &batch.origin;
        let is_of_path =
            |scope: &Scope| scope.account_id == *account_id && Some(&scope.gateway_id) == gateway_id.as_ref();
        let mut scopes = batch.events.iter().map(|priced| &priced.event().scope);
        if !self.is_bound || scopes.all(is_of_path) { Ok(()) } else { Err(Forbidden::Record) }
    }
}

impl Reach {
    /// Reads `account` or `account/gateway`, either with `*` for any characters.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (account, gateway) = match text.split_once('/') {
            Some((account, gateway)) => (account, Glob::read(gateway)?),
            None => (text, Glob::any()),
        };
        Some(Self { account: Glob::read(account)?, gateway })
    }

    fn has_account(&self, account: &AccountId) -> bool {
        self.gateway.is_any() && self.account.fits(account.as_str())
    }

    fn has_gateway(&self, account: &AccountId, gateway: &GatewayId) -> bool {
        self.account.fits(account.as_str()) && self.gateway.fits(gateway.as_str())
    }
}
