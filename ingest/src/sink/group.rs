//! The batches of one write: what in them is new, what each one's part is, and what the ledger says of them.

use std::collections::{BTreeMap, HashSet};

use weir_event::{AccountId, EventId, Source, Timestamp};

use super::columns::Columns;
use super::insert::{Rows, Token};
use super::races::Raced;
use super::{Encoded, EventRef, Receipt};

/// The batches of one write, sorted out.
pub(super) struct Group<'g> {
    /// To be stored.
    pub(super) rows: Rows<'g>,
    /// There already, or met before in the group.
    pub(super) duplicates: Vec<EventRef<'g>>,
    /// Each batch's part, in order.
    pub(super) receipts: Vec<Receipt>,
    /// The batch of each event that is to be stored.
    owners: Vec<usize>,
}

/// What became of records, by where they came from: the ledger's entry for a write.
pub(super) type Accounts = BTreeMap<(Source, AccountId), Account>;

/// What became of the records of one source. `received` is the sum of the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) stored: u64,
    pub(super) duplicates: u64,
    pub(super) dead_lettered: u64,
    pub(super) ignored: u64,
}

impl<'g> Group<'g> {
    /// Parts what is new from what is known or was met before in the group, whose batches are of the same columns. The
    /// write is made at `at` and named by what `token` makes of the new events. `ignored` are records of batches in which there was nothing else.
    pub(super) fn sort_out(
        batches: &[&'g Encoded],
        known: &HashSet<EventId>,
        ignored: Accounts,
        at: Timestamp,
        token: impl FnOnce(&[EventRef<'g>]) -> Token,
    ) -> Self {
        let (mut events, mut duplicates) = (Vec::new(), Vec::new());
        let mut receipts = Vec::with_capacity(batches.len());
        let mut met = HashSet::new();
        let mut accounts = ignored;
        let mut owners = Vec::new();
        for (owner, batch) in batches.iter().enumerate() {
            let mut receipt = Receipt {
                dead_lettered: batch.dead_lettered(),
                sealed: batch.sealed(),
                ..Receipt::default()
            };
            for event in batch.events() {
                if known.contains(&event.id) || !met.insert(event.id) {
                    receipt.duplicates += 1;
                    duplicates.push(event);
                } else {
                    receipt.stored += 1;
                    events.push(event);
                    owners.push(owner);
                }
            }
            accounts
                .entry((batch.source(), batch.account_id().clone()))
                .or_default()
                .add(Account::of(&receipt, batch.ignored()));
            receipts.push(receipt);
        }
        let letters = batches.iter().flat_map(|batch| batch.letters()).collect();
        let token = token(&events);
        // A write of nothing but the ledger names none of them.
        let columns = batches.first().map_or(Columns::of_this_program(), |batch| batch.columns());
        let rows = Rows { events, letters, columns, accounts, at, token };
        Self { rows, duplicates, receipts, owners }
    }

    /// Other writers have stored some of its events too: these may have been told of, and of some of them it is not this
    /// write's row that is there.
    pub(super) fn share(&mut self, raced: &Raced) {
        if raced.ids.is_empty() {
            return;
        }
        let events = std::mem::take(&mut self.rows.events);
        let owners = std::mem::take(&mut self.owners);
        for (event, owner) in events.into_iter().zip(owners) {
            if !raced.ids.contains(&event.id) {
                self.rows.events.push(event);
                self.owners.push(owner);
                continue;
            }
            if raced.lost.contains(&event.id) {
                self.receipts[owner].stored -= 1;
                self.receipts[owner].duplicates += 1;
            }
            self.duplicates.push(event);
        }
    }
}

impl Account {
    /// Of records of which `ignored` were not to be stored.
    pub(super) const fn of(receipt: &Receipt, ignored: u64) -> Self {
        let Receipt { stored, duplicates, dead_lettered, .. } = *receipt;
        Self { stored, duplicates, dead_lettered, ignored }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.stored += other.stored;
        self.duplicates += other.duplicates;
        self.dead_lettered += other.dead_lettered;
        self.ignored += other.ignored;
    }

    pub(super) const fn received(&self) -> u64 {
        self.stored + self.duplicates + self.dead_lettered + self.ignored
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use sha2::{Digest, Sha256};

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
        let encoded = Encoded::of(&batch);
        let none = (HashSet::new(), Accounts::new());
        let group =
            Group::sort_out(&[&encoded], &none.0, none.1, Timestamp::MIN, |_| Token::new(Sha256::new()));
        assert_eq!(
            group.receipts,
            [Receipt { stored: 1, duplicates: 1, dead_lettered: 1, sealed: 2, spooled: 0 }]
        );
        assert_eq!((batch.received(), group.rows.events.len(), group.rows.letters.len()), (3, 1, 3));
    }
}
