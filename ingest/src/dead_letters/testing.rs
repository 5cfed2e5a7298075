//! A letter to test with.

use super::table::Letter;

/// A letter of a record that names no gateway, with control characters in an attribute.
pub(super) fn letter(raw: &[u8]) -> Letter {
    Letter {
        received_at: 1_785_542_400_000,
        write_id: u64::MAX - 1,
        account_id: "acc".to_owned(),
        gateway_id: String::new(),
        digest: "ab".repeat(32),
        source: "http".to_owned(),
        form: "events".to_owned(),
        batch: "push-1".to_owned(),
        position: 7,
        attributes: vec![("type".to_owned(), "x\u{1b}[2J".to_owned())],
        reason: "no_gateway".to_owned(),
        detail: "neither names one".to_owned(),
        raw: raw.to_vec(),
        settled_at: None,
        settled_as: String::new(),
    }
}
