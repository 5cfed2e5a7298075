//! Who may do what: every route, asked by every kind of caller, for places of its own and of others.
//!
//! Besides the status, of every answer: who is refused is told so in the words of its dialect and nothing more, for what is
//! there and for what is not, and has changed nothing; who is let in sees rows of the place that was asked for and of no
//! other; and no answer has a token or its hash in it.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use weir_query_api::metrics::Route;
use weir_store::LogRow;

use super::rows::{ACCOUNT, GATEWAY, STARTED_AT, body_of, id_of, id_text, seed_row};
use super::tokens::make;
use super::world::{TOKEN, World};

/// The statuses. `ok` is what the route answers when it is allowed. `own` is `acc/my-gateway`, `beside` another gateway of
/// that account, `account` all of it, and `other` another account's. Who may read `other` may also ask for what is not there.
const MATRIX: &str = "
caller                own/read  own/write  beside/read  beside/write  account  other/read  other/write  other-account
nobody                     401        401          401           401      401         401          401            401
malformed                  401        401          401           401      401         401          401            401
stranger                   401        401          401           401      401         401          401            401
not-one-of-ours            401        401          401           401      401         401          401            401
revoked                    401        401          401           401      401         401          401            401
expired                    401        401          401           401      401         401          401            401
key-alone                  401        401          401           401      401         401          401            401
email-alone                401        401          401           401      401         401          401            401
wrong-email                401        401          401           401      401         401          401            401
key-without-email          401        401          401           401      401         401          401            401
two-credentials            401        401          401           401      401         401          401            401
reads-gateway               ok        403          403           403      403         403          403            403
writes-gateway              ok         ok          403           403      403         403          403            403
reads-beside               403        403           ok           403      403         403          403            403
reads-account               ok        403           ok           403       ok         403          403            403
writes-account              ok         ok           ok            ok       ok         403          403            403
only-writes-account         ok         ok           ok            ok       ok         403          403            403
writes-other               403        403          403           403      403          ok           ok             ok
reads-everyone              ok        403           ok           403       ok          ok          403             ok
writes-everyone             ok         ok           ok            ok       ok          ok           ok             ok
email-and-key               ok        403           ok           403       ok         403          403            403
operator                    ok         ok           ok            ok       ok          ok           ok             ok
";

const UNAUTHENTICATED: &str = r#"{"success":false,"errors":[{"code":10000,"message":"Authentication error"}],"messages":[],"result":null}"#;
const WEIR_401: &str = r#"{"error":{"code":"unauthenticated","message":"who are you?"}}"#;
const WEIR_403: &str = r#"{"error":{"code":"forbidden","message":"you may not do this"}}"#;
/// The column of what is new-api's.
const NEW_API: &str = "new-api";
const BUDGET: &str = r#"{"name": "CALLER", "measure": "cost", "limit": 1, "period": "day"}"#;
const NO_BUDGET: &str = "/v1/budgets/00000000000000000000000000000000?";
const DAY: &str = "from=2024-09-30T00:00:00Z&to=2024-10-01T00:00:00Z";

/// How a route is asked for.
struct Operation {
    route: Route,
    method: &'static str,
    /// Below the logs of a gateway, or a path whose parameters name the place.
    path: Path,
    writes: bool,
    /// With `CALLER` for who sends it.
    body: &'static str,
    /// The status when it is allowed.
    ok: u16,
}

enum Path {
    /// Of Cloudflare's API, with `ID` for the id of a row that is there.
    Logs(&'static str),
    /// Of Weir's, for a gateway.
    Gateway(&'static str),
    /// Of Weir's, for an account.
    Account(&'static str),
    /// Of new-api's API, which has users of its own: nobody here is one.
    NewApi(&'static str),
    /// Of nobody: there is nothing to be refused.
    Free(&'static str),
}

/// The one place that says how each route is asked for: a route that is added does not compile without a line here.
fn operation(route: Route) -> Operation {
    let reads = |path, ok| Operation { route, method: "GET", path, writes: false, body: "", ok };
    let writes = |method, path, body| Operation { route, method, path, writes: true, body, ok: 200 };
    match route {
        Route::CloudflareList => reads(Path::Logs(""), 200),
        Route::CloudflareGet => reads(Path::Logs("/ID"), 200),
        Route::CloudflarePatch => writes("PATCH", Path::Logs("/ID"), r#"{"metadata":{"by":"CALLER"}}"#),
        // Of no log, so that the others find theirs.
        Route::CloudflareDelete => {
            writes("DELETE", Path::Logs("?filters.key=model&filters.operator=eq&filters.value=nobody"), "")
        }
        Route::CloudflareRequest => reads(Path::Logs("/ID/request"), 200),
        Route::CloudflareResponse => reads(Path::Logs("/ID/response"), 200),
        // There is no aggregator.
        Route::Live => reads(Path::Gateway("/v1/live?"), 503),
        Route::LiveStream => reads(Path::Gateway("/v1/live/stream?"), 503),
        Route::Ledger => reads(Path::Account("/v1/ledger?"), 200),
        // Nothing is committed while it lasts.
        Route::Tail => reads(Path::Gateway("/v1/tail?"), 200),
        Route::BudgetList => reads(Path::Gateway("/v1/budgets?"), 200),
        Route::BudgetCreate => Operation { ok: 201, ..writes("POST", Path::Gateway("/v1/budgets?"), BUDGET) },
        // Of no budget: what is done with one is told in a test of its own.
        Route::BudgetGet => reads(Path::Gateway(NO_BUDGET), 404),
        Route::BudgetChange => Operation { ok: 404, ..writes("PUT", Path::Gateway(NO_BUDGET), BUDGET) },
        Route::BudgetDelete => Operation { ok: 404, ..writes("DELETE", Path::Gateway(NO_BUDGET), "") },
        Route::NewApiStatus => reads(Path::Free("/api/status"), 200),
        Route::NewApiUser => reads(Path::NewApi("/api/user/self"), 401),
        Route::NewApiList => reads(Path::NewApi("/api/log/"), 401),
        Route::NewApiStat => reads(Path::NewApi("/api/log/stat"), 401),
        Route::NewApiSearch => reads(Path::NewApi("/api/log/search?keyword=2"), 401),
        Route::NewApiHours => reads(Path::NewApi("/api/data/"), 401),
        Route::NewApiOwnList => reads(Path::NewApi("/api/log/self"), 401),
        Route::NewApiOwnStat => reads(Path::NewApi("/api/log/self/stat"), 401),
        Route::NewApiOwnSearch => reads(Path::NewApi("/api/log/self/search?keyword=2"), 401),
        Route::NewApiOwnHours => reads(Path::NewApi("/api/data/self"), 401),
        // It is documented to say so with success.
        Route::NewApiKeyList => reads(Path::NewApi("/api/log/token?key=nobodys"), 200),
        Route::NewApiSubscription => reads(Path::NewApi("/v1/dashboard/billing/subscription"), 401),
        Route::NewApiBilling => reads(Path::NewApi("/v1/dashboard/billing/usage"), 401),
        Route::NewApiKeyUsage => reads(Path::NewApi("/api/usage/token/"), 401),
        Route::NewApiDelete => {
            Operation { method: "DELETE", ..reads(Path::NewApi("/api/log/?target_timestamp=1"), 401) }
        }
        Route::OpenApi => reads(Path::Free("/openapi.json"), 200),
        Route::Unmatched => reads(Path::Free("/v1/nothing"), 404),
    }
}

/// A tenant with rows that say whose they are.
#[derive(Clone, Copy)]
struct Tenant {
    /// As columns are named.
    name: &'static str,
    account: &'static str,
    gateway: &'static str,
    /// In every row of it and of nobody else.
    mark: &'static str,
}

const TENANTS: [Tenant; 3] = [
    Tenant { name: "own", account: ACCOUNT, gateway: GATEWAY, mark: "mark-of-own" },
    Tenant { name: "beside", account: ACCOUNT, gateway: "beside", mark: "mark-of-beside" },
    Tenant { name: "other", account: "other", gateway: GATEWAY, mark: "mark-of-other" },
];
/// As foreign as `other`, and there is nothing of it.
const ABSENT: Tenant = Tenant { name: "other", account: "absent", gateway: "absent", mark: "" };

fn row_of(tenant: Tenant) -> LogRow<'static> {
    let id = id_of(STARTED_AT, tenant.mark).bytes();
    LogRow {
        account_id: tenant.account,
        gateway_id: tenant.gateway,
        model: tenant.mark,
        metadata: String::new(),
        id,
        ..seed_row()
    }
}

/// The headers of a caller.
type Headers = Vec<(&'static str, String)>;

struct Callers {
    headers: BTreeMap<&'static str, Headers>,
    /// What no answer may have in it.
    secrets: Vec<String>,
}

impl Callers {
    async fn new(world: &World) -> Self {
        let (read, both) = (["--permission", "read"], ["--permission", "read,write"]);
        let account = ["--account", ACCOUNT];
        let make_one = async |parts: &[&[&str]]| make(world, &parts.concat()).await;
        let reads_account = make_one(&[&read, &account]).await.token;
        let with_email = make_one(&[&read, &account, &["--email", "Ops@Example.com"]]).await.token;
        let revoked = make_one(&[&both, &account]).await;
        world.succeeded(&["tokens", "revoke", &revoked.id]).await;
        let bearer = |token: &str| vec![("authorization", format!("Bearer {token}"))];
        let key = |email: &str, token: &str| {
            vec![("x-auth-email", email.to_owned()), ("x-auth-key", token.to_owned())]
        };
        let mut made = vec![revoked.token.clone(), reads_account.clone(), with_email.clone()];
        let mut headers = BTreeMap::from([
            ("nobody", Vec::new()),
            ("malformed", vec![("authorization", format!("Basic {reads_account}"))]),
            ("stranger", bearer(&format!("weir_{}", "0123456789abcdef".repeat(4)))),
            ("not-one-of-ours", bearer("sk-1")),
            ("revoked", bearer(&revoked.token)),
            ("key-alone", vec![("x-auth-key", with_email.clone())]),
            ("email-alone", vec![("x-auth-email", "ops@example.com".to_owned())]),
            ("wrong-email", key("ops@example.org", &with_email)),
            ("key-without-email", key("", &reads_account)),
            ("two-credentials", [bearer(&with_email), key("ops@example.com", &with_email)].concat()),
            ("reads-account", bearer(&reads_account)),
            ("email-and-key", key("opS@examPle.com", &with_email)),
            ("operator", bearer(TOKEN)),
        ]);
        let (own, beside) = (["--gateway", GATEWAY], ["--gateway", "beside"]);
        let grants: [(&str, &[&[&str]]); 9] = [
            ("expired", &[&both, &account, &["--expires", "1ms"]]),
            ("reads-gateway", &[&read, &account, &own]),
            ("writes-gateway", &[&both, &account, &own]),
            ("reads-beside", &[&read, &account, &beside]),
            ("writes-account", &[&both, &account]),
            ("only-writes-account", &[&["--permission", "write"], &account]),
            ("writes-other", &[&both, &["--account", "other"], &["--account", "absent"]]),
            ("reads-everyone", &[&read, &["--all-accounts"]]),
            ("writes-everyone", &[&both, &["--all-accounts"]]),
        ];
        for (name, grant) in grants {
            let token = make_one(grant).await.token;
            headers.insert(name, bearer(&token));
            made.push(token);
        }
        let hashes = world.sql("SELECT sha256 FROM api_tokens").await;
        made.extend(hashes.lines().map(str::to_owned));
        made.push(TOKEN.to_owned());
        Self { headers, secrets: made }
    }
}

/// What is asked, in which column its status stands, and of whom its answer may tell.
struct Question {
    operation: Operation,
    path: String,
    column: String,
    marks: Vec<&'static str>,
    /// Whether there is anything.
    is_absent: bool,
}

/// How a route is asked for of a tenant; nothing where it is not of a tenant.
fn question(route: Route, tenant: Tenant) -> Question {
    let operation = operation(route);
    let Tenant { name, account, gateway, mark } = tenant;
    let way = if operation.writes { "write" } else { "read" };
    let id = if mark.is_empty() { id_text(&seed_row()) } else { id_text(&row_of(tenant)) };
    let (path, column) = match operation.path {
        Path::Logs(tail) => (
            format!(
                "/client/v4/accounts/{account}/ai-gateway/gateways/{gateway}/logs{}",
                tail.replace("ID", &id)
            ),
            format!("{name}/{way}"),
        ),
        Path::Gateway(path) => {
            (format!("{path}account_id={account}&gateway_id={gateway}"), format!("{name}/{way}"))
        }
        Path::Account(path) => {
            let column = if account == ACCOUNT { "account" } else { "other-account" };
            (format!("{path}account_id={account}&{DAY}"), column.to_owned())
        }
        Path::NewApi(path) => (path.to_owned(), NEW_API.to_owned()),
        Path::Free(path) => (path.to_owned(), String::new()),
    };
    let is_absent = mark.is_empty();
    Question { operation, path, column, marks: vec![mark], is_absent }
}

/// The expected statuses by caller and column.
fn matrix() -> BTreeMap<&'static str, BTreeMap<&'static str, &'static str>> {
    let mut lines = MATRIX.trim().lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let titles = lines.next().unwrap();
    let row = |cells: Vec<&'static str>| {
        assert_eq!(cells.len(), titles.len(), "{cells:?}");
        (cells[0], titles.iter().copied().zip(cells).skip(1).collect())
    };
    lines.map(row).collect()
}

#[tokio::test]
async fn every_route_answers_every_caller_as_the_matrix_says() {
    let world = World::start_with(&[("WEIR_QUERY_API_STREAM_TIME_MAX", "100ms")]).await;
    let rows: Vec<_> = TENANTS.into_iter().map(row_of).collect();
    let bodies = rows.iter().map(|row| body_of(row, Some(row.model), Some(row.model)));
    world.insert_bodies(&bodies.collect::<Vec<_>>()).await;
    world.insert_logs(&rows).await;
    let callers = Callers::new(&world).await;
    let matrix = matrix();
    assert!(matrix.keys().eq(callers.headers.keys()), "each caller has a row, and each row a caller");
    for (caller, headers) in &callers.headers {
        let tenants = || TENANTS.into_iter().chain([ABSENT]);
        let questions = Route::ALL.iter().flat_map(|route| tenants().map(|tenant| question(*route, tenant)));
        let asked = questions.map(async |question| {
            let answer = send(&world, &question, (caller, headers)).await;
            check(&question, (caller, &matrix[caller]), &callers.secrets, &answer);
        });
        join_all(asked).await;
        let expected: Vec<_> = TENANTS
            .iter()
            .filter(|tenant| matrix[caller][&*format!("{}/write", tenant.name)] == "ok")
            .collect();
        assert_eq!(written_by(&world, caller).await.len(), expected.len(), "{caller}");
        for Tenant { account, gateway, .. } in expected {
            assert!(written_by(&world, caller).await.contains(&format!("{account}/{gateway}")), "{caller}");
        }
    }
    // Each line of the matrix was about the route that it says.
    let metrics = reqwest::get(format!("{}/metrics", world.ops_url)).await.unwrap().text().await.unwrap();
    for route in Route::ALL {
        let line =
            format!("weir_query_requests_total{{route=\"{route:?}\",status=\"{}\"}}", operation(*route).ok);
        assert!(metrics.contains(&line), "{line} is missing in\n{metrics}");
    }
}

#[tokio::test]
async fn what_is_told_to_nobody_in_particular_needs_no_token() {
    let world = World::start().await;
    world.insert_logs(&[row_of(TENANTS[0])]).await;
    for path in ["/healthz", "/readyz", "/metrics"] {
        let answer = reqwest::get(format!("{}{path}", world.ops_url)).await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        let text = answer.text().await.unwrap();
        assert!(!text.contains(TENANTS[0].mark) && !text.contains(ACCOUNT), "{path}: {text}");
    }
    // The ops listener has nothing else, and what it has is not on the other one.
    for url in [&world.ops_url, &world.url] {
        let logs =
            reqwest::get(format!("{url}/client/v4/accounts/acc/ai-gateway/gateways/x/logs")).await.unwrap();
        assert!(matches!(logs.status().as_u16(), 401 | 404));
    }
    assert_eq!(reqwest::get(format!("{}/metrics", world.url)).await.unwrap().status(), 404);
}

/// Where a caller has changed something.
async fn written_by(world: &World, caller: &str) -> Vec<String> {
    let statement = format!(
        "SELECT concat(account_id, '/', gateway_id) FROM annotations FINAL WHERE value = '{{\"by\":\"{caller}\"}}'"
    );
    world.sql(&statement).await.lines().map(str::to_owned).collect()
}

async fn send(world: &World, question: &Question, (caller, headers): (&str, &Headers)) -> (u16, String) {
    let Operation { method, body, .. } = question.operation;
    let request =
        reqwest::Client::new().request(method.parse().unwrap(), format!("{}{}", world.url, question.path));
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
    let request = if body.is_empty() {
        request
    } else {
        request.header("content-type", "application/json").body(body.replace("CALLER", caller))
    };
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

fn check(
    question: &Question,
    (caller, expected): (&str, &BTreeMap<&str, &str>),
    secrets: &[String],
    (status, text): &(u16, String),
) {
    let Question { operation, path, column, marks, is_absent } = question;
    let asked = format!("{caller} asks for {:?} at {path}", operation.route);
    let is_weir = path.starts_with("/v1");
    let expected = match column.as_str() {
        "" => "ok",
        NEW_API => NEW_API,
        column => expected[column],
    };
    match expected {
        NEW_API => {
            // With a token that is none, or with none.
            let is_refused = text.contains(r#""success":false"#) || text.contains(r#""error":{"#);
            assert!(matches!(status, 200 | 401) && is_refused, "{asked}: {status} {text}");
        }
        "401" => {
            assert_eq!(
                (*status, &**text),
                (401, if is_weir { WEIR_401 } else { UNAUTHENTICATED }),
                "{asked}"
            );
        }
        "403" => {
            assert_eq!(
                (*status, &**text),
                (403, if is_weir { WEIR_403 } else { UNAUTHENTICATED }),
                "{asked}"
            );
        }
        "ok" => {
            // Of what is not there, a list is empty and a log is not found.
            let not_found = *is_absent && !is_weir && operation.ok == 200 && *status == 404;
            assert!(*status == operation.ok || not_found, "{asked}: {status} {text}");
        }
        other => panic!("{other} is no status"),
    }
    for tenant in TENANTS {
        let is_of_it = marks.contains(&tenant.mark) && !column.is_empty() && expected == "ok";
        assert!(is_of_it || !text.contains(tenant.mark), "{asked} and sees {}: {text}", tenant.name);
        let shows = is_of_it && operation.ok == 200 && !operation.writes && !is_weir;
        assert!(!shows || text.contains(tenant.mark), "{asked} and does not see it: {text}");
    }
    for secret in secrets {
        let digits = secret.strip_prefix("weir_").unwrap_or(secret);
        assert!(!text.contains(digits), "{asked}: a secret is in {text}");
    }
    if operation.route == Route::Ledger && expected == "ok" {
        let knows_all = ["operator", "reads-everyone", "writes-everyone"].contains(&caller);
        assert_eq!(text.contains(r#""records":null"#), !knows_all, "{asked}: {text}");
    }
}
