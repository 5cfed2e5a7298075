//! Inserts: large, wrong, abandoned, repeated.

use std::time::Duration;

use clickhouse::Row;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt;

use super::harness::Server;

#[derive(Debug, Row, Serialize, Deserialize)]
struct Pair {
    n: u64,
    text: String,
}

async fn table(server: &Server) {
    server.sql("CREATE TABLE pairs (n UInt64, text String) ENGINE = MergeTree ORDER BY n").await;
}

async fn count(server: &Server) -> u64 {
    server.sql("SELECT count() FROM pairs").await.trim().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_million_rows_go_in_and_come_out() {
    let server = Server::start(&[]);
    table(&server).await;
    let client = server.client();
    let mut insert = client.insert::<Pair>("pairs").await.unwrap();
    for n in 0..1_000_000_u64 {
        insert.write(&Pair { n, text: format!("row {n};") }).await.unwrap();
    }
    insert.end().await.unwrap();
    let mut rows = client.query("SELECT ?fields FROM pairs ORDER BY n").fetch::<Pair>().unwrap();
    let (mut seen, mut sum) = (0_u64, 0_u64);
    while let Some(row) = rows.next().await.unwrap() {
        assert_eq!(row.text, format!("row {};", row.n));
        seen += 1;
        sum += row.n;
    }
    assert_eq!((seen, sum), (1_000_000, 499_999_500_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn values_and_selects_in_the_statement_are_inserted() {
    let server = Server::start(&[]);
    table(&server).await;
    server.sql("INSERT INTO pairs VALUES (1, 'a;b'), (2, 'it''s')").await;
    server.sql("INSERT INTO pairs (n) VALUES (3);").await;
    server.sql("INSERT INTO pairs SELECT number + 10, ';' FROM numbers(5)").await;
    server.sql("INSERT INTO pairs SETTINGS async_insert = 0 FORMAT JSONEachRow {\"n\": 4, \"text\": \"x;y\"}\n{\"n\":5}").await;
    server.sql_with(&[("query", "INSERT INTO pairs VALUES")], "(6, 'body')").await;
    server.sql_with(&[("query", "INSERT INTO pairs FORMAT TSV\n7\tinline")], "8\tbody\n").await;
    assert_eq!(count(&server).await, 13);
    assert_eq!(
        server.sql("SELECT text FROM pairs WHERE n IN (1, 2, 4, 7, 8) ORDER BY n").await,
        "a;b\nit\\'s\nx;y\ninline\nbody\n"
    );
    let summary = server.post(&[], b"INSERT INTO pairs VALUES (20, ''), (21, '')".to_vec()).await;
    let summary = summary.headers()["x-clickhouse-summary"].to_str().unwrap().to_owned();
    assert!(summary.contains("\"written_rows\":\"2\""), "{summary}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_insert_that_fails_in_its_middle_stores_nothing() {
    let server = Server::start(&[]);
    table(&server).await;
    let good = "1\tx\n".repeat(200_000);
    let (status, code, text) =
        server.fails(&[("query", "INSERT INTO pairs FORMAT TSV")], &format!("{good}bad\tx\n{good}")).await;
    assert_eq!((status, code), (400, 27), "{text}");
    let binary = [&1_u64.to_le_bytes()[..], &[1, b'x']].concat().repeat(100_000);
    let cut = &binary[..binary.len() - 1];
    let response = server.post(&[("query", "INSERT INTO pairs FORMAT RowBinary")], cut.to_vec()).await;
    assert!(!response.status().is_success());
    assert_eq!(server.fails(&[], "INSERT INTO nothing FORMAT TSV\n1\n").await.1, 60);
    assert_eq!(server.fails(&[], "INSERT INTO pairs FORMAT Nothing\n1\n").await.1, 73);
    assert_eq!(count(&server).await, 0);
    server.sql("INSERT INTO pairs FORMAT TSV\n1\tx\n").await;
    assert_eq!(count(&server).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_in_mid_insert_stores_nothing() {
    let server = Server::start(&["--pool-size", "2"]);
    table(&server).await;
    for _ in 0..4 {
        let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", server.port())).await.unwrap();
        let head = "POST /?query=INSERT+INTO+pairs+FORMAT+TSV HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all("1\tx\n".repeat(500_000).as_bytes()).await.unwrap();
        drop(stream);
    }
    // The official client, too, drops its insert without ending it.
    let client = server.client();
    let mut insert = client.insert::<Pair>("pairs").await.unwrap();
    for n in 0..100_000 {
        insert.write(&Pair { n, text: "lost".to_owned() }).await.unwrap();
    }
    drop(insert);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(count(&server).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_insert_with_its_token_is_stored_once() {
    let server = Server::start(&[]);
    server
        .sql("CREATE TABLE pairs (n UInt64, text String) ENGINE = MergeTree ORDER BY n SETTINGS non_replicated_deduplication_window = 100")
        .await;
    let client = server.client();
    for token in ["one", "one", "two", "one"] {
        let mut insert =
            client.insert::<Pair>("pairs").await.unwrap().with_setting("insert_deduplication_token", token);
        insert.write(&Pair { n: 1, text: "same".to_owned() }).await.unwrap();
        insert.end().await.unwrap();
    }
    assert_eq!(count(&server).await, 2);
    for _ in 0..2 {
        server
            .sql("INSERT INTO pairs SETTINGS insert_deduplication_token = 'three' FORMAT TSV\n1\tsame\n")
            .await;
    }
    assert_eq!(count(&server).await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn sixteen_clients_write_and_read_at_once() {
    let server = Server::start(&["--pool-size", "4"]);
    table(&server).await;
    let tasks: Vec<_> = (0..16_u64)
        .map(|client_number| {
            let client = server.client();
            tokio::spawn(async move {
                for batch in 0..5_u64 {
                    let mut insert = client.insert::<Pair>("pairs").await.unwrap();
                    for row in 0..200_u64 {
                        let n = client_number * 1_000_000 + batch * 1_000 + row;
                        insert.write(&Pair { n, text: n.to_string() }).await.unwrap();
                    }
                    insert.end().await.unwrap();
                    let first = client_number * 1_000_000;
                    let seen: u64 = client
                        .query("SELECT count() FROM pairs WHERE n >= ? AND n < ?")
                        .bind(first)
                        .bind(first + 1_000_000)
                        .fetch_one()
                        .await
                        .unwrap();
                    assert_eq!(seen, (batch + 1) * 200);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(count(&server).await, 16_000);
    assert_eq!(server.sql("SELECT countIf(toString(n) != text) FROM pairs").await, "0\n");
}
