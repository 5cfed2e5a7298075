//! Rows that differ in everything that can be asked for.

use std::borrow::Cow;
use std::ops::Deref;

use rust_decimal::Decimal;
use weir_store::LogRow;

use crate::query_api::rows::{id_of, id_text, seed_row};

/// The first row ended at this second, 2024-09-30T09:45:35Z, and three in every second from there on.
pub(super) const FIRST_END: i64 = 1_727_689_535_000;
pub(super) const SECOND: i64 = 1_000;

/// A value that has to be escaped in a URL, and in more than one way.
pub(super) const AWKWARD: &str = "a b&c=d,e+f/%41;'\"\\{x:String}";

/// A row, and how the API shows some of it.
pub(super) struct Row {
    row: LogRow<'static>,
    id: String,
}

impl Row {
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn cost(&self) -> Option<Decimal> {
        self.cost.map(|cost| cost.to_string().parse().unwrap())
    }

    /// Unknown where both are.
    pub(super) fn tokens(&self) -> Option<Decimal> {
        let sum = self.tokens_in.unwrap_or(0) + self.tokens_out.unwrap_or(0);
        self.tokens_in.or(self.tokens_out).map(|_| sum.into())
    }

    /// What few sources tell, `""` where this one did not.
    pub(super) fn attribute(&self, name: &str) -> &str {
        self.attributes.iter().find(|(one, _)| *one == name).map_or("", |(_, text)| text)
    }

    /// The same in a gateway of this name.
    pub(super) fn in_gateway(&self, gateway_id: &'static str) -> LogRow<'static> {
        LogRow { gateway_id, ..self.row.clone() }
    }
}

impl Deref for Row {
    type Target = LogRow<'static>;

    fn deref(&self) -> &Self::Target {
        &self.row
    }
}

/// 36 rows.
pub(super) fn rows() -> Vec<Row> {
    let one_of = |texts: &[&'static str], n: usize| texts[n % texts.len()];
    let row = |n: usize| {
        let ended_at = FIRST_END + i64::try_from(n / 3).unwrap() * SECOND;
        let count = u64::try_from(n).unwrap();
        let (metadata, metadata_text) = metadata(n);
        LogRow {
            id: id_of(ended_at - 100, &format!("sdk-{n}")).bytes(),
            started_at: ended_at - 100,
            created_at: ended_at,
            event_id: one_of(&["", "event-1", "event-2", "Event-2"], n),
            duration_ms: (!n.is_multiple_of(6)).then_some(count * 10),
            provider: one_of(&["openai", "anthropic", "azure-openai"], n),
            model: one_of(&["gpt-4o-2024-08-06", "claude-sonnet-4-5", "GPT-4.1 (Évaluation)", ""], n),
            model_type: one_of(&["chat", "embedding", "", "CHAT", "speech"], n),
            request_type: one_of(&["chat", "embeddings", "responses"], n / 2),
            request_content_type: one_of(&["application/json", "multipart/form-data; boundary=x", ""], n),
            response_content_type: one_of(&["application/json", "text/event-stream"], n),
            user_agent: one_of(&["curl/8.6.0", "OpenAI/Python 1.99.0", ""], n / 3),
            success: !n.is_multiple_of(5),
            cached: n.is_multiple_of(4),
            status_code: (!n.is_multiple_of(7)).then_some(200),
            tokens_in: (n % 8 != 1).then_some(count),
            tokens_out: (n % 9 != 1).then_some(1_000 - count),
            cost: (n % 10 != 3)
                .then(|| format!("0.{:07}", n * 37).parse::<weir_event::Usd>().unwrap().into()),
            metadata: metadata.to_owned(),
            metadata_text,
            attributes: attributes(n),
            ..seed_row()
        }
    };
    (0..36).map(row).map(|row| Row { id: id_text(&row), row }).collect()
}

fn attributes(n: usize) -> Vec<(&'static str, Cow<'static, str>)> {
    let all = [
        ("authentication", ["true", "false", ""][n % 3]),
        ("wholesale", ["", "true"][n % 2]),
        ("compatibility_mode", ["false", "", "", "true"][n % 4]),
        ("dlp_action", ["", "FLAG", "", "BLOCK", ""][n % 5]),
        ("prompt_id", ["", "prompt-1", "", "Prompt-2"][n % 4]),
        ("prompt_version_id", ["", "v1", "", "v2"][n % 4]),
        ("feedback", ["1", "", "-1", "0", "0.5", ""][n % 6]),
        ("score", ["", "99.5"][n % 2]),
    ];
    all.into_iter().filter(|(_, text)| !text.is_empty()).map(|(name, text)| (name, text.into())).collect()
}

type Metadata = (&'static str, Vec<(&'static str, Cow<'static, str>)>);

fn metadata(n: usize) -> Metadata {
    match n % 6 {
        0 => (r#"{"team":"search","user":"u-1"}"#, vec![("team", "search".into()), ("user", "u-1".into())]),
        1 => (
            r#"{"team":"Forschung & Ops","n":0}"#,
            vec![("team", "Forschung & Ops".into()), ("n", "0".into())],
        ),
        2 => (r#"{"note":"a b&c=d,e+f/%41;'\"\\{x:String}"}"#, vec![("note", AWKWARD.into())]),
        3 => (r#"{"team":"search","beta":true}"#, vec![("team", "search".into()), ("beta", "true".into())]),
        4 => ("{}", Vec::new()),
        _ => ("", Vec::new()),
    }
}
