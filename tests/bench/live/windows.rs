//! Asks for live windows: the aggregators themselves, and `query-api`.

use std::collections::BTreeSet;
use std::time::Duration;

use async_nats::{Client, ConnectOptions};
use futures_util::StreamExt;
use harness::System;
use tokio::time::timeout;
use weir_event::Scope;
use weir_event::bus::{LIVE_SUBJECT, LiveRequest, LiveSnapshot, SHARDS};

/// Who does not answer by then has no shard, or is gone.
const SILENCE: Duration = Duration::from_millis(100);

/// Asks the aggregators over NATS.
pub(crate) struct Aggregators {
    client: Client,
}

/// What they say.
#[derive(Debug, Default)]
pub(crate) struct Windows {
    /// How many shards are held.
    pub(crate) shards: usize,
    /// Whether all are, and all know their past.
    pub(crate) are_complete: bool,
    /// Requests of the tenant in the longest window.
    pub(crate) requests: u64,
}

/// A gateway of an account.
pub(crate) fn scope(account: &str, gateway: &str) -> Scope {
    Scope { account_id: account.parse().unwrap(), gateway_id: gateway.parse().unwrap() }
}

impl Aggregators {
    pub(crate) async fn of(system: &System) -> Self {
        let nats = &system.weir.nats;
        let options = ConnectOptions::with_token(nats.token.clone());
        Self { client: options.connect(&nats.url).await.unwrap() }
    }

    /// The windows of a tenant, as soon as all shards are answered for or nobody says anything any more.
    pub(crate) async fn ask(&self, scope: &Scope) -> Windows {
        let (filter, group_by, top) = (String::new(), Vec::new(), None);
        let request = LiveRequest { scope: scope.clone(), filter, group_by, top };
        let request = serde_json::to_vec(&request).unwrap();
        let inbox = self.client.new_inbox();
        let mut incoming = self.client.subscribe(inbox.clone()).await.unwrap();
        self.client.publish_with_reply(LIVE_SUBJECT, inbox, request.into()).await.unwrap();
        let (mut answers, mut shards) = (Vec::<LiveSnapshot>::new(), BTreeSet::new());
        while shards.len() < usize::from(SHARDS) {
            let Ok(Some(answer)) = timeout(SILENCE, incoming.next()).await else { break };
            if answer.status.is_some() {
                break;
            }
            answers.push(serde_json::from_slice(&answer.payload).unwrap());
            shards.extend(answers.last().unwrap().shards.clone());
        }
        let Some(live) = LiveSnapshot::merge(answers) else { return Windows::default() };
        let of_row = |row: &weir_event::bus::LiveRow| row.windows.last().map_or(0, |window| window.requests);
        Windows {
            shards: shards.len(),
            are_complete: live.complete && shards.len() == usize::from(SHARDS),
            requests: live.rows.iter().map(of_row).sum(),
        }
    }
}

/// Requests of the tenant in the longest window, as `query-api` says.
pub(crate) async fn requests_by_api(system: &System, scope: &Scope) -> u64 {
    let Scope { account_id, gateway_id } = scope;
    let live = system.get(&format!("/v1/live?account_id={account_id}&gateway_id={gateway_id}")).await.json();
    let longest = live["rows"][0]["windows"].as_array().and_then(|windows| windows.last());
    longest.map_or(0, |window| window["requests"].as_u64().unwrap())
}
