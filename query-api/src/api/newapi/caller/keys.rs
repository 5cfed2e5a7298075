//! Callers who show a relay key: to see what it was used for, or what is left of it.

use tracing::Span;
use warp::http::header::AUTHORIZATION;

use super::{Caller, Sent, find, text};
use crate::api::newapi::dialect::Stranger;
use crate::api::newapi::error::{Error, Refusal};
use crate::api::query_string::QueryString;
use crate::auth::{KeyLogs, KnownKey, Readable, ShownKey};

/// A relay key with what it was used for.
pub(in crate::api::newapi) struct HeldKey {
    pub(in crate::api::newapi) key: KnownKey,
    pub(in crate::api::newapi) logs: Readable<KeyLogs>,
}

/// Who may see the logs of a key; nothing where strangers are told that they have none.
pub(in crate::api::newapi) struct KeyHolder(pub(in crate::api::newapi) Option<HeldKey>);

/// Who may call models with a key, and so see what is left of it. They are told as OpenAI tells it.
pub(in crate::api::newapi) struct Spender(pub(in crate::api::newapi) HeldKey);

/// Who may see what a key was used for in sum. 1.0 asks no more of them than of [`KeyHolder`], older versions as much as of
/// [`Spender`].
pub(in crate::api::newapi) struct Counter(pub(in crate::api::newapi) HeldKey);

impl Caller for KeyHolder {
    const IS_SHARED: bool = true;
    const IS_CRITICAL: bool = true;

    async fn of(sent: &Sent<'_>) -> Result<Self, Error> {
        let dialect = sent.app.new_api.dialect;
        let query = QueryString::parse(sent.query).unwrap_or_default();
        let parameter = query.iter().find(|(name, _)| *name == "key").map(|(_, value)| value);
        let shown = dialect.relay_key(parameter, text(sent.headers, &AUTHORIZATION));
        let held = match (dialect.stranger(), shown) {
            (Stranger::HasNothing, None) => Err(Refusal::UnknownKey),
            (_, None) => Err(Refusal::NoKey),
            // In whatever state it is, unless it was removed: then it is nobody's.
            (Stranger::HasNothing, Some(shown)) => held(sent, shown, |_| Ok(())).await,
            (Stranger::IsRefused | Stranger::IsTold, Some(shown)) => held(sent, shown, is_enabled).await,
        };
        match held {
            Err(Refusal::UnknownKey) if dialect.stranger() == Stranger::HasNothing => Ok(Self(None)),
            held => Ok(Self(Some(held?))),
        }
    }
}

impl Caller for Spender {
    const IS_SHARED: bool = true;
    const IS_CRITICAL: bool = false;

    async fn of(sent: &Sent<'_>) -> Result<Self, Error> {
        let shown = text(sent.headers, &AUTHORIZATION).map(ShownKey::of_header);
        let shown = shown.map(ShownKey::without_channel).filter(|key| !key.is_empty());
        let now_ms = sent.app.new_api.keys.now_ms();
        let may_call = |key: &KnownKey| {
            let is_over = key.expires_at_ms.is_some_and(|end| end <= now_ms);
            if is_over { Err(Refusal::UnknownKey) } else { is_enabled(key) }
        };
        let held = match shown {
            Some(shown) => held(sent, shown, may_call).await,
            None => Err(Refusal::UnknownKey),
        };
        // Whatever is wrong with a key, it is told as one that is not known.
        held.map(Self).map_err(|refusal| match refusal {
            Refusal::DisabledKey => Error::RefusedAsOpenAi(Refusal::UnknownKey),
            refusal => Error::RefusedAsOpenAi(refusal),
        })
    }
}

impl Caller for Counter {
    const IS_SHARED: bool = true;
    const IS_CRITICAL: bool = false;

    async fn of(sent: &Sent<'_>) -> Result<Self, Error> {
        let dialect = sent.app.new_api.dialect;
        let authorization = text(sent.headers, &AUTHORIZATION);
        let held = match dialect.stranger() {
            Stranger::IsRefused | Stranger::HasNothing => Spender::of(sent).await?.0,
            Stranger::IsTold => {
                let shown = dialect.relay_key(None, authorization).ok_or(Refusal::NoKey)?;
                held(sent, shown, is_enabled).await?
            }
        };
        // Here alone the scheme may not be missing.
        let words: Vec<_> = authorization.unwrap_or_default().split(' ').collect();
        match words[..] {
            [scheme, _] if scheme.eq_ignore_ascii_case("bearer") => Ok(Self(held)),
            _ => Err(Refusal::NotBearer.into()),
        }
    }
}

/// The key that is shown, if it is what `check` asks for.
async fn held(
    sent: &Sent<'_>,
    shown: ShownKey<'_>,
    check: impl Fn(&KnownKey) -> Result<(), Refusal> + Send + Sync,
) -> Result<HeldKey, Refusal> {
    let keys = &sent.app.new_api.keys;
    let found = find(keys, shown.text(), |key| check(key).is_ok()).await?;
    let key = found.ok_or(Refusal::UnknownKey)?;
    check(&key)?;
    Span::current().record("caller", key.label());
    Ok(HeldKey { logs: key.logs(shown), key })
}

fn is_enabled(key: &KnownKey) -> Result<(), Refusal> {
    if !key.is_enabled {
        Err(Refusal::DisabledKey)
    } else if !key.is_owner_enabled {
        Err(Refusal::DisabledOwner)
    } else {
        Ok(())
    }
}
