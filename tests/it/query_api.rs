//! The query API as a process, in front of the real engine and a real NATS. Answers are compared as text, since that
//! is where a cost loses its digits.

mod annotations;
mod budgets;
pub(crate) mod hostile;
mod live;
mod matrix;
mod openapi;
pub(crate) mod rows;
mod sdk;
mod stream;
mod summary;
mod tail;
mod tokens;
pub(crate) mod world;

use std::time::Duration;

use futures_util::StreamExt;
use harness::eventually;
use serde_json::{Value, json};
use weir_event::bus::{LIVE_SUBJECT, LiveRequest, SHARDS};
use weir_local::ClickHouse;
use weir_store::LogRow;

use rows::{ACCOUNT, GATEWAY, STARTED_AT, body_of, id_of, id_text, many_rows, seed_row};
use world::World;

const NOT_FOUND: &str = r#"{"success":false,"errors":[{"code":7002,"message":"Not Found"}]}"#;

#[tokio::test]
async fn query_api_serves_a_log_as_cloudflare_does_and_its_cost_to_the_last_digit() {
    let world = World::start().await;
    let request = r#"{"messages": [{"role":"user","content":"hi"}], "temperature": 1.0}"#;
    let response = "data: {\"choices\":[]}\n\ndata: [DONE]\n\n";
    let row = seed_row();
    let id = id_text(&row);
    // Bodies are written before their row, and are not to be seen before it is there.
    world.insert_bodies(&[body_of(&row, Some(request), Some(response))]).await;
    for tail in [String::new(), "/request".to_owned(), "/response".to_owned()] {
        let answer = world.logs(&format!("/{id}{tail}")).await;
        assert_eq!((answer.status.as_u16(), answer.text.as_str()), (404, NOT_FOUND), "{tail}");
    }
    world.insert_logs(&[row]).await;

    let entry = format!(r#"{{"id":"{id}","#)
        + r#""created_at":"2024-09-30T09:45:41.328Z","provider":"azure-openai","#
        + r#""model":"gpt-4o-2024-05-13","path":"chat/completions","duration":6587,"success":true,"#
        + r#""cached":false,"tokens_in":15,"tokens_out":354,"cost":0.005385,"custom_cost":false,"#
        + r#""metadata":"{\"team\":\"search\"}","request_type":"chat","#
        + r#""request_content_type":"application/json","response_content_type":"application/json","#
        + r#""status_code":200,"event_id":"","user_agent":"curl/8.6.0","#
        + r#""usage_metadata":{"input_tokens":15,"output_tokens":354,"total_tokens":369}"#;
    let list = world.logs("").await;
    let expected = format!(r#"{{"success":true,"result":[{entry}}}],"#)
        + r#""result_info":{"count":1,"page":1,"per_page":20,"total_count":1,"#
        + r#""min_cost":0.005385,"max_cost":0.005385,"min_duration":6587,"max_duration":6587,"#
        + r#""min_tokens_in":15,"max_tokens_in":15,"min_tokens_out":354,"max_tokens_out":354,"#
        + r#""min_total_tokens":369,"max_total_tokens":369}}"#;
    assert_eq!((list.status.as_u16(), list.text), (200, expected));
    assert_eq!(list.content_type, "application/json");

    let got = world.logs(&format!("/{id}")).await;
    let expected = format!(r#"{{"success":true,"result":{entry},"request_size":66,"response_size":36,"#)
        + &format!(
            r#""request_head":{},"request_head_complete":true,"#,
            serde_json::to_string(request).unwrap()
        )
        + &format!(
            r#""response_head":{},"response_head_complete":true}}}}"#,
            serde_json::to_string(response).unwrap()
        );
    assert_eq!((got.status.as_u16(), got.text), (200, expected));

    let body = world.logs(&format!("/{id}/request")).await;
    assert_eq!((body.status.as_u16(), body.text.as_str()), (200, request));
    assert_eq!(body.content_type, "application/json");
    let body = world.logs(&format!("/{id}/response")).await;
    assert_eq!((body.status.as_u16(), body.text), (200, serde_json::to_string(response).unwrap()));
    assert_eq!(body.content_type, "application/json");

    // Another tenant sees none of it, whatever it knows.
    for (account, gateway) in [("acc", "other"), ("other", GATEWAY)] {
        let logs = format!("/client/v4/accounts/{account}/ai-gateway/gateways/{gateway}/logs");
        let list = world.get(&logs).await;
        assert!(
            list.text.contains(r#""result":[]"#) && list.text.contains(r#""total_count":0"#),
            "{}",
            list.text
        );
        assert!(list.text.contains(r#""min_cost":null,"max_cost":null"#), "{}", list.text);
        for tail in ["", "/request", "/response"] {
            assert_eq!(world.get(&format!("{logs}/{id}{tail}")).await.text, NOT_FOUND);
        }
    }
}

#[tokio::test]
async fn of_bodies_that_were_stored_again_the_last_count_in_whichever_order_and_table_they_are() {
    let world = World::start().await;
    let rows: [LogRow<'static>; 3] = [0, 1, 2].map(|n| {
        let started_at = STARTED_AT + n;
        LogRow { id: id_of(started_at, "again").bytes(), started_at, created_at: started_at, ..seed_row() }
    });
    world.insert_logs(&rows).await;
    let before = "INSERT INTO payloads (account_id, gateway_id, started_at, id, request, response) \
        SELECT account_id, gateway_id, started_at, id, '{\"m\":\"before\"}', '{}' FROM logs";
    world.client.query(before).execute().await.unwrap();
    // Of the second none was readable at first, of the third it is the one in front that came last.
    for texts in [[None, Some(r#"{"m":"z"}"#)], [Some(r#"{"m":"x"}"#), Some(r#"{"m":"b"}"#)]] {
        let bodies = [(&rows[1], texts[0]), (&rows[2], texts[1])];
        let bodies = bodies.map(|(row, request)| body_of(row, request, Some(r#"{"id":"r"}"#)));
        world.insert_bodies(&bodies).await;
    }
    for is_merged in [false, true] {
        if is_merged {
            world.client.query("OPTIMIZE TABLE bodies FINAL").execute().await.unwrap();
        }
        for (row, last) in rows.iter().zip(["before", "x", "b"]) {
            let text = json!({ "m": last }).to_string();
            let id = id_text(row);
            assert_eq!(world.logs(&format!("/{id}/request")).await.text, text, "merged: {is_merged}");
            let entry: Value = serde_json::from_str(&world.logs(&format!("/{id}")).await.text).unwrap();
            assert_eq!(entry["result"]["request_head"], text, "merged: {is_merged}");
        }
    }
}

#[tokio::test]
async fn query_api_tells_missing_and_cut_bodies_from_whole_ones() {
    let world = World::start_with(&[("WEIR_QUERY_API_METADATA_FORM", "object")]).await;
    let long: &'static str = Box::leak("é".repeat(1_500).into_boxed_str());
    let huge: &'static str = Box::leak(format!("[{}0]", "1234567,".repeat(1 << 20)).into_boxed_str());
    let at = |n: i64| {
        let started_at = STARTED_AT + n;
        LogRow { id: id_of(started_at, "body").bytes(), started_at, created_at: started_at, ..seed_row() }
    };
    let (none, half, cut, large) = (at(0), at(1), LogRow { truncated: true, ..at(2) }, at(3));
    world.insert_logs(&[none.clone(), half.clone(), cut.clone(), large.clone()]).await;
    world.insert_bodies(&[body_of(&large, Some(huge), Some("{}"))]).await;
    // The same bodies twice, as a retried insert may leave them until a merge.
    for _ in 0..2 {
        let rows = [body_of(&half, Some(long), None), body_of(&cut, Some(r#"{"cut"#), Some(""))];
        world.insert_bodies(&rows).await;
    }
    let get = async |row: &LogRow<'static>, tail: &str| world.logs(&format!("/{}{tail}", id_text(row))).await;

    assert_eq!(get(&none, "").await.status, 200);
    assert!(!get(&none, "").await.text.contains("_head"));
    assert!(get(&none, "").await.text.contains(r#""metadata":{"team":"search"},"#));
    assert_eq!(get(&none, "/request").await.text, NOT_FOUND);
    assert_eq!(get(&none, "/response").await.text, NOT_FOUND);

    let entry: Value = serde_json::from_str(&get(&half, "").await.text).unwrap();
    let entry = &entry["result"];
    assert_eq!(entry["request_head"].as_str().unwrap(), "é".repeat(1_000));
    assert_eq!((&entry["request_head_complete"], &entry["request_size"]), (&false.into(), &3_000.into()));
    assert!(entry.get("response_head").is_none() && entry.get("response_size").is_none());
    assert_eq!(get(&half, "/request").await.text, format!("\"{long}\""));
    assert_eq!(get(&half, "/response").await.text, NOT_FOUND);

    let body = get(&large, "/request").await;
    assert!(body.status == 200 && body.text == huge, "{} bytes of {}", body.text.len(), huge.len());
    assert!(get(&large, "").await.text.len() < 5_000, "the head of a large body is short");

    let entry: Value = serde_json::from_str(&get(&cut, "").await.text).unwrap();
    assert_eq!(entry["result"]["request_head_complete"], false);
    assert_eq!(get(&cut, "/request").await.text, r#""{\"cut""#);
    assert_eq!(get(&cut, "/response").await.text, r#""""#);
}

#[tokio::test]
async fn query_api_pages_have_every_row_once_in_every_order() {
    let world = World::start().await;
    let rows = many_rows();
    world.insert_logs(&rows).await;
    let mut newest: Vec<_> = rows.iter().map(|row| (row.created_at, id_text(row))).collect();
    newest.sort();
    newest.reverse();
    let newest: Vec<_> = newest.into_iter().map(|(_, id)| id).collect();
    let all_pages = async |query: &str| {
        let mut ids = Vec::new();
        for page in 1.. {
            let more = world.ids(&format!("?page={page}&per_page=7{query}")).await;
            if more.is_empty() {
                return ids;
            }
            ids.extend(more);
        }
        ids
    };

    assert_eq!(world.ids("").await, newest[..20]);
    assert_eq!(world.ids("?per_page=50&page=3").await, newest[100..]);
    assert_eq!(all_pages("").await, newest);
    let oldest: Vec<_> = newest.iter().rev().cloned().collect();
    assert_eq!(all_pages("&order_by_direction=asc").await, oldest);
    assert_eq!(all_pages("&order_by=created_at&direction=asc").await, oldest);

    let mut by_provider =
        rows.iter().map(|row| (row.provider, row.created_at, id_text(row))).collect::<Vec<_>>();
    by_provider.sort();
    let by_provider: Vec<_> = by_provider.into_iter().map(|(_, _, id)| id).collect();
    assert_eq!(all_pages("&order_by=provider&order_by_direction=asc").await, by_provider);
    for column in ["model", "model_type", "success", "cached"] {
        let mut ids = all_pages(&format!("&order_by={column}")).await;
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 120, "{column}");
    }

    for past_the_end in ["?page=7", "?page=1000000", "?page=18446744073709551615&per_page=50"] {
        let answer = world.logs(past_the_end).await;
        assert_eq!(answer.status, 200, "{past_the_end}: {}", answer.text);
        assert!(answer.text.starts_with(r#"{"success":true,"result":[],"#), "{}", answer.text);
        assert!(answer.text.contains(r#""total_count":120"#), "{}", answer.text);
    }
    // Over all rows and not over the page; unknown values count for nothing.
    let info = r#""result_info":{"count":1,"page":2,"per_page":1,"total_count":120,"#.to_owned()
        + r#""min_cost":0.000000000000000001,"max_cost":0.00000000000000012,"#
        + r#""min_duration":1,"max_duration":119,"min_tokens_in":0,"max_tokens_in":119,"#
        + r#""min_tokens_out":881,"max_tokens_out":1000,"min_total_tokens":2,"max_total_tokens":1000}}"#;
    let answer = world.logs("?page=2&per_page=1").await;
    assert!(answer.text.ends_with(&info), "{}", answer.text);
}

#[tokio::test]
async fn query_api_filters_by_value_and_no_text_of_a_user_is_ever_sql() {
    let world = World::start().await;
    let hostile: &[&'static str] = &[
        "' OR 1=1 --",
        "\\' OR 1=1 --",
        "back\\slash\\",
        "tab\tnew\nline\rreturn",
        "nul\0byte",
        "{p2:String} {x} ? ??",
        "`tick` \"quote\" /* comment */ ; DROP TABLE logs",
        "é 名 🦀 \u{202e}",
        "\\N",
        "NULL",
        "%25 %",
    ];
    let mut rows = many_rows();
    rows.extend(hostile.iter().enumerate().map(|(n, model)| {
        let started_at = STARTED_AT + 100_000 + i64::try_from(n).unwrap();
        let id = id_of(started_at, model).bytes();
        LogRow { id, started_at, created_at: started_at, model, ..seed_row() }
    }));
    world.insert_logs(&rows).await;

    for model in hostile {
        let expected: Vec<_> = rows.iter().filter(|row| row.model == *model).map(id_text).collect();
        assert_eq!(expected.len(), 1);
        let query = reqwest::Url::parse_with_params("http://x/", [("model", model)]).unwrap();
        assert_eq!(world.ids(&format!("?{}", query.query().unwrap())).await, expected, "{model:?}");
    }
    for long in ["x".repeat(30_000), "%C3%BC".repeat(10_400), "'".repeat(20_000)] {
        assert!(world.ids(&format!("?model={long}")).await.is_empty());
    }
    let answer = world.logs(&format!("?model={}", "x".repeat(50_000))).await;
    assert_eq!(answer.status, 400, "{}", answer.text);
    assert!(answer.text.contains("values of more than 32768 bytes in all"), "{}", answer.text);
    assert!(world.ids("?model=").await.is_empty());

    let count = async |query: &str| {
        let answer = world.logs(query).await;
        let page: Value = serde_json::from_str(&answer.text).unwrap();
        page["result_info"]["total_count"].as_u64().unwrap_or_else(|| panic!("{query}: {}", answer.text))
    };
    assert_eq!(count("?success=false").await, 12);
    assert_eq!(count("?success=false&cached=true").await, 6);
    assert_eq!(count("?provider=openai").await, 40);
    assert_eq!(count("?provider=openai&cached=true&success=true").await, 8);
    assert_eq!(count("?provider=open").await, 0);
    // Both ends are inclusive: the rows of n = 3, 4, 5 ended at +1,100 ms.
    let at = "2024-09-30T09:45:35.841";
    assert_eq!(count(&format!("?start_date={at}Z&end_date={at}%2B00:00")).await, 3);
    assert_eq!(count(&format!("?start_date={at}&end_date={at}")).await, 3);
    assert_eq!(count(&format!("?end_date={at}")).await, 6);
    assert_eq!(count("?start_date=1970-01-01T00:00:00Z&end_date=9999-01-01T00:00:00Z").await, 131);
    assert_eq!(count("?end_date=1970-01-01T00:00:00Z").await, 0);

    let refused = world.logs("?per_page=51").await;
    assert_eq!(
        (refused.status.as_u16(), refused.text.as_str()),
        (
            400,
            r#"{"success":false,"errors":[{"code":7001,"message":"Number must be less than or equal to 50","path":["query","per_page"]}],"result":{}}"#
        )
    );
    for query in
        ["?filters=x", "?filters.key=model&filters.operator=eq", "?filters[]=x", "?feedback=2", "?modle=x"]
    {
        assert_eq!(world.logs(query).await.status, 400, "{query}");
    }
}

#[tokio::test]
async fn query_api_is_503_while_clickhouse_is_gone_and_finds_it_again() {
    let world = World::start().await;
    world.insert_logs(&[seed_row()]).await;
    assert_eq!(world.ids("").await.len(), 1);
    world.clickhouse.service.kill_hard().unwrap();
    let answer = world.logs("").await;
    assert_eq!(answer.status, 503);
    assert_eq!(
        answer.text,
        r#"{"success":false,"errors":[{"code":10013,"message":"Service Unavailable"}],"messages":[],"result":null}"#
    );
    let ready = async || {
        let response = reqwest::get(format!("{}/readyz", world.ops_url)).await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap().contains("clickhouse is unavailable"))
    };
    eventually(Duration::from_secs(10), (503, true), ready).await;
    world.clickhouse.service.restart(ClickHouse::START_LIMIT).await.unwrap();
    assert_eq!(world.ids("").await.len(), 1);
    eventually(Duration::from_secs(10), (200, false), ready).await;

    let strangers = reqwest::get(format!("{}/v1/live", world.url)).await.unwrap();
    assert_eq!(strangers.status(), 401);
    let metrics = reqwest::get(format!("{}/metrics", world.ops_url)).await.unwrap().text().await.unwrap();
    assert!(
        metrics.contains(r#"weir_query_requests_total{route="CloudflareList",status="503"} 1"#),
        "{metrics}"
    );
    let status = world.api.stop(Duration::from_secs(10)).await.unwrap();
    assert!(status.success(), "{status}");
}

#[tokio::test]
async fn query_api_serves_the_live_windows_that_an_aggregator_keeps() {
    let world = World::start().await;
    let live = format!("/v1/live?account_id={ACCOUNT}&gateway_id={GATEWAY}");
    let answer = world.get(&live).await;
    assert_eq!(
        (answer.status.as_u16(), answer.text.as_str()),
        (503, r#"{"error":{"code":"unavailable","message":"no aggregator is running"}}"#)
    );

    let options = async_nats::ConnectOptions::with_token(world.nats.token.clone());
    let nats = options.connect(&world.nats.url).await.unwrap();
    let mut questions = nats.subscribe(LIVE_SUBJECT).await.unwrap();
    // The server takes orders in their order: with the echo here, it knows of the subscription too.
    let mut echo = nats.subscribe("tests.echo").await.unwrap();
    nats.publish("tests.echo", "".into()).await.unwrap();
    echo.next().await.unwrap();
    let aggregator = tokio::spawn(async move {
        let question = questions.next().await.unwrap();
        let asked: LiveRequest = serde_json::from_slice(&question.payload).unwrap();
        assert_eq!((asked.scope.account_id.as_str(), asked.scope.gateway_id.as_str()), (ACCOUNT, GATEWAY));
        let window = r#"{"window_s":60,"requests":2,"errors":0,"cached":1,"unpriced":0,"tokens_in":15,"tokens_out":354,"tokens_cache_read":5,"tokens_cache_write":0,"tokens_reasoning":0,"cost":"0.005385","duration":[200,2],"time_to_first_token":[]}"#;
        let shards: Vec<u16> = (0..SHARDS).collect();
        let snapshot = format!(
            r#"{{"as_of":"2024-09-30T09:45:41.328Z","complete_through":"2024-09-30T09:45:41.300Z","complete":true,"shards":{shards:?},"late":1,"rows":[{{"token":"t","model":"m","rest":false,"windows":[{window}]}}]}}"#
        );
        nats.publish(question.reply.unwrap(), snapshot.into()).await.unwrap();
        // The next question is heard and not answered.
        questions.next().await.unwrap();
        questions
    });
    let answer = world.get(&live).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(
        answer.text,
        r#"{"as_of":"2024-09-30T09:45:41.328Z","complete_through":"2024-09-30T09:45:41.300Z","complete":true,"late":1,"#
            .to_owned()
            + r#""rows":[{"token":"t","model":"m","rest":false,"exact_since":null,"windows":["#
            + r#"{"window_s":60,"requests":2,"errors":0,"cached":1,"unpriced":0,"priced":1.0000,"tokens_in":15,"#
            + r#""tokens_out":354,"tokens_cache_read":5,"tokens_cache_write":0,"tokens_reasoning":0,"#
            + r#""cost":0.005385,"rpm":2.000,"tpm":369.000,"duration_ms":"#
            + r#"{"count":2,"p50":200,"p90":200,"p95":200,"p99":200},"time_to_first_token_ms":"#
            + r#"{"count":0,"p50":null,"p90":null,"p95":null,"p99":null}}]}]}"#
    );
    let answer = world.get(&live).await;
    assert_eq!(
        (answer.status.as_u16(), answer.text.as_str()),
        (503, r#"{"error":{"code":"unavailable","message":"aggregators cannot be reached"}}"#)
    );
    aggregator.await.unwrap();
}
