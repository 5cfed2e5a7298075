//! All routes together, and what is answered where none matches.

use std::convert::Infallible;
use std::sync::Arc;

use warp::http::{HeaderMap, Method};
use warp::path::FullPath;
use warp::reject::MethodNotAllowed;
use warp::reply::Response;
use warp::{Filter, Rejection};

use super::app::App;
use super::{cloudflare, newapi, openapi, weir};
use crate::metrics::Route;

/// Why no route matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unmatched {
    /// There is nothing under this path.
    Path,
    /// There is something, but not for this method.
    Method,
}

/// What is asked for where no route matched.
pub(super) struct Stray {
    pub(super) method: Method,
    pub(super) path: FullPath,
    /// `""` where there is none.
    pub(super) query: String,
    pub(super) headers: HeaderMap,
}

/// Every route of this binary. It answers everything itself.
pub fn routes(
    app: &Arc<App>,
) -> impl Filter<Extract = (Response,), Error = Infallible> + Clone + Send + Sync + 'static {
    let app = app.clone();
    let matched = cloudflare::routes(&app)
        .or(weir::routes(&app))
        .unify()
        .or(newapi::routes(&app))
        .unify()
        .or(openapi::routes(&app))
        .unify();
    let tried = matched.map(Ok).recover(unmatched).unify();
    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    let asked = warp::method().and(warp::path::full()).and(query).and(warp::header::headers_cloned());
    asked.and(tried).then(move |method, path, query, headers, tried: Result<Response, Unmatched>| {
        let app = app.clone();
        async move {
            match tried {
                Ok(response) => response,
                Err(unmatched) => refuse(&app, &Stray { method, path, query, headers }, unmatched).await,
            }
        }
    })
}

async fn unmatched(rejection: Rejection) -> Result<Result<Response, Unmatched>, Infallible> {
    let method = rejection.find::<MethodNotAllowed>().is_some();
    Ok(Err(if method { Unmatched::Method } else { Unmatched::Path }))
}

/// Answers in the dialect that the path belongs to.
async fn refuse(app: &App, stray: &Stray, unmatched: Unmatched) -> Response {
    let path = stray.path.as_str();
    if newapi::owns(path) {
        return newapi::stray(app, stray).await;
    }
    let weir = path.strip_prefix("/v1").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let refused = async {
        if weir { weir::refuse(path, unmatched) } else { cloudflare::refuse(&stray.path, unmatched) }
    };
    app.observer.observe(Route::Unmatched, refused).await
}
