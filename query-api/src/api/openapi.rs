//! `GET /openapi.json`: the document of everything that is served. It tells nothing of anybody, so everybody may have it.
//!
//! It is kept by hand, to be read by people as well. Tests hold it against what is understood; the system tests ask the running
//! server what the document says that may be asked.

use std::sync::Arc;

use warp::Filter;
use warp::filters::BoxedFilter;
use warp::http::StatusCode;
use warp::reply::Response;

use super::app::App;
use super::reply::json_text;
use crate::metrics::Route;

const DOCUMENT: &str = include_str!("../../openapi.json");

pub(super) fn routes(app: &Arc<App>) -> BoxedFilter<(Response,)> {
    let app = app.clone();
    warp::path!("openapi.json")
        .and(warp::get())
        .then(move || {
            let app = app.clone();
            async move {
                let answer = async { json_text(StatusCode::OK, DOCUMENT.to_owned()) };
                app.observer.observe(Route::OpenApi, answer).await
            }
        })
        .boxed()
}

#[cfg(test)]
mod tests;
