//! The process's metrics: one registry, every name beginning with `weir_`.
//!
//! Names are an enum, so that a binary's metrics can be read in one place and none is spelled twice. A binary
//! does as [`ops`](crate::ops) does:
//!
//! ```
//! use prometheus_client::metrics::counter::Counter;
//! use weir_service::metrics::{MetricName, Metrics};
//!
//! #[derive(Clone, Copy)]
//! enum IngestMetric {
//!     EventsReceived,
//! }
//!
//! impl MetricName for IngestMetric {
//!     fn name(self) -> &'static str {
//!         match self {
//!             Self::EventsReceived => "ingest_events_received",
//!         }
//!     }
//!
//!     fn help(self) -> &'static str {
//!         match self {
//!             Self::EventsReceived => "events taken from a source, before anything else happens to them",
//!         }
//!     }
//! }
//!
//! let mut metrics = Metrics::new("ingest", "0.1.0");
//! let received: Counter = metrics.register(IngestMetric::EventsReceived, Counter::default());
//! received.inc();
//! assert!(metrics.encode().contains("weir_ingest_events_received_total 1"));
//! ```

use prometheus_client::encoding::text;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry};

use crate::process_metrics::ProcessCollector;

/// The content type of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A name that a metric may have. Implemented by one enum per part.
pub trait MetricName: Copy {
    /// In snake case, without the `weir_` prefix, with its unit last, and without the `_total` that a counter
    /// gets when it is written out.
    fn name(self) -> &'static str;

    /// One lowercase sentence without a full stop: what is counted, and when.
    fn help(self) -> &'static str;
}

/// The registry of one process. Build it, register everything, then hand it to the ops listener.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
}

impl Metrics {
    /// A registry that holds `weir_build_info{binary=..,version=..}`.
    #[must_use]
    pub fn new(binary: &'static str, version: &'static str) -> Self {
        let mut registry = Registry::with_prefix("weir");
        let labels = vec![("binary", binary), ("version", version)];
        registry.register("build", "what runs here", Info::new(labels));
        registry.register_collector(Box::new(ProcessCollector));
        Self { registry }
    }

    /// Registers `metric` and gives back a handle to it: prometheus-client's metrics are shared by cloning.
    pub fn register<M: Metric + Clone>(&mut self, name: impl MetricName, metric: M) -> M {
        self.registry.register(name.name(), name.help(), metric.clone());
        metric
    }

    /// The registry itself, for what [`Metrics::register`] has no way to say (collectors, labels).
    pub fn registry_mut(&mut self) -> &mut Registry {
        &mut self.registry
    }

    /// Everything, as `OpenMetrics` text.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut out = String::new();
        // Writing to a String fails only when a metric's own encoder does; the rest is still worth having.
        if text::encode(&mut out, &self.registry).is_err() {
            tracing::error!("a metric could not be encoded");
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_registry_says_what_runs_here() {
        let text = Metrics::new("ingest", "1.2.3").encode();
        assert!(text.contains(r#"weir_build_info{binary="ingest",version="1.2.3"} 1"#), "{text}");
        assert!(text.ends_with("# EOF\n"));
    }
}
