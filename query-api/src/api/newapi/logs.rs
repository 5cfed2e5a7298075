//! Lists of rows, and statistics over them.

use serde::Serialize;
use warp::http::StatusCode;
use warp::reply::Response;
use weir_event::Timestamp;
use weir_filter::Filter;

use super::caller::{Asked, KeyHolder};
use super::dialect::Stranger;
use super::envelope::{Around, failure, success};
use super::error::Error;
use super::filters::{self, Asker};
use super::listing::{self, Showing};
use super::parameters::{Paging, Parameters};
use crate::api::app::App;
use crate::auth::KnownUser;
use crate::sql::newapi::Slice;
use crate::store::LogsOf;
use crate::view::newapi::UsageView;

/// The most rows that a search finds.
const FOUND_MAX: u32 = 100;
/// The most rows that a relay key is told of: the newest.
const OF_KEY_MAX: u32 = 1_000;
/// What statistics call lately.
const MINUTE_S: i64 = 60;
/// What stands for rows where there are none, and where they are written one by one.
const NO_ROWS: [(); 0] = [];

/// A page of a list, without its rows.
#[derive(Serialize)]
struct PageView {
    page: i64,
    page_size: i64,
    total: u64,
    items: [(); 0],
}

/// `GET /api/log/`: rows of everyone.
pub(super) async fn list(asked: Asked<KnownUser>) -> Result<Response, Error> {
    let logs = asked.caller.user.may_read()?;
    page(&asked, Asker::Admin, &logs).await
}

/// `GET /api/log/self`: the caller's own.
pub(super) async fn own_list(asked: Asked<KnownUser>) -> Result<Response, Error> {
    page(&asked, Asker::User, &asked.caller.user.own_logs()).await
}

/// `GET /api/log/stat`.
pub(super) async fn stat(asked: Asked<KnownUser>) -> Result<Response, Error> {
    let logs = asked.caller.user.may_read()?;
    statistics(&asked, Asker::Admin, &logs).await
}

/// `GET /api/log/self/stat`.
pub(super) async fn own_stat(asked: Asked<KnownUser>) -> Result<Response, Error> {
    statistics(&asked, Asker::User, &asked.caller.user.own_logs()).await
}

/// `GET /api/log/search`.
pub(super) async fn search(asked: Asked<KnownUser>) -> Result<Response, Error> {
    let logs = asked.caller.user.may_read()?;
    found(&asked, Asker::Admin, &logs).await
}

/// `GET /api/log/self/search`.
pub(super) async fn own_search(asked: Asked<KnownUser>) -> Result<Response, Error> {
    found(&asked, Asker::User, &asked.caller.user.own_logs()).await
}

/// `GET /api/log/token`: what a relay key was used for, the newest first.
pub(super) async fn of_key(asked: Asked<KeyHolder>) -> Result<Response, Error> {
    let Asked { app, caller: KeyHolder(held), .. } = &asked;
    let dialect = app.new_api.dialect;
    let Some(held) = held else {
        // As long as it takes to see that a key that is known has none.
        app.store.probe().await?;
        return Ok(success(&NO_ROWS));
    };
    let slice = Slice { before: 0, limit: OF_KEY_MAX };
    let rows = app.store.newapi_rows(&held.logs, &Filter::default(), slice).await?;
    if rows.is_empty() && dialect.stranger() == Stranger::HasNothing {
        app.new_api.keys.delay_as_stranger().await;
    }
    let showing = Showing { dialect, reader: Asker::User, before: 0, names_channels: true };
    listing::respond(app, Around::new(&NO_ROWS), rows, showing).await
}

async fn page(
    asked: &Asked<KnownUser>,
    reader: Asker,
    logs: &(impl LogsOf + Sync),
) -> Result<Response, Error> {
    let app: &App = &asked.app;
    let dialect = app.new_api.dialect;
    let parameters = Parameters::parse(&asked.query)?;
    let filter = filters::list(dialect, reader, &parameters)?;
    let paging = parameters.paging(dialect.page_size());
    let (rows, total) = app.store.newapi_list(logs, &filter, paging.slice()).await?;
    let Paging { page, page_size } = paging;
    let around = Around::new(&PageView { page, page_size, total, items: NO_ROWS });
    let showing = Showing { dialect, reader, before: paging.before(), names_channels: true };
    listing::respond(&asked.app, around, rows, showing).await
}

async fn statistics(
    asked: &Asked<KnownUser>,
    reader: Asker,
    logs: &(impl LogsOf + Sync),
) -> Result<Response, Error> {
    let app: &App = &asked.app;
    let parameters = Parameters::parse(&asked.query)?;
    let filters = filters::stat(app.new_api.dialect, reader, &parameters)?;
    let now_s = app.new_api.users.now_ms().div_euclid(1_000);
    // A clock that is out of all bounds is behind every row, or ahead of them.
    let since = Timestamp::from_millis((now_s - MINUTE_S) * 1_000).unwrap_or(Timestamp::MIN);
    let usage = app.store.newapi_usage(logs, &filters.total, &filters.lately, since).await?;
    Ok(success(&UsageView::from(usage)))
}

async fn found(
    asked: &Asked<KnownUser>,
    reader: Asker,
    logs: &(impl LogsOf + Sync),
) -> Result<Response, Error> {
    let app: &App = &asked.app;
    let dialect = app.new_api.dialect;
    if dialect.has_retired_search() {
        return Ok(failure(StatusCode::OK, None, "该接口已废弃"));
    }
    let parameters = Parameters::parse(&asked.query)?;
    let filter = filters::search(dialect, reader, parameters.text("keyword").unwrap_or_default())?;
    let slice = Slice { before: 0, limit: FOUND_MAX };
    let rows = app.store.newapi_rows(logs, &filter, slice).await?;
    let showing = Showing { dialect, reader, before: 0, names_channels: false };
    listing::respond(&asked.app, Around::new(&NO_ROWS), rows, showing).await
}
