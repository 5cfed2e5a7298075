//! The metrics of this binary.

use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use warp::http::StatusCode;
use weir_service::metrics::{MetricName, Metrics};

/// What is counted. Clones count the same.
#[derive(Clone, Debug)]
pub struct QueryMetrics {
    requests: Family<RequestLabels, Counter>,
    durations: Family<RouteLabels, Histogram, fn() -> Histogram>,
    in_flight: Gauge,
    failures: Counter,
    summaries: Family<SummaryLabels, Counter>,
    streams: Family<StreamLabels, Gauge>,
    stream_ends: Family<StreamEndLabels, Counter>,
    tailed: Family<TailedLabels, Counter>,
}

/// What a stream of events is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum StreamKind {
    /// Log rows.
    Tail,
    /// Snapshots of the live windows.
    Live,
}

/// Why a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum StreamEnd {
    /// Its reader went away.
    Left,
    /// Its reader was too slow.
    Slow,
    /// It had lasted as long as it may.
    Time,
    /// Its caller is not known any more, or may no longer read this.
    Unauthorized,
    /// The process stops.
    Stopping,
}

/// What became of a row that a tail's filter lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
enum Tailed {
    Shown,
    Dropped,
}

/// Where the summary of a list was taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum SummaryFrom {
    /// From what was known: no row was read.
    Memory,
    /// From parts of the table that were not known, and from what was.
    Parts,
    /// From all rows that the filter lets through.
    Table,
}

/// Declares the routes, and a list of all.
macro_rules! routes {
    ($($(#[$meta:meta])* $route:ident,)+) => {
        /// The routes, as metrics and spans name them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
        pub enum Route { $($(#[$meta])* $route,)+ }

        impl Route {
            /// Every route, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$route,)+];
        }
    };
}

routes! {
    /// Cloudflare: list.
    CloudflareList,
    /// Cloudflare: get.
    CloudflareGet,
    /// Cloudflare: patch.
    CloudflarePatch,
    /// Cloudflare: delete by filter.
    CloudflareDelete,
    /// Cloudflare: request body.
    CloudflareRequest,
    /// Cloudflare: response body.
    CloudflareResponse,
    /// Weir: live windows.
    Live,
    /// Weir: live windows, again and again.
    LiveStream,
    /// Weir: the ledger.
    Ledger,
    /// Weir: the budgets of a gateway.
    BudgetList,
    /// Weir: make a budget.
    BudgetCreate,
    /// Weir: a budget, with what is used of it.
    BudgetGet,
    /// Weir: change a budget.
    BudgetChange,
    /// Weir: take a budget away.
    BudgetDelete,
    /// Weir: rows as they are committed.
    Tail,
    /// new-api: what it is.
    NewApiStatus,
    /// new-api: who its user is.
    NewApiUser,
    /// new-api: rows of everyone.
    NewApiList,
    /// new-api: statistics of everyone.
    NewApiStat,
    /// new-api: rows of everyone by a word.
    NewApiSearch,
    /// new-api: use of everyone by hour.
    NewApiHours,
    /// new-api: the caller's rows.
    NewApiOwnList,
    /// new-api: the caller's statistics.
    NewApiOwnStat,
    /// new-api: the caller's rows by a word.
    NewApiOwnSearch,
    /// new-api: the caller's use by hour.
    NewApiOwnHours,
    /// new-api: the rows of a relay key.
    NewApiKeyList,
    /// new-api: what a relay key was granted.
    NewApiSubscription,
    /// new-api: what it has used, as OpenAI tells it.
    NewApiBilling,
    /// new-api: what it was granted and has used.
    NewApiKeyUsage,
    /// new-api: remove what is too old, or see how far that is.
    NewApiDelete,
    /// The document of all that is served.
    OpenApi,
    /// No route of ours.
    Unmatched,
}

#[derive(Clone, Copy, Debug)]
enum QueryMetric {
    Requests,
    RequestSeconds,
    RequestsInFlight,
    Failures,
    Summaries,
    Streams,
    StreamEnds,
    TailedRows,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: Route,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    route: Route,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SummaryLabels {
    from: SummaryFrom,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StreamLabels {
    stream: StreamKind,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StreamEndLabels {
    stream: StreamKind,
    reason: StreamEnd,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TailedLabels {
    result: Tailed,
}

/// A request that is being answered. Dropped without an answer (its client went away), it is counted out only.
#[derive(Debug)]
pub struct InFlight<'a> {
    metrics: &'a QueryMetrics,
    route: Route,
}

/// 1 ms to 10 s.
const BUCKETS_S: [f64; 13] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

impl QueryMetrics {
    /// Registers them.
    #[must_use]
    pub fn register(metrics: &mut Metrics) -> Self {
        let durations = Family::new_with_constructor((|| Histogram::new(BUCKETS_S)) as fn() -> Histogram);
        Self {
            requests: metrics.register(QueryMetric::Requests, Family::default()),
            durations: metrics.register(QueryMetric::RequestSeconds, durations),
            in_flight: metrics.register(QueryMetric::RequestsInFlight, Gauge::default()),
            failures: metrics.register(QueryMetric::Failures, Counter::default()),
            summaries: metrics.register(QueryMetric::Summaries, Family::default()),
            streams: metrics.register(QueryMetric::Streams, Family::default()),
            stream_ends: metrics.register(QueryMetric::StreamEnds, Family::default()),
            tailed: metrics.register(QueryMetric::TailedRows, Family::default()),
        }
    }

    /// Counts a request that cannot be answered for no fault of its own.
    pub fn failed(&self) {
        self.failures.inc();
    }

    /// Counts the summary of a list.
    pub fn summed_up(&self, from: SummaryFrom) {
        self.summaries.get_or_create(&SummaryLabels { from }).inc();
    }

    /// Counts a stream in.
    pub fn stream_begins(&self, stream: StreamKind) {
        self.streams.get_or_create(&StreamLabels { stream }).inc();
    }

    /// Counts a stream out.
    pub fn stream_ends(&self, stream: StreamKind, reason: StreamEnd) {
        self.streams.get_or_create(&StreamLabels { stream }).dec();
        self.stream_ends.get_or_create(&StreamEndLabels { stream, reason }).inc();
    }

    /// Counts rows that tails were to be shown, once for each tail.
    pub fn tailed(&self, shown: u64, dropped: u64) {
        for (result, rows) in [(Tailed::Shown, shown), (Tailed::Dropped, dropped)] {
            if rows > 0 {
                self.tailed.get_or_create(&TailedLabels { result }).inc_by(rows);
            }
        }
    }

    /// Counts a request in.
    #[must_use]
    pub fn begin(&self, route: Route) -> InFlight<'_> {
        self.in_flight.inc();
        InFlight { metrics: self, route }
    }
}

impl StreamEnd {
    /// As its reader is told.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Slow => "slow",
            Self::Time => "time",
            Self::Unauthorized => "unauthorized",
            Self::Stopping => "stopping",
        }
    }
}

impl InFlight<'_> {
    /// Counts the answer.
    pub fn answered(self, status: StatusCode, elapsed: Duration) {
        let route = self.route;
        self.metrics.requests.get_or_create(&RequestLabels { route, status: status.as_u16() }).inc();
        self.metrics.durations.get_or_create(&RouteLabels { route }).observe(elapsed.as_secs_f64());
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.metrics.in_flight.dec();
    }
}

impl MetricName for QueryMetric {
    fn name(self) -> &'static str {
        match self {
            Self::Requests => "query_requests",
            Self::RequestSeconds => "query_request_seconds",
            Self::RequestsInFlight => "query_requests_in_flight",
            Self::Failures => "query_failures",
            Self::Summaries => "query_summaries",
            Self::Streams => "query_streams",
            Self::StreamEnds => "query_stream_ends",
            Self::TailedRows => "query_tailed_rows",
        }
    }

    fn help(self) -> &'static str {
        match self {
            Self::Requests => "answered requests, by route and status",
            Self::RequestSeconds => "time from the head of a request to its answer, by route",
            Self::RequestsInFlight => "requests that are being answered",
            Self::Failures => {
                "requests that could not be answered for no fault of their own, whatever status says so"
            }
            Self::Summaries => {
                "totals of lists, by what had to be read for them: nothing, new parts, the table"
            }
            Self::Streams => "streams of events that are open",
            Self::StreamEnds => "streams of events that have ended, by the reason",
            Self::TailedRows => {
                "rows for live tails, once for each that they concern: shown, or dropped for a slow reader"
            }
        }
    }
}
