//! Every column type of a log table, in and out, through the official client.

use clickhouse::Row;
use serde::{Deserialize, Serialize};

use super::harness::Server;

const TABLE: &str = "CREATE TABLE logs (
    id FixedString(26), name String, model LowCardinality(String), status Nullable(UInt16), tokens Nullable(UInt32),
    total Nullable(UInt64), delta Nullable(Int64), ok Bool, step UInt8, at DateTime('UTC'), at_ms DateTime64(3, 'UTC'),
    cost Decimal(38, 18), cost_maybe Nullable(Decimal(38, 18)), kind Enum8('consume' = 1, 'error' = -2),
    labels Map(LowCardinality(String), String), tags Array(String), request UUID, score Float64, hash UInt128
) ENGINE = MergeTree ORDER BY id";

#[derive(Debug, Clone, PartialEq, Row, Serialize, Deserialize)]
struct Log {
    id: [u8; 26],
    name: String,
    model: String,
    status: Option<u16>,
    tokens: Option<u32>,
    total: Option<u64>,
    delta: Option<i64>,
    ok: bool,
    step: u8,
    at: u32,
    at_ms: i64,
    cost: i128,
    cost_maybe: Option<i128>,
    kind: i8,
    labels: Vec<(String, String)>,
    tags: Vec<String>,
    request: (u64, u64),
    score: f64,
    hash: u128,
}

fn log(number: u8, full: bool) -> Log {
    Log {
        id: [b'A' + number; 26],
        name: "semi;colon 'quote' \"double\" `tick` \\ \0 nul \n ünï 🎈".to_owned(),
        model: "gpt-4o".to_owned(),
        status: full.then_some(u16::MAX),
        tokens: full.then_some(u32::MAX),
        total: full.then_some(u64::MAX),
        delta: full.then_some(i64::MIN),
        ok: full,
        step: 255,
        at: 4_000_000_000,
        at_ms: 1_700_000_000_123,
        cost: if full { 5_385_000_000_000_000 } else { -10_i128.pow(37) },
        cost_maybe: full.then_some(1),
        kind: if full { 1 } else { -2 },
        labels: if full {
            vec![("team;".to_owned(), "a'b".to_owned()), ("x".to_owned(), String::new())]
        } else {
            vec![]
        },
        tags: if full { vec!["a;b".to_owned(), String::new()] } else { vec![] },
        request: (u64::MAX, 7),
        score: -0.125,
        hash: u128::MAX - u128::from(number),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_of_a_log_table_comes_back_as_it_went_in() {
    let server = Server::start(&[]);
    let client = server.client();
    client.query(TABLE).execute().await.unwrap();
    let rows = [log(0, true), log(1, false), log(2, true)];
    let mut insert = client.insert::<Log>("logs").await.unwrap();
    for row in &rows {
        insert.write(row).await.unwrap();
    }
    insert.end().await.unwrap();
    let back = client.query("SELECT ?fields FROM logs ORDER BY id").fetch_all::<Log>().await.unwrap();
    assert_eq!(back, rows);
    let text = server.sql("SELECT cost, cost_maybe, kind, at_ms FROM logs ORDER BY id LIMIT 2").await;
    assert_eq!(
        text,
        "0.005385\t0.000000000000000001\tconsume\t2023-11-14 22:13:20.123\n\
         -10000000000000000000\t\\N\terror\t2023-11-14 22:13:20.123\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn any_bytes_are_stored_and_given_back() {
    let server = Server::start(&[]);
    server.sql("CREATE TABLE bytes (n UInt32, data String) ENGINE = MergeTree ORDER BY n").await;
    let values: Vec<Vec<u8>> = vec![
        b";".to_vec(),
        b"'; DROP TABLE bytes; --".to_vec(),
        vec![0, 1, 2, 0xff, 0xfe, 0x80, b';', b'\n', b'\\'],
        (0..=255).collect(),
        Vec::new(),
    ];
    let mut body = Vec::new();
    for (number, value) in values.iter().enumerate() {
        body.extend_from_slice(&u32::try_from(number).unwrap().to_le_bytes());
        let size = value.len();
        body.extend(if size < 128 {
            vec![u8::try_from(size).unwrap()]
        } else {
            vec![u8::try_from(size & 0x7f).unwrap() | 0x80, u8::try_from(size >> 7).unwrap()]
        });
        body.extend_from_slice(value);
    }
    let expected = body.clone();
    // The statement in the URL and the data in the body, and both in the body.
    let statement = "INSERT INTO bytes FORMAT RowBinary";
    assert!(server.post(&[("query", statement)], body.clone()).await.status().is_success());
    let both = [statement.as_bytes(), b"\n", body.as_slice()].concat();
    assert!(server.post(&[], both).await.status().is_success());
    let back =
        server.post(&[], b"SELECT DISTINCT n, data FROM bytes ORDER BY n FORMAT RowBinary".to_vec()).await;
    assert_eq!(back.bytes().await.unwrap(), expected);
    assert_eq!(server.sql("SELECT count() FROM bytes").await, "10\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_strings_stay_values() {
    let server = Server::start(&[]);
    let client = server.client();
    for hostile in
        ["'; DROP TABLE x; --", "\\", "\\'", "a\tb\nc", "{x:String}", "%s ? ??", "\u{0}", "`", "/* */"]
    {
        let bound: String = client.query("SELECT ?").bind(hostile).fetch_one().await.unwrap();
        assert_eq!(bound, hostile);
        let parameter: String =
            client.query("SELECT {x:String}").param("x", hostile).fetch_one().await.unwrap();
        assert_eq!(parameter, hostile);
    }
    let (number, list) = ("18446744073709551615", "['a','b;']");
    let query = [("param_n", number), ("param_l", list)];
    assert_eq!(
        server.sql_with(&query, "SELECT {n:UInt64}, {l:Array(String)}").await,
        format!("{number}\t{list}\n")
    );
    assert_eq!(server.fails(&[], "SELECT {missing:String}").await.1, 456);
    // Also where the statement is an insert or a write.
    server.sql("CREATE TABLE p (s String) ENGINE = MergeTree ORDER BY s").await;
    server.sql_with(&[("param_s", "a'b")], "INSERT INTO p SELECT {s:String}").await;
    server.sql_with(&[("param_t", "p")], "INSERT INTO {t:Identifier} FORMAT TSV\nsecond\n").await;
    assert_eq!(server.sql("SELECT s FROM p ORDER BY s").await, "a\\'b\nsecond\n");
}
