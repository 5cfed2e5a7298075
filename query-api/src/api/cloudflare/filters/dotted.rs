//! The SDKs' form: `filters.key`, `filters.operator` and `filters.value`, each as often as there are filters or values.
//!
//! JavaScript's sends filter after filter. Python's and Go's send all keys, all operators, then all values, and do not say
//! which value is whose: where there are more values than filters, the kinds of the fields have to leave one way only.
//!
//! Python's also leaves out `null` and empty texts, and nothing shows it. For a list a filter is taken to have a value where
//! it may. For a deletion the values have to leave one way also if filters may have lost all of theirs, and a filter is
//! refused that would let more through without a value that it may have lost.

use weir_filter::{Filter, Node, Operator, Value};

use super::{Caution, OPERATORS, Raw, RawValue, field};
use crate::api::cloudflare::envelope::Issue;
use crate::api::cloudflare::filters::shortened;

/// Two ways are one too many, and no more are looked for.
const WAYS_MAX: usize = 2;

/// What is sent of a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Key,
    Operator,
    Value,
}

/// What was sent together.
#[derive(Debug, Default)]
struct Group<'v> {
    keys: Vec<&'v str>,
    operators: Vec<&'v str>,
    values: Vec<RawValue>,
}

/// The filters, in order.
pub(super) fn read<'v>(
    parts: impl Iterator<Item = (&'v str, &'v str)>,
    caution: Caution,
) -> Result<Vec<Raw>, Vec<Issue>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    let (mut first, mut previous) = (None, None);
    for (name, value) in parts {
        let part = Part::named(name).ok_or_else(|| {
            let message = "Expected filters.key, filters.operator or filters.value".to_owned();
            vec![Issue::of_query(&shortened(name), message)]
        })?;
        let first = *first.get_or_insert(part);
        // What began the first filter comes again after something else: the next one begins.
        if previous.is_none() || (part == first && previous != Some(part)) {
            groups.push(Group::default());
        }
        previous = Some(part);
        if let Some(group) = groups.last_mut() {
            match part {
                Part::Key => group.keys.push(value),
                Part::Operator => group.operators.push(value),
                Part::Value => group.values.push(RawValue::Dotted(value.to_owned())),
            }
        }
    }
    // Who writes the parts of each filter in an order of its own has them run into one another.
    if caution == Caution::Deletes && groups.len() > 1 && groups.iter().any(|group| group.keys.len() > 1) {
        let message = "It cannot be told where one filter ends; send filters as one JSON array";
        return Err(vec![Issue::of_query("filters", message.to_owned())]);
    }
    // Who sends filter after filter leaves nothing out.
    let caution = if groups.len() > 1 { Caution::Lists } else { caution };
    let filters = groups.iter().map(|group| group.filters(caution)).collect::<Result<Vec<_>, _>>();
    filters.map(|filters| filters.concat()).map_err(|message| vec![Issue::of_query("filters", message)])
}

impl Part {
    fn named(name: &str) -> Option<Self> {
        match name {
            "filters.key" => Some(Self::Key),
            "filters.operator" => Some(Self::Operator),
            "filters.value" => Some(Self::Value),
            // Any other name is the client's, not ours.
            _ => None,
        }
    }
}

impl Group<'_> {
    fn filters(&self, caution: Caution) -> Result<Vec<Raw>, String> {
        let (keys, values) = (self.keys.len(), self.values.len());
        if keys > Filter::CONDITIONS_MAX || values > Filter::VALUES_MAX {
            return Err(format!("There are {keys} keys and {values} values, more than are supported"));
        }
        if keys != self.operators.len() {
            return Err(format!("There are {keys} keys and {} operators", self.operators.len()));
        }
        if values < keys {
            return Err(format!("There are {keys} keys and {values} values: every filter takes one"));
        }
        if caution == Caution::Deletes
            && let Some(key) = self.keys.iter().zip(&self.operators).find_map(|(key, operator)| {
                (*operator == "neq" && may_lose_values(key, operator)).then_some(key)
            })
        {
            return Err(format!(
                "An empty value of '{key}' with 'neq' may have been left out, and more would be deleted; send filters as one \
                 JSON array"
            ));
        }
        let mut ways = self.ways(keys, values, caution);
        match (ways.pop(), ways.pop()) {
            (Some(lengths), None) if !lengths.contains(&0) => Ok(self.split(&lengths)),
            (Some(_), _) => {
                Err("It cannot be told which value is of which filter; send filters as one JSON array"
                    .to_owned())
            }
            (None, _) => Err("No way to give each filter its values fits their keys".to_owned()),
        }
    }

    /// How many values each filter may have, up to two ways.
    fn ways(&self, keys: usize, values: usize, caution: Caution) -> Vec<Vec<usize>> {
        if keys == 1 {
            return vec![vec![values]];
        }
        if keys == values && caution == Caution::Lists {
            return vec![vec![1; keys]];
        }
        // By the number of values that are given out: the ways to do that among the filters so far.
        let mut ways: Vec<Vec<Vec<usize>>> = vec![Vec::new(); values + 1];
        ways[0].push(Vec::new());
        for (key, operator) in self.keys.iter().zip(&self.operators) {
            let runs = self.runs(key);
            // Of two filters a value that is taken for the other's lets less through. Of more of them it may let through what
            // nobody asked for, whatever their operators: what is no value to us is left out before we can say so.
            let is_there = caution == Caution::Lists || (keys == 2 && !may_lose_values(key, operator));
            let least = usize::from(is_there);
            let mut next: Vec<Vec<Vec<usize>>> = vec![Vec::new(); values + 1];
            for (given, lengths) in ways.iter().enumerate().filter(|(_, lengths)| !lengths.is_empty()) {
                let most = if matches!(*operator, "lt" | "gt") { runs[given].min(1) } else { runs[given] };
                for length in least..=most {
                    let ends = &mut next[given + length];
                    let room = WAYS_MAX.saturating_sub(ends.len());
                    ends.extend(
                        lengths.iter().take(room).map(|lengths| [lengths.as_slice(), &[length]].concat()),
                    );
                }
            }
            ways = next;
        }
        ways.pop().unwrap_or_default()
    }

    /// How many values fit the key from each one on, and none from the end on.
    fn runs(&self, key: &str) -> Vec<usize> {
        let mut runs = vec![0; self.values.len() + 1];
        let field = field(key).ok();
        for (at, value) in self.values.iter().enumerate().rev() {
            let fits = field.as_ref().is_some_and(|field| value.of(field).is_ok());
            runs[at] = if fits { runs[at + 1] + 1 } else { 0 };
        }
        runs
    }

    fn split(&self, lengths: &[usize]) -> Vec<Raw> {
        let mut rest = self.values.as_slice();
        let filters = self.keys.iter().zip(&self.operators).zip(lengths);
        let filters = filters.map(|((key, operator), length)| {
            let (values, others) = rest.split_at(*length);
            rest = others;
            Raw {
                index: None,
                key: (*key).to_owned(),
                operator: (*operator).to_owned(),
                values: values.to_vec(),
            }
        });
        filters.collect()
    }
}

/// Whether a filter can have a value that an SDK leaves out.
fn may_lose_values(key: &str, operator: &str) -> bool {
    let operator: Option<Operator> =
        OPERATORS.iter().find_map(|(name, one)| (*name == operator).then_some(*one));
    let (Ok(field), Some(operator)) = (field(key), operator) else { return false };
    let left_out = [Value::Null, Value::Text(String::new())];
    left_out.into_iter().any(|value| Node::condition(&field, operator, &[value]).is_ok())
}
