//! Answers are packed for who takes that: a page of rows is a tenth of its size then. What comes in pieces is packed piece by piece.

use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::stream;
use http_body_util::{BodyExt, Collected};
use warp::Reply;
use warp::http::header::{CONTENT_ENCODING, HeaderValue, VARY};
use warp::hyper::body::Body;
use warp::reply::Response;

/// What is shorter fits into one packet anyway.
const BYTES_MIN: usize = 1_024;
const TAKES_ALL: &str = "a vector takes what is written to it";

/// The same answer, packed if `accepted`, a header `Accept-Encoding`, allows it and it is worth it.
pub(super) async fn packed(response: Response, accepted: Option<&str>) -> Response {
    if !accepted.is_some_and(takes_gzip) {
        return response;
    }
    let (parts, body) = response.into_parts();
    if body.size_hint().exact().is_none() {
        let packing = stream::unfold(Packing::new(body), async |mut packing: Packing<_>| {
            let packed = packing.next().await?;
            Some((packed, packing))
        });
        let packed = warp::reply::stream(packing).into_response();
        return marked(Response::from_parts(parts, packed.into_body()));
    }
    // It is in memory, and so cannot fail to be read.
    let body = body.collect().await.map(Collected::to_bytes).unwrap_or_default();
    if body.len() < BYTES_MIN {
        return Response::from_parts(parts, body.into());
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let packed = encoder.write_all(&body).and_then(|()| encoder.finish()).expect(TAKES_ALL);
    marked(Response::from_parts(parts, packed.into()))
}

/// A body that comes in pieces, and what packs it: nothing any more at its end.
struct Packing<B> {
    body: B,
    encoder: Option<GzEncoder<Vec<u8>>>,
}

impl<B: Body<Data = Bytes> + Unpin> Packing<B> {
    fn new(body: B) -> Self {
        Self { body, encoder: Some(GzEncoder::new(Vec::new(), Compression::fast())) }
    }

    /// What is to be sent next. A body that breaks off is packed to no end.
    async fn next(&mut self) -> Option<Result<Bytes, B::Error>> {
        let mut encoder = self.encoder.take()?;
        loop {
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    let Ok(data) = frame.into_data() else { continue };
                    encoder.write_all(&data).expect(TAKES_ALL);
                    let packed = std::mem::take(encoder.get_mut());
                    if !packed.is_empty() {
                        self.encoder = Some(encoder);
                        return Some(Ok(packed.into()));
                    }
                }
                Some(Err(error)) => return Some(Err(error)),
                None => return Some(Ok(encoder.finish().expect(TAKES_ALL).into())),
            }
        }
    }
}

fn marked(mut packed: Response) -> Response {
    let headers = packed.headers_mut();
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    packed
}

fn takes_gzip(accepted: &str) -> bool {
    accepted.split(',').any(|part| {
        let (name, quality) = part.split_once(';').unwrap_or((part, ""));
        let is_refused =
            quality.trim().strip_prefix("q=").is_some_and(|text| !text.contains(|c| !"0.".contains(c)));
        matches!(name.trim(), "gzip" | "*") && !is_refused
    })
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::*;

    #[test]
    fn who_takes_gzip_says_so() {
        for text in ["gzip", "gzip, deflate, br", "br;q=1.0, gzip;q=0.8", "*"] {
            assert!(takes_gzip(text), "{text}");
        }
        for text in ["", "br", "identity", "gzip;q=0", "br, gzip; q=0.000", "x-gzip"] {
            assert!(!takes_gzip(text), "{text}");
        }
    }

    #[tokio::test]
    async fn what_is_long_is_packed_for_who_takes_it_and_is_the_same() {
        let text = "a row of a log. ".repeat(1_000);
        let read = async |response: Response| response.into_body().collect().await.unwrap().to_bytes();
        let response = packed(text.clone().into_response(), Some("gzip")).await;
        assert_eq!(response.headers()[CONTENT_ENCODING], "gzip");
        assert_eq!(response.headers()[VARY], "Accept-Encoding");
        let bytes = read(response).await;
        assert!(bytes.len() < text.len() / 10, "{}", bytes.len());
        let mut unpacked = String::new();
        GzDecoder::new(&*bytes).read_to_string(&mut unpacked).unwrap();
        assert_eq!(unpacked, text);
        for (text, accepted) in [(text.as_str(), None), ("short", Some("gzip"))] {
            let response = packed(text.to_owned().into_response(), accepted).await;
            assert!(!response.headers().contains_key(CONTENT_ENCODING));
            assert_eq!(read(response).await, text);
        }
    }

    #[tokio::test]
    async fn what_comes_in_pieces_is_packed_as_it_comes_and_is_the_same() {
        let pieces = ["a row of a log. ".repeat(1_000), String::new(), "and another one. ".repeat(100_000)];
        let whole = pieces.concat();
        let response = warp::reply::stream(stream::iter(pieces.map(Ok::<_, Infallible>))).into_response();
        let response = packed(response, Some("gzip")).await;
        assert_eq!(response.headers()[CONTENT_ENCODING], "gzip");
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        assert!(bytes.len() < whole.len() / 10, "{}", bytes.len());
        let mut unpacked = String::new();
        GzDecoder::new(&*bytes).read_to_string(&mut unpacked).unwrap();
        assert_eq!(unpacked, whole);
    }

    #[tokio::test]
    async fn what_breaks_off_is_not_taken_for_the_whole() {
        let pieces = [Ok("the first row"), Err(std::io::Error::other("gone")), Ok("the last row")];
        let response = warp::reply::stream(stream::iter(pieces)).into_response();
        let mut body = packed(response, Some("gzip")).await.into_body();
        let mut told = Vec::new();
        while let Some(frame) = body.frame().await {
            told.push(frame.is_ok());
        }
        assert_eq!(told.last(), Some(&false), "{told:?}");
    }
}
