//! A row in Weir's own API: every field of the catalogue under its name there.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use weir_filter::{FlagField, NumberField, Row, TextField, TimeField};

/// A row as JSON. What the source did not say is not there, nor a flag that few sources tell and that is not set; so a row has
/// just what a filter would find in it. Numbers have all their digits.
#[derive(Clone, Copy, Debug)]
pub struct RowView<'r, R>(pub &'r R);

impl<R: Row> Serialize for RowView<'_, R> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let row = self.0;
        let mut map = serializer.serialize_map(None)?;
        for field in TimeField::ALL {
            map.serialize_entry(field.name(), &row.time(*field))?;
        }
        let texts = TextField::ALL.iter().map(|field| (field, row.text(*field)));
        for (field, text) in texts.filter(|(_, text)| !text.is_empty()) {
            map.serialize_entry(field.name(), text)?;
        }
        for field in NumberField::ALL {
            if let Some(number) = row.number(*field) {
                let digits = RawValue::from_string(number.normalize().to_string());
                let digits = digits.expect("a decimal prints as a JSON number");
                map.serialize_entry(field.name(), &digits)?;
            }
        }
        let flags = FlagField::ALL.iter().map(|field| (*field, row.flag(*field)));
        for (field, flag) in flags.filter(|(field, flag)| *flag || is_of_every_row(*field)) {
            map.serialize_entry(field.name(), &flag)?;
        }
        if let Some(metadata) = row.metadata() {
            map.serialize_entry("metadata", metadata)?;
        }
        map.end()
    }
}

/// Whether a flag that is false says something.
const fn is_of_every_row(field: FlagField) -> bool {
    match field {
        FlagField::Success | FlagField::Cached | FlagField::Streamed | FlagField::Truncated => true,
        FlagField::CustomCost
        | FlagField::Authentication
        | FlagField::Wholesale
        | FlagField::CompatibilityMode => false,
    }
}

#[cfg(test)]
mod tests {
    use rust_decimal::Decimal;
    use weir_event::{Metadata, Timestamp};

    use super::*;

    struct Sample(Metadata);

    impl Row for Sample {
        fn text(&self, field: TextField) -> &str {
            match field {
                TextField::Model => "gpt \"4o\"",
                // Nothing is known of the others.
                _ => "",
            }
        }

        fn number(&self, field: NumberField) -> Option<Decimal> {
            match field {
                NumberField::Cost => Some("0.005385000000000000".parse().unwrap()),
                NumberField::TokensIn => Some(0.into()),
                NumberField::Quota => Some(i64::MIN.into()),
                // Nothing is known of the others.
                _ => None,
            }
        }

        fn time(&self, _field: TimeField) -> Timestamp {
            "2024-09-30T09:45:41.328Z".parse().unwrap()
        }

        fn flag(&self, field: FlagField) -> bool {
            matches!(field, FlagField::Cached | FlagField::Wholesale)
        }

        fn metadata(&self) -> Option<&Metadata> {
            Some(&self.0)
        }
    }

    #[test]
    fn a_row_has_what_is_known_of_it_to_the_last_digit() {
        let row = Sample(serde_json::from_str(r#"{"team":"search","n":1}"#).unwrap());
        assert_eq!(
            serde_json::to_string(&RowView(&row)).unwrap(),
            r#"{"created_at":"2024-09-30T09:45:41.328Z","started_at":"2024-09-30T09:45:41.328Z","#.to_owned()
                + r#""model":"gpt \"4o\"","cost":0.005385,"tokens_in":0,"quota":-9223372036854775808,"#
                + r#""success":false,"cached":true,"streamed":false,"truncated":false,"wholesale":true,"#
                + r#""metadata":{"n":1,"team":"search"}}"#
        );
    }
}
