//! The names of the metrics of ingest, and what each of them counts.

use weir_service::metrics::MetricName;

#[derive(Clone, Copy, Debug)]
pub(super) enum IngestMetric {
    Pushes,
    Records,
    SealedRecords,
    WriteFailures,
    WriteSeconds,
    WriteEvents,
    RacesRepaired,
    RecordsInFlight,
    LedgerImbalance,
    RollupMinutesDiffering,
    RollupMinutesTold,
    UsageMessagesDropped,
    RedactedRecords,
    Redactions,
    SendersFileStale,
    DrainedRecords,
    DrainTroubles,
    SpoolMessages,
    SpoolBytes,
    SpoolBytesMax,
    SpoolRecords,
}

impl MetricName for IngestMetric {
    fn name(self) -> &'static str {
        match self {
            Self::Pushes => "ingest_pushes",
            Self::Records => "ingest_records",
            Self::SealedRecords => "ingest_sealed_records",
            Self::WriteFailures => "ingest_write_failures",
            Self::WriteSeconds => "ingest_write_seconds",
            Self::WriteEvents => "ingest_write_events",
            Self::RecordsInFlight => "ingest_records_in_flight",
            Self::LedgerImbalance => "ingest_ledger_imbalance",
            Self::RollupMinutesDiffering => "ingest_rollup_minutes_differing",
            Self::RollupMinutesTold => "ingest_rollup_minutes_told",
            Self::RacesRepaired => "ingest_races_repaired",
            Self::UsageMessagesDropped => "ingest_usage_messages_dropped",
            Self::RedactedRecords => "ingest_redacted_records",
            Self::Redactions => "ingest_redactions",
            Self::SendersFileStale => "ingest_senders_file_stale",
            Self::DrainedRecords => "ingest_drained_records",
            Self::DrainTroubles => "ingest_drain_troubles",
            Self::SpoolMessages => "ingest_spool_messages",
            Self::SpoolBytes => "ingest_spool_bytes",
            Self::SpoolBytesMax => "ingest_spool_bytes_max",
            Self::SpoolRecords => "ingest_spool_records",
        }
    }

    fn help(self) -> &'static str {
        match self {
            Self::Pushes => "pushes, by what became of them",
            Self::Records => "records, by source and what became of them",
            Self::SealedRecords => "stored or duplicate records with a field that could not be decrypted",
            Self::WriteFailures => {
                "writes to ClickHouse that failed; their senders were asked to come back, or their batches put away"
            }
            Self::WriteSeconds => "time from taking a group of batches to having it committed",
            Self::WriteEvents => "events in one write",
            Self::RecordsInFlight => "records that were read and whose way has not ended, by source",
            Self::LedgerImbalance => {
                "records by which the ledger of the last closed hours is off, by source: 0 when it balances"
            }
            Self::RollupMinutesDiffering => {
                "minutes and quarters of an hour of tenants whose rollup differs from their rows for longer than the aggregator may take"
            }
            Self::RollupMinutesTold => {
                "minutes that the aggregator was told of once more because a rollup that they are in differs from its rows"
            }
            Self::RacesRepaired => "rows taken out because another process had stored their event too",
            Self::UsageMessagesDropped => "usage messages that were not published, by reason",
            Self::RedactedRecords => {
                "records as they came in, by their gateway's policy for texts and the most it did"
            }
            Self::Redactions => "places in texts that were blanked, by rule and policy",
            Self::SendersFileStale => {
                "1 while the senders file cannot be used and the tokens from before count on"
            }
            Self::DrainedRecords => {
                "records that were committed from the spool, by source and what became of them"
            }
            Self::DrainTroubles => {
                "attempts to commit a message of the spool that stays there, by what is wrong with it"
            }
            Self::SpoolMessages => "messages in the spool; the same from every process",
            Self::SpoolBytes => "bytes of the spool, compressed; the same from every process",
            Self::SpoolBytesMax => "the most bytes that the spool may have, 0 for no spool",
            Self::SpoolRecords => "records in the spool, by source; the same from every process",
        }
    }
}
