//! What intake hands on: the bytes of a record, and where they came from.

use weir_event::{AccountId, GatewayId, Scope, Source};

/// The bytes of one record, not yet looked at.
#[derive(Clone, Copy, Debug)]
pub struct RawRecord<'a> {
    /// Its line in the push, from 1.
    pub position: u64,
    /// Its bytes, without the line end.
    pub bytes: &'a [u8],
    /// SHA-256 of the whole line, where that was too long and `bytes` is only its beginning.
    pub cut_from: Option<[u8; 32]>,
}

/// Where a push came from, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Whose events it brings.
    pub account_id: AccountId,
    /// The gateway that the path names; a job may bring the events of every gateway of an account.
    pub gateway_id: Option<GatewayId>,
    /// The door it came in through.
    pub source: Source,
    /// Names the push, for dead letters and logs.
    pub batch: String,
    /// When it came in, in epoch milliseconds.
    pub received_at_ms: i64,
}

impl Origin {
    /// The scope of a record that names `gateway` itself, or leaves that to the path. What the record says is nearer to
    /// what happened, so it wins; `None` where neither names one.
    #[must_use]
    pub fn scope(&self, gateway: Option<GatewayId>) -> Option<Scope> {
        let gateway_id = gateway.or_else(|| self.gateway_id.clone())?;
        Some(Scope { account_id: self.account_id.clone(), gateway_id })
    }
}
