//! The tables, as numbered statements. Forward-only and idempotent: each may run again without harm.
//!
//! One source renders for a single server and for a cluster, so the two cannot drift apart.

use sha2::{Digest, Sha256};

/// Every migration, in order.
pub const ALL: &[Migration] = &[
    Migration { version: 1, name: "foundation", source: include_str!("../migrations/0001_foundation.sql") },
    Migration {
        version: 2,
        name: "tokens_and_money",
        source: include_str!("../migrations/0002_tokens_and_money.sql"),
    },
    Migration { version: 3, name: "reprice", source: include_str!("../migrations/0003_reprice.sql") },
    Migration { version: 4, name: "delivery", source: include_str!("../migrations/0004_delivery.sql") },
    Migration { version: 5, name: "filter", source: include_str!("../migrations/0005_filter.sql") },
    Migration { version: 6, name: "annotations", source: include_str!("../migrations/0006_annotations.sql") },
    Migration { version: 7, name: "identity", source: include_str!("../migrations/0007_identity.sql") },
    Migration { version: 8, name: "deletion", source: include_str!("../migrations/0008_deletion.sql") },
    Migration { version: 9, name: "users", source: include_str!("../migrations/0009_users.sql") },
    Migration {
        version: 10,
        name: "new_api_rows",
        source: include_str!("../migrations/0010_new_api_rows.sql"),
    },
    Migration { version: 11, name: "usage_15m", source: include_str!("../migrations/0011_usage_15m.sql") },
    Migration { version: 12, name: "removal", source: include_str!("../migrations/0012_removal.sql") },
    Migration { version: 13, name: "used_quota", source: include_str!("../migrations/0013_used_quota.sql") },
    Migration { version: 14, name: "budgets", source: include_str!("../migrations/0014_budgets.sql") },
    Migration { version: 15, name: "bodies", source: include_str!("../migrations/0015_bodies.sql") },
    Migration {
        version: 16,
        name: "usage_15m_by_model",
        source: include_str!("../migrations/0016_usage_15m_by_model.sql"),
    },
];

/// The table that records what was applied. Created before anything else.
pub const LEDGER: &str = "CREATE TABLE IF NOT EXISTS schema_migrations ${ON_CLUSTER} (
    version UInt32,
    name String,
    checksum String,
    applied_at DateTime64(3, 'UTC')
)
ENGINE = ${REPLICATED}ReplacingMergeTree(applied_at)
ORDER BY version";

/// One step from a version of the schema to the next.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// Its number: 1, 2, 3, …
    pub version: u32,
    /// What it is about.
    pub name: &'static str,
    source: &'static str,
}

/// Where the tables are to live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Topology {
    /// One server.
    SingleServer,
    /// The servers of a cluster, with every table replicated. The servers define the macros `{shard}` and `{replica}`.
    Cluster(ClusterName),
}

/// The name of a cluster, safe to stand in a statement: 1 to 64 ASCII letters, digits, `-` and `_`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterName(String);

/// A text that cannot name a cluster.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a cluster name is 1 to 64 letters, digits, '-' and '_'")]
pub struct ClusterNameError;

impl Migration {
    /// SHA-256 of the source, hex: an applied migration whose source has changed since is an error.
    #[must_use]
    pub fn checksum(&self) -> String {
        hex::encode(Sha256::digest(self.source))
    }

    /// Its statements, to be run one after another.
    #[must_use]
    pub fn statements(&self, topology: &Topology) -> Vec<String> {
        let without_comments: Vec<_> =
            self.source.lines().filter(|line| !line.trim_start().starts_with("--")).collect();
        let text = without_comments.join("\n");
        // A statement ends with a semicolon at the end of a line; a test holds the sources to it.
        text.split(";\n")
            .map(str::trim)
            .filter(|statement| !statement.is_empty())
            .map(|statement| render(statement, topology))
            .collect()
    }
}

/// Fills in what differs between a single server and a cluster.
#[must_use]
pub fn render(statement: &str, topology: &Topology) -> String {
    let (on_cluster, replicated) = match topology {
        Topology::SingleServer => (String::new(), ""),
        Topology::Cluster(ClusterName(name)) => (format!("ON CLUSTER '{name}'"), "Replicated"),
    };
    statement
        .trim_end_matches([';', '\n'])
        .replace("${ON_CLUSTER}", &on_cluster)
        .replace("${REPLICATED}", replicated)
}

impl std::str::FromStr for ClusterName {
    type Err = ClusterNameError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if (1..=64).contains(&name.len()) && name.bytes().all(plain) {
            Ok(Self(name.to_owned()))
        } else {
            Err(ClusterNameError)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_numbered_without_gaps() {
        for (position, migration) in ALL.iter().enumerate() {
            assert_eq!(migration.version as usize, position + 1);
        }
    }

    #[test]
    fn both_renderings_are_complete() {
        let cluster = Topology::Cluster("main".parse().unwrap());
        for migration in ALL {
            let single = migration.statements(&Topology::SingleServer);
            let clustered = migration.statements(&cluster);
            assert_eq!(single.len(), clustered.len());
            for (single, clustered) in single.iter().zip(&clustered) {
                assert!(!single.contains("${") && !clustered.contains("${"), "{single}");
                assert!(!single.contains(';'), "statements are split at every semicolon: {single}");
                assert!(!single.contains("Replicated") && !single.contains("ON CLUSTER"), "{single}");
                assert!(clustered.contains("ON CLUSTER 'main'"), "{clustered}");
                let tables = |statement: &str| statement.matches("ENGINE = ").count();
                assert_eq!(clustered.matches("ENGINE = Replicated").count(), tables(single), "{clustered}");
            }
        }
        assert_eq!(ALL[0].statements(&cluster).len(), 4);
    }

    #[test]
    fn a_cluster_name_cannot_leave_its_quotes() {
        for bad in ["", "a'b", "a b", "a;b", &"x".repeat(65)] {
            assert_eq!(bad.parse::<ClusterName>(), Err(ClusterNameError), "{bad}");
        }
    }
}
