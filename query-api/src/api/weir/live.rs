//! `GET /v1/live?account_id=..&gateway_id=..&filter=..&group_by=..&top=..&by=..&window=..`: what happens now.

use warp::http::StatusCode;
use warp::reply::Response;

use super::error::Error;
use super::live_question::{LiveCall, check_window};
use crate::api::app::Admitted;
use crate::api::reply::json;
use crate::view::LiveView;

/// The handler.
pub(super) async fn live(call: &Admitted) -> Result<Response, Error> {
    let LiveCall { scope, question, .. } = LiveCall::parse(&call.query, false).map_err(Error::Invalid)?;
    let scope = call.principal.may_read(scope)?;
    let top = question.top;
    let snapshot = call.app.aggregators.live(&scope, question).await?;
    check_window(&snapshot, top).map_err(|problem| Error::Invalid(vec![problem]))?;
    Ok(json(StatusCode::OK, &LiveView::from(snapshot)))
}
