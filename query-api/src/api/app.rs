//! What handlers work with, and the frame around every one of them: span, time limit, authentication.

use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout};
use tracing::Span;
use warp::Filter;
use warp::http::HeaderMap;
use warp::reply::Response;

use super::observer::Observer;
use crate::auth::{AuthError, Authenticator, Forbidden, Principal};
use crate::metrics::Route;
use crate::store::{Aggregators, Deletions, Ingests, LogStore};
use crate::view::MetadataForm;

/// What the handlers share.
pub struct App {
    /// Who may ask.
    pub authenticator: Authenticator,
    /// What was logged.
    pub store: LogStore,
    /// What is no longer to be logged.
    pub deletions: Deletions,
    /// What happens now.
    pub aggregators: Aggregators,
    /// What is on its way.
    pub ingests: Ingests,
    /// Who watches.
    pub observer: Observer,
    /// How Cloudflare's API shows metadata.
    pub metadata_form: MetadataForm,
    /// The longest that a request may take.
    pub request_timeout: Duration,
}

/// A request that matched a route, without its path.
pub(super) struct Call {
    app: Arc<App>,
    query: String,
    headers: HeaderMap,
}

/// A call whose caller is known.
pub(super) struct Admitted {
    pub(super) app: Arc<App>,
    /// The query string as it was sent; `""` where there is none.
    pub(super) query: String,
    /// When its time began.
    pub(super) begun: Instant,
    /// Who is asking. What it may read or write is what the stores are asked with.
    pub(super) principal: Principal,
}

/// The error of a dialect. All that can go wrong has one of these, and each has a response.
pub(super) trait DialectError:
    Error + From<AuthError> + From<Forbidden> + From<Elapsed> + 'static
{
    /// Whose it is.
    fn blame(&self) -> Blame;

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
        warp::header::headers_cloned().and(query).map(move |headers, query| Self {
            app: app.clone(),
            query,
            headers,
        })
    }

    /// Has `work` done if its caller is known, and answers in any case.
    pub(super) async fn answer<E, W>(self, route: Route, work: impl FnOnce(Admitted) -> W + Send) -> Response
    where
        E: DialectError,
        W: Future<Output = Result<Response, E>> + Send,
    {
        let Self { app, query, headers } = self;
        let begun = Instant::now();
        let admitted = async {
            let principal = app.authenticator.authenticate(&headers).await?;
            Span::current().record("caller", principal.label());
            work(Admitted { app: app.clone(), query, begun, principal }).await
        };
        let answer = async {
            let result = timeout(app.request_timeout, admitted).await;
            result.map_err(E::from).flatten().unwrap_or_else(|error| {
                app.observer.failed(&error);
                error.into_response()
            })
        };
        app.observer.observe(route, answer).await
    }
}
