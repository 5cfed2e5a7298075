//! Hostile texts in every parameter of every operation, in the path and in the headers: a text is compared to the letter or
//! refused, nothing of it is SQL, and nothing of it is a failure of ours.

mod weir;

use std::borrow::Cow;

use futures_util::future::join_all;
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use weir_store::LogRow;

use super::rows::{ACCOUNT, GATEWAY, STARTED_AT, id_of, id_text, seed_row};
use super::world::{TOKEN, World};

pub(crate) const HOSTILE: [&str; 22] = [
    "' OR 1=1 --",
    "\\' OR 1=1 --",
    "') OR (1=1",
    "back\\slash\\",
    "tab\tnew\nline\rreturn",
    "nul\0byte",
    "\0",
    "{p2:String} {account_id:String} ? ??",
    "`tick` \"quote\" /* comment */ ; DROP TABLE logs",
    "'; DROP TABLE logs; --",
    "é 名 🦀 \u{202e}\u{feff}",
    "e\u{301}",
    "\\N",
    "NULL",
    "null",
    "true",
    "%25 %",
    "_%",
    ".*|(",
    "[\"a\"]",
    "${jndi:ldap://x}",
    "../../../etc/passwd",
];

/// Texts that are compared: parameters, and keys of filters.
const TEXT_PARAMETERS: [&str; 5] =
    ["model", "provider", "model_type", "request_content_type", "response_content_type"];
const TEXT_KEYS: [&str; 10] = [
    "model",
    "provider",
    "model_type",
    "request_type",
    "request_content_type",
    "response_content_type",
    "event_id",
    "user_agent",
    "metadata.key",
    "metadata.value",
];
/// Those that are numbers, times, words of ours, or ids.
const OTHER_PARAMETERS: [&str; 19] = [
    "page",
    "per_page",
    "order_by",
    "order_by_direction",
    "direction",
    "meta_info",
    "start_date",
    "end_date",
    "success",
    "cached",
    "feedback",
    "min_cost",
    "max_cost",
    "min_duration",
    "max_duration",
    "min_tokens_in",
    "max_tokens_out",
    "min_total_tokens",
    "filters",
];
const OTHER_KEYS: [&str; 9] =
    ["id", "created_at", "success", "cached", "cost", "tokens", "duration", "feedback", "wholesale"];

/// A request line of more than this may be hung up on before it is read.
const LONG_BYTES: usize = 60_000;

/// What a request may be answered with that is not understood.
const REFUSED: [u16; 8] = [400, 401, 403, 404, 405, 414, 429, 431];

fn rows() -> Vec<LogRow<'static>> {
    let of = |(n, text): (i64, &&'static str)| {
        let started_at = STARTED_AT + n;
        LogRow {
            id: id_of(started_at, text).bytes(),
            started_at,
            created_at: started_at + 1,
            model: text,
            provider: text,
            model_type: text,
            request_type: text,
            request_content_type: text,
            response_content_type: text,
            event_id: text,
            user_agent: text,
            metadata: json!({ *text: text }).to_string(),
            metadata_text: vec![(text, Cow::Borrowed(text))],
            ..seed_row()
        }
    };
    (0..).zip(&HOSTILE).map(of).collect()
}

fn is_stream(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    text.split_once("\r\n\r\n").is_some_and(|(head, _)| head.contains("text/event-stream"))
}

fn escaped(text: &str) -> String {
    percent_encode(text.as_bytes(), NON_ALPHANUMERIC).to_string()
}

/// A filter on one key in every form that arrives.
fn forms(key: &str, operator: &str, text: &str) -> [String; 5] {
    let one = json!({ "key": key, "operator": operator, "value": [text] });
    let (key, text) = (escaped(key), escaped(text));
    [
        format!("filters={}", escaped(&json!([one]).to_string())),
        format!("filters={}", escaped(&one.to_string())),
        format!("filters.key={key}&filters.operator={operator}&filters.value={text}"),
        format!("filters.value={text}&filters.key={key}&filters.operator={operator}"),
        format!("filters[0][key]={key}&filters[0][operator]={operator}&filters[0][value][]={text}"),
    ]
}

struct Hostile {
    world: World,
    http: reqwest::Client,
}

impl Hostile {
    async fn start() -> Self {
        // What was hung up on is a stream for a while.
        let room = ("WEIR_QUERY_API_STREAMS_PER_CALLER_MAX", "256");
        let world = World::start_with(&[room]).await;
        world.insert_logs(&rows()).await;
        Self { world, http: reqwest::Client::new() }
    }

    /// The status and the body; of 414 and 431, which HTTP itself answers, there is none.
    async fn get(&self, path: &str, headers: &[(&str, &[u8])]) -> (u16, String) {
        let request = self.http.get(format!("{}{path}", self.world.url));
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// The same over a plain socket, for what no client library sends.
    async fn get_raw(&self, path: &str) -> (u16, String) {
        let address = self.world.url.strip_prefix("http://").unwrap();
        let mut socket = TcpStream::connect(address).await.unwrap();
        let head = format!(
            "GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\nconnection: close\r\n\r\n"
        );
        // The server may answer and hang up before it has read everything.
        let _ = socket.write_all(head.as_bytes()).await;
        let mut answer = Vec::new();
        let mut buffer = vec![0; 1 << 16];
        while let Ok(count @ 1..) = socket.read(&mut buffer).await {
            answer.extend_from_slice(&buffer[..count]);
            // A stream of events has begun, and has no end.
            if answer.starts_with(b"HTTP/1.1 200") && is_stream(&answer) {
                return (200, String::new());
            }
        }
        if answer.is_empty() && path.len() > LONG_BYTES {
            return (414, String::new());
        }
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    async fn list(&self, query: &str) -> (u16, String) {
        let path =
            format!("/client/v4/accounts/{ACCOUNT}/ai-gateway/gateways/{GATEWAY}/logs?per_page=50&{query}");
        self.get(&path, &[("authorization", format!("Bearer {TOKEN}").as_bytes())]).await
    }

    /// The ids that a list has, in any order.
    async fn ids(&self, query: &str) -> Vec<String> {
        let (status, text) = self.list(query).await;
        assert_eq!(status, 200, "{query}: {text}");
        let page: Value = serde_json::from_str(&text).unwrap();
        let id = |entry: &Value| entry["id"].as_str().unwrap().to_owned();
        let mut ids: Vec<_> = page["result"].as_array().unwrap().iter().map(id).collect();
        ids.sort();
        ids
    }

    /// Answered with rows, or refused in the words of an API: never a failure, and never somebody's rows by mistake.
    async fn refuses_or_finds_nothing_odd(&self, path: &str) {
        let (status, text) = self.get_raw(path).await;
        let shown: String = path.chars().take(300).collect();
        // Only NATS or an aggregator that is not there may be told of as missing.
        let is_answer =
            status == 200 || REFUSED.contains(&status) || (status == 503 && text.contains("no aggregator"));
        assert!(is_answer, "{shown}: {status} {text}");
        assert!(text.is_empty() || serde_json::from_str::<Value>(&text).is_ok(), "{shown}: {text}");
        for word in ["DB::Exception", "ClickHouse", "clickhouse", "SELECT"] {
            assert!(!text.contains(word), "{shown}: {text}");
        }
    }

    /// The tables are as they were, and nothing panicked.
    async fn is_unharmed(&self) {
        assert_eq!(self.world.sql("SELECT count(), countDistinct(id) FROM logs").await, "22\t22\n");
        let log = self.world.api.log_tail();
        assert!(!log.contains("panicked") && !log.contains("do not understand each other"), "{log}");
        assert_eq!(self.ids("").await.len(), HOSTILE.len());
    }
}

#[tokio::test]
async fn a_hostile_text_is_compared_to_the_letter_in_every_text_parameter_and_form() {
    let hostile = Hostile::start().await;
    for row in rows() {
        let (text, own) = (row.model, vec![id_text(&row)]);
        for parameter in TEXT_PARAMETERS {
            assert_eq!(
                hostile.ids(&format!("{parameter}={}", escaped(text))).await,
                own,
                "{parameter} {text:?}"
            );
        }
        let others: Vec<_> = {
            let mut ids: Vec<_> = rows().iter().map(id_text).filter(|id| *id != own[0]).collect();
            ids.sort();
            ids
        };
        for key in TEXT_KEYS {
            let asked = forms(key, "eq", text).into_iter().map(async |query| {
                assert_eq!(hostile.ids(&query).await, own, "{key} {text:?}: {query}");
            });
            join_all(asked).await;
            let [query, ..] = forms(key, "neq", text);
            assert_eq!(hostile.ids(&query).await, others, "{key} {text:?}: {query}");
            let [query, ..] = forms(key, "contains", text);
            assert!(hostile.ids(&query).await.contains(&own[0]), "{key} {text:?}: {query}");
        }
        assert!(hostile.ids(&format!("search={}", escaped(text))).await.contains(&own[0]), "{text:?}");
    }
    hostile.is_unharmed().await;
}

#[tokio::test]
async fn a_hostile_text_where_none_belongs_is_refused_or_finds_nothing() {
    let hostile = Hostile::start().await;
    let logs = format!("/client/v4/accounts/{ACCOUNT}/ai-gateway/gateways/{GATEWAY}/logs");
    let long = "é'\\{x:String}".repeat(7_000);
    let medium = "'".repeat(30_000);
    let texts: Vec<String> = HOSTILE
        .iter()
        .map(|text| escaped(text))
        .chain([escaped(&long), medium, "%ff".to_owned(), "%".to_owned(), "+".to_owned()])
        .collect();
    for text in texts.iter().map(String::as_str) {
        let mut paths = Vec::new();
        let parameters = TEXT_PARAMETERS.iter().chain(&OTHER_PARAMETERS);
        paths.extend(parameters.map(|parameter| format!("{logs}?{parameter}={text}")));
        paths.extend(["search", text].map(|parameter| format!("{logs}?{parameter}={text}")));
        for (key, operator, value) in
            OTHER_KEYS.iter().map(|key| (*key, "eq", text)).chain([("model", text, "x"), (text, "eq", "x")])
        {
            paths.push(format!("{logs}?filters.key={key}&filters.operator={operator}&filters.value={value}"));
            paths.push(format!(
                "{logs}?filters[0][key]={key}&filters[0][operator]={operator}&filters[0][value][]={value}"
            ));
        }
        paths.push(format!("{logs}?filters[{text}][key]=model"));
        paths.push(format!("{logs}?filters.{text}=model"));
        for tail in ["", "/request", "/response"] {
            paths.push(format!("{logs}/{text}{tail}?{text}={text}"));
        }
        paths.push(format!("/client/v4/accounts/{text}/ai-gateway/gateways/{GATEWAY}/logs"));
        paths.push(format!("/client/v4/accounts/{ACCOUNT}/ai-gateway/gateways/{text}/logs"));
        paths.push(format!("/client/v4/accounts/{text}/ai-gateway/gateways/{text}/logs/{text}"));
        let day = "from=2024-09-30T00:00:00Z&to=2024-10-01T00:00:00Z";
        paths.push(format!("/v1/live?account_id={text}&gateway_id={text}"));
        paths.push(format!("/v1/live?account_id={ACCOUNT}&gateway_id={GATEWAY}&{text}={text}"));
        paths.push(format!("/v1/budgets?account_id={text}&gateway_id={text}"));
        paths.push(format!("/v1/budgets/{text}?account_id={ACCOUNT}&gateway_id={GATEWAY}"));
        paths.push(format!("/v1/ledger?account_id={text}&{day}"));
        paths.push(format!("/v1/ledger?account_id={ACCOUNT}&{day}&source={text}"));
        paths.push(format!("/v1/ledger?account_id={ACCOUNT}&from={text}&to={text}"));
        paths.push(format!("/{text}"));
        join_all(paths.iter().map(|path| hostile.refuses_or_finds_nothing_odd(path))).await;
    }
    hostile.is_unharmed().await;
}

#[tokio::test]
async fn a_hostile_text_that_is_said_of_a_log_is_kept_to_the_letter_or_refused() {
    let hostile = Hostile::start().await;
    let world = &hostile.world;
    for row in rows() {
        let (id, text) = (id_text(&row), row.model);
        let said = json!({ text: format!("{text}{text}"), "é": "later" });
        let answer = world.patch(&id, &json!({ "metadata": said }).to_string()).await;
        assert_eq!(answer.status, 200, "{text:?}: {}", answer.text);
        let read: Value = serde_json::from_str(&world.logs(&format!("/{id}")).await.text).unwrap();
        let metadata = read["result"]["metadata"].as_str().unwrap();
        assert_eq!(serde_json::from_str::<Value>(metadata).unwrap(), said, "{text:?}");
        let [query, ..] = forms("metadata.value", "eq", &format!("{text}{text}"));
        assert_eq!(hostile.ids(&query).await, vec![id.clone()], "{text:?}");
        // As a body, a value of another field, and an id.
        let quoted = json!(text).to_string();
        let field = |name: &str| format!("{{\"{name}\":{quoted}}}");
        for body in
            [text.to_owned(), field("feedback"), field("score"), field("metadata"), field(&escaped(text))]
        {
            let answer = world.patch(&id, &body).await;
            assert_eq!(answer.status, 400, "{body:?}: {}", answer.text);
        }
        let answer = world.patch(&escaped(text), r#"{"score":1}"#).await;
        assert_eq!(answer.status, 404, "{text:?}: {}", answer.text);
    }
    let id = id_text(&rows()[0]);
    for long in [json!({ "metadata": { "long": "é'\\".repeat(25_000) } }).to_string(), "[".repeat(100_000)] {
        let answer = world.patch(&id, &long).await;
        assert!(matches!(answer.status.as_u16(), 200 | 400 | 413), "{} {}", answer.status, answer.text);
    }
    hostile.is_unharmed().await;
}

#[tokio::test]
async fn a_hostile_header_lets_nobody_in_and_breaks_nothing() {
    let hostile = Hostile::start().await;
    let logs = format!("/client/v4/accounts/{ACCOUNT}/ai-gateway/gateways/{GATEWAY}/logs");
    let good = format!("Bearer {TOKEN}");
    let texts = HOSTILE.iter().map(|text| text.as_bytes().to_vec()).chain([
        "x".repeat(100_000).into_bytes(),
        vec![0xff; 100],
        format!("weir_{}", "0".repeat(100_000)).into_bytes(),
    ]);
    for text in texts.filter(|text| !text.iter().any(|byte| matches!(byte, 0 | b'\n' | b'\r'))) {
        let bearer = [b"Bearer ", &*text].concat();
        for headers in [
            &[("authorization", &*text)][..],
            &[("authorization", &*bearer)],
            &[("x-auth-email", &*text), ("x-auth-key", &*text)],
            &[("x-auth-email", b"a@b"), ("x-auth-key", &*text)],
            &[("authorization", good.as_bytes()), ("x-auth-email", &*text)],
        ] {
            let (status, body) = hostile.get(&logs, headers).await;
            assert!(matches!(status, 401 | 431), "{headers:?}: {status} {body}");
        }
        // What Cloudflare's clients say of themselves means nothing.
        for name in ["user-agent", "api-version", "x-stainless-lang", "x-request-id", "content-type"] {
            let (status, body) =
                hostile.get(&logs, &[("authorization", good.as_bytes()), (name, &*text)]).await;
            assert!(matches!(status, 200 | 431), "{name}: {status} {body}");
        }
    }
    hostile.is_unharmed().await;
}
