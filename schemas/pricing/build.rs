//! Lists the files of the built-in price book, so that a price file that is added is compiled in. Never reads one.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// The layers in order of precedence, each a folder of `book/`.
const LAYERS: [&str; 3] = ["weir", "genai-prices", "litellm"];

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=book");
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or(io::ErrorKind::NotFound)?).join("book");
    let mut list = String::from("&[\n");
    for layer in LAYERS {
        for file in price_files(&root.join(layer))? {
            let name = format!("{layer}/{}", file.file_name().unwrap_or_default().to_string_lossy());
            writeln!(list, "    ({name:?}, include_str!({:?})),", file.to_string_lossy())
                .map_err(io::Error::other)?;
        }
    }
    list.push(']');
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?);
    fs::write(out.join("builtin_files.rs"), list)
}

/// The price files of a layer, by name: the order is part of the book's edition.
fn price_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
