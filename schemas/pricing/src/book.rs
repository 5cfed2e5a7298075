//! The price book: layers of price files, and the question what a model cost at a moment.

mod check;
mod entry;
mod file;
mod index;
mod pattern;
mod sheet;

use std::fmt;
use std::sync::{Arc, LazyLock};

use sha2::{Digest, Sha256};
use weir_event::{Timestamp, UnpricedReason};

pub use entry::ContextBound;
pub(crate) use entry::{Entry, Model, Rates};
pub(crate) use index::Found;
pub(crate) use pattern::is_version_of;

use crate::error::BookError;
use index::Index;
use sheet::Sheet;

/// The files that are compiled in: `<layer>/<provider>.toml` and the text, the best layer first.
const BUILTIN_FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/builtin_files.rs"));

/// A checked set of prices, in layers. A copy shares them; what was looked up once is found again without allocation.
#[derive(Clone)]
pub struct PriceBook(Arc<Book>);

struct Book {
    /// The files of each layer, the best layer first.
    layers: Vec<Vec<Source>>,
    index: Index,
    edition: Edition,
}

/// A file of a book.
#[derive(Clone)]
struct Source {
    sheet: Arc<Sheet>,
    digest: [u8; 32],
}

/// Which prices a book is made of: the first 12 hex digits of the SHA-256 over its files, in order.
///
/// Each file counts by its name and its text, and each layer by how many it has; two books with one edition give every
/// event the same cost.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Edition([u8; Self::LEN]);

/// The prices that apply to one request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Applicable<'b> {
    pub(crate) file: &'b str,
    /// The entry of the service tier that was asked for.
    pub(crate) entry: &'b Entry,
    /// The standard entry under that of another service tier.
    pub(crate) standard: Option<&'b Entry>,
}

impl PriceBook {
    /// The book that is compiled in. It is read once per process.
    #[must_use]
    pub fn builtin() -> Self {
        static BUILTIN: LazyLock<PriceBook> = LazyLock::new(|| {
            let layer_of = |name: &str| name.split_once('/').map(|(layer, _)| layer.to_owned());
            let layers = BUILTIN_FILES.chunk_by(|(a, _), (b, _)| layer_of(a) == layer_of(b));
            let layers = layers.map(read).collect::<Result<_, _>>();
            PriceBook::new(layers.expect("a test reads every file of the built-in book"))
        });
        BUILTIN.clone()
    }

    /// The built-in book under an operator's files: pairs of a name, for errors and receipts, and TOML text. What they
    /// list wins over the built-in prices of that provider's model.
    pub fn with_operator(files: &[(&str, &str)]) -> Result<Self, BookError> {
        let mut layers = vec![read(files)?];
        layers.extend(Self::builtin().0.layers.iter().cloned());
        Ok(Self::new(layers))
    }

    /// A book of these files alone, as one layer: pairs of a name and TOML text.
    pub fn parse(files: &[(&str, &str)]) -> Result<Self, BookError> {
        Ok(Self::new(vec![read(files)?]))
    }

    /// Which prices it is made of.
    #[must_use]
    pub fn edition(&self) -> Edition {
        self.0.edition
    }

    /// Whether some layer lists the provider's model, whenever and in whatever service tier.
    #[must_use]
    pub fn knows(&self, provider: &str, model: &str) -> bool {
        !self.find(provider, model).is_empty()
    }

    /// The models that the files of a provider list, or all of them, the best layer first.
    pub(crate) fn models_of(&self, provider: Option<&str>) -> impl Iterator<Item = &Model> {
        let sheets = self.0.layers.iter().flatten().map(|source| &source.sheet);
        let of_provider = move |sheet: &&Arc<Sheet>| {
            provider.is_none_or(|name| sheet.providers.iter().any(|own| own.eq_ignore_ascii_case(name)))
        };
        sheets.filter(of_provider).flat_map(|sheet| sheet.models())
    }

    pub(crate) fn find(&self, provider: &str, model: &str) -> Found {
        self.0.index.find(provider, model)
    }

    fn new(layers: Vec<Vec<Source>>) -> Self {
        let mut hash = Sha256::new();
        for layer in layers.iter().filter(|layer| !layer.is_empty()) {
            hash.update((layer.len() as u64).to_be_bytes());
            for source in layer {
                hash.update(source.digest);
            }
        }
        let edition = Edition::of(&hash.finalize().into());
        let sheets: Vec<Vec<_>> = layers
            .iter()
            .map(|layer| layer.iter().map(|source| Arc::clone(&source.sheet)).collect())
            .collect();
        Self(Arc::new(Book { index: Index::new(&sheets), layers, edition }))
    }
}

fn read(files: &[(&str, &str)]) -> Result<Vec<Source>, BookError> {
    let source = |(name, text): &(&str, &str)| {
        let digest = Sha256::new().chain_update(name).chain_update([0]).chain_update(text).finalize();
        Ok(Source { sheet: Arc::new(check::sheet(name, text)?), digest: digest.into() })
    };
    files.iter().map(source).collect()
}

/// The prices for a request: of the first layer that has some in force for its service tier (`None` is standard).
pub(crate) fn applicable<'b>(
    models: &'b Found,
    time: Timestamp,
    tier: Option<&str>,
) -> Result<Applicable<'b>, UnpricedReason> {
    let of_layer = models.iter().find_map(|model| {
        let entry = model.entry(time, tier)?;
        let standard = tier.and_then(|_| model.entry(time, None));
        Some(Applicable { file: &model.file, entry, standard })
    });
    let reason = || {
        if models.is_empty() {
            UnpricedReason::NoPrice
        } else if models.iter().any(|model| model.entry(time, None).is_some()) {
            UnpricedReason::NoTierPrice
        } else {
            UnpricedReason::NotInForce
        }
    };
    of_layer.ok_or_else(reason)
}

impl fmt::Debug for PriceBook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PriceBook({})", self.edition())
    }
}

impl Edition {
    const LEN: usize = 12;

    fn of(digest: &[u8; 32]) -> Self {
        let mut digits = [0; Self::LEN];
        hex::encode_to_slice(&digest[..Self::LEN / 2], &mut digits).expect("two digits to the byte");
        Self(digits)
    }

    /// The 12 hex digits, in lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("hex digits are ASCII")
    }
}

impl fmt::Display for Edition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Edition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Edition({self})")
    }
}

#[cfg(test)]
mod tests;
