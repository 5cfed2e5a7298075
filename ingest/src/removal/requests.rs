//! Removals that somebody asked for: claimed, done stage by stage, and taken over from who died.
//!
//! What is noted before a stage is entered is how many rows have gone when it is done, and which stage that is. So whoever
//! takes over knows a number that has this stage in it, and takes what is left of the stage without counting it again.

use std::time::Duration;

use clickhouse::Row;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;
use weir_event::{Scope, Timestamp};
use weir_store::RemovalRow;
use weir_store::removal::{Reach, Stage, day_of, hour_of, month};

use super::Remover;
use crate::sink::SinkError;

/// A removal without a sign of life for so long is anybody's, in seconds.
const LEASE_S: u32 = 30;
const PULSE: Duration = Duration::from_secs(5);
/// Of two that claim at once, the later one has claimed by then.
const CLAIM_PAUSE: Duration = Duration::from_millis(200);
/// What was stored later than this after a removal was asked for stays: an import that goes on would have it never end.
const LATE_MS: u64 = 60_000;
/// Rows of a stage. It may be more: a day is in one stage.
const STAGE_ROWS: u64 = 500_000;
/// Before it is looked again whether what others are taking out is gone.
const OTHERS_PAUSE: Duration = Duration::from_secs(1);
/// How long others may take. What is there then is nothing that anybody takes out, such as a row whose id is none.
const OTHERS_LIMIT: Duration = Duration::from_mins(10);

/// What may be worked on: nobody works on it, and nobody on another one of the same tenant.
const NEXT: &str = "SELECT ?fields FROM removals FINAL \
    WHERE (state = 'waiting' OR state = 'running' AND (worker = ? OR seen_at < now64(3) - toIntervalSecond(?))) \
        AND NOT has(?, id) \
        AND (account_id, gateway_id) NOT IN ( \
            SELECT account_id, gateway_id FROM removals FINAL \
            WHERE state = 'running' AND worker != ? AND seen_at >= now64(3) - toIntervalSecond(?) \
        ) \
    ORDER BY id LIMIT 1";
const WORKER: &str = "SELECT worker FROM removals FINAL WHERE account_id = ? AND gateway_id = ? AND id = ?";

#[derive(Clone, Debug, Row, Serialize, Deserialize)]
struct RequestRow {
    account_id: String,
    gateway_id: String,
    id: String,
    before: i64,
    asked_at: i64,
    state: String,
    total: u64,
    rows: u64,
    stage: String,
    step: u64,
}

/// What a process that died was taking.
enum Open {
    Nothing,
    Stage(Stage),
    Rows(Timestamp),
}

#[derive(Row, Deserialize)]
struct DayRow {
    day_ms: i64,
    rows: u64,
}

impl Remover {
    /// Takes removals on until there is none. One that fails holds up no other: it is tried again at the next look.
    pub(super) async fn do_what_is_asked(&self) -> Result<(), SinkError> {
        let (mut tried, mut done) = (Vec::new(), Ok(()));
        loop {
            let (me, lease) = (&self.worker, LEASE_S);
            let query = self.store.client.query(NEXT).bind(me).bind(lease).bind(&tried).bind(me).bind(lease);
            let next = self.store.within("look for removals", query.fetch_optional::<RequestRow>()).await?;
            let Some(mut request) = next else { return done };
            tried.push(request.id.clone());
            done = done.and(self.remove(&mut request).await);
        }
    }

    async fn remove(&self, request: &mut RequestRow) -> Result<(), SinkError> {
        let Ok(scope) = Scope::parse(&request.account_id, &request.gateway_id) else {
            return self.note_over(request).await;
        };
        let before = Timestamp::from_millis(request.before).map_err(SinkError::Clock)?;
        let stored_before = request.stored_before()?;
        if request.state == "waiting" {
            request.total = self.rows_left(&scope, before, stored_before).await?;
        }
        let (rows, total, id) = (request.total - request.rows.min(request.total), request.total, &request.id);
        let (account, gateway) = (scope.account_id.as_str(), scope.gateway_id.as_str());
        tracing::info!(rows, total, id, account, gateway, "old rows are being removed");
        self.pulse(request).await?;
        sleep(CLAIM_PAUSE).await;
        if !self.is_mine(request).await? {
            return Ok(());
        }
        self.take_up(&scope, request, before).await?;
        self.take_stages(&scope, request, before).await?;
        self.take_rest(&scope, request, before, stored_before).await?;
        if self.is_mine(request).await? {
            tracing::info!(rows = request.rows, id = request.id, "old rows are removed");
            self.note_over(request).await?;
        }
        Ok(())
    }

    /// Takes what is left of the stage that somebody else was at.
    async fn take_up(
        &self,
        scope: &Scope,
        request: &mut RequestRow,
        before: Timestamp,
    ) -> Result<(), SinkError> {
        match Open::of(&request.stage) {
            Open::Stage(stage) => {
                let reach = Reach::Tenant(scope);
                if let Some(counted) = self.count(reach, &stage).await? {
                    self.enter(&counted, false).await?;
                    self.pulsing(request, self.take_out(reach, &stage, &counted)).await?;
                }
            }
            Open::Rows(until) => {
                let until = until.min(before);
                if let Some(chosen) = self.choose(scope, until, request.stored_before()?).await? {
                    self.pulsing(request, self.take_singly(scope, &chosen)).await?;
                }
            }
            Open::Nothing => {}
        }
        self.note(request, String::new()).await
    }

    /// What can be counted by the hour.
    async fn take_stages(
        &self,
        scope: &Scope,
        request: &mut RequestRow,
        before: Timestamp,
    ) -> Result<(), SinkError> {
        let reach = Reach::Tenant(scope);
        let late = hour_of(request.stored_before()?);
        let stored_before = self.stored_before(reach, before).await?.min(late);
        for stage in self.stages(scope, before.minute(), stored_before).await? {
            if !self.is_mine(request).await? {
                return Ok(());
            }
            let Some(counted) = self.pulsing(request, self.count(reach, &stage)).await? else { continue };
            request.rows += counted.taken;
            self.note(request, stage.to_string()).await?;
            self.enter(&counted, false).await?;
            self.pulsing(request, self.take_out(reach, &stage, &counted)).await?;
            self.note(request, String::new()).await?;
        }
        Ok(())
    }

    /// What cannot. It is over when nothing is left, whoever took it.
    async fn take_rest(
        &self,
        scope: &Scope,
        request: &mut RequestRow,
        before: Timestamp,
        stored_before: Timestamp,
    ) -> Result<(), SinkError> {
        let mut waited = Duration::ZERO;
        while self.rows_left(scope, before, stored_before).await? > 0 && self.is_mine(request).await? {
            let Some(chosen) = self.choose(scope, before, stored_before).await? else {
                if waited >= OTHERS_LIMIT {
                    tracing::warn!(id = request.id, "a removal leaves rows that nobody can take out");
                    return Ok(());
                }
                sleep(OTHERS_PAUSE).await;
                waited += OTHERS_PAUSE;
                self.pulse(request).await?;
                continue;
            };
            waited = Duration::ZERO;
            request.rows += chosen.len();
            self.note(request, format!("rows {}", chosen.until.millis())).await?;
            self.pulsing(request, self.take_singly(scope, &chosen)).await?;
            self.note(request, String::new()).await?;
        }
        Ok(())
    }

    /// Whole days of what ended before `until`, as many as are a stage.
    async fn stages(
        &self,
        scope: &Scope,
        until: Timestamp,
        stored_before: Timestamp,
    ) -> Result<Vec<Stage>, SinkError> {
        let statement = format!(
            "SELECT toInt64(toUnixTimestamp(toStartOfDay(created_at))) * 1000 AS day_ms, count() AS rows FROM logs \
             WHERE account_id = {{account_id:String}} AND gateway_id = {{gateway_id:String}} \
                AND created_at < fromUnixTimestamp64Milli({}, 'UTC') \
                AND ingested_at < fromUnixTimestamp64Milli({}, 'UTC') AND write_id % 2 = 0 \
             GROUP BY day_ms ORDER BY day_ms",
            until.millis(),
            stored_before.millis()
        );
        let days = self.store.of_tenant(&statement, scope).fetch_all::<DayRow>();
        let days = self.store.within("look for days", days).await?;
        Ok(stages(&days, until, stored_before))
    }

    /// Whether nobody took it over.
    async fn is_mine(&self, request: &RequestRow) -> Result<bool, SinkError> {
        let query = self.store.client.query(WORKER).bind(&request.account_id).bind(&request.gateway_id);
        let worker = query.bind(&request.id).fetch_optional::<String>();
        let worker = self.store.within("look at a removal", worker).await?;
        Ok(worker.is_some_and(|worker| worker == self.worker))
    }

    /// Does `work`, and gives signs of life meanwhile.
    async fn pulsing<T>(
        &self,
        request: &mut RequestRow,
        work: impl Future<Output = Result<T, SinkError>>,
    ) -> Result<T, SinkError> {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                ended = &mut work => return ended,
                () = sleep(PULSE) => {
                    // Who was frozen meanwhile may not be the one any more.
                    let pulse = async {
                        if self.is_mine(request).await? { self.pulse(request).await } else { Ok(()) }
                    };
                    if let Err(error) = pulse.await {
                        tracing::warn!(%error, "a removal gives no sign of life");
                    }
                }
            }
        }
    }

    /// Says what is being taken.
    async fn note(&self, request: &mut RequestRow, stage: String) -> Result<(), SinkError> {
        request.stage = stage;
        self.pulse(request).await
    }

    async fn note_over(&self, request: &mut RequestRow) -> Result<(), SinkError> {
        request.stage.clear();
        self.write(request, "done").await
    }

    async fn pulse(&self, request: &mut RequestRow) -> Result<(), SinkError> {
        self.write(request, "running").await
    }

    async fn write(&self, request: &mut RequestRow, state: &str) -> Result<(), SinkError> {
        request.step += 1;
        let row = RemovalRow {
            account_id: &request.account_id,
            gateway_id: &request.gateway_id,
            id: &request.id,
            before: request.before,
            asked_at: request.asked_at,
            state,
            worker: &self.worker,
            total: request.total,
            rows: request.rows,
            stage: &request.stage,
            step: request.step,
        };
        let noted = async {
            let mut insert = self.store.client.insert::<RemovalRow<'_>>("removals").await?;
            insert.write(&row).await?;
            insert.end().await
        };
        self.store.within("note a removal", noted).await
    }
}

impl RequestRow {
    /// What was stored from then on stays.
    fn stored_before(&self) -> Result<Timestamp, SinkError> {
        let asked_at = Timestamp::from_millis(self.asked_at).map_err(SinkError::Clock)?;
        Ok(asked_at.saturating_add_millis(LATE_MS))
    }
}

impl Open {
    fn of(stage: &str) -> Self {
        if let Some(until) = stage.strip_prefix("rows ") {
            let until = until.parse().ok().and_then(|until| Timestamp::from_millis(until).ok());
            return until.map_or(Self::Nothing, Self::Rows);
        }
        stage.parse().map_or(Self::Nothing, Self::Stage)
    }
}

/// Days, which are in order, as stages: each of one month, and with as many rows as a stage has unless one day has more.
fn stages(days: &[DayRow], until: Timestamp, stored_before: Timestamp) -> Vec<Stage> {
    const DAY_MS: u64 = 86_400_000;
    let mut stages: Vec<(Stage, u64)> = Vec::new();
    for DayRow { day_ms, rows } in days {
        let Ok(day) = Timestamp::from_millis(*day_ms) else { continue };
        let end = day.saturating_add_millis(DAY_MS).min(until);
        match stages.last_mut() {
            Some((stage, of_stage)) if month(stage.from) == month(day) && *of_stage + rows <= STAGE_ROWS => {
                (stage.until, *of_stage) = (end, *of_stage + rows);
            }
            _ => stages.push((Stage { from: day_of(day), until: end, stored_before }, *rows)),
        }
    }
    stages.into_iter().map(|(stage, _)| stage).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_are_of_whole_days_of_one_month_and_bounded() {
        // 2026-06-28 and the days after it.
        let at = |day: i64| 1_782_604_800_000 + day * 86_400_000;
        let days = |days: &[(i64, u64)]| {
            days.iter().map(|&(day, rows)| DayRow { day_ms: at(day), rows }).collect::<Vec<_>>()
        };
        let until = Timestamp::from_millis(at(5) + 60_000).unwrap();
        let check = |of: &[(i64, u64)], expected: &[(i64, i64)]| {
            let found = stages(&days(of), until, Timestamp::MAX);
            let found: Vec<_> =
                found.iter().map(|stage| (stage.from.millis(), stage.until.millis())).collect();
            let whole = |&(from, to): &(i64, i64)| (at(from), at(to).min(until.millis()));
            assert_eq!(found, expected.iter().map(whole).collect::<Vec<_>>());
        };
        check(&[], &[]);
        // June has 30 days; what lies between two days of a stage is in it.
        check(&[(0, 1), (2, 1), (3, 1), (4, 1)], &[(0, 3), (3, 5)]);
        check(&[(0, STAGE_ROWS), (1, 1), (2, STAGE_ROWS * 2)], &[(0, 1), (1, 2), (2, 3)]);
        // The last one ends where it is to.
        check(&[(5, 9)], &[(5, 6)]);
    }

    #[test]
    fn what_was_being_taken_is_read_as_it_was_noted() {
        let time = |millis: i64| Timestamp::from_millis(1_782_604_800_000 + millis).unwrap();
        let stage = Stage { from: time(0), until: time(60_000), stored_before: time(3_600_000) };
        assert!(matches!(Open::of(&stage.to_string()), Open::Stage(found) if found == stage));
        let rows = format!("rows {}", time(5).millis());
        assert!(matches!(Open::of(&rows), Open::Rows(until) if until == time(5)));
        for odd in ["", "rows", "rows x", "1 2", "1 2 3"] {
            assert!(matches!(Open::of(odd), Open::Nothing), "{odd}");
        }
    }
}
