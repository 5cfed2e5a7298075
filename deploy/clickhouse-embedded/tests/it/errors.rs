//! Errors: codes, statuses, refusals.

use weir_clickhouse_embedded::exception::Code;

use super::harness::{PASSWORD, Server, failure};

#[tokio::test(flavor = "multi_thread")]
async fn error_codes_are_numbered_as_the_engine_numbers_them() {
    let server = Server::start(&[]);
    for code in Code::all() {
        let (number, name) = code.number_and_name();
        assert_eq!(server.sql(&format!("SELECT errorCodeToName({number})")).await.trim(), name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_class_of_error_has_the_status_of_a_server() {
    let server = Server::start(&[]);
    for (query, statement, status, code) in [
        (&[][..], "SELEC 1", 400, 62),
        (&[], "SELECT", 400, 62),
        (&[], "", 400, 62),
        (&[], "exit", 400, 62),
        (&[], "SELECT 1; SELECT 2", 400, 62),
        (&[], "SELECT * FROM nothing", 404, 60),
        (&[], "SELECT nothing", 404, 47),
        (&[], "SELECT no_such_function()", 404, 46),
        (&[], "SELECT 1 FORMAT Nothing", 404, 73),
        (&[("default_format", "Nothing")], "SELECT 1", 404, 73),
        (&[("default_format", "TSV INTO OUTFILE 'x'")], "SELECT 1", 400, 36),
        (&[("database", "nothing")], "SELECT 1", 404, 81),
        (&[("no_such_setting", "1")], "SELECT 1", 404, 115),
        (&[("max_threads", "many")], "SELECT 1", 400, 27),
        (&[("a'b", "1")], "SELECT 1", 404, 115),
        (
            &[("max_execution_time", "0.1")],
            "SELECT count() FROM system.numbers WHERE NOT ignore(number)",
            408,
            159,
        ),
        (&[("role", "x")], "SELECT 1", 404, 511),
        (&[], "SELECT 1 INTO OUTFILE '/tmp/x'", 500, 358),
        (&[], "INSERT INTO t FROM INFILE '/etc/passwd' FORMAT TSV", 500, 358),
        (&[("session_id", "s"), ("session_check", "1")], "SELECT 1", 500, 372),
    ] {
        let (found_status, found_code, text) = server.fails(query, statement).await;
        assert_eq!((found_status, found_code), (status, code), "{query:?} {statement}: {text}");
        assert!(text.ends_with("(official build))\n") && text.contains("(version 26."), "{text}");
    }
    assert_eq!(server.sql("SELECT 1").await, "1\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn get_reads_and_does_not_write() {
    let server = Server::start(&[]);
    server.sql("CREATE TABLE t (n UInt8) ENGINE = MergeTree ORDER BY n").await;
    for statement in [
        "INSERT INTO t VALUES (1)",
        "INSERT INTO t SELECT 1",
        "DROP TABLE t",
        "CREATE TEMPORARY TABLE x (n UInt8)",
        "SYSTEM FLUSH LOGS",
        "KILL QUERY WHERE 1",
        "INSERT INTO FUNCTION null('n UInt8') SELECT 1",
    ] {
        let (status, code, text) = failure(server.get(&[("query", statement)]).await).await;
        assert_eq!((status, code), (500, 164), "{statement}: {text}");
    }
    assert_eq!(server.get(&[("query", "SELECT count() FROM t")]).await.text().await.unwrap(), "0\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_right_password_opens() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("{PASSWORD}\n")).unwrap();
    let server = Server::start(&["--user", "weir", "--password-file", file.path().to_str().unwrap()]);
    let (status, code, text) = server.fails(&[], "SELECT 1").await;
    assert_eq!((status, code), (403, 516));
    assert!(!text.contains(PASSWORD));
    assert_eq!(server.fails(&[("user", "weir"), ("password", "wrong")], "SELECT 1").await.0, 403);
    assert_eq!(server.fails(&[("user", "other"), ("password", PASSWORD)], "SELECT 1").await.0, 403);
    assert_eq!(server.sql_with(&[("user", "weir"), ("password", PASSWORD)], "SELECT 1").await, "1\n");
    let basic = reqwest::Client::new().post(server.url()).basic_auth("weir", Some(PASSWORD)).body("SELECT 2");
    assert_eq!(basic.send().await.unwrap().text().await.unwrap(), "2\n");

    let right = server.client().with_user("weir").with_password(PASSWORD);
    assert_eq!(right.query("SELECT 3").fetch_one::<u8>().await.unwrap(), 3);
    let wrong = server.client().with_user("weir").with_password("wrong");
    let error = wrong.query("SELECT 3").fetch_one::<u8>().await.unwrap_err().to_string();
    assert!(error.contains("Code: 516") && error.contains("AUTHENTICATION_FAILED"), "{error}");
    assert_eq!(reqwest::get(format!("{}ping", server.url())).await.unwrap().status(), 200);
}
