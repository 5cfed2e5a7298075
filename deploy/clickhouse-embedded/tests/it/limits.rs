//! Bounds: memory, and requests at once.

use futures_util::StreamExt;

use super::harness::Server;

#[tokio::test(flavor = "multi_thread")]
async fn memory_stays_bounded_for_large_results() {
    let server = Server::start(&[]);
    let before = server.memory_mib();
    // A million rows of half a kilobyte, as JSON, which is one document.
    let statement = "SELECT number, repeat(toString(number), 80) AS text FROM numbers(1000000) FORMAT JSON";
    // The engine itself holds some blocks of `max_block_size` rows; with small ones what is ours would show.
    let response = server.post(&[("max_block_size", "8192")], statement.as_bytes().to_vec()).await;
    let mut stream = response.bytes_stream();
    let (mut total, mut highest) = (0_u64, 0);
    while let Some(part) = stream.next().await {
        let size = u64::try_from(part.unwrap().len()).unwrap();
        if total / (32 << 20) != (total + size) / (32 << 20) {
            highest = highest.max(server.memory_mib());
        }
        total += size;
    }
    assert!(total > 450 << 20, "{total}");
    assert!(highest < before + 200, "{before} MiB grew to {highest} MiB for {} MiB", total >> 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_stays_bounded_for_large_inserts() {
    let server = Server::start(&[]);
    server.sql("CREATE TABLE wide (n UInt64, text String) ENGINE = MergeTree ORDER BY n").await;
    let before = server.memory_mib();
    let part: Vec<u8> =
        (0..1_000).flat_map(|n| format!("{n}\t{}\n", "wide;".repeat(100)).into_bytes()).collect();
    let parts = futures_util::stream::iter((0..1_000).map(move |_| Ok::<_, std::io::Error>(part.clone())));
    let query = [
        ("query", "INSERT INTO wide FORMAT TSV"),
        ("min_insert_block_size_bytes", "33554432"),
        ("max_insert_block_size", "65536"),
        ("min_insert_block_size_rows", "65536"),
    ];
    let sent = reqwest::Client::new()
        .post(server.url())
        .query(&query)
        .body(reqwest::Body::wrap_stream(parts))
        .send();
    let mut sent = std::pin::pin!(sent);
    let mut highest = 0;
    let response = loop {
        tokio::select! {
            response = &mut sent => break response.unwrap(),
            () = tokio::time::sleep(std::time::Duration::from_millis(20)) => highest = highest.max(server.memory_mib()),
        }
    };
    assert!(response.status().is_success(), "{}", response.text().await.unwrap());
    assert_eq!(server.sql("SELECT count() FROM wide").await, "1000000\n");
    assert!(highest < before + 500, "{before} MiB grew to {highest} MiB for 480 MiB");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_server_says_so_and_recovers() {
    let server = Server::start(&["--pool-size", "1", "--queue-size", "1", "--queue-wait-ms", "300"]);
    let slow = server.sql("SELECT sleep(2)");
    let others = async {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        tokio::join!(server.fails(&[], "SELECT 1"), server.fails(&[], "SELECT 1"))
    };
    let (_, ((status, code, text), (other_status, other_code, _))) = tokio::join!(slow, others);
    assert_eq!((status, code), (503, 202), "{text}");
    assert_eq!((other_status, other_code), (503, 202));
    assert_eq!(server.sql("SELECT 1").await, "1\n");
}
