//! Deletes by filter through the API, and with plain statements.

use std::time::Instant;

use harness::{System, Volume};
use weir_event::Scope;
use weir_query_api::sql::{self, Annotated, Column, Direction, OrderBy};

use super::SIDES;
use super::case::ids;
use super::sides::Sides;
use super::times::Times;

/// Entries of one deletion: the most that it may take.
const ENTRIES: u32 = 10_000;
const TURNS: u64 = 10;

/// Each side deletes the oldest entries of a model, turn by turn. What is deleted is gone when either has answered.
pub(crate) async fn by_filter(sides: &Sides<'_>, system: &System) {
    let (mut api, mut sql) = (Times::default(), Times::default());
    let rows = || async { system.sql("SELECT count() FROM logs").await.parse::<u64>().unwrap() };
    let mut there = rows().await;
    for turn in 0..=TURNS {
        for (side, times) in [(Side::Sql, &mut sql), (Side::Api, &mut api)] {
            let begun = Instant::now();
            match side {
                Side::Api => with_the_api(sides).await,
                Side::Sql => with_statements(sides).await,
            }
            if turn > 0 {
                times.push(begun.elapsed());
            }
            let left = rows().await;
            assert_eq!(there - left, u64::from(ENTRIES));
            there = left;
        }
    }
    println!("1 client, delete {ENTRIES} of a model: {}", api.beside(SIDES, &sql));
}

#[derive(Clone, Copy)]
enum Side {
    Api,
    Sql,
}

async fn with_the_api(sides: &Sides<'_>) {
    const FILTERS: &str =
        "%5B%7B%22key%22%3A%22model%22%2C%22operator%22%3A%22eq%22%2C%22value%22%3A%5B%22gpt-4o%22%5D%7D%5D";
    let Scope { account_id, gateway_id } = Volume::big_gateway();
    sides
        .delete(&format!(
            "/client/v4/accounts/{account_id}/ai-gateway/gateways/{gateway_id}/logs?limit={ENTRIES}&filters={FILTERS}"
        ))
        .await;
}

/// What somebody would write who knows the tables: the ids, then the bodies and the rows of these.
async fn with_statements(sides: &Sides<'_>) {
    let scope = Volume::big_gateway();
    let filter = r#"model = "gpt-4o""#.parse().unwrap();
    let order = (OrderBy::Column(Column::CreatedAt), Direction::Ascending);
    let chosen = sql::chosen(&scope, &filter, Annotated::NONE, order, ENTRIES);
    let ids: Vec<_> = ids(&sides.rows(&chosen).await).map(|id| format!("'{id}'")).collect();
    let Scope { account_id, gateway_id } = &scope;
    for table in ["bodies", "logs"] {
        let tenant = format!("account_id = '{account_id}' AND gateway_id = '{gateway_id}'");
        sides.execute(format!("DELETE FROM {table} WHERE {tenant} AND id IN ({})", ids.join(","))).await;
    }
}
