//! What the handlers of this dialect share beside the rest.

use super::dialect::Dialect;
use super::limit::Limits;
use crate::auth::{Directory, KnownKey, KnownUser};

/// A new-api, as its clients see it.
#[derive(Debug)]
pub struct NewApi {
    /// Which of them.
    pub dialect: Dialect,
    /// Who may log in.
    pub users: Directory<KnownUser>,
    /// Whose keys are known.
    pub keys: Directory<KnownKey>,
    /// How often one client may ask.
    pub limits: Limits,
    /// When this process began, in seconds since 1970.
    pub started_at_s: i64,
}
