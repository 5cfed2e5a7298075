//! An event in every form that producers write, by itself and as the data of a CloudEvent: the first byte says which form,
//! all else is the record. No bytes panic, none is ignored, and what is read holds together.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use weir_event::{Scope, Source};
use weir_ingest::accept::{Attributes, Form, Origin, RawRecord};
use weir_ingest::decode::{Decoded, decode};
use weir_ingest::normalize::{Arrival, NewApiTypes, normalize_event};
use weir_ingest::price::{PriceBook, PricedEvent};

const FORMS: [Form; 5] =
    [Form::Events, Form::Canonical, Form::CloudEvents, Form::CloudflareLog, Form::NewApiLog];

static BOOK: LazyLock<PriceBook> = LazyLock::new(PriceBook::builtin);

fuzz_target!(|input: &[u8]| {
    let [choice, bytes @ ..] = input else { return };
    let form = FORMS[usize::from(*choice) % FORMS.len()];
    let source = if choice & 64 == 0 { Source::Http } else { Source::Kafka };
    let attributes: Attributes = [("specversion", "1.0"), ("id", "1"), ("source", "/fuzz"), ("type", "any")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into_iter()
        .collect();
    let attributes = (choice & 128 != 0).then_some(&attributes);
    let record = RawRecord { attributes, ..RawRecord::whole(1, bytes) };
    let decoded = match decode(&record, form) {
        Ok(Decoded::Event(event)) => event,
        Ok(other) => panic!("{form:?} is no form of {other:?}"),
        Err(error) => {
            assert!(error.to_string().chars().count() < 1_024 && !error.reason().is_empty());
            return;
        }
    };
    let scope = Scope { account_id: "acc".parse().unwrap(), gateway_id: "gw".parse().unwrap() };
    let origin = Origin {
        account_id: scope.account_id.clone(),
        gateway_id: None,
        source,
        form,
        batch: "fuzz".to_owned(),
        received_at_ms: 1_795_000_000_000,
    };
    let arrival = Arrival::of(&record, &origin, &scope).with_new_api_types(NewApiTypes::Upstream);
    if let Ok(event) = normalize_event(decoded.clone(), &arrival) {
        assert!(event.created_at >= event.started_at && event.id.started_at() == event.started_at);
        assert_eq!(normalize_event(decoded, &arrival).as_ref(), Ok(&event), "an event is the same each time");
        let mut priced = PricedEvent::new(event, &BOOK);
        let mut texts = priced.texts_mut();
        assert!(texts.names().flatten().all(|name| name.chars().count() <= 256));
    }
});
