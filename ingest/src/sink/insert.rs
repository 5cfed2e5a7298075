//! The inserts of one write: one per table, all under one token.
//!
//! An insert that was sent and not answered may be running still, or lie in a socket's buffer and run later. It is
//! settled by the same rows under the same `insert_deduplication_token`. The server looks at the token when a part is
//! committed, under the table's lock, not when the insert begins: of two inserts that run at the same time the one that
//! commits first is stored, and the other one answers that all is well and stores nothing. So a repetition needs not
//! wait for the end of the first attempt, nor kill it: once any attempt has succeeded, no other one can add a row.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::BytesMut;
use sha2::{Digest, Sha256};
use weir_event::{AccountId, Source, Timestamp};
use weir_service::clock::SharedClock;
use weir_store::{CostRevisionRow, LedgerRow, ROW_HEADER_BYTES, append_row, columns, fill_in_header};

use super::columns::Columns;
use super::group::{Account, Accounts};
use super::store::INSERT_COMMENT;
use super::{EventRef, SinkError, Store};
use crate::nonce::nonce;

/// How much of an insert is sent at once, in bytes. It is exceeded by one row.
const SEND_BYTES: usize = 1 << 20;
const HOUR_S: i64 = 3_600;

/// The bit of a write's id that says that its records came before: they were dead letters.
pub(crate) const REPLAYED: u64 = 1;

/// What one write stores. Written again, it is the same write: nothing in it may change between two attempts.
#[derive(Clone, Debug)]
pub(super) struct Rows<'r> {
    /// New events.
    pub(super) events: Vec<EventRef<'r>>,
    /// Encoded dead letters.
    pub(super) letters: Vec<&'r [u8]>,
    /// The columns of both.
    pub(super) columns: &'r Columns,
    /// What the ledger says of the write.
    pub(super) accounts: Accounts,
    /// When they are stored.
    pub(super) at: Timestamp,
    /// Names this very write: the server drops a second one.
    pub(super) token: Token,
}

/// The name of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    bytes: [u8; 32],
    is_of_replay: bool,
}

/// Names writes. Clones never give the same name.
#[derive(Clone, Debug)]
pub(super) struct Names {
    clock: SharedClock,
    given: Arc<AtomicU64>,
    /// Tells processes apart that are as young, each the first of its container, and write no event.
    nonce: u64,
}

/// A table, and the columns of the rows that go there.
struct Target<'t>(&'static str, &'t str);

/// An insert of encoded rows that is under way.
struct RowInsert {
    insert: clickhouse::insert_formatted::InsertFormatted,
    buffer: BytesMut,
}

impl Names {
    pub(super) fn new(clock: SharedClock) -> Self {
        Self { clock, given: Arc::default(), nonce: nonce() }
    }

    /// A name for a write of `events`, made of them and of its number. Events alone would not do: rows and bodies that
    /// were deleted may come again, and the server would take their second insert for a repetition of the first. Nor
    /// would the number: another process may be as young.
    pub(super) fn next(&self, events: &[EventRef<'_>]) -> Token {
        let mut hasher = Sha256::new();
        hasher.update(self.given.fetch_add(1, Ordering::Relaxed).to_le_bytes());
        hasher.update(self.clock.now_ms().to_le_bytes());
        hasher.update(self.nonce.to_le_bytes());
        for event in events {
            hasher.update(event.id.bytes());
        }
        Token::new(hasher)
    }
}

impl Token {
    pub(super) fn new(name: Sha256) -> Self {
        Self { bytes: name.finalize().into(), is_of_replay: false }
    }

    /// The name of a replay.
    pub(super) const fn of_replay(self) -> Self {
        Self { is_of_replay: true, ..self }
    }

    /// What names the write in the rows that it stores. Never 0, which is nobody's, and odd only where it is a replay's.
    pub(super) fn write_id(&self) -> u64 {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&self.bytes[..8]);
        (u64::from_le_bytes(bytes) & !REPLAYED).max(2) | if self.is_of_replay { REPLAYED } else { 0 }
    }

    /// As `insert_deduplication_token` has it.
    pub(super) fn to_hex(&self) -> String {
        hex::encode(self.bytes)
    }
}

impl Store {
    /// Writes the bodies of new events. Who writes their rows comes later, so that a row that can be seen has its
    /// bodies; bodies without a row are invisible, and of those that are written twice the later ones are read.
    pub(super) async fn insert_bodies(
        &self,
        events: &[EventRef<'_>],
        columns: &Columns,
        token: &Token,
    ) -> Result<(), SinkError> {
        const OPERATION: &str = "insert into bodies";
        if events.iter().all(|event| event.body.is_empty()) {
            return Ok(());
        }
        let work = async {
            let mut insert = self.begin(&Target(columns.body_table(), &columns.bodies), token);
            for event in events {
                insert.add(&[event.body]).await?;
            }
            insert.end().await
        };
        work.await.map_err(SinkError::clickhouse(OPERATION))
    }

    /// Writes events, then dead letters, then what the ledger says of both.
    pub(super) async fn insert(&self, rows: &Rows<'_>) -> Result<(), SinkError> {
        self.insert_logs(rows).await?;
        self.insert_rest(rows).await
    }

    /// What comes after the events.
    pub(super) async fn insert_rest(&self, rows: &Rows<'_>) -> Result<(), SinkError> {
        let header = rows.header();
        let letters = Target("dead_letters", &rows.columns.dead_letters);
        self.insert_rows(&letters, &header, &rows.letters, &rows.token)
            .await
            .map_err(|error| SinkError::insert("insert into dead_letters", error))?;
        let ledger = rows.ledger();
        let ledger: Vec<_> = ledger.iter().map(Vec::as_slice).collect();
        let columns = columns::<LedgerRow<'static>>();
        self.insert_rows(&Target("ledger", &columns), &[], &ledger, &rows.token)
            .await
            .map_err(|error| SinkError::insert("insert into ledger", error))
    }

    /// Writes rows of `logs` whose headers are filled in already.
    pub(super) async fn insert_filled_logs(
        &self,
        rows: &[Vec<u8>],
        columns: &Columns,
        token: &Token,
    ) -> Result<(), SinkError> {
        let rows: Vec<_> = rows.iter().map(Vec::as_slice).collect();
        self.insert_rows(&Target("logs", &columns.logs), &[], &rows, token)
            .await
            .map_err(|error| SinkError::insert("insert into logs", error))
    }

    /// Writes dead letters alone.
    pub(super) async fn insert_letters(
        &self,
        letters: &[&[u8]],
        at: Timestamp,
        columns: &Columns,
        token: &Token,
    ) -> Result<(), SinkError> {
        let header = fill_in_header(at, token.write_id());
        self.insert_rows(&Target("dead_letters", &columns.dead_letters), &header, letters, token)
            .await
            .map_err(|error| SinkError::insert("insert into dead_letters", error))
    }

    /// Whether every event of a write has its row of this very write: then its insert is over, whichever attempt it was.
    pub(super) async fn has_events(&self, rows: &Rows<'_>) -> Result<bool, SinkError> {
        let known = self.known_of_write(rows.token.write_id(), &rows.events).await?;
        Ok(rows.events.iter().all(|event| known.contains(&event.id)))
    }

    /// Enters rows in the ledger. Entered again, each is there once.
    pub(crate) async fn enter(&self, rows: &[LedgerRow<'_>]) -> Result<(), SinkError> {
        let columns = columns::<LedgerRow<'static>>();
        let rows: Vec<_> = rows.iter().map(encode).collect();
        let entered = self.insert_once(&Target("ledger", &columns), &rows).await;
        entered.map_err(|error| SinkError::insert("insert into ledger", error))
    }

    /// Enters changes of costs.
    pub(super) async fn enter_revisions(&self, rows: &[CostRevisionRow<'_>]) -> Result<(), SinkError> {
        let columns = columns::<CostRevisionRow<'static>>();
        let rows: Vec<_> = rows.iter().map(encode).collect();
        let entered = self.insert_once(&Target("cost_revisions", &columns), &rows).await;
        entered.map_err(|error| SinkError::insert("insert into cost_revisions", error))
    }

    /// An insert that is named by its content.
    async fn insert_once(&self, target: &Target<'_>, rows: &[Vec<u8>]) -> clickhouse::error::Result<()> {
        let name = rows.iter().fold(Sha256::new(), Sha256::chain_update);
        let rows: Vec<_> = rows.iter().map(Vec::as_slice).collect();
        self.insert_rows(target, &[], &rows, &Token::new(name)).await
    }

    async fn insert_logs(&self, rows: &Rows<'_>) -> Result<(), SinkError> {
        let header = rows.header();
        let logs: Vec<_> = rows.events.iter().map(|event| event.log).collect();
        self.insert_rows(&Target("logs", &rows.columns.logs), &header, &logs, &rows.token)
            .await
            .map_err(|error| SinkError::insert("insert into logs", error))
    }

    async fn insert_rows(
        &self,
        target: &Target<'_>,
        header: &[u8],
        rows: &[&[u8]],
        token: &Token,
    ) -> clickhouse::error::Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let mut insert = self.begin(target, token);
        for row in rows {
            insert.add(&[header, &row[header.len()..]]).await?;
        }
        insert.end().await
    }

    /// An insert that is not sent yet.
    fn begin(&self, Target(table, columns): &Target<'_>, token: &Token) -> RowInsert {
        let statement = format!("INSERT INTO {table} ({columns}) FORMAT RowBinary");
        let token = token.to_hex();
        let insert = self
            .client
            .insert_formatted_with(statement)
            // By this a running insert is known as ours, by us or by who comes after us.
            .with_setting("log_comment", format!("{INSERT_COMMENT}{token}"))
            .with_setting("insert_deduplication_token", token)
            // A push may bring years: one part per month is what it takes.
            .with_setting("max_partitions_per_insert_block", "0")
            // The client's own, for each part that is sent and for the answer: one of ours around it would leave the
            // request running in the background.
            .with_timeouts(Some(self.timeout), Some(self.timeout));
        RowInsert { insert, buffer: BytesMut::new() }
    }
}

impl RowInsert {
    /// Adds the pieces of a row.
    async fn add(&mut self, pieces: &[&[u8]]) -> clickhouse::error::Result<()> {
        for piece in pieces {
            self.buffer.extend_from_slice(piece);
        }
        if self.buffer.len() >= SEND_BYTES {
            self.insert.send(self.buffer.split().freeze()).await
        } else {
            Ok(())
        }
    }

    async fn end(mut self) -> clickhouse::error::Result<()> {
        if !self.buffer.is_empty() {
            self.insert.send(self.buffer.freeze()).await?;
        }
        self.insert.end().await
    }
}

impl Rows<'_> {
    fn header(&self) -> [u8; ROW_HEADER_BYTES] {
        fill_in_header(self.at, self.token.write_id())
    }

    /// The rows of `ledger` for this write, encoded.
    fn ledger(&self) -> Vec<Vec<u8>> {
        let signed = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let hour = hour_of(self.at.millis());
        let row = |((source, account_id), account): (&(Source, AccountId), &Account)| {
            encode(&LedgerRow {
                hour,
                source: source.as_str(),
                account_id: account_id.as_str(),
                write_id: self.token.write_id(),
                subject: "",
                received: signed(account.received()),
                stored: signed(account.stored),
                duplicates: signed(account.duplicates),
                dead_lettered: signed(account.dead_lettered),
                ignored: signed(account.ignored),
                version: 1,
                ..LedgerRow::default()
            })
        };
        self.accounts.iter().filter(|(_, account)| account.received() > 0).map(row).collect()
    }
}

/// The hour of a time in epoch milliseconds, as the ledger has it.
pub(super) fn hour_of(millis: i64) -> u32 {
    u32::try_from(millis.div_euclid(1_000 * HOUR_S) * HOUR_S).unwrap_or_default()
}

fn encode<R: clickhouse::Row + serde::Serialize>(row: &R) -> Vec<u8> {
    let mut encoded = Vec::new();
    append_row(row, &mut encoded).expect("a row has the types of columns");
    encoded
}

#[cfg(test)]
mod tests {
    use weir_event::{EventId, Scope};
    use weir_service::clock::SystemClock;

    use super::*;

    #[test]
    fn the_same_events_are_never_written_under_one_name_twice() {
        let scope = Scope { account_id: "acc".parse().unwrap(), gateway_id: "gw".parse().unwrap() };
        let event = |key: &[u8]| EventRef {
            id: EventId::derive(Timestamp::MIN, &[key]),
            scope: &scope,
            shard: 0,
            log: &[],
            body: &[],
            entry: &[],
        };
        let names = Names::new(SystemClock::shared());
        assert_ne!(names.next(&[event(b"a")]), names.next(&[event(b"a")]));
        assert_ne!(names.next(&[event(b"a")]), names.clone().next(&[event(b"a")]));
        let stopped = || {
            let clock = weir_service::clock::ManualClock::at(0);
            Names::new(Arc::new(clock))
        };
        assert_ne!(stopped().next(&[]), stopped().next(&[]), "of processes of the same age");
    }
}
