//! From a provider and a model's name to the models of the price book, fast: what was looked up once is remembered.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use crate::book::entry::Model;
use crate::book::pattern::with_dashed_date;
use crate::book::sheet::Sheet;

/// The models that a name means, the best layer first, one per layer at most. Empty where no layer knows the name.
pub(crate) type Found = Arc<[Arc<Model>]>;

/// The sheets of every provider, by layer.
#[derive(Debug, Default)]
pub(crate) struct Index {
    providers: HashMap<String, Provider>,
}

#[derive(Debug, Default)]
struct Provider {
    /// The sheets of each layer that has some; the provider's own file before those that name it beside theirs.
    layers: Vec<Vec<Arc<Sheet>>>,
    fallback: Vec<String>,
    remembered: RwLock<HashMap<Box<str>, Found>>,
}

impl Index {
    /// How many names of a provider are remembered. Names come from answers, so strangers choose them: when there are
    /// more, all are forgotten, and names that are too long are never kept.
    const NAMES_MAX: usize = 2_048;
    const NAME_BYTES_MAX: usize = 128;

    /// Takes the sheets of each layer, the best layer first.
    pub(crate) fn new(layers: &[Vec<Arc<Sheet>>]) -> Self {
        let mut providers: HashMap<String, Provider> = HashMap::new();
        for layer in layers {
            let names: BTreeSet<&String> = layer.iter().flat_map(|sheet| &sheet.providers).collect();
            for name in names {
                let sells = |sheet: &&Arc<Sheet>| sheet.providers.contains(name);
                let mut sheets: Vec<_> = layer.iter().filter(sells).map(Arc::clone).collect();
                sheets.sort_by_key(|sheet| !sheet.is_of(name));
                let provider = providers.entry(name.clone()).or_default();
                for fallback in
                    sheets.iter().filter(|sheet| sheet.is_of(name)).flat_map(|sheet| &sheet.fallback)
                {
                    if fallback != name && !provider.fallback.contains(fallback) {
                        provider.fallback.push(fallback.clone());
                    }
                }
                provider.layers.push(sheets);
            }
        }
        Self { providers }
    }

    /// The models that a provider's name for one means.
    pub(crate) fn find(&self, provider: &str, name: &str) -> Found {
        let known = self.providers.get(provider).or_else(|| {
            let upper = provider.bytes().any(|byte| byte.is_ascii_uppercase());
            if upper { self.providers.get(&provider.to_ascii_lowercase()) } else { None }
        });
        let Some(provider) = known else { return Found::default() };
        let remembered = provider.remembered.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = remembered.get(name) {
            return Arc::clone(found);
        }
        drop(remembered);
        let found = self.search(provider, name);
        if name.len() <= Self::NAME_BYTES_MAX {
            let mut remembered = provider.remembered.write().unwrap_or_else(PoisonError::into_inner);
            if remembered.len() >= Self::NAMES_MAX {
                remembered.clear();
            }
            remembered.insert(name.into(), Arc::clone(&found));
        }
        found
    }

    /// The slow way: the provider's own lists, then those that it falls back on; then the same with the name's date
    /// written the other way.
    fn search(&self, provider: &Provider, name: &str) -> Found {
        let name = name.to_lowercase();
        let sellers = || {
            let fallback = provider.fallback.iter().filter_map(|name| self.providers.get(name));
            std::iter::once(provider).chain(fallback)
        };
        let by_name = |name: &str| {
            let mut found = sellers().map(|seller| seller.listed(name));
            found.find(|models| !models.is_empty()).unwrap_or_default()
        };
        let found = by_name(&name);
        if !found.is_empty() {
            return found.into();
        }
        with_dashed_date(&name).map(|dashed| by_name(&dashed)).unwrap_or_default().into()
    }
}

#[cfg(test)]
impl Index {
    /// The most names that are remembered of one provider.
    pub(crate) fn remembered(&self) -> usize {
        self.providers.values().map(|provider| provider.remembered.read().unwrap().len()).max().unwrap_or(0)
    }

    /// Whether a name is remembered of some provider.
    pub(crate) fn remembers(&self, name: &str) -> bool {
        self.providers.values().any(|provider| provider.remembered.read().unwrap().contains_key(name))
    }
}

impl Provider {
    /// What the provider's own lists say: of each layer, the first model that the name means.
    fn listed(&self, name: &str) -> Vec<Arc<Model>> {
        let first =
            |sheets: &Vec<Arc<Sheet>>| sheets.iter().find_map(|sheet| sheet.find(name)).map(Arc::clone);
        self.layers.iter().filter_map(first).collect()
    }
}
