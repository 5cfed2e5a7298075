//! `ingest import newapi`: rows of new-api's own table come in from a file, each once, whatever the file's form and however
//! often it is tried.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use harness::traffic::now_ms;
use harness::{System, eventually};
use rusqlite::{Connection, params};
use serde_json::{Value, json};
use tempfile::TempDir;
use weir_local::{Installation, Weir, service_variables};

const LIMIT: Duration = Duration::from_mins(2);

/// What new-api writes to SQLite.
const TABLE: &str = r#"CREATE TABLE logs (id integer PRIMARY KEY AUTOINCREMENT, user_id integer, created_at bigint, type integer,
    content text, username text DEFAULT "", token_name text DEFAULT "", model_name text DEFAULT "", quota integer DEFAULT 0,
    prompt_tokens integer DEFAULT 0, completion_tokens integer DEFAULT 0, use_time integer DEFAULT 0, is_stream numeric,
    channel_id integer, channel_name text, token_id integer DEFAULT 0, "group" text, ip text DEFAULT "",
    request_id varchar(64) DEFAULT "", other text)"#;

/// A row that names, texts and charges can be told apart in.
struct Row {
    id: i64,
    kind: i64,
    created_at: i64,
    content: String,
}

impl Row {
    const HEADER: &'static str = "id,user_id,created_at,type,content,username,token_name,model_name,quota,prompt_tokens,\
         completion_tokens,use_time,is_stream,channel_id,channel_name,token_id,group,ip,request_id,other\n";
    const OTHER: &'static str = r#"{"model_ratio":1.25,"cache_tokens":3,"admin_info":{"use_channel":["7"]}}"#;

    fn csv(&self) -> String {
        let Self { id, kind, created_at, content } = self;
        let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
        format!(
            "{id},9,{created_at},{kind},{},\"a, b\",key,gpt-4o,{},10,5,2,{},7,\\N,11,default,,,{}\n",
            quoted(content),
            id * 10,
            if id % 2 == 0 { "t" } else { "f" },
            quoted(Self::OTHER),
        )
    }

    fn json(&self) -> Value {
        let Self { id, kind, created_at, content } = self;
        // SQLite's own JSON has no other truth.
        let is_stream = if id % 3 == 0 { json!(1 - id % 2) } else { json!(id % 2 == 0) };
        json!({
            "id": id, "user_id": 9, "created_at": created_at, "type": kind, "content": content, "username": "a, b",
            "token_name": "key", "model_name": "gpt-4o", "quota": id * 10, "prompt_tokens": 10, "completion_tokens": 5,
            "use_time": 2, "is_stream": is_stream, "channel": 7, "token_id": 11, "group": "default", "ip": "",
            "other": Self::OTHER,
        })
    }
}

/// Rows of every type, with texts that would break a careless reader.
fn rows(count: i64) -> Vec<Row> {
    let ended_at_s = now_ms() / 1_000 - 600;
    let texts = ["", "成功", "a \"quoted\", text\nof two lines", "; DROP TABLE logs", "{\"a\":1}"];
    (1..=count)
        .map(|id| Row {
            id,
            kind: id % 7 + 1,
            created_at: ended_at_s + id % 60,
            content: (*texts.iter().cycle().nth(usize::try_from(id).unwrap()).unwrap()).to_owned(),
        })
        .collect()
}

fn csv(rows: &[Row]) -> String {
    rows.iter().fold(Row::HEADER.to_owned(), |csv, row| csv + &row.csv())
}

fn json_lines(rows: &[Row]) -> String {
    rows.iter().fold(String::new(), |mut lines, row| {
        writeln!(lines, "{}", row.json()).unwrap();
        lines
    })
}

fn sqlite(path: &Path, rows: &[Row]) {
    let mut database = Connection::open(path).unwrap();
    database.execute(TABLE, []).unwrap();
    let transaction = database.transaction().unwrap();
    for Row { id, kind, created_at, content } in rows {
        transaction
            .execute(
                "INSERT INTO logs VALUES (?, 9, ?, ?, ?, 'a, b', 'key', 'gpt-4o', ?, 10, 5, 2, ?, 7, NULL, 11, 'default', '', '', ?)",
                params![id, created_at, kind, content, id * 10, id % 2 == 0, Row::OTHER],
            )
            .unwrap();
    }
    transaction.commit().unwrap();
}

/// A folder with dumps.
struct Dumps(TempDir);

impl Dumps {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        std::fs::write(self.path(name), bytes).unwrap();
        self.path(name)
    }
}

fn command(system: &System, dump: &Path, gateway: &str, args: &[&str]) -> Command {
    let Weir { clickhouse, nats, .. } = &system.weir;
    let mut command = Command::new(Installation::detect().unwrap().binary("ingest").unwrap());
    command.args(["import", "newapi"]).arg(dump).args(["--account", "acc", "--gateway", gateway]).args(args);
    command.envs(service_variables(clickhouse, nats));
    command
}

/// Runs an import. Gives whether it succeeded, what it printed, and what it told on standard error.
fn import(system: &System, dump: &Path, gateway: &str, args: &[&str]) -> (bool, String, String) {
    let Output { status, stdout, stderr } = command(system, dump, gateway, args).output().unwrap();
    (status.success(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// All that the rows of a gateway say, but for what a file's form has no say in.
async fn stored(system: &System, gateway: &str) -> String {
    let columns = "kind, user_name, token_name, model, quota, tokens_in, tokens_out, tokens_cache_read, duration_ms, streamed, \
         channel_id, token_id, error, usage_json, toUnixTimestamp(created_at), event_id";
    let from =
        format!("FROM logs WHERE gateway_id = '{gateway}' AND source = 'import' ORDER BY toUInt64(event_id)");
    system.sql(&format!("SELECT {columns} {from} FORMAT TSV")).await
}

#[tokio::test]
async fn import_reads_every_form_of_a_dump_alike_and_each_row_once() {
    let system = System::start().await;
    let (dumps, rows) = (Dumps::new(), rows(500));
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(csv(&rows).as_bytes()).unwrap();
    sqlite(&dumps.path("one-api.db"), &rows);
    let array: Vec<_> = rows.iter().map(Row::json).collect();
    let files = [
        ("csv", dumps.write("logs.csv", csv(&rows))),
        ("gzip", dumps.write("logs.csv.gz", gzip.finish().unwrap())),
        ("mark", dumps.write("excel.csv", format!("\u{feff}{}", csv(&rows)))),
        ("lines", dumps.write("logs.jsonl", json_lines(&rows))),
        ("array", dumps.write("logs.json", serde_json::to_vec(&array).unwrap())),
        ("sqlite", dumps.path("one-api.db")),
    ];
    for (gateway, file) in &files {
        let (success, out, error) = import(&system, file, gateway, &[]);
        assert!(success, "{gateway}: {out}{error}");
        assert_eq!(out, "500 rows: 500 stored, 0 there already\n", "{gateway}");
        let (success, out, error) = import(&system, file, gateway, &["--from-row", "301"]);
        assert!(success && out == "200 rows: 0 stored, 200 there already\n", "{gateway}: {out}{error}");
    }
    let expected = stored(&system, "csv").await;
    assert_eq!(expected.lines().count(), 500);
    for (gateway, _) in &files[1..] {
        assert_eq!(stored(&system, gateway).await, expected, "{gateway}");
    }
    // Types as new-api writes them: 4 is the system, 5 an error.
    let kinds =
        "SELECT kind, count() FROM logs WHERE gateway_id = 'csv' GROUP BY kind ORDER BY kind FORMAT TSV";
    assert_eq!(
        system.sql(kinds).await,
        "consume\t72\nerror\t71\nlogin\t71\nmanage\t72\nrefund\t71\nsystem\t72\ntopup\t71"
    );
    let documented = import(&system, &files[0].1, "documented", &["--types", "documented"]);
    assert!(documented.0, "{documented:?}");
    let errors = "SELECT count() FROM logs WHERE gateway_id = 'documented' AND kind = 'error'";
    assert_eq!(system.sql(errors).await, "72");

    // Pushed to the same gateway, a row is the one that was imported.
    let url = format!("http://{}/v1/events/acc/csv", system.weir.addresses.ingest);
    let push =
        system.http.post(url).bearer_auth(&system.weir.secrets.ingest_token).body(json_lines(&rows[..3]));
    let tally: Value = push.send().await.unwrap().json().await.unwrap();
    assert_eq!((&tally["stored"], &tally["duplicates"]), (&json!(0), &json!(3)), "{tally}");

    // What is no call is in no statistics.
    let rollups = "SELECT sum(requests), sum(errors) FROM usage_1m FINAL WHERE gateway_id = 'sqlite'";
    eventually(LIMIT, "143\t71".to_owned(), || system.sql(rollups)).await;
    let unbalanced = "SELECT sum(received) - sum(stored) - sum(duplicates) - sum(dead_lettered) - sum(ignored), \
         sum(stored) FROM ledger FINAL WHERE source = 'import'";
    let all = format!("0\t{}", 7 * 500);
    eventually(LIMIT, all, || system.sql(unbalanced)).await;
}

#[tokio::test]
async fn import_keeps_rows_that_cannot_be_read_and_says_what_is_no_dump() {
    let system = System::start().await;
    let dumps = Dumps::new();
    let good = rows(3);
    let mut odd = csv(&good);
    odd += "4,9\n";
    odd += "5,9,yesterday,2,,,,,1,1,1,1,f,7,,11,g,,,\n";
    odd += "6,9,1790000000,2,,,,,1.5,1,1,1,f,7,,11,g,,,\n";
    let mut bytes = odd.into_bytes();
    bytes.extend_from_slice(b"7,9,1780000000,2,\xff\xfe,,,,1,1,1,1,f,7,,11,g,,,\n");
    bytes.extend_from_slice(b"8,9,1780000000,2,last,,,,1,1,1,1,f,7,,11,g,,,\n");
    let file = dumps.write("odd.csv", bytes);
    let (success, out, _) = import(&system, &file, "gw", &[]);
    assert!(!success, "it fails where rows are dead letters");
    assert_eq!(
        out,
        "8 rows: 4 stored, 0 there already, 4 dead letters (ingest dead-letters list --source import)\n"
    );
    let letters = "SELECT position, reason FROM dead_letters FINAL WHERE source = 'import' ORDER BY position FORMAT TSV";
    let letters = system.sql(letters).await;
    let positions: Vec<_> = letters.lines().map(|line| line.split('\t').next().unwrap()).collect();
    assert_eq!(positions, ["4", "5", "6", "7"], "{letters}");
    let kept = system.sql("SELECT countIf(position(raw, '\\xFF\\xFE') > 0) FROM dead_letters FINAL").await;
    assert_eq!(kept, "1", "bytes are kept as they came");

    // Without a name of its own a row may be there twice, and none of them may be lost.
    let nameless = r#"{"type":2,"created_at":1780000000,"quota":7}"#;
    let file = dumps.write("nameless.jsonl", format!("{nameless}\n{nameless}\n"));
    let (success, out, _) = import(&system, &file, "nameless", &[]);
    assert!(!success && out.starts_with("2 rows: 0 stored, 0 there already, 2 dead letters"), "{out}");

    // A quote that is not closed would have the rest of the file read as one row.
    let mut open = csv(&good);
    open += "4,9,1780000000,2,\"open,,,,1,1,1,1,f,7,,11,g,,,\n";
    open += &csv(&rows(20_000))[Row::HEADER.len()..].replace('"', "");
    let file = dumps.write("open.csv", open);
    let limited = ["--ingest-line-bytes-max", "64KiB"];
    let (success, out, error) = import(&system, &file, "open", &limited);
    assert!(!success && out.is_empty() && error.contains("behind row 3"), "{out}{error}");
    assert!(error.contains("is a quote in it not closed?"), "{error}");
    assert_eq!(system.sql("SELECT count() FROM logs WHERE gateway_id = 'open'").await, "3");

    sqlite(&dumps.path("other.db"), &[]);
    Connection::open(dumps.path("other.db")).unwrap().execute("DROP TABLE logs", []).unwrap();
    let header_alone = dumps.write("header.csv", Row::HEADER);
    assert_eq!(import(&system, &header_alone, "gw", &[]).1, "0 rows: 0 stored, 0 there already\n");
    for (file, words) in [
        (dumps.path("missing.csv"), "cannot open"),
        (dumps.0.path().to_owned(), "cannot open"),
        (dumps.write("empty", ""), "it is empty"),
        (dumps.write("names.csv", "id,type\n1,2\n"), "it has no column created_at"),
        (
            dumps.write("nameless.csv", "type,created_at\n2,1790000000\n"),
            "neither a column id nor request_id",
        ),
        (dumps.write("rows.csv", "1,9,1790000000,2\n"), "it has no column type"),
        (dumps.path("other.db"), "it has no table logs"),
        (dumps.write("cut.gz", &b"\x1f\x8b\x08\x00"[..]), "cannot read the file behind row 0"),
    ] {
        let (success, out, error) = import(&system, &file, "gw", &[]);
        assert!(!success && out.is_empty() && error.contains(words), "{words}: {out}{error}");
    }
    assert_eq!(system.sql("SELECT count() FROM logs WHERE gateway_id = 'gw'").await, "4");
}

#[tokio::test]
async fn import_goes_on_after_an_outage_and_again_after_it_was_killed() {
    let system = System::start().await;
    let (dumps, rows) = (Dumps::new(), rows(60_000));
    sqlite(&dumps.path("one-api.db"), &rows);
    let dump = dumps.path("one-api.db");
    let count = "SELECT count(), uniqExact(id), sum(quota) FROM logs";
    let some = async |system: &System| {
        let count: u64 = system.sql("SELECT count() FROM logs").await.parse().unwrap();
        count > 0
    };

    // Killed on its way.
    let mut child =
        command(&system, &dump, "gw", &[]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    eventually(LIMIT, true, || some(&system)).await;
    child.kill().unwrap();
    child.wait().unwrap();

    // Started again, while ClickHouse is killed in the middle of it.
    let child =
        command(&system, &dump, "gw", &[]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    system.weir.clickhouse.service.kill_hard().unwrap();
    system.weir.clickhouse.service.restart(LIMIT).await.unwrap();
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let (out, error) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
    assert!(status.success() && out.starts_with("60000 rows: "), "{out}{error}");
    let quota: i64 = rows.iter().map(|row| row.id * 10).sum();
    assert_eq!(system.sql(count).await, format!("60000\t60000\t{quota}"));
}
