//! Where the programs are: Weir's own beside the running one, the others in the cache that `provision.sh` fills.

use std::env;
use std::path::{Path, PathBuf};

use crate::error::LocalError;

const VERSIONS: &str = include_str!("../versions.env");
const PROVISION: &str = "run `make provision`";

/// The folders that programs are taken from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installation {
    /// Holds Weir's binaries: `target/debug` or `target/release`.
    pub bin_dir: PathBuf,
    /// Holds what `provision.sh` brought.
    pub cache_dir: PathBuf,
}

impl Installation {
    /// The folder of the running executable (for a test: the one above `deps`), and the cache that `provision.sh`
    /// uses.
    pub fn detect() -> Result<Self, LocalError> {
        let what = "find the running executable";
        let executable = env::current_exe().map_err(|source| LocalError::System { what, source })?;
        Ok(Self { bin_dir: bin_dir_of(&executable), cache_dir: cache_dir() })
    }

    /// One of Weir's binaries.
    pub fn binary(&self, name: &str) -> Result<PathBuf, LocalError> {
        let remedy = "build it with `cargo build --workspace --bins`, in the profile that runs here";
        existing("a binary of Weir", self.bin_dir.join(name), remedy)
    }

    /// The ClickHouse engine as a library; `WEIR_CHDB_LIBRARY` overrides where it is.
    pub fn chdb_library(&self) -> Result<PathBuf, LocalError> {
        let cached = || self.cache_dir.join("chdb").join(version("CHDB_VERSION")).join("libchdb.so");
        let path = env::var_os("WEIR_CHDB_LIBRARY").map_or_else(cached, PathBuf::from);
        existing("libchdb", path, PROVISION)
    }

    /// `nats-server`: the one that was provisioned, else the one on PATH, which `provision.sh` found recent enough.
    pub fn nats_server(&self) -> Result<PathBuf, LocalError> {
        let cached = self.cache_dir.join("nats").join(version("NATS_VERSION")).join("nats-server");
        match on_path("nats-server") {
            Some(found) if !cached.exists() => Ok(found),
            _ => existing("nats-server", cached, PROVISION),
        }
    }

    /// The folder with Kafka's jars.
    pub fn kafka_libs(&self) -> Result<PathBuf, LocalError> {
        let libs = self.cache_dir.join("kafka").join(version("KAFKA_VERSION")).join("libs");
        existing("Apache Kafka", libs, PROVISION)
    }

    /// What makes keys and certificates; it comes with Java.
    pub fn keytool(&self) -> Result<PathBuf, LocalError> {
        let remedy = "install Java 17 or later";
        on_path("keytool").ok_or_else(|| LocalError::Missing { what: "keytool", path: "PATH".into(), remedy })
    }

    /// The Java virtual machine.
    pub fn java(&self) -> Result<PathBuf, LocalError> {
        let remedy = "install Java 17 or later";
        on_path("java").ok_or_else(|| LocalError::Missing { what: "java", path: "PATH".into(), remedy })
    }
}

/// The first file of that name in a folder of PATH.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

fn bin_dir_of(executable: &Path) -> PathBuf {
    let folder = executable.parent().unwrap_or(executable);
    let is_nested = folder.ends_with("deps") || folder.ends_with("examples");
    folder.parent().filter(|_| is_nested).unwrap_or(folder).to_owned()
}

fn cache_dir() -> PathBuf {
    let folder = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    folder("WEIR_CACHE").unwrap_or_else(|| {
        let user = folder("XDG_CACHE_HOME").or_else(|| folder("HOME").map(|home| home.join(".cache")));
        user.unwrap_or_else(env::temp_dir).join("weir")
    })
}

/// A version as `versions.env` pins it.
fn version(name: &str) -> &'static str {
    let pinned = VERSIONS.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    pinned.expect("versions.env is a part of this crate, and a test reads every name from it")
}

fn existing(what: &'static str, path: PathBuf, remedy: &'static str) -> Result<PathBuf, LocalError> {
    if path.exists() { Ok(path) } else { Err(LocalError::Missing { what, path, remedy }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_version_is_pinned() {
        for name in ["CHDB_VERSION", "NATS_VERSION", "KAFKA_VERSION"] {
            assert!(version(name).starts_with(|c: char| c.is_ascii_digit()), "{name}");
        }
    }

    #[test]
    fn binaries_are_beside_the_running_one_and_tests_look_one_up() {
        let check = |executable: &str, expected: &str| {
            assert_eq!(bin_dir_of(Path::new(executable)), Path::new(expected));
        };
        check("/w/target/release/weir-local", "/w/target/release");
        check("/w/target/debug/deps/it-0123", "/w/target/debug");
        check("/w/target/debug/examples/minimal", "/w/target/debug");
    }

    #[test]
    fn a_missing_program_is_told_with_the_command_that_brings_it() {
        let nowhere = Installation { bin_dir: "/nowhere".into(), cache_dir: "/nowhere".into() };
        let error = nowhere.kafka_libs().unwrap_err().to_string();
        assert!(error.starts_with("Apache Kafka is missing at /nowhere/kafka/"), "{error}");
        assert!(error.ends_with("run `make provision`"), "{error}");
    }
}
