//! Whether this process is ready, as metrics: what `/readyz` says, for who alerts on it. Read at each scrape.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::metrics::MetricName;
use crate::readiness::Readiness;

/// Reads a process's readiness.
#[derive(Debug)]
pub(crate) struct ReadinessCollector(pub(crate) Readiness);

#[derive(Clone, Copy, Debug)]
enum ReadinessMetric {
    Ready,
    CheckPassing,
}

impl MetricName for ReadinessMetric {
    fn name(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::CheckPassing => "check_passing",
        }
    }

    fn help(self) -> &'static str {
        match self {
            Self::Ready => "1 while the process is ready, as /readyz has it",
            Self::CheckPassing => "1 while a check of /readyz passes, by its name",
        }
    }
}

impl Collector for ReadinessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let report = self.0.report();
        let name = ReadinessMetric::Ready;
        let ready = encoder.encode_descriptor(name.name(), name.help(), None, MetricType::Gauge)?;
        ConstGauge::new(i64::from(report.ready)).encode(ready)?;
        let name = ReadinessMetric::CheckPassing;
        let mut checks = encoder.encode_descriptor(name.name(), name.help(), None, MetricType::Gauge)?;
        let passing = report.passing.iter().map(|check| (*check, 1_i64));
        for (check, value) in
            passing.chain(report.failing.keys().chain(report.degraded.keys()).map(|check| (*check, 0)))
        {
            ConstGauge::new(value).encode(checks.encode_family(&[("check", check)])?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::metrics::Metrics;

    #[test]
    fn each_check_and_the_whole_are_told_as_they_are_at_the_scrape() {
        let readiness = Readiness::new(CancellationToken::new());
        let (store, bus) = (readiness.register("clickhouse"), readiness.register("nats"));
        let spool = readiness.register_stand_in("spool", &["clickhouse"]);
        let mut metrics = Metrics::new("test", "0.0.0");
        metrics.registry_mut().register_collector(Box::new(ReadinessCollector(readiness)));
        let check = |expected: [&str; 4]| {
            let text = metrics.encode();
            for line in expected {
                assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
            }
        };
        bus.pass();
        check([
            "weir_ready 0",
            r#"weir_check_passing{check="clickhouse"} 0"#,
            r#"weir_check_passing{check="nats"} 1"#,
            r#"weir_check_passing{check="spool"} 0"#,
        ]);
        spool.pass();
        store.fail("connection refused");
        check([
            "weir_ready 1",
            r#"weir_check_passing{check="clickhouse"} 0"#,
            r#"weir_check_passing{check="nats"} 1"#,
            r#"weir_check_passing{check="spool"} 1"#,
        ]);
    }
}
