//! One request: the route, the check at the door, the body, and the statement's answer.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::{Method, Request, Response, StatusCode};
use tokio::sync::oneshot;

use super::answer::{Answer, Job, answer};
use super::auth::Gate;
use super::flushed::Flushes;
use super::request::QueryRequest;
use super::respond::{self, Labels, ResponseBody};
use super::spool::Spool;
use super::{multipart, query_string};
use crate::codec::Encoding;
use crate::engine::Host;
use crate::exception::{Code, Exception};
use crate::ids;

/// The largest form that is taken; forms are for statements and parameters.
const FORM_BYTES_MAX: u64 = 64 << 20;

/// What every request needs.
pub struct Service {
    host: Arc<Host>,
    gate: Gate,
}

impl Service {
    /// A service over an opened engine.
    #[must_use]
    pub fn new(host: Arc<Host>, gate: Gate) -> Self {
        Self { host, gate }
    }

    /// Answers any request.
    pub(super) async fn call(
        &self,
        request: Request<Incoming>,
        flushes: Flushes,
    ) -> Result<Response<ResponseBody>, Infallible> {
        let method = request.method().clone();
        let asks = request.uri().query().is_some_and(|query| !query.is_empty());
        Ok(match (&method, request.uri().path()) {
            (_, "/ping" | "/replicas_status") => respond::text(StatusCode::OK, "Ok.\n"),
            (&Method::GET | &Method::HEAD, "/") if !asks => respond::text(StatusCode::OK, "Ok.\n"),
            (&Method::GET | &Method::HEAD | &Method::POST, "/" | "/query") => {
                self.query(request, flushes).await
            }
            (&Method::OPTIONS, _) => respond::text(StatusCode::NO_CONTENT, ""),
            (_, "/" | "/query") => respond::text(StatusCode::METHOD_NOT_ALLOWED, "Use GET or POST.\n"),
            (_, path) => respond::text(
                StatusCode::NOT_FOUND,
                format!(
                    "There is no handle {path}\n\nUse / or /ping for health checks.\nSend queries with POST / or GET /?query=...\n"
                ),
            ),
        })
    }

    async fn query(&self, request: Request<Incoming>, flushes: Flushes) -> Response<ResponseBody> {
        let started = Instant::now();
        let mut labels = Labels {
            query_id: String::new(),
            tag: ids::exception_tag(),
            encoding: Encoding::Plain,
            elapsed_ns: 0,
        };
        let answered = self.run(request, &mut labels).await;
        if labels.query_id.is_empty() {
            labels.query_id = ids::query_id();
        }
        labels.elapsed_ns = started.elapsed().as_nanos();
        match answered {
            Ok(answer) => respond::answer(answer, flushes, &labels, self.host.facts()).await,
            Err(exception) => {
                tracing::debug!(query_id = labels.query_id, code = exception.code(), "query failed");
                respond::exception(&exception, &labels, self.host.facts())
            }
        }
    }

    async fn run(&self, request: Request<Incoming>, labels: &mut Labels) -> Result<Answer, Exception> {
        let (head, body) = request.into_parts();
        let mut fields = query_string::parse(head.uri.query().unwrap_or_default())?;
        self.gate.check(&head.headers, &fields)?;

        let received = Spool::receive(body, self.host.spool()).await;
        let mut body = received.map_err(|error| error.exception())?;
        let content_type =
            head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if let Some(boundary) = multipart::boundary(content_type) {
            // The form's fields go before those of the URL, which have the last word.
            let mut form = read_form(body, &boundary).await?;
            form.append(&mut fields);
            fields = form;
            body = Spool::empty();
        }
        let read_only = head.method != Method::POST;
        let query = QueryRequest::new(read_only, &head.headers, fields)?;
        labels.query_id.clone_from(&query.query_id);
        labels.encoding = query.encoding;

        let permit = self.host.pool().admit().await?;
        let (reply, answered) = oneshot::channel();
        let job = Job { host: Arc::clone(&self.host), request: query, tag: labels.tag.clone() };
        tokio::spawn(answer(job, body, permit, reply));
        answered.await.unwrap_or_else(|_| Err(Exception::from_engine("the statement was dropped")))
    }
}

async fn read_form(body: Spool, boundary: &str) -> Result<Vec<query_string::Field>, Exception> {
    let boundary = boundary.to_owned();
    let parsed = tokio::task::spawn_blocking(move || {
        use std::io::Read;
        let mut form = Vec::new();
        let read = body.into_reader().take(FORM_BYTES_MAX + 1).read_to_end(&mut form);
        read.map_err(|error| crate::codec::exception_of(&error))?;
        if u64::try_from(form.len()).is_ok_and(|size| size > FORM_BYTES_MAX) {
            return Err(Exception::new(
                Code::BadArguments,
                format!("A form is at most {FORM_BYTES_MAX} bytes"),
            ));
        }
        multipart::parse(&form, &boundary)
    });
    parsed.await.unwrap_or_else(|_| Err(Exception::from_engine("the form could not be read")))
}
