//! A client of server-sent events.

use std::pin::Pin;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use reqwest::header::HeaderMap;
use serde_json::Value;
use tokio::time::timeout;

/// So long an event is waited for.
const LIMIT: Duration = Duration::from_mins(1);

/// An event as it came.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) id: Option<String>,
    pub(crate) data: Value,
}

/// A stream that is open.
pub(crate) struct EventStream {
    pub(crate) headers: HeaderMap,
    body: Pin<Box<dyn Stream<Item = reqwest::Result<Vec<u8>>> + Send>>,
    /// What came, of which so many bytes were read.
    text: String,
    read: usize,
}

impl EventStream {
    /// Opens a stream; or else the status and the body.
    pub(crate) async fn open(url: &str, token: &str) -> Result<Self, (u16, String)> {
        let response = reqwest::Client::new().get(url).bearer_auth(token).send().await.unwrap();
        if response.status() != 200 {
            return Err((response.status().as_u16(), response.text().await.unwrap()));
        }
        let headers = response.headers().clone();
        let body = response.bytes_stream().map(|part| part.map(|part| part.to_vec()));
        Ok(Self { headers, body: Box::pin(body), text: String::new(), read: 0 })
    }

    /// The next event, or the end.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(end) = self.text[self.read..].find("\n\n") {
                let block = self.text[self.read..self.read + end].to_owned();
                self.read += end + 2;
                return Some(parse(&block));
            }
            self.text.drain(..self.read);
            self.read = 0;
            let part = timeout(LIMIT, self.body.next()).await.expect("something comes within the limit")?;
            self.text += std::str::from_utf8(&part.unwrap()).unwrap();
        }
    }

    /// The ids of the next rows.
    pub(crate) async fn row_ids(&mut self, count: usize) -> Vec<String> {
        let mut ids = Vec::new();
        while ids.len() < count {
            let event = self.next().await.expect("there is another row");
            assert_eq!(event.name, "row", "{event:?}");
            assert_eq!(event.id.as_deref(), event.data["id"].as_str());
            ids.extend(event.id);
        }
        ids
    }

    /// Whether nothing comes for so long.
    pub(crate) async fn is_silent(&mut self, time: Duration) -> bool {
        timeout(time, self.next()).await.is_err()
    }
}

/// Nothing but events ends with an empty line.
fn parse(block: &str) -> Event {
    let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    let data = serde_json::from_str(field("data").unwrap_or_else(|| panic!("no event: {block}"))).unwrap();
    Event { name: field("event").unwrap_or("message").to_owned(), id: field("id").map(str::to_owned), data }
}
