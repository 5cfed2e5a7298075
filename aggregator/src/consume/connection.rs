//! The connection to NATS: made once, kept for ever.

use std::time::Duration;

use async_nats::{Client, ConnectError, ConnectOptions, Event};
use tokio::sync::watch;
use weir_service::config::NatsConfig;
use weir_service::readiness::ReadinessCheck;

const RECONNECT_WAIT_MAX: Duration = Duration::from_secs(2);

/// A client that reconnects by itself.
#[derive(Debug)]
pub struct Connection {
    /// The client.
    pub client: Client,
    /// How many times it has connected; changes with every reconnect.
    pub connects: watch::Receiver<u64>,
}

/// Connects to the server, now or whenever it is there: only a configuration that cannot work is an error. `check`
/// follows the connection.
pub async fn connect(config: &NatsConfig, check: ReadinessCheck) -> Result<Connection, ConnectError> {
    let (tell, connects) = watch::channel(0_u64);
    check.fail("not connected");
    let options = ConnectOptions::new()
        .name("weir-aggregator")
        .retry_on_initial_connect()
        .max_reconnects(None)
        .reconnect_delay_callback(reconnect_wait)
        .event_callback(move |event| {
            follow(&event, &check, &tell);
            std::future::ready(())
        });
    let options = match &config.token {
        Some(token) => options.token(token.expose().to_owned()),
        None => options,
    };
    Ok(Connection { client: options.connect(config.url.as_str()).await?, connects })
}

fn follow(event: &Event, check: &ReadinessCheck, connects: &watch::Sender<u64>) {
    match event {
        Event::Connected => {
            tracing::info!("connected to nats");
            check.pass();
            connects.send_modify(|count| *count += 1);
        }
        Event::Disconnected | Event::Closed => {
            tracing::warn!("disconnected from nats");
            check.fail("not connected");
        }
        Event::LameDuckMode | Event::Draining => tracing::info!(%event, "nats is about to go away"),
        Event::SlowConsumer(_) | Event::ServerError(_) | Event::ClientError(_) => {
            tracing::warn!(%event, "nats has a complaint");
        }
    }
}

fn reconnect_wait(attempt: usize) -> Duration {
    let doublings = u32::try_from(attempt).unwrap_or(u32::MAX).min(10);
    Duration::from_millis(25).saturating_mul(1 << doublings).min(RECONNECT_WAIT_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reconnects_are_tried_quickly_at_first_and_then_every_two_seconds() {
        let check = |attempt, millis| assert_eq!(reconnect_wait(attempt), Duration::from_millis(millis));
        check(1, 50);
        check(2, 100);
        check(7, 2_000);
        check(usize::MAX, 2_000);
    }
}
