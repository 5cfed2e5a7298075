//! Who sees whose rows: every path, asked by every kind of caller, with whatever parameters.
//!
//! Each row has a model and a quota that are of its user alone, so lists, hours and sums all tell whose rows they are made of. The
//! other tenant has a user of the same number and name.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use serde_json::Value;
use weir_store::LogRow;

use super::DIALECTS;
use super::callers::{OTHER_TENANT, TENANT, key, user, with_user};
use crate::query_api::rows::{STARTED_AT, id_of, seed_row};
use crate::query_api::world::{TOKEN, World};

/// Whose rows are seen where all of a tenant are listed, where one's own are, and where those of a key are. `-` is nobody's.
const MATRIX: &str = "
caller        all              own    key
nobody        -                -      -
stranger      -                -      -
operator      -                -      -
alice         -                alice  -
bob           -                bob    -
admin         alice,bob,admin  admin  -
root          alice,bob,admin  -      -
banned        -                -      -
other-admin   other            other  -
key-of-alice  -                -      alice
disabled-key  -                -      -
";

/// Users with rows, what the rows of each have, and their quota.
const OWNERS: [(&str, &str, &str, &str, i64); 4] = [
    ("alice", "gw", "1", "alice", 1),
    ("bob", "gw", "2", "bob", 10),
    ("admin", "gw", "3", "carol", 100),
    ("other", "other", "1", "alice", 1_000),
];
const KEY: &str = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKL";
const DISABLED_KEY: &str = "bbcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKL";

/// A week around the rows, in seconds since 1970.
const WEEK: &str = "start_timestamp=1727400000&end_timestamp=1728000000";
/// Paths by column, with a parameter each that they need.
const PATHS: [(&str, &str, &str); 11] = [
    ("all", "/api/log/", ""),
    ("all", "/api/log/search", "keyword=2"),
    ("all", "/api/log/stat", ""),
    ("all", "/api/data/", WEEK),
    ("own", "/api/log/self", ""),
    ("own", "/api/log/self/search", "keyword=2"),
    ("own", "/api/log/self/stat", ""),
    ("own", "/api/data/self", WEEK),
    ("own", "/api/user/self", ""),
    ("key", "/api/log/token", ""),
    ("key", "/v1/dashboard/billing/usage", ""),
];
/// What callers may try besides.
const TRIED: [&str; 16] = [
    "",
    "username=bob",
    "username=alice",
    "username=%25",
    "username=",
    "user_id=2",
    "id=2",
    "token_id=2",
    "model_name=mark-of-bob",
    "model_name=%25",
    "p=-1&page_size=-1",
    "p=2&page_size=1",
    "account_id=acc&gateway_id=other",
    "group=%27+OR+1=1",
    "channel=1&type=2",
    "username=bob&username=alice",
];

/// The headers of a caller.
type Headers = Vec<(&'static str, String)>;

async fn callers(world: &World) -> BTreeMap<&'static str, Headers> {
    let as_user = |token: &str, id: &str| {
        vec![("authorization", format!("Bearer {token}")), ("new-api-user", id.to_owned())]
    };
    let bearer = |token: &str| vec![("authorization", format!("Bearer {token}"))];
    let mut callers = BTreeMap::from([
        ("nobody", Vec::new()),
        ("stranger", as_user("stranger", "1")),
        ("operator", as_user(TOKEN, "1")),
        ("key-of-alice", bearer(KEY)),
        ("disabled-key", bearer(DISABLED_KEY)),
    ]);
    for (caller, tenant, id, name, role) in [
        ("alice", TENANT, "1", "alice", "common"),
        ("bob", TENANT, "2", "bob", "common"),
        ("admin", TENANT, "3", "carol", "admin"),
        ("root", TENANT, "4", "dave", "root"),
        ("banned", TENANT, "5", "eve", "root"),
        ("other-admin", OTHER_TENANT, "1", "alice", "admin"),
    ] {
        let token = user(world, tenant, id, name, role).await;
        callers.insert(caller, as_user(&token, id));
    }
    with_user(world, "disable", "5", &[]).await;
    key(world, KEY, &["--token-id", "1"]).await;
    let disabled = key(world, DISABLED_KEY, &["--token-id", "2"]).await;
    world.succeeded(&["keys", "disable", &disabled]).await;
    callers
}

fn rows() -> Vec<LogRow<'static>> {
    let row = |(owner, gateway, id, name, quota): &(
        &'static str,
        &'static str,
        &'static str,
        &'static str,
        i64,
    )| {
        let mark: &'static str = format!("mark-of-{owner}").leak();
        LogRow {
            account_id: "acc",
            gateway_id: gateway,
            id: id_of(STARTED_AT, mark).bytes(),
            dialect: "new_api_log",
            model: mark,
            model_requested: mark,
            user_id: id,
            user_name: name,
            token_id: id,
            kind: "consume",
            quota: Some(*quota),
            ..seed_row()
        }
    };
    OWNERS.iter().map(row).collect()
}

/// Whose rows an answer is made of: by their models, and by the digits of a sum of their quotas.
fn seen(text: &str) -> BTreeSet<&'static str> {
    let answer: Value = serde_json::from_str(text).unwrap();
    let data = &answer["data"];
    // In cents: 5,000 of a quota are one.
    let cents = answer["total_usage"].as_f64().map(|cents| format!("{:.0}", cents * 5_000.0));
    let sum = data["quota"].as_i64().filter(|_| data["rpm"].is_i64()).or(data["used_quota"].as_i64());
    let digits = cents.or(sum.map(|sum| sum.to_string())).unwrap_or_default();
    let is_in_sum = |quota: i64| {
        let place = quota.to_string().len();
        digits.len() >= place && digits.as_bytes()[digits.len() - place] == b'1'
    };
    let found = OWNERS
        .iter()
        .filter(|(owner, _, _, _, quota)| text.contains(&format!("mark-of-{owner}")) || is_in_sum(*quota));
    found.map(|(owner, ..)| *owner).collect()
}

#[tokio::test]
async fn nobody_sees_rows_of_another_by_any_path_or_parameter() {
    for dialect in DIALECTS {
        let world = World::start_with(&[("WEIR_QUERY_API_NEW_API_DIALECT", dialect)]).await;
        world.insert_logs(&rows()).await;
        let callers = callers(&world).await;
        let mut lines = MATRIX.trim().lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let titles = lines.next().unwrap();
        let matrix: Vec<_> = lines.collect();
        assert_eq!(matrix.len(), callers.len(), "each caller has a line");
        let asked = matrix.iter().flat_map(|line| PATHS.map(|path| (line, path))).map(
            async |(line, (column, path, needed))| {
                let headers: Vec<_> =
                    callers[line[0]].iter().map(|(name, value)| (*name, &**value)).collect();
                let cell = line[titles.iter().position(|title| *title == column).unwrap()];
                let allowed: BTreeSet<_> = cell.split(',').filter(|owner| *owner != "-").collect();
                for tried in TRIED {
                    let answer = world.ask("GET", &format!("{path}?{needed}&{tried}"), &headers).await;
                    let seen = seen(&answer.text);
                    let what = format!("{dialect}: {} asks {path}?{tried}: {}", line[0], answer.text);
                    assert!(seen.is_subset(&allowed), "{what}");
                    // 1.0 has no search, and an old version has no key but in a parameter.
                    let is_told = tried.is_empty()
                        && !(dialect == "upstream-1.0" && path.ends_with("/search"))
                        && !(dialect == "upstream-0.9" && path == "/api/log/token");
                    assert!(!is_told || seen == allowed, "{what}");
                }
            },
        );
        join_all(asked).await;
    }
}
