//! Weir's tables without Weir: for tests that write rows by hand.

use std::process::{Command, Output};

use clickhouse::Client;
use weir_local::{ClickHouse, Installation, Nats, Weir, service_variables, without_ours};
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

/// Runs `aggregator` with these arguments to its end: `verify` or `rebuild`. Gives the exit code and what it wrote.
pub async fn run_audit(clickhouse: &ClickHouse, nats: &Nats, args: &[&str]) -> (i32, String) {
    let mut command = Command::new(Installation::detect().unwrap().binary("aggregator").unwrap());
    without_ours(&mut command).args(args).envs(service_variables(clickhouse, nats));
    let Output { status, stdout, stderr } =
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = [stdout, stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    (status.code().unwrap(), text)
}
