//! What is asked of the live windows, as parameters.

use std::str::FromStr;
use std::time::Duration;

use weir_event::bus::{LiveSnapshot, Top};
use weir_event::{AccountId, Dimension, GatewayId, Measure, Scope};
use weir_filter::{Condition, Field, Filter, Node, TextField, Texts};
use weir_service::config::Value;

use super::parameters::{optional, single};
use crate::api::query_string::QueryString;
use crate::store::LiveQuestion;

const TOP_MAX: u32 = 10_000;
const WINDOW_DEFAULT: Duration = Duration::from_hours(1);
const WINDOW_MAX: Duration = Duration::from_hours(24);
const INTERVAL_DEFAULT: Duration = Duration::from_secs(1);
const INTERVAL_MAX: Duration = Duration::from_mins(1);
const PARAMETERS: [&str; 7] = ["account_id", "gateway_id", "filter", "group_by", "top", "by", "window"];
/// Of a stream besides.
const INTERVAL: &str = "interval";

/// A question, whose, and for a stream how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LiveCall {
    pub(super) scope: Scope,
    pub(super) question: LiveQuestion,
    pub(super) interval: Duration,
}

/// Dimensions with commas between; `""` is none.
struct Groups(Vec<Dimension>);

/// A time of whole seconds.
struct Seconds(Duration);

impl LiveCall {
    /// Reads a query, or tells everything that is wrong with it.
    pub(super) fn parse(raw: &str, is_stream: bool) -> Result<Self, Vec<String>> {
        let parameters = QueryString::parse(raw).map_err(|error| vec![error.to_string()])?;
        let is_known = |name: &str| PARAMETERS.contains(&name) || (is_stream && name == INTERVAL);
        let mut unknown = parameters.iter().map(|(name, _)| name).filter(|name| !is_known(name));
        let mut problems: Vec<String> = Vec::new();
        problems.extend(unknown.next().map(|_| "there is an unknown parameter".to_owned()));
        let account_id: Option<AccountId> = noted(single(&parameters, "account_id"), &mut problems);
        let gateway_id: Option<GatewayId> = noted(single(&parameters, "gateway_id"), &mut problems);
        let filter: Option<Filter> = noted(optional(&parameters, "filter"), &mut problems).flatten();
        problems.extend(filter.as_ref().and_then(Filter::root).and_then(asks_for_other));
        let groups = noted(optional(&parameters, "group_by"), &mut problems).flatten();
        let Groups(group_by) = groups.unwrap_or(Groups(vec![Dimension::Token, Dimension::Model]));
        let top = top(&parameters, &mut problems);
        let interval = noted(optional(&parameters, INTERVAL), &mut problems).flatten();
        let interval = interval.map_or(INTERVAL_DEFAULT, |Seconds(interval)| interval);
        if interval > INTERVAL_MAX {
            problems.push(format!("{INTERVAL}: is more than 60s"));
        }
        match (account_id, gateway_id) {
            (Some(account_id), Some(gateway_id)) if problems.is_empty() => {
                let filter = filter.map(|filter| filter.to_string()).unwrap_or_default();
                let question = LiveQuestion { filter, group_by, top };
                Ok(Self { scope: Scope { account_id, gateway_id }, question, interval })
            }
            (..) => Err(problems),
        }
    }
}

/// Whether the window that rows were ordered by is one of those that are kept. What is not there cannot be told before somebody
/// has answered, who alone knows which there are.
pub(super) fn check_window(snapshot: &LiveSnapshot, top: Option<Top>) -> Result<(), String> {
    let (Some(top), Some(row)) = (top, snapshot.rows.first()) else { return Ok(()) };
    let kept: Vec<_> = row.windows.iter().map(|window| window.window_s).collect();
    if kept.contains(&top.window_s) {
        return Ok(());
    }
    let kept: Vec<_> = kept.iter().map(|seconds| format!("{seconds}s")).collect();
    Err(format!("window: there is none of {}s, but {}", top.window_s, kept.join(", ")))
}

fn top(parameters: &QueryString, problems: &mut Vec<String>) -> Option<Top> {
    let n: Option<u32> = noted(optional(parameters, "top"), problems).flatten();
    let by: Option<Measure> = noted(optional(parameters, "by"), problems).flatten();
    let window = noted(optional(parameters, "window"), problems).flatten();
    let window = window.map(|Seconds(window)| window);
    if n.is_some_and(|n| !(1..=TOP_MAX).contains(&n)) {
        problems.push(format!("top: is not 1 to {TOP_MAX}"));
    }
    if window.is_some_and(|window| window > WINDOW_MAX) {
        problems.push("window: is more than 24h".to_owned());
    }
    let is_top = parameters.iter().any(|(name, _)| name == "top");
    let lone = parameters.iter().map(|(name, _)| name).find(|name| ["by", "window"].contains(name));
    problems.extend(lone.filter(|_| !is_top).map(|name| format!("{name}: is only of use with top")));
    let window_s = window.unwrap_or(WINDOW_DEFAULT).as_secs();
    Some(Top { n: n?, by: by.unwrap_or(Measure::Cost), window_s })
}

/// A value, or a note of what is wrong with it.
fn noted<T>(value: Result<T, String>, problems: &mut Vec<String>) -> Option<T> {
    value.map_err(|problem| problems.push(problem)).ok()
}

/// What is wrong with a filter: live windows are kept by few fields.
fn asks_for_other(node: &Node) -> Option<String> {
    match node {
        Node::And(nodes) | Node::Or(nodes) => nodes.iter().find_map(asks_for_other),
        Node::Not(node) => asks_for_other(node),
        Node::Is(condition) => {
            let field = match condition {
                Condition::Text(
                    Texts::Of(
                        TextField::Token
                        | TextField::Model
                        | TextField::Provider
                        | TextField::UserId
                        | TextField::ChannelId,
                    ),
                    _,
                ) => return None,
                Condition::Text(texts, _) => Field::Text(texts.clone()),
                Condition::Number(field, _) => Field::Number(*field),
                Condition::Time(field, _, _) => Field::Time(*field),
                Condition::Flag(field, _) => Field::Flag(*field),
            };
            Some(format!(
                "filter: live windows have token, model, provider, user_id and channel_id, not {field}"
            ))
        }
    }
}

impl FromStr for Groups {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self(Vec::new()));
        }
        let mut groups = Vec::new();
        for word in text.split(',') {
            let dimension: Dimension = word.parse().map_err(|error| format!("{error}"))?;
            if groups.contains(&dimension) {
                return Err(format!("{dimension} is given more than once"));
            }
            groups.push(dimension);
        }
        // In any order it is the same question.
        groups.sort_unstable();
        Ok(Self(groups))
    }
}

impl FromStr for Seconds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let time = Duration::from_text(text).ok();
        let whole = time.filter(|time| time.subsec_nanos() == 0 && !time.is_zero());
        whole.map(Self).ok_or_else(|| "is not a time of whole seconds such as 60s, 5m or 1h".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: &str = "account_id=acc&gateway_id=gw";

    fn parse(more: &str) -> LiveCall {
        LiveCall::parse(&format!("{HERE}{more}"), true).unwrap()
    }

    #[test]
    fn what_is_not_said_is_as_it_always_was() {
        let call = parse("");
        assert_eq!((call.scope.account_id.as_str(), call.scope.gateway_id.as_str()), ("acc", "gw"));
        let group_by = vec![Dimension::Token, Dimension::Model];
        assert_eq!(call.question, LiveQuestion { filter: String::new(), group_by, top: None });
        assert_eq!(call.interval, Duration::from_secs(1));
    }

    #[test]
    fn one_question_in_two_ways_is_the_same() {
        let one = parse("&group_by=user,provider&filter=model%3D%22a%22+or+(token+exists)&top=5&interval=1m");
        let other = parse(
            "&interval=60s&window=60m&top=5&by=cost&filter=(model+%3D+%22a%22)+or+token+exists&group_by=provider,user",
        );
        assert_eq!(one, other);
        assert_eq!(one.question.filter, r#"model = "a" or token exists"#);
        assert_eq!(one.question.group_by, [Dimension::Provider, Dimension::User]);
        assert_eq!(one.question.top, Some(Top { n: 5, by: Measure::Cost, window_s: 3_600 }));
        assert_eq!(parse("&group_by=").question.group_by, []);
    }

    #[test]
    fn everything_that_is_wrong_is_told_with_its_name() {
        let check = |raw: &str, expected: &[&str]| {
            assert_eq!(LiveCall::parse(raw, false).unwrap_err(), expected, "{raw}");
        };
        let check_here = |more: &str, expected: &[&str]| check(&format!("{HERE}&{more}"), expected);
        check("", &["account_id is required", "gateway_id is required"]);
        check("account_id=a&account_id=b&gateway_id=g", &["account_id is given more than once"]);
        check_here("model=x", &["there is an unknown parameter"]);
        check_here("interval=5s", &["there is an unknown parameter"]);
        check_here("group_by=token,colour", &["group_by: unknown dimension \"colour\""]);
        check_here("group_by=token,token", &["group_by: token is given more than once"]);
        check_here("top=0", &["top: is not 1 to 10000"]);
        check_here("by=cost", &["by: is only of use with top"]);
        check_here("window=5m", &["window: is only of use with top"]);
        check_here("top=5&window=25h&by=love", &["by: unknown measure \"love\"", "window: is more than 24h"]);
        check_here("top=1&window=1500ms", &["window: is not a time of whole seconds such as 60s, 5m or 1h"]);
        let other = "filter: live windows have token, model, provider, user_id and channel_id, not cost";
        check_here("filter=model+exists+and+not+(cost+%3E+1)", &[other]);
        let too_long = LiveCall::parse(&format!("{HERE}&interval=61s"), true).unwrap_err();
        assert_eq!(too_long, ["interval: is more than 60s"]);
    }
}
