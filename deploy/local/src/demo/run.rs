//! The course of the demonstration.

use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;
use weir_service::clock::{Clock, SystemClock};

use super::api::{Api, Live};
use super::batch::{self, SampleBatch};
use super::check::{Totals, differences};
use super::{report, secrets};
use crate::installation::Installation;
use crate::ports::free_address;
use crate::weir::{Addresses, Weir};

/// Ports that a reader of the README expects. If one is taken, another is used and shown.
const INGEST_PORT: u16 = 8787;
const QUERY_API_PORT: u16 = 8788;

/// How long the windows may take to show a push.
const LIVE_LIMIT: Duration = Duration::from_secs(15);
const LIVE_POLL: Duration = Duration::from_millis(100);

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Where everything is kept.
    pub data_dir: PathBuf,
    /// Whether to stop when everything was shown; else at Ctrl-C.
    pub once: bool,
}

/// Starts Weir, pushes the sample batch, shows what came out, and stops. Gives the figures that were wrong: none, if
/// all is well.
pub async fn run(options: &Options, out: &mut impl Write) -> anyhow::Result<Vec<String>> {
    let data_dir = &options.data_dir;
    fs::create_dir_all(data_dir).with_context(|| format!("cannot make {}", data_dir.display()))?;
    let data_dir = fs::canonicalize(data_dir)?;
    let weir = start(&data_dir, out).await?;
    let mut interrupts = signal(SignalKind::interrupt())?;
    let mut terminations = signal(SignalKind::terminate())?;
    let shown = show(&weir, &data_dir, out).await;
    if shown.is_ok() && !options.once {
        writeln!(out, "Weir is running. Ctrl-C stops it; the data stays in {}.", data_dir.display())?;
        tokio::select! {
            _ = interrupts.recv() => {}
            _ = terminations.recv() => {}
        }
        writeln!(out)?;
    }
    step(out, "stopping")?;
    weir.stop().await?;
    shown
}

async fn start(data_dir: &Path, out: &mut impl Write) -> anyhow::Result<Weir> {
    step(
        out,
        &format!(
            "starting ClickHouse (embedded), NATS, ingest, aggregator, query-api in {}",
            data_dir.display()
        ),
    )?;
    let begun = Instant::now();
    let addresses =
        Addresses { ingest: address_near(INGEST_PORT)?, query_api: address_near(QUERY_API_PORT)? };
    let (installation, secrets) = (Installation::detect()?, secrets::of(data_dir)?);
    let weir = Weir::start(&installation, data_dir, secrets, addresses, |_| Vec::new()).await?;
    step(
        out,
        &format!(
            "up after {:.1} s; the logs are in {}",
            begun.elapsed().as_secs_f32(),
            data_dir.join("logs").display()
        ),
    )?;
    Ok(weir)
}

/// Pushes, reads back, prints, and compares.
async fn show(weir: &Weir, data_dir: &Path, out: &mut impl Write) -> anyhow::Result<Vec<String>> {
    let api = Api::new(weir)?;
    let (before, _) = api.totals().await?;
    let live_before = complete_live(&api).await?.totals()?;
    let batch = batch::build(SystemClock.now_ms())?;
    let file = data_dir.join("sample.ndjson.gz");
    fs::write(&file, &batch.gzip).with_context(|| format!("cannot write {}", file.display()))?;

    step(out, &format!("pushing {} records, gzipped, as Logpush does", batch.records))?;
    let tally = api.push(batch.gzip.clone()).await?;
    writeln!(out, "  {}", report::tally(&tally))?;
    ensure!(tally.received == batch.records, "not every record of the batch was received");
    step(out, "pushing the same batch again")?;
    let again = api.push(batch.gzip.clone()).await?;
    writeln!(out, "  {}", report::tally(&again))?;

    let expected_live = batch.expected.live_after(&live_before);
    let (live, live_totals) = live_until(&api, &expected_live).await?;
    let (totals, providers) = api.totals().await?;
    writeln!(out, "\nWhat came out, through the query API:\n\n{}", report::models(&totals, &providers))?;
    writeln!(out, "The rolling windows:\n\n{}", report::windows(&live)?)?;

    let mut wrong = differences("total", &totals, &batch.expected.after(&before));
    wrong.extend(differences("24 h window", &live_totals, &expected_live));
    wrong.extend(batch.expected.wrong_providers(&providers));
    if again.stored != 0 || again.duplicates != batch.records {
        wrong.push(format!("the second push must add nothing: {}", report::tally(&again)));
    }
    if tally.dead_lettered + tally.ignored != 0 {
        wrong.push(format!("the first push must take every record: {}", report::tally(&tally)));
    }
    curl_lines(&api, weir, &file, out)?;
    verdict(&batch, &totals, &wrong, out)?;
    Ok(wrong)
}

/// The windows, once they claim to be complete.
async fn complete_live(api: &Api<'_>) -> anyhow::Result<Live> {
    let begun = Instant::now();
    loop {
        match api.live().await {
            Ok(live) if live.complete => return Ok(live),
            Err(error) if begun.elapsed() > LIVE_LIMIT => return Err(error),
            Ok(_) => ensure!(begun.elapsed() < LIVE_LIMIT, "the rolling windows are not complete"),
            Err(_) => {}
        }
        sleep(LIVE_POLL).await;
    }
}

/// The windows once they show what they must, or as they are when the time is up.
async fn live_until(api: &Api<'_>, expected: &Totals) -> anyhow::Result<(Live, Totals)> {
    let begun = Instant::now();
    loop {
        let live = complete_live(api).await?;
        let totals = live.totals()?;
        if differences("", &totals, expected).is_empty() || begun.elapsed() > LIVE_LIMIT {
            return Ok((live, totals));
        }
        sleep(LIVE_POLL).await;
    }
}

fn curl_lines(api: &Api<'_>, weir: &Weir, file: &Path, out: &mut impl Write) -> anyhow::Result<()> {
    let (ingest, query) = (&weir.secrets.ingest_token, &weir.secrets.query_token);
    writeln!(out, "To try it yourself:\n")?;
    writeln!(out, "  curl -H 'Authorization: Bearer {query}' '{}?per_page=5'", api.logs_url())?;
    writeln!(out, "  curl -H 'Authorization: Bearer {query}' '{}'", api.live_url())?;
    writeln!(
        out,
        "  curl -H 'Authorization: Bearer {ingest}' -H 'Content-Encoding: gzip' --data-binary @{} '{}'",
        file.display(),
        api.push_url()
    )?;
    writeln!(
        out,
        "  curl --user '{}:{}' '{}/?database={}' -d 'SELECT model, count(), sum(cost) FROM logs GROUP BY model FORMAT Pretty'\n",
        weir.clickhouse.user,
        weir.clickhouse.password,
        weir.clickhouse.url,
        Weir::DATABASE
    )?;
    Ok(())
}

fn verdict(
    batch: &SampleBatch,
    totals: &Totals,
    wrong: &[String],
    out: &mut impl Write,
) -> anyhow::Result<()> {
    if wrong.is_empty() {
        let sum = report::sum(totals);
        let seed = &batch.expected.seed_model;
        let cost = totals.get(seed).map(|totals| totals.cost).unwrap_or_default();
        writeln!(out, "Checked: {seed} cost {cost} USD, all models {sum} USD, nothing counted twice.\n")?;
    }
    for line in wrong {
        writeln!(out, "WRONG: {line}")?;
    }
    Ok(())
}

/// The loopback address with this port, or with a free one where it is taken.
fn address_near(port: u16) -> anyhow::Result<SocketAddr> {
    let wanted = SocketAddr::from(([127, 0, 0, 1], port));
    Ok(if TcpListener::bind(wanted).is_ok() { wanted } else { free_address()? })
}

fn step(out: &mut impl Write, what: &str) -> anyhow::Result<()> {
    writeln!(out, "==> {what}")?;
    Ok(out.flush()?)
}
