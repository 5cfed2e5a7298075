//! Apache Kafka: one real broker that is its own controller (`KRaft`).

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
}

impl Kafka {
    /// How long a start may take.
    pub const START_LIMIT: Duration = Duration::from_mins(1);

    /// Formats `data_dir` if it is new, and starts a broker on it.
    pub async fn start(installation: &Installation, data_dir: &Path) -> Result<Self, LocalError> {
        let jars = installation.kafka_libs()?.join("*");
        let java = installation.java()?;
        let (broker, controller) = (free_address()?, free_address()?);
        fs::create_dir_all(data_dir).map_err(LocalError::file(data_dir))?;
        let properties = data_dir.join("server.properties");
        let logging = data_dir.join("log4j2.xml");
        write(&properties, &properties_text(broker, controller, data_dir))?;
        write(&logging, LOGGING)?;
        let jvm = |name: &str| {
            Program::new(name, &java, data_dir.join("kafka.log"))
                .args(["-Xms128m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
                .arg(format!("-Dlog4j2.configurationFile={}", logging.display()))
                .arg("-cp")
                .arg(&jars)
        };
        let format = jvm("kafka format")
            .args(["kafka.tools.StorageTool", "format", "--ignore-formatted", "-t", CLUSTER_ID, "-c"])
            .arg(&properties);
        run_to_success(format).await?;
        let program = jvm("kafka").arg("kafka.Kafka").arg(properties).ready_when(Probe::Connects(broker));
        let service = Service::start(program, Self::START_LIMIT).await?;
        Ok(Self { service, brokers: broker.to_string() })
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

fn properties_text(broker: SocketAddr, controller: SocketAddr, data_dir: &Path) -> String {
    let log_dir = data_dir.join("topics");
    format!(
        "process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{controller}
listeners=PLAINTEXT://{broker},CONTROLLER://{controller}
advertised.listeners=PLAINTEXT://{broker}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
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
",
        log_dir = log_dir.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_broker_listens_on_loopback_only() {
        let (broker, controller) = (([127, 0, 0, 1], 1).into(), ([127, 0, 0, 1], 2).into());
        let text = properties_text(broker, controller, Path::new("/data"));
        let listeners = text.lines().filter(|line| line.starts_with("listeners="));
        assert_eq!(
            listeners.collect::<Vec<_>>(),
            ["listeners=PLAINTEXT://127.0.0.1:1,CONTROLLER://127.0.0.1:2"]
        );
        assert!(text.contains("log.dirs=/data/topics\n"));
    }
}
