//! What Weir's binaries share: configuration, telemetry, lifecycle, health.
