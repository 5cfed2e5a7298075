//! Budgets in front of a ClickHouse that is slow, or is not to be asked for nothing.

use harness::traffic::{now_ms, record};
use harness::{System, eventually};
use serde_json::{Value, json};
use tempfile::TempDir;
use weir_local::Service;

use super::{LIMIT, aggregator, create, metric_of, thresholds};
use crate::outage::proxy::Proxy;

/// What is asked of the table of budgets: whether it changed, and what is in it.
const QUESTION: &str = "sipHash64(version)";
const WHOLE: &str = "FROM budgets FINAL";

/// Budgets are watched by an aggregator that reaches ClickHouse through the proxy.
async fn behind(proxy: &mut Proxy, dir: &TempDir) -> (System, Service) {
    let system = System::start().await;
    system.weir.aggregator.stop(LIMIT).await.unwrap();
    let url = proxy.lead_to(&system.weir.clickhouse.url);
    let watcher = aggregator(&system, dir, "watcher", None, &[("WEIR_CLICKHOUSE_URL", &url)]).await;
    (system, watcher)
}

fn budget(name: &str) -> Value {
    json!({"name": name, "measure": "requests", "limit": 1, "period": "year", "thresholds": [100]})
}

async fn create_in(system: &System, gateway: &str) -> String {
    let url =
        format!("http://{}/v1/budgets?account_id=acc&gateway_id={gateway}", system.weir.addresses.query_api);
    let request = system.http.post(url).bearer_auth(&system.weir.secrets.query_token);
    let answer = request.body(budget(gateway).to_string()).send().await.unwrap();
    assert_eq!(answer.status(), 201);
    let made: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    made["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn budgets_of_a_gateway_do_not_wait_for_the_sums_of_another() {
    let (mut proxy, dir) = (Proxy::new(), TempDir::new().unwrap());
    let (system, _watcher) = behind(&mut proxy, &dir).await;
    proxy.hold_next(&["name=\"param_gateway_id\"\r\n\r\nslow\r\n"]);
    let slow = create_in(&system, "slow").await;
    assert!(system.push_to("acc/slow", &record(1, now_ms())).await.status.is_success());
    proxy.wait_until_it_came().await;
    // Of a gateway that is new, and of one that is watched already.
    for number in 2..4 {
        let quick = create_in(&system, "quick").await;
        assert!(system.push_to("acc/quick", &record(number, now_ms())).await.status.is_success());
        let crossed = async || thresholds(&system, &quick).await == [100];
        eventually(LIMIT, true, crossed).await;
    }
    assert!(!proxy.is_abandoned(), "the sums of the slow one are waited for all the time");
    assert_eq!(thresholds(&system, &slow).await, Vec::<u16>::new());
    // They are given up, and asked for again.
    let crossed = async || thresholds(&system, &slow).await == [100];
    eventually(LIMIT * 3, true, crossed).await;
    assert!(proxy.is_abandoned());
}

#[tokio::test(flavor = "multi_thread")]
async fn budgets_are_read_when_they_changed() {
    let (mut proxy, dir) = (Proxy::new(), TempDir::new().unwrap());
    assert_eq!((proxy.count(QUESTION), proxy.count(WHOLE)), (0, 0));
    let (system, watcher) = behind(&mut proxy, &dir).await;
    create(&system, budget("first")).await;
    let count = async || metric_of(&system, &watcher, "weir_aggregator_budgets ").await;
    eventually(LIMIT, 1, count).await;
    let (questions, whole) = (proxy.count(QUESTION), proxy.count(WHOLE));
    let were_asked = async || proxy.count(QUESTION) >= questions + 6;
    eventually(LIMIT, true, were_asked).await;
    // Every minute once in any case.
    assert!(proxy.count(WHOLE) <= whole + 1, "{} after {whole}", proxy.count(WHOLE));
    // A change that nobody tells of is found, also one that is like what was there before.
    for (deleted, expected) in [(true, 0), (false, 1), (true, 0)] {
        let statement = format!(
            "INSERT INTO budgets SELECT * EXCEPT (deleted, version) REPLACE ('renamed' AS name), {deleted}, now64(9, 'UTC') \
             FROM budgets FINAL"
        );
        system.sql(&statement).await;
        eventually(LIMIT, expected, count).await;
    }
}
