//! All routes together, and what is answered where none matches.

use std::convert::Infallible;
use std::sync::Arc;

use warp::path::FullPath;
use warp::reject::MethodNotAllowed;
use warp::reply::Response;
use warp::{Filter, Rejection};

use super::app::App;
use super::{cloudflare, openapi, weir};
use crate::metrics::Route;

/// Why no route matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unmatched {
    /// There is nothing under this path.
    Path,
    /// There is something, but not for this method.
    Method,
}

/// Every route of this binary. It answers everything itself.
pub fn routes(
    app: &Arc<App>,
) -> impl Filter<Extract = (Response,), Error = Infallible> + Clone + Send + Sync + 'static {
    let app = app.clone();
    let matched = cloudflare::routes(&app).or(weir::routes(&app)).unify().or(openapi::routes(&app)).unify();
    let tried = matched.map(Ok).recover(unmatched).unify();
    warp::path::full().and(tried).then(move |path: FullPath, tried: Result<Response, Unmatched>| {
        let app = app.clone();
        async move {
            match tried {
                Ok(response) => response,
                Err(unmatched) => {
                    app.observer.observe(Route::Unmatched, async { refuse(&path, unmatched) }).await
                }
            }
        }
    })
}

async fn unmatched(rejection: Rejection) -> Result<Result<Response, Unmatched>, Infallible> {
    let method = rejection.find::<MethodNotAllowed>().is_some();
    Ok(Err(if method { Unmatched::Method } else { Unmatched::Path }))
}

/// Answers in the dialect that the path belongs to.
fn refuse(path: &FullPath, unmatched: Unmatched) -> Response {
    let weir = path.as_str().strip_prefix("/v1").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if weir { weir::refuse(unmatched) } else { cloudflare::refuse(path, unmatched) }
}
