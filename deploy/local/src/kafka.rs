//! Apache Kafka: one real broker that is its own controller (`KRaft`).

mod secured;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::LocalError;
use crate::installation::Installation;
use crate::ports::free_address;
use crate::probe::Probe;
use crate::program::Program;
use crate::service::Service;

pub use secured::{KafkaUser, SecuredListener};

/// Any id will do where there is one cluster; it has to be a UUID in Kafka's base64.
const CLUSTER_ID: &str = "V2VpckxvY2FsQ2x1c3Rlcg";

/// Says what a person must know, and no more.
const LOGGING: &str = include_str!("../kafka/log4j2.xml");

/// A running broker.
#[derive(Debug)]
pub struct Kafka {
    /// The process.
    pub service: Service,
    /// `127.0.0.1:PORT`, for `bootstrap.servers`.
    pub brokers: String,
    /// A second way in, for one user, where that was asked for.
    pub secured: Option<SecuredListener>,
}

impl Kafka {
    /// How long a start may take.
    pub const START_LIMIT: Duration = Duration::from_mins(1);

    /// Formats `data_dir` if it is new, and starts a broker on it.
    pub async fn start(installation: &Installation, data_dir: &Path) -> Result<Self, LocalError> {
        Self::start_on(installation, data_dir, None).await
    }

    /// The same, with a second listener that speaks TLS and wants to know who comes (`SASL_SSL`, SCRAM-SHA-512).
    pub async fn start_secured(
        installation: &Installation,
        data_dir: &Path,
        user: &KafkaUser,
    ) -> Result<Self, LocalError> {
        fs::create_dir_all(data_dir).map_err(LocalError::file(data_dir))?;
        let listener = SecuredListener::prepare(installation, data_dir).await?;
        Self::start_on(installation, data_dir, Some((listener, user))).await
    }

    async fn start_on(
        installation: &Installation,
        data_dir: &Path,
        secured: Option<(SecuredListener, &KafkaUser)>,
    ) -> Result<Self, LocalError> {
        let jars = installation.kafka_libs()?.join("*");
        let java = installation.java()?;
        let (broker, controller) = (free_address()?, free_address()?);
        fs::create_dir_all(data_dir).map_err(LocalError::file(data_dir))?;
        let properties = data_dir.join("server.properties");
        let logging = data_dir.join("log4j2.xml");
        let listener = secured.as_ref().map(|(listener, _)| listener);
        write(&properties, &properties_text(broker, controller, data_dir, listener))?;
        write(&logging, LOGGING)?;
        let jvm = |name: &str| {
            Program::new(name, &java, data_dir.join("kafka.log"))
                .args(["-Xms128m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
                .arg(format!("-Dlog4j2.configurationFile={}", logging.display()))
                .arg("-cp")
                .arg(&jars)
        };
        let mut format = jvm("kafka format")
            .args(["kafka.tools.StorageTool", "format", "--ignore-formatted", "-t", CLUSTER_ID, "-c"])
            .arg(&properties);
        if let Some((_, user)) = &secured {
            format = format.arg("--add-scram").arg(user.scram());
        }
        run_to_success(format).await?;
        let program = jvm("kafka").arg("kafka.Kafka").arg(properties).ready_when(Probe::Connects(broker));
        let service = Service::start(program, Self::START_LIMIT).await?;
        Ok(Self { service, brokers: broker.to_string(), secured: secured.map(|(listener, _)| listener) })
    }
}

async fn run_to_success(program: Program) -> Result<(), LocalError> {
    let service = Service::spawn(program)?;
    let status = service.wait_until_ended(Kafka::START_LIMIT).await?;
    if status.success() {
        return Ok(());
    }
    let (name, log, log_tail) = (service.name().to_owned(), service.log().to_owned(), service.log_tail());
    Err(LocalError::Ended { name, status, log, log_tail })
}

fn write(path: &PathBuf, text: &str) -> Result<(), LocalError> {
    fs::write(path, text).map_err(LocalError::file(path))
}

fn properties_text(
    broker: SocketAddr,
    controller: SocketAddr,
    data_dir: &Path,
    secured: Option<&SecuredListener>,
) -> String {
    let log_dir = data_dir.join("topics");
    let (also_at, settings) =
        secured.map_or_else(Default::default, |listener| (listener.also_at(), listener.settings()));
    format!(
        "process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{controller}
listeners=PLAINTEXT://{broker},CONTROLLER://{controller}{also_at}
advertised.listeners=PLAINTEXT://{broker}{also_at}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL
log.dirs={log_dir}
num.partitions=1
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=2000
{settings}",
        log_dir = log_dir.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_broker_listens_on_loopback_only() {
        let (broker, controller) = (([127, 0, 0, 1], 1).into(), ([127, 0, 0, 1], 2).into());
        let text = properties_text(broker, controller, Path::new("/data"), None);
        let listeners = text.lines().filter(|line| line.starts_with("listeners="));
        assert_eq!(
            listeners.collect::<Vec<_>>(),
            ["listeners=PLAINTEXT://127.0.0.1:1,CONTROLLER://127.0.0.1:2"]
        );
        assert!(text.contains("log.dirs=/data/topics\n"));
    }
}
