//! What handlers work with, and the frame around every one of them: span, time limit, authentication.

use std::convert::Infallible;
use std::error::Error;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout};
use tracing::Span;
use warp::Filter;
use warp::http::HeaderMap;
use warp::reply::Response;
use weir_service::http::PeerAddress;

use super::newapi::NewApi;
use super::observer::Observer;
use super::weir::{LiveStreams, Streams};
use crate::auth::{AuthError, Authenticator, Forbidden, Principal};
use crate::metrics::Route;
use crate::store::{Aggregators, Budgets, Deletions, Ingests, LogStore};
use crate::tail::Tails;
use crate::view::MetadataForm;

/// What the handlers share.
pub struct App {
    /// Who may ask.
    pub authenticator: Authenticator,
    /// What was logged.
    pub store: LogStore,
    /// What is no longer to be logged.
    pub deletions: Deletions,
    /// What may be used.
    pub budgets: Budgets,
    /// What happens now.
    pub aggregators: Aggregators,
    /// What happens now, for those who look on.
    pub live_streams: LiveStreams,
    /// What is on its way.
    pub ingests: Ingests,
    /// Who looks on as rows are committed.
    pub tails: Tails,
    /// Answers without an end.
    pub streams: Streams,
    /// Who watches.
    pub observer: Observer,
    /// How Cloudflare's API shows metadata.
    pub metadata_form: MetadataForm,
    /// Which new-api is spoken, and with whom.
    pub new_api: NewApi,
    /// The longest that a request may take.
    pub request_timeout: Duration,
    /// The longest to wait for what NATS is asked.
    pub live_timeout: Duration,
}

/// A request that matched a route, without its path.
pub(super) struct Call {
    pub(super) app: Arc<App>,
    /// The query string as it was sent; `""` where there is none.
    pub(super) query: String,
    pub(super) headers: HeaderMap,
    /// Who is at the other end of the connection.
    pub(super) peer: Option<IpAddr>,
}

/// A call whose caller is known.
pub(super) struct Admitted {
    pub(super) app: Arc<App>,
    /// The query string as it was sent; `""` where there is none.
    pub(super) query: String,
    pub(super) headers: HeaderMap,
    /// When its time began.
    pub(super) begun: Instant,
    /// Who is asking. What it may read or write is what the stores are asked with.
    pub(super) principal: Principal,
}

/// The error of a dialect. All that can go wrong has one of these.
pub(super) trait Failure: Error + From<Elapsed> + 'static {
    /// Whose it is.
    fn blame(&self) -> Blame;
}

/// The error of a dialect that knows its callers by their principal, and answers all of them alike.
pub(super) trait DialectError: Failure + From<AuthError> + From<Forbidden> {
    /// The response, which tells nothing of what is behind this process.
    fn into_response(self) -> Response;
}

/// Whose an error is, and thereby whether it is worth a line in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blame {
    /// The request cannot be answered as it is. Not logged: a client could fill the log.
    Client,
    /// A service behind is not there. It comes back.
    Surroundings,
    /// Ours: somebody has to look.
    Program,
}

impl Call {
    /// The last part of a route: what handlers need of a request besides its path.
    pub(super) fn filter(
        app: &Arc<App>,
    ) -> impl Filter<Extract = (Self,), Error = Infallible> + Clone + Send + Sync + 'static {
        let app = app.clone();
        let query = warp::query::raw().or(warp::any().map(String::new)).unify();
        let peer = warp::ext::optional().map(|peer: Option<PeerAddress>| peer.map(|peer| peer.0.ip()));
        warp::header::headers_cloned().and(query).and(peer).map(move |headers, query, peer| Self {
            app: app.clone(),
            query,
            headers,
            peer,
        })
    }

    /// Has `work` done if its caller is known, and answers in any case.
    pub(super) async fn answer<E, W>(self, route: Route, work: impl FnOnce(Admitted) -> W + Send) -> Response
    where
        E: DialectError,
        W: Future<Output = Result<Response, E>> + Send,
    {
        let Self { app, query, headers, peer: _ } = self;
        let begun = Instant::now();
        let admitted = async {
            let principal = app.authenticator.authenticate(&headers).await?;
            Span::current().record("caller", principal.label());
            work(Admitted { app: app.clone(), query, headers, begun, principal }).await
        };
        framed(&app, route, admitted, E::into_response).await
    }
}

/// Answers with what `work` gives, in the time that a request has, or with what `respond` makes of its failure.
pub(super) async fn framed<E: Failure>(
    app: &App,
    route: Route,
    work: impl Future<Output = Result<Response, E>>,
    respond: impl FnOnce(E) -> Response,
) -> Response {
    let answer = async {
        let result = timeout(app.request_timeout, work).await;
        result.map_err(E::from).flatten().unwrap_or_else(|error| {
            app.observer.failed(&error);
            respond(error)
        })
    };
    app.observer.observe(route, answer).await
}
