//! Weir as a client sees it: pushes as Cloudflare does, reads through the query API.

use std::time::Duration;

use anyhow::{Context, bail};
use reqwest::header::CONTENT_ENCODING;
use rust_decimal::Decimal;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::check::{ModelTotals, Providers, Totals};
use crate::weir::Weir;

/// The account that the demonstration pushes for.
pub(super) const ACCOUNT: &str = "local";
/// Its gateway.
pub(super) const GATEWAY: &str = "demo";

/// The most that the API gives at once.
const PAGE_SIZE: usize = 50;
const REQUEST_LIMIT: Duration = Duration::from_secs(30);

/// What ingest answers.
#[derive(Debug, Deserialize)]
pub(super) struct Tally {
    pub(super) received: u64,
    pub(super) stored: u64,
    pub(super) duplicates: u64,
    pub(super) dead_lettered: u64,
    pub(super) ignored: u64,
}

/// The rolling windows.
#[derive(Debug, Deserialize)]
pub(super) struct Live {
    pub(super) complete: bool,
    pub(super) rows: Vec<LiveRow>,
}

#[derive(Debug, Deserialize)]
pub(super) struct LiveRow {
    pub(super) token: String,
    pub(super) model: String,
    pub(super) windows: Vec<LiveWindow>,
}

#[derive(Debug, Deserialize)]
pub(super) struct LiveWindow {
    pub(super) window_s: u64,
    pub(super) requests: u64,
    pub(super) tokens_in: u64,
    pub(super) tokens_out: u64,
    pub(super) unpriced: u64,
    cost: Box<RawValue>,
}

#[derive(Deserialize)]
struct Page {
    result: Vec<LogEntry>,
}

#[derive(Deserialize)]
struct LogEntry {
    provider: String,
    model: String,
    tokens_in: Option<u64>,
    tokens_out: Option<u64>,
    cost: Option<Box<RawValue>>,
}

/// A client of one running Weir.
pub(super) struct Api<'w> {
    weir: &'w Weir,
    client: reqwest::Client,
}

impl<'w> Api<'w> {
    pub(super) fn new(weir: &'w Weir) -> anyhow::Result<Self> {
        let client = reqwest::Client::builder().timeout(REQUEST_LIMIT).build()?;
        Ok(Self { weir, client })
    }

    /// The URL that a Logpush job would have as its destination.
    pub(super) fn push_url(&self) -> String {
        format!("http://{}/v1/logpush/{ACCOUNT}/{GATEWAY}", self.weir.addresses.ingest)
    }

    pub(super) fn logs_url(&self) -> String {
        let address = self.weir.addresses.query_api;
        format!("http://{address}/client/v4/accounts/{ACCOUNT}/ai-gateway/gateways/{GATEWAY}/logs")
    }

    pub(super) fn live_url(&self) -> String {
        let address = self.weir.addresses.query_api;
        format!("http://{address}/v1/live?account_id={ACCOUNT}&gateway_id={GATEWAY}")
    }

    /// Pushes a gzipped batch.
    pub(super) async fn push(&self, gzip: Vec<u8>) -> anyhow::Result<Tally> {
        let request = self
            .client
            .post(self.push_url())
            .bearer_auth(&self.weir.secrets.ingest_token)
            .header(CONTENT_ENCODING, "gzip")
            .body(gzip);
        read(request).await
    }

    /// The figures by model, added up from every row that the API lists.
    pub(super) async fn totals(&self) -> anyhow::Result<(Totals, Providers)> {
        let (mut totals, mut providers) = (Totals::new(), Providers::new());
        for page in 1_usize.. {
            let url = format!("{}?page={page}&per_page={PAGE_SIZE}", self.logs_url());
            let Page { result } = self.get(&url).await?;
            let count = result.len();
            for entry in result {
                totals.entry(entry.model.clone()).or_default().add(&entry.totals()?);
                providers.insert(entry.model, entry.provider);
            }
            if count < PAGE_SIZE {
                break;
            }
        }
        Ok((totals, providers))
    }

    /// The rolling windows.
    pub(super) async fn live(&self) -> anyhow::Result<Live> {
        self.get(&self.live_url()).await
    }

    async fn get<T: DeserializeOwned>(&self, url: &str) -> anyhow::Result<T> {
        read(self.client.get(url).bearer_auth(&self.weir.secrets.query_token)).await
    }
}

impl Live {
    /// The longest windows, by model.
    pub(super) fn totals(&self) -> anyhow::Result<Totals> {
        let mut totals = Totals::new();
        for row in &self.rows {
            if let Some(window) = row.windows.last() {
                totals.entry(row.model.clone()).or_default().add(&window.totals()?);
            }
        }
        Ok(totals)
    }
}

impl LiveWindow {
    pub(super) fn totals(&self) -> anyhow::Result<ModelTotals> {
        let cost = decimal(&self.cost)?;
        let Self { requests, tokens_in, tokens_out, unpriced, .. } = *self;
        Ok(ModelTotals { requests, tokens_in, tokens_out, cost, unpriced })
    }
}

impl LogEntry {
    fn totals(&self) -> anyhow::Result<ModelTotals> {
        let cost = self.cost.as_deref().filter(|cost| cost.get() != "null");
        Ok(ModelTotals {
            requests: 1,
            tokens_in: self.tokens_in.unwrap_or(0),
            tokens_out: self.tokens_out.unwrap_or(0),
            cost: cost.map_or(Ok(Decimal::ZERO), decimal)?,
            unpriced: u64::from(cost.is_none()),
        })
    }
}

/// A JSON number to the last digit: it is read as text.
fn decimal(number: &RawValue) -> anyhow::Result<Decimal> {
    Decimal::from_str_exact(number.get()).with_context(|| format!("{number} is not a plain decimal"))
}

async fn read<T: DeserializeOwned>(request: reqwest::RequestBuilder) -> anyhow::Result<T> {
    let response = request.send().await?;
    let (status, url) = (response.status(), response.url().clone());
    let text = response.text().await?;
    if !status.is_success() {
        bail!("{url} answered {status}: {text}");
    }
    serde_json::from_str(&text).with_context(|| format!("{url} answered something else: {text}"))
}
