//! Cloudflare's own SDKs against the query API: one table of calls, with what has to come of each, for all of them.
//!
//! The programs in `tests/conformance/cloudflare` only make the calls, as their users would, and say what came of them.
//! curl goes without a program: it sends the form that Cloudflare documents.

mod callers;
mod case;
mod curl;
mod deletes;
mod edits;
mod entries;
mod filters;
mod lists;
mod rows;

use std::thread;

use harness::{Client, run_client};
use serde_json::{Value, json};

use super::rows::{ACCOUNT, body_of};
use super::tokens::make;
use super::world::{TOKEN, World};
use callers::Callers;
use case::{Case, Habit};
use lists::Lists;
use rows::Row;

/// A client, and what it cannot help.
struct Sdk {
    /// The gateway that it works on, for it changes and deletes what is there.
    gateway: &'static str,
    /// None is curl.
    client: Option<Client>,
    habits: &'static [Habit],
}

const PYTHON: &str = "cloudflare/logs.py";
const NODE: &str = "cloudflare/logs.cjs";

const SDKS: [Sdk; 6] = [
    Sdk {
        gateway: "python-5",
        client: Some(Client::Python { folder: "cloudflare/python-5", script: PYTHON }),
        habits: &[Habit::DropsNull, Habit::DropsEmpty, Habit::GroupsColumns],
    },
    Sdk {
        gateway: "python-4",
        client: Some(Client::Python { folder: "cloudflare/python-4", script: PYTHON }),
        habits: &[Habit::DropsNull, Habit::DropsEmpty, Habit::GroupsColumns],
    },
    Sdk {
        gateway: "node-7",
        client: Some(Client::Node { folder: "cloudflare/node-7", script: NODE }),
        habits: &[],
    },
    Sdk {
        gateway: "node-5",
        client: Some(Client::Node { folder: "cloudflare/node-5", script: NODE }),
        habits: &[],
    },
    Sdk {
        gateway: "go-6",
        client: Some(Client::Go { folder: "cloudflare/go-6" }),
        habits: &[Habit::DropsNull, Habit::GroupsColumns, Habit::NullIsZero],
    },
    Sdk { gateway: "curl", client: None, habits: &[] },
];

#[tokio::test(flavor = "multi_thread")]
async fn query_api_is_understood_by_cloudflares_sdks_and_by_curl() {
    let world = World::start().await;
    let rows = rows::rows();
    for sdk in &SDKS {
        let rows: Vec<_> = rows.iter().map(|row| row.in_gateway(sdk.gateway)).collect();
        let bodies = entries::BODIES.map(|(row, request, response)| body_of(&rows[row], request, response));
        world.insert_bodies(&bodies).await;
        world.insert_logs(&rows).await;
    }
    let cases = cases(&rows, &callers(&world).await);
    assert!(cases.len() > 250, "there are {} cases", cases.len());
    let base_url = format!("{}/client/v4", world.url);
    let objections: Vec<_> = thread::scope(|scope| {
        let running = SDKS.map(|sdk| {
            let (base_url, cases) = (&base_url, &cases);
            (sdk.gateway, scope.spawn(move || sdk.objections(base_url, cases)))
        });
        running
            .into_iter()
            .flat_map(|(name, run)| run.join().unwrap().into_iter().map(move |one| format!("{name}: {one}")))
            .collect()
    });
    assert!(
        objections.is_empty(),
        "{} of {} cases:\n{}",
        objections.len(),
        cases.len(),
        objections.join("\n")
    );
}

/// In the order in which they are made: the last ones change what is there.
fn cases(rows: &[Row], callers: &Callers) -> Vec<Case> {
    let lists = Lists::new(rows);
    let mut cases = lists::cases(&lists);
    cases.extend(filters::cases(&lists));
    cases.extend(entries::cases(rows));
    cases.extend(callers::cases(rows, callers));
    cases.extend(edits::cases(rows, &lists));
    cases.extend(deletes::cases(rows));
    cases
}

async fn callers(world: &World) -> Callers {
    let of_account = ["--account", ACCOUNT];
    let made = async |args: &[&str]| make(world, args).await.token;
    Callers {
        reader: made(&[&["--permission", "read"], &of_account[..]].concat()).await,
        writer_elsewhere: made(&["--permission", "write", "--account", "other"]).await,
        with_address: made(
            &[&["--permission", "write", "--email", "me@example.com"], &of_account[..]].concat(),
        )
        .await,
    }
}

impl Sdk {
    /// What came of the calls that was not to come of them.
    fn objections(&self, base_url: &str, cases: &[Case]) -> Vec<String> {
        let calls: Vec<_> = cases.iter().map(|case| &case.call).collect();
        let outcomes: Vec<Value> = match self.client {
            None => calls.iter().map(|call| curl::outcome(base_url, self.gateway, call)).collect(),
            Some(client) => {
                // Not by way of a value, which would sort the parameters.
                let calls = serde_json::to_string(&calls).unwrap();
                let task = json!({
                    "base_url": base_url,
                    "account_id": ACCOUNT,
                    "gateway_id": self.gateway,
                    "auth": {"token": TOKEN},
                });
                let task = task.to_string().replacen('{', &format!("{{\"calls\":{calls},"), 1);
                serde_json::from_str(&run_client(client, &task)).unwrap()
            }
        };
        assert_eq!(outcomes.len(), cases.len(), "{}", self.gateway);
        let found = cases.iter().zip(&outcomes);
        found.filter_map(|(case, outcome)| case.objection(self.habits, outcome)).collect()
    }
}
