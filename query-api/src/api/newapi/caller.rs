//! Who is asking: a user, the holder of a relay key, or anyone. What is checked, and in which order, is new-api's.

mod keys;

use std::sync::Arc;

use tokio::time::Instant;
use tracing::Span;
use warp::http::HeaderMap;
use warp::http::header::{ACCEPT_ENCODING, ACCEPT_LANGUAGE, AUTHORIZATION, HeaderName};
use warp::reply::Response;
use weir_service::auth::TokenDigest;

use super::error::{Error, Refusal};
use super::gzip::packed;
use super::headers;
use super::rules::Question;
use crate::api::app::{App, Call, framed};
use crate::auth::{AuthError, Directory, Entry, KnownUser};

pub(super) use keys::{Counter, HeldKey, KeyHolder, Spender};

const NEW_API_USER: HeaderName = HeaderName::from_static("new-api-user");

/// No access token, and no relay key, is longer: what is shown is hashed no further.
const SECRET_BYTES_MAX: usize = 1_024;

/// A call whose caller is known.
pub(super) struct Asked<C> {
    pub(super) app: Arc<App>,
    /// The query string as it was sent; `""` where there is none.
    pub(super) query: String,
    /// When its time began.
    pub(super) begun: Instant,
    /// Who is asking.
    pub(super) caller: C,
}

/// Someone who may be known by a call.
pub(super) trait Caller: Sized + Send {
    /// Whether pages of other sites may ask.
    const IS_SHARED: bool;
    /// Whether it is asked where keys could be tried out: there is a limit for that of its own.
    const IS_CRITICAL: bool;
    /// Whether it is asked as a user.
    const IS_USER: bool = false;

    /// Finds out who sent it.
    fn of(sent: &Sent<'_>) -> impl Future<Output = Result<Self, Error>> + Send;
}

/// What a call is known by.
pub(super) struct Sent<'c> {
    app: &'c App,
    headers: &'c HeaderMap,
    query: &'c str,
}

/// Whoever it is.
pub(super) struct Anyone;

/// Has `work` done if the caller is known and has not asked too often, and answers in any case.
pub(super) async fn answer<C, W>(
    call: Call,
    question: Question,
    work: impl FnOnce(Asked<C>) -> W + Send,
) -> Response
where
    C: Caller,
    W: Future<Output = Result<Response, Error>> + Send,
{
    let Call { app, query, headers, peer } = call;
    let begun = Instant::now();
    let new_api = &app.new_api;
    let dialect = new_api.dialect;
    let language = dialect.language(text(&headers, &ACCEPT_LANGUAGE));
    // A user who is known is told so also where what they ask for fails.
    let mut is_known_user = false;
    let admitted = async {
        new_api.limits.admit(peer, &headers, C::IS_CRITICAL)?;
        let sent = Sent { app: &app, headers: &headers, query: &query };
        let caller = C::of(&sent).await?;
        is_known_user = C::IS_USER;
        work(Asked { app: app.clone(), query: query.clone(), begun, caller }).await
    };
    let respond = |error: Error| error.into_response(dialect, language, question);
    let mut response = framed(&app, question.route(), admitted, respond).await;
    headers::mark(&mut response, dialect);
    if is_known_user {
        headers::mark_known(&mut response, dialect);
    }
    if C::IS_SHARED {
        headers::share(&mut response, &headers, dialect);
    }
    packed(response, text(&headers, &ACCEPT_ENCODING)).await
}

impl Caller for Anyone {
    const IS_SHARED: bool = false;
    const IS_CRITICAL: bool = false;

    async fn of(_sent: &Sent<'_>) -> Result<Self, Error> {
        Ok(Self)
    }
}

impl Caller for KnownUser {
    const IS_USER: bool = true;
    const IS_SHARED: bool = false;
    const IS_CRITICAL: bool = false;

    async fn of(sent: &Sent<'_>) -> Result<Self, Error> {
        let dialect = sent.app.new_api.dialect;
        let authorization = text(sent.headers, &AUTHORIZATION).unwrap_or_default();
        let token = dialect.access_token(authorization).ok_or(Refusal::NoToken)?;
        let users = &sent.app.new_api.users;
        let is_good = |user: &Self| user.is_enabled;
        let known = find(users, &token, is_good).await?.ok_or(Refusal::UnknownToken)?;
        if dialect.asks_for_user() {
            named_as(known.user.id(), text(sent.headers, &NEW_API_USER))?;
        }
        if !known.is_enabled {
            return Err(Refusal::Disabled.into());
        }
        Span::current().record("caller", known.user.label());
        Ok(known)
    }
}

/// Whether the header names the user whose token was shown.
fn named_as(user_id: i64, header: Option<&str>) -> Result<(), Refusal> {
    let named = header.filter(|text| !text.is_empty()).ok_or(Refusal::NoUser)?;
    // Digits with or without a sign: as much as new-api's own language reads.
    let named: i64 = named.parse().map_err(|_| Refusal::NotAUser)?;
    if named == user_id { Ok(()) } else { Err(Refusal::OtherUser) }
}

/// What is known of a secret, good or not. One that is not good takes as long as one that is not known.
async fn find<T: Entry>(
    directory: &Directory<T>,
    secret: &str,
    is_good: impl Fn(&T) -> bool + Send + Sync,
) -> Result<Option<T>, Refusal> {
    if secret.is_empty() || secret.len() > SECRET_BYTES_MAX {
        return Ok(None);
    }
    match directory.find(TokenDigest::of(secret), |entry, _| is_good(entry)).await {
        Ok(entry) => Ok(Some(entry)),
        Err(AuthError::Unavailable) => Err(Refusal::Unavailable),
        Err(AuthError::Missing | AuthError::Malformed | AuthError::Unknown) => Ok(None),
    }
}

/// The first header of a name, where it is text.
fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_named_by_a_whole_number_and_nothing_else() {
        let check = |header, expected| assert_eq!(named_as(7, header), expected, "{header:?}");
        check(None, Err(Refusal::NoUser));
        check(Some(""), Err(Refusal::NoUser));
        for same in ["7", "+7", "007"] {
            check(Some(same), Ok(()));
        }
        for other in ["8", "-7", "0", "-0", "9223372036854775807"] {
            check(Some(other), Err(Refusal::OtherUser));
        }
        for odd in ["alice", "7.0", "0x7", "7_0", " 7", "+", "9223372036854775808", "٧"] {
            check(Some(odd), Err(Refusal::NotAUser));
        }
    }
}
