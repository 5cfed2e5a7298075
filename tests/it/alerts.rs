//! The alerts in deploy/prometheus: Prometheus can load them, and what they look at is what the processes really tell.

use std::collections::BTreeMap;
use std::time::Duration;

use harness::traffic::{now_ms, record};
use harness::{Client, System, eventually, run_client};
use serde::Deserialize;

use crate::kafka::World;

const LIMIT: Duration = Duration::from_mins(1);
/// What is told only of topics.
const KAFKA: &str = "weir_ingest_kafka_";
/// Reads the alerts with a parser of `PromQL`.
const RULES: Client = Client::Python { folder: "prometheus", script: "prometheus/rules.py" };

/// A series that an alert looks at.
#[derive(Debug, PartialEq, Eq, Deserialize)]
struct Selector {
    /// For whoever reads a failure.
    alert: String,
    metric: String,
    /// With the value that each must have; `None` where it is a pattern.
    labels: BTreeMap<String, Option<String>>,
}

impl Selector {
    /// Whether a line of metrics is of this series.
    fn selects(&self, line: &str) -> bool {
        let labels = line.strip_prefix(self.metric.as_str());
        labels.is_some_and(|labels| {
            labels.starts_with([' ', '{']) && self.labels.iter().all(|label| has(labels, label))
        })
    }
}

fn has(labels: &str, (name, value): (&String, &Option<String>)) -> bool {
    let begins = [format!("{{{name}=\""), format!(",{name}=\"")];
    match value {
        Some(value) => begins.iter().any(|begin| labels.contains(&format!("{begin}{value}\""))),
        None => begins.iter().any(|begin| labels.contains(begin)),
    }
}

fn selectors() -> Vec<Selector> {
    let path = format!("{}/../deploy/prometheus/weir.rules.yml", env!("CARGO_MANIFEST_DIR"));
    let rules = std::fs::read_to_string(path).unwrap();
    let found = run_client(RULES, &rules);
    found.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Those of `selectors` that no process tells anything of.
async fn untold<'s>(system: &System, selectors: &[&'s Selector]) -> Vec<&'s Selector> {
    let weir = &system.weir;
    let mut told = String::new();
    for service in [&weir.ingest, &weir.aggregator, &weir.query_api] {
        told += &system.metrics_of(service).await;
    }
    selectors.iter().filter(|selector| !told.lines().any(|line| selector.selects(line))).copied().collect()
}

#[tokio::test]
async fn every_alert_looks_at_what_the_processes_tell() {
    let all = selectors();
    let selectors: Vec<_> = all.iter().filter(|selector| !selector.metric.starts_with(KAFKA)).collect();
    assert!(selectors.len() > 20);
    let system = System::start().await;
    let answer = system.push(&format!("{}\nbroken", record(1, now_ms()))).await.json();
    assert_eq!((&answer["stored"], &answer["dead_lettered"]), (&1.into(), &1.into()), "{answer}");
    system.get("/v1/live?account_id=acc&gateway_id=gw").await;
    // Some are told after a first look at what there is.
    eventually(LIMIT, Vec::new(), || untold(&system, &selectors)).await;

    let misspelt = |metric: &str, label: &str, value: &str| Selector {
        alert: "misspelt".to_owned(),
        metric: metric.to_owned(),
        labels: [(label.to_owned(), Some(value.to_owned()))].into(),
    };
    let wrong = [
        misspelt("weir_ingest_records", "result", "Received"),
        misspelt("weir_ingest_records_total", "results", "Received"),
        misspelt("weir_ingest_records_total", "result", "received"),
    ];
    assert_eq!(
        untold(&system, &wrong.each_ref()).await.len(),
        wrong.len(),
        "a test that finds everything finds nothing"
    );
}

#[tokio::test]
async fn kafka_alerts_look_at_what_a_member_tells() {
    let all = selectors();
    let selectors: Vec<_> = all.iter().filter(|selector| selector.metric.starts_with(KAFKA)).collect();
    assert!(selectors.len() > 3);
    let world = World::start(1).await;
    eventually(LIMIT, Vec::new(), || untold(&world.system, &selectors)).await;
}
