//! Who is let in where new-api is spoken, and what they are told: every line of its tables, for each version of it.

use std::sync::Arc;
use std::time::Duration;

use warp::http::Response;
use warp::hyper::body::Bytes;
use warp::test::request;

use super::fixture::{Fixture, clickhouse_that_fails, nobody, text};
use crate::api::{Dialect, routes};

/// Asks for who it is.
async fn asked(fixture: &Fixture, headers: &[(&str, &str)]) -> Response<Bytes> {
    let request = request().path("/api/user/self");
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    request.reply(&routes(&fixture.app)).await
}

/// A line of a table: what is sent, and the status and message of each dialect, the newest in both of its languages.
struct Line {
    headers: &'static [(&'static str, &'static str)],
    old: (u16, &'static str),
    new: (u16, &'static str),
    english: &'static str,
}

/// Who is let in, and finds no ClickHouse that knows what they used.
const LET_IN: &str = r#""message":"数据库出错，请联系管理员","success":false"#;
const LET_IN_ENGLISH: &str =
    r#""message":"Database error, please contact the administrator","success":false"#;
const UNKNOWN: &str =
    r#""code":"AUTH_UNAUTHORIZED","message":"无权进行此操作，access token 无效","success":false"#;
const UNKNOWN_ENGLISH: &str =
    r#""code":"AUTH_UNAUTHORIZED","message":"Unauthorized, invalid access token","success":false"#;
const OLD_UNKNOWN: &str = r#""message":"无权进行此操作，access token 无效","success":false"#;
const NO_USER: &str = r#""message":"无权进行此操作，未提供 New-Api-User","success":false"#;
const NOT_A_USER: &str = r#""message":"无权进行此操作，New-Api-User 格式错误","success":false"#;
const OTHER_USER: &str = r#""message":"无权进行此操作，New-Api-User 与登录用户不匹配","success":false"#;

#[rustfmt::skip]
const LINES: [Line; 18] = [
    Line {
        headers: &[],
        old: (401, r#""message":"无权进行此操作，未登录且未提供 access token","success":false"#),
        new: (401, UNKNOWN),
        english: UNKNOWN_ENGLISH,
    },
    Line { headers: &[("authorization", "")], old: (401, r#""message":"无权进行此操作，未登录且未提供 access token","success":false"#), new: (401, UNKNOWN), english: UNKNOWN_ENGLISH },
    Line { headers: &[("authorization", "stranger"), ("new-api-user", "2")], old: (200, OLD_UNKNOWN), new: (401, UNKNOWN), english: UNKNOWN_ENGLISH },
    Line { headers: &[("authorization", "stranger")], old: (200, OLD_UNKNOWN), new: (401, UNKNOWN), english: UNKNOWN_ENGLISH },
    Line { headers: &[("authorization", "Basic admin"), ("new-api-user", "2")], old: (200, OLD_UNKNOWN), new: (401, UNKNOWN), english: UNKNOWN_ENGLISH },
    Line { headers: &[("authorization", "Bearer "), ("new-api-user", "2")], old: (200, OLD_UNKNOWN), new: (401, UNKNOWN), english: UNKNOWN_ENGLISH },
    Line { headers: &[("authorization", "admin")], old: (401, NO_USER), new: (200, LET_IN), english: LET_IN_ENGLISH },
    Line { headers: &[("authorization", "admin"), ("new-api-user", "")], old: (401, NO_USER), new: (200, LET_IN), english: LET_IN_ENGLISH },
    Line { headers: &[("authorization", "admin"), ("new-api-user", "admin")], old: (401, NOT_A_USER), new: (200, LET_IN), english: LET_IN_ENGLISH },
    Line { headers: &[("authorization", "admin"), ("new-api-user", "3")], old: (401, OTHER_USER), new: (200, LET_IN), english: LET_IN_ENGLISH },
    Line { headers: &[("authorization", "disabled")], old: (401, NO_USER), new: (401, r#""code":"AUTH_USER_DISABLED","message":"用户已被封禁","success":false"#), english: r#""code":"AUTH_USER_DISABLED","message":"User has been banned","success":false"# },
    Line { headers: &[("authorization", "disabled"), ("new-api-user", "3")], old: (401, OTHER_USER), new: (401, r#""code":"AUTH_USER_DISABLED","message":"用户已被封禁","success":false"#), english: r#""code":"AUTH_USER_DISABLED","message":"User has been banned","success":false"# },
    Line { headers: &[("authorization", "disabled"), ("new-api-user", "4")], old: (200, r#""message":"用户已被封禁","success":false"#), new: (401, r#""code":"AUTH_USER_DISABLED","message":"用户已被封禁","success":false"#), english: r#""code":"AUTH_USER_DISABLED","message":"User has been banned","success":false"# },
    Line { headers: &[("authorization", "admin"), ("new-api-user", "2")], old: (200, LET_IN), new: (200, LET_IN), english: LET_IN_ENGLISH },
    Line { headers: &[("authorization", "Bearer admin"), ("new-api-user", "+2")], old: (200, LET_IN), new: (200, LET_IN), english: LET_IN_ENGLISH },
    Line { headers: &[("authorization", "bearer admin"), ("new-api-user", "2")], old: (200, OLD_UNKNOWN), new: (200, LET_IN), english: LET_IN_ENGLISH },
    Line { headers: &[("authorization", "adBearer min"), ("new-api-user", "2")], old: (200, LET_IN), new: (401, UNKNOWN), english: UNKNOWN_ENGLISH },
    Line { headers: &[("cookie", "session=admin"), ("new-api-user", "2")], old: (401, r#""message":"无权进行此操作，未登录且未提供 access token","success":false"#), new: (401, UNKNOWN), english: UNKNOWN_ENGLISH },
];

#[tokio::test]
async fn every_line_of_the_table_of_users_is_kept_by_every_version() {
    for dialect in Dialect::ALL {
        let fixture = Fixture::speaking(dialect, nobody().await).await;
        for Line { headers, old, new, english } in &LINES {
            let is_new = dialect == Dialect::Upstream10;
            for (language, translated) in [("zh-CN,en", new.1), ("en", *english)] {
                let (status, message) = if is_new { (new.0, translated) } else { *old };
                let with_language = [*headers, &[("accept-language", language)]].concat();
                let answer = asked(&fixture, &with_language).await;
                let found = (answer.status().as_u16(), text(&answer).to_owned());
                assert_eq!(found, (status, format!("{{{message}}}")), "{dialect:?} {with_language:?}");
                assert_eq!(answer.headers()["content-type"], "application/json; charset=utf-8");
                assert_eq!(answer.headers()["x-oneapi-request-id"], answer.headers()["x-request-id"]);
                assert_eq!(answer.headers().contains_key("x-new-api-version"), is_new);
                let is_known = [LET_IN, LET_IN_ENGLISH].contains(&message);
                assert_eq!(answer.headers().contains_key("auth-version"), is_new && is_known, "{headers:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_path_that_is_not_there_is_told_in_its_own_words_and_a_slash_sends_on() {
    let fixture = Fixture::speaking(Dialect::Documented, nobody().await).await;
    let check = async |method: &str, path: &str, status: u16, expected: &str| {
        let answer = fixture.send(method, path, None).await;
        let location = answer.headers().get("location").map(|value| value.to_str().unwrap().to_owned());
        let shown = location.unwrap_or_else(|| text(&answer).to_owned());
        assert_eq!((answer.status().as_u16(), shown.as_str()), (status, expected), "{method} {path}");
        assert!(answer.headers().contains_key("x-oneapi-request-id"), "{method} {path}");
    };
    let invalid = |what: &str| {
        format!(
            r#"{{"error":{{"message":"Invalid URL ({what})","type":"invalid_request_error","param":"","code":""}}}}"#
        )
    };
    check("GET", "/api/nothing?x=1", 404, &invalid("GET /api/nothing")).await;
    check("POST", "/api/status", 404, &invalid("POST /api/status")).await;
    check("GET", "/api", 404, &invalid("GET /api")).await;
    check("GET", "/api/%3Cb%3E", 404, &invalid("GET /api/%3Cb%3E")).await;
    check("GET", "/api/status/", 301, "/api/status").await;
    check("GET", "/api/user/self/?p=1&x=%20", 301, "/api/user/self?p=1&x=%20").await;
    check("POST", "/api/status/", 404, &invalid("POST /api/status/")).await;
    check("GET", "/api/status//", 404, &invalid("GET /api/status//")).await;
    check("OPTIONS", "/api/status", 404, &invalid("OPTIONS /api/status")).await;
    // The other dialects are as they were.
    assert!(text(&fixture.send("GET", "/apis", None).await).contains("No route for that URI"));
}

#[tokio::test]
async fn a_slash_behind_a_task_sends_on_where_there_are_tasks() {
    for dialect in Dialect::ALL {
        let fixture = Fixture::speaking(dialect, nobody().await).await;
        for (method, path, status, location) in [
            (
                "POST",
                "/api/system-task/log-cleanup/?target_timestamp=1",
                307,
                "/log-cleanup?target_timestamp=1",
            ),
            ("GET", "/api/system-task/current/?type=log_cleanup", 301, "/current?type=log_cleanup"),
            ("GET", "/api/system-task/list/", 301, "/list"),
            ("GET", "/api/system-task/systask_1/", 301, "/systask_1"),
            ("POST", "/api/system-task/list/", 404, ""),
            ("GET", "/api/system-task/", 404, ""),
            ("GET", "/api/system-task/systask_1//", 404, ""),
        ] {
            let answer = fixture.send(method, path, None).await;
            let (status, location) = match dialect {
                Dialect::Upstream10 if !location.is_empty() => {
                    (status, format!("/api/system-task{location}"))
                }
                _ => (404, String::new()),
            };
            let sent_on = answer.headers().get("location").map_or("", |value| value.to_str().unwrap());
            assert_eq!(
                (answer.status().as_u16(), sent_on),
                (status, &*location),
                "{dialect:?} {method} {path}"
            );
        }
    }
}

#[tokio::test]
async fn hours_by_user_are_for_admins_of_the_newest() {
    for dialect in Dialect::ALL {
        let fixture = Fixture::speaking(dialect, nobody().await).await;
        let is_newest = dialect == Dialect::Upstream10;
        let told = async |path: &str, user: &str| {
            let answer = fixture.send("GET", path, Some(user)).await;
            (answer.status().as_u16(), text(&answer).to_owned())
        };
        let absent = |path: &str| {
            let error = format!(
                r#"{{"message":"Invalid URL (GET {path})","type":"invalid_request_error","param":"","code":""}}"#
            );
            (404, format!(r#"{{"error":{error}}}"#))
        };
        for (path, user, status, newest) in [
            ("/api/data/users", "admin", 200, format!(r#"{{"message":"{}","success":false}}"#, DATABASE[2])),
            (
                "/api/data/users",
                "common",
                403,
                r#"{"code":"AUTH_INSUFFICIENT_PRIVILEGE","message":"Unauthorized, insufficient privileges","success":false}"#
                    .to_owned(),
            ),
            ("/api/data/users/", "admin", 301, String::new()),
        ] {
            let expected = if is_newest { (status, newest) } else { absent(path) };
            assert_eq!(told(path, user).await, expected, "{dialect:?} {user} {path}");
        }
    }
}

#[tokio::test]
async fn a_page_of_another_site_is_told_what_it_may_send_to_any_path() {
    for dialect in Dialect::ALL {
        let fixture = Fixture::speaking(dialect, nobody().await).await;
        for path in ["/api/log/token", "/api/nothing", "/v1/dashboard/billing/usage"] {
            let request = request().method("OPTIONS").path(path).header("origin", "https://other.example");
            let answer = request.reply(&routes(&fixture.app)).await;
            assert_eq!((answer.status().as_u16(), text(&answer)), (204, ""), "{path}");
            let headers = answer.headers();
            assert_eq!(headers["access-control-allow-origin"], "*");
            assert_eq!(headers["access-control-allow-methods"], "GET,POST,PUT,DELETE,OPTIONS");
            let allowed = if dialect == Dialect::Documented { "*,Authorization" } else { "*" };
            assert_eq!(headers["access-control-allow-headers"], allowed);
        }
    }
}

#[tokio::test]
async fn what_a_viewer_reads_first_needs_nobody_to_be_known() {
    let fixture = Fixture::speaking(Dialect::Documented, nobody().await).await;
    let answer = fixture.send("GET", "/api/status", None).await;
    assert_eq!(answer.status(), 200);
    let status: serde_json::Value = serde_json::from_str(text(&answer)).unwrap();
    assert_eq!(status["data"]["quota_per_unit"], 500_000);
    assert_eq!(
        (&status["data"]["start_time"], &status["data"]["display_in_currency"]),
        (&1_000.into(), &true.into())
    );
    assert!(!answer.headers().contains_key("access-control-allow-origin"));
}

/// What every version says where it cannot be told what was used: the newest in English.
const DATABASE: [&str; 3] = [
    "数据库出错，请联系管理员",
    "数据库出错，请联系管理员",
    "Database error, please contact the administrator",
];

/// What is asked of ClickHouse, and what each version says where that fails.
#[rustfmt::skip]
const FAILURES: [(&str, &str, [&str; 3]); 10] = [
    ("GET", "/api/log/", ["获取日志失败", DATABASE[1], DATABASE[2]]),
    ("GET", "/api/log/self", ["获取日志失败", DATABASE[1], "查询日志失败"]),
    ("GET", "/api/log/token?key=good", ["获取日志失败", DATABASE[1], DATABASE[2]]),
    ("GET", "/api/log/stat", ["获取统计信息失败", DATABASE[1], "查询统计数据失败"]),
    ("GET", "/api/log/self/stat", ["获取统计信息失败", DATABASE[1], "查询统计数据失败"]),
    ("GET", "/api/log/search?keyword=x", ["搜索日志失败", DATABASE[1], "该接口已废弃"]),
    ("GET", "/api/log/self/search?keyword=2", ["搜索日志失败", DATABASE[1], "该接口已废弃"]),
    ("GET", "/api/data/", DATABASE),
    ("GET", "/api/data/self", DATABASE),
    ("GET", "/api/user/self", DATABASE),
];

/// Whatever ClickHouse does, clients are told as new-api tells that it failed: by a 200 which says so.
#[tokio::test]
async fn what_fails_behind_is_told_by_every_route_in_its_versions_own_words() {
    let overloaded = "Code: 202. DB::Exception: Too many simultaneous queries for secret_user";
    let mistake = "Code: 62. DB::Exception: Syntax error in SELECT secret FROM secret_database.logs";
    let long = Duration::from_mins(10);
    for (clickhouse, time_max) in [
        (nobody().await, long),
        (clickhouse_that_fails(500, overloaded, Duration::ZERO).await, long),
        (clickhouse_that_fails(400, mistake, Duration::ZERO).await, long),
        (clickhouse_that_fails(500, overloaded, long).await, Duration::from_millis(20)),
    ] {
        for (index, dialect) in Dialect::ALL.into_iter().enumerate() {
            let mut fixture = Fixture::speaking(dialect, clickhouse).await;
            Arc::get_mut(&mut fixture.app).unwrap().request_timeout = time_max;
            let removal = match dialect {
                Dialect::Documented | Dialect::Upstream09 => {
                    ("DELETE", "/api/log/?target_timestamp=1700000000")
                }
                Dialect::Upstream10 => ("POST", "/api/system-task/log-cleanup?target_timestamp=1700000000"),
            };
            let removal = [(removal.0, removal.1, DATABASE)];
            for (method, path, words) in FAILURES.iter().chain(&removal) {
                let by_key = dialect == Dialect::Upstream10 && path.starts_with("/api/log/token");
                let caller = if by_key { "Bearer good" } else { "root" };
                let request = request().method(method).path(path).header("new-api-user", "3");
                let answer = request.header("authorization", caller).reply(&routes(&fixture.app)).await;
                let expected = format!(r#"{{"message":"{}","success":false}}"#, words[index]);
                let found = (answer.status().as_u16(), text(&answer));
                assert_eq!(found, (200, expected.as_str()), "{dialect:?} {method} {path}");
            }
        }
    }
}

#[tokio::test]
async fn what_fails_behind_is_told_to_openais_clients_as_they_read_it() {
    for (index, dialect) in Dialect::ALL.into_iter().enumerate() {
        let fixture = Fixture::speaking(dialect, nobody().await).await;
        let asked = async |path: &str| {
            let request = request().path(path).header("authorization", "Bearer good");
            let answer = request.reply(&routes(&fixture.app)).await;
            assert_eq!(answer.status(), 200, "{dialect:?} {path}");
            text(&answer).to_owned()
        };
        for path in ["/dashboard/billing/usage", "/v1/dashboard/billing/usage"] {
            let message = DATABASE[index];
            assert_eq!(
                asked(path).await,
                format!(
                    r#"{{"error":{{"message":"{message}","type":"new_api_error","param":"","code":""}}}}"#
                )
            );
        }
        let of_token = asked("/api/usage/token/").await;
        assert_eq!(of_token, format!(r#"{{"message":"{}","success":false}}"#, DATABASE[index]));
    }
}
