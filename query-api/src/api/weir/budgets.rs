//! `/v1/budgets?account_id=..&gateway_id=..`: what may be used of a gateway, and what is.

use bytes::Buf;
use futures_util::Stream;
use warp::http::StatusCode;
use warp::reply::Response;
use weir_budget::{BudgetId, Terms};

use super::error::Error;
use super::parameters::tenant;
use crate::api::app::Admitted;
use crate::api::reply::json;
use crate::api::request_body::whole;
use crate::view::{BudgetView, BudgetsView};

/// The longest body that is read, in bytes: that of the longest filter, and some more.
const BYTES_MAX: usize = 300_000;

/// `GET /v1/budgets`.
pub(super) async fn list(call: &Admitted) -> Result<Response, Error> {
    let scope = call.principal.may_read(tenant(&call.query).map_err(Error::Invalid)?)?;
    let budgets = call.app.budgets.all(&scope).await?;
    let ways = call.app.budgets.ways(&scope, &budgets).await;
    Ok(json(StatusCode::OK, &BudgetsView::new(budgets, &ways)))
}

/// `POST /v1/budgets`. The body is read when its sender is known.
pub(super) async fn create<B: Buf>(
    call: &Admitted,
    body: impl Stream<Item = Result<B, warp::Error>>,
) -> Result<Response, Error> {
    let scope = call.principal.may_write(tenant(&call.query).map_err(Error::Invalid)?)?;
    let terms = terms(body).await?;
    let budget = call.app.budgets.create(&scope, terms).await?;
    let ways = call.app.budgets.ways(&scope, std::slice::from_ref(&budget)).await;
    Ok(json(StatusCode::CREATED, &BudgetView::new(budget, None, &ways)))
}

/// `GET /v1/budgets/{id}`, with what is used of it.
pub(super) async fn get(call: &Admitted, id: &str) -> Result<Response, Error> {
    let scope = call.principal.may_read(tenant(&call.query).map_err(Error::Invalid)?)?;
    let budget = call.app.budgets.one(&scope, &budget_id(id)?).await?.ok_or(Error::NotFound)?;
    let spent = call.app.budgets.spent(&scope, &budget.terms).await?;
    let ways = call.app.budgets.ways(&scope, std::slice::from_ref(&budget)).await;
    Ok(json(StatusCode::OK, &BudgetView::new(budget, Some(spent), &ways)))
}

/// `PUT /v1/budgets/{id}`: other terms, as a whole.
pub(super) async fn change<B: Buf>(
    call: &Admitted,
    id: &str,
    body: impl Stream<Item = Result<B, warp::Error>>,
) -> Result<Response, Error> {
    let scope = call.principal.may_write(tenant(&call.query).map_err(Error::Invalid)?)?;
    let id = budget_id(id)?;
    let terms = terms(body).await?;
    let budget = call.app.budgets.change(&scope, &id, terms).await?.ok_or(Error::NotFound)?;
    let ways = call.app.budgets.ways(&scope, std::slice::from_ref(&budget)).await;
    Ok(json(StatusCode::OK, &BudgetView::new(budget, None, &ways)))
}

/// `DELETE /v1/budgets/{id}`.
pub(super) async fn delete(call: &Admitted, id: &str) -> Result<Response, Error> {
    let scope = call.principal.may_write(tenant(&call.query).map_err(Error::Invalid)?)?;
    let was_there = call.app.budgets.delete(&scope, &budget_id(id)?).await.map_err(Error::of_change)?;
    if !was_there {
        return Err(Error::NotFound);
    }
    Ok(warp::reply::Reply::into_response(StatusCode::NO_CONTENT))
}

/// What cannot be the id of a budget names none.
fn budget_id(text: &str) -> Result<BudgetId, Error> {
    text.parse().map_err(|_| Error::NotFound)
}

async fn terms<B: Buf>(body: impl Stream<Item = Result<B, warp::Error>>) -> Result<Terms, Error> {
    let body =
        whole(body, BYTES_MAX).await.map_err(|error| Error::Invalid(vec![format!("body: {error}")]))?;
    Terms::from_json(&body)
        .map_err(|problems| Error::Invalid(problems.iter().map(ToString::to_string).collect()))
}
