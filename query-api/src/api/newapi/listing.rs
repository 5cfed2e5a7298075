//! Rows in an answer, written one by one: at once where all of them are in memory, or else as they are read.
//!
//! What is longer than a piece of it ([`NewApiRows`]) has no length that could be told before, and no more of it is held than a piece
//! and some rows as they are sent. It is begun when the first piece is there. What fails after that can only be told by breaking off:
//! no client takes half of a document for the whole.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::Instrument;
use warp::Reply;
use warp::http::StatusCode;
use warp::reply::Response;

use super::dialect::Dialect;
use super::envelope::{Around, with_charset, written};
use super::error::Error;
use super::filters::Asker;
use crate::api::app::App;
use crate::api::reply::json_text;
use crate::store::{NewApiRow, NewApiRows};
use crate::view::newapi::{Audience, RowView, UserId};

/// How rows are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Showing {
    pub(super) dialect: Dialect,
    /// To whom.
    pub(super) reader: Asker,
    /// How many rows of the list are before them.
    pub(super) before: i64,
    /// Whether the names of channels are looked up, which new-api does for lists alone.
    pub(super) names_channels: bool,
}

/// Rows, and how many of them were written.
struct Writing {
    rows: NewApiRows,
    showing: Showing,
    count: i64,
}

/// The rest of an answer cannot be read.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the rest of the rows cannot be read")]
struct BrokenOff;

/// Answers with `rows` within what is `around` them.
pub(super) async fn respond(
    app: &Arc<App>,
    around: Around,
    rows: NewApiRows,
    showing: Showing,
) -> Result<Response, Error> {
    let Around { before: mut text, after } = around;
    let is_read = rows.are_read();
    let mut writing = Writing { rows, showing, count: 0 };
    if is_read {
        while let Some(row) = writing.next().await? {
            text.push_str(&row);
        }
        text.push_str(&after);
        return Ok(with_charset(json_text(StatusCode::OK, text)));
    }
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(send(app.clone(), writing, after, sender).in_current_span());
    let rest = stream::unfold(Some(receiver), async |receiver| {
        let mut receiver: mpsc::Receiver<_> = receiver?;
        // Without its end it is broken off, whatever became of who sends it.
        let (text, is_end) = receiver.recv().await.unwrap_or((Err(BrokenOff), true));
        Some((text, (!is_end).then_some(receiver)))
    });
    let beginning = stream::iter([Ok::<_, BrokenOff>(Bytes::from(text))]);
    let response = warp::reply::stream(beginning.chain(rest)).into_response();
    Ok(with_charset(response))
}

/// Sends the rows and what is after them, each with whether it is the end, until nobody takes it any more. Each row has the
/// time of a request.
async fn send(
    app: Arc<App>,
    mut writing: Writing,
    after: String,
    sender: mpsc::Sender<(Result<Bytes, BrokenOff>, bool)>,
) {
    loop {
        let row = timeout(app.request_timeout, writing.next()).await.map_err(Error::from).flatten();
        let (text, is_end) = match row {
            Ok(Some(row)) => (Ok(row.into()), false),
            Ok(None) => (Ok(after.clone().into()), true),
            Err(error) => {
                app.observer.failed(&error);
                (Err(BrokenOff), true)
            }
        };
        if sender.send((text, is_end)).await.is_err() || is_end {
            return;
        }
    }
}

impl Writing {
    /// The next row as JSON, behind a comma if there was one before.
    async fn next(&mut self) -> Result<Option<String>, Error> {
        let Some(row) = self.rows.next().await? else { return Ok(None) };
        let comma = if self.count > 0 { "," } else { "" };
        self.count += 1;
        Ok(Some(format!("{comma}{}", written(&self.showing.view(row, self.count)))))
    }
}

impl Showing {
    /// Shows the row that is the `place`th of them, from 1.
    fn view(self, row: NewApiRow, place: i64) -> RowView {
        let audience = match self.reader {
            Asker::Admin => Audience::Admin,
            Asker::User => {
                let id = if self.dialect.shows_places() {
                    UserId::Place(self.before.saturating_add(place))
                } else {
                    UserId::Remainder
                };
                Audience::User { id, names_failed_channels: self.dialect.names_failed_channels() }
            }
        };
        let mut view = RowView::new(row, audience, |kind| self.dialect.type_of(kind));
        if !self.names_channels {
            view.channel_name.clear();
        }
        view
    }
}
