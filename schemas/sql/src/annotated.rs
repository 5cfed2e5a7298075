//! Which fields may have been set after a call was logged. What was said then stands for what an entry's own row has.
//!
//! Few tenants say anything, and then of few entries; so before it is looked at, a tenant is asked for whether there is any.

use std::fmt;

use weir_filter::{Condition, Filter, Node, NumberField, Texts};

use super::condition::Side;
use super::statement::{OF_TENANT, Select};

/// A field that can be set after a call was logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnnotatedField {
    /// What people think of the answer.
    Feedback,
    /// How good the answer was found to be.
    Score,
    /// What the caller attached.
    Metadata,
}

/// Of which fields a tenant has annotations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Annotated([bool; AnnotatedField::ALL.len()]);

/// The table of annotations, ordered by `account_id, gateway_id, field, id`. It has a row of each change until they are
/// merged; `FINAL` reads the last one.
pub const ANNOTATIONS: &str = "annotations";

impl AnnotatedField {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Feedback, Self::Score, Self::Metadata];

    /// Its name in the table.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Feedback => "feedback",
            Self::Score => "score",
            Self::Metadata => "metadata",
        }
    }

    /// The one of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.name() == name)
    }

    /// The one that a condition asks for.
    const fn of(condition: &Condition) -> Option<Self> {
        match condition {
            Condition::Number(NumberField::Feedback, _) => Some(Self::Feedback),
            Condition::Number(NumberField::Score, _) => Some(Self::Score),
            Condition::Text(Texts::AnyEntry(_) | Texts::Entry(_), _) => Some(Self::Metadata),
            Condition::Text(Texts::Of(_), _)
            | Condition::Number(_, _)
            | Condition::Time(_, _, _)
            | Condition::Flag(_, _) => None,
        }
    }
}

impl Annotated {
    /// There are none of any field.
    pub const NONE: Self = Self([false; AnnotatedField::ALL.len()]);

    /// Whether there are any.
    #[must_use]
    pub fn any(self) -> bool {
        self.0.contains(&true)
    }

    /// Whether there are any of this field.
    #[must_use]
    pub const fn has(self, field: AnnotatedField) -> bool {
        self.0[field as usize]
    }
}

impl FromIterator<AnnotatedField> for Annotated {
    fn from_iter<I: IntoIterator<Item = AnnotatedField>>(fields: I) -> Self {
        let mut annotated = Self::default();
        for field in fields {
            annotated.0[field as usize] = true;
        }
        annotated
    }
}

/// Whether the filter asks for what can be annotated. If so its statements have to know of which fields there is any.
#[must_use]
pub fn asks_for_annotated(filter: &Filter) -> bool {
    fn asks(node: &Node) -> bool {
        match node {
            Node::And(nodes) | Node::Or(nodes) => nodes.iter().any(asks),
            Node::Not(node) => asks(node),
            Node::Is(condition) => AnnotatedField::of(condition).is_some(),
        }
    }
    filter.root().is_some_and(asks)
}

impl Select {
    /// A condition on what an entry is said to have, or else has itself. Only where the tenant has annotations of the field
    /// is there more to it than the row, since the ids of all rows have to be read then.
    pub(super) fn condition(&mut self, condition: &Condition) -> String {
        let own = self.condition_on(Side::Row, condition);
        let Some(field) = AnnotatedField::of(condition).filter(|field| self.annotated.has(*field)) else {
            return own;
        };
        let said = self.condition_on(Side::Annotation, condition);
        let of_field = format!("{OF_TENANT} AND field = '{field}'");
        format!(
            "(({own} AND id NOT IN (SELECT id FROM {ANNOTATIONS} WHERE {of_field})) \
             OR id IN (SELECT id FROM {ANNOTATIONS} FINAL WHERE {of_field} AND {said}))"
        )
    }
}

impl fmt::Display for AnnotatedField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
