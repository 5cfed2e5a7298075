//! Compressed requests and responses, in every way a client may use.

use std::io::{Cursor, Read, Write};

use weir_clickhouse_embedded::codec::{request_decoder, write_block};

use super::harness::{Server, failure};

fn unpack(bytes: &[u8], encoding: Option<&str>, blocks: bool) -> String {
    let mut text = String::new();
    request_decoder(Box::new(Cursor::new(bytes.to_vec())), encoding, blocks)
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    text
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn responses_are_compressed_as_asked() {
    let server = Server::start(&[]);
    let expected: String = (0..300_000).map(|n| format!("{n}\n")).collect();
    let statement = b"SELECT number FROM numbers(300000)".to_vec();
    for (accept, header) in
        [("gzip", Some("gzip")), ("lz4, gzip", Some("lz4")), ("deflate", Some("deflate")), ("br", None)]
    {
        for (rows, sent) in [("", &statement[..]), ("small", b"SELECT 1")] {
            let request =
                reqwest::Client::new().post(server.url()).query(&[("enable_http_compression", "1")]);
            let response =
                request.header("accept-encoding", accept).body(sent.to_vec()).send().await.unwrap();
            let found =
                response.headers().get("content-encoding").map(|value| value.to_str().unwrap().to_owned());
            assert_eq!(found.as_deref(), header, "{accept}");
            let text = unpack(&response.bytes().await.unwrap(), header, false);
            assert!(text == if rows.is_empty() { expected.as_str() } else { "1\n" }, "{accept} {rows}");
        }
    }
    let response = server.post(&[("compress", "1")], statement).await;
    assert!(response.headers().get("content-encoding").is_none());
    assert!(unpack(&response.bytes().await.unwrap(), None, true) == expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_may_be_compressed() {
    let server = Server::start(&[]);
    server.sql("CREATE TABLE t (n UInt64) ENGINE = MergeTree ORDER BY n").await;
    let (first, second) = ("1\n".repeat(400_000), "2\n".repeat(400_000));
    let insert = [("query", "INSERT INTO t FORMAT TSV")];
    let send = |encoding: &'static str, body: Vec<u8>| {
        reqwest::Client::new()
            .post(server.url())
            .query(&insert)
            .header("content-encoding", encoding)
            .body(body)
            .send()
    };
    // Two gzip members, two LZ4 frames, many blocks, blocks inside gzip.
    let members = [gzip(first.as_bytes()), gzip(second.as_bytes())].concat();
    assert!(send("gzip", members).await.unwrap().status().is_success());
    assert_eq!(server.sql("SELECT count(), sum(n) FROM t").await, "800000\t1200000\n");
    let mut blocks = Vec::new();
    for part in first.as_bytes().chunks(70_001) {
        write_block(part, &mut blocks);
    }
    let both = [("query", "INSERT INTO t FORMAT TSV"), ("decompress", "1")];
    assert!(server.post(&both, blocks.clone()).await.status().is_success());
    let packed = reqwest::Client::new().post(server.url()).query(&both).header("content-encoding", "gzip");
    assert!(packed.body(gzip(&blocks)).send().await.unwrap().status().is_success());
    assert_eq!(server.sql("SELECT count() FROM t").await, "1600000\n");
    // A statement in a compressed body.
    let statement =
        reqwest::Client::new().post(server.url()).header("content-encoding", "gzip").body(gzip(b"SELECT 7"));
    assert_eq!(statement.send().await.unwrap().text().await.unwrap(), "7\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_requests_are_refused_and_store_nothing() {
    let server = Server::start(&[]);
    server.sql("CREATE TABLE t (n UInt64) ENGINE = MergeTree ORDER BY n").await;
    let insert = [("query", "INSERT INTO t FORMAT TSV"), ("decompress", "1")];
    let mut blocks = Vec::new();
    write_block(&b"1\n".repeat(1_000), &mut blocks);
    write_block(&b"2\n".repeat(1_000), &mut blocks);
    let mut flipped = blocks.clone();
    let last = flipped.len() - 1;
    flipped[last] ^= 1;
    for (body, code) in [(flipped, 40), (blocks[..last].to_vec(), 33), (b"no block".to_vec(), 33)] {
        assert_eq!(failure(server.post(&insert, body).await).await.1, code);
    }
    let cut = gzip(&b"1\n".repeat(100_000));
    for (encoding, body, code) in [
        ("gzip", cut[..cut.len() / 2].to_vec(), 354),
        ("gzip", b"1\n".to_vec(), 354),
        ("br", cut.clone(), 89),
        ("zstd", cut.clone(), 89),
    ] {
        let request = reqwest::Client::new()
            .post(server.url())
            .query(&insert[..1])
            .header("content-encoding", encoding);
        assert_eq!(failure(request.body(body).send().await.unwrap()).await.1, code, "{encoding}");
    }
    assert_eq!(server.sql("SELECT count() FROM t").await, "0\n");
}
