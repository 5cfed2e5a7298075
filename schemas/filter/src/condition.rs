//! One condition on a row: a field, and what its value has to be. Built from what a dialect read, checked on the way.

use std::fmt;

use jiff::Timestamp as Instant;
use rust_decimal::Decimal;

use crate::{Field, FlagField, Kind, Node, NumberField, Texts, TimeField};

/// One condition. Every row meets it or does not: an unknown number is equal to none, different from all, and neither
/// below nor above any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// On texts. Where metadata has no entry of a name, that is equal to no text and different from all.
    Text(Texts, TextTest),
    /// On a number.
    Number(NumberField, NumberTest),
    /// On a time.
    Time(TimeField, Comparison, Instant),
    /// On what is true or false.
    Flag(FlagField, bool),
}

/// What a text, or any of several, has to be. Texts are equal, and like a pattern, to the letter; parts of them are found
/// whatever their letters' case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextTest {
    /// One is this text.
    Eq(String),
    /// None is this text.
    Neq(String),
    /// One is one of these.
    In(Vec<String>),
    /// One has this in it.
    Contains(String),
    /// One begins with this.
    StartsWith(String),
    /// One is like this pattern, see [`crate::like`].
    Like(String),
    /// There is one, and it is not empty; of metadata, there is one.
    Exists,
}

/// What a number has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NumberTest {
    /// How it compares with this one.
    Compare(Comparison, Decimal),
    /// It is one of these.
    In(Vec<Decimal>),
    /// It is known.
    Exists,
}

/// How two values compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the words say it")]
pub enum Comparison {
    Eq,
    Neq,
    Lt,
    Lte,
    Gt,
    Gte,
}

/// What a condition does with its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the words say it")]
pub enum Operator {
    Eq,
    Neq,
    Lt,
    Lte,
    Gt,
    Gte,
    In,
    Contains,
    StartsWith,
    Like,
    Exists,
}

/// A value as a dialect read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Unknown.
    Null,
    /// True or false.
    Flag(bool),
    /// A number.
    Number(Decimal),
    /// A point in time.
    Time(Instant),
    /// A text, or the text of a time.
    Text(String),
}

/// Why something is not a condition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConditionError {
    /// The kind of the field does not admit the operator.
    #[error("'{field}' is a {} and does not admit '{operator}', only {}", field.kind(), list(field.kind().operators()))]
    Operator {
        /// Of which field.
        field: Field,
        /// The one that it does not admit.
        operator: Operator,
    },
    /// A value is of another kind than the field.
    #[error("'{field}' is compared with {}", expected(field.kind()))]
    Type {
        /// Of which field.
        field: Field,
    },
    /// There is no value.
    #[error("'{operator}' on '{field}' takes a value")]
    NoValue {
        /// Of which field.
        field: Field,
        /// What takes one.
        operator: Operator,
    },
    /// There are too many values.
    #[error("'{operator}' on '{field}' takes {}", if *operator == Operator::Exists { "no value" } else { "one value" })]
    ManyValues {
        /// Of which field.
        field: Field,
        /// What takes fewer.
        operator: Operator,
    },
    /// A part of a text is looked for that is longer than is supported.
    #[error("'{operator}' on '{field}' takes at most {NEEDLE_BYTES_MAX} bytes")]
    LongNeedle {
        /// Of which field.
        field: Field,
        /// What looks for it.
        operator: Operator,
    },
    /// Every text has the empty text in it.
    #[error("'{operator}' on '{field}' takes a text that is not empty")]
    EmptyNeedle {
        /// Of which field.
        field: Field,
        /// What looks for it.
        operator: Operator,
    },
}

/// The longest part of a text that can be looked for, in bytes of UTF-8.
pub const NEEDLE_BYTES_MAX: usize = 1_000;

impl Operator {
    /// Every operator.
    pub const ALL: [Self; 11] = [
        Self::Eq,
        Self::Neq,
        Self::Lt,
        Self::Lte,
        Self::Gt,
        Self::Gte,
        Self::In,
        Self::Contains,
        Self::StartsWith,
        Self::Like,
        Self::Exists,
    ];

    /// As the text form has it.
    #[must_use]
    pub const fn symbol(self) -> &'static str {
        match self {
            Self::Eq => "=",
            Self::Neq => "!=",
            Self::Lt => "<",
            Self::Lte => "<=",
            Self::Gt => ">",
            Self::Gte => ">=",
            Self::In => "in",
            Self::Contains => "contains",
            Self::StartsWith => "starts_with",
            Self::Like => "like",
            Self::Exists => "exists",
        }
    }

    const fn comparison(self) -> Option<Comparison> {
        match self {
            Self::Eq => Some(Comparison::Eq),
            Self::Neq => Some(Comparison::Neq),
            Self::Lt => Some(Comparison::Lt),
            Self::Lte => Some(Comparison::Lte),
            Self::Gt => Some(Comparison::Gt),
            Self::Gte => Some(Comparison::Gte),
            Self::In | Self::Contains | Self::StartsWith | Self::Like | Self::Exists => None,
        }
    }
}

impl Comparison {
    /// The operator that it is.
    #[must_use]
    pub const fn operator(self) -> Operator {
        match self {
            Self::Eq => Operator::Eq,
            Self::Neq => Operator::Neq,
            Self::Lt => Operator::Lt,
            Self::Lte => Operator::Lte,
            Self::Gt => Operator::Gt,
            Self::Gte => Operator::Gte,
        }
    }
}

impl Node {
    /// A condition on `field`. Several values are any of them, and none of them for `!=`; a null stands for what is not
    /// there.
    pub fn condition(field: &Field, operator: Operator, values: &[Value]) -> Result<Self, ConditionError> {
        use Operator as Op;
        let draft = Draft { field, operator };
        let known: Vec<_> = values.iter().filter(|value| **value != Value::Null).cloned().collect();
        let has_null = known.len() < values.len();
        if !field.kind().operators().contains(&operator) {
            return Err(draft.operator());
        }
        match (operator, known.as_slice()) {
            (Op::Exists, _) => match (has_null, field, known.as_slice()) {
                (false, Field::Text(texts), []) => {
                    Ok(Condition::Text(texts.clone(), TextTest::Exists).into())
                }
                (false, Field::Number(number), []) => {
                    Ok(Condition::Number(*number, NumberTest::Exists).into())
                }
                (false, Field::Time(_) | Field::Flag(_), []) => Err(draft.operator()),
                (_, _, _) => Err(draft.many_values()),
            },
            (_, []) if !has_null => Err(draft.no_value()),
            (Op::Neq, []) => Self::condition(field, Op::Exists, &[]).map_err(|_| draft.wrong_type()),
            (Op::Neq, known) if has_null || known.len() > 1 => {
                Ok(Self::Not(Box::new(Self::condition(field, Op::Eq, values)?)))
            }
            (Op::Eq | Op::In, known) if has_null => {
                let absent = Self::condition(field, Op::Exists, &[]).map_err(|_| draft.wrong_type())?;
                let equal =
                    (!known.is_empty()).then(|| Self::condition(field, operator, known)).transpose()?;
                Ok(Self::Or(equal.into_iter().chain([Self::Not(Box::new(absent))]).collect()))
            }
            (_, _) if has_null => Err(draft.wrong_type()),
            (Op::Eq, [_, _, ..]) if matches!(field.kind(), Kind::Text | Kind::Number) => {
                Self::condition(field, Op::In, known.as_slice())
            }
            (Op::Eq | Op::Contains | Op::StartsWith | Op::Like, several @ [_, _, ..]) => {
                let one = |value: &Value| Self::condition(field, operator, std::slice::from_ref(value));
                Ok(Self::Or(several.iter().map(one).collect::<Result<_, _>>()?))
            }
            (Op::In, known) => draft.any_of(known).map(Self::from),
            (_, [value]) => draft.one(value).map(Self::from),
            (_, _) => Err(draft.many_values()),
        }
    }
}

/// A field and an operator whose values are read, and what to say where they cannot be.
#[derive(Clone, Copy)]
struct Draft<'f> {
    field: &'f Field,
    operator: Operator,
}

impl Draft<'_> {
    fn one(self, value: &Value) -> Result<Condition, ConditionError> {
        match self.field {
            Field::Text(texts) => {
                let value = self.text(value)?;
                let test = match self.operator {
                    Operator::Eq => TextTest::Eq(value),
                    Operator::Neq => TextTest::Neq(value),
                    Operator::Contains => TextTest::Contains(self.needle(value)?),
                    Operator::StartsWith => TextTest::StartsWith(self.needle(value)?),
                    Operator::Like => TextTest::Like(self.needle(value)?),
                    _ => return Err(self.operator()),
                };
                Ok(Condition::Text(texts.clone(), test))
            }
            Field::Number(field) => {
                let comparison = self.operator.comparison().ok_or_else(|| self.operator())?;
                Ok(Condition::Number(*field, NumberTest::Compare(comparison, self.number(value)?)))
            }
            Field::Time(field) => {
                let comparison = self.operator.comparison().ok_or_else(|| self.operator())?;
                Ok(Condition::Time(*field, comparison, self.time(value)?))
            }
            Field::Flag(field) => {
                let is_equal = match self.operator {
                    Operator::Eq => true,
                    Operator::Neq => false,
                    _ => return Err(self.operator()),
                };
                Ok(Condition::Flag(*field, self.flag(value)? == is_equal))
            }
        }
    }

    fn any_of(self, values: &[Value]) -> Result<Condition, ConditionError> {
        match self.field {
            Field::Text(texts) => {
                let values = values.iter().map(|value| self.text(value)).collect::<Result<_, _>>()?;
                Ok(Condition::Text(texts.clone(), TextTest::In(values)))
            }
            Field::Number(field) => {
                let values = values.iter().map(|value| self.number(value)).collect::<Result<_, _>>()?;
                Ok(Condition::Number(*field, NumberTest::In(values)))
            }
            Field::Time(_) | Field::Flag(_) => Err(self.operator()),
        }
    }

    fn text(self, value: &Value) -> Result<String, ConditionError> {
        if let Value::Text(text) = value { Ok(text.clone()) } else { Err(self.wrong_type()) }
    }

    fn needle(self, text: String) -> Result<String, ConditionError> {
        let (field, operator) = (self.field.clone(), self.operator);
        match text.len() {
            0 => Err(ConditionError::EmptyNeedle { field, operator }),
            1..=NEEDLE_BYTES_MAX => Ok(text),
            _ => Err(ConditionError::LongNeedle { field, operator }),
        }
    }

    /// Without trailing zeros, so that equal numbers are the same.
    fn number(self, value: &Value) -> Result<Decimal, ConditionError> {
        if let Value::Number(number) = value { Ok(number.normalize()) } else { Err(self.wrong_type()) }
    }

    fn time(self, value: &Value) -> Result<Instant, ConditionError> {
        match value {
            Value::Time(instant) => Ok(*instant),
            Value::Text(text) => text.parse().map_err(|_| self.wrong_type()),
            Value::Null | Value::Flag(_) | Value::Number(_) => Err(self.wrong_type()),
        }
    }

    fn flag(self, value: &Value) -> Result<bool, ConditionError> {
        if let Value::Flag(flag) = value { Ok(*flag) } else { Err(self.wrong_type()) }
    }

    fn operator(self) -> ConditionError {
        ConditionError::Operator { field: self.field.clone(), operator: self.operator }
    }

    fn wrong_type(self) -> ConditionError {
        ConditionError::Type { field: self.field.clone() }
    }

    fn no_value(self) -> ConditionError {
        ConditionError::NoValue { field: self.field.clone(), operator: self.operator }
    }

    fn many_values(self) -> ConditionError {
        ConditionError::ManyValues { field: self.field.clone(), operator: self.operator }
    }
}

impl From<Condition> for Node {
    fn from(condition: Condition) -> Self {
        Self::Is(condition)
    }
}

const fn expected(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "a text",
        Kind::Number => "a number of up to 28 digits",
        Kind::Time => "a time as in RFC 3339",
        Kind::Flag => "true or false",
    }
}

fn list(operators: &[Operator]) -> String {
    let symbols: Vec<_> = operators.iter().map(|operator| format!("'{operator}'")).collect();
    symbols.join(", ")
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.symbol())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FlagField, NumberField, TextField, TimeField};

    fn text(value: &str) -> Value {
        Value::Text(value.to_owned())
    }

    fn model() -> Field {
        Field::Text(Texts::Of(TextField::Model))
    }

    /// The text form of a condition, or what is wrong with it.
    fn read(field: &Field, operator: Operator, values: &[Value]) -> String {
        Node::condition(field, operator, values)
            .map_or_else(|error| error.to_string(), |node| node.to_string())
    }

    #[test]
    fn a_kind_admits_the_operators_that_it_says_and_no_others() {
        for field in Field::all() {
            let value = match field.kind() {
                Kind::Text => text("a"),
                Kind::Number => Value::Number(Decimal::ONE),
                Kind::Time => text("2024-09-30T09:45:41Z"),
                Kind::Flag => Value::Flag(true),
            };
            for operator in Operator::ALL {
                let values =
                    if operator == Operator::Exists { &[][..] } else { std::slice::from_ref(&value) };
                let read = Node::condition(&field, operator, values);
                let is_admitted = field.kind().operators().contains(&operator);
                let error = ConditionError::Operator { field: field.clone(), operator };
                assert_eq!(read.is_ok(), is_admitted, "{field} {operator}: {read:?}");
                assert!(is_admitted || read == Err(error), "{field} {operator}");
            }
        }
    }

    #[test]
    fn several_values_are_any_or_none_of_them() {
        let both = [text("a"), text("b")];
        assert_eq!(read(&model(), Operator::Eq, &both), r#"model in ("a", "b")"#);
        assert_eq!(read(&model(), Operator::Neq, &both), r#"not model in ("a", "b")"#);
        assert_eq!(read(&model(), Operator::Contains, &both), r#"model contains "a" or model contains "b""#);
        let flags = [Value::Flag(true), Value::Flag(false)];
        let cached = Field::Flag(FlagField::Cached);
        assert_eq!(read(&cached, Operator::Eq, &flags), "cached = true or cached = false");
        assert_eq!(read(&cached, Operator::Neq, &flags), "not (cached = true or cached = false)");
    }

    #[test]
    fn null_is_what_is_not_there() {
        let cost = Field::Number(NumberField::Cost);
        let one = Value::Number(Decimal::ONE);
        assert_eq!(read(&cost, Operator::Eq, &[Value::Null]), "not cost exists");
        assert_eq!(read(&cost, Operator::Neq, &[Value::Null]), "cost exists");
        assert_eq!(read(&cost, Operator::Eq, &[one.clone(), Value::Null]), "cost = 1 or not cost exists");
        assert_eq!(read(&cost, Operator::Neq, &[one, Value::Null]), "not (cost = 1 or not cost exists)");
    }

    #[test]
    fn what_is_not_a_condition_is_said_with_the_field_and_the_reason() {
        let created_at = Field::Time(TimeField::CreatedAt);
        let cost = Field::Number(NumberField::Cost);
        let check = |field: &Field, operator, values: &[Value], expected: &str| {
            assert_eq!(read(field, operator, values), expected);
        };
        check(&model(), Operator::Eq, &[], "'=' on 'model' takes a value");
        check(&model(), Operator::Exists, &[text("a")], "'exists' on 'model' takes no value");
        check(&model(), Operator::Eq, &[Value::Flag(true)], "'model' is compared with a text");
        check(&model(), Operator::Contains, &[Value::Null], "'model' is compared with a text");
        check(
            &cost,
            Operator::Gt,
            &[Value::Number(Decimal::ONE), Value::Number(Decimal::TWO)],
            "'>' on 'cost' takes one value",
        );
        check(
            &created_at,
            Operator::Eq,
            &[Value::Null],
            "'created_at' is compared with a time as in RFC 3339",
        );
        let long = text(&"x".repeat(NEEDLE_BYTES_MAX + 1));
        check(&model(), Operator::StartsWith, &[long], "'starts_with' on 'model' takes at most 1000 bytes");
    }
}
