//! The paths of this dialect.

use std::sync::Arc;

use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::Response;

use super::{budgets, ledger, live, live_stream, tail};
use crate::api::app::{App, Call};
use crate::metrics::Route;

/// `GET /v1/live`, `/v1/live/stream`, `/v1/ledger` and `/v1/tail`, and the budgets. The path comes before the method, so that a method that is not offered is told from a path that
/// is not there.
pub(in crate::api) fn routes(app: &Arc<App>) -> BoxedFilter<(Response,)> {
    let live = warp::path!("v1" / "live")
        .and(warp::get())
        .and(Call::filter(app))
        .then(|call: Call| call.answer(Route::Live, async |call| live::live(&call).await));
    let live_stream = warp::path!("v1" / "live" / "stream")
        .and(warp::get())
        .and(Call::filter(app))
        .then(|call: Call| call.answer(Route::LiveStream, async |call| live_stream::live_stream(call).await));
    let ledger = warp::path!("v1" / "ledger")
        .and(warp::get())
        .and(Call::filter(app))
        .then(|call: Call| call.answer(Route::Ledger, async |call| ledger::ledger(&call).await));
    let tail = warp::path!("v1" / "tail")
        .and(warp::get())
        .and(Call::filter(app))
        .then(|call: Call| call.answer(Route::Tail, async |call| tail::tail(call).await));
    live.or(live_stream).unify().or(ledger).unify().or(tail).unify().or(budgets(app)).unify().boxed()
}

fn budgets(app: &Arc<App>) -> BoxedFilter<(Response,)> {
    let all = warp::path!("v1" / "budgets");
    let list = all
        .and(warp::get())
        .and(Call::filter(app))
        .then(|call: Call| call.answer(Route::BudgetList, async |call| budgets::list(&call).await));
    let create =
        all.and(warp::post()).and(Call::filter(app)).and(warp::body::stream()).then(|call: Call, body| {
            call.answer(Route::BudgetCreate, async move |call| budgets::create(&call, body).await)
        });
    let one = warp::path!("v1" / "budgets" / String);
    let get = one.and(warp::get()).and(Call::filter(app)).then(|id: String, call: Call| {
        call.answer(Route::BudgetGet, async move |call| budgets::get(&call, &id).await)
    });
    let change = one.and(warp::put()).and(Call::filter(app)).and(warp::body::stream()).then(
        |id: String, call: Call, body| {
            call.answer(Route::BudgetChange, async move |call| budgets::change(&call, &id, body).await)
        },
    );
    let delete = one.and(warp::delete()).and(Call::filter(app)).then(|id: String, call: Call| {
        call.answer(Route::BudgetDelete, async move |call| budgets::delete(&call, &id).await)
    });
    let of_one = get.or(change).unify().or(delete).unify();
    list.or(create).unify().or(of_one).unify().boxed()
}
