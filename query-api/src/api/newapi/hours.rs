//! What was used, by hour and model, or by hour and user.

use warp::http::StatusCode;
use warp::reply::Response;

use super::caller::Asked;
use super::envelope::{failure, success};
use super::error::Error;
use super::filters;
use super::parameters::Parameters;
use crate::auth::KnownUser;
use crate::sql::newapi::HoursBy;
use crate::store::LogsOf;
use crate::view::newapi::HourView;

/// The longest time that users may ask for at once.
const OWN_SPAN_MAX_S: i64 = 2_592_000;

/// `GET /api/data/`: of everyone together, or of a user who is named.
pub(super) async fn all(asked: Asked<KnownUser>) -> Result<Response, Error> {
    let logs = asked.caller.user.may_read()?;
    let parameters = Parameters::parse(&asked.query)?;
    let user_name = parameters.text("username");
    let by = if user_name.is_some() { HoursBy::UserAndModel } else { HoursBy::Model };
    within(&asked, &logs, bounds(&parameters), user_name, by).await
}

/// `GET /api/data/users`: of everyone, by their names.
pub(super) async fn by_user(asked: Asked<KnownUser>) -> Result<Response, Error> {
    let logs = asked.caller.user.may_read()?;
    let parameters = Parameters::parse(&asked.query)?;
    within(&asked, &logs, bounds(&parameters), None, HoursBy::UserName).await
}

/// `GET /api/data/self`: the caller's own.
pub(super) async fn own(asked: Asked<KnownUser>) -> Result<Response, Error> {
    let parameters = Parameters::parse(&asked.query)?;
    let (start, end) = bounds(&parameters);
    if end.saturating_sub(start) > OWN_SPAN_MAX_S {
        return Ok(failure(StatusCode::OK, None, "时间跨度不能超过 1 个月"));
    }
    within(&asked, &asked.caller.user.own_logs(), (start, end), None, HoursBy::UserAndModel).await
}

async fn within(
    asked: &Asked<KnownUser>,
    logs: &(impl LogsOf + Sync),
    (start, end): (i64, i64),
    user_name: Option<&str>,
    by: HoursBy,
) -> Result<Response, Error> {
    let app = &asked.app;
    let filter = filters::hours(start, end, user_name)?;
    let hours = app.store.newapi_hours(logs, &filter, by).await?;
    let splits = app.new_api.dialect.splits_hours();
    let views: Vec<_> = hours.into_iter().map(|hour| HourView::new(hour, splits)).collect();
    Ok(success(&views))
}

/// As they are told: a bound that is not is 0, and nothing is before that.
fn bounds(parameters: &Parameters) -> (i64, i64) {
    (parameters.number("start_timestamp"), parameters.number("end_timestamp"))
}
