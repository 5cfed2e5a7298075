//! Serves logs and statistics over HTTP.
//!
//! A request flows through the folders from left to right: `api` understands it in its dialect, `auth` says who asks and what
//! they may, `weir_filter` is what is asked for as types, `sql` turns that into statements, `store` gets the answers, `tail` those that
//! are yet to come, and `view` shows them. `api` then puts them into the dialect's envelope. A dialect's quirks stay in its folder.
//!
//! Of what was logged it changes nothing: what callers say of a log stands beside it. It answers no question with less
//! than was asked: a parameter that is not understood is an error, never "no filter".

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::process::ExitCode;
use std::sync::Arc;

use weir_service::clock::SharedClock;
use weir_service::config::ClickHouseConfig;
use weir_service::http::{self, BindError, Listener};
use weir_service::lifecycle::Lifecycle;
use weir_service::metrics::Metrics;
use weir_service::ops;
use weir_service::readiness::Readiness;

use crate::api::{App, Limits, LiveStreams, NewApi, Observer, Streams};
use crate::auth::{Authenticator, Currency, Directory, Keeper, KnownKey, KnownToken, KnownUser};
use crate::config::Config;
use crate::metrics::QueryMetrics;
use crate::store::{Aggregators, Budgets, Deletions, Ingests, KeyNews, LogStore, News, TokenRow, UserRow};
use crate::tail::Tails;

pub mod api;
pub mod auth;
mod command;
pub mod config;
mod identity;
pub mod metrics;
pub mod sql;
pub mod store;
pub mod tail;
pub mod view;

pub use command::{Settings, run};

/// The process cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Signals cannot be taken over.
    #[error("cannot take over signals")]
    Signals(#[source] io::Error),
    /// An address cannot be listened on.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The NATS client cannot be set up.
    #[error("cannot set up the nats client")]
    Nats(#[from] async_nats::ConnectError),
}

/// Serves until the process is told to stop.
async fn serve(config: Config, clock: SharedClock) -> Result<ExitCode, StartError> {
    let lifecycle = Lifecycle::new(config.drain_timeout).map_err(StartError::Signals)?;
    let shutdown = lifecycle.shutdown();
    let listener = Listener::bind(config.listen).await?;
    let ops_listener = Listener::bind(config.ops_listen).await?;
    let mut metrics = Metrics::new("query-api", env!("CARGO_PKG_VERSION"));
    let query_metrics = QueryMetrics::register(&mut metrics);
    let store = LogStore::new(&config.clickhouse, config.request_timeout, query_metrics.clone());
    let aggregators = Aggregators::connect(&config.nats, config.live_timeout).await?;
    let (directories, keepers) = Directories::new(config.tokens_currency, &clock);
    let (clickhouse, bus) = (&config.clickhouse, aggregators.client());
    let deletions = Deletions::new(store.clone(), clickhouse, bus, config.live_timeout);
    let tails = Tails::new(clock.clone());
    let heard = tail::connect(&config.nats, &tails).await?;
    let readiness = Readiness::new(shutdown.soft_stop().clone());
    let app = Arc::new(App {
        authenticator: Authenticator::new(config.tokens, directories.tokens),
        store: store.clone(),
        deletions: deletions.clone(),
        budgets: Budgets::new(store.clone(), aggregators.client(), clock.clone()),
        ingests: Ingests::new(aggregators.client(), config.live_timeout),
        aggregators: aggregators.clone(),
        live_streams: LiveStreams::new(),
        tails: tails.clone(),
        streams: Streams::new(config.streams, shutdown.soft_stop().clone(), query_metrics.clone()),
        // The standard library's hasher is seeded by the system, which is all that request ids need.
        observer: Observer::new(query_metrics.clone(), RandomState::new().hash_one(())),
        metadata_form: config.metadata_form,
        new_api: NewApi {
            dialect: config.new_api.dialect,
            users: directories.users,
            keys: directories.keys,
            limits: Limits::new(config.new_api.limit, config.new_api.key_limit, config.new_api.proxies),
            started_at_s: clock.now_ms() / 1_000,
        },
        request_timeout: config.request_timeout,
        live_timeout: config.live_timeout,
    });
    keepers.spawn(&lifecycle, &config.clickhouse);
    ops::spawn(&lifecycle, ops_listener, metrics, readiness.clone());
    lifecycle.spawn("tails", tails.run(heard, store.clone(), query_metrics, shutdown.clone()));
    lifecycle.spawn_background("probe", store::watch(store, aggregators, readiness, shutdown.clone()));
    lifecycle.spawn("deletions", deletions.drain(shutdown));
    http::spawn(&lifecycle, "http", listener, api::routes(&app));
    Ok(lifecycle.run().await)
}

/// Who may ask, of each kind.
struct Directories {
    tokens: Directory<KnownToken>,
    users: Directory<KnownUser>,
    keys: Directory<KnownKey>,
}

struct Keepers {
    tokens: Keeper<KnownToken>,
    users: Keeper<KnownUser>,
    keys: Keeper<KnownKey>,
}

impl Directories {
    fn new(currency: Currency, clock: &SharedClock) -> (Self, Keepers) {
        let (tokens, token_keeper) = Directory::new(currency, clock.clone());
        let (users, user_keeper) = Directory::new(currency, clock.clone());
        let (keys, key_keeper) = Directory::new(currency, clock.clone());
        let keepers = Keepers { tokens: token_keeper, users: user_keeper, keys: key_keeper };
        (Self { tokens, users, keys }, keepers)
    }
}

impl Keepers {
    /// Has each read its table.
    fn spawn(self, lifecycle: &Lifecycle, clickhouse: &ClickHouseConfig) {
        let tokens = News::<TokenRow>::new(clickhouse);
        let users = News::<UserRow>::new(clickhouse);
        let keys = KeyNews::new(clickhouse);
        let shutdown = || lifecycle.shutdown();
        let reading = self.tokens.keep(async move || tokens.read().await, shutdown());
        lifecycle.spawn_background("tokens", reading);
        let reading = self.users.keep(async move || users.read().await, shutdown());
        lifecycle.spawn_background("users", reading);
        let reading = self.keys.keep(async move || keys.read().await, shutdown());
        lifecycle.spawn_background("relay-keys", reading);
    }
}
