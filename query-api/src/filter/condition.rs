//! One condition on a log row, and the conjunction of several.

use jiff::Timestamp as Instant;
use weir_event::Timestamp;

/// Conditions that a row has to meet, all of them. None is met by every row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    conditions: Vec<Condition>,
}

/// One condition on a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The call ended at this time or later, in epoch milliseconds.
    CreatedFrom(i64),
    /// The call ended at this time or earlier, in epoch milliseconds.
    CreatedTo(i64),
    /// The field has this value.
    Flag(FlagField, bool),
    /// The field is this text, to the letter. The empty text is that of rows whose source did not say.
    Text(TextField, String),
}

/// A field that is true or false.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlagField {
    /// Whether it went well.
    Success,
    /// Whether the gateway's cache answered.
    Cached,
}

/// A field that is a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextField {
    /// Who ran the model.
    Provider,
    /// The model that answered.
    Model,
    /// What sort of model.
    ModelType,
    /// The request's content type.
    RequestContentType,
    /// The answer's content type.
    ResponseContentType,
}

impl Filter {
    /// Adds a condition.
    pub fn require(&mut self, condition: Condition) {
        self.conditions.push(condition);
    }

    /// The conditions, in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = &Condition> {
        self.conditions.iter()
    }
}

impl Condition {
    /// The rows that ended at `instant` or later. Rows are kept in whole milliseconds, so a finer instant counts as
    /// the millisecond after it.
    #[must_use]
    pub fn created_from(instant: Instant) -> Self {
        let nanos = instant.as_nanosecond();
        let up = i128::from(nanos.rem_euclid(NANOS_PER_MILLI) != 0);
        Self::CreatedFrom(bounded(nanos.div_euclid(NANOS_PER_MILLI) + up))
    }

    /// The rows that ended at `instant` or earlier.
    #[must_use]
    pub fn created_to(instant: Instant) -> Self {
        Self::CreatedTo(bounded(instant.as_nanosecond().div_euclid(NANOS_PER_MILLI)))
    }
}

const NANOS_PER_MILLI: i128 = 1_000_000;

/// Holds a time within one millisecond of what a row can have: the same rows are on either side of it, and the
/// storage can represent it.
fn bounded(millis: i128) -> i64 {
    let (earliest, latest) = (Timestamp::MIN.millis() - 1, Timestamp::MAX.millis() + 1);
    i64::try_from(millis.clamp(earliest.into(), latest.into())).expect("both bounds are 64 bits wide")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, from: i64, to: i64) {
        let instant: Instant = text.parse().unwrap();
        assert_eq!(Condition::created_from(instant), Condition::CreatedFrom(from), "{text}");
        assert_eq!(Condition::created_to(instant), Condition::CreatedTo(to), "{text}");
    }

    #[test]
    fn both_ends_are_inclusive_to_the_millisecond() {
        check("2024-09-30T09:45:41.328Z", 1_727_689_541_328, 1_727_689_541_328);
        check("2024-09-30T09:45:41.3280001Z", 1_727_689_541_329, 1_727_689_541_328);
        check("2024-09-30T17:45:41.328+08:00", 1_727_689_541_328, 1_727_689_541_328);
    }

    #[test]
    fn times_that_no_row_can_have_keep_their_side() {
        let (before, after) = (946_684_799_999, 4_102_444_800_000);
        check("1970-01-01T00:00:00Z", before, before);
        check("1969-12-31T23:59:59.9999999Z", before, before);
        check("9999-01-01T00:00:00Z", after, after);
    }
}
