//! Answers are packed for who takes that: a page of rows is a tenth of its size then.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::{BodyExt, Collected};
use warp::http::header::{CONTENT_ENCODING, HeaderValue, VARY};
use warp::reply::Response;

/// What is shorter fits into one packet anyway.
const BYTES_MIN: usize = 1_024;

/// The same answer, packed if `accepted`, a header `Accept-Encoding`, allows it and it is worth it.
pub(super) async fn packed(response: Response, accepted: Option<&str>) -> Response {
    if !accepted.is_some_and(takes_gzip) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    // It is in memory, and so cannot fail to be read.
    let body = body.collect().await.map(Collected::to_bytes).unwrap_or_default();
    if body.len() < BYTES_MIN {
        return Response::from_parts(parts, body.into());
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let packed = encoder.write_all(&body).and_then(|()| encoder.finish());
    let packed = packed.expect("a vector takes what is written to it");
    parts.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    parts.headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    Response::from_parts(parts, packed.into())
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
    use std::io::Read;

    use flate2::read::GzDecoder;
    use warp::Reply;

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
}
