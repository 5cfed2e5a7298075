//! Brings the tables up to date. Forward only; running it again, or twice at once, does no harm.

use clickhouse::{Client, Row};
use serde::{Deserialize, Serialize};
use weir_event::{Timestamp, TimestampError};
use weir_service::clock::Clock;
use weir_service::config::ClickHouseConfig;
use weir_store::migrations::{self, Migration, Topology};

/// Why the tables are not up to date.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// ClickHouse did not take a statement.
    #[error("{what}")]
    ClickHouse {
        /// What was to be done.
        what: String,
        /// What it said.
        #[source]
        source: clickhouse::error::Error,
    },
    /// The tables were made by another text than this program has.
    #[error(
        "migration {version} ({name}) was applied with another content: this is not the program that made the tables"
    )]
    Changed {
        /// Which.
        version: u32,
        /// Its name.
        name: String,
    },
    /// The tables are newer than this program.
    #[error("the tables are at version {found}, this program knows {known}: it is too old for them")]
    TooOld {
        /// The version of the tables.
        found: u32,
        /// The newest version that is known here.
        known: usize,
    },
    /// The machine's clock is outside the years that Weir works in.
    #[error("the clock")]
    Clock(#[from] TimestampError),
}

#[derive(Row, Serialize, Deserialize)]
struct AppliedRow {
    version: u32,
    name: String,
    checksum: String,
    applied_at: i64,
}

/// Applies what is missing; says how many migrations that was.
pub async fn migrate(
    config: &ClickHouseConfig,
    topology: &Topology,
    clock: &dyn Clock,
) -> Result<usize, MigrateError> {
    create_database(config).await?;
    let client =
        weir_store::client(config.url.as_str(), &config.database, &config.user, config.password.expose());
    run(&client, "create schema_migrations", &migrations::render(migrations::LEDGER, topology)).await?;
    let applied = applied(&client).await?;
    check(&applied)?;
    let missing = &migrations::ALL[applied.len()..];
    for migration in missing {
        apply(&client, migration, topology, Timestamp::from_millis(clock.now_ms())?).await?;
        tracing::info!(version = migration.version, name = migration.name, "migration applied");
    }
    Ok(missing.len())
}

/// The database may not be there yet, so the statement is sent to the one that always is.
async fn create_database(config: &ClickHouseConfig) -> Result<(), MigrateError> {
    let client = weir_store::client(config.url.as_str(), "default", &config.user, config.password.expose());
    client
        .query("CREATE DATABASE IF NOT EXISTS ?")
        .bind(clickhouse::sql::Identifier(&config.database))
        .execute()
        .await
        .map_err(|source| MigrateError::ClickHouse {
            what: format!("create database {}", config.database),
            source,
        })
}

async fn applied(client: &Client) -> Result<Vec<AppliedRow>, MigrateError> {
    const APPLIED: &str = "SELECT ?fields FROM schema_migrations FINAL ORDER BY version";
    client
        .query(APPLIED)
        .fetch_all()
        .await
        .map_err(|source| MigrateError::ClickHouse { what: "read schema_migrations".to_owned(), source })
}

fn check(applied: &[AppliedRow]) -> Result<(), MigrateError> {
    let known = migrations::ALL.len();
    if let Some(newest) = applied.last().filter(|row| row.version as usize > known) {
        return Err(MigrateError::TooOld { found: newest.version, known });
    }
    for (row, migration) in applied.iter().zip(migrations::ALL) {
        if row.version != migration.version || row.checksum != migration.checksum() {
            return Err(MigrateError::Changed { version: row.version, name: row.name.clone() });
        }
    }
    Ok(())
}

async fn apply(
    client: &Client,
    migration: &Migration,
    topology: &Topology,
    now: Timestamp,
) -> Result<(), MigrateError> {
    let what = format!("migration {} ({})", migration.version, migration.name);
    for statement in migration.statements(topology) {
        run(client, &what, &statement).await?;
    }
    let row = AppliedRow {
        version: migration.version,
        name: migration.name.to_owned(),
        checksum: migration.checksum(),
        applied_at: now.millis(),
    };
    let record = async {
        let mut insert = client.insert::<AppliedRow>("schema_migrations").await?;
        insert.write(&row).await?;
        insert.end().await
    };
    record.await.map_err(|source| MigrateError::ClickHouse { what, source })
}

async fn run(client: &Client, what: &str, statement: &str) -> Result<(), MigrateError> {
    // The statements are ours and have no placeholders: a raw query leaves their question marks alone.
    client
        .query_raw(statement)
        .execute()
        .await
        .map_err(|source| MigrateError::ClickHouse { what: what.to_owned(), source })
}
