//! The text form, written: parsed again it is the same filter.

use std::fmt;

use crate::{Condition, Filter, Node, NumberTest, Operator, TextTest};

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.root().map_or(Ok(()), |root| root.fmt(f))
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::And(nodes) => joined(f, nodes, " and ", Node::fmt_joined),
            Self::Or(nodes) => joined(f, nodes, " or ", Node::fmt),
            Self::Not(node) => {
                f.write_str("not ")?;
                match **node {
                    Self::And(_) | Self::Or(_) => write!(f, "({node})"),
                    Self::Not(_) | Self::Is(_) => node.fmt(f),
                }
            }
            Self::Is(condition) => condition.fmt(f),
        }
    }
}

impl Node {
    /// As one of several that "and" joins, which binds closer than "or".
    fn fmt_joined(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Or(_) = self { write!(f, "({self})") } else { fmt::Display::fmt(self, f) }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(texts, test) => {
                let operator = test.operator();
                write!(f, "{texts} {operator}")?;
                match test {
                    TextTest::Eq(value)
                    | TextTest::Neq(value)
                    | TextTest::Contains(value)
                    | TextTest::StartsWith(value)
                    | TextTest::Like(value) => write!(f, " {}", quoted(value)),
                    TextTest::In(values) => {
                        f.write_str(" (")?;
                        joined(f, values, ", ", |value, f| quoted(value).fmt(f))?;
                        f.write_str(")")
                    }
                    TextTest::Exists => Ok(()),
                }
            }
            Self::Number(field, NumberTest::Compare(comparison, number)) => {
                write!(f, "{field} {} {number}", comparison.operator())
            }
            Self::Number(field, NumberTest::In(numbers)) => {
                write!(f, "{field} {} (", Operator::In)?;
                joined(f, numbers, ", ", fmt::Display::fmt)?;
                f.write_str(")")
            }
            Self::Number(field, NumberTest::Exists) => write!(f, "{field} {}", Operator::Exists),
            Self::Time(field, comparison, instant) => {
                write!(f, "{field} {} \"{instant}\"", comparison.operator())
            }
            Self::Flag(field, value) => write!(f, "{field} {} {value}", Operator::Eq),
        }
    }
}

impl TextTest {
    const fn operator(&self) -> Operator {
        match self {
            Self::Eq(_) => Operator::Eq,
            Self::Neq(_) => Operator::Neq,
            Self::In(_) => Operator::In,
            Self::Contains(_) => Operator::Contains,
            Self::StartsWith(_) => Operator::StartsWith,
            Self::Like(_) => Operator::Like,
            Self::Exists => Operator::Exists,
        }
    }
}

fn quoted(text: &str) -> serde_json::Value {
    text.into()
}

fn joined<T>(
    f: &mut fmt::Formatter<'_>,
    items: &[T],
    between: &str,
    write: impl Fn(&T, &mut fmt::Formatter<'_>) -> fmt::Result,
) -> fmt::Result {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            f.write_str(between)?;
        }
        write(item, f)?;
    }
    Ok(())
}
