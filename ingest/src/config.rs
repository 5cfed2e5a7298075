//! The settings of ingest: section `[ingest]` and the shared ones.

use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use weir_service::config::{
    ByteSize, ClickHouseConfig, ConfigErrors, InvalidValue, Key, LogConfig, NatsConfig, Reader, Reported,
    Value,
};
use weir_service::telemetry::chain;

use crate::accept::{ChunkLimits, PushLimits, Senders, SendersFile};
use crate::consume::{self, KafkaConfig};
use crate::decode::PrivateKeys;
use crate::normalize::NewApiTypes;
use crate::pipeline::Pipeline;
use crate::price::{PriceBook, load_book};
use crate::redact::{self, Redactor};
use crate::removal::{self, Retention};
use crate::sink::GroupLimits;

/// The price files, for everything that prices.
pub(crate) const PRICE_FILES: &str = "ingest.price_files";

const TOKENS: &str = "ingest.tokens";
const NEW_API_TYPES: &str = "ingest.new_api_types";
const SENDERS_FILE: &str = "ingest.senders_file";

/// The keys of `[ingest]`.
pub const KEYS: &[Key] = &[
    Key::new("ingest.listen", "where to take pushes").default("127.0.0.1:8787"),
    Key::new("ingest.ops_listen", "where to answer /healthz, /readyz and /metrics").default("127.0.0.1:9091"),
    Key::new(
        TOKENS,
        "bearer tokens that may push everything: [label:]token or [label:]sha256:<hex>, comma-separated",
    )
    .secret(),
    Key::new(
        SENDERS_FILE,
        "TOML file with more tokens and what each may push, read again when it changes; none if not set",
    ),
    Key::new(
        "ingest.logpush_private_keys_files",
        "PEM files with the private keys that AI Gateway logs are encrypted for, comma-separated; none if not set",
    ),
    Key::new("ingest.migrate_at_start", "create or update the tables before taking pushes").default("false"),
    Key::new(
        PRICE_FILES,
        "price files (TOML) that come before the built-in price book, comma-separated; none if not set",
    ),
    Key::new(
        NEW_API_TYPES,
        "what types 4 and 5 of new-api's log are: documented (error, system) or upstream (system, error)",
    )
    .default("documented"),
    Key::new("ingest.drain_timeout", "how long pushes under way may take when stopping").default("20s"),
    Key::new("ingest.body_bytes_max", "the most bytes of a push, decompressed").default("1GiB"),
    Key::new("ingest.line_bytes_max", "the most bytes of a record; longer ones are dead letters")
        .default("16MiB"),
    Key::new("ingest.chunk_bytes_max", "how much of a push is worked on at once").default("4MiB"),
    Key::new("ingest.chunk_lines_max", "how many records of a push are worked on at once").default("2000"),
    Key::new("ingest.pushes_max", "pushes read at the same time, 256 at most; more of them wait").default("8"),
    Key::new("ingest.turn_timeout", "how long a push waits for its turn before it is asked to come back")
        .default("10s"),
    Key::new("ingest.idle_timeout", "how long a connection may be silent inside a body").default("30s"),
    Key::new(
        "ingest.body_bytes_per_second_min",
        "how much of a body, as it is sent, has to come in on average once ingest.idle_timeout is spent on waiting",
    )
    .default("4KiB"),
    Key::new("ingest.write_timeout", "how long ClickHouse may take for a statement").default("30s"),
    Key::new("ingest.write_events_max", "the most events that are gathered into one write").default("20000"),
    Key::new("ingest.write_bytes_max", "the most bytes of records that are gathered into one write")
        .default("32MiB"),
    Key::new(
        "ingest.write_interval",
        "the least time from one write to the next that is not full: what comes meanwhile is written together; one of a MiB or more waits up to four times as long, and a second at most, for what is being read",
    )
    .default("100ms"),
    Key::new(
        "ingest.pending_bytes_max",
        "the most bytes of records that wait to be written or are being written",
    )
    .default("64MiB"),
    Key::new(
        "ingest.spool_bytes_max",
        "how much of what is pushed while ClickHouse is away is kept in JetStream, compressed; 0B to refuse it instead",
    )
    .default("1GiB"),
    Key::new(
        "ingest.reconcile_interval",
        "how often to look for what a killed process left behind, and for rollups that differ from their rows",
    )
    .default("1m"),
    removal::KEYS[0],
    removal::KEYS[1],
    redact::KEYS[0],
    redact::KEYS[1],
    redact::KEYS[2],
    redact::KEYS[3],
    consume::KEYS[0],
    consume::KEYS[1],
    consume::KEYS[2],
    consume::KEYS[3],
    consume::KEYS[4],
    consume::KEYS[5],
    consume::KEYS[6],
];

/// What ingest runs with.
#[derive(Clone, Debug)]
pub struct IngestConfig {
    /// Where to take pushes.
    pub listen: SocketAddr,
    /// Where to answer probes.
    pub ops_listen: SocketAddr,
    /// Who may push.
    pub senders: Senders,
    /// Where more of them come from, as it changes.
    pub senders_file: Option<SendersFile>,
    /// What encrypted logs are opened with.
    pub private_keys: PrivateKeys,
    /// What the types of new-api's log mean.
    pub new_api_types: NewApiTypes,
    /// Whether to bring the tables up to date first.
    pub migrate_at_start: bool,
    /// What costs are computed with.
    pub price_book: PriceBook,
    /// From the soft to the hard stop.
    pub drain_timeout: Duration,
    /// What a push may take.
    pub push: PushLimits,
    /// What a write takes.
    pub group: GroupLimits,
    /// For one statement.
    pub write_timeout: Duration,
    /// The size of the spool, 0 for none.
    pub spool_bytes_max: u64,
    /// From one look for what is to be put right to the next.
    pub reconcile_interval: Duration,
    /// How long what is kept.
    pub(crate) retention: Retention,
    /// What is kept of texts.
    pub redactor: Redactor,
    /// What topics are consumed, if any.
    pub kafka: Option<KafkaConfig>,
    /// Where the tables are.
    pub clickhouse: ClickHouseConfig,
    /// Where the bus is.
    pub nats: NatsConfig,
    /// The log.
    pub log: LogConfig,
}

impl IngestConfig {
    /// Reads the settings of a process that serves: it needs tokens.
    pub(crate) fn from_reader(mut reader: Reader) -> Result<Self, ConfigErrors> {
        let listen = reader.get("ingest.listen");
        let ops_listen = reader.get("ingest.ops_listen");
        let senders = read_senders(&mut reader);
        let private_keys = read_private_keys(&mut reader);
        let new_api_types = reader.get(NEW_API_TYPES);
        let migrate_at_start = reader.get("ingest.migrate_at_start");
        let price_book = read_price_book(&mut reader, &[]);
        let drain_timeout = reader.get("ingest.drain_timeout");
        let push = read_push(&mut reader);
        let group = read_group(&mut reader);
        let write_timeout = read_write_timeout(&mut reader);
        let spool_bytes_max: Result<ByteSize, _> = reader.get("ingest.spool_bytes_max");
        let reconcile_interval =
            reader.get_in("ingest.reconcile_interval", Duration::from_secs(1)..=Duration::from_hours(1));
        let retention = removal::read(&mut reader);
        let redactor = redact::read(&mut reader);
        let kafka = consume::read(&mut reader);
        let (clickhouse, nats, log) = (reader.clickhouse(), reader.nats(), reader.log());
        reader.finish(|reader| {
            let (senders, senders_file) = senders?;
            let config = Self {
                listen: listen?,
                ops_listen: ops_listen?,
                senders,
                senders_file,
                private_keys: private_keys?,
                new_api_types: new_api_types?,
                migrate_at_start: migrate_at_start?,
                price_book: price_book?,
                drain_timeout: drain_timeout?,
                push: push?,
                group: group?,
                write_timeout: write_timeout?,
                spool_bytes_max: spool_bytes_max?.bytes(),
                reconcile_interval: reconcile_interval?,
                retention: retention?,
                redactor: redactor?,
                kafka: kafka?,
                clickhouse: clickhouse?,
                nats: nats?,
                log: log?,
            };
            let apart = config.listen.port() == 0 || config.listen != config.ops_listen;
            reader.require(apart, "ingest.ops_listen", "is the same as ingest.listen")?;
            Ok(config)
        })
    }
}

/// The senders file is read here, so that one that cannot be used is told with every other mistake.
fn read_senders(reader: &mut Reader) -> Result<(Senders, Option<SendersFile>), Reported> {
    let listed = reader.optional_bearer_tokens(TOKENS);
    let path: Option<PathBuf> = reader.get_optional(SENDERS_FILE)?;
    let listed = listed?;
    let Some(path) = path else {
        reader.require(
            !listed.is_empty(),
            TOKENS,
            "has no token, and neither has a file: nobody could push",
        )?;
        return Ok((Senders::of_list(listed), None));
    };
    let mut file = SendersFile::new(path, listed);
    let senders = file.open().map_err(|error| reader.reject(SENDERS_FILE, chain(&error)))?;
    Ok((senders, Some(file)))
}

/// The book of `first` and the configured price files over the built-in one. They are read here, so that a file that
/// cannot be used is told with every other mistake.
pub(crate) fn read_price_book(reader: &mut Reader, first: &[PathBuf]) -> Result<PriceBook, Reported> {
    let configured: Vec<PathBuf> = reader.get_list(PRICE_FILES)?;
    let files: Vec<_> = first.iter().chain(&configured).cloned().collect();
    load_book(&files).map_err(|error| reader.reject(PRICE_FILES, chain(&error)))
}

/// What turns records into events.
pub(crate) fn read_pipeline(reader: &mut Reader) -> Result<Pipeline, Reported> {
    let private_keys = read_private_keys(reader);
    let new_api_types = reader.get(NEW_API_TYPES);
    let price_book = read_price_book(reader, &[]);
    let redactor = redact::read(reader);
    let (private_keys, new_api_types, price_book) = (private_keys?, new_api_types?, price_book?);
    let pipeline = Pipeline::new(price_book).with_private_keys(private_keys);
    Ok(pipeline.with_new_api_types(new_api_types).with_redactor(redactor?))
}

/// How long ClickHouse may take for a statement.
pub(crate) fn read_write_timeout(reader: &mut Reader) -> Result<Duration, Reported> {
    reader.get_in("ingest.write_timeout", Duration::from_millis(100)..=Duration::from_mins(10))
}

/// The files are read here, so that one that cannot be used is told with every other mistake.
fn read_private_keys(reader: &mut Reader) -> Result<PrivateKeys, Reported> {
    const NAME: &str = "ingest.logpush_private_keys_files";
    let paths: Vec<PathBuf> = reader.get_list(NAME)?;
    PrivateKeys::from_files(&paths).map_err(|error| reader.reject(NAME, chain(&error)))
}

pub(crate) fn read_push(reader: &mut Reader) -> Result<PushLimits, Reported> {
    /// Of nothing there would be no record: where others have `0B` for none, a push would be acked and not looked at.
    const PIECE: RangeInclusive<ByteSize> = ByteSize::from_bytes(1 << 10)..=ByteSize::from_bytes(1 << 30);
    /// Each push holds a thread of those that may block until it is stored, and what it waits for needs such threads too. Half
    /// of them are left for that: the runtime has 512.
    const CONCURRENT: RangeInclusive<usize> = 1..=256;
    let body_bytes_max: Result<ByteSize, _> = reader.get("ingest.body_bytes_max");
    let line_bytes_max = reader.get_in("ingest.line_bytes_max", PIECE);
    let chunk_bytes_max = reader.get_in("ingest.chunk_bytes_max", PIECE);
    let lines_max = reader.get_in("ingest.chunk_lines_max", 1_usize..=100_000);
    let concurrent_max = reader.get_in("ingest.pushes_max", CONCURRENT);
    let turn_timeout = reader.get("ingest.turn_timeout");
    let idle_timeout = reader.get("ingest.idle_timeout");
    let slowest = ByteSize::from_bytes(1)..=ByteSize::from_bytes(1 << 30);
    let bytes_per_second_min = reader.get_in("ingest.body_bytes_per_second_min", slowest);
    let (body_bytes_max, line_bytes_max) = (body_bytes_max?, line_bytes_max?);
    reader.require(
        line_bytes_max.bytes() <= body_bytes_max.bytes(),
        "ingest.line_bytes_max",
        "is more than ingest.body_bytes_max",
    )?;
    Ok(PushLimits {
        body_bytes_max: body_bytes_max.bytes(),
        concurrent_max: concurrent_max?,
        turn_timeout: turn_timeout?,
        idle_timeout: idle_timeout?,
        bytes_per_second_min: NonZeroU64::new(bytes_per_second_min?.bytes()).unwrap_or(NonZeroU64::MIN),
        chunk: ChunkLimits {
            lines_max: lines_max?,
            bytes_max: chunk_bytes_max?.as_usize(),
            line_bytes_max: line_bytes_max.as_usize(),
        },
    })
}

pub(crate) fn read_group(reader: &mut Reader) -> Result<GroupLimits, Reported> {
    /// Enough for eight pushes to have all their chunks waiting.
    const WAITING_MAX: usize = 72;
    let events_max = reader.get_in("ingest.write_events_max", 1_usize..=1_000_000);
    let interval = reader.get_in("ingest.write_interval", Duration::ZERO..=Duration::from_mins(1));
    let bytes_max: Result<ByteSize, _> = reader.get("ingest.write_bytes_max");
    let pending_bytes_max: Result<ByteSize, _> = reader.get("ingest.pending_bytes_max");
    let (bytes_max, pending_bytes_max) = (bytes_max?, pending_bytes_max?);
    reader.require(
        bytes_max <= pending_bytes_max,
        "ingest.write_bytes_max",
        "is more than ingest.pending_bytes_max",
    )?;
    Ok(GroupLimits {
        waiting_max: WAITING_MAX,
        events_max: events_max?,
        bytes_max: bytes_max.as_usize(),
        interval: interval?,
        pending_bytes_max: pending_bytes_max.as_usize(),
    })
}

impl Value for NewApiTypes {
    const EXPECTED: &'static str = "documented or upstream";

    fn from_text(text: &str) -> Result<Self, InvalidValue> {
        match text {
            "documented" => Ok(Self::Documented),
            "upstream" => Ok(Self::Upstream),
            _ => Err(InvalidValue::OtherKind), // Any other word is the caller's.
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use weir_service::config::{Binary, CommandLine};

    use super::*;

    fn read(args: &[&str], variables: &[(&str, &str)]) -> Result<IngestConfig, String> {
        let args = std::iter::once("ingest").chain(args.iter().copied()).map(OsString::from);
        let variables = variables.iter().map(|(name, value)| (name.into(), value.into()));
        let command_line = CommandLine::new(Binary::Ingest, KEYS, "takes logs in");
        let invocation = command_line.read(args, variables).map_err(|error| error.to_string())?;
        IngestConfig::from_reader(invocation.reader).map_err(|errors| errors.to_string())
    }

    const TOKENS: (&str, &str) = ("WEIR_INGEST_TOKENS", "logpush:t1,t2");

    #[test]
    fn tokens_are_all_that_has_to_be_given() {
        let config = read(&[], &[TOKENS]).unwrap();
        assert_eq!((config.listen.port(), config.ops_listen.port(), config.senders.len()), (8787, 9091, 2));
        let error = read(&[], &[]).unwrap_err();
        assert!(error.contains("ingest.tokens (not set): has no token"), "{error}");
    }

    #[test]
    fn tokens_may_come_from_a_file_alone_and_its_mistakes_are_told_with_the_others() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let variable = ("WEIR_INGEST_SENDERS_FILE", file.path().to_str().unwrap());
        let token = |rest: &str| {
            let digest = "a".repeat(64);
            format!("[[token]]\nlabel = 'acme'\nsha256 = '{digest}'\naccounts = ['acme']\n{rest}")
        };
        std::fs::write(file.path(), token("sources = ['logpush']\n")).unwrap();
        assert_eq!(read(&[], &[variable]).unwrap().senders.len(), 1);
        assert_eq!(read(&[], &[variable, TOKENS]).unwrap().senders.len(), 3);
        std::fs::write(file.path(), token("sources = ['kafka']\n")).unwrap();
        let error = read(&["--ingest-pushes-max", "0"], &[variable, TOKENS]).unwrap_err();
        assert!(error.starts_with("2 problems"), "{error}");
        assert!(
            error.contains("WEIR_INGEST_SENDERS_FILE") && error.contains("token 1 (acme): sources"),
            "{error}"
        );
        let missing = read(&[], &[("WEIR_INGEST_SENDERS_FILE", "/nowhere/tokens.toml")]).unwrap_err();
        assert!(missing.contains("senders file") && !missing.contains("/nowhere"), "{missing}");
    }

    #[test]
    fn where_nothing_is_said_texts_are_redacted() {
        let policies = |setting: Option<&str>| {
            let mut variables = vec![TOKENS];
            variables.extend(setting.map(|text| ("WEIR_INGEST_PAYLOAD_POLICIES", text)));
            let redactor = read(&[], &variables).unwrap().redactor;
            let scope = |text: &str| {
                let (account, gateway) = text.split_once('/').unwrap();
                weir_event::Scope {
                    account_id: account.parse().unwrap(),
                    gateway_id: gateway.parse().unwrap(),
                }
            };
            ["acc/gw", "acc/other", "x/gw"].map(|text| redactor.policy_of(&scope(text)).name())
        };
        assert_eq!(policies(None), ["redact"; 3]);
        assert_eq!(policies(Some("acc/gw=none,acc/*=heads")), ["none", "heads", "redact"]);
        assert_eq!(policies(Some("*/gw=store")), ["store", "redact", "store"]);
    }

    #[test]
    fn the_types_of_new_apis_log_are_the_documented_ones_unless_told() {
        let types = |word: &str| {
            read(&["--ingest-new-api-types", word], &[TOKENS]).map(|config| config.new_api_types)
        };
        assert_eq!(read(&[], &[TOKENS]).unwrap().new_api_types, NewApiTypes::Documented);
        assert_eq!(types("upstream"), Ok(NewApiTypes::Upstream));
        let error = types("d").unwrap_err();
        assert!(error.contains("ingest.new_api_types"), "{error}");
    }

    #[test]
    fn every_mistake_in_redaction_is_told_at_once() {
        let told = |text: &str| {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), text).unwrap();
            let error = read(&["--config", file.path().to_str().unwrap()], &[TOKENS]).unwrap_err();
            error.replace(file.path().to_str().unwrap(), "weir.toml")
        };
        let error = told(concat!(
            "[ingest]\npayload_policies = ['acc/*=keep', 'acc']\npayload_head_characters = 0\n",
            "redact_rules = ['email', 'password']\n",
            "redact_patterns = ['x=(', 'email=e', 'n=a{1,2}b', 'n=c', 'star=a*']\n",
        ));
        for expected in [
            r#"ingest.payload_policies (weir.toml:2): "acc/*=keep" is not account/gateway=policy, such as acc/*=none; policies are store, redact, heads and none"#,
            r#"ingest.payload_policies (weir.toml:2): "acc" is not account/gateway=policy"#,
            "ingest.payload_head_characters (weir.toml:3): 0 is not between 1 and 1000000",
            r#"ingest.redact_rules (weir.toml:4): "password" is not api_key, bearer, jwt, card or email"#,
            r#"ingest.redact_patterns (weir.toml:5): "x" is no regular expression that can be used: unclosed group"#,
            r#"ingest.redact_patterns (weir.toml:5): "email" is the name of another rule"#,
            r#"ingest.redact_patterns (weir.toml:5): "n" is the name of another rule"#,
            r#"ingest.redact_patterns (weir.toml:5): "star" matches the empty text"#,
        ] {
            assert!(error.contains(expected), "{expected}\n{error}");
        }
        let error = told("[ingest]\npayload_policies = ['*/*=store', 'acc/gw=none']\n");
        assert!(error.contains("entry 2 is never reached: one before it is for all gateways"), "{error}");
        let error = told("[ingest]\nredact_rules = []\n");
        assert!(error.contains("ingest.redact_rules (weir.toml:2): has no rule, but"), "{error}");
        let fine = [TOKENS, ("WEIR_INGEST_PAYLOAD_POLICIES", "*/*=store")];
        assert!(read(&[], &fine).unwrap().redactor.rules().name(0) == "api_key");
    }

    #[test]
    fn nothing_is_kept_for_less_than_a_day_and_no_body_for_longer_than_its_log() {
        let told = |logs: &str, bodies: &str| {
            let args = ["--ingest-retention-logs", logs, "--ingest-retention-bodies", bodies];
            read(&args, &[TOKENS]).map(|config| config.retention)
        };
        assert!(told("90d", "7d").is_ok() && told("1d", "1d").is_ok());
        let error = told("23h", "1s").unwrap_err();
        assert!(
            error.contains("ingest.retention_logs") && error.contains("ingest.retention_bodies"),
            "{error}"
        );
        assert!(told("7d", "8d").unwrap_err().contains("bodies go with their logs"));
    }

    #[test]
    fn every_mistake_is_told_at_once_and_no_token_is() {
        let args = ["--ingest-pushes-max", "0", "--ingest-write-timeout", "1ms"];
        let error = read(&args, &[("WEIR_INGEST_TOKENS", "se cret")]).unwrap_err();
        assert!(error.starts_with("3 problems"), "{error}");
        assert!(!error.contains("se cret"), "{error}");
    }

    #[test]
    fn records_and_chunks_of_nothing_are_refused() {
        let told = |size: &str| {
            let args = ["--ingest-line-bytes-max", size, "--ingest-chunk-bytes-max", size];
            read(&args, &[TOKENS]).map(|config| config.push.chunk)
        };
        for size in ["0B", "1023B"] {
            let error = told(size).unwrap_err();
            assert!(error.starts_with("2 problems"), "{error}");
            assert!(
                error.contains("ingest.line_bytes_max") && error.contains("ingest.chunk_bytes_max"),
                "{error}"
            );
            assert!(error.contains("is not between 1KiB and 1GiB"), "{error}");
        }
        let least = told("1KiB").unwrap();
        assert_eq!((least.line_bytes_max, least.bytes_max), (1 << 10, 1 << 10));
    }

    #[test]
    fn pushes_leave_threads_to_what_they_wait_for() {
        let told = |pushes: &str| read(&["--ingest-pushes-max", pushes], &[TOKENS]);
        assert_eq!(told("256").unwrap().push.concurrent_max, 256);
        let error = told("257").unwrap_err();
        assert!(
            error.contains("ingest.pushes_max") && error.contains("257 is not between 1 and 256"),
            "{error}"
        );
    }

    #[test]
    fn price_files_are_read_at_the_start() {
        let error = read(&[], &[TOKENS, ("WEIR_INGEST_PRICE_FILES", "/nowhere/a.toml")]).unwrap_err();
        assert!(error.contains("ingest.price_files") && error.contains("/nowhere/a.toml"), "{error}");
    }

    #[test]
    fn private_keys_are_read_at_the_start_and_a_bad_file_is_told_without_its_content() {
        let keys = |name: &str| {
            format!("{}/../schemas/json/examples/ai_gateway/keys/{name}.pem", env!("CARGO_MANIFEST_DIR"))
        };
        let variable = "WEIR_INGEST_LOGPUSH_PRIVATE_KEYS_FILES";
        let both = [keys("current"), keys("retired")].join(",");
        let config = read(&[], &[TOKENS, (variable, &both)]).unwrap();
        assert_eq!(config.private_keys.len(), 2);
        assert!(format!("{config:?}").contains("private_keys: <2 private keys>"), "{config:?}");
        let missing = read(&[], &[TOKENS, (variable, &keys("missing"))]).unwrap_err();
        assert!(missing.contains(variable) && missing.contains("missing.pem cannot be read"), "{missing}");
    }

    #[test]
    fn topics_are_read_and_there_are_none_without_a_broker() {
        assert!(read(&[], &[TOKENS]).unwrap().kafka.is_none());
        let brokers = ("WEIR_INGEST_KAFKA_BROKERS", "a:9092,b:9092");
        let topics = ("WEIR_INGEST_KAFKA_TOPICS", "usage=events:acme/chat,raw.logs=logpush:acme");
        let kafka = read(&[], &[TOKENS, brokers, topics]).unwrap().kafka.unwrap();
        assert_eq!((kafka.brokers.as_str(), kafka.group.as_str()), ("a:9092,b:9092", "weir-ingest"));
        let gateway = |topic: &str| kafka.topics[topic].owner.gateway_id.as_ref().map(ToString::to_string);
        assert_eq!(gateway("usage").as_deref(), Some("chat"));
        assert_eq!(gateway("raw.logs"), None);
        for (variables, expected) in [
            ([TOKENS, brokers], "ingest.kafka_topics (not set): is required"),
            ([TOKENS, topics], "ingest.kafka_brokers (not set): is required"),
        ] {
            let error = read(&[], &variables).unwrap_err();
            assert!(error.contains(expected), "{expected}\n{error}");
        }
    }

    #[test]
    fn every_mistake_in_kafkas_settings_is_told_at_once_and_no_secret_is() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "sasl.password=hunter2\nno.such=hunter3\nhunter4\n").unwrap();
        let variables = [
            TOKENS,
            ("WEIR_INGEST_KAFKA_BROKERS", "a:9092"),
            ("WEIR_INGEST_KAFKA_TOPICS", "^a=events:acme/chat,b=poems:acme/chat,c=events:a c/chat,d=events"),
            ("WEIR_INGEST_KAFKA_PROPERTIES", "enable.auto.commit=true,ssl.key.password"),
            ("WEIR_INGEST_KAFKA_PROPERTIES_FILE", file.path().to_str().unwrap()),
        ];
        let error = read(&[], &variables).unwrap_err();
        for expected in [
            r#""^a=events:acme/chat" does not begin with the name of a topic"#,
            r#""b=poems:acme/chat" has a form that is not known"#,
            r#""c=events:a c/chat" has an account that is not"#,
            r#""d=events" is not topic=form:account/gateway"#,
            r#""enable.auto.commit" is fixed"#,
            "an entry is not name=value",
            "No such configuration property",
        ] {
            assert!(error.contains(expected), "{expected}\n{error}");
        }
        assert!(!error.contains("hunter"), "{error}");
        let topics = ("WEIR_INGEST_KAFKA_TOPICS", "a=events:acme/chat");
        let back = ("WEIR_INGEST_KAFKA_DEAD_LETTER_TOPIC", "a");
        let error = read(&[], &[TOKENS, variables[1], topics, back]).unwrap_err();
        assert!(error.contains("ingest.kafka_dead_letter_topic") && error.contains("is one of"), "{error}");
    }

    #[test]
    fn relations_between_values_are_checked() {
        let error = read(&["--ingest-listen", "127.0.0.1:9091"], &[TOKENS]).unwrap_err();
        assert!(error.contains("ingest.ops_listen"), "{error}");
        let error = read(&["--ingest-body-bytes-max", "1MiB"], &[TOKENS]).unwrap_err();
        assert!(error.contains("ingest.line_bytes_max"), "{error}");
        let error = read(&["--ingest-write-bytes-max", "1GiB"], &[TOKENS]).unwrap_err();
        assert!(error.contains("ingest.write_bytes_max"), "{error}");
    }
}
