//! The paths of this dialect.

use std::sync::Arc;

use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::Response;

use super::{ledger, live};
use crate::api::app::{App, Call};
use crate::metrics::Route;

/// `GET /v1/live` and `GET /v1/ledger`. The path comes before the method, so that a method that is not offered is told from a path that
/// is not there.
pub(in crate::api) fn routes(app: &Arc<App>) -> BoxedFilter<(Response,)> {
    let live = warp::path!("v1" / "live")
        .and(warp::get())
        .and(Call::filter(app))
        .then(|call: Call| call.answer(Route::Live, async |call| live::live(&call).await));
    let ledger = warp::path!("v1" / "ledger")
        .and(warp::get())
        .and(Call::filter(app))
        .then(|call: Call| call.answer(Route::Ledger, async |call| ledger::ledger(&call).await));
    live.or(ledger).unify().boxed()
}
