//! What is read of requests, for the test that holds the document of the API against it.

use warp::http::Method;

use super::dialect::Dialect;
use super::filters::{self, Asker};
use super::parameters::Parameters;
use super::routes::{DELETE, HOURS_BY_USER, OPERATIONS, TASKS};

/// Every operation of any version.
pub(in crate::api) fn operations() -> impl Iterator<Item = (Method, &'static str)> {
    OPERATIONS.into_iter().chain([HOURS_BY_USER, DELETE]).chain(TASKS)
}

/// Whether some version reads the query of an operation otherwise than an empty one.
pub(in crate::api) fn matters(method: &Method, path: &str, query: &str) -> bool {
    let read_by = |dialect| read(dialect, method, path, query) != read(dialect, method, path, "");
    Dialect::ALL.into_iter().any(read_by)
}

/// All that the handler of an operation takes from a query.
fn read(dialect: Dialect, method: &Method, path: &str, query: &str) -> String {
    let parameters = Parameters::parse(query).unwrap();
    let list = |reader| {
        let paging = parameters.paging(dialect.page_size());
        format!("{:?} {paging:?}", filters::list(dialect, reader, &parameters))
    };
    let stat = |reader| format!("{:?}", filters::stat(dialect, reader, &parameters));
    let found = |reader| {
        let keyword = parameters.text("keyword").unwrap_or_default();
        format!("{:?}", filters::search(dialect, reader, keyword))
    };
    let number = |name| parameters.number(name);
    let bounds = || [number("start_timestamp"), number("end_timestamp")];
    match (method.as_str(), path) {
        ("GET", "/api/log/") => list(Asker::Admin),
        ("GET", "/api/log/self") => list(Asker::User),
        ("GET", "/api/log/stat") => stat(Asker::Admin),
        ("GET", "/api/log/self/stat") => stat(Asker::User),
        ("GET", "/api/log/search") => found(Asker::Admin),
        ("GET", "/api/log/self/search") => found(Asker::User),
        ("GET", "/api/log/token") => dialect.relay_key(parameters.text("key"), None).is_some().to_string(),
        ("GET", "/api/data/") => format!("{:?} {:?}", bounds(), parameters.text("username")),
        ("GET", "/api/data/self" | "/api/data/users") => format!("{:?}", bounds()),
        ("DELETE" | "POST", _) => number("target_timestamp").to_string(),
        ("GET", "/api/system-task/current") => format!("{:?}", parameters.text("type")),
        ("GET", "/api/system-task/list") => number("limit").to_string(),
        _ => String::new(),
    }
}
