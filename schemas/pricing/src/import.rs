//! From the price data that others publish to price files of ours: pure conversion, done by hand when a source has
//! news, and reviewed as a diff. It never reads a file, never asks a network, and no amount ever passes through a float.
//!
//! In: the text of a published file ([`Source`] says which). Out: one price file per provider, and a [`Report`] of
//! everything that could not be carried over, by name. What is not understood is left out and counted, never guessed:
//! a price that is missing makes an event unpriced, and a wrong one makes a wrong bill.

mod amount;
mod draft;
mod genai;
mod json;
mod litellm;
mod report;

pub use report::Report;

/// Who published the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// `pydantic/genai-prices`: `prices/new_data/v2/data.json` (a list of providers) or `v3/data.json` (an object with
    /// `providers`).
    GenaiPrices,
    /// `LiteLLM`: `model_prices_and_context_window.json`.
    Litellm,
}

/// What an import gives.
#[derive(Clone, Debug)]
pub struct Import {
    /// The price files, by provider.
    pub files: Vec<ImportedFile>,
    /// What came over, and what did not.
    pub report: Report,
}

/// One price file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedFile {
    /// Its name: `<provider>.toml`.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// The input is not the published file that it is said to be.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// Not JSON.
    #[error("not JSON")]
    Json(#[from] serde_json::Error),
    /// Nested deeper than any published file.
    #[error("JSON nested deeper than {} levels", json::DEPTH_MAX)]
    TooDeep,
    /// JSON of another shape.
    #[error("{path} is not {expected}")]
    Shape {
        /// Where.
        path: String,
        /// What should be there.
        expected: &'static str,
    },
}

impl Source {
    /// Every source.
    pub const ALL: [Self; 2] = [Self::GenaiPrices, Self::Litellm];

    /// Its name: that of the layer, too.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::GenaiPrices => "genai-prices",
            Self::Litellm => "litellm",
        }
    }

    /// Converts the text of a published file.
    pub fn import(self, text: &str) -> Result<Import, ImportError> {
        let json = json::Json::parse(text)?;
        let mut report = Report::default();
        let drafts = match self {
            Self::GenaiPrices => genai::convert(&json, &mut report)?,
            Self::Litellm => litellm::convert(&json, &mut report)?,
        };
        for draft in &drafts {
            report.count_file(draft);
        }
        let files = drafts.iter().map(|draft| draft.render(self)).collect();
        Ok(Import { files, report })
    }
}

#[cfg(test)]
mod tests;
