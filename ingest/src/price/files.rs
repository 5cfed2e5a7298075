//! The price book as an operator has it: the built-in one under the price files of the configuration.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use weir_pricing::{BookError, PriceBook};

/// A price file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PriceFilesError {
    /// It cannot be read.
    #[error("price file {path}")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What is in it is not a list of prices.
    #[error("price book")]
    Book(#[from] BookError),
}

/// The book that costs are computed with. What the files list wins over the built-in prices; without any, these are all.
pub fn load_book(files: &[PathBuf]) -> Result<PriceBook, PriceFilesError> {
    if files.is_empty() {
        return Ok(PriceBook::builtin());
    }
    let read = |path: &PathBuf| match fs::read_to_string(path) {
        Ok(text) => Ok((name(path), text)),
        Err(source) => Err(PriceFilesError::Unreadable { path: path.clone(), source }),
    };
    let texts = files.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let texts: Vec<_> = texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    Ok(PriceBook::with_operator(&texts)?)
}

/// How errors and receipts call a file: the same wherever it lies.
fn name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_files_it_is_the_built_in_book_and_a_bad_file_is_told_by_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = dir.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        assert_eq!(load_book(&[]).unwrap().edition(), PriceBook::builtin().edition());
        let good = "provider = \"mine\"\n[[model]]\nid = \"m\"\nmatch = [\"m\"]\n\
            [[model.price]]\nper_million = { uncached_input = \"1\" }\n";
        let book = load_book(&[file("good.toml", good)]).unwrap();
        assert!(book.knows("mine", "m") && book.edition() != PriceBook::builtin().edition());
        let told = |path| weir_service::telemetry::chain(&load_book(&[path]).unwrap_err());
        assert!(told(file("bad.toml", "prices = 1")).contains("bad.toml"));
        assert!(told(dir.path().join("missing.toml")).contains("missing.toml"));
    }
}
