//! The batches of one write: what in them is new, and what each one's part is.

use std::collections::HashSet;

use weir_event::{EventId, Timestamp};

use super::Receipt;
use super::insert::Rows;
use crate::pipeline::Batch;
use crate::price::PricedEvent;

/// The batches of one write, sorted out.
pub(super) struct Group<'g> {
    /// To be stored.
    pub(super) rows: Rows<'g>,
    /// There already, or met before in the group.
    pub(super) duplicates: Vec<&'g PricedEvent>,
    /// Each batch's part, in order.
    pub(super) receipts: Vec<Receipt>,
}

impl<'g> Group<'g> {
    /// Parts what is new from what is known or was met before in the group. The write is made at `at` and named by
    /// `name` and the new events' ids.
    pub(super) fn sort_out(
        batches: &[&'g Batch],
        known: &HashSet<EventId>,
        at: Timestamp,
        token: impl FnOnce(&[&'g PricedEvent]) -> String,
    ) -> Self {
        let (mut events, mut duplicates) = (Vec::new(), Vec::new());
        let mut receipts = Vec::with_capacity(batches.len());
        let mut met = HashSet::new();
        for batch in batches {
            let mut receipt =
                Receipt { dead_lettered: batch.dead_letters.len() as u64, ..Receipt::default() };
            for event in &batch.events {
                let id = event.event().id;
                if known.contains(&id) || !met.insert(id) {
                    receipt.duplicates += 1;
                    duplicates.push(event);
                } else {
                    receipt.stored += 1;
                    events.push(event);
                }
            }
            receipts.push(receipt);
        }
        let letters = batches
            .iter()
            .flat_map(|batch| batch.dead_letters.iter().map(|letter| (&batch.origin, letter)))
            .collect();
        let token = token(&events);
        Self { rows: Rows { events, letters, at, token }, duplicates, receipts }
    }
}
