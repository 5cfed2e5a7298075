//! `ingest prices import`: reads a published file, writes price files, says what was left out: counts as TOML, for
//! `SOURCES.toml`, and names as comments below.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::ArgMatches;
use sha2::{Digest, Sha256};
use weir_pricing::PriceBook;
use weir_pricing::import::{Report, Source};

/// What to import, and where to.
#[derive(Debug)]
pub(crate) struct Import {
    source: Source,
    file: PathBuf,
    out: PathBuf,
}

impl Import {
    pub(super) fn new(matches: &ArgMatches) -> Self {
        let path = |name| matches.get_one::<PathBuf>(name).expect("clap asks for it").clone();
        let name = matches.get_one::<String>("from").map(String::as_str);
        let source = Source::ALL.into_iter().find(|source| Some(source.name()) == name);
        Self { source: source.expect("clap takes no other name"), file: path("file"), out: path("out") }
    }

    /// The folder holds the price files of this import alone afterwards: those of an earlier one are removed, so that a
    /// provider that is gone from the source is gone. Nothing is written unless the price book can read all of it.
    pub(super) fn run(&self, out: &mut impl Write) -> anyhow::Result<()> {
        let text = fs::read_to_string(&self.file).with_context(|| format!("read {}", self.file.display()))?;
        let import = self.source.import(&text).with_context(|| format!("import {}", self.file.display()))?;
        let files: Vec<_> =
            import.files.iter().map(|file| (file.name.as_str(), file.text.as_str())).collect();
        PriceBook::parse(&files).context("a price file that was made cannot be read")?;
        fs::create_dir_all(&self.out).with_context(|| format!("make {}", self.out.display()))?;
        remove_price_files(&self.out)?;
        for (name, text) in files {
            let path = self.out.join(name);
            fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
        }
        writeln!(out, "input_sha256 = \"{}\"", hex::encode(Sha256::digest(&text)))?;
        write!(out, "{}", import.report)?;
        let Report { left_out, not_understood, rounded, .. } = import.report;
        let names = left_out.into_iter().chain(not_understood).chain([("rounded".to_owned(), rounded)]);
        for (what, names) in names {
            writeln!(out, "# {what}: {}", names.join(", "))?;
        }
        Ok(())
    }
}

fn remove_price_files(folder: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            fs::remove_file(&path).with_context(|| format!("remove {}", path.display()))?;
        }
    }
    Ok(())
}
