//! What a message says beside its value: whose it is, and the attributes of a CloudEvent.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rdkafka::message::{Headers, Message};
use weir_event::{AccountId, GatewayId, ScopeError};

use crate::accept::Attributes;
use crate::decode::DecodeError;

const ACCOUNT_HEADER: &str = "weir-account-id";
const GATEWAY_HEADER: &str = "weir-gateway-id";
const CONTENT_TYPE_HEADER: &str = "content-type";
/// How CloudEvents' binding for Kafka begins the names of attributes.
const ATTRIBUTE_PREFIX: &str = "ce_";
/// The attribute that the content type is.
const CONTENT_TYPE_ATTRIBUTE: &str = "datacontenttype";

/// Whose the messages of a topic are where they do not say it themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Whose.
    pub account_id: AccountId,
    /// Which of theirs; where it is not given, a message's key may say it.
    pub gateway_id: Option<GatewayId>,
}

/// What stands beside the value of a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Surroundings {
    /// Whose it is, or why it is nobody's: then it belongs to its topic's account, as a dead letter.
    pub(super) owner: Result<Owner, DecodeError>,
    /// The attributes of a CloudEvent in binary mode.
    pub(super) attributes: Option<Attributes>,
}

/// A header as it came.
type HeaderPair<'a> = (&'a str, Option<&'a [u8]>);

impl Surroundings {
    pub(super) fn of<M: Message>(message: &M, default: &Owner) -> Self {
        // The client panics at a header whose name is not UTF-8. Such a message must not take its partition with it.
        let read = AssertUnwindSafe(|| {
            let headers = message.headers().into_iter().flat_map(Headers::iter);
            Self::read(headers.map(|header| (header.key, header.value)), message.key(), default)
        });
        catch_unwind(read).unwrap_or(Self { owner: Err(DecodeError::Headers), attributes: None })
    }

    fn read<'a>(headers: impl Iterator<Item = HeaderPair<'a>>, key: Option<&[u8]>, default: &Owner) -> Self {
        let (mut account, mut gateway, mut content_type) = (None, None, None);
        let mut attributes: Vec<(String, String)> = Vec::new();
        for (name, value) in headers {
            let name = name.to_ascii_lowercase();
            match name.as_str() {
                ACCOUNT_HEADER => account = value,
                GATEWAY_HEADER => gateway = value,
                CONTENT_TYPE_HEADER => content_type = value.and_then(text),
                // Other headers are not ours.
                _ => attributes.extend(
                    name.strip_prefix(ATTRIBUTE_PREFIX)
                        .and_then(|name| Some((name.to_owned(), text(value?)?.to_owned()))),
                ),
            }
        }
        let owner = owner(account, gateway, key, default).map_err(DecodeError::Address);
        // In structured mode there are none: the value says everything, and is known by what is in it.
        let is_binary_mode = !attributes.is_empty();
        attributes.extend(content_type.map(|kind| (CONTENT_TYPE_ATTRIBUTE.to_owned(), kind.to_owned())));
        Self { owner, attributes: is_binary_mode.then(|| attributes.into_iter().collect()) }
    }
}

/// What is nearest to the message wins: its headers, its key, then what is configured for the topic. A key may be anything
/// (the id of a user, of a session), so it is looked at only where the configuration leaves the gateway open.
fn owner(
    account: Option<&[u8]>,
    gateway: Option<&[u8]>,
    key: Option<&[u8]>,
    default: &Owner,
) -> Result<Owner, ScopeError> {
    let (key_account, key_gateway) = match default.gateway_id {
        Some(_) => (None, None),
        None => key.and_then(of_key).unzip(),
    };
    let account = account.map(|value| text(value).unwrap_or_default().parse()).transpose()?;
    let gateway = gateway.map(|value| text(value).unwrap_or_default().parse()).transpose()?;
    // A key's gateway is one of the key's account, and the configured one of the configured account.
    let of_same_account = |other: &AccountId| account.as_ref().is_none_or(|account| account == other);
    let key_gateway = key_gateway.filter(|_| key_account.as_ref().is_some_and(of_same_account));
    let nearest = account.clone().or(key_account).unwrap_or_else(|| default.account_id.clone());
    let configured = default.gateway_id.clone().filter(|_| nearest == default.account_id);
    Ok(Owner { account_id: nearest, gateway_id: gateway.or(key_gateway).or(configured) })
}

/// `account/gateway`; a key of any other form says nothing.
fn of_key(key: &[u8]) -> Option<(AccountId, GatewayId)> {
    let (account, gateway) = text(key)?.split_once('/')?;
    Some((account.parse().ok()?, gateway.parse().ok()?))
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner_of(text: &str) -> Owner {
        let (account, gateway) = text.split_once('/').map_or((text, None), |(a, g)| (a, Some(g)));
        Owner {
            account_id: account.parse().unwrap(),
            gateway_id: gateway.map(|gateway| gateway.parse().unwrap()),
        }
    }

    fn read(headers: &[(&str, &str)], key: Option<&str>, default: &str) -> Surroundings {
        let headers = headers.iter().map(|(name, value)| (*name, Some(value.as_bytes())));
        Surroundings::read(headers, key.map(str::as_bytes), &owner_of(default))
    }

    #[test]
    fn what_is_nearest_to_the_message_says_whose_it_is() {
        let check = |headers: &[(&str, &str)], key, default, expected| {
            assert_eq!(
                read(headers, key, default).owner,
                Ok(owner_of(expected)),
                "{headers:?} {key:?} {default}"
            );
        };
        let both: &[_] = &[("weir-account-id", "h"), ("Weir-Gateway-Id", "hg")];
        check(&[], None, "acc/gw", "acc/gw");
        check(both, Some("k/kg"), "acc/gw", "h/hg");
        check(both, Some("k/kg"), "acc", "h/hg");
        check(&[], Some("k/kg"), "acc", "k/kg");
        check(&[], Some("k/kg"), "acc/gw", "acc/gw");
        check(&[], Some("user-17"), "acc", "acc");
        check(&[], Some("a/b/c"), "acc", "acc");
        check(&[("weir-gateway-id", "hg")], None, "acc/gw", "acc/hg");
        check(&[("weir-gateway-id", "hg")], Some("k/kg"), "acc", "k/hg");
    }

    #[test]
    fn a_gateway_is_never_given_to_the_account_of_another() {
        let header = |account| [("weir-account-id", account)];
        assert_eq!(read(&header("other"), None, "acc/gw").owner, Ok(owner_of("other")));
        assert_eq!(read(&header("other"), Some("k/kg"), "acc").owner, Ok(owner_of("other")));
        assert_eq!(read(&header("acc"), None, "acc/gw").owner, Ok(owner_of("acc/gw")));
        assert_eq!(read(&header("k"), Some("k/kg"), "acc").owner, Ok(owner_of("k/kg")));
    }

    #[test]
    fn a_header_that_names_nobody_is_not_passed_over() {
        for header in [("weir-account-id", "a b"), ("weir-gateway-id", "GW"), ("weir-account-id", "")] {
            let owner = read(&[header], None, "acc/gw").owner;
            assert!(matches!(owner, Err(DecodeError::Address(_))), "{header:?}: {owner:?}");
        }
        let headers = [("weir-account-id", Some(b"\xff".as_slice()))];
        let read = Surroundings::read(headers.into_iter(), None, &owner_of("acc/gw"));
        assert!(matches!(read.owner, Err(DecodeError::Address(_))), "{read:?}");
    }

    #[test]
    fn attributes_are_those_of_binary_mode() {
        let attributes = |headers: &[(&str, &str)]| {
            let attributes = read(headers, None, "acc/gw").attributes;
            attributes.map(|attributes| {
                attributes.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
            })
        };
        let binary =
            [("ce_id", "7"), ("CE_Source", "/a b"), ("content-type", "application/json"), ("x", "y")];
        assert_eq!(attributes(&binary).unwrap(), "datacontenttype=application/json id=7 source=/a b");
        assert_eq!(attributes(&[("content-type", "application/cloudevents+json")]), None);
        assert_eq!(attributes(&[]), None);
    }
}
