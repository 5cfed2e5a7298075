//! The facts about a whole list that go with each page.

use serde::Serialize;
use serde_json::value::RawValue;

use super::number::exact;
use crate::sql::Page;
use crate::store::LogSummary;

/// Cloudflare's `result_info`: all of its 14 fields, over the whole filtered list. An extreme of which no entry has a
/// value is null, which is not 0.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the names are Cloudflare's")]
pub struct ResultInfo {
    pub count: usize,
    pub page: u64,
    pub per_page: u32,
    pub total_count: u64,
    pub min_cost: Option<Box<RawValue>>,
    pub max_cost: Option<Box<RawValue>>,
    pub min_duration: Option<u64>,
    pub max_duration: Option<u64>,
    pub min_tokens_in: Option<u64>,
    pub max_tokens_in: Option<u64>,
    pub min_tokens_out: Option<u64>,
    pub max_tokens_out: Option<u64>,
    pub min_total_tokens: Option<u64>,
    pub max_total_tokens: Option<u64>,
}

impl ResultInfo {
    /// Describes a page of `count` entries.
    #[must_use]
    pub fn new(page: Page, count: usize, summary: &LogSummary) -> Self {
        Self {
            count,
            page: page.number,
            per_page: page.per_page,
            total_count: summary.total_count,
            min_cost: summary.min_cost.map(exact),
            max_cost: summary.max_cost.map(exact),
            min_duration: summary.min_duration,
            max_duration: summary.max_duration,
            min_tokens_in: summary.min_tokens_in,
            max_tokens_in: summary.max_tokens_in,
            min_tokens_out: summary.min_tokens_out,
            max_tokens_out: summary.max_tokens_out,
            min_total_tokens: summary.min_total_tokens,
            max_total_tokens: summary.max_total_tokens,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_fourteen_fields_are_there_and_unknown_is_null() {
        let summary = LogSummary {
            total_count: 3,
            min_cost: Some("0.005385".parse().unwrap()),
            max_cost: Some("12.000000000000000001".parse().unwrap()),
            min_duration: None,
            max_duration: None,
            min_tokens_in: Some(0),
            max_tokens_in: Some(15),
            min_tokens_out: Some(1),
            max_tokens_out: Some(354),
            min_total_tokens: Some(1),
            max_total_tokens: Some(369),
        };
        let info = ResultInfo::new(Page { number: 2, per_page: 1 }, 1, &summary);
        assert_eq!(
            serde_json::to_string(&info).unwrap(),
            r#"{"count":1,"page":2,"per_page":1,"total_count":3,"min_cost":0.005385,"#.to_owned()
                + r#""max_cost":12.000000000000000001,"min_duration":null,"max_duration":null,"#
                + r#""min_tokens_in":0,"max_tokens_in":15,"min_tokens_out":1,"max_tokens_out":354,"#
                + r#""min_total_tokens":1,"max_total_tokens":369}"#
        );
    }
}
