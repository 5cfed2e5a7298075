//! Budgets, as they are stored, and what is used of them now.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use async_nats::Client as NatsClient;
use bytes::Bytes;
use clickhouse::Row;
use serde::Deserialize;
use tokio::time::timeout;
use tracing::Instrument;
use weir_budget::{
    Amount, BUDGETS_SUBJECT, Budget, BudgetId, Terms, WEBHOOKS_SUBJECT, WebhooksAnswer, WebhooksRequest,
};
use weir_event::{AccountId, Scope, Timestamp};
use weir_service::clock::SharedClock;
use weir_service::telemetry::chain;
use weir_sql::{Sum, spent};
use weir_store::{BudgetRow, append_row, columns};

use super::error::StoreError;
use super::log_store::LogStore;
use crate::auth::{Readable, Writable};
use crate::sql;

/// How many budgets a gateway may have: each is a sum over every minute that is touched.
const GATEWAY_BUDGETS_MAX: u64 = 200;
/// How many the gateways of an account may have together, and how many bytes the filters of these: whoever watches reads all
/// of them.
const ACCOUNT_BUDGETS_MAX: u64 = 2_000;
const ACCOUNT_FILTER_BYTES_MAX: u64 = 4 << 20;
/// How long NATS may take to hear of a change. Who does not hear of it looks every other second.
const TELL_LIMIT: Duration = Duration::from_millis(500);
/// How long an aggregator may take to say which webhooks there are.
const WEBHOOKS_LIMIT: Duration = Duration::from_secs(1);

/// The budgets of gateways.
#[derive(Clone)]
pub struct Budgets {
    store: LogStore,
    bus: NatsClient,
    clock: SharedClock,
}

/// A budget cannot be stored.
#[derive(Debug, thiserror::Error)]
pub enum BudgetError {
    /// There are too many.
    #[error(transparent)]
    Full(#[from] BudgetsFull),
    /// No id can be made.
    #[error("cannot get random bits from the system")]
    Random(#[source] getrandom::Error),
    /// ClickHouse does not store it.
    #[error("budget cannot be stored")]
    Store(#[from] StoreError),
    /// A defect: who writes it died.
    #[error("the writing of the budget stopped")]
    Stopped,
}

/// A bound that another budget, or a longer filter, would break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BudgetsFull {
    /// Of a gateway.
    #[error("a gateway has at most {GATEWAY_BUDGETS_MAX} budgets")]
    Gateway,
    /// Of an account.
    #[error("the gateways of an account have at most {ACCOUNT_BUDGETS_MAX} budgets together")]
    Account,
    /// Of an account.
    #[error("the filters of an account's budgets have at most {ACCOUNT_FILTER_BYTES_MAX} bytes together")]
    Filters,
}

/// The webhooks that the budgets of an account lead to; `None` if no aggregator says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ways(pub Option<Vec<String>>);

/// What is used of a budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spent {
    /// How much.
    pub value: Amount,
    /// The first moment that counts.
    pub from: Timestamp,
    /// The end of the period, or now.
    pub to: Timestamp,
    /// When that was so.
    pub as_of: Timestamp,
}

#[derive(Row, Deserialize)]
struct SpentRow {
    sums: Vec<i128>,
}

/// What there is.
#[derive(Clone, Copy, Row, Deserialize)]
struct HeldRow {
    of_gateway: u64,
    of_account: u64,
    filter_bytes: u64,
}

impl Budgets {
    /// Budgets beside the logs in `store`; who watches them is told over `bus`.
    #[must_use]
    pub const fn new(store: LogStore, bus: NatsClient, clock: SharedClock) -> Self {
        Self { store, bus, clock }
    }

    /// All of a gateway, by id. One that this program does not understand is left out.
    pub async fn all(&self, scope: &Readable<Scope>) -> Result<Vec<Budget>, StoreError> {
        let rows = self.store.query(&sql::budgets(scope)).fetch_all::<BudgetRow>().await?;
        Ok(rows.iter().filter_map(read).collect())
    }

    /// One of a gateway, if there is such a one.
    pub async fn one(&self, scope: &Readable<Scope>, id: &BudgetId) -> Result<Option<Budget>, StoreError> {
        let row = self.store.query(&sql::budget(scope, id)).fetch_optional::<BudgetRow>().await?;
        Ok(row.as_ref().and_then(read))
    }

    /// Makes one. Of several that are made at once each may find room before it is written, so it is looked once more when it is
    /// there: of those that are too many none finds room then that is written later than another, and takes itself away again. It
    /// may be that none of them stays, and that there was room for one.
    pub async fn create(&self, scope: &Writable<Scope>, terms: Terms) -> Result<Budget, BudgetError> {
        let mut bits = [0; 16];
        getrandom::fill(&mut bits).map_err(BudgetError::Random)?;
        let held = self.held(scope).await?;
        held.with_one_more(&terms).is_in_bounds()?;
        let budget = Budget { id: BudgetId::from_random(bits), scope: Scope::clone(scope), terms };
        let (budgets, scope, made) = (self.clone(), scope.clone(), budget.clone());
        // Whoever asked for it may leave meanwhile.
        let written = async move { budgets.write_within_bounds(&scope, &made).await };
        tokio::spawn(written.in_current_span()).await.map_err(|_| BudgetError::Stopped)??;
        Ok(budget)
    }

    /// Writes one, and takes it away again if there are too many by then. If that cannot be seen it stays.
    async fn write_within_bounds(&self, scope: &Writable<Scope>, budget: &Budget) -> Result<(), BudgetError> {
        self.write(&budget.to_row()).await?;
        match self.held(scope).await.map(HeldRow::is_in_bounds) {
            Ok(Ok(())) => {}
            Ok(Err(full)) => {
                self.take_away(scope, &budget.id).await?;
                return Err(full.into());
            }
            Err(error) => tracing::warn!(error = chain(&error), "budgets cannot be counted again"),
        }
        self.tell().await;
        Ok(())
    }

    /// Gives one other terms, if it is there. Terms that are no longer than those of before have room at any time. Of two that
    /// become longer at once each may find room: to take one back could undo what somebody else was told is in force.
    pub async fn change(
        &self,
        scope: &Writable<Scope>,
        id: &BudgetId,
        terms: Terms,
    ) -> Result<Option<Budget>, BudgetError> {
        let Some(before) = self.one(scope, id).await? else { return Ok(None) };
        if filter_bytes(&terms) > filter_bytes(&before.terms) {
            self.held(scope).await?.with_terms(&before.terms, &terms).has_short_filters()?;
        }
        let budget = Budget { terms, ..before };
        self.write(&budget.to_row()).await?;
        self.tell().await;
        Ok(Some(budget))
    }

    /// Takes one away, for good: also if it is given other terms at the same time. Says whether it was there.
    pub async fn delete(&self, scope: &Writable<Scope>, id: &BudgetId) -> Result<bool, StoreError> {
        if self.one(scope, id).await?.is_none() {
            return Ok(false);
        }
        self.take_away(scope, id).await?;
        Ok(true)
    }

    /// Which webhooks the budgets of a tenant lead to, if any of `budgets` names one.
    pub async fn ways(&self, scope: &Readable<Scope>, budgets: &[Budget]) -> Ways {
        if budgets.iter().all(|budget| budget.terms.webhooks.is_empty()) {
            return Ways(None);
        }
        let answered = timeout(WEBHOOKS_LIMIT, self.ask_for_ways(&scope.account_id)).await;
        Ways(answered.ok().flatten())
    }

    async fn ask_for_ways(&self, account_id: &AccountId) -> Option<Vec<String>> {
        let question = serde_json::to_vec(&WebhooksRequest { account_id: account_id.clone() }).ok()?;
        let answer = self.bus.request(WEBHOOKS_SUBJECT, question.into()).await.ok()?;
        Some(serde_json::from_slice::<WebhooksAnswer>(&answer.payload).ok()?.webhooks)
    }

    /// What is used of a budget now, summed up from the logs.
    pub async fn spent(&self, scope: &Readable<Scope>, terms: &Terms) -> Result<Spent, StoreError> {
        let now_ms = self.clock.now_ms();
        let bounds = terms.window.bounds(now_ms);
        let sum = Sum { filter: &terms.filter, measure: terms.measure };
        let row: SpentRow = self.store.query(&spent(scope, sum, &bounds)).fetch_one().await?;
        let moment = |ms| Timestamp::from_millis(ms).unwrap_or(Timestamp::MAX);
        let end_ms = if terms.window.is_sliding() { now_ms } else { bounds.end };
        Ok(Spent {
            value: row.sums.into_iter().map(Amount::from_units).sum(),
            from: moment(bounds.start),
            to: moment(end_ms),
            as_of: moment(now_ms),
        })
    }

    /// What there is.
    async fn held(&self, scope: &Writable<Scope>) -> Result<HeldRow, StoreError> {
        Ok(self.store.query(&sql::budgets_held(scope)).fetch_one().await?)
    }

    /// Says that one is gone, and tells of it.
    async fn take_away(&self, scope: &Writable<Scope>, id: &BudgetId) -> Result<(), StoreError> {
        self.store.query(&sql::budget_gone(scope, id)).execute().await?;
        self.tell().await;
        Ok(())
    }

    /// The last that is written is in force, by ClickHouse's clock.
    async fn write(&self, row: &BudgetRow) -> Result<(), StoreError> {
        let mut encoded = Vec::new();
        append_row(row, &mut encoded)
            .map_err(|error| StoreError::Misunderstanding(clickhouse::error::Error::Other(error.into())))?;
        let statement = format!("INSERT INTO budgets ({}) FORMAT RowBinary", columns::<BudgetRow>());
        // To say the same again is no repetition, since something else may have been said in between.
        let token = format!("{:016x}", RandomState::new().hash_one(&row.id));
        let insert = self.store.client().insert_formatted_with(statement);
        let mut insert = insert.with_setting("insert_deduplication_token", token);
        insert.send(encoded.into()).await?;
        Ok(insert.end().await?)
    }

    /// Who watches looks at once, and not after some seconds.
    async fn tell(&self) {
        let told = timeout(TELL_LIMIT, self.bus.publish(BUDGETS_SUBJECT, Bytes::new())).await;
        if let Ok(Err(error)) = told {
            tracing::warn!(error = chain(&error), "nobody is told of a budget");
        }
    }
}

impl HeldRow {
    /// With another budget.
    fn with_one_more(self, terms: &Terms) -> Self {
        Self {
            of_gateway: self.of_gateway.saturating_add(1),
            of_account: self.of_account.saturating_add(1),
            filter_bytes: self.filter_bytes.saturating_add(filter_bytes(terms)),
        }
    }

    /// With other terms of a budget.
    fn with_terms(self, before: &Terms, after: &Terms) -> Self {
        let others = self.filter_bytes.saturating_sub(filter_bytes(before));
        Self { filter_bytes: others.saturating_add(filter_bytes(after)), ..self }
    }

    const fn is_in_bounds(self) -> Result<(), BudgetsFull> {
        if self.of_gateway > GATEWAY_BUDGETS_MAX {
            return Err(BudgetsFull::Gateway);
        }
        if self.of_account > ACCOUNT_BUDGETS_MAX {
            return Err(BudgetsFull::Account);
        }
        self.has_short_filters()
    }

    const fn has_short_filters(self) -> Result<(), BudgetsFull> {
        if self.filter_bytes > ACCOUNT_FILTER_BYTES_MAX { Err(BudgetsFull::Filters) } else { Ok(()) }
    }
}

fn filter_bytes(terms: &Terms) -> u64 {
    terms.filter.to_string().len() as u64
}

fn read(row: &BudgetRow) -> Option<Budget> {
    let budget = Budget::from_row(row);
    budget
        .inspect_err(|error| tracing::warn!(budget = row.id, error = chain(error), "a budget is left out"))
        .ok()
}

impl fmt::Debug for Budgets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The client knows a password.
        f.write_str("Budgets")
    }
}
