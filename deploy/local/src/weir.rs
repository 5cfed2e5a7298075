//! All of Weir on one machine: the two services that it needs and its three binaries.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use crate::clickhouse::ClickHouse;
use crate::error::LocalError;
use crate::installation::Installation;
use crate::nats::Nats;
use crate::ports::free_address;
use crate::probe::Probe;
use crate::program::Program;
use crate::secret::random_secret;
use crate::service::Service;

/// What the parts show each other, and what callers show to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secrets {
    /// The password of ClickHouse.
    pub clickhouse_password: String,
    /// The token of NATS.
    pub nats_token: String,
    /// Lets pushes in.
    pub ingest_token: String,
    /// Lets queries in.
    pub query_token: String,
}

/// Where callers reach Weir.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// `ingest`.
    pub ingest: SocketAddr,
    /// `query-api`.
    pub query_api: SocketAddr,
}

/// A running Weir. Dropping it kills every process of it.
#[derive(Debug)]
pub struct Weir {
    /// The store.
    pub clickhouse: ClickHouse,
    /// The bus.
    pub nats: Nats,
    /// Takes pushes.
    pub ingest: Service,
    /// Keeps statistics.
    pub aggregator: Service,
    /// Answers queries.
    pub query_api: Service,
    /// Where callers reach it.
    pub addresses: Addresses,
    /// What callers show.
    pub secrets: Secrets,
}

impl Secrets {
    /// New ones.
    pub fn generate() -> Result<Self, LocalError> {
        Ok(Self {
            clickhouse_password: random_secret()?,
            nats_token: random_secret()?,
            ingest_token: random_secret()?,
            query_token: random_secret()?,
        })
    }
}

impl Addresses {
    /// Free ones.
    pub fn free() -> Result<Self, LocalError> {
        Ok(Self { ingest: free_address()?, query_api: free_address()? })
    }
}

impl Weir {
    /// The database that holds the tables.
    pub const DATABASE: &str = "weir";

    /// How long a binary may take to be ready.
    pub const START_LIMIT: Duration = Duration::from_secs(30);
    /// How long a part may take to stop.
    pub const STOP_LIMIT: Duration = Duration::from_secs(30);

    /// Starts everything on `data_dir`: new on an empty folder, as it was on one from before. `ingest` gets the variables
    /// that `ingest_variables` gives as well; they may say something else than what it gets by itself.
    pub async fn start(
        installation: &Installation,
        data_dir: &Path,
        secrets: Secrets,
        addresses: Addresses,
        ingest_variables: impl FnOnce(&ClickHouse) -> Vec<(&'static str, String)>,
    ) -> Result<Self, LocalError> {
        let (clickhouse_dir, nats_dir) = (data_dir.join("clickhouse"), data_dir.join("nats"));
        let (clickhouse, nats) = tokio::join!(
            ClickHouse::start(installation, &clickhouse_dir, &secrets.clickhouse_password),
            Nats::start(installation, &nats_dir, &secrets.nats_token),
        );
        let (clickhouse, nats) = (clickhouse?, nats?);
        let parts = Parts { installation, data_dir, clickhouse: &clickhouse, nats: &nats };
        parts.migrate().await?;
        let variables = ingest_variables(&clickhouse);
        let ingest = parts.ingest("ingest", addresses.ingest, &secrets, variables)?;
        let query_api = parts
            .program("query-api", "WEIR_QUERY_API")?
            .env("WEIR_QUERY_API_LISTEN", addresses.query_api.to_string())
            .env("WEIR_QUERY_API_TOKENS", &secrets.query_token);
        let aggregator = parts.program("aggregator", "WEIR_AGGREGATOR")?;
        let (ingest, aggregator, query_api) = tokio::join!(
            Service::start(ingest, Self::START_LIMIT),
            Service::start(aggregator, Self::START_LIMIT),
            Service::start(query_api, Self::START_LIMIT),
        );
        let (ingest, aggregator, query_api) = (ingest?, aggregator?, query_api?);
        Ok(Self { clickhouse, nats, ingest, aggregator, query_api, addresses, secrets })
    }

    /// Starts one more `ingest` on the same services: it listens on `address`, logs under `name`, and gets `variables` as
    /// well. It is not one of [`Self::services`].
    pub async fn start_ingest(
        &self,
        installation: &Installation,
        (data_dir, name): (&Path, &str),
        address: SocketAddr,
        variables: Vec<(&'static str, String)>,
    ) -> Result<Service, LocalError> {
        let parts = Parts { installation, data_dir, clickhouse: &self.clickhouse, nats: &self.nats };
        let ingest = parts.ingest(name, address, &self.secrets, variables)?;
        Service::start(ingest, Self::START_LIMIT).await
    }

    /// Every process, in the order in which they stop: those that take work in first.
    #[must_use]
    pub fn services(&self) -> [&Service; 5] {
        [&self.ingest, &self.query_api, &self.aggregator, &self.nats.service, &self.clickhouse.service]
    }

    /// Stops everything, in order. Goes on past a part that does not stop as it should, and tells of the first.
    pub async fn stop(&self) -> Result<(), LocalError> {
        let mut result = Ok(());
        for service in self.services().into_iter().filter(|service| service.is_running()) {
            let stopped = service.stop(Self::STOP_LIMIT).await.map(|_| ());
            result = result.and(stopped);
        }
        result
    }
}

/// What the binaries are told of the rest.
struct Parts<'p> {
    installation: &'p Installation,
    data_dir: &'p Path,
    clickhouse: &'p ClickHouse,
    nats: &'p Nats,
}

impl Parts<'_> {
    /// An `ingest` that logs under `name`.
    fn ingest(
        &self,
        name: &str,
        address: SocketAddr,
        secrets: &Secrets,
        variables: Vec<(&'static str, String)>,
    ) -> Result<Program, LocalError> {
        let log = self.log(name);
        let ingest = self
            .program_logging_to("ingest", "WEIR_INGEST", log)?
            .env("WEIR_INGEST_LISTEN", address.to_string())
            .env("WEIR_INGEST_TOKENS", &secrets.ingest_token);
        Ok(variables.into_iter().fold(ingest, |ingest, (name, value)| ingest.env(name, value)))
    }

    /// A binary with its settings; `prefix` is how its own variables begin.
    fn program(&self, name: &'static str, prefix: &str) -> Result<Program, LocalError> {
        self.program_logging_to(name, prefix, self.log(name))
    }

    fn program_logging_to(
        &self,
        name: &'static str,
        prefix: &str,
        log: std::path::PathBuf,
    ) -> Result<Program, LocalError> {
        let ops = free_address()?;
        Ok(self
            .settings(Program::new(name, self.installation.binary(name)?, log))
            .env(format!("{prefix}_OPS_LISTEN"), ops.to_string())
            .ready_when(Probe::Http(format!("http://{ops}/readyz"))))
    }

    /// Brings the tables up to date.
    async fn migrate(&self) -> Result<(), LocalError> {
        let program = Program::new("migrate", self.installation.binary("ingest")?, self.log("migrate"));
        let service = Service::spawn(self.settings(program).arg("migrate"))?;
        let status = service.wait_until_ended(Weir::START_LIMIT).await?;
        if status.success() {
            return Ok(());
        }
        let (log, log_tail) = (service.log().to_owned(), service.log_tail());
        Err(LocalError::Ended { name: "migrate".to_owned(), status, log, log_tail })
    }

    fn settings(&self, program: Program) -> Program {
        program.reaching(self.clickhouse, self.nats)
    }

    fn log(&self, name: &str) -> std::path::PathBuf {
        self.data_dir.join("logs").join(format!("{name}.log"))
    }
}
