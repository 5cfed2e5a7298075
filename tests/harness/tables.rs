//! Weir's tables without Weir: for tests that write rows by hand.

use clickhouse::Client;
use weir_local::{ClickHouse, Weir};
use weir_store::migrations::{self, Topology};

/// Creates the tables in an empty server, and gives a client of them.
pub async fn create_tables(clickhouse: &ClickHouse) -> Client {
    let client =
        |database| weir_store::client(&clickhouse.url, database, &clickhouse.user, &clickhouse.password);
    let create = format!("CREATE DATABASE {}", Weir::DATABASE);
    client("default").query_raw(&create).execute().await.unwrap();
    let client = client(Weir::DATABASE);
    for migration in migrations::ALL {
        for statement in migration.statements(&Topology::SingleServer) {
            client.query_raw(&statement).execute().await.unwrap();
        }
    }
    client
}
