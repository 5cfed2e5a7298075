//! House rules that clippy and rustfmt cannot express. Every rule is a function from a file to what is wrong with it,
//! and every rule is shown to fail on a sample that breaks it.
//!
//! The rules are about files that git tracks or would track; what is ignored does not count.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

/// Non-test lines of a Rust file. Past the first number it has to say why, past the second nothing helps.
const LINES_MAX: usize = 400;
const LINES_HARD_MAX: usize = 500;

/// What a file that is longer than [`LINES_MAX`] says in a `//!` comment, followed by the reason.
const LONG_BECAUSE: &str = "//! Longer than the house limit, because";

/// The stages of each binary, in the order in which data flows through them.
const STAGES: [(&str, &[&str]); 3] = [
    ("aggregator/src/", &["consume", "fold", "publish"]),
    ("ingest/src/", &["accept", "consume", "decode", "normalize", "price", "redact", "sink"]),
    ("query-api/src/", &["api", "auth", "sql", "store", "tail", "view"]),
];

/// Where SQL may be written. The embedded ClickHouse reads it, the demonstration shows a line of it to its reader, an import asks
/// a database of its own, and tests look at what is stored.
const SQL_HOMES: [&str; 19] = [
    "aggregator/src/anomalies/figures.rs",
    "aggregator/src/audit/",
    "aggregator/src/budgets/store.rs",
    "aggregator/src/consume/history.rs",
    "aggregator/src/publish/",
    "deploy/clickhouse-embedded/",
    "deploy/local/src/demo/run.rs",
    "ingest/src/dead_letters/",
    "ingest/src/import/sqlite.rs",
    "ingest/src/migrate",
    "ingest/src/reconcile/",
    "ingest/src/removal/",
    "ingest/src/reprice/",
    "ingest/src/sink/",
    "query-api/src/sql/",
    "query-api/src/store/",
    "schemas/sql/",
    "schemas/store/",
    "tests/",
];

const SQL_WORDS: [&str; 9] = [
    "SELECT ",
    "INSERT INTO ",
    "ALTER TABLE ",
    "CREATE TABLE ",
    "CREATE DATABASE ",
    "DELETE FROM ",
    "DROP TABLE ",
    "OPTIMIZE TABLE ",
    "TRUNCATE TABLE ",
];

/// Words that must not be in any file, in halves so that this file does not hold them.
const UNFINISHED: [(&str, &str); 3] = [("TO", "DO"), ("FIX", "ME"), ("XX", "X:")];
const PLACES: [(&str, &str); 9] = [
    ("/wo", "rk/"),
    ("registry.", "npmjs.org"),
    ("registry.", "yarnpkg.com"),
    ("repo1.", "maven.org"),
    ("repo.", "maven.apache.org"),
    ("proxy.", "golang.org"),
    ("files.", "pythonhosted.org"),
    ("static.", "crates.io"),
    ("index.", "crates.io"),
];

const MIGRATIONS: &str = "schemas/store/migrations/";
const MIGRATION_CHECKSUMS: &str = "tests/migrations.sha256";

/// A file of the repository, by its path from the root.
struct Source {
    path: String,
    text: String,
}

type Rule = fn(&Source) -> Vec<String>;

const RULES: [(&str, Rule); 9] = [
    ("a Rust file opens with a //! comment that says what it is for", opens_with_docs),
    ("a Rust file is short", is_short),
    ("a mod.rs holds docs, modules and re-exports, nothing else", mod_holds_nothing_else),
    ("a folder in a binary's src is one of its stages", folders_are_stages),
    ("SQL is written in one layer", no_sql_elsewhere),
    ("unsafe code is in ffi.rs", no_unsafe_elsewhere),
    ("a crate inherits the workspace's lints", inherits_lints),
    ("nothing is left unfinished", nothing_unfinished),
    ("no file names the place where it was made", names_no_place),
];

#[test]
fn the_repository_is_tidy() {
    let sources = tracked_sources();
    assert!(sources.len() > 50, "only {} files were found", sources.len());
    let mut problems = Vec::new();
    for source in &sources {
        for (name, rule) in RULES {
            problems.extend(rule(source).into_iter().map(|what| format!("{}: {what} ({name})", source.path)));
        }
    }
    problems.extend(changed_migrations(&sources));
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
}

fn opens_with_docs(source: &Source) -> Vec<String> {
    let bad = is_rust(source) && !source.text.starts_with("//! ");
    problem_if(bad, || "does not open with //!".to_owned())
}

fn is_short(source: &Source) -> Vec<String> {
    if !is_rust(source) || is_test(source) {
        return Vec::new();
    }
    let lines = non_test_lines(&source.text).len();
    let excused = lines <= LINES_HARD_MAX && source.text.lines().any(|line| line.starts_with(LONG_BECAUSE));
    problem_if(lines > LINES_MAX && !excused, || {
        format!(
            "{lines} non-test lines, more than {LINES_MAX}: split it, or say `{LONG_BECAUSE} ...` (to {LINES_HARD_MAX})"
        )
    })
}

fn mod_holds_nothing_else(source: &Source) -> Vec<String> {
    if !source.path.ends_with("/mod.rs") || is_test(source) {
        return Vec::new();
    }
    let code: Vec<&str> = source
        .text
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with("//") && !line.starts_with("#["))
        .collect();
    let is_allowed = |statement: &str| {
        let visible = ["pub ", "pub(crate) ", "pub(super) "];
        let bare = visible.iter().find_map(|prefix| statement.strip_prefix(prefix)).unwrap_or(statement);
        bare.is_empty() || bare.starts_with("use ") || (bare.starts_with("mod ") && !bare.contains('{'))
    };
    let code = code.join(" ");
    let others = code.split(';').map(str::trim).filter(|statement| !is_allowed(statement));
    others.map(|statement| format!("holds `{}`", statement.chars().take(60).collect::<String>())).collect()
}

/// A folder with a mod.rs is a stage; one beside a file of its name holds the parts of that file.
fn folders_are_stages(source: &Source) -> Vec<String> {
    let known = STAGES.iter().find_map(|(src, stages)| Some((source.path.strip_prefix(src)?, stages)));
    let folder = known.and_then(|(rest, stages)| Some((rest.strip_suffix("/mod.rs")?, stages)));
    let Some((folder, stages)) = folder else { return Vec::new() };
    problem_if(!folder.contains('/') && !stages.contains(&folder), || {
        format!("{folder}/ is not one of the stages {}: plumbing is a file", stages.join(" -> "))
    })
}

fn no_sql_elsewhere(source: &Source) -> Vec<String> {
    if !is_rust(source) || SQL_HOMES.iter().any(|home| source.path.starts_with(home)) || is_test(source) {
        return Vec::new();
    }
    matches_in(code_lines(&source.text), &SQL_WORDS)
}

fn no_unsafe_elsewhere(source: &Source) -> Vec<String> {
    const FFI: [&str; 2] = ["deploy/clickhouse-embedded/src/engine/ffi.rs", "ingest/src/ffi.rs"];
    if !is_rust(source) || FFI.contains(&source.path.as_str()) {
        return Vec::new();
    }
    let words =
        [["unsafe", " {"], ["unsafe", " fn"], ["unsafe", " impl"], ["unsafe", " extern"], ["unsafe", "("]];
    matches_in(code_lines(&source.text), &words.map(|halves| halves.concat()))
}

fn inherits_lints(source: &Source) -> Vec<String> {
    // Fuzz targets are a workspace of their own: they need another toolchain.
    let is_fuzz = source.path.ends_with("/fuzz/Cargo.toml");
    let is_crate = source.path.ends_with("Cargo.toml") && source.text.contains("[package]") && !is_fuzz;
    let bad = is_crate && !source.text.contains("[lints]\nworkspace = true\n");
    problem_if(bad, || "has no `[lints] workspace = true`".to_owned())
}

fn nothing_unfinished(source: &Source) -> Vec<String> {
    let words = UNFINISHED.map(|(start, end)| [start, end].concat());
    let lines = source.text.lines().enumerate();
    matches_in(lines, &words)
}

fn names_no_place(source: &Source) -> Vec<String> {
    let places = PLACES.map(|(start, end)| [start, end].concat());
    let mut found = matches_in(source.text.lines().enumerate(), &places);
    if source.path.ends_with("package-lock.json") {
        found.extend(matches_in(source.text.lines().enumerate(), &["\"resolved\": \"http"]));
    }
    found
}

/// A migration that was released is never edited: what it did is in someone's database. The checksums are the record.
fn changed_migrations(sources: &[Source]) -> Vec<String> {
    let record = sources.iter().find(|source| source.path == MIGRATION_CHECKSUMS);
    let recorded: Vec<(&str, &str)> = record
        .map_or(Vec::new(), |record| record.text.lines().filter_map(|line| line.split_once("  ")).collect());
    let migrations: Vec<&Source> =
        sources.iter().filter(|source| source.path.starts_with(MIGRATIONS)).collect();
    let gone = recorded.iter().filter(|(_, path)| migrations.iter().all(|migration| migration.path != *path));
    let mut problems: Vec<String> =
        gone.map(|(_, path)| format!("{path}: is gone; migrations are append-only")).collect();
    for Source { path, text } in migrations {
        let now = hex::encode(Sha256::digest(text));
        let line = format!("`{now}  {path}` in {MIGRATION_CHECKSUMS}");
        match recorded.iter().find(|(_, known)| known == path) {
            None => problems.push(format!("{path}: is not recorded; put {line}")),
            Some((checksum, _)) if *checksum == now => {}
            Some(_) => problems.push(format!(
                "{path}: was changed; migrations are append-only, so add a new one (if no release has it yet, put {line})"
            )),
        }
    }
    problems
}

fn problem_if(bad: bool, what: impl FnOnce() -> String) -> Vec<String> {
    if bad { vec![what()] } else { Vec::new() }
}

fn matches_in<'a>(lines: impl Iterator<Item = (usize, &'a str)>, words: &[impl AsRef<str>]) -> Vec<String> {
    let found = |(index, line): (usize, &str)| {
        let word = words.iter().map(AsRef::as_ref).find(|word| line.contains(word))?;
        Some(format!("`{}` in line {}", word.trim(), index + 1))
    };
    lines.filter_map(found).collect()
}

fn is_rust(source: &Source) -> bool {
    Path::new(&source.path).extension().is_some_and(|extension| extension == "rs")
}

/// Files of tests alone: the system tests (but not the harness, which is a library), a crate's `tests` folder, and
/// a module's `tests.rs`.
fn is_test(source: &Source) -> bool {
    let path = &source.path;
    let is_system_test = path.starts_with("tests/") && !path.starts_with("tests/harness/");
    is_system_test || path.contains("/tests/") && !path.starts_with("tests/") || path.ends_with("/tests.rs")
}

/// The lines, numbered from 0, outside of `#[cfg(test)] mod ... { }` at the left margin.
fn non_test_lines(text: &str) -> Vec<(usize, &str)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut kept = Vec::new();
    let mut index = 0;
    while index < lines.len() {
        let opens = lines[index] == "#[cfg(test)]"
            && lines.get(index + 1).is_some_and(|next| next.contains("mod ") && next.ends_with('{'));
        if opens {
            index += lines[index..].iter().position(|line| *line == "}").unwrap_or(lines.len());
        } else {
            kept.push((index, lines[index]));
        }
        index += 1;
    }
    kept
}

fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    non_test_lines(text).into_iter().filter(|(_, line)| !line.trim_start().starts_with("//"))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every text file that git tracks, or would if asked to add everything.
fn tracked_sources() -> Vec<Source> {
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("git is there: the rules are about the files that it tracks");
    let listed = String::from_utf8(listed.stdout).expect("our file names are UTF-8");
    let read = |path: &str| {
        Some(Source { path: path.to_owned(), text: fs::read_to_string(root().join(path)).ok()? })
    };
    listed.split('\0').filter(|path| !path.is_empty()).filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `rule` finds nothing in the first text and exactly one thing in the second.
    fn check(rule: Rule, path: &str, good: &str, bad: &str) {
        let find = |text: &str| rule(&Source { path: path.to_owned(), text: text.to_owned() });
        assert_eq!(find(good), Vec::<String>::new(), "{path}");
        assert_eq!(find(bad).len(), 1, "{path}: {:?}", find(bad));
    }

    #[test]
    fn a_file_without_docs_is_found() {
        check(opens_with_docs, "ingest/src/lib.rs", "//! Takes.\n", "use x;\n");
        check(opens_with_docs, "ingest/src/lib.rs", "//! Takes.\n", "\n//! Takes.\n");
        assert!(opens_with_docs(&Source { path: "README.md".into(), text: "# Weir".into() }).is_empty());
    }

    #[test]
    fn a_long_file_is_found_and_its_tests_do_not_count() {
        let code = |lines: usize| "let x = 1;\n".repeat(lines);
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", code(LINES_MAX));
        check(is_short, "ingest/src/lib.rs", &(code(LINES_MAX) + &tests), &code(LINES_MAX + 1));
        check(is_short, "ingest/src/lib.rs", &tests, &(tests.clone() + &code(LINES_MAX + 1)));
        let excused = |lines| format!("{LONG_BECAUSE} it is a table.\n{}", code(lines));
        check(is_short, "ingest/src/lib.rs", &excused(LINES_HARD_MAX - 1), &excused(LINES_HARD_MAX));
        assert!(is_short(&Source { path: "ingest/src/decode/tests.rs".into(), text: code(900) }).is_empty());
        assert!(!is_short(&Source { path: "tests/harness/lib.rs".into(), text: code(900) }).is_empty());
    }

    #[test]
    fn code_in_a_mod_file_is_found() {
        let good = "//! Docs.\n\nmod a;\npub(crate) mod b;\n#[cfg(test)]\nmod tests;\n\npub use a::{\n    B, // why\n    C,\n};\n";
        check(mod_holds_nothing_else, "ingest/src/sink/mod.rs", "//! Docs.\n", "//! Docs.\nfn f() {}\n");
        check(
            mod_holds_nothing_else,
            "ingest/src/sink/mod.rs",
            &good.replace(", // why", ","),
            "mod a { const X: u8 = 1 }\n",
        );
    }

    #[test]
    fn a_folder_that_is_no_stage_is_found() {
        let find = |path: &str| folders_are_stages(&Source { path: path.into(), text: String::new() }).len();
        assert_eq!(find("ingest/src/utils/mod.rs"), 1);
        assert_eq!(find("ingest/src/decode/mod.rs"), 0);
        assert_eq!(find("ingest/src/decode/trace/mod.rs"), 0);
        assert_eq!(find("ingest/src/pipeline/tests.rs"), 0);
        assert_eq!(find("ingest/src/main.rs"), 0);
    }

    #[test]
    fn stages_sort_in_flow_order() {
        assert!(STAGES.iter().all(|(_, stages)| stages.is_sorted()));
    }

    #[test]
    fn sql_in_the_wrong_layer_is_found() {
        let sql = "let sql = \"SELECT 1\";\n";
        check(no_sql_elsewhere, "query-api/src/view/rows.rs", "// SELECT 1 is not code\n", sql);
        assert!(
            no_sql_elsewhere(&Source { path: "query-api/src/sql/page.rs".into(), text: sql.into() })
                .is_empty()
        );
    }

    #[test]
    fn unsafe_code_is_found() {
        let bad = ["    unsafe", " { read(p) }\n"].concat();
        check(no_unsafe_elsewhere, "ingest/src/sink/store.rs", "// nothing is unsafe { here }\n", &bad);
        let home = "deploy/clickhouse-embedded/src/engine/ffi.rs";
        assert!(no_unsafe_elsewhere(&Source { path: home.into(), text: bad }).is_empty());
    }

    #[test]
    fn a_crate_with_lints_of_its_own_is_found() {
        let good = "[package]\nname = \"x\"\n\n[lints]\nworkspace = true\n";
        check(
            inherits_lints,
            "ingest/Cargo.toml",
            good,
            "[package]\nname = \"x\"\n\n[lints.clippy]\nall = \"allow\"\n",
        );
    }

    #[test]
    fn unfinished_work_is_found() {
        for (start, end) in UNFINISHED {
            check(nothing_unfinished, "Makefile", "all: test\n", &format!("# {start}{end} later\n"));
        }
    }

    #[test]
    fn the_name_of_a_place_is_found() {
        for (start, end) in PLACES {
            check(names_no_place, "README.md", "https://docs.rs\n", &format!("see {start}{end}\n"));
        }
        let resolved = "{\n  \"resolved\": \"https://mirror.example/x.tgz\"\n}\n";
        check(names_no_place, "tests/conformance/package-lock.json", "{}\n", resolved);
    }

    #[test]
    fn an_edited_a_missing_and_an_unrecorded_migration_are_found() {
        let migration = |text: &str| Source { path: format!("{MIGRATIONS}0001_a.sql"), text: text.into() };
        let record = |lines: String| Source { path: MIGRATION_CHECKSUMS.into(), text: lines };
        let line = format!("{}  {MIGRATIONS}0001_a.sql\n", hex::encode(Sha256::digest("SELECT 1")));
        let find = |sources: &[Source]| changed_migrations(sources);
        assert!(find(&[migration("SELECT 1"), record(line.clone())]).is_empty());
        assert!(find(&[migration("SELECT 2"), record(line.clone())])[0].contains("was changed"));
        assert!(find(&[record(line)])[0].contains("is gone"));
        assert!(find(&[migration("SELECT 1")])[0].contains("is not recorded"));
    }
}
