//! The handlers.

use warp::http::StatusCode;
use warp::reply::Response;
use weir_event::{EventId, Scope};

use super::envelope::{EntryEnvelope, ListEnvelope};
use super::error::Error;
use super::list_query::ListQuery;
use super::tenant::TenantPath;
use crate::api::app::Admitted;
use crate::api::query_string::decode_segment;
use crate::api::reply::{json, json_text};
use crate::auth::Readable;
use crate::sql::BodyPart;
use crate::view::{EntryDetailView, EntryView, ResultInfo, to_json};

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

/// `GET /logs/{id}`.
pub(super) async fn get(call: &Admitted, tenant: &TenantPath, id: &str) -> Result<Response, Error> {
    let app = &call.app;
    let (scope, id) = locate(call, tenant, id)?;
    let (entry, heads) = app.store.entry(&scope, &id).await?.ok_or(Error::NotFound)?;
    let result = EntryDetailView::from_record(entry, heads, app.metadata_form);
    Ok(json(StatusCode::OK, &EntryEnvelope { success: true, result }))
}

/// `GET /logs/{id}/request` and `/response`: the body itself, without an envelope.
pub(super) async fn body(
    call: &Admitted,
    tenant: &TenantPath,
    id: &str,
    part: BodyPart,
) -> Result<Response, Error> {
    let (scope, id) = locate(call, tenant, id)?;
    let body = call.app.store.body(&scope, &id, part).await?.ok_or(Error::NotFound)?;
    Ok(json_text(StatusCode::OK, to_json(body)))
}

/// What cannot be the id of an event, or the name of a tenant, names nothing that is here. Ids are opaque to clients,
/// so none of them is malformed. Query parameters are not looked at: these operations have none.
fn locate(call: &Admitted, tenant: &TenantPath, id: &str) -> Result<(Readable<Scope>, EventId), Error> {
    let scope = tenant.granted(|scope| call.principal.may_read(scope))?.map_err(|_| Error::NotFound)?;
    let id = decode_segment(id).map_err(|_| Error::NotFound)?;
    Ok((scope, id.parse().map_err(|_| Error::NotFound)?))
}
