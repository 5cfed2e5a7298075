//! A listener that speaks TLS and wants to know who comes, as the brokers of others do.

use std::fmt;
use std::path::{Path, PathBuf};

use super::run_to_success;
use crate::error::LocalError;
use crate::installation::Installation;
use crate::ports::free_address;
use crate::program::Program;

/// Keeps the key of a broker that lives for a test, on the machine of the test.
const KEYSTORE_PASSWORD: &str = "weir-local";

/// Someone whom the broker knows.
#[derive(Clone, PartialEq, Eq)]
pub struct KafkaUser {
    /// `sasl.username`.
    pub name: String,
    /// `sasl.password`; Kafka's storage tool wants it without a comma.
    pub password: String,
}

/// Where the broker takes connections over TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecuredListener {
    /// For `bootstrap.servers`: by name, as a certificate has one.
    pub brokers: String,
    /// The certificate that a client has to trust, in PEM.
    pub certificate: PathBuf,
    keystore: PathBuf,
}

impl KafkaUser {
    /// What the storage tool is told.
    pub(super) fn scram(&self) -> String {
        format!("SCRAM-SHA-512=[name={},password={}]", self.name, self.password)
    }
}

impl fmt::Debug for KafkaUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaUser").field("name", &self.name).finish_non_exhaustive()
    }
}

impl SecuredListener {
    /// Makes a key with a certificate for `localhost`, and picks a port.
    pub(super) async fn prepare(installation: &Installation, data_dir: &Path) -> Result<Self, LocalError> {
        let keytool = installation.keytool()?;
        let (keystore, certificate) = (data_dir.join("broker.p12"), data_dir.join("broker.pem"));
        let run = |name: &str, action: &[&str]| {
            Program::new(name, &keytool, data_dir.join("keytool.log"))
                .args(action)
                .args([
                    "-alias",
                    "broker",
                    "-storetype",
                    "PKCS12",
                    "-storepass",
                    KEYSTORE_PASSWORD,
                    "-keystore",
                ])
                .arg(&keystore)
        };
        let make = ["-genkeypair", "-keyalg", "RSA", "-keysize", "2048", "-validity", "3650"];
        let make = run("keytool", &make).args(["-dname", "CN=localhost", "-ext", "SAN=dns:localhost"]);
        run_to_success(make).await?;
        let export = run("keytool", &["-exportcert", "-rfc"]).arg("-file").arg(&certificate);
        run_to_success(export).await?;
        let brokers = format!("localhost:{}", free_address()?.port());
        Ok(Self { brokers, certificate, keystore })
    }

    pub(super) fn also_at(&self) -> String {
        format!(",SASL_SSL://{}", self.brokers)
    }

    pub(super) fn settings(&self) -> String {
        format!(
            "sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
ssl.keystore.type=PKCS12
ssl.keystore.location={keystore}
ssl.keystore.password={KEYSTORE_PASSWORD}
",
            keystore = self.keystore.display()
        )
    }
}
