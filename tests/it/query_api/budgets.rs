//! Budgets, through the API: what is agreed is kept to the letter, and what is used of it is what the logs say.

use futures_util::future::join_all;
use harness::traffic::now_ms;
use serde_json::{Value, json};
use weir_store::LogRow;

use super::rows::{ACCOUNT, GATEWAY, id_of, seed_row};
use super::tokens::make;
use super::world::{Answer, TOKEN, World};

const PLACE: &str = "account_id=acc&gateway_id=my-gateway";

async fn send(world: &World, token: &str, method: &str, path: &str, body: &str) -> (u16, Value) {
    let url = format!("{}{path}", world.url);
    let request = reqwest::Client::new().request(method.parse().unwrap(), url).bearer_auth(token);
    let answer = request.body(body.to_owned()).send().await.unwrap();
    let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
    (status, serde_json::from_str(&text).unwrap_or(Value::Null))
}

async fn create(world: &World, body: &str) -> String {
    let (status, made) = send(world, TOKEN, "POST", &format!("/v1/budgets?{PLACE}"), body).await;
    assert_eq!(status, 201, "{made}");
    made["id"].as_str().unwrap().to_owned()
}

/// A call of this moment.
fn row(key: &str, model: &'static str) -> LogRow<'static> {
    let started_at = now_ms() - 1_000;
    let (id, created_at) = (id_of(started_at, key).bytes(), started_at + 500);
    LogRow { id, started_at, created_at, ingested_at: created_at, model, ..seed_row() }
}

#[tokio::test]
async fn a_budget_is_kept_as_it_was_said_until_it_is_changed_or_taken_away() {
    let world = World::start().await;
    let body = json!({
        "name": "é's \"budget\"", "filter": "metadata[\"team\"] = \"it's\" and cached = false", "measure": "cost",
        "limit": "0.000000000000000001", "period": "month", "timezone": "America/Los_Angeles",
        "thresholds": [100, 7], "webhooks": ["ops"], "enabled": false
    });
    let id = create(&world, &body.to_string()).await;
    let (list, one) = (format!("/v1/budgets?{PLACE}"), format!("/v1/budgets/{id}?{PLACE}"));
    let Answer { status, text, .. } = world.get(&one).await;
    assert_eq!(status, 200, "{text}");
    // To the last digit, which a float does not have.
    assert!(text.contains(r#""limit":0.000000000000000001,"#), "{text}");
    let mut read: Value = serde_json::from_str(&text).unwrap();
    for name in ["name", "filter", "measure", "period", "timezone", "webhooks", "enabled"] {
        assert_eq!(read[name], body[name], "{name}");
    }
    assert_eq!(read["thresholds"], json!([7, 100]));
    let spent = read.as_object_mut().unwrap().remove("spent").unwrap();
    assert_eq!(spent["value"].to_string(), "0");
    let (status, listed) = send(&world, TOKEN, "GET", &list, "").await;
    assert_eq!((status, &listed["budgets"]), (200, &json!([read])));

    let other = r#"{"name": "x", "measure": "requests", "limit": 5, "window_s": 120}"#;
    let (status, changed) = send(&world, TOKEN, "PUT", &one, other).await;
    assert_eq!((status, &changed["cool_down_s"], &changed["period"]), (200, &json!(120), &Value::Null));
    let (_, read) = send(&world, TOKEN, "GET", &one, "").await;
    assert_eq!((&read["name"], &read["thresholds"]), (&json!("x"), &json!([50, 80, 100])));
    // The same as before the change is a change.
    assert_eq!(send(&world, TOKEN, "PUT", &one, &body.to_string()).await.0, 200);
    assert_eq!(send(&world, TOKEN, "GET", &one, "").await.1["name"], body["name"]);

    assert_eq!(send(&world, TOKEN, "DELETE", &one, "").await.0, 204);
    for method in ["GET", "PUT", "DELETE"] {
        let (status, answer) = send(&world, TOKEN, method, &one, other).await;
        assert_eq!((status, &answer["error"]["code"]), (404, &json!("not_found")), "{method}");
    }
    assert_eq!(send(&world, TOKEN, "GET", &list, "").await.1["budgets"], json!([]));
}

#[tokio::test]
async fn a_budget_that_is_taken_away_while_it_is_changed_stays_away() {
    let world = World::start().await;
    let body = r#"{"name": "a", "measure": "cost", "limit": 1, "period": "day"}"#;
    let id = create(&world, body).await;
    let one = format!("/v1/budgets/{id}?{PLACE}");
    assert_eq!(send(&world, TOKEN, "DELETE", &one, "").await.0, 204);
    // Who had read it before that writes other terms now.
    let statement = format!(
        "INSERT INTO budgets (account_id, gateway_id, id, name, measure, limit, period, timezone, thresholds, enabled) \
         SELECT '{ACCOUNT}', '{GATEWAY}', '{id}', 'b', 'requests', 2, 'day', 'UTC', [50], true"
    );
    world.sql(&statement).await;
    for method in ["GET", "PUT", "DELETE"] {
        assert_eq!(send(&world, TOKEN, method, &one, body).await.0, 404, "{method}");
    }
    let (_, listed) = send(&world, TOKEN, "GET", &format!("/v1/budgets?{PLACE}"), "").await;
    assert_eq!(listed["budgets"], json!([]));
    // Nobody is in the way of what comes later.
    create(&world, body).await;
}

#[tokio::test]
async fn a_budget_is_of_its_gateway_and_of_nobody_else() {
    let world = World::start().await;
    let id = create(&world, r#"{"name": "a", "measure": "cost", "limit": 1, "period": "day"}"#).await;
    let reads = make(&world, &["--permission", "read", "--account", ACCOUNT]).await.token;
    let other = make(&world, &["--permission", "read,write", "--account", "other"]).await.token;
    let body = r#"{"name": "b", "measure": "cost", "limit": 1, "period": "day"}"#;
    let at = |place: &str| format!("/v1/budgets/{id}?{place}");
    let foreign = "account_id=other&gateway_id=my-gateway";
    for (token, method, path, expected) in [
        (&reads, "GET", at(PLACE), 200),
        (&reads, "PUT", at(PLACE), 403),
        (&reads, "DELETE", at(PLACE), 403),
        (&reads, "POST", format!("/v1/budgets?{PLACE}"), 403),
        (&other, "GET", at(PLACE), 403),
        (&other, "DELETE", at(PLACE), 403),
        // In their own place there is none of that id.
        (&other, "GET", at(foreign), 404),
        (&other, "PUT", at(foreign), 404),
        (&other, "DELETE", at(foreign), 404),
    ] {
        let (status, answer) = send(&world, token, method, &path, body).await;
        assert_eq!(status, expected, "{method} {path}: {answer}");
    }
    let (_, listed) = send(&world, &other, "GET", &format!("/v1/budgets?{foreign}"), "").await;
    assert_eq!(listed["budgets"], json!([]));
    assert_eq!(send(&world, TOKEN, "GET", &at(PLACE), "").await.1["name"], "a");
}

#[tokio::test]
async fn what_is_used_of_a_budget_is_what_the_logs_say() {
    let world = World::start().await;
    let topup = LogRow { kind: "topup", ..row("4", "one") };
    let elsewhere = LogRow { gateway_id: "beside", ..row("5", "one") };
    let unpriced = LogRow { cost: None, success: false, ..row("3", "two") };
    world.insert_logs(&[row("1", "one"), row("2", "one"), unpriced, topup, elsewhere]).await;
    let used = async |measure: &str, filter: &str, time: Value| {
        let mut body = json!({"name": "a", "measure": measure, "limit": 9, "filter": filter});
        body.as_object_mut().unwrap().extend(time.as_object().unwrap().clone());
        let id = create(&world, &body.to_string()).await;
        let answer = world.get(&format!("/v1/budgets/{id}?{PLACE}")).await;
        let read: Value = serde_json::from_str(&answer.text).unwrap();
        let (at, from, to) = (&read["spent"]["as_of"], &read["spent"]["from"], &read["spent"]["to"]);
        assert!(from.as_str() < at.as_str() && at.as_str() <= to.as_str(), "{}", answer.text);
        read["spent"]["value"].to_string()
    };
    let (year, minutes) = (json!({"period": "year"}), json!({"window_s": 600}));
    assert_eq!(used("requests", "", minutes.clone()).await, "3");
    assert_eq!(used("requests", "model = \"one\"", minutes.clone()).await, "2");
    assert_eq!(used("errors", "", minutes.clone()).await, "1");
    assert_eq!(used("tokens", "", year.clone()).await, "1107");
    assert_eq!(used("tokens_out", "provider contains \"AZURE\"", year.clone()).await, "1062");
    assert_eq!(used("cost", "", year).await, "0.01077");
    let past = json!({"window_s": 60});
    assert_eq!(used("requests", "created_at < \"2020-01-01T00:00:00Z\"", past).await, "0");
}

/// Budgets of a gateway of the account, as somebody made them one by one.
async fn held(world: &World, gateway: &str, count: u32, filter_bytes: u32) {
    let statement = format!(
        "INSERT INTO budgets (account_id, gateway_id, id, name, filter, measure, limit, period, timezone, thresholds, enabled) \
         SELECT '{ACCOUNT}', '{gateway}', lower(hex(MD5(concat('{gateway}', toString(number))))), 'n', \
             repeat('x', {filter_bytes}), 'requests', 1, 'day', 'UTC', [50], true FROM numbers({count})"
    );
    world.sql(&statement).await;
}

#[tokio::test]
async fn an_account_has_a_bounded_number_of_budgets_over_all_its_gateways() {
    let world = World::start().await;
    let path = format!("/v1/budgets?{PLACE}");
    let body = |filter: &str| {
        json!({"name": "a", "measure": "cost", "limit": 1, "period": "day", "filter": filter}).to_string()
    };
    let id = create(&world, &body("")).await;
    let one = format!("/v1/budgets/{id}?{PLACE}");
    let full = async |method: &str, path: &str, body: &str| {
        let (status, answer) = send(&world, TOKEN, method, path, body).await;
        assert_eq!((status, &answer["error"]["code"]), (409, &json!("full")), "{answer}");
        answer["error"]["message"].as_str().unwrap().to_owned()
    };
    // Those of another account are nobody's concern, nor is what was taken away.
    world.sql("INSERT INTO budgets (account_id, gateway_id, id) SELECT 'other', 'gw', toString(number) FROM numbers(3000)").await;
    world.sql(&format!("INSERT INTO budgets (account_id, gateway_id, id, deleted) SELECT '{ACCOUNT}', 'gone', toString(number), true FROM numbers(3000)")).await;
    held(&world, "beside", 1_998, 0).await;
    create(&world, &body("")).await;
    let message = full("POST", &path, &body("")).await;
    assert_eq!(message, "the gateways of an account have at most 2000 budgets together");
    // One that is there may be changed.
    assert_eq!(send(&world, TOKEN, "PUT", &one, &body("model = \"x\"")).await.0, 200);

    world.sql("ALTER TABLE budgets DELETE WHERE gateway_id = 'beside' SETTINGS mutations_sync = 2").await;
    held(&world, "beside", 100, (4 << 20) / 100).await;
    let longer = body(
        "model = \"a longer filter than there is room for, whoever asks for it\" and provider = \"or for another one\"",
    );
    for (method, path) in [("POST", &path), ("PUT", &one)] {
        let message = full(method, path, &longer).await;
        assert_eq!(message, "the filters of an account's budgets have at most 4194304 bytes together");
    }
    assert_eq!(send(&world, TOKEN, "PUT", &one, &body("")).await.0, 200);

    world.sql("ALTER TABLE budgets DELETE WHERE gateway_id = 'beside' SETTINGS mutations_sync = 2").await;
    held(&world, GATEWAY, 198, 0).await;
    assert_eq!(full("POST", &path, &body("")).await, "a gateway has at most 200 budgets");
    assert_eq!(send(&world, TOKEN, "DELETE", &one, "").await.0, 204);
    create(&world, &body("")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn budgets_that_are_made_at_once_do_not_break_a_bound() {
    let world = World::start().await;
    let path = format!("/v1/budgets?{PLACE}");
    held(&world, "beside", 1_997, 0).await;
    let living = async || {
        let count =
            format!("SELECT count() FROM budgets FINAL WHERE NOT deleted AND account_id = '{ACCOUNT}'");
        world.sql(&count).await.trim().parse::<u64>().unwrap()
    };
    let body = r#"{"name": "a", "measure": "cost", "limit": 1, "period": "day"}"#;
    for round in 0..10 {
        let at_once: Vec<_> = (0..8).map(|_| send(&world, TOKEN, "POST", &path, body)).collect();
        let mut made = Vec::new();
        for (status, answer) in join_all(at_once).await {
            match status {
                201 => made.push(answer["id"].as_str().unwrap().to_owned()),
                _ => assert_eq!((status, &answer["error"]["code"]), (409, &json!("full")), "{answer}"),
            }
        }
        // Whoever was told that theirs is there has it, and nobody else has one.
        assert_eq!(living().await, 1_997 + made.len() as u64, "round {round}");
        assert!(made.len() <= 3, "round {round}: {made:?}");
        for id in made {
            let one = format!("/v1/budgets/{id}?{PLACE}");
            assert_eq!(send(&world, TOKEN, "DELETE", &one, "").await.0, 204);
        }
    }
    // Where there is room for it, one that comes alone is made.
    create(&world, body).await;
}

#[tokio::test]
async fn a_budget_that_cannot_be_is_refused_with_everything_that_is_wrong() {
    let world = World::start().await;
    let path = format!("/v1/budgets?{PLACE}");
    let body =
        r#"{"filter": "score > 1", "measure": "cost", "limit": 0, "period": "day", "timezone": "Berlin"}"#;
    let (status, answer) = send(&world, TOKEN, "POST", &path, body).await;
    assert_eq!((status, &answer["error"]["code"]), (400, &json!("invalid")));
    let message = answer["error"]["message"].as_str().unwrap();
    for field in ["name: ", "filter: ", "limit: ", "timezone: "] {
        assert!(message.contains(field), "{message}");
    }
    let long = format!("{{\"name\": \"{}\"}}", "x".repeat(400_000));
    let (status, answer) = send(&world, TOKEN, "POST", &path, &long).await;
    assert_eq!(
        (status, &answer["error"]["message"]),
        (400, &json!("body: must contain at most 300000 bytes"))
    );
    let refused = world.ask("PATCH", &path, &[("authorization", &format!("Bearer {TOKEN}"))]).await;
    assert_eq!((refused.status.as_u16(), &refused.headers["allow"]), (405, &"GET, POST".parse().unwrap()));
    assert_eq!(send(&world, TOKEN, "GET", &path, "").await.1["budgets"], json!([]));
    assert_eq!((ACCOUNT, GATEWAY), ("acc", "my-gateway"));
}
