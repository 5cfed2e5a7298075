//! Budgets that were taken away: a row of each stays behind, so that no earlier version of it counts again. After some days nobody can
//! still write one, and it goes.
//!
//! Earlier versions go first, and what says that they are gone when none of them is left: so at no time one of them is in force. A
//! TTL would look at each part by itself, and leave an earlier version in another one.

use clickhouse::Row;
use serde::Deserialize;

use super::Reconciler;
use crate::sink::SinkError;

/// How long it is known that a budget was taken away.
const KNOWN_FOR_S: u32 = 30 * 86_400;
/// Of how many budgets a look takes the rows out: their names are the text of a statement, which each part has read to it.
const BUDGETS_PER_LOOK_MAX: u32 = 500;

const GONE: &str = "SELECT ?fields FROM budgets FINAL \
    WHERE deleted AND version < now64(9) - toIntervalSecond(?) ORDER BY version LIMIT ?";
const EARLIER_FIRST: [&str; 2] = ["NOT deleted", "deleted"];

#[derive(Row, Deserialize)]
struct GoneRow {
    account_id: String,
    gateway_id: String,
    id: String,
}

impl Reconciler {
    /// Takes out the rows of budgets that were taken away long ago.
    pub(super) async fn forget_budgets(&self) -> Result<(), SinkError> {
        let query = self.store.client.query(GONE).bind(KNOWN_FOR_S).bind(BUDGETS_PER_LOOK_MAX);
        let gone: Vec<GoneRow> = self.store.within("look for deleted budgets", query.fetch_all()).await?;
        if gone.is_empty() {
            return Ok(());
        }
        let keys: Vec<_> = gone.iter().map(|row| (&row.account_id, &row.gateway_id, &row.id)).collect();
        for rows in EARLIER_FIRST {
            let rows = format!("FROM budgets WHERE {rows} AND (account_id, gateway_id, id) IN ?");
            // A DELETE of nothing is a mutation too, and while a replica is away there would be one more at each look.
            let count =
                self.store.client.query(&format!("SELECT count() {rows}")).bind(&keys).fetch_one::<u64>();
            if self.store.within("count rows of budgets", count).await? == 0 {
                continue;
            }
            let delete = format!("DELETE {rows}");
            let delete = self.store.client.query(&delete).bind(&keys);
            let delete = delete.with_setting("lightweight_deletes_sync", "2").execute();
            self.store.within("delete rows of budgets", delete).await?;
        }
        tracing::info!(budgets = gone.len(), "rows of deleted budgets are taken out");
        Ok(())
    }
}
