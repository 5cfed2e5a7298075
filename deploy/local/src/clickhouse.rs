//! A ClickHouse server: this workspace's `clickhouse-embedded` over libchdb.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use crate::error::LocalError;
use crate::installation::Installation;
use crate::ports::free_address;
use crate::probe::Probe;
use crate::program::Program;
use crate::service::Service;

/// A running server.
#[derive(Debug)]
pub struct ClickHouse {
    /// The process.
    pub service: Service,
    /// `http://127.0.0.1:PORT`.
    pub url: String,
    /// Who to be.
    pub user: String,
    /// What to show.
    pub password: String,
}

impl ClickHouse {
    /// How long a start may take: a large data folder takes its time to load.
    pub const START_LIMIT: Duration = Duration::from_mins(1);

    /// The user that there is.
    const USER: &str = "weir";

    /// Starts a server on `data_dir` that lets in the user with `password`.
    pub async fn start(
        installation: &Installation,
        data_dir: &Path,
        password: &str,
    ) -> Result<Self, LocalError> {
        let url = format!("http://{}", free_address()?);
        Self::start_at(installation, data_dir, url, password, &[]).await
    }

    /// The same at this URL, with more arguments.
    pub async fn start_at(
        installation: &Installation,
        data_dir: &Path,
        url: String,
        password: &str,
        arguments: &[OsString],
    ) -> Result<Self, LocalError> {
        let executable = installation.binary("clickhouse-embedded")?;
        let library = installation.chdb_library()?;
        let listen = url.trim_start_matches("http://");
        let program = Program::new("clickhouse", executable, data_dir.join("clickhouse.log"))
            .arg("--library")
            .arg(library)
            .arg("--path")
            .arg(data_dir.join("data"))
            .args(["--listen", listen, "--user", Self::USER])
            .args(arguments)
            .env("CLICKHOUSE_PASSWORD", password)
            .ready_when(Probe::Http(format!("{url}/ping")));
        let service = Service::start(program, Self::START_LIMIT).await?;
        Ok(Self { service, url, user: Self::USER.to_owned(), password: password.to_owned() })
    }
}
