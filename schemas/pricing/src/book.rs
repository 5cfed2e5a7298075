//! The price book: rows that say what a token of a model cost, and when.

use std::collections::{BTreeMap, HashMap};

use weir_event::{Timestamp, TokenBucket, Usd};

use crate::error::BookError;
use crate::file;

/// Which models a row is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ModelPattern {
    /// The model of this very name.
    Exact(String),
    /// Every model whose name begins so. The longest prefix wins; an exact name wins over any prefix.
    Prefix(String),
}

/// One price: what the tokens of some models cost from a day on, until another.
#[derive(Clone, Debug, PartialEq)]
pub struct PriceRow {
    pub(crate) id: String,
    pub(crate) providers: Vec<String>,
    pub(crate) model: ModelPattern,
    pub(crate) from: Timestamp,
    pub(crate) until: Option<Timestamp>,
    pub(crate) per_token: BTreeMap<TokenBucket, Usd>,
}

impl PriceRow {
    /// What a computed cost names it by.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What one token of a bucket costs.
    ///
    /// Two buckets have a stand-in where no price of their own is published: reasoning is output and is billed as
    /// output, and cached input without a discount is billed as input. No other bucket has one.
    #[must_use]
    pub fn per_token(&self, bucket: TokenBucket) -> Option<Usd> {
        let own = self.per_token.get(&bucket);
        let stand_in = match bucket {
            TokenBucket::Reasoning => self.per_token.get(&TokenBucket::TextOutput),
            TokenBucket::CacheRead => self.per_token.get(&TokenBucket::UncachedInput),
            TokenBucket::UncachedInput
            | TokenBucket::CacheWrite5m
            | TokenBucket::CacheWrite1h
            | TokenBucket::AudioInput
            | TokenBucket::ImageInput
            | TokenBucket::VideoInput
            | TokenBucket::CacheReadAudio
            | TokenBucket::CacheReadImage
            | TokenBucket::TextOutput
            | TokenBucket::AudioOutput
            | TokenBucket::ImageOutput
            | TokenBucket::VideoOutput
            | TokenBucket::Citation => None,
        };
        own.or(stand_in).copied()
    }

    fn in_force_at(&self, time: Timestamp) -> bool {
        self.from <= time && self.until.is_none_or(|until| time < until)
    }

    fn overlaps(&self, other: &Self) -> bool {
        let begins_before_end = |a: &Self, b: &Self| b.until.is_none_or(|until| a.from < until);
        begins_before_end(self, other) && begins_before_end(other, self)
    }
}

/// A checked set of prices. Looking one up neither allocates nor scans the book.
#[derive(Clone, Debug, Default)]
pub struct PriceBook {
    rows: Vec<PriceRow>,
    /// Per provider: exact name to rows, and prefixes to rows, longest first.
    providers: HashMap<String, ProviderIndex>,
}

#[derive(Clone, Debug, Default)]
struct ProviderIndex {
    exact: HashMap<String, Vec<usize>>,
    prefixes: Vec<(String, Vec<usize>)>,
}

impl PriceBook {
    /// The book that is compiled in.
    #[must_use]
    pub fn builtin() -> Self {
        Self::parse(file::BUILTIN).expect("the built-in book is checked by a test")
    }

    /// Reads price files: pairs of a name, for errors, and TOML text.
    pub fn parse(files: &[(&str, &str)]) -> Result<Self, BookError> {
        let mut rows = Vec::new();
        for (name, text) in files {
            rows.extend(file::parse(name, text)?);
        }
        Self::new(rows)
    }

    /// The row in force for a provider's model at a time.
    #[must_use]
    pub fn find(&self, provider: &str, model: &str, time: Timestamp) -> Option<&PriceRow> {
        let index = self.providers.get(provider)?;
        let in_force =
            |rows: &[usize]| rows.iter().map(|&row| &self.rows[row]).find(|row| row.in_force_at(time));
        let by_prefix = || {
            let mut matching = index.prefixes.iter().filter(|(prefix, _)| model.starts_with(prefix.as_str()));
            matching.find_map(|(_, rows)| in_force(rows))
        };
        index.exact.get(model).and_then(|rows| in_force(rows)).or_else(by_prefix)
    }

    fn new(rows: Vec<PriceRow>) -> Result<Self, BookError> {
        let mut providers: HashMap<String, ProviderIndex> = HashMap::new();
        let mut ids = HashMap::new();
        for (position, row) in rows.iter().enumerate() {
            if ids.insert(&row.id, position).is_some() {
                return Err(BookError::DuplicateId { id: row.id.clone() });
            }
            for provider in &row.providers {
                let same = providers.entry(provider.clone()).or_default().rows_of(&row.model);
                if let Some(&other) = same.iter().find(|&&other| rows[other].overlaps(row)) {
                    return Err(BookError::Overlap { first: rows[other].id.clone(), second: row.id.clone() });
                }
                same.push(position);
            }
        }
        for index in providers.values_mut() {
            index.prefixes.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
        }
        Ok(Self { rows, providers })
    }
}

impl ProviderIndex {
    fn rows_of(&mut self, model: &ModelPattern) -> &mut Vec<usize> {
        match model {
            ModelPattern::Exact(name) => self.exact.entry(name.clone()).or_default(),
            ModelPattern::Prefix(prefix) => {
                let known = self.prefixes.iter().position(|(other, _)| other == prefix);
                let position = known.unwrap_or_else(|| {
                    self.prefixes.push((prefix.clone(), Vec::new()));
                    self.prefixes.len() - 1
                });
                &mut self.prefixes[position].1
            }
        }
    }
}
