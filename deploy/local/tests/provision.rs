//! `provision.sh` when things are not as they should be. Nothing here needs a network.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// What the script itself is made of, and every machine has.
const BASICS: [&str; 18] = [
    "bash", "cat", "cmp", "cp", "cut", "dirname", "flock", "grep", "head", "id", "ls", "mkdir", "mktemp",
    "mv", "rm", "sed", "sort", "uname",
];

const VERSIONS: &str = include_str!("../versions.env");

/// A machine with a cache of its own, and only the tools that it is given.
struct Machine {
    folder: TempDir,
}

impl Machine {
    fn new() -> Self {
        let machine = Self { folder: TempDir::new().unwrap() };
        fs::create_dir(machine.path("bin")).unwrap();
        for tool in BASICS {
            machine.give(tool);
        }
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Takes over a tool of the real machine.
    fn give(&self, tool: &str) {
        let path = std::env::var_os("PATH").unwrap();
        let real = std::env::split_paths(&path).map(|folder| folder.join(tool)).find(|file| file.is_file());
        symlink(real.expect("the real machine has the tool"), self.path("bin").join(tool)).unwrap();
    }

    /// A tool that is a script.
    fn fake(&self, tool: &str, script: &str) {
        let file = self.path("bin").join(tool);
        fs::write(&file, format!("#!/usr/bin/env bash\n{script}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Puts a file into the cache.
    fn cached(&self, name: &str, content: &str) {
        let file = self.path("cache").join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, content).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Runs the script: its exit code and what it said.
    fn provision(&self, targets: &[&str]) -> (i32, String) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("provision.sh");
        let output = Command::new(self.path("bin").join("bash"))
            .arg(script)
            .args(targets)
            .env_clear()
            .env("PATH", self.path("bin"))
            .env("WEIR_CACHE", self.path("cache"))
            .output()
            .unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    }
}

fn pinned(name: &str) -> &'static str {
    VERSIONS.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).unwrap()
}

#[test]
fn missing_tools_are_named_with_what_cannot_run_without_them() {
    let (code, said) = Machine::new().provision(&["chdb", "nats", "kafka", "deny"]);
    assert_eq!(code, 3, "{said}");
    for expected in [
        "MISSING: npm is not on PATH: embedded ClickHouse cannot be provisioned",
        "MISSING: go is not on PATH: nats-server cannot be provisioned",
        "MISSING: java is not on PATH: Kafka cannot be provisioned",
        "NOT EVERYTHING IS THERE",
    ] {
        assert!(said.contains(expected), "no {expected:?} in {said}");
    }
}

#[test]
fn what_is_there_is_left_as_it_is() {
    let machine = Machine::new();
    machine.cached(&format!("chdb/{}/libchdb.so", pinned("CHDB_VERSION")), "library");
    machine.cached(&format!("nats/{}/nats-server", pinned("NATS_VERSION")), "server");
    let (code, said) = machine.provision(&["chdb", "nats"]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(said.matches(" is there\n").count(), 2, "{said}");
}

#[test]
fn an_old_nats_server_on_path_is_not_used_and_a_recent_one_is() {
    let machine = Machine::new();
    machine.fake("nats-server", "echo 'nats-server: v2.9.10'");
    let (code, said) = machine.provision(&["nats"]);
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("is 2.9.10, older than 2.10.0; not used"), "{said}");
    machine.fake("nats-server", "echo 'nats-server: v2.11.4'");
    assert_eq!(machine.provision(&["nats"]).0, 0);
}

#[test]
fn an_old_java_is_not_enough_for_kafka() {
    let machine = Machine::new();
    machine.fake("java", "echo '    java.specification.version = 11' >&2");
    let (code, said) = machine.provision(&["kafka"]);
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("MISSING: java is version 11: Kafka needs 17 or later"), "{said}");
}

/// An npm that reports `integrity` and whose package is not the right one.
fn fake_npm(machine: &Machine, integrity: &str) {
    machine.give("node");
    let pack = "printf 'not the package' >\"$4/x.tgz\"; echo x.tgz";
    machine.fake("npm", &format!("case \"$1\" in view) echo '{integrity}' ;; pack) {pack} ;; esac"));
    machine.fake("uname", "[ \"$1\" = -s ] && echo Linux || echo x86_64");
}

#[test]
fn a_checksum_other_than_the_pinned_one_is_refused_before_the_download() {
    let machine = Machine::new();
    fs::remove_file(machine.path("bin").join("uname")).unwrap();
    fake_npm(&machine, "sha512-other");
    let (code, said) = machine.provision(&["chdb"]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("the registry reports sha512-other, pinned is sha512-"), "{said}");
    assert!(!said.contains("downloading"), "{said}");
}

#[test]
fn a_package_that_is_not_what_it_should_be_leaves_nothing_behind() {
    let machine = Machine::new();
    fs::remove_file(machine.path("bin").join("uname")).unwrap();
    fake_npm(&machine, pinned("CHDB_INTEGRITY_LINUX_X64"));
    let (code, said) = machine.provision(&["chdb"]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("the package has checksum sha512-"), "{said}");
    assert!(!machine.path("cache/chdb").exists());
    assert_eq!(fs::read_dir(machine.path("cache/tmp")).unwrap().count(), 0);
}

#[test]
fn an_unknown_target_is_an_error() {
    let (code, said) = Machine::new().provision(&["clickhouse"]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("unknown target 'clickhouse'"), "{said}");
}
