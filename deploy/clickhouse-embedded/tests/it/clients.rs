//! The other official clients: clickhouse-connect from `PyPI` and `@clickhouse/client` from npm.
//!
//! What they need is installed once, into the cache folder, under a lock; the scripts are in
//! `tests/conformance/clickhouse`. The Rust client drives the rest of these tests.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use weir_clickhouse_embedded::config::default_library;

use super::harness::{PASSWORD, Server};

#[test]
fn clickhouse_connect_is_at_home() {
    let python = installed("python", &["requirements.txt"], |folder| {
        run(Command::new("python3").args(["-m", "venv"]).arg(folder));
        let mut pip = Command::new(folder.join("bin/python"));
        run(pip
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"])
            .arg(script("requirements.txt")));
    });
    drive(Command::new(python.join("bin/python")).arg(script("connect.py")));
}

#[test]
fn the_node_client_is_at_home() {
    let node = installed("node", &["package.json", "package-lock.json"], |folder| {
        fs::create_dir_all(folder).unwrap();
        for file in ["package.json", "package-lock.json"] {
            fs::copy(script(file), folder.join(file)).unwrap();
        }
        run(Command::new("npm")
            .args(["ci", "--no-audit", "--no-fund", "--ignore-scripts", "--silent"])
            .current_dir(folder));
    });
    drive(Command::new("node").arg(script("client.cjs")).env("NODE_PATH", node.join("node_modules")));
}

/// Runs a script against a server with a password.
fn drive(command: &mut Command) {
    let password = tempfile::NamedTempFile::new().unwrap();
    fs::write(password.path(), PASSWORD).unwrap();
    let server = Server::start(&["--user", "weir", "--password-file", password.path().to_str().unwrap()]);
    let port = server.port().to_string();
    run(command.args([port.as_str(), "weir"]).env("CLICKHOUSE_PASSWORD", PASSWORD));
}

fn run(command: &mut Command) {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{} cannot be run: {error}", command.get_program().display()));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}\n{}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    );
}

/// A folder of the cache with what `files` ask for. It is made anew when they change, or when making it was cut short.
fn installed(kind: &str, files: &[&str], install: impl FnOnce(&Path)) -> PathBuf {
    let mut hash = DefaultHasher::new();
    for file in files {
        fs::read(script(file)).unwrap().hash(&mut hash);
    }
    // <cache>/chdb/<version>/libchdb.so
    let library = default_library().expect("HOME is set");
    let base = library.ancestors().nth(3).unwrap().join("conformance/clickhouse");
    fs::create_dir_all(&base).unwrap();
    let lock = File::create(base.join(format!("{kind}.lock"))).unwrap();
    lock.lock().unwrap();
    let folder = base.join(format!("{kind}-{:016x}", hash.finish()));
    let complete = folder.join(".complete");
    if !complete.exists() {
        let _ = fs::remove_dir_all(&folder);
        install(&folder);
        fs::write(complete, "").unwrap();
    }
    folder
}

fn script(name: impl AsRef<OsStr>) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/conformance/clickhouse").join(name.as_ref())
}
