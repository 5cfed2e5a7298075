//! The paths of this dialect. A slash at the end of one belongs to it: where it is missing, or one too many, clients are sent on.

use std::future::ready;
use std::sync::Arc;

use warp::filters::BoxedFilter;
use warp::http::header::LOCATION;
use warp::http::{HeaderValue, Method, StatusCode};
use warp::path::FullPath;
use warp::reply::Response;
use warp::{Filter, Rejection, Reply};

use super::caller::{Asked, Caller, answer};
use super::dialect::Dialect;
use super::envelope::openai_failure;
use super::error::Error;
use super::rules::Question;
use super::{billing, headers, hours, logs, removal, status};
use crate::api::app::{App, Call};
use crate::api::routes::Stray;
use crate::metrics::Route;

/// What every version offers, as it is written.
pub(super) const OPERATIONS: [(Method, &str); 16] = [
    (Method::GET, "/api/status"),
    (Method::GET, "/api/user/self"),
    (Method::GET, "/api/log/"),
    (Method::GET, "/api/log/stat"),
    (Method::GET, "/api/log/search"),
    (Method::GET, "/api/log/self"),
    (Method::GET, "/api/log/self/stat"),
    (Method::GET, "/api/log/self/search"),
    (Method::GET, "/api/log/token"),
    (Method::GET, "/api/data/"),
    (Method::GET, "/api/data/self"),
    (Method::GET, "/api/usage/token/"),
    (Method::GET, "/dashboard/billing/usage"),
    (Method::GET, "/v1/dashboard/billing/usage"),
    (Method::GET, "/dashboard/billing/subscription"),
    (Method::GET, "/v1/dashboard/billing/subscription"),
];

/// Use by hour and user, where there is that.
pub(super) const HOURS_BY_USER: (Method, &str) = (Method::GET, "/api/data/users");

/// Removal of logs that are too old, where that is done while the caller waits.
pub(super) const DELETE: (Method, &str) = (Method::DELETE, "/api/log/");

/// The same, where it is a task that is asked after. What is in braces is one part of a path.
pub(super) const TASKS: [(Method, &str); 4] = [
    (Method::POST, "/api/system-task/log-cleanup"),
    (Method::GET, "/api/system-task/current"),
    (Method::GET, "/api/system-task/list"),
    (Method::GET, "/api/system-task/{task_id}"),
];

/// The operations.
pub(in crate::api) fn routes(app: &Arc<App>) -> BoxedFilter<(Response,)> {
    let status = get(app, "/api/status", Question::Status, status::status);
    let user = get(app, "/api/user/self", Question::User, status::user);
    let others = status.or(user).unify().or(of_billing(app)).unify();
    others.or(of_logs(app)).unify().or(removal(app)).unify().boxed()
}

/// What holders of relay keys were granted and have used.
fn of_billing(app: &Arc<App>) -> BoxedFilter<(Response,)> {
    let question = Question::Subscription;
    let subscription = get(app, "/dashboard/billing/subscription", question, billing::subscription)
        .or(get(app, "/v1/dashboard/billing/subscription", question, billing::subscription))
        .unify();
    let question = Question::Billing;
    let usage = get(app, "/dashboard/billing/usage", question, billing::usage)
        .or(get(app, "/v1/dashboard/billing/usage", question, billing::usage))
        .unify();
    let of_token = get(app, "/api/usage/token/", Question::KeyUsage, billing::of_token);
    subscription.or(usage).unify().or(of_token).unify().boxed()
}

/// What is asked of rows.
fn of_logs(app: &Arc<App>) -> BoxedFilter<(Response,)> {
    let all = get(app, "/api/log/", Question::List, logs::list)
        .or(get(app, "/api/log/stat", Question::Stat, logs::stat))
        .unify()
        .or(get(app, "/api/log/search", Question::Search, logs::search))
        .unify()
        .or(get(app, "/api/data/", Question::Hours, hours::all))
        .unify();
    let own = get(app, "/api/log/self", Question::OwnList, logs::own_list)
        .or(get(app, "/api/log/self/stat", Question::OwnStat, logs::own_stat))
        .unify()
        .or(get(app, "/api/log/self/search", Question::OwnSearch, logs::own_search))
        .unify()
        .or(get(app, "/api/data/self", Question::OwnHours, hours::own))
        .unify();
    let of_key = get(app, "/api/log/token", Question::OfKey, logs::of_key);
    let of_logs = all.or(own).unify().or(of_key).unify().boxed();
    if !app.new_api.dialect.has_hours_by_user() {
        return of_logs;
    }
    let by_user = get(app, HOURS_BY_USER.1, Question::Hours, hours::by_user);
    of_logs.or(by_user).unify().boxed()
}

fn removal(app: &Arc<App>) -> BoxedFilter<(Response,)> {
    if !app.new_api.dialect.has_tasks() {
        let delete = at(DELETE.1).and(warp::delete()).and(Call::filter(app));
        return delete.then(|call: Call| answer(call, Question::Removal, removal::delete)).boxed();
    }
    let begin = at("/api/system-task/log-cleanup").and(warp::post()).and(Call::filter(app));
    let begin = begin.then(|call: Call| answer(call, Question::Removal, removal::begin));
    let current = get(app, "/api/system-task/current", Question::Removal, removal::current);
    let list = get(app, "/api/system-task/list", Question::Removal, removal::list);
    let task = below("/api/system-task/").and(warp::get()).and(Call::filter(app));
    let task = task.then(|id: String, call: Call| {
        answer(call, Question::Removal, async move |asked| removal::task(asked, id).await)
    });
    begin.or(current).unify().or(list).unify().or(task).unify().boxed()
}

/// Whether a path is of this dialect.
pub(in crate::api) fn owns(path: &str) -> bool {
    ["/api", "/dashboard/billing", "/v1/dashboard/billing"]
        .iter()
        .any(|own| path.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

/// Answers where no route matched.
pub(in crate::api) async fn stray(app: &App, stray: &Stray) -> Response {
    let dialect = app.new_api.dialect;
    let mut response = app.observer.observe(Route::Unmatched, async { led(stray, dialect) }).await;
    headers::mark(&mut response, dialect);
    response
}

fn led(stray: &Stray, dialect: Dialect) -> Response {
    let Stray { method, path, query, headers: asked } = stray;
    let path = path.as_str();
    if *method == Method::OPTIONS
        && let Some(response) = headers::preflight(asked, dialect)
    {
        return response;
    }
    let other = path.strip_suffix('/').map_or_else(|| format!("{path}/"), str::to_owned);
    if offered(dialect).any(|(by, as_written)| by == *method && is(&other, as_written)) {
        return sent_on(method, &other, query);
    }
    let message = format!("Invalid URL ({method} {path})");
    openai_failure(StatusCode::NOT_FOUND, "invalid_request_error", &message)
}

/// What a version offers.
fn offered(dialect: Dialect) -> impl Iterator<Item = (Method, &'static str)> {
    let removals = if dialect.has_tasks() { Vec::from(TASKS) } else { vec![DELETE] };
    let by_user = dialect.has_hours_by_user().then_some(HOURS_BY_USER);
    OPERATIONS.into_iter().chain(removals).chain(by_user)
}

/// Whether a path is what is written so.
fn is(path: &str, as_written: &str) -> bool {
    match as_written.split_once('{') {
        Some((before, _)) => part_below(path, before).is_some(),
        None => path == as_written,
    }
}

/// What a path has behind its beginning, where that is one part and no slash.
fn part_below<'p>(path: &'p str, beginning: &str) -> Option<&'p str> {
    path.strip_prefix(beginning).filter(|part| !part.is_empty() && !part.contains('/'))
}

/// To the same with or without its last slash. What is not only read is asked for again as it was.
fn sent_on(method: &Method, path: &str, query: &str) -> Response {
    let location = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
    let status =
        if *method == Method::GET { StatusCode::MOVED_PERMANENTLY } else { StatusCode::TEMPORARY_REDIRECT };
    let mut response = status.into_response();
    let location = HeaderValue::try_from(location).expect("a path and a query came in a request line");
    response.headers_mut().insert(LOCATION, location);
    response
}

fn get<C, W>(
    app: &Arc<App>,
    path: &'static str,
    question: Question,
    work: impl Fn(Asked<C>) -> W + Clone + Send + Sync + 'static,
) -> BoxedFilter<(Response,)>
where
    C: Caller + 'static,
    W: Future<Output = Result<Response, Error>> + Send + 'static,
{
    at(path)
        .and(warp::get())
        .and(Call::filter(app))
        .then(move |call: Call| answer(call, question, work.clone()))
        .boxed()
}

/// This path, to its last slash.
fn at(path: &'static str) -> impl Filter<Extract = (), Error = Rejection> + Clone + Send + Sync + 'static {
    warp::path::full()
        .and_then(move |full: FullPath| {
            ready(if full.as_str() == path { Ok(()) } else { Err(warp::reject::not_found()) })
        })
        .untuple_one()
}

/// A path of this beginning and one part more, which is given.
fn below(
    beginning: &'static str,
) -> impl Filter<Extract = (String,), Error = Rejection> + Clone + Send + Sync + 'static {
    warp::path::full().and_then(move |full: FullPath| {
        let part = part_below(full.as_str(), beginning).map(str::to_owned);
        ready(part.ok_or_else(warp::reject::not_found))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_braces_is_one_part_of_a_path() {
        let check = |path, expected| assert_eq!(is(path, "/api/system-task/{task_id}"), expected, "{path}");
        check("/api/system-task/systask_1", true);
        for other in ["/api/system-task", "/api/system-task/", "/api/system-task/a/", "/api/system-task/a/b"]
        {
            check(other, false);
        }
        assert!(is("/api/log/", "/api/log/") && !is("/api/log", "/api/log/"));
    }

    #[test]
    fn paths_are_of_this_dialect_by_their_beginning() {
        for own in ["/api", "/api/", "/api/log", "/dashboard/billing/usage", "/v1/dashboard/billing/usage"] {
            assert!(owns(own), "{own}");
        }
        for other in ["/", "/apis", "/v1/live", "/v1/dashboard", "/client/v4"] {
            assert!(!owns(other), "{other}");
        }
    }
}
