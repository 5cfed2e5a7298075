//! Section `[query_api]` of the configuration, with the sections that it shares.

use std::net::SocketAddr;
use std::time::Duration;

use weir_service::auth::BearerTokens;
use weir_service::config::{
    Binary, ClickHouseConfig, CommandLine, ConfigErrors, InvalidValue, Key, LogConfig, NatsConfig, Reader,
    Value,
};

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
    Key::new("query_api.drain_timeout", "time between the soft and the hard stop").default("20s"),
    Key::new(
        "query_api.metadata_form",
        "how Cloudflare's API shows metadata: string, as its schema has it, or object, as its service sends it",
    )
    .default("string"),
];

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
    /// Time between the soft and the hard stop.
    pub drain_timeout: Duration,
    /// How Cloudflare's API shows metadata.
    pub metadata_form: MetadataForm,
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
        let drain_timeout = reader.get("query_api.drain_timeout");
        let metadata_form = reader.get("query_api.metadata_form");
        let (clickhouse, nats, log) = (reader.clickhouse(), reader.nats(), reader.log());
        reader.finish(|reader| {
            let config = Self {
                listen: listen?,
                ops_listen: ops_listen?,
                tokens: tokens?,
                tokens_currency: Currency { refresh: refresh?, grace: grace? },
                request_timeout: request_timeout?,
                live_timeout: live_timeout?,
                drain_timeout: drain_timeout?,
                metadata_form: metadata_form?,
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
    fn relations_between_values_are_checked() {
        let error = read(&["--query-api-listen", "127.0.0.1:9093"], &[TOKENS]).unwrap_err();
        assert!(error.contains("query_api.ops_listen"), "{error}");
        let error = read(&["--query-api-live-timeout", "40s"], &[TOKENS]).unwrap_err();
        assert!(error.contains("query_api.live_timeout"), "{error}");
        let error = read(&["--query-api-token-grace", "2s"], &[TOKENS]).unwrap_err();
        assert!(error.contains("query_api.token_grace"), "{error}");
    }
}
