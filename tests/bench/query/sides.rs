//! The two sides: the API, and its engine without it.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use harness::System;
use reqwest::{RequestBuilder, StatusCode};
use serde_json::Value;
use weir_local::Weir;
use weir_query_api::sql::{Bind, Statement};

use super::case::Case;

/// Asks either side, with connections that are kept.
pub(crate) struct Sides<'s> {
    system: &'s System,
}

impl<'s> Sides<'s> {
    pub(crate) const fn new(system: &'s System) -> Self {
        Self { system }
    }

    /// The time until the API's answer is there.
    pub(crate) async fn api(&self, case: &Case, turn: u64) -> Duration {
        let path = case.path(turn);
        let begun = Instant::now();
        let answer = self.system.get(&path).await;
        let time = begun.elapsed();
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text);
        time
    }

    /// What the API answers.
    pub(crate) async fn answer(&self, case: &Case, turn: u64) -> Value {
        self.system.get(&case.path(turn)).await.json()
    }

    /// The time until the answers to the plain statements are there, which are asked for at once.
    pub(crate) async fn sql(&self, case: &Case, turn: u64) -> Duration {
        let statements = case.statements(turn);
        let begun = Instant::now();
        join_all(statements.iter().map(|statement| read(self.request(statement)))).await;
        begun.elapsed()
    }

    /// What a plain statement answers, as lines of JSON.
    pub(crate) async fn rows(&self, statement: &Statement) -> String {
        read(self.request(statement).query(&[("default_format", "JSONEachRow")])).await
    }

    /// Deletes by the API; the answer comes when it is done.
    pub(crate) async fn delete(&self, path: &str) {
        let Weir { addresses, secrets, .. } = &self.system.weir;
        let request = self.system.http.delete(format!("http://{}{path}", addresses.query_api));
        let response = request.bearer_auth(&secrets.query_token).send().await.unwrap();
        let status = response.status();
        assert_eq!(status, StatusCode::OK, "{path}: {}", response.text().await.unwrap());
    }

    /// Runs a plain statement of any kind.
    pub(crate) async fn execute(&self, statement: String) {
        let settings = [("lightweight_deletes_sync", "2"), ("max_query_size", "1048576")];
        read(self.post().query(&settings).body(statement)).await;
    }

    fn request(&self, statement: &Statement) -> RequestBuilder {
        let request = self.post();
        let request = statement.binds().fold(request, |request, (name, bind)| {
            let value = match bind {
                Bind::Text(text) => text.clone(),
                Bind::Flag(value) => value.to_string(),
                Bind::Millis(millis) => millis.to_string(),
                Bind::Texts(texts) => serde_json::to_string(texts).unwrap().replace('"', "'"),
                Bind::Number(_, digits) => digits.clone(),
            };
            request.query(&[(format!("param_{name}"), value)])
        });
        request.body(statement.text().to_owned())
    }

    fn post(&self) -> RequestBuilder {
        let clickhouse = &self.system.weir.clickhouse;
        self.system
            .http
            .post(&clickhouse.url)
            .query(&[("database", Weir::DATABASE), ("default_format", "RowBinaryWithNamesAndTypes")])
            .basic_auth(&clickhouse.user, Some(&clickhouse.password))
    }
}

/// The answer, asked for again while the engine has no turn for it: many statements at once are more than it runs.
async fn read(request: RequestBuilder) -> String {
    loop {
        let response = request.try_clone().expect("a text can be sent again").send().await.unwrap();
        let status = response.status();
        let bytes = response.bytes().await.unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if status != StatusCode::SERVICE_UNAVAILABLE {
            assert_eq!(status, StatusCode::OK, "{text}");
            return text;
        }
    }
}
