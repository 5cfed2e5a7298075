//! The document against the code.

use serde_json::{Value, json};

use super::*;
use crate::api::{cloudflare::list_problems, newapi};

const LOGS: &str = "/client/v4/accounts/{account_id}/ai-gateway/gateways/{gateway_id}/logs";

fn document() -> Value {
    serde_json::from_str(DOCUMENT).unwrap()
}

fn texts(array: &Value) -> Vec<&str> {
    array.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

/// What is said to be expected, as the API says it.
fn expected(names: &[&str]) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("'{name}'")).collect();
    names.join(" | ")
}

/// A query with this value of a parameter.
fn query(name: &str, value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    format!("{name}={}", percent_encoding::utf8_percent_encode(&text, percent_encoding::NON_ALPHANUMERIC))
}

fn filter(key: &str, operator: &str, value: &Value) -> String {
    query("filters", &json!([{"key": key, "operator": operator, "value": [value]}]))
}

#[test]
fn it_is_of_this_version() {
    assert_eq!(document()["info"]["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn every_parameter_of_a_list_is_understood_and_enums_are_whole() {
    let document = document();
    let parameters = document["paths"][LOGS]["get"]["parameters"].as_array().unwrap();
    assert_eq!(parameters.len(), 28);
    let all: Vec<_> =
        parameters.iter().map(|one| query(one["name"].as_str().unwrap(), &one["example"])).collect();
    assert_eq!(list_problems(&all.join("&")), Vec::<String>::new());
    for parameter in parameters {
        let (name, schema) = (parameter["name"].as_str().unwrap(), &parameter["schema"]);
        if schema["enum"][0].is_string() {
            let problems = list_problems(&query(name, &json!("none of them")));
            assert!(problems[0].ends_with(&expected(&texts(&schema["enum"]))), "{name}: {problems:?}");
        }
    }
}

#[test]
fn every_filter_is_understood_and_no_key_is_left_out() {
    let document = document();
    let forms = document["components"]["schemas"]["Filter"]["oneOf"].as_array().unwrap();
    let (mut keys, mut pairs) = (Vec::new(), Vec::new());
    for form in forms {
        let properties = &form["properties"];
        let value = match &properties["value"]["items"] {
            items if items["format"] == "date-time" => json!("2024-09-30T09:00:00Z"),
            items => {
                match items["type"].as_array().map_or(&items["type"], |types| &types[0]).as_str().unwrap() {
                    "string" => json!("x"),
                    "number" => json!(0.5),
                    "boolean" => json!(true),
                    other => panic!("{other}"),
                }
            }
        };
        for key in texts(&properties["key"]["enum"]) {
            for operator in texts(&properties["operator"]["enum"]) {
                assert_eq!(
                    list_problems(&filter(key, operator, &value)),
                    Vec::<String>::new(),
                    "{key} {operator}"
                );
                pairs.push((key, operator));
            }
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
    }
    // No other pair is understood, and no other key.
    for (key, operator) in
        keys.iter().flat_map(|key| ["eq", "neq", "contains", "lt", "gt"].map(|one| (*key, one)))
    {
        let understood = [json!("x"), json!(0.5), json!(true), json!("2024-09-30T09:00:00Z")]
            .iter()
            .any(|value| list_problems(&filter(key, operator, value)).is_empty());
        assert_eq!(understood, pairs.contains(&(key, operator)), "{key} {operator}");
    }
    let problems = list_problems(&filter("no such key", "eq", &json!("x")));
    let mut named: Vec<_> = problems[0].split('\'').skip(1).step_by(2).collect();
    named.sort_unstable();
    keys.sort_unstable();
    assert_eq!(named, keys);
}

/// An operation of new-api in the document.
struct Described {
    method: String,
    path: String,
    /// The parameters of its query, with an example of each.
    parameters: Vec<(String, Value)>,
}

fn of_new_api(document: &Value) -> Vec<Described> {
    let mut operations = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            if operation["tags"] != json!(["new-api"]) {
                continue;
            }
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            let parameters = parameters.map(|one| match one["$ref"].as_str() {
                Some(name) => document.pointer(name.strip_prefix('#').unwrap()).unwrap(),
                None => one,
            });
            let of_query = parameters.filter(|one| one["in"] == "query");
            let named =
                of_query.map(|one| (one["name"].as_str().unwrap().to_owned(), one["example"].clone()));
            operations.push(Described {
                method: method.to_uppercase(),
                path: path.clone(),
                parameters: named.collect(),
            });
        }
    }
    operations
}

#[test]
fn every_operation_of_new_api_is_described_and_no_other() {
    let document = document();
    let mut described: Vec<_> =
        of_new_api(&document).iter().map(|one| format!("{} {}", one.method, one.path)).collect();
    let mut offered: Vec<_> = newapi::operations().map(|(method, path)| format!("{method} {path}")).collect();
    described.sort_unstable();
    offered.sort_unstable();
    assert_eq!(described, offered);
}

#[test]
fn every_parameter_of_new_api_is_read_where_it_is_described_and_nowhere_else() {
    let document = document();
    let operations = of_new_api(&document);
    let mut all: Vec<_> = operations.iter().flat_map(|one| one.parameters.clone()).collect();
    all.sort_by_key(|(name, _)| name.clone());
    all.dedup_by_key(|(name, _)| name.clone());
    assert_eq!(all.len(), 18);
    for Described { method, path, parameters } in &operations {
        for (name, example) in &all {
            let is_described = parameters.iter().any(|(described, _)| described == name);
            let matters = newapi::matters(&method.parse().unwrap(), path, &query(name, example));
            assert_eq!(matters, is_described, "{method} {path} {name}");
        }
    }
}
