//! What can be configured: keys as data, and the names that derive from them.

/// The prefix of every variable that is ours.
pub(super) const ENV_PREFIX: &str = "WEIR_";

/// Variables with our prefix that are not keys: the file itself, and what the local tools use.
pub(super) const RESERVED_VARIABLES: &[&str] = &["WEIR_CONFIG", "WEIR_CACHE", "WEIR_CHDB_LIBRARY"];

/// The sections that every binary reads.
pub(super) const SHARED_SECTIONS: &[&str] = &["clickhouse", "nats", "log"];

/// The binaries that share one configuration file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binary {
    /// `ingest`, section `[ingest]`.
    Ingest,
    /// `aggregator`, section `[aggregator]`.
    Aggregator,
    /// `query-api`, section `[query_api]`.
    QueryApi,
}

/// One setting. Its variable and its flag derive from its name: `ingest.drain_timeout` is also
/// `WEIR_INGEST_DRAIN_TIMEOUT` and `--ingest-drain-timeout`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) default: Option<&'static str>,
    pub(super) secret: bool,
}

impl Binary {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Ingest, Self::Aggregator, Self::QueryApi];

    /// The name of the executable.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Aggregator => "aggregator",
            Self::QueryApi => "query-api",
        }
    }

    /// The name of its section.
    #[must_use]
    pub fn section(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Aggregator => "aggregator",
            Self::QueryApi => "query_api",
        }
    }

    /// Whether a section is that of one of the other binaries.
    pub(super) fn leaves_alone(self, section: &str) -> bool {
        Self::ALL.iter().any(|other| *other != self && other.section() == section)
    }

    /// Whether a variable is that of one of the other binaries.
    pub(super) fn leaves_variable_alone(self, variable: &str) -> bool {
        let rest = variable.strip_prefix(ENV_PREFIX).unwrap_or(variable);
        let owned_by = |binary: &Self| {
            let section = binary.section().to_ascii_uppercase();
            rest.strip_prefix(section.as_str()).is_some_and(|key| key.starts_with('_'))
        };
        Self::ALL.iter().any(|other| *other != self && owned_by(other))
    }
}

impl Key {
    /// A key without a default: `section.name` in snake case, and a lowercase help text without a full stop.
    #[must_use]
    pub const fn new(name: &'static str, help: &'static str) -> Self {
        Self { name, help, default: None, secret: false }
    }

    /// The same with a default, written as it would be in a variable.
    #[must_use]
    pub const fn default(self, default: &'static str) -> Self {
        Self { default: Some(default), ..self }
    }

    /// The same for a value that must not be seen: it is never shown, has no flag of its own (a command line can
    /// be read by every user of the machine), and may be given by the path of a file (`<name>_file`).
    #[must_use]
    pub const fn secret(self) -> Self {
        Self { secret: true, ..self }
    }

    /// The name of the key: `ingest.listen`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The variable that sets the key.
    #[must_use]
    pub fn variable(&self) -> String {
        variable_of(self.name)
    }

    /// The flag that sets the key, without its dashes.
    #[must_use]
    pub fn flag(&self) -> String {
        flag_of(self.name)
    }

    pub(super) fn section(&self) -> &'static str {
        self.name.split_once('.').map_or(self.name, |(section, _)| section)
    }

    /// The name under which the path of the secret's file is given.
    pub(super) fn file_name(&self) -> String {
        format!("{}_file", self.name)
    }
}

pub(super) fn variable_of(name: &str) -> String {
    format!("{ENV_PREFIX}{}", name.replace('.', "_").to_ascii_uppercase())
}

pub(super) fn flag_of(name: &str) -> String {
    name.replace(['.', '_'], "-")
}
