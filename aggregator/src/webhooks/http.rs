//! Sends a body to an address.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::time::timeout;

/// How long an endpoint may take to answer.
pub(super) const ANSWER_LIMIT: Duration = Duration::from_secs(15);

/// An HTTP client that follows no redirect. Clones share its connections.
#[derive(Clone, Debug)]
pub(super) struct Sender {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

/// A body was not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    /// There is no connection.
    #[error("endpoint cannot be reached")]
    Unreachable(#[source] hyper_util::client::legacy::Error),
    /// There is no answer.
    #[error("endpoint does not answer")]
    TimedOut,
    /// It is refused.
    #[error("endpoint answers with {0}")]
    Refused(StatusCode),
    /// It cannot be said in HTTP.
    #[error("request cannot be made")]
    Request(#[source] http::Error),
}

/// No roots of trust, or no cipher: nothing can be sent over TLS.
#[derive(Debug, thiserror::Error)]
#[error("tls cannot be set up")]
pub struct TlsError(#[source] std::io::Error);

impl Sender {
    pub(super) fn new() -> Result<Self, TlsError> {
        let connector = HttpsConnectorBuilder::new()
            .with_provider_and_webpki_roots(rustls::crypto::ring::default_provider())
            .map_err(|error| TlsError(std::io::Error::other(error)))?
            .https_or_http()
            .enable_http1()
            .build();
        Ok(Self { client: Client::builder(TokioExecutor::new()).build(connector) })
    }

    /// Sends, and waits for a 2xx.
    pub(super) async fn send(&self, url: &str, headers: HeaderMap, body: Bytes) -> Result<(), SendError> {
        let mut request = Request::post(url).body(Full::new(body)).map_err(SendError::Request)?;
        *request.headers_mut() = headers;
        let answer = timeout(ANSWER_LIMIT, self.client.request(request)).await;
        let answer = answer.map_err(|_| SendError::TimedOut)?.map_err(SendError::Unreachable)?;
        if answer.status().is_success() { Ok(()) } else { Err(SendError::Refused(answer.status())) }
    }
}
