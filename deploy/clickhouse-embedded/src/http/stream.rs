//! A reading statement at work: its result comes out of the pipe while the statement runs on a blocking thread.
//!
//! The first part of a result is held back, so that an error in it gets a status of its own. After that an error
//! goes into the body, marked as a server of this version marks it, and the connection is broken behind it.
//! When the client goes away, the statement is killed and what it still writes is thrown away.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::AsyncWriteExt;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::answer::{Answer, Content, Job};
use super::plan::ReadPlan;
use crate::codec::{self, Encoder};
use crate::engine::{Host, Lease, ResultPipe, Statistics};
use crate::exception::{Code, Exception};

/// How often a statement whose client has gone is killed again, should the first order come too early.
const KILL_AGAIN: Duration = Duration::from_millis(500);

/// Whoever waits for the answer.
pub(super) type Reply = oneshot::Sender<Result<Answer, Exception>>;

/// What comes out of a running statement.
enum Event {
    Data(Bytes),
    Done(Result<Statistics, Exception>),
}

/// A running statement and its pipe.
struct Running {
    host: Arc<Host>,
    marker: String,
    pipe: ResultPipe,
    work: JoinHandle<(Lease, Result<Statistics, Exception>)>,
    done: Option<Result<Statistics, Exception>>,
    lease: Option<Lease>,
}

/// Runs the statement and answers.
pub(super) async fn read(job: Job, plan: ReadPlan, lease: Lease, mut reply: Reply) {
    let mut running = match Running::start(&job, &plan, lease).await {
        Ok(running) => running,
        Err(exception) => {
            drop(reply.send(Err(exception)));
            return;
        }
    };
    let mut held = Held::new(&job);
    let first = loop {
        let event = tokio::select! {
            event = running.next() => event,
            () = reply.closed() => {
                running.give_up().await;
                return;
            }
        };
        match event {
            Event::Data(data) => {
                if let Err(error) = held.push(data).await {
                    running.give_up().await;
                    let told = format!("cannot keep the result: {error}");
                    drop(reply.send(Err(Exception::new(Code::CannotWriteToFileDescriptor, told))));
                    return;
                }
                if held.is_full() {
                    break None;
                }
            }
            Event::Done(result) => break Some(result),
        }
    };
    let format = plan.format;
    match first {
        Some(Ok(statistics)) => {
            let answer = held.whole(&job, format, statistics).await;
            running.conclude(reply, answer).await;
        }
        Some(Err(exception)) => running.conclude(reply, Err(exception)).await,
        None => {
            let encoder = job.encoder(Some(&format));
            let (sender, receiver) = mpsc::channel(2);
            let answer =
                Answer { format: Some(format), content: Content::Stream(receiver), statistics: None };
            if reply.send(Ok(answer)).is_err() {
                running.give_up().await;
                return;
            }
            forward(running, held.memory, &job, (encoder, sender)).await;
        }
    }
}

/// Sends the result as it comes.
async fn forward(
    mut running: Running,
    held: Vec<Bytes>,
    job: &Job,
    (mut encoder, sender): (Encoder, mpsc::Sender<io::Result<Bytes>>),
) {
    let mut held = held.into_iter();
    let ending = loop {
        let event = if let Some(data) = held.next() {
            Event::Data(data)
        } else {
            tokio::select! {
                event = running.next() => event,
                () = sender.closed() => break None,
            }
        };
        match event {
            Event::Data(data) => match encoder.push(data) {
                Ok(packed) => {
                    if !packed.is_empty() && sender.send(Ok(packed)).await.is_err() {
                        break None;
                    }
                }
                Err(error) => break Some(Err(codec::exception_of(&error))),
            },
            Event::Done(result) => break Some(result),
        }
    };
    match ending {
        None => running.give_up().await,
        Some(Ok(_)) => {
            running.end().await;
            let last = encoder.finish();
            if last.as_ref().is_ok_and(Bytes::is_empty) {
                return;
            }
            drop(sender.send(last).await);
        }
        Some(Err(exception)) => {
            running.give_up().await;
            for part in last_words(encoder, job, &exception) {
                drop(sender.send(part).await);
            }
            drop(sender.send(Err(io::Error::other(exception))).await);
        }
    }
}

/// The exception, framed and encoded: what is before it comes out first, so that the frame ends a chunk.
fn last_words(mut encoder: Encoder, job: &Job, exception: &Exception) -> [io::Result<Bytes>; 2] {
    let frame = exception_frame(&job.tag, &exception.with_version(&job.host.facts().version));
    let before = encoder.flush();
    let words = encoder.push_words(frame.into()).and_then(|head| {
        let tail = encoder.flush()?;
        Ok([head, tail].concat().into())
    });
    [before, words]
}

/// `__exception__`, the tag, the text, its length and the tag again, as servers since 25.11 write it.
fn exception_frame(tag: &str, text: &str) -> String {
    format!("\r\n__exception__\r\n{tag}\r\n{text}{} {tag}\r\n__exception__\r\n", text.len())
}

impl Running {
    async fn start(job: &Job, plan: &ReadPlan, mut lease: Lease) -> Result<Self, Exception> {
        let marker = lease.marker().to_owned();
        let pipe = match job.host.result_pipe(&marker) {
            Ok(pipe) => pipe,
            Err(error) => {
                super::answer::end(&job.host, lease).await;
                let told = format!("cannot make a result pipe: {error}");
                return Err(Exception::new(Code::CannotWriteToFileDescriptor, told));
            }
        };
        let sql = plan.sql(pipe.path());
        let (format, parameters) = (plan.format.clone(), job.request.parameters.clone());
        let work = tokio::task::spawn_blocking(move || {
            let result = lease.query(&sql, &format, &parameters).map(|outcome| outcome.statistics);
            (lease, result)
        });
        Ok(Self { host: Arc::clone(&job.host), marker, pipe, work, done: None, lease: None })
    }

    /// The next data, and when there is no more, how the statement ended. Must not be called again after that.
    async fn next(&mut self) -> Event {
        loop {
            if let Some(done) = self.done.take() {
                // The statement has ended, so everything it wrote is in the pipe.
                return match self.pipe.read_rest() {
                    Ok(Some(data)) => {
                        self.done = Some(done);
                        Event::Data(data)
                    }
                    Ok(None) => Event::Done(done),
                    Err(error) => Event::Done(Err(broken(&error))),
                };
            }
            tokio::select! {
                biased;
                data = self.pipe.read() => {
                    return data.map_or_else(|error| Event::Done(Err(broken(&error))), Event::Data);
                }
                ended = &mut self.work => self.settle(ended),
            }
        }
    }

    fn settle(&mut self, ended: Result<(Lease, Result<Statistics, Exception>), tokio::task::JoinError>) {
        let result = match ended {
            Ok((mut lease, result)) => {
                if result.is_err() {
                    // The engine keeps a stopped statement in its list until the connection runs another or closes.
                    lease.will_change();
                }
                self.lease = Some(lease);
                result
            }
            Err(error) => Err(Exception::from_engine(&format!("the statement's thread failed: {error}"))),
        };
        self.done = Some(result);
    }

    /// Answers and gives the connection back, in the right order.
    async fn conclude(self, reply: Reply, answer: Result<Answer, Exception>) {
        if self.lease.as_ref().is_some_and(Lease::is_session) {
            self.end().await;
            drop(reply.send(answer));
        } else {
            drop(reply.send(answer));
            self.end().await;
        }
    }

    /// Gives the connection back.
    async fn end(mut self) {
        if let Some(lease) = self.lease.take() {
            super::answer::end(&self.host, lease).await;
        }
    }

    /// Stops the statement, if it still runs, and throws away what it writes until it has stopped.
    async fn give_up(mut self) {
        while self.lease.is_none() && self.done.is_none() && !self.work.is_finished() {
            let (host, marker) = (Arc::clone(&self.host), self.marker.clone());
            let order = tokio::task::spawn_blocking(move || host.control().kill(&marker));
            let mut order = std::pin::pin!(async {
                if let Ok(Err(exception)) = order.await {
                    tracing::warn!(%exception, "cannot stop a statement whose client has gone");
                }
                tokio::time::sleep(KILL_AGAIN).await;
            });
            loop {
                tokio::select! {
                    () = &mut order => break,
                    ended = &mut self.work => {
                        self.settle(ended);
                        break;
                    }
                    data = self.pipe.read() => if data.is_err() { break },
                }
            }
        }
        self.end().await;
    }
}

/// The part of a result that is held back.
struct Held {
    memory: Vec<Bytes>,
    memory_bytes: usize,
    memory_bytes_max: usize,
    /// Whether everything is held: then the rest goes to a file.
    all: bool,
    folder: std::path::PathBuf,
    file: Option<tokio::fs::File>,
}

impl Held {
    fn new(job: &Job) -> Self {
        Self {
            memory: Vec::new(),
            memory_bytes: 0,
            memory_bytes_max: job.request.buffer_bytes,
            all: job.request.wait_end,
            folder: job.host.spool().to_owned(),
            file: None,
        }
    }

    fn is_full(&self) -> bool {
        !self.all && self.memory_bytes >= self.memory_bytes_max
    }

    async fn push(&mut self, data: Bytes) -> io::Result<()> {
        if self.memory_bytes < self.memory_bytes_max {
            self.memory_bytes += data.len();
            self.memory.push(data);
            return Ok(());
        }
        if self.file.is_none() {
            self.file = Some(tokio::fs::File::from_std(tempfile::tempfile_in(&self.folder)?));
        }
        match self.file.as_mut() {
            Some(file) => file.write_all(&data).await,
            None => Ok(()),
        }
    }

    /// The whole result.
    async fn whole(self, job: &Job, format: String, statistics: Statistics) -> Result<Answer, Exception> {
        let failed = |error: io::Error| codec::exception_of(&error);
        let mut encoder = job.encoder(Some(&format));
        let mut memory = Vec::with_capacity(self.memory_bytes);
        for data in self.memory {
            memory.extend_from_slice(&encoder.push(data).map_err(failed)?);
        }
        let content = match self.file {
            None => {
                memory.extend_from_slice(&encoder.finish().map_err(failed)?);
                Content::Whole(memory.into())
            }
            Some(mut file) => {
                file.flush().await.map_err(failed)?;
                Content::Kept { head: memory.into(), file, encoder: Box::new(encoder) }
            }
        };
        Ok(Answer { format: Some(format), content, statistics: Some(statistics) })
    }
}

fn broken(error: &io::Error) -> Exception {
    Exception::from_engine(&format!("the result pipe broke: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frame_is_the_one_the_official_client_parses() {
        assert_eq!(
            exception_frame("rnywyenlaeqynhmu", "Code: 159. DB::Exception: x\n"),
            "\r\n__exception__\r\nrnywyenlaeqynhmu\r\nCode: 159. DB::Exception: x\n28 rnywyenlaeqynhmu\r\n__exception__\r\n",
        );
    }
}
