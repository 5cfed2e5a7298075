//! Every route over the real filters, with services behind it that are missing or broken. What ClickHouse answers
//! when it is well is shown against the real engine, in the system tests.

mod fixture;
mod new_api;

use std::time::Duration;

use warp::test::request;

use super::*;
use fixture::{Fixture, clickhouse_that_fails, nobody, reader, text};

const LOGS: &str = "/client/v4/accounts/acc/ai-gateway/gateways/gw/logs";
const ID: &str = "01J9154B8N555TAWY8E5RWHFRS";
const UNAUTHENTICATED: &str = r#"{"success":false,"errors":[{"code":10000,"message":"Authentication error"}],"messages":[],"result":null}"#;
const UNAVAILABLE: &str = r#"{"success":false,"errors":[{"code":10013,"message":"Service Unavailable"}],"messages":[],"result":null}"#;
const NOT_FOUND: &str = r#"{"success":false,"errors":[{"code":7002,"message":"Not Found"}]}"#;

fn operations() -> [String; 4] {
    [LOGS.to_owned(), format!("{LOGS}/{ID}"), format!("{LOGS}/{ID}/request"), format!("{LOGS}/{ID}/response")]
}

#[tokio::test]
async fn nobody_gets_in_without_a_token_and_no_service_is_asked() {
    let fixture = Fixture::new(nobody().await).await;
    for path in operations() {
        for token in [None, Some("wrong")] {
            let response = fixture.send("GET", &path, token).await;
            assert_eq!((response.status().as_u16(), text(&response)), (401, UNAUTHENTICATED), "{path}");
            assert_eq!(response.headers()["www-authenticate"], "Bearer");
        }
        // Not even what is wrong with a request is told to strangers.
        let response = fixture.send("GET", &format!("{path}?per_page=51"), None).await;
        assert_eq!(response.status(), 401);
    }
    let response = fixture.send("GET", "/v1/live?account_id=acc&gateway_id=gw", None).await;
    assert_eq!(response.status(), 401);
    assert_eq!(text(&response), r#"{"error":{"code":"unauthenticated","message":"who are you?"}}"#);
}

#[tokio::test]
async fn who_may_not_ask_is_told_that_and_nothing_else() {
    const FORBIDDEN: &str = r#"{"error":{"code":"forbidden","message":"you may not do this"}}"#;
    let fixture = Fixture::new(nobody().await).await;
    let reader = reader();
    let get = async |path: &str| fixture.send("GET", path, Some(reader.expose())).await;
    for path in operations() {
        // What is theirs is asked for, and there is no ClickHouse.
        assert_eq!(get(&path).await.status(), 503, "{path}");
        for other in [path.replace("/gw/", "/other/"), path.replace("/acc/", "/other/")] {
            for query in ["", "?per_page=51"] {
                let response = get(&format!("{other}{query}")).await;
                assert_eq!((response.status().as_u16(), text(&response)), (403, UNAUTHENTICATED), "{other}");
                assert!(!response.headers().contains_key("www-authenticate"));
            }
        }
    }
    let day = "from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z";
    for path in ["/v1/live?account_id=acc&gateway_id=other", &format!("/v1/ledger?account_id=acc&{day}")] {
        let response = get(path).await;
        assert_eq!((response.status().as_u16(), text(&response)), (403, FORBIDDEN), "{path}");
    }
}

#[tokio::test]
async fn a_clickhouse_that_is_not_there_is_503_and_nothing_is_told_of_it() {
    let fixture = Fixture::new(nobody().await).await;
    for path in operations() {
        let response = fixture.get(&path).await;
        assert_eq!((response.status().as_u16(), text(&response)), (503, UNAVAILABLE), "{path}");
        assert_eq!(response.headers()["retry-after"], "1");
        assert_eq!(response.headers()["content-type"], "application/json");
    }
}

#[tokio::test]
async fn a_clickhouse_in_trouble_is_503_and_a_mistake_of_ours_is_500() {
    let overloaded = "Code: 202. DB::Exception: Too many simultaneous queries for secret_user";
    let fixture = Fixture::new(clickhouse_that_fails(500, overloaded, Duration::ZERO).await).await;
    for path in operations() {
        let response = fixture.get(&path).await;
        assert_eq!((response.status().as_u16(), text(&response)), (503, UNAVAILABLE), "{path}");
    }
    let mistake = "Code: 62. DB::Exception: Syntax error in SELECT secret FROM secret_database.logs";
    let fixture = Fixture::new(clickhouse_that_fails(400, mistake, Duration::ZERO).await).await;
    for path in operations() {
        let response = fixture.get(&path).await;
        assert_eq!(response.status(), 500, "{path}");
        assert!(text(&response).contains("Internal Server Error") && !text(&response).contains("secret"));
        assert!(!response.headers().contains_key("retry-after"));
    }
}

#[tokio::test]
async fn a_user_of_clickhouse_that_may_only_read_is_told_without_a_secret_and_need_not_be_asked_again() {
    for refusal in [
        "Code: 164. DB::Exception: secret_user: Cannot execute query in readonly mode. (READONLY)",
        "Code: 497. DB::Exception: secret_user: Not enough privileges on secret_database.annotations",
    ] {
        let fixture = Fixture::new(clickhouse_that_fails(403, refusal, Duration::ZERO).await).await;
        let entry = format!("{LOGS}/{ID}");
        let patch = request().method("PATCH").path(&entry).header("authorization", "Bearer right");
        let response = patch.body(r#"{"feedback":1}"#).reply(&routes(&fixture.app)).await;
        assert_eq!(
            (response.status().as_u16(), text(&response)),
            (
                500,
                r#"{"success":false,"errors":[{"code":10013,"message":"Logs cannot be changed here: the server is not set up for it"}],"messages":[],"result":null}"#
            )
        );
        assert_eq!(response.headers()["x-should-retry"], "false");
    }
}

#[tokio::test]
async fn a_body_is_looked_at_only_where_its_sender_may_write_and_before_any_service_is_asked() {
    let fixture = Fixture::new(nobody().await).await;
    let entry = format!("{LOGS}/{ID}");
    let patch = async |token: &str, body: &str| {
        let request =
            request().method("PATCH").path(&entry).header("authorization", format!("Bearer {token}"));
        request.body(body).reply(&routes(&fixture.app)).await
    };
    assert_eq!(text(&patch("wrong", "{").await), UNAUTHENTICATED);
    let response = patch("right", r#"{"feedback":"up"}"#).await;
    assert_eq!(
        (response.status().as_u16(), text(&response)),
        (
            400,
            r#"{"success":false,"errors":[{"code":7001,"message":"Expected number, received string","path":["body","feedback"]}],"result":{}}"#
        )
    );
    let response = patch("right", "{}").await;
    assert_eq!((response.status().as_u16(), text(&response)), (503, UNAVAILABLE));
}

#[tokio::test]
async fn a_clickhouse_that_hangs_costs_the_request_timeout_and_no_more() {
    let fixture = Fixture::new(clickhouse_that_fails(200, "", Duration::from_mins(1)).await).await;
    let response = tokio::time::timeout(Duration::from_secs(10), fixture.get(LOGS)).await.unwrap();
    assert_eq!((response.status().as_u16(), text(&response)), (503, UNAVAILABLE));
}

#[tokio::test]
async fn bad_parameters_are_400_with_their_places() {
    let fixture = Fixture::new(nobody().await).await;
    let response = fixture.get(&format!("{LOGS}?per_page=51&feedback=2")).await;
    assert_eq!(response.status(), 400);
    assert_eq!(
        text(&response),
        r#"{"success":false,"errors":[{"code":7001,"message":"Number must be less than or equal to 50","#
            .to_owned()
            + r#""path":["query","per_page"]},{"code":7001,"message":"Invalid enum value. Expected '-1' | '0' | '1'","#
            + r#""path":["query","feedback"]}],"result":{}}"#
    );
}

#[tokio::test]
async fn a_tenant_that_cannot_be_is_400_on_a_list_and_404_on_one_log() {
    let fixture = Fixture::new(nobody().await).await;
    for gateway in ["UPPER", "a--b", "a%27b", "a%2Fb", "%ff"] {
        let logs = format!("/client/v4/accounts/acc/ai-gateway/gateways/{gateway}/logs");
        let response = fixture.get(&logs).await;
        assert_eq!(response.status(), 400, "{gateway}");
        assert!(text(&response).contains(r#""path":["params","gateway_id"]"#), "{}", text(&response));
        let response = fixture.get(&format!("{logs}/{ID}")).await;
        assert_eq!((response.status().as_u16(), text(&response)), (404, NOT_FOUND), "{gateway}");
    }
}

#[tokio::test]
async fn what_cannot_be_an_id_is_404_and_clickhouse_is_not_asked() {
    let fixture = Fixture::new(nobody().await).await;
    for id in ["x", "a%2Fb%20c", "01J9154B8N555TAWY8E5RWHFRs", "%ff", "%00", "01J9154B8N555TAWY8E5RWHFRS%20"]
    {
        for tail in ["", "/request", "/response"] {
            let response = fixture.get(&format!("{LOGS}/{id}{tail}")).await;
            assert_eq!((response.status().as_u16(), text(&response)), (404, NOT_FOUND), "{id}{tail}");
        }
    }
    // An escaped id is the same id: this one is asked for.
    let escaped = ID.replace('J', "%4a").replace("%4a", "%4A");
    assert_eq!(fixture.get(&format!("{LOGS}/{escaped}")).await.status(), 503);
}

#[tokio::test]
async fn other_methods_are_405_and_other_paths_are_404() {
    let fixture = Fixture::new(nobody().await).await;
    for path in operations() {
        let (is_list, is_entry) = (path == LOGS, path.ends_with(ID));
        for method in ["POST", "PUT", "PATCH", "DELETE", "HEAD"] {
            if method == "PATCH" && is_entry || method == "DELETE" && is_list {
                continue;
            }
            let response = fixture.send(method, &path, Some("right")).await;
            assert_eq!(response.status(), 405, "{method} {path}");
            let allowed = match (is_list, is_entry) {
                (true, _) => "GET, DELETE",
                (_, true) => "GET, PATCH",
                (false, false) => "GET",
            };
            assert_eq!(response.headers()["allow"], allowed);
        }
    }
    for path in ["/", "/client/v4", "/client/v4/accounts/acc", &format!("{LOGS}/{ID}/usage"), "/v2/live"] {
        let response = fixture.get(path).await;
        assert_eq!(response.status(), 404, "{path}");
        assert_eq!(
            text(&response),
            r#"{"success":false,"errors":[{"code":7000,"message":"No route for that URI"}],"messages":[],"result":null}"#
        );
    }
    let response = fixture.get("/v1/lives").await;
    assert_eq!(
        (response.status().as_u16(), text(&response)),
        (404, r#"{"error":{"code":"not_found","message":"there is nothing under this path"}}"#)
    );
    assert_eq!(fixture.send("POST", "/v1/live", Some("right")).await.status(), 405);
}

#[tokio::test]
async fn a_deletion_that_is_not_understood_is_400_and_clickhouse_is_not_asked() {
    let fixture = Fixture::new(nobody().await).await;
    let delete = async |query: &str| fixture.send("DELETE", &format!("{LOGS}{query}"), Some("right")).await;
    for query in [
        "?search=x",
        "?page=1",
        "?start_date=2026-01-01T00:00:00Z",
        "?filters=[]",
        "?filters[0][key]=model",
        "?x",
    ] {
        let response = delete(query).await;
        assert_eq!(response.status(), 400, "{query}: {}", text(&response));
        assert!(text(&response).contains(r#""code":7001"#), "{}", text(&response));
    }
    let token = ("authorization", "Bearer right");
    let with_body = request().method("DELETE").path(LOGS).header(token.0, token.1).body(r#"{"filters":[]}"#);
    let response = with_body.reply(&routes(&fixture.app)).await;
    assert_eq!(response.status(), 400);
    assert!(text(&response).contains(r#""path":["body"]"#), "{}", text(&response));
    let response = delete("?limit=1").await;
    assert_eq!((response.status().as_u16(), text(&response)), (503, UNAVAILABLE), "this one is asked for");
    assert_eq!(response.headers()["retry-after"], "1");
    assert_eq!(fixture.send("DELETE", LOGS, None).await.status(), 401);
    assert_eq!(fixture.send("DELETE", &format!("{LOGS}?page=1"), Some("wrong")).await.status(), 401);
}

#[tokio::test]
async fn where_clickhouse_lets_nobody_delete_nothing_is_begun_and_nobody_asks_twice() {
    // One column, `result`, of one row: 0.
    let not_granted = "\u{1}\u{6}result\u{5}UInt8\0";
    let fixture = Fixture::new(clickhouse_that_fails(200, not_granted, Duration::ZERO).await).await;
    let response = fixture.send("DELETE", LOGS, Some("right")).await;
    assert_eq!(response.status(), 500, "{}", text(&response));
    assert!(text(&response).contains("not set up for it"), "{}", text(&response));
    assert_eq!(response.headers()["x-should-retry"], "false");
}

#[tokio::test]
async fn live_windows_without_nats_are_503_and_without_a_tenant_400() {
    let fixture = Fixture::new(nobody().await).await;
    let response = fixture.get("/v1/live?account_id=acc&gateway_id=gw").await;
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "1");
    assert_eq!(
        text(&response),
        r#"{"error":{"code":"unavailable","message":"aggregators cannot be reached"}}"#
    );
    let response = fixture.get("/v1/live?account_id=acc").await;
    assert_eq!(
        (response.status().as_u16(), text(&response)),
        (400, r#"{"error":{"code":"invalid","message":"gateway_id is required"}}"#)
    );
}

#[tokio::test]
async fn every_answer_has_an_id_of_its_own_and_is_counted() {
    let fixture = Fixture::new(nobody().await).await;
    let mut ids = Vec::new();
    for path in ["/", LOGS, &format!("{LOGS}?page=0"), "/v1/live"] {
        let response = fixture.get(path).await;
        ids.push(response.headers()["x-request-id"].to_str().unwrap().to_owned());
    }
    assert_eq!(ids[0], "0000000000000007-0");
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 4);
    let metrics = fixture.metrics.encode();
    for line in [
        r#"weir_query_requests_total{route="CloudflareList",status="400"} 1"#,
        r#"weir_query_requests_total{route="CloudflareList",status="503"} 1"#,
        r#"weir_query_requests_total{route="Unmatched",status="404"} 1"#,
        r#"weir_query_requests_total{route="Live",status="400"} 1"#,
        "weir_query_requests_in_flight 0",
    ] {
        assert!(metrics.contains(line), "{line} is missing in\n{metrics}");
    }
}
