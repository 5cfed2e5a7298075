//! One entry and its bodies.

use serde_json::{Value, json};

use super::case::{Call, Case};
use super::rows::Row;

type Bodies = (usize, Option<&'static str>, Option<&'static str>);

/// By the number of their row. No other has any.
pub(super) const BODIES: [Bodies; 4] = [
    (
        0,
        Some(r#"{"messages": [{"role":"user","content":"hi"}], "n": 1.50}"#),
        Some("data: {\"a\":1}\n\ndata: [DONE]\n\n"),
    ),
    (1, Some("\"a text\""), Some(r#"{"choices":[{"message":{"content":"é \"quoted\""}}]}"#)),
    (2, Some("model=x&n=1"), Some(r#"{"cut": "of"#)),
    (3, Some("[1, null, true]"), None),
];

pub(super) fn cases(rows: &[Row]) -> Vec<Case> {
    let mut cases = vec![
        get(
            &rows[0],
            &json!({
                "metadata": r#"{"team":"search","user":"u-1"}"#, "request_size": 57, "response_size": 29,
                "request_head": BODIES[0].1, "request_head_complete": true,
                "response_head": BODIES[0].2, "response_head_complete": true,
            }),
        ),
        // What is not known is null or not there.
        get(
            &rows[1],
            &json!({"metadata": r#"{"team":"Forschung & Ops","n":0}"#, "tokens_in": null, "tokens_out": null}),
        ),
        get(
            &rows[5],
            &json!({"metadata": null, "request_head": null, "response_head": null, "request_size": null}),
        ),
        get(&rows[13], &json!({"cost": null})),
    ];
    for (row, request, response) in BODIES {
        for (operation, body) in [("request", request), ("response", response)] {
            let call = Call::new(operation).of(rows[row].id());
            cases.push(match body {
                // What is not JSON comes as a text.
                Some(body) => {
                    let body = serde_json::from_str(body).unwrap_or_else(|_| Value::from(body));
                    call.gives(json!({"body": body}))
                }
                None => call.refused(404, 7002),
            });
        }
    }
    for operation in ["get", "request", "response"] {
        for id in ["01J90000000000000000000000", "none", "a b;c", "ü%41?x=1#y"] {
            cases.push(Call::new(operation).of(id).refused(404, 7002));
        }
    }
    cases
}

/// The entry as the SDKs have it, with `more`.
fn get(row: &Row, more: &Value) -> Case {
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let cost: Option<f64> = row.cost().map(|cost| cost.to_string().parse().unwrap());
    let mut entry = json!({
        "id": row.id(),
        "created_at": weir_event::Timestamp::from_millis(row.created_at).unwrap().to_string(),
        "provider": row.provider, "model": row.model, "path": row.path,
        "duration": row.duration_ms.unwrap_or(0), "success": row.success, "cached": row.cached,
        "tokens_in": row.tokens_in, "tokens_out": row.tokens_out, "cost": cost, "custom_cost": false,
        "model_type": text(row.model_type), "request_type": text(row.request_type),
        "request_content_type": text(row.request_content_type),
        "response_content_type": text(row.response_content_type),
        "status_code": row.status_code, "step": row.step,
    });
    entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Call::new("get").of(row.id()).gives(json!({"entry": entry}))
}
