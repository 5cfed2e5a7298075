//! The form of PHP and of many query string libraries: `filters[0][key]=…&filters[0][value][]=…`.

use std::collections::BTreeMap;

use super::{ISSUES_MAX, Raw, RawValue, shortened};
use crate::api::cloudflare::envelope::Issue;

/// The largest index that is read; there may not be more filters than this anyway.
const INDEX_MAX: usize = 999;

/// What was sent of a filter. A key and an operator are there once.
#[derive(Debug, Default)]
struct Draft<'v> {
    key: Option<&'v str>,
    operator: Option<&'v str>,
    values: Vec<&'v str>,
}

/// The filters, in the order of their indexes.
pub(super) fn read<'v>(parts: impl Iterator<Item = (&'v str, &'v str)>) -> Result<Vec<Raw>, Vec<Issue>> {
    let mut drafts: BTreeMap<usize, Draft<'_>> = BTreeMap::new();
    let mut issues = Vec::new();
    for (name, value) in parts {
        let read = place(name).and_then(|(index, part)| drafts.entry(index).or_default().add(part, value));
        issues.extend(read.err().map(|message| Issue::of_query(&shortened(name), message)));
    }
    let mut filters = Vec::new();
    for (index, draft) in drafts {
        match draft.finish(index) {
            Ok(filter) => filters.push(filter),
            Err(issue) => issues.push(issue),
        }
    }
    issues.truncate(ISSUES_MAX);
    if issues.is_empty() { Ok(filters) } else { Err(issues) }
}

/// The index and the part that a name is of: `filters[2][value][]` is `value` of 2.
fn place(name: &str) -> Result<(usize, &str), &'static str> {
    const EXPECTED: &str = "Expected filters[0][key], filters[0][operator] or filters[0][value][]";
    let inner = name.strip_prefix("filters[").and_then(|name| name.strip_suffix(']')).ok_or(EXPECTED)?;
    let mut steps = inner.split("][");
    let (index, part, item) = (steps.next(), steps.next(), steps.next());
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let index = index.filter(|index| is_number(index)).and_then(|index| index.parse().ok());
    let index = index.filter(|index| *index <= INDEX_MAX).ok_or(EXPECTED)?;
    match (part, item, steps.next()) {
        (Some(part @ ("key" | "operator" | "value")), None, None) => Ok((index, part)),
        (Some("value"), Some(item), None) if item.is_empty() || is_number(item) => Ok((index, "value")),
        (_, _, _) => Err(EXPECTED),
    }
}

impl<'v> Draft<'v> {
    fn add(&mut self, part: &str, value: &'v str) -> Result<(), &'static str> {
        let once = match part {
            "key" => &mut self.key,
            "operator" => &mut self.operator,
            _ => {
                self.values.push(value);
                return Ok(());
            }
        };
        if once.replace(value).is_some() { Err("Parameter is given more than once") } else { Ok(()) }
    }

    fn finish(self, index: usize) -> Result<Raw, Issue> {
        let required = |part: &str| Issue::of_filter(index, Some(part), "Required");
        Ok(Raw {
            index: Some(index),
            key: self.key.ok_or_else(|| required("key"))?.to_owned(),
            operator: self.operator.ok_or_else(|| required("operator"))?.to_owned(),
            values: self.values.into_iter().map(|value| RawValue::Plain(value.to_owned())).collect(),
        })
    }
}
