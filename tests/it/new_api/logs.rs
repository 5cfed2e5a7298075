//! Lists and statistics, held against a model of them: random rows and questions, in every version, while rows come and go.

use std::time::Duration;

use harness::eventually;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::test_runner::{Config, RngSeed, TestRunner};
use serde_json::{Value, json};
use weir_service::clock::{Clock, SystemClock};

use super::DIALECTS;
use super::callers::{TENANT, key, user, who};
use super::model::{Ask, Model, Reader, Row};
use super::random::{KEY, ask, row};
use crate::filter::sample;
use crate::query_api::world::World;

const LIMIT: Duration = Duration::from_mins(1);
const ROWS: usize = 400;
/// Questions after each change of the rows, of an admin and of a user each.
const QUESTIONS: usize = 60;
/// What an admin may ask, who is user 9: the last one of 1.0.
const OF_ALL: &[&str] =
    &["/api/log/", "/api/log/", "/api/log/stat", "/api/log/search", "/api/data/", "/api/data/users"];
/// What every user may.
const OWN: [&str; 5] =
    ["/api/log/self", "/api/log/self", "/api/log/self/stat", "/api/log/self/search", "/api/data/self"];

/// A caller: their number and token.
struct Asker {
    id: &'static str,
    token: String,
}

#[tokio::test]
async fn lists_and_statistics_are_those_of_the_model_as_documented() {
    the_model_holds(DIALECTS[0]).await;
}

#[tokio::test]
async fn lists_and_statistics_are_those_of_the_model_in_0_9() {
    the_model_holds(DIALECTS[1]).await;
}

#[tokio::test]
async fn lists_and_statistics_are_those_of_the_model_in_1_0() {
    the_model_holds(DIALECTS[2]).await;
}

async fn the_model_holds(dialect: &'static str) {
    let world = World::start_with(&[("WEIR_QUERY_API_NEW_API_DIALECT", dialect)]).await;
    let seed = fastrand::u64(..);
    let mut runner = TestRunner::new(Config { rng_seed: RngSeed::Fixed(seed), ..Config::default() });
    let mut askers = Vec::new();
    for (id, name, role) in [("9", "admin", "admin"), ("1", "mina", "common"), ("2", "omar", "root")] {
        askers.push(Asker { id, token: user(&world, TENANT, id, name, role).await });
    }
    key(&world, KEY, &["--token-id", "31"]).await;
    for asker in &askers {
        let known = async || who(&world, &asker.token, asker.id).await.text.contains(r#""success":true"#);
        eventually(LIMIT, true, known).await;
    }

    let now_s = SystemClock.now_ms() / 1_000;
    // Later than any time at which this asks: what lies ahead is of the last minute as well.
    let future_ms = (now_s + 86_400) * 1_000;
    let strategy = row(future_ms);
    let rows: &'static [Row] = Vec::leak((0..ROWS).map(|_| sample(&strategy, &mut runner)).collect());
    let mut model = Model { dialect, rows: Vec::new(), gateway: "gw", now_s };
    let mut asked = Questions { world: &world, askers: &askers, runner: &mut runner, seed, told: 0 };
    for part in rows.chunks(ROWS / 3) {
        let stored: Vec<_> = part.iter().map(Row::stored).collect();
        world.insert_logs(&stored).await;
        model.rows.extend(part);
        asked.hold(&model).await;
    }
    for statement in
        ["OPTIMIZE TABLE logs FINAL", "DELETE FROM logs WHERE channel_id = '7' AND kind = 'consume'"]
    {
        world.sql(statement).await;
    }
    model.rows.retain(|row| row.channel != "7" || row.kind != "consume");
    asked.hold(&model).await;
    assert!(asked.told > QUESTIONS, "seed {seed}: only {} questions were answered with anything", asked.told);
}

/// Who asks, and what at random.
struct Questions<'w> {
    world: &'w World,
    askers: &'w [Asker],
    runner: &'w mut TestRunner,
    seed: u64,
    /// Answers with anything in them.
    told: usize,
}

impl Questions<'_> {
    async fn hold(&mut self, model: &Model) {
        let of_version = if model.is_newest() { OF_ALL } else { &OF_ALL[..OF_ALL.len() - 1] };
        let (of_all, own) = (ask(of_version), ask(&OWN));
        let [admin, mina, omar] = self.askers else { panic!("there are three") };
        for n in 0..QUESTIONS {
            let question = sample(&of_all, self.runner);
            self.check(model, admin, Reader::Admin, &question).await;
            let question = sample(&own, self.runner);
            // What one is, an admin too, does not matter where everyone asks for their own.
            let (asker, reader) =
                if n % 2 == 0 { (mina, Reader::User("1")) } else { (omar, Reader::User("2")) };
            self.check(model, asker, reader, &question).await;
            let question = sample(&of_all, self.runner);
            let refused = self.get(mina, &question).await;
            assert_eq!(refused["success"], false, "{question:?}: {refused}");
            assert!(refused.get("data").is_none(), "{question:?}: {refused}");
        }
        self.check_key(model).await;
    }

    async fn check(&mut self, model: &Model, asker: &Asker, reader: Reader, question: &Ask) {
        let found = self.get(asker, question).await;
        match model.answer(reader, question) {
            Ok(expected) => {
                assert_eq!(found["success"], true, "{question:?}: {found}");
                let nothing = [json!([]), json!({"quota": 0, "rpm": 0, "tpm": 0})];
                self.told += usize::from(expected["total"] != 0 && !nothing.contains(&expected));
                assert_eq!(
                    found["data"], expected,
                    "seed {}: {} {reader:?} {question:?}",
                    self.seed, model.dialect
                );
            }
            Err(message) => {
                let expected = json!({"message": message, "success": false});
                assert_eq!(found, expected, "seed {}: {} {reader:?} {question:?}", self.seed, model.dialect);
            }
        }
    }

    async fn check_key(&self, model: &Model) {
        let is_of = |row: &Row| row.token.0 == "31" || !row.token.2.is_empty();
        let header = format!("Bearer sk-{KEY}");
        let answer = match model.dialect {
            "upstream-1.0" => self.world.ask("GET", "/api/log/token", &[("authorization", &header)]).await,
            _ => self.world.ask("GET", &format!("/api/log/token?key=sk-{KEY}"), &[]).await,
        };
        let answer: Value = serde_json::from_str(&answer.text).unwrap();
        assert_eq!(answer["data"], model.of_key(is_of), "{}", model.dialect);
    }

    async fn get(&self, asker: &Asker, Ask { path, parameters }: &Ask) -> Value {
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let query: Vec<_> =
            parameters.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        let headers = [("authorization", asker.token.as_str()), ("new-api-user", asker.id)];
        let answer = self.world.ask("GET", &format!("{path}?{}", query.join("&")), &headers).await;
        serde_json::from_str(&answer.text).unwrap_or_else(|error| panic!("{error}: {}", answer.text))
    }
}
