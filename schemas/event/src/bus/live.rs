//! The question for live windows and its answer, and how the answers of several become one.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde::{Deserialize, Serialize};

use crate::{Dimension, Histogram, Measure, Scope, Timestamp, Usd};

/// Asks every aggregator for the live windows that it keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LiveRequest {
    /// Only this tenant's.
    pub scope: Scope,
    /// Only what this lets through, a filter in its text form that asks for nothing but `token`, `model`, `provider`,
    /// `user_id` and `channel_id`; `""` lets everything through.
    pub filter: String,
    /// What rows are told apart by. Without any there is one row, of all that the filter lets through.
    pub group_by: Vec<Dimension>,
    /// Only the first rows by a figure. Aggregators leave out rows only where no other can have a part of them, which is so
    /// where they are grouped by API token: whoever merges answers has to [`LiveSnapshot::keep_top`] again.
    pub top: Option<Top>,
}

/// The first rows by a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Top {
    /// How many.
    pub n: u32,
    /// Those with the most of this.
    pub by: Measure,
    /// In the window of this length in seconds.
    pub window_s: u64,
}

/// An answer to a [`LiveRequest`]: of one shard, of several, or of all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LiveSnapshot {
    /// The clock that the windows end at; of merged answers the earliest.
    pub as_of: Timestamp,
    /// All calls whose rows were announced before this are in the figures; by the clock of the NATS server. `None` where
    /// that is not known of every shard yet.
    pub complete_through: Option<Timestamp>,
    /// False while the rows are known to lack something: an aggregator has not yet read the past back from ClickHouse, a
    /// shard did not answer, or there are more rows than fit into one message.
    pub complete: bool,
    /// Whose answers these are, in order.
    pub shards: Vec<u16>,
    /// Calls of the tenant that ended in the longest window and were told of more than a minute after they had ended.
    pub late: u64,
    /// Sorted by the names of the groups, those of the rest behind the others. Rows of nothing are left out.
    pub rows: Vec<LiveRow>,
}

/// The windows of one group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LiveRow {
    /// The API token, `""` where it is unknown. This and the other names are `None` where rows are not grouped by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Who ran the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The user's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The upstream channel's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// Whether this is what was counted without names, because there are more than are kept: the rest of the tenant's
    /// calls, whatever was filtered by. Its names are `None`. All rows with it are what the tenant had, exactly.
    pub rest: bool,
    /// A window that begins at this time or later has all of the group; one that begins earlier may lack what is in the
    /// rest. `None`: all windows are whole. On the rest itself: from then on there is nothing in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exact_since: Option<Timestamp>,
    /// The windows, shortest first.
    pub windows: Vec<LiveWindow>,
}

/// What happened in one sliding window.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LiveWindow {
    /// The window's length in seconds; it ends at `as_of`.
    pub window_s: u64,
    /// Requests that ended in it.
    pub requests: u64,
    /// Those of them that failed.
    pub errors: u64,
    /// Those of them that the gateway's cache answered.
    pub cached: u64,
    /// Those of them whose cost is unknown.
    pub unpriced: u64,
    /// Input tokens.
    pub tokens_in: u64,
    /// Output tokens.
    pub tokens_out: u64,
    /// Of the input tokens those that the provider had in its cache.
    pub tokens_cache_read: u64,
    /// Of the input tokens those that were written to the provider's cache.
    pub tokens_cache_write: u64,
    /// Of the output tokens those that are reasoning.
    pub tokens_reasoning: u64,
    /// The known costs, summed.
    pub cost: Usd,
    /// How long requests took, in milliseconds, of those of which it is known. Of windows above two hours it has all
    /// requests of the hours that begin in the window.
    pub duration: Histogram,
    /// Milliseconds to the first token, of those requests of which it is known, in the same way.
    pub time_to_first_token: Histogram,
}

/// What two answers must have in common to be about one row, and what rows are sorted by: whether it is the rest, and the
/// names.
pub type Group = (bool, [Option<String>; 5]);

impl LiveSnapshot {
    /// One answer of several, of different shards, to one question; `None` of none. It claims no more than the least of
    /// them. An answer of no shard knows nothing of any call, and counts only where there is no other.
    pub fn merge(parts: impl IntoIterator<Item = Self>) -> Option<Self> {
        let (of_shards, of_none): (Vec<_>, Vec<_>) =
            parts.into_iter().partition(|part| !part.shards.is_empty());
        let mut parts = if of_shards.is_empty() { of_none } else { of_shards }.into_iter();
        let mut merged = parts.next()?;
        let mut rows: BTreeMap<Group, LiveRow> = BTreeMap::new();
        let mut held = collect(&mut rows, std::mem::take(&mut merged.rows));
        for part in parts {
            merged.as_of = merged.as_of.min(part.as_of);
            merged.complete_through = merged.complete_through.min(part.complete_through);
            merged.complete &= part.complete;
            merged.shards.extend(part.shards);
            merged.late = merged.late.saturating_add(part.late);
            held |= collect(&mut rows, part.rows);
        }
        merged.shards.sort_unstable();
        merged.complete &= !held;
        merged.rows = rows.into_values().collect();
        merged.doubt_what_may_be_in_the_rest();
        Some(merged)
    }

    /// Leaves only the rows with the most of a figure, and the rest.
    pub fn keep_top(&mut self, top: Top) {
        self.rows.sort_by_cached_key(|row| (!row.rest, Reverse(row.measure(top))));
        let rests = self.rows.iter().take_while(|row| row.rest).count();
        self.rows.truncate(rests.saturating_add(usize::try_from(top.n).unwrap_or(usize::MAX)));
        self.rows.sort_by_cached_key(LiveRow::group);
    }

    /// A group that may be in several shards may be in the rest of one that has no row of it.
    fn doubt_what_may_be_in_the_rest(&mut self) {
        let doubts = self.rows.iter().filter(|row| row.rest).map(|row| row.exact_since).max().flatten();
        for row in self.rows.iter_mut().filter(|row| !row.rest && row.token.is_none()) {
            row.exact_since = row.exact_since.max(doubts);
        }
    }
}

/// Adds rows to those of the same group. Gives whether a cost left the range.
fn collect(rows: &mut BTreeMap<Group, LiveRow>, others: Vec<LiveRow>) -> bool {
    let mut held = false;
    for other in others {
        match rows.entry(other.group()) {
            Entry::Vacant(place) => {
                place.insert(other);
            }
            Entry::Occupied(mut row) => held |= row.get_mut().merge(other),
        }
    }
    held
}

impl LiveRow {
    /// The name that it has of a dimension.
    #[must_use]
    pub const fn name(&self, dimension: Dimension) -> &Option<String> {
        match dimension {
            Dimension::Token => &self.token,
            Dimension::Model => &self.model,
            Dimension::Provider => &self.provider,
            Dimension::User => &self.user,
            Dimension::Channel => &self.channel,
        }
    }

    /// The place of that name.
    pub const fn name_mut(&mut self, dimension: Dimension) -> &mut Option<String> {
        match dimension {
            Dimension::Token => &mut self.token,
            Dimension::Model => &mut self.model,
            Dimension::Provider => &mut self.provider,
            Dimension::User => &mut self.user,
            Dimension::Channel => &mut self.channel,
        }
    }

    /// Which row it is.
    #[must_use]
    pub fn group(&self) -> Group {
        let Self { token, model, provider, user, channel, .. } = self;
        (self.rest, [token, model, provider, user, channel].map(Clone::clone))
    }

    fn measure(&self, top: Top) -> (u128, Usd) {
        let window = self.windows.iter().find(|window| window.window_s == top.window_s);
        window.map_or((0, Usd::ZERO), |window| window.measure(top.by))
    }

    fn merge(&mut self, other: Self) -> bool {
        self.exact_since = self.exact_since.max(other.exact_since);
        let mut held = false;
        for other in other.windows {
            match self.windows.iter_mut().find(|window| window.window_s == other.window_s) {
                Some(window) => held |= window.merge(&other),
                None => self.windows.push(other),
            }
        }
        self.windows.sort_by_key(|window| window.window_s);
        held
    }
}

impl LiveWindow {
    fn measure(&self, measure: Measure) -> (u128, Usd) {
        let count = match measure {
            Measure::Requests => self.requests,
            Measure::Errors => self.errors,
            Measure::Cached => self.cached,
            Measure::Unpriced => self.unpriced,
            Measure::Tokens => return (u128::from(self.tokens_in) + u128::from(self.tokens_out), Usd::ZERO),
            Measure::TokensIn => self.tokens_in,
            Measure::TokensOut => self.tokens_out,
            Measure::Cost => return (0, self.cost),
        };
        (count.into(), Usd::ZERO)
    }

    /// Adds what is in `other`. Gives whether the cost left the range of amounts, and is held at its end.
    pub fn merge(&mut self, other: &Self) -> bool {
        self.requests = self.requests.saturating_add(other.requests);
        self.errors = self.errors.saturating_add(other.errors);
        self.cached = self.cached.saturating_add(other.cached);
        self.unpriced = self.unpriced.saturating_add(other.unpriced);
        self.tokens_in = self.tokens_in.saturating_add(other.tokens_in);
        self.tokens_out = self.tokens_out.saturating_add(other.tokens_out);
        self.tokens_cache_read = self.tokens_cache_read.saturating_add(other.tokens_cache_read);
        self.tokens_cache_write = self.tokens_cache_write.saturating_add(other.tokens_cache_write);
        self.tokens_reasoning = self.tokens_reasoning.saturating_add(other.tokens_reasoning);
        let (cost, held) = self.cost.held_add(other.cost);
        self.cost = cost;
        self.duration.merge(&other.duration);
        self.time_to_first_token.merge(&other.time_to_first_token);
        held
    }
}

#[cfg(test)]
mod tests;
