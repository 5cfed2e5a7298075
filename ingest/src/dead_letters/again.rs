//! Reads the record of a letter again, as if it came now.

use std::borrow::Cow;

use sha2::{Digest, Sha256};
use weir_event::{Flag, GatewayId, Source};
use weir_service::clock::SharedClock;

use super::table::Letter;
use crate::accept::{Attributes, Form, Origin, RawRecord};
use crate::pipeline::{Batch, Pipeline, UNDECRYPTABLE};
use crate::redact::WITHHELD;
use crate::sink::{Encoded, LetterEntry, Reread, StatedCost};

/// Reasons of letters of which only the beginning is kept.
const CUT: &str = "line_too_long";
/// Reasons of letters whose transport did not say whose they are: their account is that of their topic.
const OF_NOBODY: [&str; 2] = ["invalid_address", "invalid_headers"];

/// A record names a gateway, and came by the way to another.
const OTHER_GATEWAY: &str = "other_gateway";

/// Reads records.
pub(super) struct Reader {
    pub(super) pipeline: Pipeline,
    /// Where a record goes whose gateway is not known.
    pub(super) into_gateway: Option<GatewayId>,
    pub(super) clock: SharedClock,
}

/// A record that can be read.
pub(super) struct Again {
    pub(super) reread: Reread,
    /// Why fields of it stay closed; empty where none does.
    pub(super) closed: String,
}

/// Why a letter stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stays {
    /// The code of the reason.
    pub(super) reason: Cow<'static, str>,
    /// The reason in words.
    pub(super) detail: String,
}

impl Reader {
    /// Reads a letter's record, or says why it stays.
    pub(super) fn read(&self, letter: &Letter) -> Result<Again, Stays> {
        if letter.reason == CUT {
            return Err(Stays::new(CUT, "only its beginning is kept"));
        }
        if letter.raw == WITHHELD.as_bytes() {
            return Err(Stays::new("withheld", "its gateway's policy kept nothing of it"));
        }
        if OF_NOBODY.contains(&&*letter.reason) && self.into_gateway.is_none() {
            let detail =
                format!("{}; with --into-gateway it goes to that gateway of its account", letter.detail);
            return Err(Stays { reason: letter.reason.clone().into(), detail });
        }
        let origin = self.origin(letter)?;
        let came_as = digest_of(letter)?;
        let attributes: Attributes = letter.attributes.iter().cloned().collect();
        let record = RawRecord {
            came_as: Some(came_as),
            attributes: (!letter.attributes.is_empty()).then_some(&attributes),
            ..RawRecord::whole(letter.position, &letter.raw)
        };
        let batch = self.pipeline.prepare_one(&record, &origin);
        if let Some(refused) = batch.dead_letters.first() {
            let is_whole = came_as == <[u8; 32]>::from(Sha256::digest(&letter.raw));
            let hint = if is_whole { "" } else { " (what is kept of it is not all that came)" };
            return Err(Stays { reason: refused.reason.into(), detail: format!("{}{hint}", refused.detail) });
        }
        let is_beside_event = letter.reason == UNDECRYPTABLE;
        if is_beside_event && batch.events.is_empty() {
            return Err(Stays::new(UNDECRYPTABLE, "nothing to store is found in it any more"));
        }
        if let (Some(pushed_to), Some(event)) = (&origin.gateway_id, batch.events.first()) {
            let named = &event.event().scope.gateway_id;
            // Whoever pushed it may not have been allowed to write there; when it came, nobody got as far as to ask.
            if named != pushed_to && self.into_gateway.as_ref() != Some(named) && !is_beside_event {
                let detail = format!(
                    "it came for the gateway {pushed_to} and names {named}; with --into-gateway {named} it goes there"
                );
                return Err(Stays::new(OTHER_GATEWAY, &detail));
            }
        }
        let closed = batch.sealed_letters.first().map(|letter| letter.detail.clone()).unwrap_or_default();
        let reread = Reread {
            entry: LetterEntry {
                received_at: letter.received_at,
                source: letter.source.clone(),
                account_id: letter.account_id.clone(),
                write_id: letter.write_id,
                subject: subject_of(letter),
            },
            closed: closed_fields(&batch),
            cost: batch.events.first().map(StatedCost::of).unwrap_or_default(),
            batch: Encoded::of(&batch),
            is_beside_event,
        };
        Ok(Again { reread, closed })
    }

    /// Where it came from, as far as that still counts: it is read at this moment.
    fn origin(&self, letter: &Letter) -> Result<Origin, Stays> {
        let unknown = |what: &str| Stays::new("unknown", &format!("this version knows no such {what}"));
        let gateway_id = match letter.gateway_id.as_str() {
            "" => self.into_gateway.clone(),
            gateway => Some(gateway.parse().map_err(|_| unknown("gateway"))?),
        };
        Ok(Origin {
            account_id: letter.account_id.parse().map_err(|_| unknown("account"))?,
            gateway_id,
            source: letter.source.parse::<Source>().map_err(|_| unknown("source"))?,
            form: letter.form.parse::<Form>().map_err(|_| unknown("form"))?,
            batch: letter.batch.clone(),
            received_at_ms: self.clock.now_ms(),
        })
    }
}

impl Stays {
    pub(super) fn new(reason: &'static str, detail: &str) -> Self {
        Self { reason: reason.into(), detail: detail.to_owned() }
    }
}

/// `gateway/digest`, or the digest alone where there is no gateway.
fn subject_of(letter: &Letter) -> String {
    match letter.gateway_id.as_str() {
        "" => letter.digest.clone(),
        gateway => format!("{gateway}/{}", letter.digest),
    }
}

fn digest_of(letter: &Letter) -> Result<[u8; 32], Stays> {
    let bytes = hex::decode(&letter.digest).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| Stays::new("unknown", "its digest is not one"))
}

fn closed_fields(batch: &Batch) -> usize {
    let flags = batch.events.first().map(|event| event.event().flags).unwrap_or_default();
    Flag::OF_CLOSED_FIELDS.iter().filter(|flag| flags.has(**flag)).count()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use weir_service::clock::ManualClock;

    use super::*;
    use crate::dead_letters::testing::letter;
    use crate::price::PriceBook;

    const NOW_MS: i64 = 1_790_000_000_000;
    const EVENT: &str = r#"{"kind":"consume","started_at":"2026-09-01T00:00:00Z","success":true}"#;

    fn reader(into_gateway: Option<&str>) -> Reader {
        Reader {
            pipeline: Pipeline::new(PriceBook::builtin()),
            into_gateway: into_gateway.map(|gateway| gateway.parse().unwrap()),
            clock: Arc::new(ManualClock::at(NOW_MS)),
        }
    }

    /// A letter of a canonical event.
    fn of_event(event: &str) -> Letter {
        let digest = hex::encode(Sha256::digest(event));
        Letter { digest, form: "canonical".to_owned(), attributes: Vec::new(), ..letter(event.as_bytes()) }
    }

    fn gateway_of(again: &Again) -> String {
        again.reread.batch.events().next().unwrap().scope.gateway_id.to_string()
    }

    fn check_stays(reader: &Reader, letter: &Letter, reason: &str, words: &str) {
        let Err(stays) = reader.read(letter) else { panic!("{letter:?}") };
        assert!(stays.reason == reason && stays.detail.contains(words), "{stays:?}");
    }

    #[test]
    fn a_record_goes_where_it_was_pushed_and_else_where_it_is_said() {
        let event = EVENT.replace('{', r#"{"event_id":"1","#);
        let orphan = of_event(&event);
        check_stays(&reader(None), &orphan, "no_gateway", "names a gateway");
        assert_eq!(gateway_of(&reader(Some("chat")).read(&orphan).ok().unwrap()), "chat");
        let pushed = Letter { gateway_id: "own".to_owned(), ..orphan.clone() };
        assert_eq!(gateway_of(&reader(Some("chat")).read(&pushed).ok().unwrap()), "own");
        let of_nobody = Letter { reason: "invalid_address".to_owned(), ..pushed };
        check_stays(&reader(None), &of_nobody, "invalid_address", "--into-gateway");
        assert!(reader(Some("chat")).read(&of_nobody).is_ok());
    }

    #[test]
    fn a_record_that_names_another_gateway_goes_there_only_if_that_is_said() {
        let log = r#"{"Gateway":"other","Datetime":1789000000000000000,"Provider":"openai","Model":"gpt-4o","StatusCode":200}"#;
        let pushed = Letter { form: "logpush".to_owned(), gateway_id: "own".to_owned(), ..of_event(log) };
        check_stays(&reader(None), &pushed, "other_gateway", "--into-gateway other");
        check_stays(&reader(Some("own")), &pushed, "other_gateway", "names other");
        assert_eq!(gateway_of(&reader(Some("other")).read(&pushed).ok().unwrap()), "other");
        let to_the_account = Letter { gateway_id: String::new(), ..pushed };
        assert_eq!(gateway_of(&reader(None).read(&to_the_account).ok().unwrap()), "other");
    }

    #[test]
    fn an_event_is_known_by_its_place_in_a_topic_and_by_its_attributes() {
        let id = |letter: &Letter| {
            reader(Some("gw")).read(letter).ok().unwrap().reread.batch.events().next().unwrap().id
        };
        check_stays(&reader(Some("gw")), &of_event(EVENT), "missing_field", "event_id");
        let at = |offset: u64| Letter {
            source: "kafka".to_owned(),
            batch: "kafka:usage-0".to_owned(),
            position: offset,
            ..of_event(EVENT)
        };
        let named = EVENT.replace('{', r#"{"event_id":"kafka:usage-0-17","#);
        assert_eq!(id(&at(17)), id(&of_event(&named)));
        assert_ne!(id(&at(17)), id(&at(18)));
        let attributes = [("specversion", "1.0"), ("id", "a"), ("source", "/s"), ("type", "weir.usage.v1")];
        let attributes = attributes.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let binary = Letter { form: "events".to_owned(), attributes, ..of_event(EVENT) };
        assert_eq!(id(&binary), id(&of_event(&EVENT.replace('{', r#"{"event_id":"/s a","#))));
    }

    #[test]
    fn what_is_not_kept_whole_stays_and_says_so() {
        let reader = reader(Some("gw"));
        let whole = of_event(&EVENT.replace('{', r#"{"event_id":"1","#));
        let cut = Letter { reason: "line_too_long".to_owned(), ..whole.clone() };
        check_stays(&reader, &cut, "line_too_long", "only its beginning");
        check_stays(&reader, &Letter { raw: b"[withheld]".to_vec(), ..whole.clone() }, "withheld", "policy");
        let head = Letter { raw: whole.raw[..20].to_vec(), ..whole.clone() };
        check_stays(&reader, &head, "malformed_json", "not all that came");
        check_stays(&reader, &Letter { form: "later".to_owned(), ..whole.clone() }, "unknown", "form");
        check_stays(&reader, &Letter { source: "later".to_owned(), ..whole }, "unknown", "source");
    }

    #[test]
    fn a_record_is_read_as_if_it_came_now() {
        let event = |day: &str| {
            of_event(&format!(
                r#"{{"event_id":"1","kind":"consume","started_at":"2026-09-{day}T00:00:00Z","success":true}}"#
            ))
        };
        check_stays(&reader(Some("gw")), &event("25"), "invalid_timestamp", "ahead");
        let later =
            Reader { clock: Arc::new(ManualClock::at(NOW_MS + 4 * 86_400_000)), ..reader(Some("gw")) };
        assert!(later.read(&event("25")).is_ok());
    }
}
