//! What tells processes apart that are as young, each the first of its container.

use std::hash::{BuildHasher, RandomState};

/// Another one each time.
pub(crate) fn nonce() -> u64 {
    // The standard library's hasher is seeded by the system.
    RandomState::new().hash_one(())
}
