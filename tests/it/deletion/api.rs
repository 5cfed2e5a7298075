//! A query API, and how it is asked to delete.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use harness::System;
use weir_local::{ClickHouse, Installation, Nats, Probe, Program, Service, free_address};

const TOKEN: &str = "query-token";
const START_LIMIT: Duration = Duration::from_mins(1);
const REQUEST_LIMIT: Duration = Duration::from_mins(2);

/// The logs of one gateway.
#[derive(Clone)]
pub(super) struct Api {
    client: reqwest::Client,
    logs: String,
    token: String,
}

impl Api {
    /// That of `acc/gw`, by the system's own query API.
    pub(super) fn of(system: &System) -> Self {
        Self::at(system.weir.addresses.query_api, "gw", &system.weir.secrets.query_token)
    }

    fn at(address: SocketAddr, gateway: &str, token: &str) -> Self {
        let client = reqwest::Client::builder().timeout(REQUEST_LIMIT).build().unwrap();
        let logs = format!("http://{address}/client/v4/accounts/acc/ai-gateway/gateways/{gateway}/logs");
        Self { client, logs, token: token.to_owned() }
    }

    /// Status and body.
    pub(super) async fn delete(&self, query: &str) -> (u16, String) {
        self.try_delete(query).await.unwrap()
    }

    /// The same, for when it may be killed.
    pub(super) async fn try_delete(&self, query: &str) -> reqwest::Result<(u16, String)> {
        let request = self.client.delete(format!("{}{query}", self.logs)).bearer_auth(&self.token);
        let response = request.send().await?;
        Ok((response.status().as_u16(), response.text().await?))
    }

    pub(super) async fn get(&self, tail: &str) -> (u16, String) {
        let request = self.client.get(format!("{}{tail}", self.logs)).bearer_auth(&self.token);
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }
}

/// Starts one more query API, whose ClickHouse is at `url`, for a gateway of `acc`.
pub(super) async fn start(
    dir: &Path,
    gateway: &str,
    url: &str,
    (clickhouse, nats): (&ClickHouse, &Nats),
    variables: &[(&str, &str)],
) -> (Service, Api) {
    let installation = Installation::detect().unwrap();
    let (listen, ops) = (free_address().unwrap(), free_address().unwrap());
    let log = dir.join(format!("query-api-{gateway}.log"));
    let program = Program::new("query-api", installation.binary("query-api").unwrap(), log)
        .reaching(clickhouse, nats)
        .env("WEIR_CLICKHOUSE_URL", url)
        .env("WEIR_QUERY_API_LISTEN", listen.to_string())
        .env("WEIR_QUERY_API_OPS_LISTEN", ops.to_string())
        .env("WEIR_QUERY_API_TOKENS", TOKEN)
        .ready_when(Probe::Http(format!("http://{ops}/readyz")));
    let program = variables.iter().fold(program, |program, (name, value)| program.env(*name, *value));
    let service = Service::start(program, START_LIMIT).await.unwrap();
    (service, Api::at(listen, gateway, TOKEN))
}
