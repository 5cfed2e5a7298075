//! What belongs to a request, and what belongs to a session.

use std::time::Duration;

use super::harness::Server;

const THREADS: &str = "SELECT getSetting('max_threads')";

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_request_is_left_for_the_next() {
    let server = Server::start(&["--pool-size", "1"]);
    server.sql("CREATE DATABASE other").await;
    let usual = server.sql(THREADS).await;
    assert_eq!(server.sql_with(&[("max_threads", "77"), ("database", "other")], THREADS).await, "77\n");
    assert_eq!(server.sql(THREADS).await, usual);
    for statement in ["SET max_threads = 77", "USE other", "CREATE TEMPORARY TABLE mine (n UInt8)"] {
        server.sql(statement).await;
    }
    // Also when the request fails, before or in its statement.
    server.fails(&[("max_threads", "77")], "SELECT nothing").await;
    server.fails(&[("max_threads", "77"), ("no_such_setting", "1")], "SELECT 1").await;
    server.fails(&[("max_threads", "77")], "INSERT INTO nothing FORMAT TSV\n1\n").await;
    assert_eq!(server.sql(THREADS).await, usual);
    assert_eq!(server.sql("SELECT currentDatabase()").await, "default\n");
    assert_eq!(server.fails(&[], "SELECT * FROM mine").await.1, 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_keeps_what_its_statements_set() {
    let server = Server::start(&[]);
    let session = ("session_id", "s 1");
    server.sql("CREATE DATABASE other").await;
    server.sql_with(&[session], "SET max_threads = 33").await;
    server.sql_with(&[session], "CREATE TEMPORARY TABLE mine (n UInt8)").await;
    server.sql_with(&[session], "INSERT INTO mine VALUES (7)").await;
    assert_eq!(server.sql_with(&[session], "SELECT n FROM mine").await, "7\n");
    // What the URL sets is for its request alone.
    let query = [session, ("max_threads", "5"), ("max_block_size", "1000"), ("database", "other")];
    let all = "SELECT getSetting('max_threads'), getSetting('max_block_size'), currentDatabase()";
    assert_eq!(server.sql_with(&query, all).await, "5\t1000\tother\n");
    assert_eq!(server.sql_with(&[session], all).await, "33\t65409\tdefault\n");
    server.fails(&[session, ("max_threads", "5"), ("no_such_setting", "1")], "SELECT 1").await;
    server.fails(&[session, ("max_threads", "5")], "SELECT nothing").await;
    assert_eq!(server.sql_with(&[session], THREADS).await, "33\n");
    assert_eq!(server.fails(&[("session_id", "s 2")], "SELECT n FROM mine").await.1, 60);
    assert_eq!(server.fails(&[], "SELECT n FROM mine").await.1, 60);
    let closing = [session, ("close_session", "1")];
    assert_eq!(server.sql_with(&closing, "SELECT n FROM mine").await, "7\n");
    assert_eq!(server.fails(&[session, ("session_check", "1")], "SELECT 1").await.1, 372);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_runs_one_statement_at_a_time() {
    let server = Server::start(&[]);
    let slow = server.sql_with(&[("session_id", "busy")], "SELECT sleep(1)");
    let meanwhile = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        server.fails(&[("session_id", "busy")], "SELECT 1").await
    };
    let (_, (status, code, text)) = tokio::join!(slow, meanwhile);
    assert_eq!((status, code), (500, 373), "{text}");
    assert_eq!(server.sql_with(&[("session_id", "busy")], "SELECT 1").await, "1\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_session_ends() {
    let server = Server::start(&[]);
    server.sql_with(&[("session_id", "short"), ("session_timeout", "1")], "SELECT 1").await;
    assert_eq!(
        server
            .sql_with(
                &[("session_id", "short"), ("session_timeout", "1"), ("session_check", "1")],
                "SELECT 1"
            )
            .await,
        "1\n"
    );
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!(server.fails(&[("session_id", "short"), ("session_check", "1")], "SELECT 1").await.1, 372);
    assert_eq!(server.fails(&[("session_id", "x"), ("session_timeout", "99999")], "SELECT 1").await.1, 374);
}
