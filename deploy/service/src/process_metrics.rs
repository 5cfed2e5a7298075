//! What the process itself uses: memory, processor time, threads, open files. Read from `/proc` at each scrape.
//!
//! Where there is no `/proc` (macOS) these metrics are absent, which is not the same as zero.

use std::fmt;
use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::metrics::MetricName;

/// The unit in which Linux tells programs about processor time, on every platform (`USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;

/// Reads this process's entry in `/proc`.
#[derive(Debug)]
pub(crate) struct ProcessCollector;

#[derive(Clone, Copy, Debug)]
enum ProcessMetric {
    ResidentMemory,
    ResidentMemoryPeak,
    Threads,
    OpenFiles,
    ProcessorTime,
}

impl MetricName for ProcessMetric {
    fn name(self) -> &'static str {
        match self {
            Self::ResidentMemory => "process_resident_memory_bytes",
            Self::ResidentMemoryPeak => "process_resident_memory_peak_bytes",
            Self::Threads => "process_threads",
            Self::OpenFiles => "process_open_files",
            Self::ProcessorTime => "process_cpu_seconds",
        }
    }

    fn help(self) -> &'static str {
        match self {
            Self::ResidentMemory => "memory that is in use now",
            Self::ResidentMemoryPeak => "the most memory that was ever in use",
            Self::Threads => "threads",
            Self::OpenFiles => "open files and sockets",
            Self::ProcessorTime => "processor time that was used, in user and system mode together",
        }
    }
}

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        if let Ok(status) = fs::read_to_string("/proc/self/status") {
            let kibibytes = |name| Some(status_field(&status, name)?.saturating_mul(1024));
            encode_gauge(&mut encoder, ProcessMetric::ResidentMemory, kibibytes("VmRSS"))?;
            encode_gauge(&mut encoder, ProcessMetric::ResidentMemoryPeak, kibibytes("VmHWM"))?;
            encode_gauge(&mut encoder, ProcessMetric::Threads, status_field(&status, "Threads"))?;
        }
        let files = fs::read_dir("/proc/self/fd").ok().and_then(|files| i64::try_from(files.count()).ok());
        encode_gauge(&mut encoder, ProcessMetric::OpenFiles, files)?;
        let stat = fs::read_to_string("/proc/self/stat").ok();
        if let Some(seconds) = stat.as_deref().and_then(processor_seconds) {
            let counter = ConstCounter::new(seconds);
            encode_one(&mut encoder, ProcessMetric::ProcessorTime, &counter)?;
        }
        Ok(())
    }
}

fn encode_gauge(
    encoder: &mut DescriptorEncoder<'_>,
    name: ProcessMetric,
    value: Option<i64>,
) -> Result<(), fmt::Error> {
    value.map_or(Ok(()), |value| encode_one(encoder, name, &ConstGauge::new(value)))
}

fn encode_one(
    encoder: &mut DescriptorEncoder<'_>,
    name: ProcessMetric,
    metric: &impl EncodeMetric,
) -> Result<(), fmt::Error> {
    let encoder = encoder.encode_descriptor(name.name(), name.help(), None, metric.metric_type())?;
    metric.encode(encoder)
}

/// The number after `name:` in `/proc/self/status`.
fn status_field(status: &str, name: &str) -> Option<i64> {
    let rest = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// Fields 14 and 15 of `/proc/self/stat`, counted after the name of the program, which can hold anything.
fn processor_seconds(stat: &str) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ').skip(11);
    let mut ticks = || fields.next()?.parse::<u32>().ok();
    Some((f64::from(ticks()?) + f64::from(ticks()?)) / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use crate::metrics::Metrics;

    use super::*;

    #[test]
    fn fields_are_found_whatever_the_program_is_called() {
        let status = "Name:\tx\nVmHWM:\t  2048 kB\nVmRSS:\t  1024 kB\nThreads:\t3\n";
        assert_eq!(status_field(status, "VmRSS"), Some(1024));
        assert_eq!(status_field(status, "Threads"), Some(3));
        assert_eq!(status_field(status, "Vm"), None);
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194560 100 0 0 0 150 50 0 0 20 0 1 0 1 1 1";
        assert!(processor_seconds(stat).is_some_and(|seconds| (seconds - 2.0).abs() < 1e-9));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn every_process_tells_what_it_uses() {
        let text = Metrics::new("test", "0.0.0").encode();
        for name in [
            "weir_process_resident_memory_bytes",
            "weir_process_resident_memory_peak_bytes",
            "weir_process_threads",
            "weir_process_open_files",
            "weir_process_cpu_seconds_total",
        ] {
            let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            assert!(value.is_some_and(|value| value.parse::<f64>().is_ok()), "{name} in {text}");
        }
    }
}
