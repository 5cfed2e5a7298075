//! What is asked for: requests, and the plain statements with the same answer.

use harness::{System, Volume};
use serde_json::Value;
use weir_event::{EventId, Scope};
use weir_filter::Filter;
use weir_query_api::sql::{self, Annotated, BodyTable, Column, Direction, Order, Page, Statement};

use super::sides::Sides;

const PER_PAGE: u32 = 20;

/// One thing to ask for, again and again or with something else each time.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    scope: Scope,
    what: What,
}

enum What {
    /// A page of a list, with more parameters, and the filter that they come to.
    Page { number: u64, order: Order, parameters: &'static str, filter: &'static str },
    /// The first page of what cost more than some amount, which is another one each time.
    NewFilter,
    /// A row; each time another one.
    Entry(Vec<EventId>),
}

impl Case {
    /// All of them, over the rows that there are.
    pub(crate) async fn all(system: &System) -> Vec<Self> {
        let big = |name, what| Self { name, scope: Volume::big_gateway(), what };
        let filtered = |name, parameters, filter| {
            big(name, What::Page { number: 1, order: newest(), parameters, filter })
        };
        let by = |name, column, parameters| {
            let order = Order { column, direction: Direction::Ascending };
            big(name, What::Page { number: 1, order, parameters, filter: "" })
        };
        let page = |number| What::Page { number, order: newest(), parameters: "", filter: "" };
        let of_small =
            Self { name: "newest page of a small gateway", scope: Volume::small_gateway(), what: page(1) };
        vec![
            big("newest page", page(1)),
            of_small,
            big("page 1,000", page(1_000)),
            big("page 100,000", page(100_000)),
            filtered(
                "model and success",
                "model=gpt-4o&success=true",
                r#"model = "gpt-4o" and success = true"#,
            ),
            filtered("costly ones", "min_cost=0.5", "cost >= 0.5"),
            filtered("a part of the metadata", "search=team-77", r#"metadata.value contains "team-77""#),
            filtered(
                "one day",
                "start_date=2025-11-18T00:00:00Z&end_date=2025-11-18T23:59:59.999Z",
                r#"created_at >= "2025-11-18T00:00:00Z" and created_at <= "2025-11-18T23:59:59.999Z""#,
            ),
            big("a filter that is new", What::NewFilter),
            by("by provider", Column::Provider, "order_by=provider&order_by_direction=asc"),
            by("by model", Column::Model, "order_by=model&order_by_direction=asc"),
            by("by success", Column::Success, "order_by=success&order_by_direction=asc"),
            big("by id", What::Entry(some_ids(system).await)),
        ]
    }

    /// The path of a request.
    pub(crate) fn path(&self, turn: u64) -> String {
        let Scope { account_id, gateway_id } = &self.scope;
        let logs = format!("/client/v4/accounts/{account_id}/ai-gateway/gateways/{gateway_id}/logs");
        match &self.what {
            What::Page { number, parameters, .. } => {
                format!("{logs}?page={number}&per_page={PER_PAGE}&{parameters}")
                    .trim_end_matches('&')
                    .to_owned()
            }
            What::NewFilter => format!("{logs}?min_cost={}", amount(turn)),
            What::Entry(ids) => format!("{logs}/{}", at(ids, turn)),
        }
    }

    /// The plain statements with the same answer.
    pub(crate) fn statements(&self, turn: u64) -> [Statement; 2] {
        let list = |filter: &str, order, number| {
            let filter = if filter.is_empty() { Filter::default() } else { filter.parse().unwrap() };
            let page = Page { number, per_page: PER_PAGE };
            let annotated = Annotated::NONE;
            [
                sql::page(&self.scope, &filter, annotated, order, page),
                sql::summary(&self.scope, &filter, annotated),
            ]
        };
        match &self.what {
            What::Page { number, order, filter, .. } => list(filter, *order, *number),
            What::NewFilter => list(&format!("cost >= {}", amount(turn)), newest(), 1),
            What::Entry(ids) => {
                let id = at(ids, turn);
                [sql::entry(&self.scope, id), sql::heads(&self.scope, id, BodyTable::Bodies)]
            }
        }
    }

    /// Both sides have to answer the same, or there is nothing to compare.
    pub(crate) async fn check(&self, sides: &Sides<'_>) {
        for turn in [0, 0, 1] {
            let answer = sides.answer(self, turn).await;
            let [first, second] = self.statements(turn);
            let ids: Vec<String> = ids(&sides.rows(&first).await).collect();
            let entries =
                answer["result"].as_array().cloned().unwrap_or_else(|| vec![answer["result"].clone()]);
            let found: Vec<String> = entries.iter().map(|entry| text(&entry["id"])).collect();
            assert_eq!(found, ids, "{}", self.name);
            if let What::Page { .. } | What::NewFilter = self.what {
                let summary = parse(&sides.rows(&second).await);
                for (name, value) in summary.as_object().unwrap() {
                    assert_eq!(number(&answer["result_info"][name]), number(value), "{}: {name}", self.name);
                }
            }
        }
    }
}

const fn newest() -> Order {
    Order { column: Column::CreatedAt, direction: Direction::Descending }
}

/// Another one in each turn.
fn amount(turn: u64) -> String {
    format!("0.0{:06}", 100 + turn)
}

fn at(ids: &[EventId], turn: u64) -> &EventId {
    &ids[usize::try_from(turn).unwrap() % ids.len()]
}

/// Ids of rows from everywhere in the gateway, half of them with bodies.
async fn some_ids(system: &System) -> Vec<EventId> {
    const IDS: &str = "SELECT id FROM logs WHERE account_id = 'acme' AND gateway_id = 'main'
        ORDER BY sipHash64(id) LIMIT 500 UNION ALL
        SELECT id FROM bodies WHERE account_id = 'acme' AND gateway_id = 'main' ORDER BY sipHash64(id) LIMIT 500";
    let ids = system.sql(&format!("SELECT id FROM ({IDS}) ORDER BY sipHash64(id, 1)")).await;
    ids.lines().map(|id| id.parse().unwrap()).collect()
}

/// Those of rows as lines of JSON.
pub(crate) fn ids(rows: &str) -> impl Iterator<Item = String> {
    rows.lines().map(|row| text(&parse(row)["id"]))
}

fn parse(json: &str) -> Value {
    serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {json}"))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// ClickHouse quotes large numbers.
fn number(value: &Value) -> String {
    let digits = value.to_string();
    let digits = digits.trim_matches('"');
    if digits.contains('.') {
        digits.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        digits.to_owned()
    }
}
