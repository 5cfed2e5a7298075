//! Runs a request's statement, as a task of its own: it comes to its end, and its seat back, whatever the client does.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::plan::{Plan, plan};
use super::request::QueryRequest;
use super::spool::Spool;
use super::stream::{self, Reply};
use crate::codec::{self, Encoder};
use crate::engine::{Host, Lease, Order, Outcome, Permit, Statistics};
use crate::exception::Exception;

/// A request on its way.
pub(super) struct Job {
    pub(super) host: Arc<Host>,
    pub(super) request: QueryRequest,
    /// The tag that marks an exception in the body.
    pub(super) tag: String,
}

impl Job {
    /// An encoder for a result in this format.
    pub(super) fn encoder(&self, format: Option<&str>) -> Encoder {
        let encoder = Encoder::new(self.request.encoding, self.request.zlib_level);
        match self.request.native_revision {
            revision if revision > 0 && format.is_some_and(|name| name.eq_ignore_ascii_case("native")) => {
                encoder.with_native_revision(revision)
            }
            _ => encoder,
        }
    }
}

/// What the client gets.
pub(super) struct Answer {
    /// The result's format; an insert has none.
    pub(super) format: Option<String>,
    pub(super) content: Content,
    /// Known only if the statement ended before the answer began.
    pub(super) statistics: Option<Statistics>,
}

/// The body of an answer.
pub(super) enum Content {
    /// All of it, encoded.
    Whole(Bytes),
    /// Its encoded beginning, and the rest in a file, still to be encoded.
    Kept { head: Bytes, file: tokio::fs::File, encoder: Box<Encoder> },
    /// As it comes, encoded. An error breaks the connection.
    Stream(mpsc::Receiver<io::Result<Bytes>>),
}

/// Plans and runs. The reply is dropped unsent only if a thread of ours failed.
pub(super) async fn answer(job: Job, body: Spool, permit: Permit, reply: Reply) {
    let planned = spawn_blocking(move || {
        let mut job = job;
        let planned = prepare(&mut job, body, permit);
        (job, planned)
    });
    let Ok((job, planned)) = planned.await else {
        return;
    };
    let (lease, plan) = match planned {
        Ok(planned) => planned,
        Err(exception) => {
            drop(reply.send(Err(exception)));
            return;
        }
    };
    match plan {
        Plan::Read(_) if reply.is_closed() => end(&job.host, lease).await,
        Plan::Read(read) => stream::read(job, read, lease, reply).await,
        other => {
            let done = spawn_blocking(move || {
                let (lease, answer) = run(&job, other, lease);
                if lease.is_session() {
                    lease.end(&job.host);
                    drop(reply.send(answer));
                } else {
                    drop(reply.send(answer));
                    lease.end(&job.host);
                }
            });
            if let Err(error) = done.await {
                tracing::error!(%error, "a statement's thread failed");
            }
        }
    }
}

/// Gives a lease back, off the async threads. In a session that comes before the answer: the client's next request
/// must find the session unlocked. Otherwise the answer comes first, and the client does not wait.
pub(super) async fn end(host: &Arc<Host>, lease: Lease) {
    let host = Arc::clone(host);
    if let Err(error) = spawn_blocking(move || lease.end(&host)).await {
        tracing::error!(%error, "a connection could not be given back");
    }
}

fn prepare(job: &mut Job, body: Spool, permit: Permit) -> Result<(Lease, Plan), Exception> {
    let environment = std::mem::take(&mut job.request.environment);
    let order = Order { permit, session: job.request.session.take(), environment };
    let mut lease = Lease::take(&job.host, order)?;
    match plan(&job.request, body.into_reader(), job.host.facts(), &mut lease) {
        Ok(plan) => Ok((lease, plan)),
        Err(exception) => {
            lease.end(&job.host);
            Err(exception)
        }
    }
}

/// Runs what has no result to stream.
fn run(job: &Job, plan: Plan, mut lease: Lease) -> (Lease, Result<Answer, Exception>) {
    let parameters = &job.request.parameters;
    let (format, result) = match plan {
        Plan::Insert { head, mut data } => {
            (None, lease.insert(&head.statement, &head.format, parameters, data.as_mut()))
        }
        Plan::Whole { sql, format } => {
            let result = lease.query(&sql, &format, parameters);
            (Some(format), result)
        }
        // Handled by the caller; it runs on the runtime.
        Plan::Read(_) => (None, Err(Exception::from_engine("a reading statement came the wrong way"))),
    };
    (lease, result.and_then(|outcome| small(job, format, outcome)))
}

/// The answer with a result that is all there.
fn small(job: &Job, format: Option<String>, outcome: Outcome) -> Result<Answer, Exception> {
    let mut encoder = job.encoder(format.as_deref());
    let packed = encoder.push(outcome.data.into()).and_then(|head| Ok([head, encoder.finish()?].concat()));
    let content = packed.map_err(|error| codec::exception_of(&error))?;
    Ok(Answer { format, content: Content::Whole(content.into()), statistics: Some(outcome.statistics) })
}
