//! The API with services behind it that are missing or broken, and with callers that it knows.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use warp::Filter;
use warp::http::{Response, StatusCode};
use warp::hyper::body::Bytes;
use warp::test::request;
use weir_event::Scope;
use weir_service::auth::{BearerTokens, TokenDigest};
use weir_service::clock::SystemClock;
use weir_service::config::{ClickHouseConfig, NatsConfig};
use weir_service::lifecycle::Shutdown;
use weir_service::metrics::Metrics;

use crate::api::{App, Dialect, Limits, LiveStreams, NewApi, Observer, StreamLimits, Streams, routes};
use crate::auth::{
    Access, Authenticator, Currency, Directory, Entry, KnownKey, KnownToken, KnownUser, NewToken, Principal,
    Reach, Role, User,
};
use crate::metrics::QueryMetrics;
use crate::store::{Aggregators, Budgets, Deletions, Ingests, LogStore};
use crate::tail::Tails;
use crate::view::MetadataForm;

pub(super) struct Fixture {
    pub(super) app: Arc<App>,
    pub(super) metrics: Metrics,
}

impl Fixture {
    /// With a ClickHouse at `clickhouse` and no NATS anywhere.
    pub(super) async fn new(clickhouse: SocketAddr) -> Self {
        Self::speaking(Dialect::Documented, clickhouse).await
    }

    /// The same with this dialect of new-api.
    pub(super) async fn speaking(dialect: Dialect, clickhouse: SocketAddr) -> Self {
        let clickhouse = ClickHouseConfig {
            url: format!("http://{clickhouse}").parse().unwrap(),
            database: "secret_database".to_owned(),
            user: "secret_user".to_owned(),
            password: weir_service::config::Secret::new("secret_password"),
        };
        let nats = NatsConfig { url: format!("nats://{}", nobody().await).parse().unwrap(), token: None };
        let mut metrics = Metrics::new("query-api", "0.0.0");
        let query_metrics = QueryMetrics::register(&mut metrics);
        let aggregators = Aggregators::connect(&nats, Duration::from_millis(50)).await.unwrap();
        let store = LogStore::new(&clickhouse, Duration::from_secs(1), query_metrics.clone());
        let tell_timeout = Duration::from_millis(50);
        let app = App {
            authenticator: Authenticator::new(
                BearerTokens::from_entries(["right"]).unwrap(),
                directory_of(tokens()),
            ),
            deletions: Deletions::new(store.clone(), &clickhouse, aggregators.client(), tell_timeout),
            budgets: Budgets::new(store.clone(), aggregators.client(), SystemClock::shared()),
            store,
            ingests: Ingests::new(aggregators.client(), Duration::from_millis(50)),
            aggregators,
            live_streams: LiveStreams::new(),
            tails: Tails::new(SystemClock::shared()),
            streams: Streams::new(
                StreamLimits { open_max: 1, per_caller_max: 1, time_max: Duration::from_secs(1) },
                Shutdown::new().soft_stop().clone(),
                query_metrics.clone(),
            ),
            observer: Observer::new(query_metrics, 7),
            metadata_form: MetadataForm::String,
            new_api: NewApi {
                dialect,
                users: directory_of(users()),
                keys: directory_of(keys()),
                limits: Limits::new(None, None, 0),
                started_at_s: 1_000,
            },
            request_timeout: Duration::from_secs(1),
            live_timeout: Duration::from_millis(50),
        };
        Self { app: Arc::new(app), metrics }
    }

    pub(super) async fn send(&self, method: &str, path: &str, token: Option<&str>) -> Response<Bytes> {
        let request = request().method(method).path(path);
        let request = match token {
            Some(token) => request.header("authorization", format!("Bearer {token}")),
            None => request,
        };
        request.reply(&routes(&self.app)).await
    }

    pub(super) async fn get(&self, path: &str) -> Response<Bytes> {
        self.send("GET", path, Some("right")).await
    }
}

/// The token of somebody who may read one gateway.
pub(super) fn reader() -> NewToken {
    NewToken::from_random([7; 32])
}

fn tokens() -> Vec<KnownToken> {
    let reach = Reach::from_texts(["acc/gw"]).unwrap();
    let principal = Principal::new("reader", Access::Read, reach);
    vec![KnownToken { digest: reader().digest(), email: None, expires_at_ms: None, principal }]
}

/// `common`, `admin`, `root` and `disabled`, numbered from 1, each with their name as their token.
fn users() -> Vec<KnownUser> {
    let named = |(id, name, role)| KnownUser {
        digest: TokenDigest::of(name),
        user: User::new(id, name, role, Scope::parse("acc", "gw").unwrap()),
        group: "default".to_owned(),
        is_enabled: name != "disabled",
    };
    let all = [
        (1, "common", Role::Common),
        (2, "admin", Role::Admin),
        (3, "root", Role::Root),
        (4, "disabled", Role::Root),
    ];
    all.into_iter().map(named).collect()
}

/// `good`, `disabled`, and `banned`, whose user is.
fn keys() -> Vec<KnownKey> {
    let named = |name: &str| KnownKey {
        digest: TokenDigest::of(name),
        scope: Scope::parse("acc", "gw").unwrap(),
        token_id: Some(1),
        name: name.to_owned(),
        user_id: Some(1),
        is_enabled: name != "disabled",
        is_owner_enabled: name != "banned",
        expires_at_ms: None,
        granted_quota: None,
        used_before: 0,
        counted_from_ms: None,
    };
    ["good", "disabled", "banned"].map(named).into()
}

/// It knows these.
fn directory_of<T: Entry>(entries: Vec<T>) -> Directory<T> {
    let currency = Currency { refresh: Duration::from_secs(1), grace: Duration::from_mins(1) };
    let (directory, keeper) = Directory::new(currency, SystemClock::shared());
    let read = move || {
        let entries = entries.clone();
        async move { Ok::<_, &str>(Some(entries)) }
    };
    tokio::spawn(keeper.keep(read, Shutdown::new()));
    directory
}

pub(super) fn text(response: &Response<Bytes>) -> &str {
    std::str::from_utf8(response.body()).unwrap()
}

/// An address that nobody listens on.
pub(super) async fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

/// A ClickHouse that answers everything with `status` and `body`, after `delay`.
pub(super) async fn clickhouse_that_fails(status: u16, body: &'static str, delay: Duration) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answer = warp::any().then(move || async move {
        tokio::time::sleep(delay).await;
        warp::reply::with_status(body, StatusCode::from_u16(status).unwrap())
    });
    tokio::spawn(warp::serve(answer).incoming(listener).run());
    address
}
