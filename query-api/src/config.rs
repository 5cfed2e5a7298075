//! Section `[query_api]` of the configuration, with the sections that it shares.

use std::net::SocketAddr;
use std::time::Duration;

use weir_service::auth::BearerTokens;
use weir_service::config::{
    Binary, ClickHouseConfig, CommandLine, ConfigErrors, InvalidValue, Key, LogConfig, NatsConfig, Reader,
    Reported, Value,
};

use crate::api::{Dialect, Limit, StreamLimits};
use crate::auth::Currency;
use crate::view::MetadataForm;

const KEYS: &[Key] = &[
    Key::new("query_api.listen", "where the APIs are served").default("127.0.0.1:8788"),
    Key::new("query_api.ops_listen", "where probes and scrapes are answered").default("127.0.0.1:9093"),
    Key::new(
        "query_api.tokens",
        "who may do everything: [label:]token or [label:]sha256:<hex>, with commas between them",
    )
    .secret(),
    Key::new("query_api.token_refresh", "how often the tokens of `query-api tokens` are read, and so how soon one is revoked")
        .default("2s"),
    Key::new("query_api.token_grace", "how long those that are known go on working while they cannot be read")
        .default("5m"),
    Key::new("query_api.request_timeout", "the longest that a request may take").default("30s"),
    Key::new("query_api.live_timeout", "the longest to wait for an aggregator").default("2s"),
    Key::new("query_api.streams_max", "how many streams of events may be open at a time").default("256"),
    Key::new("query_api.streams_per_caller_max", "how many of one caller").default("16"),
    Key::new("query_api.stream_time_max", "the longest that a stream lasts, after which its client asks anew")
        .default("1d"),
    Key::new("query_api.drain_timeout", "time between the soft and the hard stop").default("20s"),
    Key::new(
        "query_api.metadata_form",
        "how Cloudflare's API shows metadata: string, as its schema has it, or object, as its service sends it",
    )
    .default("string"),
    Key::new(
        "query_api.new_api_dialect",
        "what new-api's API follows: documented, its documents, or upstream-0.9 or upstream-1.0, its code; upstream is the newest",
    )
    .default("documented"),
    Key::new(
        "query_api.new_api_limit",
        "how often one client may ask new-api's API: 180/180s, dialect for what that has, or off",
    )
    .default("dialect"),
    Key::new("query_api.new_api_key_limit", "the same for what is asked with a relay key, besides").default("dialect"),
    Key::new(
        "query_api.proxies",
        "how many proxies are in front, each of which adds the address that it serves to X-Forwarded-For",
    )
    .default("0"),
];

/// What new-api's API is to be.
#[derive(Clone, Debug)]
pub struct NewApiConfig {
    /// Which of them.
    pub dialect: Dialect,
    /// How often one client may ask.
    pub limit: Option<Limit>,
    /// How often with a relay key.
    pub key_limit: Option<Limit>,
    /// How many proxies are in front that say whom they serve.
    pub proxies: usize,
}

/// What a limit was set to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LimitChoice {
    /// Whatever the dialect has.
    Dialect,
    /// None.
    Off,
    /// This one.
    Own(Limit),
}

/// All that this binary is told.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the APIs are served.
    pub listen: SocketAddr,
    /// Where probes and scrapes are answered.
    pub ops_listen: SocketAddr,
    /// Who may do everything.
    pub tokens: BearerTokens,
    /// How current the tokens are that ClickHouse has.
    pub tokens_currency: Currency,
    /// The longest that a request may take.
    pub request_timeout: Duration,
    /// The longest to wait for an aggregator.
    pub live_timeout: Duration,
    /// How many streams there may be, and for how long.
    pub streams: StreamLimits,
    /// Time between the soft and the hard stop.
    pub drain_timeout: Duration,
    /// How Cloudflare's API shows metadata.
    pub metadata_form: MetadataForm,
    /// What new-api's API is to be.
    pub new_api: NewApiConfig,
    /// Section `[clickhouse]`.
    pub clickhouse: ClickHouseConfig,
    /// Section `[nats]`.
    pub nats: NatsConfig,
    /// Section `[log]`.
    pub log: LogConfig,
}

impl Config {
    /// Reads what serving needs.
    pub(crate) fn from_reader(mut reader: Reader) -> Result<Self, ConfigErrors> {
        let listen = reader.get("query_api.listen");
        let ops_listen = reader.get("query_api.ops_listen");
        let tokens = reader.optional_bearer_tokens("query_api.tokens");
        let second = Duration::from_secs(1);
        let refresh = reader.get_in("query_api.token_refresh", second / 5..=3_600 * second);
        let grace = reader.get_in("query_api.token_grace", second..=86_400 * second);
        let request_timeout = reader.get_in("query_api.request_timeout", second..=600 * second);
        let live_timeout = reader.get_in("query_api.live_timeout", second / 100..=60 * second);
        let streams = streams(&mut reader);
        let drain_timeout = reader.get("query_api.drain_timeout");
        let metadata_form = reader.get("query_api.metadata_form");
        let new_api = NewApiConfig::read(&mut reader);
        let (clickhouse, nats, log) = (reader.clickhouse(), reader.nats(), reader.log());
        reader.finish(|reader| {
            let config = Self {
                listen: listen?,
                ops_listen: ops_listen?,
                tokens: tokens?,
                tokens_currency: Currency { refresh: refresh?, grace: grace? },
                request_timeout: request_timeout?,
                live_timeout: live_timeout?,
                streams: streams?,
                drain_timeout: drain_timeout?,
                metadata_form: metadata_form?,
                new_api: new_api?,
                clickhouse: clickhouse?,
                nats: nats?,
                log: log?,
            };
            let apart = config.listen.port() == 0 || config.listen != config.ops_listen;
            reader.require(apart, "query_api.ops_listen", "is the same as query_api.listen")?;
            let in_time = config.live_timeout <= config.request_timeout;
            reader.require(in_time, "query_api.live_timeout", "is more than query_api.request_timeout")?;
            let Currency { refresh, grace } = config.tokens_currency;
            reader.require(
                refresh < grace,
                "query_api.token_grace",
                "is not more than query_api.token_refresh",
            )?;
            Ok(config)
        })
    }
}

impl NewApiConfig {
    fn read(reader: &mut Reader) -> Result<Self, Reported> {
        let dialect = reader.get("query_api.new_api_dialect");
        let limit = reader.get("query_api.new_api_limit");
        let key_limit = reader.get("query_api.new_api_key_limit");
        let proxies = reader.get_in("query_api.proxies", 0..=16);
        let dialect: Dialect = dialect?;
        Ok(Self {
            dialect,
            limit: LimitChoice::of(limit?, Some(dialect.limit())),
            key_limit: LimitChoice::of(key_limit?, dialect.key_limit()),
            proxies: proxies?,
        })
    }
}

fn streams(reader: &mut Reader) -> Result<StreamLimits, Reported> {
    let open_max = reader.get_in("query_api.streams_max", 0..=65_536);
    let per_caller_max = reader.get_in("query_api.streams_per_caller_max", 0..=65_536);
    let time_max =
        reader.get_in("query_api.stream_time_max", Duration::from_millis(100)..=Duration::from_hours(7 * 24));
    Ok(StreamLimits { open_max: open_max?, per_caller_max: per_caller_max?, time_max: time_max? })
}

impl LimitChoice {
    const fn of(self, dialect: Option<Limit>) -> Option<Limit> {
        match self {
            Self::Dialect => dialect,
            Self::Off => None,
            Self::Own(limit) => Some(limit),
        }
    }
}

impl Value for Dialect {
    const EXPECTED: &'static str = "documented, upstream-0.9, upstream-1.0 or upstream";

    fn from_text(text: &str) -> Result<Self, InvalidValue> {
        Self::from_name(text).ok_or(InvalidValue::OtherKind)
    }
}

impl Value for LimitChoice {
    const EXPECTED: &'static str = "a number of requests in a time such as 180/180s, dialect or off";

    fn from_text(text: &str) -> Result<Self, InvalidValue> {
        match text {
            "dialect" => return Ok(Self::Dialect),
            "off" => return Ok(Self::Off),
            // A limit, or nothing.
            _ => {}
        }
        let (requests, window) = text.split_once('/').ok_or(InvalidValue::OtherKind)?;
        let limit = Limit {
            requests: requests.parse().map_err(|_| InvalidValue::OtherKind)?,
            window: Duration::from_text(window)?,
        };
        if limit.is_kept() {
            Ok(Self::Own(limit))
        } else {
            Err(InvalidValue::Unusable("is not 1 to 1000 requests in 1ms to 1d"))
        }
    }
}

impl Value for MetadataForm {
    const EXPECTED: &'static str = "string or object";

    fn from_text(text: &str) -> Result<Self, InvalidValue> {
        match text {
            "string" => Ok(Self::String),
            "object" => Ok(Self::Object),
            // Any other word is the configuration's, not ours.
            _ => Err(InvalidValue::OtherKind),
        }
    }
}

pub(crate) fn command_line() -> CommandLine {
    CommandLine::new(Binary::QueryApi, KEYS, "serves logs and statistics over HTTP")
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    fn read(args: &[&str], variables: &[(&str, &str)]) -> Result<Config, String> {
        let args = std::iter::once("query-api").chain(args.iter().copied()).map(OsString::from);
        let variables = variables.iter().map(|(name, value)| (name.into(), value.into()));
        let invocation = command_line().read(args, variables).map_err(|error| error.to_string())?;
        Config::from_reader(invocation.reader).map_err(|errors| errors.to_string())
    }

    const TOKENS: (&str, &str) = ("WEIR_QUERY_API_TOKENS", "grafana:t1,t2");

    #[test]
    fn nothing_has_to_be_given() {
        assert!(read(&[], &[]).unwrap().tokens.is_empty());
        let config = read(&[], &[TOKENS]).unwrap();
        assert_eq!((config.listen.port(), config.ops_listen.port()), (8788, 9093));
        assert_eq!((config.tokens.len(), config.metadata_form), (2, MetadataForm::String));
    }

    #[test]
    fn every_mistake_is_told_at_once_and_no_token_is() {
        let error = read(
            &["--query-api-metadata-form", "xml", "--query-api-request-timeout", "5ms"],
            &[("WEIR_QUERY_API_TOKENS", "se cret")],
        )
        .unwrap_err();
        assert!(error.starts_with("3 problems"), "{error}");
        for part in ["query_api.tokens", "\"xml\" is not string or object", "query_api.request_timeout"] {
            assert!(error.contains(part), "{error}");
        }
        assert!(!error.contains("se cret"), "{error}");
    }

    #[test]
    fn limits_are_those_of_the_dialect_if_nothing_else_is_said() {
        let limits = |args: &[&str]| {
            let config = read(args, &[]).unwrap().new_api;
            [config.limit, config.key_limit]
                .map(|limit| limit.map(|limit| (limit.requests, limit.window.as_secs())))
        };
        assert_eq!(limits(&[]), [Some((180, 180)), Some((120, 60))]);
        let newest = ["--query-api-new-api-dialect", "upstream"];
        assert_eq!(limits(&newest), [Some((360, 180)), Some((20, 1_200))]);
        let own = ["--query-api-new-api-limit", "5/2s", "--query-api-new-api-key-limit", "off"];
        assert_eq!(limits(&own), [Some((5, 2)), None]);
        for odd in ["0/1s", "1001/1s", "1/0s", "1/2d", "5", "5/5", "none"] {
            let error = read(&["--query-api-new-api-limit", odd], &[]).unwrap_err();
            assert!(error.contains("query_api.new_api_limit"), "{odd}: {error}");
        }
    }

    #[test]
    fn relations_between_values_are_checked() {
        let error = read(&["--query-api-listen", "127.0.0.1:9093"], &[TOKENS]).unwrap_err();
        assert!(error.contains("query_api.ops_listen"), "{error}");
        let error = read(&["--query-api-live-timeout", "40s"], &[TOKENS]).unwrap_err();
        assert!(error.contains("query_api.live_timeout"), "{error}");
        let error = read(&["--query-api-token-grace", "2s"], &[TOKENS]).unwrap_err();
        assert!(error.contains("query_api.token_grace"), "{error}");
    }
}
