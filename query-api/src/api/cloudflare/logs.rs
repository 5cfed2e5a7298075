//! The handlers.

use std::pin::pin;
use std::time::Duration;

use bytes::Buf;
use futures_util::{Stream, StreamExt};
use warp::http::StatusCode;
use warp::reply::Response;
use weir_event::{EventId, Scope};

use super::delete_query;
use super::envelope::{DoneEnvelope, EmptyResult, EntryEnvelope, Issue, ListEnvelope, PatchedEnvelope};
use super::error::Error;
use super::list_query::ListQuery;
use super::patch_body;
use super::tenant::TenantPath;
use crate::api::app::Admitted;
use crate::api::query_string::decode_segment;
use crate::api::reply::{json, json_text};
use crate::api::request_body::{BodyError, whole};
use crate::auth::Forbidden;
use crate::sql::BodyPart;
use crate::store::Deleted;
use crate::view::{EntryDetailView, EntryView, ResultInfo, to_json};

/// How long a client waits for a deletion at most, until it is told that it goes on without it.
const DELETE_WAIT_MAX: Duration = Duration::from_secs(15);

/// `GET /logs`. A page past the end is empty: SDKs ask for the next page until they get one that is.
pub(super) async fn list(call: &Admitted, tenant: &TenantPath) -> Result<Response, Error> {
    let app = &call.app;
    // First: what is wrong with the parameters is told to those alone who may ask.
    let scope = tenant.granted(|scope| call.principal.may_read(scope))?;
    let (scope, query) = match (scope, ListQuery::parse(&call.query)) {
        (Ok(scope), Ok(query)) => (scope, query),
        (scope, query) => {
            let issues = scope.err().into_iter().chain(query.err()).flatten().collect();
            return Err(Error::Invalid(issues));
        }
    };
    let (entries, summary) = app.store.list(&scope, &query.filter, query.order, query.page).await?;
    let result_info = ResultInfo::new(query.page, entries.len(), &summary);
    let result = entries.into_iter().map(|entry| EntryView::from_record(entry, app.metadata_form)).collect();
    Ok(json(StatusCode::OK, &ListEnvelope { success: true, result, result_info }))
}

/// `DELETE /logs`. A 200 says that none of it can be read any more; a 202 that all of it will be gone.
pub(super) async fn delete<B: Buf>(
    call: &Admitted,
    tenant: &TenantPath,
    body: impl Stream<Item = Result<B, warp::Error>>,
) -> Result<Response, Error> {
    let app = &call.app;
    // The answer has to be on its way before the frame around this says that time is up, a stop hangs up, or a client does:
    // most of them would repeat it by themselves.
    let until = call.begun + DELETE_WAIT_MAX.min(app.request_timeout * 9 / 10);
    let scope = tenant.granted(|scope| call.principal.may_write(scope))?;
    let body = is_empty(body).await;
    let choice = delete_query::parse(&call.query);
    let (Ok(scope), Ok(choice), Ok(())) = (&scope, &choice, &body) else {
        let issues = scope.err().into_iter().chain(choice.err()).flatten().chain(body.err()).collect();
        return Err(Error::Invalid(issues));
    };
    let status = match app.deletions.delete(scope, choice, until).await? {
        Deleted::Gone => StatusCode::OK,
        Deleted::Entered => StatusCode::ACCEPTED,
    };
    Ok(json(status, &DoneEnvelope { success: true }))
}

/// `GET /logs/{id}`.
pub(super) async fn get(call: &Admitted, tenant: &TenantPath, id: &str) -> Result<Response, Error> {
    let app = &call.app;
    let (scope, id) = locate(tenant, id, |scope| call.principal.may_read(scope))?;
    let (entry, heads) = app.store.entry(&scope, &id).await?.ok_or(Error::NotFound)?;
    let result = EntryDetailView::from_record(entry, heads, app.metadata_form);
    Ok(json(StatusCode::OK, &EntryEnvelope { success: true, result }))
}

/// `PATCH /logs/{id}`. The body is read when its sender is known.
pub(super) async fn patch<B: Buf>(
    call: &Admitted,
    tenant: &TenantPath,
    id: &str,
    body: impl Stream<Item = Result<B, warp::Error>>,
) -> Result<Response, Error> {
    let (scope, id) = locate(tenant, id, |scope| call.principal.may_write(scope))?;
    let refused = |error: BodyError| Error::Invalid(vec![Issue::of_body(&[], format!("It {error}"))]);
    let body = whole(body, patch_body::BYTES_MAX).await.map_err(refused)?;
    let annotations = patch_body::read(&body).map_err(Error::Invalid)?;
    let annotated = call.app.store.annotate(&scope, &id, &annotations).await;
    let is_there = annotated.map_err(|error| match error {
        error if error.is_lack_of_rights() => Error::NoRights(error),
        error => error.into(),
    })?;
    if !is_there {
        return Err(Error::NotFound);
    }
    Ok(json(StatusCode::OK, &PatchedEnvelope { success: true, result: EmptyResult::Object {} }))
}

/// `GET /logs/{id}/request` and `/response`: the body itself, without an envelope.
pub(super) async fn body(
    call: &Admitted,
    tenant: &TenantPath,
    id: &str,
    part: BodyPart,
) -> Result<Response, Error> {
    let (scope, id) = locate(tenant, id, |scope| call.principal.may_read(scope))?;
    let body = call.app.store.body(&scope, &id, part).await?.ok_or(Error::NotFound)?;
    Ok(json_text(StatusCode::OK, to_json(body)))
}

/// Whoever sends filters in a body would have all logs deleted if it were not looked at.
async fn is_empty<B: Buf>(body: impl Stream<Item = Result<B, warp::Error>>) -> Result<(), Issue> {
    let mut body = pin!(body);
    while let Some(piece) = body.next().await {
        if piece.map_or(true, |piece| piece.has_remaining()) {
            return Err(Issue::of_body(&[], "Unexpected body: filters are a parameter of the query"));
        }
    }
    Ok(())
}

/// What cannot be the id of an event, or the name of a tenant, names nothing that is here. Ids are opaque to clients,
/// so none of them is malformed. Query parameters are not looked at: these operations have none.
fn locate<P>(
    tenant: &TenantPath,
    id: &str,
    grant: impl FnOnce(Scope) -> Result<P, Forbidden>,
) -> Result<(P, EventId), Error> {
    let scope = tenant.granted(grant)?.map_err(|_| Error::NotFound)?;
    let id = decode_segment(id).map_err(|_| Error::NotFound)?;
    Ok((scope, id.parse().map_err(|_| Error::NotFound)?))
}
