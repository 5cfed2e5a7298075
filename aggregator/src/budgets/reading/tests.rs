//! Against a ClickHouse that refuses some statements.

use clickhouse::Client;
use tokio::net::TcpListener;
use weir_budget::{Budget, Terms};

use super::*;
use crate::budgets::store::Agreed;
use crate::fake_clickhouse::{FakeClickHouse, Reply};

const NOW_MS: i64 = 1_767_225_600_000;

/// A ClickHouse that refuses every statement that asks for a model `bad`, and finds nothing for the others.
async fn refusing() -> Store {
    let answer = |request: &str| {
        if request.contains("bad") {
            return Reply::Refused;
        }
        Reply::Rows(&[("at_s", "Int64"), ("sums", "Array(Decimal(38, 18))")], &[])
    };
    Store::new(FakeClickHouse::start(answer).await.client())
}

fn budget(n: u8, model: &str) -> Agreed {
    let body = format!(
        r#"{{"name": "a", "measure": "cost", "limit": 10, "period": "day", "filter": "model = \"{model}\""}}"#
    );
    let budget = Budget {
        id: BudgetId::from_random([n; 16]),
        scope: Scope::parse("acc", "gw").unwrap(),
        terms: Terms::from_json(body.as_bytes()).unwrap(),
    };
    Agreed { budget, since_ms: 0 }
}

fn loaded(gateway: &Gateway) -> Vec<bool> {
    gateway.budgets.values().map(|watched| watched.is_loaded).collect()
}

#[tokio::test]
async fn a_budget_that_is_refused_rests_and_the_others_of_its_gateway_do_not() {
    let (store, scope) = (refusing().await, Scope::parse("acc", "gw").unwrap());
    let mut gateway = Gateway::default();
    gateway.update(vec![budget(1, "a"), budget(2, "bad"), budget(3, "b")], NOW_MS);
    assert_eq!(gateway.load(&scope, &store, NOW_MS).await.unwrap(), 1);
    assert_eq!(loaded(&gateway), [true, false, true]);
    assert!(!gateway.has_new(), "it rests");
    // What is touched meanwhile is read of the others alone.
    gateway.touch(BTreeSet::from([NOW_MS]));
    assert_eq!(gateway.read(&scope, &store).await.unwrap(), 0);
    assert!(!gateway.is_touched());
    // Other terms are another statement.
    gateway.update(vec![budget(1, "a"), budget(2, "c"), budget(3, "b")], NOW_MS);
    assert!(gateway.has_new());
    assert_eq!(gateway.load(&scope, &store, NOW_MS).await.unwrap(), 0);
    assert_eq!(loaded(&gateway), [true, true, true]);
}

#[tokio::test]
async fn what_was_touched_is_kept_while_clickhouse_is_away() {
    let (store, scope) = (refusing().await, Scope::parse("acc", "gw").unwrap());
    let mut gateway = Gateway::default();
    gateway.update(vec![budget(1, "a")], NOW_MS);
    gateway.load(&scope, &store, NOW_MS).await.unwrap();
    gateway.touch(BTreeSet::from([NOW_MS]));
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let away = Store::new(Client::default().with_url(format!("http://{nobody}")));
    gateway.read(&scope, &away).await.unwrap_err();
    assert!(gateway.is_touched() && loaded(&gateway) == [true]);
}

#[tokio::test]
async fn a_budget_is_read_anew_when_the_clock_was_ahead_and_is_set_right() {
    const DAY_MS: i64 = 86_400_000;
    let (store, scope) = (refusing().await, Scope::parse("acc", "gw").unwrap());
    let mut gateway = Gateway::default();
    gateway.update(vec![budget(1, "a")], NOW_MS);
    gateway.load(&scope, &store, NOW_MS).await.unwrap();
    let look = |gateway: &mut Gateway, now_ms: i64| {
        gateway.budgets.values_mut().for_each(|watched| watched.move_on(now_ms));
        (loaded(gateway), gateway.has_new())
    };
    assert_eq!(look(&mut gateway, NOW_MS + 2 * DAY_MS), (vec![true], false));
    assert_eq!(look(&mut gateway, NOW_MS + 1_000), (vec![false], true));
    assert_eq!(gateway.load(&scope, &store, NOW_MS + 1_000).await.unwrap(), 0);
    assert_eq!(look(&mut gateway, NOW_MS + 2_000), (vec![true], false));
}

#[test]
fn a_budget_has_its_terms_since_they_were_written_whatever_it_is_called() {
    let mut gateway = Gateway::default();
    let since = |gateway: &Gateway| gateway.budgets.values().next().unwrap().since_ms;
    let mut agreed = Agreed { since_ms: 5, ..budget(1, "a") };
    gateway.update(vec![agreed.clone()], NOW_MS);
    agreed.budget.terms.name = "b".to_owned();
    agreed.since_ms = 7;
    gateway.update(vec![agreed.clone()], NOW_MS);
    assert_eq!(since(&gateway), 5);
    agreed.budget.terms.limit = "11".parse().unwrap();
    gateway.update(vec![agreed.clone()], NOW_MS);
    assert_eq!(since(&gateway), 7);
    gateway.update(vec![Agreed { since_ms: 9, ..budget(1, "b") }], NOW_MS);
    assert_eq!(since(&gateway), 9);
}
