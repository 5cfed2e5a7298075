//! Results: formats, headers, errors in their middle, clients that do not wait.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::harness::Server;

/// Statements that differ only in what follows give the same bytes as the engine writes into a file in one piece.
#[tokio::test(flavor = "multi_thread")]
async fn results_of_many_blocks_are_one_document() {
    let server = Server::start(&[]);
    let query =
        [("max_block_size", "1000"), ("max_threads", "1"), ("output_format_json_quote_64bit_integers", "0")];
    let json = server.sql_with(&query, "SELECT number AS n FROM numbers(100000) FORMAT JSONCompact").await;
    assert_eq!(json.matches("\"meta\"").count(), 1);
    assert_eq!(json.matches("\"rows\": 100000").count(), 1, "{}", &json[json.len() - 300..]);
    let csv = server.sql_with(&query, "SELECT number AS n FROM numbers(100000) FORMAT CSVWithNames").await;
    assert_eq!(csv.lines().count(), 100_001);
    assert_eq!(csv.matches('n').count(), 1);
    let totals = server.sql("SELECT number % 2 AS k, count() AS c FROM numbers(10) GROUP BY k WITH TOTALS ORDER BY k FORMAT TSV").await;
    assert_eq!(totals, "0\t5\n1\t5\n\n0\t10\n");
    for (statement, expected) in [
        ("SHOW TABLES FROM system LIKE 'one'", "one\n"),
        ("DESCRIBE TABLE system.one FORMAT TSVRaw", "dummy\tUInt8\t\t\t\t\t\n"),
        ("EXISTS TABLE system.one;", "1\n"),
        ("SELECT 'a' AS format ORDER BY format DESC", "a\n"),
        ("SELECT 1 FORMAT Values", "(1)"),
        ("WITH 2 AS x SELECT x -- FORMAT JSON", "2\n"),
        ("SELECT number FROM numbers(0)", ""),
        ("SELECT 1 FORMAT Null", ""),
    ] {
        assert_eq!(server.sql(statement).await, expected, "{statement}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_may_be_split_between_url_and_body() {
    let server = Server::start(&[]);
    assert_eq!(server.sql_with(&[("query", "SELECT 1 +")], "2").await, "3\n");
    assert_eq!(server.get(&[("query", "SELECT 5")]).await.text().await.unwrap(), "5\n");
    let long = format!("SELECT length('{}')", "x".repeat(200_000));
    assert_eq!(server.sql(&long).await, "200000\n");
    let longer = format!("SELECT length('{}')", "x".repeat(300_000));
    let (status, code, text) = server.fails(&[], &longer).await;
    assert_eq!((status, code), (400, 62), "{text}");
    assert_eq!(server.sql_with(&[("max_query_size", "1000000")], &longer).await, "300000\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_are_those_of_a_server() {
    let server = Server::start(&[]);
    let response =
        server.post(&[("query_id", "my id"), ("default_format", "json")], b"SELECT 1".to_vec()).await;
    let headers = response.headers().clone();
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    assert_eq!(header("x-clickhouse-query-id"), "my id");
    assert_eq!(header("x-clickhouse-format"), "JSON");
    assert_eq!(header("content-type"), "application/json; charset=UTF-8");
    assert!(
        header("x-clickhouse-summary").contains("\"result_rows\":\"1\""),
        "{}",
        header("x-clickhouse-summary")
    );
    assert_eq!(header("x-clickhouse-exception-tag").len(), 16);
    assert!(
        !header("x-clickhouse-timezone").is_empty() && !header("x-clickhouse-server-display-name").is_empty()
    );
    assert_eq!(server.get(&[("query", "SELECT 1")]).await.headers()["x-clickhouse-query-id"].len(), 36);
    for path in ["", "ping", "replicas_status"] {
        let text = reqwest::get(format!("{}{path}", server.url())).await.unwrap().text().await.unwrap();
        assert_eq!(text, "Ok.\n", "/{path}");
    }
    assert_eq!(reqwest::get(format!("{}play", server.url())).await.unwrap().status(), 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn native_results_suit_the_revision_of_their_client() {
    let server = Server::start(&[]);
    let statement = "SELECT toUInt8(7) AS x, 'a;' AS s FORMAT Native";
    let plain = server.post(&[], statement.as_bytes().to_vec()).await.bytes().await.unwrap();
    assert_eq!(plain, &b"\x02\x01\x01x\x05UInt8\x07\x01s\x06String\x02a;"[..]);
    let properties = b"\x01\0\x02\xff\xff\xff\xff\0";
    for (revision, flag) in [("54405", &b""[..]), ("54460", b"\0")] {
        let query = [("client_protocol_version", revision)];
        let found = server.post(&query, statement.as_bytes().to_vec()).await.bytes().await.unwrap();
        let parts =
            [&properties[..], b"\x02\x01\x01x\x05UInt8", flag, b"\x07\x01s\x06String", flag, b"\x02a;"];
        assert_eq!(found, parts.concat(), "{revision}");
    }
    // Every row of many blocks is still there, and a type that cannot be skipped is an error, not garbage.
    let query = [("client_protocol_version", "54460"), ("max_block_size", "1000")];
    let many =
        "SELECT number, map(toLowCardinality('k'), [toString(number)]) AS m, NULL AS n FROM numbers(100000)";
    let before =
        server.post(&query[1..], format!("{many} FORMAT Native").into_bytes()).await.bytes().await.unwrap();
    let after =
        server.post(&query, format!("{many} FORMAT Native").into_bytes()).await.bytes().await.unwrap();
    let blocks = after.windows(8).filter(|window| window == properties).count();
    assert!(blocks >= 2, "{blocks}");
    assert_eq!(after.len(), before.len() + blocks * (8 + 3));
    assert_eq!(server.fails(&query, "SELECT sumState(1) FORMAT Native").await.1, 48);
}

const LATE_ERROR: &str =
    "SELECT number, toString(number) AS s, throwIf(number = 900000) AS t FROM numbers(1000000)";

#[tokio::test(flavor = "multi_thread")]
async fn an_error_in_mid_result_reaches_the_official_client() {
    let server = Server::start(&[]);
    for compression in [clickhouse::Compression::Lz4, clickhouse::Compression::None] {
        let client = server.client().with_compression(compression);
        let mut rows = client.query(LATE_ERROR).fetch::<(u64, String, u8)>().unwrap();
        let mut seen = 0;
        let error = loop {
            match rows.next().await {
                Ok(Some(_)) => seen += 1,
                Ok(None) => panic!("a short result without an error after {seen} rows"),
                Err(error) => break error.to_string(),
            }
        };
        assert!(seen > 0, "the error came before any row: {error}");
        assert!(error.contains("Code: 395") && error.contains("throwIf"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_in_mid_result_breaks_the_response_for_everyone() {
    let server = Server::start(&[]);
    for query in [&[][..], &[("compress", "1")]] {
        let response = server.post(query, LATE_ERROR.as_bytes().to_vec()).await;
        assert_eq!(response.status(), 200);
        let mut stream = response.bytes_stream();
        let mut broken = false;
        while let Some(part) = stream.next().await {
            broken |= part.is_err();
        }
        assert!(broken, "{query:?}");
    }
    // Held back whole, the same error has a status of its own.
    let (status, code, _) = server.fails(&[("wait_end_of_query", "1")], LATE_ERROR).await;
    assert_eq!((status, code), (500, 395));
    let whole = server.sql_with(&[("wait_end_of_query", "1")], "SELECT number FROM numbers(2000000)").await;
    assert_eq!(whole.lines().count(), 2_000_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_frees_its_connection() {
    let server = Server::start(&["--pool-size", "1", "--queue-wait-ms", "20000"]);
    for statement in [
        // Streams for ever; never shows anything.
        "SELECT number FROM system.numbers",
        "SELECT sum(sleepEachRow(0.1)) FROM system.numbers SETTINGS max_block_size = 10, function_sleep_max_microseconds_per_block = 0",
        "SELECT count() FROM system.numbers WHERE NOT ignore(number) SETTINGS log_comment = 'mine'",
    ] {
        let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", server.port())).await.unwrap();
        let head =
            format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{statement}", statement.len());
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut byte = [0; 1];
        let _ = tokio::time::timeout(Duration::from_millis(500), stream.read(&mut byte)).await;
        drop(stream);
        let asked = Instant::now();
        assert_eq!(server.sql("SELECT 1").await, "1\n");
        assert!(asked.elapsed() < Duration::from_secs(10), "{statement}: {:?}", asked.elapsed());
    }
    assert_eq!(
        server.sql("SELECT count() FROM system.processes WHERE query LIKE '%system.numbers%'").await,
        "1\n"
    );
}
