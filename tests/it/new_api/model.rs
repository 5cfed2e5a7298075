//! What new-api's API says of rows, written down once more without a database: the same questions, asked of a list.

use serde_json::{Value, json};
use weir_event::{EventId, Timestamp};
use weir_store::LogRow;

use super::DIALECTS;

/// Of whom rows are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    Admin,
    User(&'static str),
}

/// A row, with nothing in it that is not asked for or shown.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) gateway: &'static str,
    pub(super) key: String,
    /// The source's number, or another text.
    pub(super) event_id: String,
    pub(super) kind: &'static str,
    pub(super) at_ms: i64,
    pub(super) user: (&'static str, &'static str),
    /// Number, name, hash.
    pub(super) token: (&'static str, &'static str, &'static str),
    /// The model that was asked for, and the one that answered.
    pub(super) models: (&'static str, &'static str),
    pub(super) group: &'static str,
    pub(super) channel: &'static str,
    pub(super) quota: Option<i64>,
    pub(super) tokens: (Option<u64>, Option<u64>),
    /// Input tokens as the source sums them up, where that is another sum.
    pub(super) prompt: Option<i64>,
    pub(super) success: bool,
    pub(super) content: &'static str,
    pub(super) request_ids: (&'static str, &'static str),
    /// `other`, what users see of it as documented, and what they do in 0.9 and 1.0.
    pub(super) other: [&'static str; 3],
    /// Whether it was stored when texts were in the metadata.
    pub(super) is_old: bool,
}

/// A question.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) path: &'static str,
    pub(super) parameters: Vec<(&'static str, &'static str)>,
}

/// The API of one dialect over some rows, of which it is about those of one gateway.
pub(super) struct Model {
    pub(super) dialect: &'static str,
    pub(super) rows: Vec<&'static Row>,
    pub(super) gateway: &'static str,
    pub(super) now_s: i64,
}

impl Row {
    pub(super) fn id(&self) -> EventId {
        EventId::derive(Timestamp::from_millis(self.at_ms).unwrap(), &[self.key.as_bytes()])
    }

    fn number(&self) -> Option<i64> {
        self.event_id.parse().ok().filter(|number| *number > 0)
    }

    fn seconds(&self) -> i64 {
        self.at_ms.div_euclid(1_000)
    }

    fn model_name(&self) -> &'static str {
        if self.models.0.is_empty() { self.models.1 } else { self.models.0 }
    }

    pub(super) fn quota_units(&self) -> i64 {
        self.quota.unwrap_or(0)
    }

    fn prompt_tokens(&self) -> i64 {
        self.prompt.unwrap_or_else(|| self.tokens.0.unwrap_or(0).try_into().unwrap())
    }

    fn completion_tokens(&self) -> i64 {
        self.tokens.1.unwrap_or(0).try_into().unwrap()
    }

    fn is_of(&self, reader: Reader) -> bool {
        match reader {
            Reader::Admin => true,
            Reader::User(id) => self.user.0 == id,
        }
    }

    /// As ingest stores it.
    pub(super) fn stored(&'static self) -> LogRow<'static> {
        let (content, channel_name, upstream) =
            (if self.success { self.content } else { "" }, "main", self.request_ids.1);
        let texts = [("content", content), ("channel_name", channel_name), ("upstream_request_id", upstream)];
        let texts = texts.into_iter().filter(|(_, text)| !text.is_empty());
        let mut attributes: Vec<_> = Vec::new();
        let (mut metadata, mut metadata_text) = (String::new(), Vec::new());
        if self.is_old {
            metadata_text = texts.clone().map(|(name, text)| (name, text.into())).collect();
            metadata =
                Value::Object(texts.map(|(name, text)| (name.into(), text.into())).collect()).to_string();
        } else {
            attributes.extend(texts.map(|(name, text)| (name, text.into())));
        }
        LogRow {
            account_id: "acc",
            gateway_id: self.gateway,
            created_at: self.at_ms,
            started_at: self.at_ms,
            id: self.id().bytes(),
            dialect: "new_api_log",
            event_id: &self.event_id,
            kind: self.kind,
            duration_ms: Some(2_500),
            model_requested: self.models.0,
            model: self.models.1,
            success: self.success,
            error: if self.success { "" } else { self.content },
            user_id: self.user.0,
            user_name: self.user.1,
            token_id: self.token.0,
            token_name: self.token.1,
            token_hash: self.token.2,
            group: self.group,
            channel_id: self.channel,
            request_id: self.request_ids.0,
            tokens_in: self.tokens.0,
            tokens_out: self.tokens.1,
            prompt_tokens: self.prompt,
            usage_json: self.other[0],
            quota: self.quota,
            metadata,
            metadata_text,
            attributes,
            ..LogRow::default()
        }
    }
}

impl Ask {
    fn text(&self, name: &str) -> Option<&'static str> {
        let first = self.parameters.iter().find(|(one, _)| *one == name);
        first.map(|(_, value)| *value).filter(|value| !value.is_empty())
    }

    fn number(&self, name: &str) -> i64 {
        self.text(name).and_then(|text| text.parse().ok()).unwrap_or(0)
    }
}

impl Model {
    pub(super) fn is_newest(&self) -> bool {
        self.dialect == DIALECTS[2]
    }

    /// The answer's `data`, or the message of a refusal.
    pub(super) fn answer(&self, reader: Reader, ask: &Ask) -> Result<Value, &'static str> {
        match ask.path {
            "/api/log/" | "/api/log/self" => self.list(reader, ask),
            "/api/log/stat" | "/api/log/self/stat" => self.stat(reader, ask),
            "/api/log/search" | "/api/log/self/search" => self.search(reader, ask),
            "/api/data/" | "/api/data/self" | "/api/data/users" => self.hours(reader, ask),
            path => panic!("{path}"),
        }
    }

    /// The newest rows of a relay key.
    pub(super) fn of_key(&self, is_of: impl Fn(&Row) -> bool) -> Value {
        let rows = self.newest(|row| is_of(row));
        self.shown(Reader::User(""), rows.into_iter().take(1_000), 0)
    }

    fn newest(&self, is_meant: impl Fn(&Row) -> bool) -> Vec<&'static Row> {
        let is_there = |row: &&&'static Row| row.gateway == self.gateway && is_meant(row);
        let mut rows: Vec<_> = self.rows.iter().filter(is_there).copied().collect();
        rows.sort_by_key(|row| std::cmp::Reverse((row.at_ms, row.id())));
        rows
    }

    fn list(&self, reader: Reader, ask: &Ask) -> Result<Value, &'static str> {
        self.check_patterns(reader, ask)?;
        let rows = self.newest(|row| {
            let row_type = ask.number("type");
            let ids = self.dialect == DIALECTS[1]
                || (is_or_any(ask.text("request_id"), row.request_ids.0)
                    && is_or_any(ask.text("upstream_request_id"), row.request_ids.1));
            self.is_met(reader, ask, row)
                && is_within(ask, row)
                && (row_type == 0 || self.type_of(row.kind) == row_type)
                && (reader != Reader::Admin || is_of_channel(ask, row))
                && ids
        });
        let page = match ask.number("p") {
            0 => 1,
            page => page,
        };
        let told =
            ["page_size", "ps", "size"].map(|name| ask.number(name)).into_iter().find(|size| *size != 0);
        let size = match told.unwrap_or(if self.dialect == DIALECTS[0] { 20 } else { 10 }) {
            size if !(0..=100).contains(&size) => 100,
            size => size,
        };
        let before = (page - 1) * size;
        let total = rows.len();
        let on_page = rows.into_iter().skip(before.max(0).try_into().unwrap()).take(size.try_into().unwrap());
        let items = self.shown(reader, on_page, before);
        Ok(json!({"page": page, "page_size": size, "total": total, "items": items}))
    }

    fn stat(&self, reader: Reader, ask: &Ask) -> Result<Value, &'static str> {
        self.check_patterns(reader, ask)?;
        let consumed =
            |row: &Row| row.kind == "consume" && self.is_met(reader, ask, row) && is_of_channel(ask, row);
        let quota: i64 =
            self.newest(|row| consumed(row) && is_within(ask, row)).iter().map(|row| row.quota_units()).sum();
        let lately = self.newest(|row| consumed(row) && row.seconds() >= self.now_s - 60);
        let tokens: i64 = lately.iter().map(|row| row.prompt_tokens() + row.completion_tokens()).sum();
        Ok(json!({"quota": quota, "rpm": lately.len(), "tpm": tokens}))
    }

    fn search(&self, reader: Reader, ask: &Ask) -> Result<Value, &'static str> {
        if self.is_newest() {
            return Err("该接口已废弃");
        }
        let keyword = ask.text("keyword").unwrap_or("");
        let rows = self.newest(|row| {
            let of_type = keyword == self.type_of(row.kind).to_string();
            let of_content = reader == Reader::Admin && is_like(row.content, &format!("{keyword}%"));
            row.is_of(reader) && (of_type || of_content)
        });
        let mut found = self.shown(reader, rows.into_iter().take(100), 0);
        for row in found.as_array_mut().unwrap() {
            row["channel_name"] = "".into();
        }
        Ok(found)
    }

    fn hours(&self, reader: Reader, ask: &Ask) -> Result<Value, &'static str> {
        let (start, end) = (ask.number("start_timestamp"), ask.number("end_timestamp"));
        if reader != Reader::Admin && end - start > 2_592_000 {
            return Err("时间跨度不能超过 1 个月");
        }
        let by_name = ask.path == "/api/data/users";
        let user_name = ask.text("username").filter(|_| reader == Reader::Admin && !by_name);
        let by_user = reader != Reader::Admin || user_name.is_some();
        let mut hours = std::collections::BTreeMap::<_, (i64, i64, i64)>::new();
        for row in
            self.newest(|row| row.kind == "consume" && row.is_of(reader) && is_or_any(user_name, row.user.1))
        {
            let hour = row.seconds().div_euclid(3_600) * 3_600;
            if (start..=end).contains(&hour) {
                let (user, model) = match () {
                    () if by_name => (("", row.user.1), ""),
                    () if by_user => (row.user, row.model_name()),
                    () => (("", ""), row.model_name()),
                };
                let sums = hours.entry((hour, user, model)).or_default();
                sums.0 += 1;
                sums.1 += row.quota_units();
                sums.2 += row.prompt_tokens() + row.completion_tokens();
            }
        }
        let view = |((hour, user, model), (count, quota, tokens)): ((i64, (&str, &str), &str), _)| {
            let mut view = json!({
                "id": 0, "user_id": user.0.parse().unwrap_or(0), "username": user.1, "model_name": model,
                "created_at": hour, "token_used": tokens, "count": count, "quota": quota,
            });
            if self.is_newest() {
                let more = json!({"use_group": "", "token_id": 0, "channel_id": 0, "node_name": ""});
                view.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            }
            view
        };
        Ok(hours.into_iter().map(view).collect())
    }

    /// What all questions are filtered by.
    fn is_met(&self, reader: Reader, ask: &Ask, row: &Row) -> bool {
        let is_named = |asked: Option<&str>, name: &str, is_pattern: bool| match asked {
            None => true,
            Some(asked) if !is_pattern => asked == name,
            Some(asked) if self.is_newest() && asked.contains('%') => {
                is_like(name, &asked.replace('_', "\u{1}"))
            }
            Some(asked) if self.is_newest() => asked == name,
            Some(asked) => is_like(name, asked),
        };
        row.is_of(reader)
            && (reader != Reader::Admin || is_named(ask.text("username"), row.user.1, self.is_newest()))
            && is_named(ask.text("model_name"), row.model_name(), true)
            && is_or_any(ask.text("token_name"), row.token.1)
            && is_or_any(ask.text("group"), row.group)
    }

    fn check_patterns(&self, reader: Reader, ask: &Ask) -> Result<(), &'static str> {
        let user_name = ask.text("username").filter(|_| reader == Reader::Admin);
        for text in [ask.text("model_name"), user_name].into_iter().flatten() {
            if !self.is_newest() || !text.contains('%') {
                continue;
            }
            if text.contains("%%") {
                return Err("搜索模式中不允许包含连续的 % 通配符");
            }
            if text.matches('%').count() > 2 {
                return Err("搜索模式中最多允许包含 2 个 % 通配符");
            }
            if text.replace('_', "!_").replace('%', "").len() < 2 {
                return Err("使用模糊搜索时，关键词长度至少为 2 个字符");
            }
        }
        Ok(())
    }

    fn type_of(&self, kind: &str) -> i64 {
        let documented = self.dialect == DIALECTS[0];
        match kind {
            "topup" => 1,
            "consume" => 2,
            "manage" => 3,
            "error" => {
                if documented {
                    4
                } else {
                    5
                }
            }
            "system" => {
                if documented {
                    5
                } else {
                    4
                }
            }
            "refund" => 6,
            "login" => 7,
            _ => panic!("{kind}"),
        }
    }

    fn shown(&self, reader: Reader, rows: impl Iterator<Item = &'static Row>, before: i64) -> Value {
        let view = |(place, row): (i64, &Row)| {
            let own_id = row.number().unwrap_or_else(|| row.id().number());
            let is_admin = reader == Reader::Admin;
            let id = match () {
                () if is_admin => own_id,
                () if self.is_newest() => before + place,
                () => own_id % 1_024,
            };
            let number = |text: &str| text.parse().ok().filter(|n: &i64| n.to_string() == text).unwrap_or(0);
            let mut view = json!({
                "id": id, "user_id": number(row.user.0), "created_at": row.seconds(),
                "type": self.type_of(row.kind), "content": row.content, "username": row.user.1,
                "token_name": row.token.1, "model_name": row.model_name(), "quota": row.quota_units(),
                "prompt_tokens": row.prompt_tokens(), "completion_tokens": row.completion_tokens(),
                "use_time": 2, "is_stream": false, "channel": number(row.channel),
                "channel_id": number(row.channel), "channel_name": if is_admin { "main" } else { "" },
                "token_id": number(row.token.0), "group": row.group, "ip": "",
                "other": row.other[if is_admin { 0 } else if self.dialect == DIALECTS[0] { 1 } else { 2 }],
            });
            for (name, text) in
                [("request_id", row.request_ids.0), ("upstream_request_id", row.request_ids.1)]
            {
                if !text.is_empty() {
                    view[name] = text.into();
                }
            }
            view
        };
        (1..).zip(rows).map(view).collect()
    }
}

fn is_or_any(asked: Option<&str>, found: &str) -> bool {
    asked.is_none_or(|asked| asked == found)
}

fn is_of_channel(ask: &Ask, row: &Row) -> bool {
    let channel = ask.number("channel");
    channel == 0 || row.channel == channel.to_string()
}

fn is_within(ask: &Ask, row: &Row) -> bool {
    let (start, end) = (ask.number("start_timestamp"), ask.number("end_timestamp"));
    (start == 0 || row.seconds() >= start) && (end == 0 || row.seconds() <= end)
}

/// `%` is anything, `_` one letter, `\u{1}` an underscore.
fn is_like(text: &str, pattern: &str) -> bool {
    let mut letters = text.chars();
    match pattern.chars().next() {
        None => text.is_empty(),
        Some('%') => {
            let rest = &pattern[1..];
            text.char_indices().map(|(at, _)| at).chain([text.len()]).any(|at| is_like(&text[at..], rest))
        }
        Some(sign) => letters.next().is_some_and(|letter| {
            let fits = sign == '_' || letter == if sign == '\u{1}' { '_' } else { sign };
            fits && is_like(letters.as_str(), &pattern[sign.len_utf8()..])
        }),
    }
}
