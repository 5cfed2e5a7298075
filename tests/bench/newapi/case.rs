//! What is asked for: requests, and the statements that new-api answers them by.

use harness::NewApiVolume;

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// Sees all rows.
    Admin,
    /// Sees those of user 7.
    User,
    /// Anybody, with a key in the request.
    Anybody,
}

/// One thing to ask for, again and again.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) who: Who,
    /// The path with its query.
    pub(crate) path: String,
    /// One after the other, as new-api sends them.
    pub(crate) statements: Vec<String>,
}

/// Keys that are known: of a token with many rows, and of one with few.
pub(crate) const KEYS: [(&str, u32); 2] = [("a-key-of-many-rows", 4), ("a-key-of-few-rows", 7_999)];
/// The user behind [`Who::User`].
pub(crate) const USER: u32 = 7;
/// Rows that `/api/log/token` gives, at most.
const TOKEN_ROWS_MAX: u32 = 1_000;

const PAGE_SIZE: u32 = 20;
const DAY_S: i64 = 86_400;

impl Case {
    /// All of them.
    pub(crate) fn all(volume: &NewApiVolume) -> Vec<Self> {
        let until_s = volume.until_ms / 1_000;
        let since = |days: i64| (until_s - days * DAY_S, until_s);
        let (week, month) = (since(7), since(30));
        let week = Condition::new().between(week);
        let month = Condition::new().between(month);
        let (all, calls) = (Condition::new(), Condition::new().equals("type", "type", "2"));
        let gpt = |condition: &Condition| condition.text("model_name", "model_name", "gpt-4o");
        let list = |name, condition: &Condition, page| Self::list(name, condition, page);
        let mut cases = vec![
            list("newest page", &all, 1),
            list("page 1,000", &all, 1_000),
            list("calls", &calls, 1),
            list("a model in a week", &gpt(&week), 1),
            list("calls of a user in a month", &calls.and(&month).text("username", "username", "user7"), 1),
            list("a token in a month", &month.text("token_name", "token_name", "key-2"), 1),
            list("a channel in a week", &week.equals("channel", "channel_id", "39"), 1),
            list("a group in a month", &month.text("group", "\"group\"", "team"), 1),
            list("a user with few rows", &all.text("username", "username", "user1999"), 1),
            Self::stat("stat", &all, until_s),
            Self::stat("stat of a month", &month, until_s),
            Self::stat("stat of a model in a month", &gpt(&month), until_s),
            Self::stat("stat of a user", &all.text("username", "username", "user7"), until_s),
            Self::stat("stat of a channel in a month", &month.equals("channel", "channel_id", "39"), until_s),
        ];
        let of_user = Condition { sql: vec![format!("user_id = {USER}")], ..Condition::new() };
        let own = Self::list("own logs", &of_user, 1);
        cases.push(Self { who: Who::User, path: own.path.replace("/api/log/", "/api/log/self"), ..own });
        for (name, (key, token_id)) in ["rows of a busy token", "rows of an idle token"].into_iter().zip(KEYS)
        {
            cases.push(Self {
                name,
                who: Who::Anybody,
                path: format!("/api/log/token?key=sk-{key}"),
                statements: vec![format!(
                    "SELECT * FROM logs WHERE token_id = {token_id} ORDER BY id DESC LIMIT {TOKEN_ROWS_MAX}"
                )],
            });
        }
        cases
    }

    fn list(name: &'static str, condition: &Condition, page: u32) -> Self {
        let (query, sql) = (condition.query(), condition.sql());
        let before = (page - 1) * PAGE_SIZE;
        Self {
            name,
            who: Who::Admin,
            path: format!("/api/log/?p={page}&page_size={PAGE_SIZE}{query}"),
            statements: vec![
                format!("SELECT count(*) FROM logs{sql}"),
                format!(
                    "SELECT * FROM logs{sql} ORDER BY created_at DESC, id DESC LIMIT {PAGE_SIZE} OFFSET {before}"
                ),
            ],
        }
    }

    /// The last minute has no end.
    fn stat(name: &'static str, condition: &Condition, until_s: i64) -> Self {
        let calls = Condition { sql: vec!["type = 2".to_owned()], ..Condition::new() };
        let filters: Vec<_> =
            condition.sql.iter().filter(|part| !part.starts_with("created_at")).cloned().collect();
        let minute = Condition { sql: filters, ..Condition::new() }.and(&calls).sql();
        Self {
            name,
            who: Who::Admin,
            path: format!("/api/log/stat?{}", condition.query().trim_start_matches('&')),
            statements: vec![
                format!("SELECT coalesce(sum(quota), 0)::text FROM logs{}", condition.and(&calls).sql()),
                format!(
                    "SELECT count(*), coalesce(sum(prompt_tokens), 0) + coalesce(sum(completion_tokens), 0) \
                     FROM logs{minute} AND created_at >= {}",
                    until_s + 86_400
                ),
            ],
        }
    }
}

/// Filters in both forms.
#[derive(Clone, Default)]
struct Condition {
    parameters: Vec<String>,
    sql: Vec<String>,
}

impl Condition {
    fn new() -> Self {
        Self::default()
    }

    fn equals(&self, parameter: &str, column: &str, value: &str) -> Self {
        self.with(format!("{parameter}={value}"), format!("{column} = {value}"))
    }

    fn text(&self, parameter: &str, column: &str, value: &str) -> Self {
        self.with(format!("{parameter}={value}"), format!("{column} = '{value}'"))
    }

    fn between(&self, (start, end): (i64, i64)) -> Self {
        self.with(format!("start_timestamp={start}"), format!("created_at >= {start}"))
            .with(format!("end_timestamp={end}"), format!("created_at <= {end}"))
    }

    fn with(&self, parameter: String, sql: String) -> Self {
        let mut with = self.clone();
        with.parameters.push(parameter);
        with.sql.push(sql);
        with
    }

    fn and(&self, other: &Self) -> Self {
        let both = |these: &[String], those: &[String]| these.iter().chain(those).cloned().collect();
        Self { parameters: both(&self.parameters, &other.parameters), sql: both(&self.sql, &other.sql) }
    }

    fn query(&self) -> String {
        self.parameters.iter().flat_map(|parameter| ["&", parameter]).collect()
    }

    fn sql(&self) -> String {
        if self.sql.is_empty() { String::new() } else { format!(" WHERE {}", self.sql.join(" AND ")) }
    }
}
