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
            let mut receipt = Receipt {
                dead_lettered: batch.dead_letters.len() as u64,
                sealed: batch.sealed_letters.len() as u64,
                ..Receipt::default()
            };
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
        let letters =
            batches.iter().flat_map(|batch| batch.letters().map(|letter| (&batch.origin, letter))).collect();
        let token = token(&events);
        Self { rows: Rows { events, letters, at, token }, duplicates, receipts }
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use weir_event::Source;

    use super::*;
    use crate::accept::{ChunkLimits, Form, LineReader, Origin};
    use crate::pipeline::Pipeline;
    use crate::price::PriceBook;

    #[test]
    fn a_record_with_a_sealed_letter_is_counted_once_and_its_letter_kept() {
        let record =
            r#"{"Datetime":1790000000,"Gateway":"gw","RequestBody":{"type":"encrypted","key":"AA=="}}"#;
        let origin = Origin {
            account_id: "acc".parse().unwrap(),
            gateway_id: None,
            source: Source::Logpush,
            form: Form::Logpush,
            batch: "test".to_owned(),
            received_at_ms: 1_790_000_000_000,
        };
        let limits = ChunkLimits { lines_max: 10, bytes_max: 1 << 20, line_bytes_max: 1 << 20 };
        let body = format!("{record}\n{record}\n[1]");
        let chunk = LineReader::new(BufReader::new(body.as_bytes()), limits).next_chunk().unwrap().unwrap();
        let batch = Pipeline::new(PriceBook::builtin()).prepare(&chunk, &origin);
        let group = Group::sort_out(&[&batch], &HashSet::new(), Timestamp::MIN, |_| String::new());
        assert_eq!(group.receipts, [Receipt { stored: 1, duplicates: 1, dead_lettered: 1, sealed: 2 }]);
        assert_eq!((batch.received(), group.rows.events.len(), group.rows.letters.len()), (3, 1, 3));
    }
}
