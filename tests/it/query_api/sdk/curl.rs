//! The calls as people make them with curl: filters are one JSON array.

use std::process::Command;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use super::case::Call;
use crate::query_api::rows::ACCOUNT;
use crate::query_api::world::TOKEN;

/// What came of a call, as the SDKs' programs say it.
pub(super) fn outcome(base_url: &str, gateway: &str, call: &Call) -> Value {
    let logs = format!("{base_url}/accounts/{ACCOUNT}/ai-gateway/gateways/{gateway}/logs");
    let parameters: Map<String, Value> =
        call.parameters.as_ref().map_or_else(Map::new, |text| serde_json::from_str(text.get()).unwrap());
    match call.operation {
        "list" => every_page(&logs, call, parameters),
        "page" => get(&logs, call, &parameters).map_or_else(|error| error, |page| json!({"ids": ids(&page)})),
        "edit" => {
            let url = format!("{logs}/{}", escaped(call.id.as_deref().unwrap()));
            let body = call.parameters.as_ref().map_or("{}", |text| text.get());
            let args = ["--request", "PATCH", "--json", body].map(str::to_owned);
            send(&url, call, &args).map_or_else(|error| error, |_| json!({}))
        }
        "delete" => match get(&logs, call, &parameters) {
            Ok(answer) => json!({"success": answer["success"]}),
            Err(error) => error,
        },
        operation => {
            let path = if operation == "get" { String::new() } else { format!("/{operation}") };
            let id = escaped(call.id.as_deref().unwrap());
            match get(&format!("{logs}/{id}{path}"), call, &parameters) {
                Ok(answer) if operation == "get" => json!({"entry": answer["result"]}),
                Ok(body) => json!({"body": body}),
                Err(error) => error,
            }
        }
    }
}

/// Asks for one page after the other until one is empty, as the SDKs do.
fn every_page(logs: &str, call: &Call, mut parameters: Map<String, Value>) -> Value {
    let mut found = Vec::new();
    loop {
        let page = match get(logs, call, &parameters) {
            Ok(page) => ids(&page),
            Err(error) => return error,
        };
        if page.is_empty() {
            return json!({"ids": found});
        }
        found.extend(page);
        let next = parameters.get("page").and_then(Value::as_u64).unwrap_or(1) + 1;
        parameters.insert("page".to_owned(), next.into());
    }
}

fn get(url: &str, call: &Call, parameters: &Map<String, Value>) -> Result<Value, Value> {
    let mut args = vec!["--get".to_owned()];
    if call.operation == "delete" {
        args.extend(["--request", "DELETE"].map(str::to_owned));
    }
    for (name, value) in parameters {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        args.extend(["--data-urlencode".to_owned(), format!("{name}={text}")]);
    }
    send(url, call, &args)
}

fn send(url: &str, call: &Call, args: &[String]) -> Result<Value, Value> {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--write-out", "\n%{http_code}", url]);
    curl.args(headers(call).iter().flat_map(|header| ["--header", header])).args(args);
    let output = curl.output().expect("curl is on PATH");
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{url}: {said}{}", String::from_utf8_lossy(&output.stderr));
    let (body, status) = said.rsplit_once('\n').unwrap();
    let body: Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{url}: {error}: {body}"));
    let status: u16 = status.parse().unwrap();
    if status == 200 { Ok(body) } else { Err(json!({"error": {"status": status, "codes": codes(&body)}})) }
}

fn headers(call: &Call) -> Vec<String> {
    let shown = |name: &str| call.auth.as_ref().and_then(|auth| auth[name].as_str());
    match (shown("email"), shown("key")) {
        (Some(email), Some(key)) => vec![format!("X-Auth-Email: {email}"), format!("X-Auth-Key: {key}")],
        (_, _) => vec![format!("Authorization: Bearer {}", shown("token").unwrap_or(TOKEN))],
    }
}

fn codes(body: &Value) -> Vec<&Value> {
    body["errors"].as_array().unwrap().iter().map(|error| &error["code"]).collect()
}

fn ids(page: &Value) -> Vec<Value> {
    page["result"].as_array().unwrap().iter().map(|entry| entry["id"].clone()).collect()
}

/// For one segment of a path.
fn escaped(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}
