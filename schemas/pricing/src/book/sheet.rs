//! One price file, ready to be asked.

use std::collections::HashMap;
use std::sync::Arc;

use crate::book::entry::Model;
use crate::book::pattern::Pattern;

/// The models of one file, and the providers that sell them.
#[derive(Debug)]
pub(crate) struct Sheet {
    /// The file's own provider first.
    pub(crate) providers: Vec<String>,
    pub(crate) fallback: Vec<String>,
    models: Vec<Arc<Model>>,
    /// Exact name to the models that have it, in file order.
    exact: HashMap<Box<str>, Vec<usize>>,
    /// The models that have any other rule, in file order.
    ruled: Vec<usize>,
}

impl Sheet {
    pub(crate) fn new(providers: Vec<String>, fallback: Vec<String>, models: Vec<Model>) -> Self {
        let mut exact: HashMap<Box<str>, Vec<usize>> = HashMap::new();
        let mut ruled = Vec::new();
        for (position, model) in models.iter().enumerate() {
            for rule in &model.matches {
                if let Pattern::Exact(name) = rule {
                    exact.entry(name.clone()).or_default().push(position);
                }
            }
            if model.matches.iter().any(|rule| !matches!(rule, Pattern::Exact(_))) {
                ruled.push(position);
            }
        }
        let models = models.into_iter().map(Arc::new).collect();
        Self { providers, fallback, models, exact, ruled }
    }

    /// Whether the file is this provider's own, not one that names it beside its own.
    pub(crate) fn is_of(&self, provider: &str) -> bool {
        self.providers.first().is_some_and(|own| own == provider)
    }

    /// The models in file order.
    pub(crate) fn models(&self) -> impl Iterator<Item = &Model> {
        self.models.iter().map(Arc::as_ref)
    }

    /// The first model, in file order, that a name in lower case means.
    pub(crate) fn find(&self, name: &str) -> Option<&Arc<Model>> {
        let named = self.exact.get(name).map(Vec::as_slice).unwrap_or_default();
        let named = named.iter().copied().find(|&position| !self.models[position].excludes(name));
        let before = named.unwrap_or(self.models.len());
        let ruled = self.ruled.iter().copied().take_while(|&position| position < before).find(|&position| {
            let model = &self.models[position];
            model.matches.iter().any(|rule| rule.matches(name)) && !model.excludes(name)
        });
        ruled.or(named).map(|position| &self.models[position])
    }
}
