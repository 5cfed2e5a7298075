//! Logs that are too old: removed while the caller waits, or by a task that can be looked at.
//!
//! Nothing is guessed at: a time that is missing, no number, or in no year that logs are of removes nothing.

use std::time::Duration;

use serde::Serialize;
use warp::reply::Response;
use weir_event::{Scope, Timestamp};

use super::caller::Asked;
use super::envelope::{success, success_saying};
use super::error::{Error, Unfit};
use super::parameters::Parameters;
use crate::auth::{KnownUser, Writable};
use crate::store::{DeletionError, Progress, Removal};

/// How long a client waits at most, until it is told that it goes on without it.
const WAIT_MAX: Duration = Duration::from_secs(15);
/// What a removal is called among tasks.
const KIND: &str = "log_cleanup";
/// What the names of tasks begin with.
const PREFIX: &str = "systask_";
const TASKS_LISTED: u32 = 20;
const TASKS_LISTED_MAX: u32 = 100;

/// A task, as clients know it.
#[derive(Serialize)]
struct TaskView<'t> {
    id: i64,
    task_id: String,
    r#type: &'static str,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    active_key: Option<&'static str>,
    payload: PayloadView,
    state: StateView,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<ResultView>,
    error: &'static str,
    locked_by: &'t str,
    created_at: i64,
    updated_at: i64,
}

#[derive(Serialize)]
struct PayloadView {
    target_timestamp: i64,
    batch_size: u32,
}

#[derive(Serialize)]
struct StateView {
    total: u64,
    processed: u64,
    /// In percent.
    progress: u64,
    remaining: u64,
}

#[derive(Serialize)]
struct ResultView {
    deleted_count: u64,
}

/// `DELETE /api/log/`. The number is how many logs went, or have gone so far where the message says that it goes on.
pub(super) async fn delete(asked: Asked<KnownUser>) -> Result<Response, Error> {
    let Asked { app, query, begun, caller } = asked;
    let dialect = app.new_api.dialect;
    let scope = caller.user.may_write(dialect.removes_logs())?;
    let Some(before) = target(&query)? else { return Ok(success(&0_u64)) };
    let until = begun + WAIT_MAX.min(app.request_timeout * 9 / 10);
    let removed = app.deletions.remove_older(&scope, before, until).await?;
    if removed.is_over {
        return Ok(success(&removed.rows));
    }
    Ok(success_saying(&removed.rows, "清理仍在后台继续 (the cleanup goes on in the background)"))
}

/// `POST /api/system-task/log-cleanup`. Where one is at work it is that one.
pub(super) async fn begin(asked: Asked<KnownUser>) -> Result<Response, Error> {
    let scope = place(&asked)?;
    let before = target(&asked.query)?.ok_or(Unfit::NoTarget)?;
    let deletions = &asked.app.deletions;
    if let Some(active) = deletions.removals(&scope, true, 1).await.map_err(DeletionError::from)?.first() {
        return Ok(success(&TaskView::of(active)));
    }
    let id = deletions.ask_to_remove(&scope, before).await?;
    let task = deletions.removal(&scope, &id).await.map_err(DeletionError::from)?.ok_or(Unfit::NoTask)?;
    Ok(success(&TaskView::of(&task)))
}

/// `GET /api/system-task/current`: null where nothing of this kind is at work.
pub(super) async fn current(asked: Asked<KnownUser>) -> Result<Response, Error> {
    let scope = place(&asked)?;
    let is_ours = Parameters::parse(&asked.query)?.text("type") == Some(KIND);
    let active = asked.app.deletions.removals(&scope, true, 1).await.map_err(DeletionError::from)?;
    Ok(success(&active.first().filter(|_| is_ours).map(TaskView::of)))
}

/// `GET /api/system-task/list`: the newest first.
pub(super) async fn list(asked: Asked<KnownUser>) -> Result<Response, Error> {
    let scope = place(&asked)?;
    let limit = u32::try_from(number(&asked.query, "limit")).ok().filter(|limit| *limit > 0);
    let limit = limit.unwrap_or(TASKS_LISTED).min(TASKS_LISTED_MAX);
    let tasks = asked.app.deletions.removals(&scope, false, limit).await.map_err(DeletionError::from)?;
    Ok(success(&tasks.iter().map(TaskView::of).collect::<Vec<_>>()))
}

/// `GET /api/system-task/:task_id`.
pub(super) async fn task(asked: Asked<KnownUser>, task_id: String) -> Result<Response, Error> {
    let scope = place(&asked)?;
    let id = task_id.strip_prefix(PREFIX).ok_or(Unfit::NoTask)?;
    let task =
        asked.app.deletions.removal(&scope, id).await.map_err(DeletionError::from)?.ok_or(Unfit::NoTask)?;
    Ok(success(&TaskView::of(&task)))
}

/// The tenant that the caller may remove logs of.
fn place(asked: &Asked<KnownUser>) -> Result<Writable<Scope>, Error> {
    Ok(asked.caller.user.may_write(asked.app.new_api.dialect.removes_logs())?)
}

/// The time before which logs go; nothing where that is before all of them.
fn target(query: &str) -> Result<Option<Timestamp>, Unfit> {
    let seconds = match number(query, "target_timestamp") {
        0 => return Err(Unfit::NoTarget),
        seconds => seconds,
    };
    if seconds < Timestamp::MIN.millis() / 1_000 {
        return Ok(None);
    }
    let millis = seconds.checked_mul(1_000).ok_or(Unfit::NoTarget)?;
    Timestamp::from_millis(millis).map(Some).map_err(|_| Unfit::NoTarget)
}

fn number(query: &str, name: &str) -> i64 {
    Parameters::parse(query).map_or(0, |parameters| parameters.number(name))
}

impl<'t> TaskView<'t> {
    fn of(removal: &'t Removal) -> Self {
        /// In new-api's steps; there are none here.
        const BATCH_SIZE: u32 = 100;
        let Removal { total, rows, .. } = *removal;
        let is_done = removal.progress == Progress::Done;
        let status = match removal.progress {
            Progress::Waiting => "pending",
            Progress::Running => "running",
            Progress::Done => "succeeded",
        };
        let progress = if is_done { 100 } else { rows * 100 / total.max(rows).max(1) };
        Self {
            id: removal.asked_at.millis(),
            task_id: format!("{PREFIX}{}", removal.id),
            r#type: KIND,
            status,
            active_key: (!is_done).then_some(KIND),
            payload: PayloadView {
                target_timestamp: removal.before.millis() / 1_000,
                batch_size: BATCH_SIZE,
            },
            state: StateView {
                total: total.max(rows),
                processed: rows,
                progress,
                remaining: total.saturating_sub(rows),
            },
            result: is_done.then_some(ResultView { deleted_count: rows }),
            error: "",
            locked_by: &removal.worker,
            created_at: removal.asked_at.millis() / 1_000,
            updated_at: removal.seen_at.millis() / 1_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_time_of_ours_removes_anything() {
        let time = |seconds: i64| Ok(Timestamp::from_millis(seconds * 1_000).ok());
        for (query, expected) in [
            ("target_timestamp=1782604800", time(1_782_604_800)),
            ("a=1&target_timestamp=1782604800&target_timestamp=1", time(1_782_604_800)),
            // Before every log.
            ("target_timestamp=1", Ok(None)),
            ("target_timestamp=-5", Ok(None)),
            ("", Err(Unfit::NoTarget)),
            ("target_timestamp=", Err(Unfit::NoTarget)),
            ("target_timestamp=0", Err(Unfit::NoTarget)),
            ("target_timestamp=yesterday", Err(Unfit::NoTarget)),
            ("target_timestamp=1782604800.5", Err(Unfit::NoTarget)),
            // Milliseconds, which would be everything.
            ("target_timestamp=1782604800000", Err(Unfit::NoTarget)),
            ("target_timestamp=99999999999999999999", Err(Unfit::NoTarget)),
            ("target_timestamp=%ff", Err(Unfit::NoTarget)),
        ] {
            assert_eq!(target(query), expected, "{query}");
        }
    }

    #[test]
    fn a_task_is_shown_with_the_names_that_clients_know() {
        let time = |millis: i64| Timestamp::from_millis(1_782_604_800_000 + millis).unwrap();
        let removal = Removal {
            id: "x".to_owned(),
            before: time(0),
            asked_at: time(5_000),
            progress: Progress::Running,
            worker: "w".to_owned(),
            total: 8,
            rows: 2,
            seen_at: time(9_999),
        };
        let view = |removal| serde_json::to_string(&TaskView::of(removal)).unwrap();
        assert_eq!(
            view(&removal),
            concat!(
                r#"{"id":1782604805000,"task_id":"systask_x","type":"log_cleanup","status":"running","#,
                r#""active_key":"log_cleanup","payload":{"target_timestamp":1782604800,"batch_size":100},"#,
                r#""state":{"total":8,"processed":2,"progress":25,"remaining":6},"error":"","locked_by":"w","#,
                r#""created_at":1782604805,"updated_at":1782604809}"#
            )
        );
        let done = Removal { progress: Progress::Done, rows: 9, ..removal.clone() };
        assert!(view(&done).contains(r#""progress":100,"remaining":0},"result":{"deleted_count":9}"#));
    }
}
