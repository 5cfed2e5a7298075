//! What the tests of the APIs share.

use weir_event::{RequestType, TokenBucket};

use super::answer::Answer;
use super::api::{Api, Usage};
use super::provider::Provider;

/// What a provider's path says: the model, what was asked, and in which API it is answered.
pub(super) fn check_call(provider: &Provider, path: &str, expected: (Option<&str>, RequestType, &Api)) {
    let call = (provider.call)(path);
    assert_eq!((call.model.as_deref(), call.request_type, call.api), expected, "{path}");
}

/// A usage object comes to these buckets.
pub(super) fn check_buckets(api: &Api, usage: &str, expected: &[(TokenBucket, u64)]) {
    let read = (api.usage)(usage).expect("it is possible");
    assert_eq!(read.tokens.iter().collect::<Vec<_>>(), expected, "{usage}");
}

/// A usage object is not believed.
pub(super) fn check_refused(api: &Api, usage: &str, why: &str) {
    assert_eq!((api.usage)(usage).expect_err("it is impossible").to_string(), why, "{usage}");
}

/// Reads a body as it is, and cut at every offset, within characters too. What a cut body tells is what the whole one
/// tells, or nothing. Returns what the whole one comes to.
pub(super) fn cut_at_every_offset(body: &str, api: &Api) -> Usage {
    let whole = Answer::read(body, api);
    let usage = whole.usage(api).expect("the whole body reports usage").expect("its usage is possible");
    let mut unknown = 0;
    for end in 0..body.len() {
        let cut = String::from_utf8_lossy(&body.as_bytes()[..end]);
        let answer = Answer::read(&cut, api);
        match answer.usage(api) {
            Some(known) => assert_eq!(known.as_ref(), Ok(&usage), "cut at {end}: {cut}"),
            None => unknown += 1,
        }
        for (known, full) in [(&answer.id, &whole.id), (&answer.model, &whole.model)] {
            assert!(known.is_none() || known == full, "cut at {end}: {known:?} for {full:?}");
        }
    }
    assert!(unknown > 0, "usage cannot be known before anything was said");
    usage
}
