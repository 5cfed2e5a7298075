//! The same of Weir's own routes: live windows, tails and budgets.

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::super::rows::{ACCOUNT, GATEWAY};
use super::super::world::TOKEN;
use super::{HOSTILE, Hostile, escaped};

/// What a question has beside its place.
const LIVE: [&str; 6] = ["filter", "group_by", "top", "by", "window", "interval"];
/// What a body has.
const BUDGET: [&str; 11] = [
    "name",
    "filter",
    "measure",
    "limit",
    "window_s",
    "period",
    "timezone",
    "thresholds",
    "cool_down_s",
    "webhooks",
    "enabled",
];

async fn send(hostile: &Hostile, method: &str, path: &str, body: &str) -> (u16, String) {
    let request = hostile
        .http
        .request(method.parse().unwrap(), format!("{}{path}", hostile.world.url))
        .bearer_auth(TOKEN);
    let answer = request.body(body.to_owned()).send().await.unwrap();
    let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
    for word in ["DB::Exception", "ClickHouse", "clickhouse", "SELECT"] {
        assert!(!text.contains(word), "{method} {path} {body}: {text}");
    }
    (status, text)
}

#[tokio::test]
async fn a_hostile_text_in_a_question_about_what_happens_now_is_refused_or_finds_nothing() {
    let hostile = Hostile::start().await;
    let place = format!("account_id={ACCOUNT}&gateway_id={GATEWAY}");
    let long = "é'\\{x:String}".repeat(7_000);
    let texts =
        HOSTILE.iter().map(|text| escaped(text)).chain([escaped(&long), "%ff".to_owned(), "%".to_owned()]);
    for text in texts {
        let mut paths = Vec::new();
        for route in ["/v1/live", "/v1/live/stream", "/v1/tail"] {
            paths.push(format!("{route}?account_id={text}&gateway_id={text}"));
            paths.push(format!("{route}?{place}&{text}={text}"));
            paths.push(format!("{route}?{place}&{text}"));
            paths.extend(LIVE.map(|name| format!("{route}?{place}&{name}={text}")));
            paths.push(format!("{route}?{place}&top=1&by={text}&window={text}"));
            for field in ["model", "token", "provider", "user_id", "channel_id"] {
                paths.push(format!("{route}?{place}&filter={field}%20%3D%20%22{text}%22"));
            }
        }
        join_all(paths.iter().map(|path| hostile.refuses_or_finds_nothing_odd(path))).await;
    }
    hostile.is_unharmed().await;
}

#[tokio::test]
async fn a_hostile_text_in_a_budget_is_kept_to_the_letter_or_refused() {
    let hostile = Hostile::start().await;
    let path = format!("/v1/budgets?account_id={ACCOUNT}&gateway_id={GATEWAY}");
    let good = || json!({"name": "a", "measure": "requests", "limit": 1, "period": "year"});
    for text in HOSTILE {
        let filter = format!("model = {} and provider != {0}", json!(text));
        let mut body = good();
        body["filter"] = json!(filter);
        let (status, made) = send(&hostile, "POST", &path, &body.to_string()).await;
        assert_eq!(status, 201, "{text:?}: {made}");
        let made: Value = serde_json::from_str(&made).unwrap();
        let one = path.replace('?', &format!("/{}?", made["id"].as_str().unwrap()));
        // Its sum is asked of the real engine, with the text in it.
        let (status, read) = send(&hostile, "GET", &one, "").await;
        assert_eq!(status, 200, "{text:?}: {read}");
        let read: Value = serde_json::from_str(&read).unwrap();
        assert_eq!((&read["filter"], &read["spent"]["value"]), (&made["filter"], &json!(0)), "{text:?}");
        let kept: weir_filter::Filter = read["filter"].as_str().unwrap().parse().unwrap();
        assert_eq!(kept, filter.parse().unwrap(), "{text:?}");

        for field in BUDGET {
            for value in [json!(text), json!([text]), json!({ *text: text })] {
                let mut body = good();
                if ["window_s", "cool_down_s"].contains(&field) {
                    body.as_object_mut().unwrap().remove("period");
                }
                body[field] = value;
                let (status, answer) = send(&hostile, "PUT", &one, &body.to_string()).await;
                assert!(matches!(status, 200 | 400), "{body}: {status} {answer}");
                let answer: Value = serde_json::from_str(&answer).unwrap();
                if status == 200 && field == "name" {
                    assert_eq!(answer["name"], json!(text));
                }
            }
        }
        for (method, body) in
            [("PUT", text.to_owned()), ("POST", text.to_owned()), ("POST", json!({ *text: 1 }).to_string())]
        {
            let path = if method == "PUT" { &one } else { &path };
            let (status, answer) = send(&hostile, method, path, &body).await;
            assert_eq!(status, 400, "{body:?}: {answer}");
        }
        for method in ["GET", "PUT", "DELETE"] {
            let other = path.replace('?', &format!("/{}?", escaped(text)));
            let (status, answer) = send(&hostile, method, &other, &good().to_string()).await;
            assert!(matches!(status, 400 | 404), "{method} {text:?}: {status} {answer}");
        }
        assert_eq!(send(&hostile, "DELETE", &one, "").await.0, 204);
    }
    assert_eq!(send(&hostile, "GET", &path, "").await.1, r#"{"budgets":[]}"#);
    hostile.is_unharmed().await;
}
