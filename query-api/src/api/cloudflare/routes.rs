//! The paths of this dialect.

use std::sync::Arc;

use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::Response;

use super::logs;
use super::tenant::TenantPath;
use crate::api::app::{App, Call};
use crate::metrics::Route;
use crate::sql::BodyPart;

/// The operations. The path comes before the method, so that a method that is not offered is told
/// from a path that is not there.
pub(in crate::api) fn routes(app: &Arc<App>) -> BoxedFilter<(Response,)> {
    let logs =
        warp::path!("client" / "v4" / "accounts" / String / "ai-gateway" / "gateways" / String / "logs" / ..)
            .map(|account_id, gateway_id| TenantPath { account_id, gateway_id });
    let call = warp::get().and(Call::filter(app));

    let list = logs.and(warp::path::end()).and(call.clone()).then(|tenant: TenantPath, call: Call| {
        call.answer(Route::CloudflareList, async move |call| logs::list(&call, &tenant).await)
    });
    let delete = logs
        .and(warp::path::end())
        .and(warp::delete())
        .and(Call::filter(app))
        .and(warp::body::stream())
        .then(|tenant: TenantPath, call: Call, body| {
            call.answer(Route::CloudflareDelete, async move |call| logs::delete(&call, &tenant, body).await)
        });
    let get =
        logs.and(warp::path!(String)).and(call.clone()).then(|tenant: TenantPath, id: String, call: Call| {
            call.answer(Route::CloudflareGet, async move |call| logs::get(&call, &tenant, &id).await)
        });
    let patch = logs
        .and(warp::path!(String))
        .and(warp::patch())
        .and(Call::filter(app))
        .and(warp::body::stream())
        .then(|tenant: TenantPath, id: String, call: Call, body| {
            call.answer(Route::CloudflarePatch, async move |call| {
                logs::patch(&call, &tenant, &id, body).await
            })
        });
    let request = logs.and(warp::path!(String / "request")).and(call.clone()).then(
        |tenant: TenantPath, id: String, call: Call| {
            call.answer(Route::CloudflareRequest, async move |call| {
                logs::body(&call, &tenant, &id, BodyPart::Request).await
            })
        },
    );
    let response = logs.and(warp::path!(String / "response")).and(call).then(
        |tenant: TenantPath, id: String, call: Call| {
            call.answer(Route::CloudflareResponse, async move |call| {
                logs::body(&call, &tenant, &id, BodyPart::Response).await
            })
        },
    );
    let of_one = get.or(patch).unify().or(request).unify().or(response).unify();
    list.or(delete).unify().or(of_one).unify().boxed()
}
