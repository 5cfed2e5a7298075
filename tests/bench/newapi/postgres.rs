//! PostgreSQL with new-api's own table and indexes.

use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt, pin_mut};
use harness::{NewApiVolume, System};
use tempfile::TempDir;
use tokio::time::sleep;
use tokio_postgres::{Client, Config, NoTls};
use weir_event::Scope;
use weir_local::{ClickHouse, Weir, free_address};

const START_LIMIT: Duration = Duration::from_mins(1);
/// The server refuses to be root.
const USER: &str = "postgres";

/// What a table of this size is usually given on such a machine; the defaults are for far smaller ones. The rows are gone
/// after the benchmark, so nothing waits for the disk.
const SETTINGS: [&str; 7] = [
    "shared_buffers=4GB",
    "effective_cache_size=12GB",
    "work_mem=64MB",
    "maintenance_work_mem=1GB",
    "max_wal_size=8GB",
    "fsync=off",
    "listen_addresses=127.0.0.1",
];

const TABLE: &str = r#"CREATE TABLE logs (
    id bigserial PRIMARY KEY, user_id bigint, created_at bigint, type bigint, content text, username text DEFAULT '',
    token_name text DEFAULT '', model_name text DEFAULT '', quota bigint DEFAULT 0, prompt_tokens bigint DEFAULT 0,
    completion_tokens bigint DEFAULT 0, use_time bigint DEFAULT 0, is_stream boolean, channel_id bigint,
    token_id bigint DEFAULT 0, "group" text, ip text DEFAULT '', request_id varchar(64) DEFAULT '',
    upstream_request_id varchar(128) DEFAULT '', other text)"#;

/// All that new-api makes.
const INDEXES: [&str; 14] = [
    "created_at, id",
    "user_id, id",
    "created_at, type",
    "model_name, username",
    "user_id",
    "username",
    "token_name",
    "model_name",
    "channel_id",
    "token_id",
    "\"group\"",
    "ip",
    "request_id",
    "upstream_request_id",
];

/// Weir's rows as new-api has them, in the columns of its table.
const EXPORT: &str = "SELECT toInt64(event_id), toInt64(user_id), toUnixTimestamp(created_at), \
        transform(kind, ['topup', 'consume', 'manage', 'system', 'error'], [1, 2, 3, 4, 5], 0), \
        if(kind = 'error', error, attributes['content']), user_name, token_name, model_requested, quota, \
        ifNull(tokens_in, 0), ifNull(tokens_out, 0), intDiv(ifNull(duration_ms, 0), 1000), streamed, \
        toInt64OrZero(channel_id), toInt64OrZero(token_id), `group`, ip, request_id, '', usage_json \
    FROM logs WHERE account_id = {account_id:String} AND gateway_id = {gateway_id:String} ORDER BY created_at, id \
    FORMAT TabSeparated";

/// A server of its own, which ends with it.
pub(crate) struct Postgres {
    server: Child,
    config: Config,
    // Last, so that the server is gone before its files.
    _dir: TempDir,
}

impl Postgres {
    /// Starts an empty server.
    pub(crate) async fn start() -> Self {
        let programs = programs();
        let dir = TempDir::new().unwrap();
        let data = dir.path().join("data");
        std::fs::create_dir(&data).unwrap();
        let owner = Owner::find();
        for path in [dir.path(), &data] {
            owner.give(path);
        }
        let mut initdb = owner.command(&programs.join("initdb"));
        initdb
            .args(["--auth=trust", "--encoding=UTF8", "--locale=C", "--username", USER, "--pgdata"])
            .arg(&data);
        assert!(initdb.stdout(Stdio::null()).status().unwrap().success());
        let address = free_address().unwrap();
        let mut server = owner.command(&programs.join("postgres"));
        server.arg("-D").arg(&data).arg("-p").arg(address.port().to_string()).arg("-k").arg(dir.path());
        for setting in SETTINGS {
            server.args(["-c", setting]);
        }
        let server = server.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut config = Config::new();
        config.host(address.ip().to_string()).port(address.port()).user(USER).dbname(USER);
        let begun = Instant::now();
        while config.connect(NoTls).await.is_err() {
            assert!(begun.elapsed() < START_LIMIT, "postgresql does not start");
            sleep(Duration::from_millis(50)).await;
        }
        Self { server, config, _dir: dir }
    }

    /// A connection, which is kept.
    pub(crate) async fn connect(&self) -> Client {
        let (client, connection) = self.config.connect(NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }

    /// Takes over Weir's rows, then makes the indexes.
    pub(crate) async fn fill(&self, system: &System) {
        let client = self.connect().await;
        client.batch_execute(TABLE).await.unwrap();
        let ClickHouse { url, user, password, .. } = &system.weir.clickhouse;
        let Scope { account_id, gateway_id } = NewApiVolume::scope();
        let rows = system
            .http
            .post(url)
            .timeout(Duration::from_mins(30))
            .query(&[("database", Weir::DATABASE)])
            .query(&[("param_account_id", account_id.as_str()), ("param_gateway_id", gateway_id.as_str())])
            .basic_auth(user, Some(password))
            .body(EXPORT);
        let mut rows = rows.send().await.unwrap().error_for_status().unwrap().bytes_stream();
        let table = client.copy_in("COPY logs FROM STDIN").await.unwrap();
        pin_mut!(table);
        while let Some(piece) = rows.next().await {
            table.send(piece.unwrap()).await.unwrap();
        }
        table.finish().await.unwrap();
        for columns in INDEXES {
            client.batch_execute(&format!("CREATE INDEX ON logs ({columns})")).await.unwrap();
        }
        client.batch_execute("VACUUM (ANALYZE) logs").await.unwrap();
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Nothing of it is needed any more, however it ends.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Who the server runs as.
struct Owner(Option<(u32, u32)>);

impl Owner {
    /// Ourselves, unless we are root.
    fn find() -> Self {
        let number = |option: &str, user: &[&str]| -> u32 {
            let output = Command::new("id").arg(option).args(user).output().unwrap();
            String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
        };
        Self((number("-u", &[]) == 0).then(|| (number("-u", &[USER]), number("-g", &[USER]))))
    }

    fn give(&self, path: &Path) {
        if let Some((user, group)) = self.0 {
            chown(path, Some(user), Some(group)).unwrap();
        }
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        if let Some((user, group)) = self.0 {
            command.uid(user).gid(group);
        }
        command.current_dir("/");
        command
    }
}

/// Where Debian has them: of several versions the newest.
fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").expect("postgresql is not installed");
    let version = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().parse::<u32>().ok();
    let newest = versions
        .map(|entry| entry.unwrap().path())
        .filter(|path| version(path).is_some())
        .max_by_key(version);
    newest.expect("postgresql is not installed").join("bin")
}
