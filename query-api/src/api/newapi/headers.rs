//! What stands around every answer: ids, versions, and what pages of other sites may do with it.

use warp::Reply;
use warp::http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE, HOST, HeaderName, HeaderValue, ORIGIN,
};
use warp::http::{HeaderMap, StatusCode};
use warp::reply::Response;

use super::dialect::Dialect;
use crate::api::observer::REQUEST_ID;

const ONEAPI_REQUEST_ID: HeaderName = HeaderName::from_static("x-oneapi-request-id");
const NEW_API_VERSION: HeaderName = HeaderName::from_static("x-new-api-version");

const AUTH_VERSION: HeaderName = HeaderName::from_static("auth-version");
/// A constant of new-api's.
const AUTH_VERSION_OF_NEW_API: &str = "864b7076dbcd0a3c01b5520316720ebf";

/// What is said to be served: clients show it, and what they compare it with has no such names.
pub(super) const VERSION: &str = concat!("weir-", env!("CARGO_PKG_VERSION"));

/// Puts what every answer has on one that has an id.
pub(super) fn mark(response: &mut Response, dialect: Dialect) {
    let headers = response.headers_mut();
    if let Some(id) = headers.get(REQUEST_ID).cloned() {
        headers.insert(ONEAPI_REQUEST_ID, id);
    }
    if dialect.tells_version() {
        headers.insert(NEW_API_VERSION, HeaderValue::from_static(VERSION));
    }
}

/// Puts what only users are told on an answer.
pub(super) fn mark_known(response: &mut Response, dialect: Dialect) {
    if dialect.tells_version() {
        response.headers_mut().insert(AUTH_VERSION, HeaderValue::from_static(AUTH_VERSION_OF_NEW_API));
    }
}

/// Lets pages of other sites read an answer to `asked`.
pub(super) fn share(response: &mut Response, asked: &HeaderMap, dialect: Dialect) {
    if !is_of_other_site(asked) {
        return;
    }
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    if dialect.allows_credentials() {
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
}

/// The answer to a browser that asks what a page of another site may send; nothing where no such one asks.
pub(super) fn preflight(asked: &HeaderMap, dialect: Dialect) -> Option<Response> {
    if !is_of_other_site(asked) {
        return None;
    }
    let mut response = StatusCode::NO_CONTENT.into_response();
    share(&mut response, asked, dialect);
    let headers = response.headers_mut();
    let methods = HeaderValue::from_static("GET,POST,PUT,DELETE,OPTIONS");
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
    let allowed = HeaderValue::from_static(dialect.allowed_headers());
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, allowed);
    // Half a day, in seconds.
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("43200"));
    Some(response)
}

/// Whether a page asks that is not of this host.
fn is_of_other_site(asked: &HeaderMap) -> bool {
    let text = |name| asked.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let Some(origin) = text(ORIGIN).filter(|origin| !origin.is_empty()) else { return false };
    let host = text(HOST).unwrap_or_default();
    !["http://", "https://"].iter().any(|scheme| origin.strip_prefix(scheme) == Some(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_other_sites_may_read_and_are_told_what_they_may_send() {
        let asked = |origin: Option<&'static str>| {
            let origin = origin.map(|origin| (ORIGIN, HeaderValue::from_static(origin)));
            std::iter::once((HOST, HeaderValue::from_static("logs.example:8788")))
                .chain(origin)
                .collect::<HeaderMap>()
        };
        for none in [None, Some("http://logs.example:8788"), Some("https://logs.example:8788")] {
            assert!(preflight(&asked(none), Dialect::Documented).is_none(), "{none:?}");
            let mut response = StatusCode::OK.into_response();
            share(&mut response, &asked(none), Dialect::Upstream09);
            assert!(response.headers().is_empty(), "{none:?}");
        }
        for dialect in Dialect::ALL {
            for origin in ["https://other.example", "http://logs.example", "null"] {
                let response = preflight(&asked(Some(origin)), dialect).unwrap();
                let headers = response.headers();
                assert_eq!(response.status(), StatusCode::NO_CONTENT);
                assert_eq!(headers[ACCESS_CONTROL_ALLOW_ORIGIN], "*");
                assert_eq!(headers[ACCESS_CONTROL_MAX_AGE], "43200");
                let with_cookies = headers.contains_key(ACCESS_CONTROL_ALLOW_CREDENTIALS);
                assert_eq!(with_cookies, dialect != Dialect::Documented);
            }
        }
    }
}
