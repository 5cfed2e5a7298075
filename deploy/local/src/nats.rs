//! A NATS server with JetStream.

use std::fs;
use std::net::SocketAddr;
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
pub struct Nats {
    /// The process.
    pub service: Service,
    /// `nats://127.0.0.1:PORT`.
    pub url: String,
    /// What a client has to show.
    pub token: String,
}

impl Nats {
    /// How long a start may take.
    pub const START_LIMIT: Duration = Duration::from_secs(20);

    /// Starts a server that keeps its streams under `data_dir` and lets in who shows `token` (letters and digits). An
    /// acknowledged message is on disk: every write is synced.
    pub async fn start(
        installation: &Installation,
        data_dir: &Path,
        token: &str,
    ) -> Result<Self, LocalError> {
        let executable = installation.nats_server()?;
        let address = free_address()?;
        fs::create_dir_all(data_dir).map_err(LocalError::file(data_dir))?;
        let config = data_dir.join("nats.conf");
        fs::write(&config, config_text(address, data_dir, token)).map_err(LocalError::file(&config))?;
        let program = Program::new("nats", executable, data_dir.join("nats.log"))
            .arg("--config")
            .arg(config)
            // What it says before clients are let in; JetStream is up by then.
            .ready_when(Probe::Greets(address, r#""jetstream":true"#));
        let service = Service::start(program, Self::START_LIMIT).await?;
        Ok(Self { service, url: format!("nats://{address}"), token: token.to_owned() })
    }
}

fn config_text(address: SocketAddr, data_dir: &Path, token: &str) -> String {
    let (store, pid) = (data_dir.join("jetstream"), data_dir.join("nats.pid"));
    format!(
        r#"server_name: "weir-local"
listen: "{address}"
pid_file: "{pid}"
max_payload: 8MB
jetstream {{
  store_dir: "{store}"
  sync_interval: always
  max_memory_store: 256MB
  max_file_store: 16GB
}}
authorization {{
  token: "{token}"
}}
"#,
        pid = pid.display(),
        store = store.display(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_syncs_every_write_and_has_no_http_port() {
        let text = config_text(([127, 0, 0, 1], 4222).into(), Path::new("/data"), "abc");
        assert!(text.contains("sync_interval: always\n"));
        assert!(text.contains("listen: \"127.0.0.1:4222\"\n"));
        assert!(text.contains("token: \"abc\"\n"));
        assert!(!text.contains("http"));
    }
}
