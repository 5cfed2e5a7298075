//! What the layers add up to, and one table of what goes wrong and how it is told.

use std::ffi::OsString;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use super::*;

const KEYS: &[Key] = &[
    Key::new("ingest.listen", "where Logpush delivers to").default("127.0.0.1:8787"),
    Key::new("ingest.drain_timeout", "time between the soft and the hard stop").default("20s"),
    Key::new("ingest.body_bytes_max", "largest body").default("64MiB"),
    Key::new("ingest.workers", "how many").default("2"),
    Key::new("ingest.brokers", "where Kafka is"),
    Key::new("ingest.spool", "whether to spool").default("true"),
    Key::new("ingest.region", "has no default"),
    Key::new("ingest.tokens", "who may deliver").secret(),
];

/// One configuration in the making: a folder for its files, the variables and the arguments.
struct Setup {
    folder: TempDir,
    variables: Vec<(OsString, OsString)>,
    args: Vec<OsString>,
}

impl Setup {
    fn new() -> Self {
        Self { folder: TempDir::new().unwrap(), variables: Vec::new(), args: vec!["ingest".into()] }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, content: &str) -> PathBuf {
        fs::write(self.path(name), content).unwrap();
        self.path(name)
    }

    fn file(mut self, content: &str) -> Self {
        let path = self.write("weir.toml", content);
        self.variables.push(("WEIR_CONFIG".into(), path.into()));
        self
    }

    fn env(mut self, name: &str, value: impl AsRef<Path>) -> Self {
        self.variables.push((name.into(), value.as_ref().into()));
        self
    }

    fn args(mut self, args: &[&str]) -> Self {
        self.args.extend(args.iter().map(Into::into));
        self
    }

    fn invoke(&self) -> Invocation {
        CommandLine::new(Binary::Ingest, KEYS, "takes logs in")
            .subcommand(clap::Command::new("migrate"))
            .read(self.args.clone(), self.variables.clone())
            .unwrap()
    }

    fn reader(&self) -> Reader {
        self.invoke().reader
    }

    /// Reads every key as a binary does, and gives the problems as they are told, without the folder.
    fn problems(&self) -> Vec<String> {
        let mut reader = self.reader();
        let _ = reader.get::<SocketAddr>("ingest.listen");
        let _ = reader.get_in("ingest.drain_timeout", Duration::from_secs(1)..=Duration::from_mins(5));
        let _ = reader.get::<ByteSize>("ingest.body_bytes_max");
        let _ = reader.get_in::<u16>("ingest.workers", 1..=64);
        let _ = reader.get_list::<SocketAddr>("ingest.brokers");
        let _ = reader.get::<bool>("ingest.spool");
        let _ = reader.get_optional::<String>("ingest.region");
        let _ = reader.get_list::<Secret>("ingest.tokens");
        let _ = reader.clickhouse();
        let _ = reader.nats();
        let _ = reader.log();
        let folder = format!("{}/", self.folder.path().display());
        let errors = reader.finish(|_| Ok(())).err().map_or(Vec::new(), |errors| errors.0);
        errors.iter().map(|problem| problem.to_string().replace(&folder, "")).collect()
    }
}

fn text(reader: &mut Reader, name: &'static str) -> Option<String> {
    reader.get_optional(name).unwrap()
}

#[test]
fn defaults_alone_are_a_configuration() {
    let setup = Setup::new();
    assert_eq!(setup.problems(), [""; 0]);
    let mut reader = setup.reader();
    assert_eq!(reader.get("ingest.drain_timeout"), Ok(Duration::from_secs(20)));
    assert_eq!(reader.get("ingest.body_bytes_max"), Ok(ByteSize::from_bytes(64 << 20)));
    assert_eq!(reader.get_list::<SocketAddr>("ingest.brokers"), Ok(Vec::new()));
    let clickhouse = reader.clickhouse().unwrap();
    assert_eq!(clickhouse.url.as_str(), "http://127.0.0.1:8123/");
    assert_eq!((clickhouse.database.as_str(), clickhouse.user.as_str()), ("weir", "default"));
    assert_eq!(clickhouse.password.expose(), "");
    assert_eq!(reader.nats().unwrap().token, None);
    assert_eq!(reader.log().unwrap(), LogConfig { level: "info".into(), format: LogFormat::Auto });
}

#[test]
fn flags_beat_variables_beat_the_file_beats_defaults() {
    let setup = Setup::new().file("[ingest]\nregion = 'file'\nworkers = 3\n[log]\nlevel = 'debug'\n");
    assert_eq!(text(&mut setup.reader(), "ingest.region").as_deref(), Some("file"));
    assert_eq!(setup.reader().get::<u16>("ingest.workers"), Ok(3));
    assert_eq!(setup.reader().log().unwrap().level, "debug");
    let setup = setup.env("WEIR_INGEST_REGION", "variable").env("WEIR_LOG_LEVEL", "warn");
    assert_eq!(text(&mut setup.reader(), "ingest.region").as_deref(), Some("variable"));
    let setup = setup.args(&["--ingest-region", "flag"]);
    assert_eq!(text(&mut setup.reader(), "ingest.region").as_deref(), Some("flag"));
    assert_eq!(setup.reader().log().unwrap().level, "warn");
}

#[test]
fn the_config_flag_beats_its_variable() {
    let setup = Setup::new().file("[ingest]\nregion = 'variable'\n");
    let other = setup.write("other.toml", "[ingest]\nregion = 'flag'\n");
    let setup = setup.args(&["--config", other.to_str().unwrap()]);
    assert_eq!(text(&mut setup.reader(), "ingest.region").as_deref(), Some("flag"));
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    let setup = Setup::new().file("[ingest]\nregion = 'file'\n").env("WEIR_INGEST_REGION", "");
    assert_eq!(text(&mut setup.reader(), "ingest.region").as_deref(), Some("file"));
}

#[test]
fn lists_are_arrays_in_the_file_and_have_commas_elsewhere() {
    let expected: Vec<SocketAddr> = vec!["127.0.0.1:1".parse().unwrap(), "127.0.0.1:2".parse().unwrap()];
    let check = |setup: Setup| assert_eq!(setup.reader().get_list("ingest.brokers"), Ok(expected.clone()));
    check(Setup::new().file("[ingest]\nbrokers = ['127.0.0.1:1', '127.0.0.1:2']\n"));
    check(Setup::new().env("WEIR_INGEST_BROKERS", "127.0.0.1:1, 127.0.0.1:2,"));
    check(Setup::new().args(&["--ingest-brokers", "127.0.0.1:1,127.0.0.1:2"]));
}

#[test]
fn a_secret_may_come_from_a_file_at_every_layer() {
    let setup = Setup::new();
    let password = setup.write("password", "from file\n");
    let password = password.to_str().unwrap();
    let check = |setup: Setup| {
        assert_eq!(setup.problems(), [""; 0]);
        assert_eq!(setup.reader().clickhouse().unwrap().password.expose(), "from file");
    };
    check(Setup::new().file(&format!("[clickhouse]\npassword_file = '{password}'\n")));
    check(Setup::new().env("WEIR_CLICKHOUSE_PASSWORD_FILE", password));
    check(Setup::new().args(&["--clickhouse-password-file", password]));
    // The higher layer wins, whichever of the two forms it uses.
    check(
        Setup::new()
            .file("[clickhouse]\npassword = 'from toml'\n")
            .env("WEIR_CLICKHOUSE_PASSWORD_FILE", password),
    );
}

#[test]
fn the_file_of_a_secret_list_has_an_item_a_line_and_comments() {
    let setup = Setup::new();
    let tokens = setup.write("tokens", "# the gateways\ngateway:one\n\nscripts:two\n");
    let setup = setup.env("WEIR_INGEST_TOKENS_FILE", tokens);
    let tokens: Vec<Secret> = setup.reader().get_list("ingest.tokens").unwrap();
    assert_eq!(tokens.iter().map(Secret::expose).collect::<Vec<_>>(), ["gateway:one", "scripts:two"]);
}

#[test]
fn bearer_tokens_are_read_whole_or_not_at_all() {
    let told = |setup: &Setup| {
        let mut reader = setup.reader();
        let tokens = reader.bearer_tokens("ingest.tokens");
        reader.finish(|_| tokens).map_err(|errors| errors.0[0].to_string())
    };
    let with = |tokens: &str| Setup::new().env("WEIR_INGEST_TOKENS", tokens);
    assert_eq!(told(&with("gateway:one,two")).unwrap().caller_of("one").unwrap().label, "gateway");
    let refused = "ingest.tokens (WEIR_INGEST_TOKENS): sha256 digest is not 64 hexadecimal digits";
    assert_eq!(told(&with("one,sha256:12")).unwrap_err(), refused);
    let missed = "ingest.tokens (not set): has no token, so nobody could call";
    assert_eq!(told(&Setup::new()).unwrap_err(), missed);
}

#[test]
fn the_other_binaries_are_left_alone() {
    let setup = Setup::new()
        .file("[aggregator]\nanything = { at = 'all' }\n[query_api]\nlisten = 1\n")
        .env("WEIR_AGGREGATOR_ANYTHING", "x")
        .env("WEIR_QUERY_API_LISTEN", "x")
        .env("WEIR_CACHE", "x")
        .env("WEIR_CHDB_LIBRARY", "x")
        .env("PATH", "x");
    assert_eq!(setup.problems(), [""; 0]);
}

#[test]
fn flags_may_stand_before_and_after_a_subcommand() {
    for args in [["--ingest-region", "x", "migrate"], ["migrate", "--ingest-region", "x"]] {
        let invocation = Setup::new().args(&args).invoke();
        assert_eq!(invocation.subcommand.unwrap().name, "migrate");
        assert_eq!({ invocation.reader }.get::<String>("ingest.region").as_deref(), Ok("x"));
    }
    assert!(Setup::new().invoke().subcommand.is_none());
}

#[track_caller]
fn check(setup: &Setup, expected: &[&str]) {
    assert_eq!(setup.problems(), expected);
}

fn file(content: &str) -> Setup {
    Setup::new().file(content)
}

#[test]
fn a_bad_value_is_told_with_its_key_and_its_place() {
    check(
        &file("[ingest]\n\nlisten = 'here'\n"),
        &[
            r#"ingest.listen (weir.toml:3): "here" is not an address with a port, such as 127.0.0.1:8787 or [::]:8787"#,
        ],
    );
    check(
        &file("[ingest]\nlisten = ['127.0.0.1:1']\n"),
        &[
            "ingest.listen (weir.toml:2): is a list, not an address with a port, such as 127.0.0.1:8787 or [::]:8787",
        ],
    );
    check(
        &file("[ingest]\nworkers = 0\nspool = 1\nbody_bytes_max = 1.5\n"),
        &[
            "ingest.body_bytes_max (weir.toml:4): is a TOML float, not a string, integer, boolean or array of these",
            "ingest.workers (weir.toml:2): 0 is not between 1 and 64",
            r#"ingest.spool (weir.toml:3): "1" is not true or false"#,
        ],
    );
    check(
        &Setup::new().args(&["--ingest-workers", "-1"]),
        &[r#"ingest.workers (--ingest-workers): "-1" is not a whole number in range"#],
    );
    check(
        &Setup::new().env("WEIR_INGEST_DRAIN_TIMEOUT", "1h").env("WEIR_INGEST_WORKERS", "0x10"),
        &[
            "ingest.drain_timeout (WEIR_INGEST_DRAIN_TIMEOUT): 3600s is not between 1s and 300s",
            r#"ingest.workers (WEIR_INGEST_WORKERS): "0x10" is not a whole number in range"#,
        ],
    );
}

#[test]
fn an_unknown_name_is_told_with_its_place_and_what_was_meant() {
    check(
        &file("[ingest]\nlisen = 'x'\n[gateway]\na = 1\n[nats]\nurl.host = 'x'\n"),
        &[
            "[gateway] (weir.toml:3): unknown section",
            "ingest.lisen (weir.toml:2): unknown key; did you mean ingest.listen?",
            "nats.url (weir.toml:6): is a TOML table, not a string, integer, boolean or array of these",
        ],
    );
    check(
        &file("listen = 'x'\n[clickhous]\n"),
        &[
            "[clickhous] (weir.toml:2): unknown section; did you mean clickhouse?",
            "listen (weir.toml:1): stands outside of a section",
        ],
    );
    check(
        &Setup::new().env("WEIR_INGEST_LISEN", "x").env("WEIR_INGESTION", "x"),
        &[
            "WEIR_INGEST_LISEN (WEIR_INGEST_LISEN): unknown variable; did you mean WEIR_INGEST_LISTEN?",
            "WEIR_INGESTION (WEIR_INGESTION): unknown variable",
        ],
    );
}

#[test]
fn the_shared_sections_are_checked_too() {
    check(
        &file("[clickhouse]\nurl = 'nats://x'\ndatabase = ''\n[nats]\nurl = 'localhost:4222'\n"),
        &[
            "clickhouse.url (weir.toml:2): does not begin with http:// or https://",
            r#"clickhouse.database (weir.toml:3): "" is empty"#,
            r#"nats.url (weir.toml:5): "localhost:4222" is not a URL such as http://127.0.0.1:8123"#,
        ],
    );
    check(
        &file("[log]\nlevel = 'inof'\nformat = 'xml'\n"),
        &[
            r#"log.level (weir.toml:2): "inof" is not a log filter such as info or info,weir_ingest=debug"#,
            r#"log.format (weir.toml:3): "xml" is not auto, pretty or json"#,
        ],
    );
}

#[test]
fn a_file_that_cannot_be_read_does_not_hide_the_other_problems() {
    let setup = Setup::new().env("WEIR_INGEST_WORKERS", "many").env("WEIR_INGEST_NOISE", "1");
    let missing = setup.path("missing.toml");
    let setup = setup.env("WEIR_CONFIG", missing);
    assert_eq!(
        setup.problems(),
        [
            "configuration file missing.toml (WEIR_CONFIG): cannot be read: No such file or directory (os error 2)",
            "WEIR_INGEST_NOISE (WEIR_INGEST_NOISE): unknown variable",
            r#"ingest.workers (WEIR_INGEST_WORKERS): "many" is not a whole number in range"#,
        ]
    );
}

#[test]
fn broken_toml_is_told_with_its_line() {
    let problems = Setup::new().file("[ingest]\nworkers = 2\nlisten = \n").problems();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].starts_with("TOML (weir.toml:3): "), "{problems:?}");
}

#[test]
fn no_problem_repeats_a_secret() {
    let setup = Setup::new()
        .file("[nats]\nurl = 'nats://user:hunter2@x:1'\n[ingest]\ntokens = [['hunter2']]\n")
        .env("WEIR_CLICKHOUSE_URL", "ftp://user:hunter2@x/")
        .env("WEIR_CLICKHOUSE_PASSWORD", "hunter2")
        .env("WEIR_CLICKHOUSE_PASSWORD_FILE", "missing");
    let problems = setup.problems();
    assert_eq!(
        problems,
        [
            "ingest.tokens (weir.toml:4): is a TOML array, not a string, integer, boolean or array of these",
            "clickhouse.password_file (WEIR_CLICKHOUSE_PASSWORD_FILE): clickhouse.password is set as well",
            "clickhouse.url (WEIR_CLICKHOUSE_URL): the value is not a URL such as http://127.0.0.1:8123",
            "nats.url (weir.toml:2): has credentials in it; they have keys of their own",
        ]
    );
    assert!(!format!("{:?}", setup.reader()).contains("hunter2"));
}

#[test]
fn an_empty_secret_is_a_mistake() {
    let setup = Setup::new();
    let empty = setup.write("empty", "\n");
    let setup = setup.env("WEIR_NATS_TOKEN_FILE", empty);
    assert_eq!(setup.problems(), ["nats.token (WEIR_NATS_TOKEN_FILE): the value is empty"]);
}

#[test]
fn relations_are_told_like_everything_else() {
    let mut reader = Setup::new().env("WEIR_INGEST_WORKERS", "9").reader();
    let workers = reader.get::<u16>("ingest.workers");
    let errors = reader
        .finish(|reader| reader.require(workers? <= 8, "ingest.workers", "is more than ingest.connections"))
        .unwrap_err();
    let expected = "1 problem in the configuration\n  \
        ingest.workers (WEIR_INGEST_WORKERS): is more than ingest.connections";
    assert_eq!(errors.to_string(), expected);
}

#[test]
fn a_required_key_is_missed() {
    let mut reader = Setup::new().reader();
    let region = reader.get::<String>("ingest.region");
    let errors = reader.finish(|_| region).unwrap_err();
    assert_eq!(errors.0[0].to_string(), "ingest.region (not set): is required");
}

#[test]
fn a_secret_has_no_flag_of_its_own() {
    let line = || CommandLine::new(Binary::Ingest, KEYS, "takes logs in");
    let read = |args: &[&str]| line().read(args.iter().map(Into::into), []).map(|_| ());
    assert!(read(&["ingest", "--ingest-tokens", "x"]).is_err());
    assert!(read(&["ingest", "--ingest-tokens-file", "x"]).is_ok());
}

#[test]
fn help_shows_defaults_and_variables() {
    let help = CommandLine::new(Binary::Ingest, KEYS, "takes logs in")
        .read(["ingest", "--help"].map(Into::into), [])
        .unwrap_err();
    let LoadError::CommandLine(help) = help else { panic!("help is clap's") };
    let help: String = help.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
    for expected in [
        "takes logs in",
        "--config <FILE>",
        "[ingest]:",
        "--ingest-drain-timeout <VALUE> time between the soft and the hard stop [default: 20s] \
         [env: WEIR_INGEST_DRAIN_TIMEOUT]",
        "[env: WEIR_CLICKHOUSE_PASSWORD or WEIR_CLICKHOUSE_PASSWORD_FILE]",
        "--version",
    ] {
        assert!(help.contains(expected), "no {expected:?} in {help}");
    }
}
