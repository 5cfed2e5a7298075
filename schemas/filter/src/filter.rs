//! Conditions joined by and, or and not, within bounds.

use crate::{Condition, NumberTest, TextTest, Texts};

/// What rows are asked for, checked: within [`Filter::DEPTH_MAX`] and the other bounds, and in one shape for one meaning.
/// The default is every row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    root: Option<Node>,
}

/// Conditions in the making.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// All of them; none is every row.
    And(Vec<Self>),
    /// At least one of them; none is no row.
    Or(Vec<Self>),
    /// Not this.
    Not(Box<Self>),
    /// This.
    Is(Condition),
}

/// A filter that asks for more than is supported at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// Conditions are nested too deeply.
    #[error("conditions are nested more than {} deep", Filter::DEPTH_MAX)]
    Deep,
    /// Too many conditions.
    #[error("more than {} conditions", Filter::CONDITIONS_MAX)]
    ManyConditions,
    /// Too many values.
    #[error("more than {} values", Filter::VALUES_MAX)]
    ManyValues,
    /// Too long values.
    #[error("values of more than {} bytes in all", Filter::BYTES_MAX)]
    Long,
    /// An alternative without any choice: it lets no row through, which nobody asks for.
    #[error("an alternative of nothing")]
    Empty,
}

/// What a filter comes to.
#[derive(Default)]
struct Size {
    conditions: usize,
    values: usize,
    bytes: usize,
}

impl Filter {
    /// How deeply conditions may be nested in and, or and not.
    pub const DEPTH_MAX: usize = 16;
    /// How many conditions there may be.
    pub const CONDITIONS_MAX: usize = 100;
    /// How many values all conditions may have.
    pub const VALUES_MAX: usize = 1_000;
    /// How long all texts may be together, in bytes of UTF-8.
    pub const BYTES_MAX: usize = 32 * 1_024;

    /// Checks conditions, and drops what of their joins means nothing.
    pub fn new(node: Node) -> Result<Self, FilterError> {
        let root = match node.plain(0)? {
            Node::And(all) if all.is_empty() => None,
            node => Some(node),
        };
        let mut size = Size::default();
        if let Some(root) = &root {
            size.add(root);
        }
        size.check()?;
        Ok(Self { root })
    }

    /// All of the conditions, which are none, or one, or joined. No join has less than two, or one of its own sort, in it.
    #[must_use]
    pub const fn root(&self) -> Option<&Node> {
        self.root.as_ref()
    }
}

impl Node {
    fn plain(self, depth: usize) -> Result<Self, FilterError> {
        if depth > Filter::DEPTH_MAX {
            return Err(FilterError::Deep);
        }
        let plain_all = |nodes: Vec<Self>| {
            nodes.into_iter().map(|node| node.plain(depth + 1)).collect::<Result<Vec<_>, _>>()
        };
        match self {
            Self::And(nodes) => {
                let own = |node| if let Self::And(nodes) = node { Ok(nodes) } else { Err(node) };
                Ok(single(flat(plain_all(nodes)?, own)).unwrap_or_else(Self::And))
            }
            Self::Or(nodes) if nodes.is_empty() => Err(FilterError::Empty),
            Self::Or(nodes) => {
                let nodes = plain_all(nodes)?;
                if nodes.iter().any(Self::is_everything) {
                    return Ok(Self::And(Vec::new()));
                }
                let own = |node| if let Self::Or(nodes) = node { Ok(nodes) } else { Err(node) };
                Ok(single(flat(nodes, own)).unwrap_or_else(Self::Or))
            }
            Self::Not(node) => match node.plain(depth + 1)? {
                node if node.is_everything() => Err(FilterError::Empty),
                node => Ok(Self::Not(Box::new(node))),
            },
            Self::Is(condition) => Ok(Self::Is(condition)),
        }
    }

    fn is_everything(&self) -> bool {
        matches!(self, Self::And(nodes) if nodes.is_empty())
    }
}

/// The nodes, with those of a join of the same sort in its place.
fn flat(nodes: Vec<Node>, own: impl Fn(Node) -> Result<Vec<Node>, Node>) -> Vec<Node> {
    nodes.into_iter().flat_map(|node| own(node).unwrap_or_else(|node| vec![node])).collect()
}

/// The only one, or all of them.
pub(crate) fn single(mut nodes: Vec<Node>) -> Result<Node, Vec<Node>> {
    if nodes.len() == 1 { nodes.pop().ok_or_else(Vec::new) } else { Err(nodes) }
}

impl Size {
    fn add(&mut self, node: &Node) {
        match node {
            Node::And(nodes) | Node::Or(nodes) => {
                for node in nodes {
                    self.add(node);
                }
            }
            Node::Not(node) => self.add(node),
            Node::Is(condition) => {
                self.conditions += 1;
                self.add_values(condition);
            }
        }
    }

    fn add_values(&mut self, condition: &Condition) {
        match condition {
            Condition::Text(texts, test) => {
                if let Texts::Entry(name) = texts {
                    self.bytes += name.len();
                }
                match test {
                    TextTest::In(values) => {
                        self.values += values.len();
                        self.bytes += values.iter().map(String::len).sum::<usize>();
                    }
                    TextTest::Eq(value)
                    | TextTest::Neq(value)
                    | TextTest::Contains(value)
                    | TextTest::StartsWith(value)
                    | TextTest::Like(value) => {
                        self.values += 1;
                        self.bytes += value.len();
                    }
                    TextTest::Exists => {}
                }
            }
            Condition::Number(_, NumberTest::In(numbers)) => self.values += numbers.len(),
            Condition::Number(_, _) | Condition::Time(_, _, _) | Condition::Flag(_, _) => self.values += 1,
        }
    }

    const fn check(&self) -> Result<(), FilterError> {
        match self {
            Self { conditions, .. } if *conditions > Filter::CONDITIONS_MAX => {
                Err(FilterError::ManyConditions)
            }
            Self { values, .. } if *values > Filter::VALUES_MAX => Err(FilterError::ManyValues),
            Self { bytes, .. } if *bytes > Filter::BYTES_MAX => Err(FilterError::Long),
            Self { .. } => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FlagField;

    fn cached() -> Node {
        Node::Is(Condition::Flag(FlagField::Cached, true))
    }

    fn text(text: String) -> Node {
        Node::Is(Condition::Text(Texts::Entry(String::new()), TextTest::Eq(text)))
    }

    fn root(node: Node) -> Option<Node> {
        Filter::new(node).unwrap().root().cloned()
    }

    #[test]
    fn joins_that_mean_nothing_are_dropped() {
        assert_eq!(root(Node::And(vec![])), None);
        assert_eq!(root(Node::And(vec![Node::And(vec![]), Node::Or(vec![cached()])])), Some(cached()));
        let nested = Node::And(vec![cached(), Node::And(vec![cached(), cached()])]);
        assert_eq!(root(nested), Some(Node::And(vec![cached(), cached(), cached()])));
        assert_eq!(root(Node::Or(vec![cached(), Node::And(vec![])])), None, "one choice is every row");
    }

    #[test]
    fn what_lets_nothing_through_by_its_shape_is_refused() {
        assert_eq!(Filter::new(Node::Or(vec![])), Err(FilterError::Empty));
        assert_eq!(Filter::new(Node::Not(Box::new(Node::And(vec![])))), Err(FilterError::Empty));
    }

    #[test]
    fn bounds_are_held() {
        let not = |node| Node::Not(Box::new(node));
        let nested = |depth| (0..depth).fold(cached(), |node, _| not(node));
        assert!(Filter::new(nested(Filter::DEPTH_MAX)).is_ok());
        assert_eq!(Filter::new(nested(Filter::DEPTH_MAX + 1)), Err(FilterError::Deep));
        let many = |count| Node::And(vec![cached(); count]);
        assert!(Filter::new(many(Filter::CONDITIONS_MAX)).is_ok());
        assert_eq!(Filter::new(many(Filter::CONDITIONS_MAX + 1)), Err(FilterError::ManyConditions));
        let one_of = |count| {
            let texts = vec![String::new(); count];
            Node::Is(Condition::Text(Texts::Entry(String::new()), TextTest::In(texts)))
        };
        assert!(Filter::new(one_of(Filter::VALUES_MAX)).is_ok());
        assert_eq!(Filter::new(one_of(Filter::VALUES_MAX + 1)), Err(FilterError::ManyValues));
        assert!(Filter::new(text("x".repeat(Filter::BYTES_MAX))).is_ok());
        assert_eq!(Filter::new(text("x".repeat(Filter::BYTES_MAX + 1))), Err(FilterError::Long));
    }
}
