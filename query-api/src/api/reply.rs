//! JSON responses.

use serde::Serialize;
use warp::Reply;
use warp::http::StatusCode;
use warp::http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use warp::reply::Response;

/// How long a client is to wait, in seconds, when a service behind is not there.
const RETRY_AFTER_S: u16 = 1;

/// `body` as JSON.
pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    let text = serde_json::to_string(body).expect("views have names for keys and no value that JSON lacks");
    json_text(status, text)
}

/// `text`, which is JSON already.
pub(super) fn json_text(status: StatusCode, text: String) -> Response {
    let mut response = warp::reply::with_status(text, status).into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The same response with the advice to come again.
pub(super) fn with_retry_after(mut response: Response) -> Response {
    response.headers_mut().insert(RETRY_AFTER, RETRY_AFTER_S.into());
    response
}
