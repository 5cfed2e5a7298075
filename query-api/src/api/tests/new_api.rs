//! Who is let in where new-api is spoken, and what they are told: every line of its tables, for each version of it.

use warp::http::Response;
use warp::hyper::body::Bytes;
use warp::test::request;

use super::fixture::{Fixture, nobody, text};
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
    Line { headers: &[("authorization", "admin")], old: (401, NO_USER), new: (500, LET_IN), english: LET_IN_ENGLISH },
    Line { headers: &[("authorization", "admin"), ("new-api-user", "")], old: (401, NO_USER), new: (500, LET_IN), english: LET_IN_ENGLISH },
    Line { headers: &[("authorization", "admin"), ("new-api-user", "admin")], old: (401, NOT_A_USER), new: (500, LET_IN), english: LET_IN_ENGLISH },
    Line { headers: &[("authorization", "admin"), ("new-api-user", "3")], old: (401, OTHER_USER), new: (500, LET_IN), english: LET_IN_ENGLISH },
    Line { headers: &[("authorization", "disabled")], old: (401, NO_USER), new: (401, r#""code":"AUTH_USER_DISABLED","message":"用户已被封禁","success":false"#), english: r#""code":"AUTH_USER_DISABLED","message":"User has been banned","success":false"# },
    Line { headers: &[("authorization", "disabled"), ("new-api-user", "3")], old: (401, OTHER_USER), new: (401, r#""code":"AUTH_USER_DISABLED","message":"用户已被封禁","success":false"#), english: r#""code":"AUTH_USER_DISABLED","message":"User has been banned","success":false"# },
    Line { headers: &[("authorization", "disabled"), ("new-api-user", "4")], old: (200, r#""message":"用户已被封禁","success":false"#), new: (401, r#""code":"AUTH_USER_DISABLED","message":"用户已被封禁","success":false"#), english: r#""code":"AUTH_USER_DISABLED","message":"User has been banned","success":false"# },
    Line { headers: &[("authorization", "admin"), ("new-api-user", "2")], old: (500, LET_IN), new: (500, LET_IN), english: LET_IN_ENGLISH },
    Line { headers: &[("authorization", "Bearer admin"), ("new-api-user", "+2")], old: (500, LET_IN), new: (500, LET_IN), english: LET_IN_ENGLISH },
    Line { headers: &[("authorization", "bearer admin"), ("new-api-user", "2")], old: (200, OLD_UNKNOWN), new: (500, LET_IN), english: LET_IN_ENGLISH },
    Line { headers: &[("authorization", "adBearer min"), ("new-api-user", "2")], old: (500, LET_IN), new: (401, UNKNOWN), english: UNKNOWN_ENGLISH },
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
