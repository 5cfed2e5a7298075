//! From the acknowledgement of a push to the moment when its rows are with those who look on.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use harness::System;
use reqwest::{Client, StatusCode};
use tokio::time::{sleep, timeout};

use super::delays::Delays;
use super::load::Load;

const LISTENERS: [usize; 3] = [1, 20, 100];
/// Events a second.
const RATE: u64 = 500;
const TIME: Duration = Duration::from_secs(30);
/// Nothing comes for so long after the last.
const SILENCE: Duration = Duration::from_secs(5);

pub(crate) async fn measure() {
    let system = Arc::new(System::start().await);
    let token = system.weir.secrets.query_token.clone();
    let variables = vec![
        ("WEIR_QUERY_API_TOKENS", token.clone()),
        ("WEIR_QUERY_API_STREAMS_PER_CALLER_MAX", "200".to_owned()),
    ];
    let (api, address) = system.second_query_api(variables).await;
    let url = format!("http://{address}/v1/tail?account_id=account&gateway_id=tail");
    for listeners in LISTENERS {
        let mut listening = Vec::new();
        for _ in 0..listeners {
            let response = Client::new().get(&url).bearer_auth(&token).send().await.unwrap();
            assert_eq!(response.status(), StatusCode::OK);
            listening.push(tokio::spawn(listen(response)));
        }
        let load = Load::start(&system, RATE, |_| "account/tail".to_owned());
        sleep(TIME).await;
        let (pushes, reached) = load.stop().await;
        let of_push =
            |push: super::load::Push| (push.first..push.first + push.records).map(move |n| (n, push.acked));
        let acked: HashMap<u64, Instant> = pushes.into_iter().flat_map(of_push).collect();
        let (mut delays, mut missed) = (Delays::default(), 0);
        for listener in listening {
            let seen = listener.await.unwrap();
            missed += acked.len() - seen.len();
            delays.extend(seen.iter().map(|(number, at)| at.saturating_duration_since(acked[number])));
        }
        println!(
            "{listeners} listeners under {reached:.0} events/s: ack to the reader {}; {missed} rows not seen",
            delays.told()
        );
    }
    drop(api);
}

/// The rows that come, by the numbers of their records, until none does.
async fn listen(response: reqwest::Response) -> Vec<(u64, Instant)> {
    const BEFORE: &str = r#""request_id":"chatcmpl-"#;
    let (mut seen, mut text, mut body) = (Vec::new(), String::new(), response.bytes_stream());
    while let Ok(Some(part)) = timeout(if seen.is_empty() { TIME } else { SILENCE }, body.next()).await {
        let at = Instant::now();
        text += std::str::from_utf8(&part.unwrap()).unwrap();
        let Some(end) = text.rfind("\n\n") else { continue };
        for (_, rest) in text[..end].split("\n\n").filter_map(|event| event.split_once(BEFORE)) {
            let (number, _) = rest.split_once('"').unwrap();
            seen.push((number.parse().unwrap(), at));
        }
        text.drain(..end + 2);
    }
    seen
}
