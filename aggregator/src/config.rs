//! What can be configured: section `[aggregator]`, and the sections that every binary reads.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use weir_service::config::{
    Binary, ClickHouseConfig, CommandLine, ConfigErrors, Key, LogConfig, NatsConfig, Reader, Reported,
};
use weir_service::telemetry::chain;

use crate::anomalies::AnomalyRules;
use crate::fold::{Limits, WindowLengths};
use crate::webhooks::Endpoints;

const ABOUT: &str = "keeps rolling statistics and rollups of usage";

const KEYS: &[Key] = &[
    Key::new("aggregator.ops_listen", "where probes and scrapes are answered").default("127.0.0.1:9092"),
    Key::new("aggregator.drain_timeout", "time between the soft and the hard stop").default("20s"),
    Key::new("aggregator.flush_interval", "how often changed rollups are written").default("1s"),
    Key::new("aggregator.usage_15m_interval", "how often changed quarters of an hour are written, at most")
        .default("1m"),
    Key::new("aggregator.ack_wait", "after which an unacknowledged message is delivered again")
        .default("30s"),
    Key::new(
        "aggregator.lease_timeout",
        "after which what an aggregator does that is gone is done by another one",
    )
    .default("5s"),
    Key::new("aggregator.windows", "the live windows, 1 to 8 of 1s to 24h each").default("60s,5m,1h,24h"),
    Key::new(
        "aggregator.keys_max",
        "what has live windows of its own by token, model, provider, user and channel, at most",
    )
    .default("100000"),
    Key::new("aggregator.ids_max", "event ids remembered against repetition, at most").default("1000000"),
    Key::new(
        WEBHOOKS_FILE,
        "TOML file of the webhooks that budgets may name: [name] with url, secret (whsec_ and base64) and accounts, whose budgets may name it ([\"*\"] for all); none if not set",
    ),
    AnomalyRules::KEYS[0],
    AnomalyRules::KEYS[1],
    AnomalyRules::KEYS[2],
    AnomalyRules::KEYS[3],
    AnomalyRules::KEYS[4],
    AnomalyRules::KEYS[5],
];

const WEBHOOKS_FILE: &str = "aggregator.webhooks_file";

/// The settings of this process.
#[derive(Clone, Debug)]
pub struct AggregatorConfig {
    /// Where probes and scrapes are answered.
    pub ops_listen: SocketAddr,
    /// Time between the soft and the hard stop.
    pub drain_timeout: Duration,
    /// How often changed rollups are written.
    pub flush_interval: Duration,
    /// How often changed quarters of an hour are written, at most.
    pub usage_15m_interval: Duration,
    /// After which an unacknowledged message is delivered again.
    pub ack_wait: Duration,
    /// After which a lease that is not renewed may be taken. The same for all aggregators.
    pub lease_timeout: Duration,
    /// How much the windows may keep.
    pub limits: Limits,
    /// What of an API token is unusual.
    pub anomalies: Option<AnomalyRules>,
    /// Where alerts may go.
    pub webhooks: Endpoints,
    /// Where `logs` and the rollups are.
    pub clickhouse: ClickHouseConfig,
    /// Where usage comes from.
    pub nats: NatsConfig,
    /// What to log.
    pub log: LogConfig,
}

/// The command line, without subcommands.
pub(crate) fn command_line() -> CommandLine {
    CommandLine::new(Binary::Aggregator, KEYS, ABOUT)
}

impl AggregatorConfig {
    /// The webhooks that nothing leads to: no account's budgets may, and what is unusual does not.
    pub fn webhooks_without_use(&self) -> impl Iterator<Item = &str> {
        let told = self.anomalies.as_ref().map_or(&[][..], AnomalyRules::webhooks);
        let useless = self
            .webhooks
            .iter()
            .filter(move |(name, endpoint)| endpoint.is_for_nobody() && !told.contains(name));
        useless.map(|(name, _)| name.as_str())
    }

    /// From the process's settings.
    pub(crate) fn from_reader(mut reader: Reader) -> Result<Self, ConfigErrors> {
        let ops_listen = reader.get("aggregator.ops_listen");
        let drain_timeout = reader.get("aggregator.drain_timeout");
        let flush_interval =
            reader.get_in("aggregator.flush_interval", Duration::from_millis(10)..=Duration::from_mins(1));
        let usage_15m_interval = reader
            .get_in("aggregator.usage_15m_interval", Duration::from_millis(10)..=Duration::from_hours(1));
        let ack_wait = reader.get("aggregator.ack_wait");
        let lease_timeout =
            reader.get_in("aggregator.lease_timeout", Duration::from_secs(1)..=Duration::from_mins(1));
        let windows = reader.get_list::<Duration>("aggregator.windows");
        let keys_max = reader.get_in("aggregator.keys_max", 1..=10_000_000);
        let ids_max = reader.get_in("aggregator.ids_max", 1..=100_000_000);
        let anomalies = AnomalyRules::read(&mut reader);
        let webhooks = read_webhooks(&mut reader);
        if let (Ok(Some(rules)), Ok(endpoints)) = (&anomalies, &webhooks) {
            rules.require_webhooks(endpoints, &mut reader);
        }
        let (clickhouse, nats, log) = (reader.clickhouse(), reader.nats(), reader.log());
        reader.finish(|reader| {
            let (ack_wait, flush_interval) = (ack_wait?, flush_interval?);
            let windows = WindowLengths::new(&windows?);
            let reason = windows.err().map(|error| error.to_string()).unwrap_or_default();
            reader.require(windows.is_ok(), "aggregator.windows", &reason)?;
            let in_time = ack_wait > flush_interval;
            reader.require(in_time, "aggregator.ack_wait", "is not longer than aggregator.flush_interval")?;
            Ok(Self {
                ops_listen: ops_listen?,
                drain_timeout: drain_timeout?,
                flush_interval,
                usage_15m_interval: usage_15m_interval?,
                ack_wait,
                lease_timeout: lease_timeout?,
                anomalies: anomalies?,
                webhooks: webhooks?,
                limits: Limits {
                    keys_max: keys_max?,
                    ids_max: ids_max?,
                    windows: windows.unwrap_or_default(),
                },
                clickhouse: clickhouse?,
                nats: nats?,
                log: log?,
            })
        })
    }
}

/// The file is read here, so that one that cannot be used is told with every other mistake.
fn read_webhooks(reader: &mut Reader) -> Result<Endpoints, Reported> {
    let Some(path) = reader.get_optional::<PathBuf>(WEBHOOKS_FILE)? else { return Ok(Endpoints::default()) };
    Endpoints::read(&path).map_err(|error| reader.reject(WEBHOOKS_FILE, chain(&error)))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    fn extract(args: &[&str]) -> Result<AggregatorConfig, ConfigErrors> {
        let args = std::iter::once("aggregator").chain(args.iter().copied()).map(OsString::from);
        let invocation = command_line().read(args, []).unwrap();
        AggregatorConfig::from_reader(invocation.reader)
    }

    #[test]
    fn the_defaults_are_a_configuration() {
        let config = extract(&[]).unwrap();
        assert_eq!(config.ops_listen.port(), 9_092);
        let windows = WindowLengths::default();
        assert_eq!(config.limits, Limits { keys_max: 100_000, ids_max: 1_000_000, windows });
    }

    /// What a file of webhooks says of one.
    fn entry(name: &str, accounts: &str) -> String {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        format!("[{name}]\nurl = \"https://a\"\nsecret = \"{secret}\"\n{accounts}\n")
    }

    #[test]
    fn what_is_unusual_leads_to_webhooks_that_there_are() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("webhooks.toml");
        std::fs::write(&path, [entry("ops", ""), entry("night", "")].concat()).unwrap();
        let file = ["--aggregator-webhooks-file", path.to_str().unwrap()];
        let named = |names: &'static str| ["--aggregator-anomaly-webhooks", names];
        let factor = ["--aggregator-anomaly-factor", "10"];
        assert!(extract(&[file, named("ops,night"), factor].concat()).is_ok());
        // Nobody is told of anything, so nobody is missing.
        assert!(extract(&named("opps")).is_ok());
        let wrong = ["--aggregator-flush-interval", "1ms"];
        let errors = extract(&[file, named("opps,ops,day"), factor, wrong].concat()).unwrap_err().to_string();
        for expected in
            ["\"opps\" is not in aggregator.webhooks_file, which has night, ops", "\"day\" is", "1ms"]
        {
            assert!(errors.contains(expected) && errors.contains("aggregator.anomaly_webhooks"), "{errors}");
        }
        let errors = extract(&[named("ops"), factor].concat()).unwrap_err().to_string();
        assert!(errors.contains("which has none"), "{errors}");
    }

    #[test]
    fn a_webhook_that_nothing_leads_to_is_known() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("webhooks.toml");
        let file = [entry("forgotten", ""), entry("ops", "accounts = [\"a\"]"), entry("oddities", "")];
        std::fs::write(&path, file.concat()).unwrap();
        let path = ["--aggregator-webhooks-file", path.to_str().unwrap()];
        let check = |args: &[&str], expected: &[&str]| {
            let config = extract(&[&path, args].concat()).unwrap();
            assert_eq!(config.webhooks_without_use().collect::<Vec<_>>(), expected, "{args:?}");
        };
        check(&[], &["forgotten", "oddities"]);
        let unusual = ["--aggregator-anomaly-factor", "10", "--aggregator-anomaly-webhooks", "oddities"];
        check(&unusual, &["forgotten"]);
    }

    #[test]
    fn windows_are_a_list_of_durations() {
        let config = extract(&["--aggregator-windows", "2h, 90s"]).unwrap();
        let expected = WindowLengths::new(&[Duration::from_secs(90), Duration::from_hours(2)]).unwrap();
        assert_eq!(config.limits.windows, expected);
        for (windows, expected) in [("25h", "24h in whole seconds"), ("", "1 to 8"), ("1m,60s", "one twice")]
        {
            let errors = extract(&["--aggregator-windows", windows]).unwrap_err().to_string();
            assert!(errors.contains("aggregator.windows") && errors.contains(expected), "{errors}");
        }
    }

    #[test]
    fn a_message_is_not_delivered_again_before_it_could_be_flushed() {
        let errors = extract(&["--aggregator-flush-interval", "30s"]).unwrap_err().to_string();
        assert!(errors.contains("is not longer than aggregator.flush_interval"), "{errors}");
    }

    #[test]
    fn every_mistake_is_reported_at_once() {
        let args =
            ["--aggregator-flush-interval", "1ms", "--aggregator-keys-max", "0", "--nats-url", "http://x"];
        let errors = extract(&args).unwrap_err().to_string();
        for expected in ["1ms is not between 10ms and 60s", "0 is not between", "nats.url"] {
            assert!(errors.contains(expected), "{expected}: {errors}");
        }
    }
}
