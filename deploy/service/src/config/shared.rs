//! The sections that every binary reads, ready made.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use url::Url;

use crate::auth::BearerTokens;

use super::key::Key;
use super::reader::{Reader, Reported};
use super::value::{InvalidValue, Secret, Value};

/// The keys of `[clickhouse]`, `[nats]` and `[log]`.
pub(super) const SHARED_KEYS: &[Key] = &[
    Key::new("clickhouse.url", "the HTTP interface of ClickHouse").default("http://127.0.0.1:8123"),
    Key::new("clickhouse.database", "the database that holds Weir's tables").default("weir"),
    Key::new("clickhouse.user", "who to be at ClickHouse").default("default"),
    Key::new("clickhouse.password", "the password of that user; none if not set").secret(),
    Key::new("nats.url", "the NATS server, with JetStream").default("nats://127.0.0.1:4222"),
    Key::new("nats.token", "the token to show to NATS; none if not set").secret(),
    Key::new("log.level", "what to log: a level, or target=level pairs with commas between them")
        .default("info"),
    Key::new("log.format", "pretty, json, or auto: pretty on a terminal and json elsewhere").default("auto"),
];

/// Section `[clickhouse]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClickHouseConfig {
    /// The HTTP interface.
    pub url: Url,
    /// The database that holds our tables.
    pub database: String,
    /// Who to be.
    pub user: String,
    /// Empty if there is none.
    pub password: Secret,
}

/// Section `[nats]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NatsConfig {
    /// The server.
    pub url: Url,
    /// Token authentication, where the server asks for it.
    pub token: Option<Secret>,
}

/// Section `[log]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// What to log, as `tracing_subscriber::EnvFilter` reads it; checked.
    pub level: String,
    /// In which form.
    pub format: LogFormat,
}

/// The form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Pretty on a terminal, JSON elsewhere.
    Auto,
    /// Text for a person.
    Pretty,
    /// One JSON object a line.
    Json,
}

impl Reader {
    /// Reads `[clickhouse]`.
    pub fn clickhouse(&mut self) -> Result<ClickHouseConfig, Reported> {
        let url = self.get_url("clickhouse.url", &["http", "https"]);
        let database = self.get("clickhouse.database");
        let user = self.get("clickhouse.user");
        let password = self.get_optional("clickhouse.password");
        Ok(ClickHouseConfig {
            url: url?,
            database: database?,
            user: user?,
            password: password?.unwrap_or_default(),
        })
    }

    /// Reads `[nats]`.
    pub fn nats(&mut self) -> Result<NatsConfig, Reported> {
        let url = self.get_url("nats.url", &["nats", "tls"]);
        let token = self.get_optional("nats.token");
        Ok(NatsConfig { url: url?, token: token? })
    }

    /// Reads a list of bearer tokens, each as [`BearerTokens::from_entries`] has it. There has to be one: without any,
    /// nobody could call.
    pub fn bearer_tokens(&mut self, name: &'static str) -> Result<BearerTokens, Reported> {
        let tokens = self.optional_bearer_tokens(name)?;
        self.require(!tokens.is_empty(), name, "has no token, so nobody could call")?;
        Ok(tokens)
    }

    /// The same where tokens may come from elsewhere too.
    pub fn optional_bearer_tokens(&mut self, name: &'static str) -> Result<BearerTokens, Reported> {
        let entries: Vec<Secret> = self.get_list(name)?;
        let tokens = BearerTokens::from_entries(entries.iter().map(Secret::expose));
        tokens.map_err(|error| self.reject(name, error.to_string()))
    }

    /// Reads `[log]`.
    pub fn log(&mut self) -> Result<LogConfig, Reported> {
        let level = self.get("log.level").map(|LogFilter(level)| level);
        let format = self.get("log.format");
        Ok(LogConfig { level: level?, format: format? })
    }
}

impl Value for LogFormat {
    const EXPECTED: &'static str = "auto, pretty or json";

    fn from_text(text: &str) -> Result<Self, InvalidValue> {
        match text {
            "auto" => Ok(Self::Auto),
            "pretty" => Ok(Self::Pretty),
            "json" => Ok(Self::Json),
            _ => Err(InvalidValue::OtherKind),
        }
    }
}

/// A filter that has been tried.
struct LogFilter(String);

impl Value for LogFilter {
    const EXPECTED: &'static str = "a log filter such as info or info,weir_ingest=debug";

    fn from_text(text: &str) -> Result<Self, InvalidValue> {
        // EnvFilter takes a bare word that is no level for the name of a target: a misspelt level would be a
        // filter that lets nothing through.
        let levels_are_levels = text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.contains(['=', '[', ']', '{', '}']))
            .all(|word| word.parse::<LevelFilter>().is_ok());
        if levels_are_levels && EnvFilter::try_new(text).is_ok() {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidValue::OtherKind)
        }
    }
}
