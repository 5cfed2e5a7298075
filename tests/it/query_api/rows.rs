//! Rows as ingest writes them, by hand.

use weir_event::{EventId, Timestamp};
use weir_store::{BodyRow, LogRow, ScaledUsd};

pub(crate) const ACCOUNT: &str = "acc";
pub(crate) const GATEWAY: &str = "my-gateway";
/// The seed's call: it began at this time and took 6,587 ms.
pub(crate) const STARTED_AT: i64 = 1_727_689_534_741;

pub(crate) fn id_of(started_at: i64, key: &str) -> EventId {
    EventId::derive(Timestamp::from_millis(started_at).unwrap(), &[key.as_bytes()])
}

/// The row of the seed's call.
pub(crate) fn seed_row() -> LogRow<'static> {
    LogRow {
        account_id: ACCOUNT,
        gateway_id: GATEWAY,
        created_at: STARTED_AT + 6_587,
        id: id_of(STARTED_AT, "seed").bytes(),
        started_at: STARTED_AT,
        ingested_at: STARTED_AT + 60_000,
        source: "logpush",
        dialect: "malacca_object",
        request_id: "chatcmpl-1",
        ray_id: "8cb347e7f97794b7",
        kind: "consume",
        duration_ms: Some(6_587),
        provider: "azure-openai",
        model: "gpt-4o-2024-05-13",
        model_requested: "gpt4o",
        request_type: "chat",
        path: "chat/completions",
        status_code: Some(200),
        success: true,
        user_agent: "curl/8.6.0",
        tokens_in: Some(15),
        tokens_out: Some(354),
        tokens_uncached_input: Some(15),
        tokens_text_output: Some(354),
        cost: Some(cost("0.005385")),
        cost_source: "computed",
        price_id: "openai/gpt-4o-2024-05-13/2024-05-13",
        metadata: r#"{"team":"search"}"#.to_owned(),
        request_content_type: "application/json",
        response_content_type: "application/json",
        ..LogRow::default()
    }
}

fn cost(text: &str) -> ScaledUsd {
    text.parse::<weir_event::Usd>().unwrap().into()
}

pub(crate) fn body_of(
    row: &LogRow<'static>,
    request: Option<&'static str>,
    response: Option<&'static str>,
) -> BodyRow<'static> {
    BodyRow {
        account_id: row.account_id,
        gateway_id: row.gateway_id,
        started_at: row.started_at,
        id: row.id,
        texts: vec![request, response],
    }
}

/// 120 rows in 40 groups of 3 that ended at the same time, from three providers.
pub(crate) fn many_rows() -> Vec<LogRow<'static>> {
    (0..120_u32)
        .map(|n| {
            let started_at = STARTED_AT + i64::from(n / 3) * 1_000;
            LogRow {
                id: id_of(started_at, &format!("many-{n}")).bytes(),
                started_at,
                created_at: started_at + 100,
                duration_ms: (n != 0).then_some(u64::from(n)),
                provider: ["anthropic", "azure-openai", "openai"][(n % 3) as usize],
                success: n % 10 != 0,
                cached: n % 4 == 0,
                tokens_in: (n != 1).then_some(u64::from(n)),
                tokens_out: (n != 1 && n != 2).then_some(1_000 - u64::from(n)),
                cost: (n != 3).then(|| cost(&format!("0.{:018}", n + 1))),
                ..seed_row()
            }
        })
        .collect()
}

pub(crate) fn id_text(row: &LogRow<'_>) -> String {
    String::from_utf8(row.id.to_vec()).unwrap()
}
