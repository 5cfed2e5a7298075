//! Records whose content follows from their number, with bodies that a careless copy would change.

use serde_json::json;

/// What texts are made of: bytes that formats and engines treat in ways of their own.
const PIECES: [&str; 16] = [
    "plain words ",
    "\"quoted\" ",
    "back\\slash ",
    "line\nend ",
    "tab\t",
    "semi;colon ",
    "naïve ",
    "日本語 ",
    "🦀 ",
    "\u{0}",
    "\u{7f}",
    "{x:String} ",
    "'); -- ",
    "%25 ",
    "\u{2028}",
    "0x1F ",
];
/// Pieces of a body: up to some kilobytes.
const PIECES_MAX: usize = 600;

/// A request to a model.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    /// Tells it apart from all others.
    pub(super) number: u64,
    /// When it ended, in epoch milliseconds.
    pub(super) ended_at: i64,
}

impl Record {
    /// The request's and the answer's body, as they have to be stored.
    pub(super) fn bodies(&self) -> (String, String) {
        let mut rng = fastrand::Rng::with_seed(self.number);
        let request = json!({ "messages": [{ "role": "user", "content": text(&mut rng) }], "model": "" });
        let answer = json!({
            "id": format!("chatcmpl-{}", self.number),
            "model": "gpt-4o-2024-05-13",
            "choices": [{ "index": 0, "message": { "role": "assistant", "content": text(&mut rng) } }],
            "usage": { "prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110 },
        });
        (request.to_string(), answer.to_string())
    }

    /// Its id at Cloudflare, by which it is found again.
    pub(super) fn ray(&self) -> String {
        format!("{:016x}", self.number)
    }

    /// The record as Logpush delivers it.
    pub(super) fn line(&self) -> String {
        let (request, answer) = self.bodies();
        let request = format!(r#"{{"request_body":{request}}}"#);
        let response = json!({ "response_body": answer });
        json!({
            "EventTimestampMs": self.ended_at - 250,
            "EventType": "fetch",
            "Event": {
                "RayID": self.ray(),
                "Request": {
                    "URL": "https://m.example.com/azure-openai/res/deployments/gpt4o/chat/completions",
                    "Method": "POST",
                },
                "Response": { "Status": 200 },
            },
            "Logs": [
                { "Level": "log", "Message": [request], "TimestampMs": self.ended_at - 249 },
                { "Level": "log", "Message": [response.to_string()], "TimestampMs": self.ended_at },
            ],
            "Outcome": "ok",
            "ScriptName": "malacca",
        })
        .to_string()
    }
}

fn text(rng: &mut fastrand::Rng) -> String {
    let pieces = rng.usize(..PIECES_MAX);
    (0..pieces).map(|_| PIECES[rng.usize(..PIECES.len())]).collect()
}
