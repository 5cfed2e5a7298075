//! The snapshots that are committed, and samples of both sources that become exactly the committed price files.

use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::PriceBook;

fn book() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("book")
}

fn price_files(folder: &Path) -> Vec<(String, String)> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = entries.filter(|path| path.extension().is_some_and(|extension| extension == "toml"));
    let mut files: Vec<_> = files
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(&path).unwrap())
        })
        .collect();
    files.sort();
    files
}

fn parse(files: &[(String, String)]) -> PriceBook {
    let files: Vec<_> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    PriceBook::parse(&files).unwrap()
}

/// `PRICES_UPDATE=1` writes what is expected anew: read the difference.
fn check_sample(source: Source) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples").join(source.name());
    let input = fs::read_to_string(folder.join("published.json")).unwrap();
    let import = source.import(&input).unwrap();
    let mut made: Vec<_> = import.files.iter().map(|file| (file.name.clone(), file.text.clone())).collect();
    made.push(("report.toml".to_owned(), import.report.to_string()));
    made.sort();
    if std::env::var_os("PRICES_UPDATE").is_some() {
        for (name, text) in &made {
            fs::write(folder.join(name), text).unwrap();
        }
    }
    assert_eq!(made, price_files(&folder));
    made.retain(|(name, _)| name != "report.toml");
    parse(&made);
}

#[test]
fn a_sample_of_genai_prices_becomes_these_files() {
    check_sample(Source::GenaiPrices);
}

#[test]
fn a_sample_of_litellm_becomes_these_files() {
    check_sample(Source::Litellm);
}

/// Every amount is in range, since the book reads nothing else.
#[test]
fn the_snapshots_are_price_files_and_as_many_as_their_sources_say() {
    let sources: toml::Table = fs::read_to_string(book().join("SOURCES.toml")).unwrap().parse().unwrap();
    let sources = sources["source"].as_array().unwrap();
    assert_eq!(sources.len(), Source::ALL.len());
    for (source, entry) in Source::ALL.into_iter().zip(sources) {
        assert_eq!(entry["name"].as_str(), Some(source.name()));
        let files = price_files(&book().join(source.name()));
        parse(&files);
        let count = |of: &str| {
            let lines = files.iter().flat_map(|(_, text)| text.lines());
            i64::try_from(lines.filter(|line| *line == of).count()).unwrap()
        };
        let expected = |key: &str| entry[key].as_integer().unwrap();
        assert_eq!(i64::try_from(files.len()).unwrap(), expected("providers"), "{}", source.name());
        assert_eq!(count("[[model]]"), expected("models"), "{}", source.name());
        assert_eq!(count("[[model.price]]"), expected("prices"), "{}", source.name());
    }
}

#[test]
fn what_is_not_the_published_file_is_refused() {
    let check = |source: Source, text: &str, expected: &str| {
        assert_eq!(source.import(text).unwrap_err().to_string(), expected, "{text}");
    };
    check(Source::GenaiPrices, "{", "not JSON");
    check(Source::GenaiPrices, "{}", "providers is not a list");
    check(Source::GenaiPrices, r#"[{"name": "x"}]"#, "provider.id is not a text");
    check(
        Source::GenaiPrices,
        r#"[{"id": "x", "models": [{"id": "m", "match": {"equals": "m"}}]}]"#,
        "x/m is not a model with prices",
    );
    check(Source::Litellm, "[]", "the file is not an object");
    check(Source::Litellm, r#"{"gpt-4o": 1}"#, "gpt-4o is not an object");
}
