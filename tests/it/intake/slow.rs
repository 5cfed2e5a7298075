//! Senders that come in slowly: they are told so, and give their turn to another.

use std::time::Duration;

use harness::System;
use harness::traffic::record;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::{ENDED_AT, LIMIT, post, taken, tally};

/// Sends the head of a push and then `piece` ten times a second, until the first line of an answer is there.
async fn answer_to_a_dribble(system: &System, length: &str, piece: &[u8]) -> String {
    let stream = TcpStream::connect(system.weir.addresses.ingest).await.unwrap();
    let (mut reader, mut writer) = stream.into_split();
    let token = &system.weir.secrets.ingest_token;
    let head = format!(
        "POST /v1/logpush/acc/gw HTTP/1.1\r\nHost: weir\r\nAuthorization: Bearer {token}\r\n{length}\r\n\r\n"
    );
    writer.write_all(head.as_bytes()).await.unwrap();
    let dribble = async {
        while writer.write_all(piece).await.is_ok() {
            sleep(Duration::from_millis(100)).await;
        }
        std::future::pending().await
    };
    let mut answer = vec![0; "HTTP/1.1 408 Request Timeout".len()];
    let answered = async { timeout(LIMIT, reader.read_exact(&mut answer)).await.unwrap().unwrap() };
    tokio::select! {
        never = dribble => never,
        _ = answered => String::from_utf8(answer).unwrap(),
    }
}

#[tokio::test]
async fn a_sender_that_dribbles_is_told_so_and_its_turn_is_free() {
    let variables = [
        ("WEIR_INGEST_PUSHES_MAX", "1"),
        ("WEIR_INGEST_IDLE_TIMEOUT", "2s"),
        ("WEIR_INGEST_BODY_BYTES_PER_SECOND_MIN", "1KiB"),
        ("WEIR_INGEST_TURN_TIMEOUT", "30s"),
    ];
    let variables = variables.map(|(name, value)| (name, value.to_owned())).to_vec();
    let system = System::start_with(|_| variables).await;
    let length = "Content-Length: 1000000";
    let dribbles: [(&str, &[u8]); 3] =
        [(length, b" "), (length, b""), ("Transfer-Encoding: chunked", b"1\r\n \r\n")];
    for (number, (length, piece)) in (1..).zip(dribbles) {
        let answer = answer_to_a_dribble(&system, length, piece).await;
        assert_eq!(answer, "HTTP/1.1 408 Request Timeout", "{length}");
        // There is one turn: who takes it keeps all others out.
        taken(post(&system, "logpush/acc/gw").body(record(number, ENDED_AT)), tally(1, 1, 0, 0)).await;
    }
    let counted = r#"weir_ingest_pushes_total{result="Refused"} 3"#;
    let metrics = system.metrics_of(&system.weir.ingest).await;
    assert!(metrics.contains(counted), "{metrics}");
    assert_eq!(system.sql("SELECT count() FROM logs").await, "3");
}
