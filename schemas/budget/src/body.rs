//! What a caller says of a budget, read. Everything that is wrong with it is told at once, each with its field.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::amount::Amount;
use super::budget::{Terms, goes_by_opinion};
use super::calendar::{Calendar, Period, Zone};
use super::measure::Measure;
use super::window::Window;
use weir_event::Members;

/// One thing that is wrong with a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The member that it is about; empty for the whole.
    pub field: String,
    /// What is wrong.
    pub what: String,
}

const NAME_MAX: usize = 200;
const THRESHOLDS_MAX: usize = 20;
const THRESHOLD: std::ops::RangeInclusive<u16> = 1..=1_000;
const WEBHOOKS_MAX: usize = 10;
const COOL_DOWN_S: std::ops::RangeInclusive<u32> = 60..=86_400;
/// As much of a name of the caller's is told back.
const SHOWN_MAX: usize = 64;

const FIELDS: [&str; 11] = [
    "name",
    "filter",
    "measure",
    "limit",
    "window_s",
    "period",
    "timezone",
    "thresholds",
    "cool_down_s",
    "webhooks",
    "enabled",
];

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() {
            f.write_str(&self.what)
        } else {
            write!(f, "{}: {}", self.field, self.what)
        }
    }
}

/// The members of a body, and what was found wrong with them.
struct Body<'a> {
    members: BTreeMap<String, &'a RawValue>,
    problems: Vec<Problem>,
}

impl Terms {
    /// Reads a body: a JSON object with `name`, `measure`, `limit`, either `window_s` or `period` (with `timezone`, or UTC), and
    /// optionally `filter`, `thresholds`, `cool_down_s`, `webhooks` and `enabled`.
    pub fn from_json(body: &[u8]) -> Result<Self, Vec<Problem>> {
        let mut body = Body::parse(body).map_err(|what| vec![Problem { field: String::new(), what }])?;
        let name = body.required("name", text).and_then(|name| body.checked("name", name, checked_name));
        let filter = body.optional("filter", text).unwrap_or_default();
        let filter = body.checked("filter", filter, |text| {
            let filter: weir_filter::Filter =
                text.parse().map_err(|error: weir_filter::ParseError| error.to_string())?;
            if goes_by_opinion(&filter) {
                return Err(
                    "feedback and score are set after a call is stored: no budget can go by them".to_owned()
                );
            }
            Ok(filter)
        });
        let measure =
            body.required("measure", |raw| one_of(raw, Measure::named, Measure::ALL.map(Measure::as_str)));
        let limit = body.required("limit", amount);
        let limit =
            limit.and_then(|limit| body.checked("limit", limit, |limit| checked_limit(limit, measure)));
        let window = body.window();
        let cool_down_s = body.cool_down(window.as_ref());
        let thresholds = body.optional("thresholds", thresholds).unwrap_or_else(|| vec![50, 80, 100]);
        let webhooks = body.optional("webhooks", webhooks).unwrap_or_default();
        let enabled = body.optional("enabled", read::<bool>("true or false")).unwrap_or(true);
        match (name, filter, measure, limit, window) {
            (Some(name), Some(filter), Some(measure), Some(limit), Some(window))
                if body.problems.is_empty() =>
            {
                Ok(Self { name, filter, measure, limit, window, thresholds, cool_down_s, webhooks, enabled })
            }
            (..) => Err(body.problems),
        }
    }
}

impl<'a> Body<'a> {
    fn parse(body: &'a [u8]) -> Result<Self, String> {
        let Members(all) = serde_json::from_slice(body)
            .map_err(|error| format!("not a JSON object: line {} column {}", error.line(), error.column()))?;
        let (mut members, mut problems) = (BTreeMap::new(), Vec::new());
        for (name, raw) in all {
            let what = if !FIELDS.contains(&name.as_str()) {
                Some("is not a field of a budget")
            } else if members.insert(name.clone(), raw).is_some() {
                Some("is given more than once")
            } else {
                None
            };
            let field = || name.chars().filter(|letter| !letter.is_control()).take(SHOWN_MAX).collect();
            problems.extend(what.map(|what| Problem { field: field(), what: what.to_owned() }));
        }
        Ok(Self { members, problems })
    }

    fn note(&mut self, field: &str, what: impl Into<String>) {
        self.problems.push(Problem { field: field.to_owned(), what: what.into() });
    }

    fn optional<T>(&mut self, field: &str, read: impl FnOnce(&RawValue) -> Result<T, String>) -> Option<T> {
        let raw = *self.members.get(field)?;
        read(raw).map_err(|what| self.note(field, what)).ok()
    }

    fn required<T>(&mut self, field: &str, read: impl FnOnce(&RawValue) -> Result<T, String>) -> Option<T> {
        if !self.members.contains_key(field) {
            self.note(field, "is required");
        }
        self.optional(field, read)
    }

    fn checked<T, U>(
        &mut self,
        field: &str,
        value: T,
        check: impl FnOnce(T) -> Result<U, String>,
    ) -> Option<U> {
        check(value).map_err(|what| self.note(field, what)).ok()
    }

    fn window(&mut self) -> Option<Window> {
        let seconds = self.optional("window_s", read::<u32>("a number of seconds"));
        let period =
            self.optional("period", |raw| one_of(raw, Period::named, Period::ALL.map(Period::as_str)));
        let zone =
            self.optional("timezone", |raw| text(raw)?.parse::<Zone>().map_err(|error| error.to_string()));
        let (has_window, has_period) =
            (self.members.contains_key("window_s"), self.members.contains_key("period"));
        match (has_window, has_period) {
            (true, true) => self.note("window_s", "is given together with period"),
            (false, false) => self.note("window_s", "is required, or period is"),
            (true, false) if self.members.contains_key("timezone") => {
                self.note("timezone", "is for a period: a sliding window is the same everywhere");
            }
            (_, _) => {}
        }
        match (seconds, period) {
            (Some(seconds), None) if !Window::SECONDS.contains(&seconds) || seconds % 60 != 0 => {
                self.note("window_s", "is not a whole number of minutes from 60 to 86400");
                None
            }
            (Some(seconds), None) => Some(Window::Sliding { seconds }),
            (None, Some(period)) => {
                let zone = zone.unwrap_or_else(Zone::utc);
                Some(Window::Calendar(Calendar { period, zone }))
            }
            (_, _) => None,
        }
    }

    fn cool_down(&mut self, window: Option<&Window>) -> u32 {
        let given = self.optional("cool_down_s", read::<u32>("a number of seconds"));
        match (window, given) {
            (_, Some(seconds)) if !COOL_DOWN_S.contains(&seconds) => {
                self.note("cool_down_s", "is not from 60 to 86400");
                0
            }
            (Some(Window::Calendar(_)), Some(_)) => {
                self.note("cool_down_s", "is for a sliding window: of a period each threshold is told once");
                0
            }
            (Some(Window::Sliding { seconds }), None) => *seconds,
            (_, given) => given.unwrap_or(0),
        }
    }
}

fn read<T: for<'de> Deserialize<'de>>(expected: &str) -> impl FnOnce(&RawValue) -> Result<T, String> {
    move |raw| serde_json::from_str(raw.get()).map_err(|_| format!("is not {expected}"))
}

fn text(raw: &RawValue) -> Result<String, String> {
    read("a text")(raw)
}

fn one_of<T, const N: usize>(
    raw: &RawValue,
    find: impl Fn(&str) -> Option<T>,
    names: [&str; N],
) -> Result<T, String> {
    let given: Option<String> = serde_json::from_str(raw.get()).ok();
    given.and_then(|name| find(&name)).ok_or_else(|| format!("is not one of {}", names.join(", ")))
}

/// A number, or a text with one for those whose JSON has floats only.
fn amount(raw: &RawValue) -> Result<Amount, String> {
    let quoted: Option<String> = serde_json::from_str(raw.get()).ok();
    quoted.as_deref().unwrap_or(raw.get()).parse().map_err(|error| format!("is {error}"))
}

fn checked_limit(limit: Amount, measure: Option<Measure>) -> Result<Amount, String> {
    if limit <= Amount::ZERO {
        return Err("is not above 0".to_owned());
    }
    match measure {
        Some(measure) if !measure.has_decimals() && !limit.is_whole() => {
            Err(format!("is not a whole number of {}", measure.as_str()))
        }
        _ => Ok(limit),
    }
}

fn checked_name(name: String) -> Result<String, String> {
    let is_fit = (1..=NAME_MAX).contains(&name.chars().count()) && !name.chars().any(char::is_control);
    if is_fit { Ok(name) } else { Err(format!("is not 1 to {NAME_MAX} characters on one line")) }
}

fn thresholds(raw: &RawValue) -> Result<Vec<u16>, String> {
    let mut thresholds: Vec<u16> = read("a list of percentages")(raw)?;
    thresholds.sort_unstable();
    let is_fit = (1..=THRESHOLDS_MAX).contains(&thresholds.len())
        && thresholds.iter().all(|percent| THRESHOLD.contains(percent))
        && thresholds.windows(2).all(|two| two[0] != two[1]);
    if is_fit {
        Ok(thresholds)
    } else {
        Err(format!("are not 1 to {THRESHOLDS_MAX} different percentages from 1 to 1000"))
    }
}

fn webhooks(raw: &RawValue) -> Result<Vec<String>, String> {
    let webhooks: Vec<String> = read("a list of names")(raw)?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let is_name = |name: &String| (1..=64).contains(&name.len()) && name.bytes().all(plain);
    let is_fit = webhooks.len() <= WEBHOOKS_MAX && webhooks.iter().all(is_name);
    if is_fit {
        Ok(webhooks)
    } else {
        Err(format!("are not at most {WEBHOOKS_MAX} names of 1 to 64 letters, digits, '-' and '_'"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(body: &str) -> Vec<String> {
        Terms::from_json(body.as_bytes()).unwrap_err().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_not_said_has_its_default() {
        let read = |body: &str| Terms::from_json(body.as_bytes()).unwrap();
        let terms = read(r#"{"name": "a", "measure": "cost", "limit": 0.10, "window_s": 120}"#);
        assert_eq!((terms.thresholds, terms.cool_down_s, terms.enabled), (vec![50, 80, 100], 120, true));
        assert_eq!((terms.limit.to_string().as_str(), terms.filter.root()), ("0.1", None));
        let terms = read(
            r#"{"name": "a", "measure": "tokens", "limit": "5", "period": "week", "thresholds": [9, 3]}"#,
        );
        assert_eq!((terms.thresholds, terms.cool_down_s), (vec![3, 9], 0));
        assert!(matches!(terms.window, Window::Calendar(calendar) if calendar.zone == Zone::utc()));
        let terms =
            read(r#"{"name": "a", "measure": "cost", "limit": 1, "window_s": 120, "cool_down_s": 60}"#);
        assert_eq!(terms.cool_down_s, 60);
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once_with_its_field() {
        assert_eq!(
            problems("{}"),
            [
                "name: is required",
                "measure: is required",
                "limit: is required",
                "window_s: is required, or period is"
            ]
        );
        assert_eq!(
            problems(
                r#"{"name": "", "filter": "mood = 1", "measure": "joules", "limit": -1, "window_s": 90, "timezone": 1,
                    "thresholds": [0], "cool_down_s": 59, "webhooks": ["a b"], "enabled": 1, "color": 1, "name": "x"}"#
            ),
            [
                "color: is not a field of a budget",
                "name: is given more than once",
                "filter: at byte 0: there is no field 'mood'",
                "measure: is not one of cost, tokens, tokens_in, tokens_out, requests, errors",
                "limit: is not above 0",
                "timezone: is not a text",
                "timezone: is for a period: a sliding window is the same everywhere",
                "window_s: is not a whole number of minutes from 60 to 86400",
                "cool_down_s: is not from 60 to 86400",
                "thresholds: are not 1 to 20 different percentages from 1 to 1000",
                "webhooks: are not at most 10 names of 1 to 64 letters, digits, '-' and '_'",
                "enabled: is not true or false",
            ]
        );
    }

    #[test]
    fn what_excludes_the_other_is_told() {
        let check = |rest: &str, expected: &str| {
            assert_eq!(problems(&format!(r#"{{"name": "a", {rest}}}"#)), [expected], "{rest}");
        };
        check(
            r#""measure": "cost", "limit": 1, "window_s": 60, "period": "day""#,
            "window_s: is given together with period",
        );
        check(
            r#""measure": "cost", "limit": 1, "period": "day", "cool_down_s": 60"#,
            "cool_down_s: is for a sliding window: of a period each threshold is told once",
        );
        check(
            r#""measure": "cost", "limit": 1, "period": "day", "timezone": "Berlin""#,
            "timezone: not the name of a time zone, such as Europe/Berlin or UTC",
        );
        check(
            r#""measure": "tokens", "limit": 1.5, "period": "day""#,
            "limit: is not a whole number of tokens",
        );
        check(r#""measure": "cost", "limit": 1e3, "period": "day""#, "limit: is not a decimal number");
        let opinion = "filter: feedback and score are set after a call is stored: no budget can go by them";
        for filter in ["feedback = 1", "cached = false and (success = true or not score > 3)"] {
            let body = format!(r#""measure": "cost", "limit": 1, "period": "day", "filter": "{filter}""#);
            check(&body, opinion);
        }
    }

    #[test]
    fn what_is_no_object_is_refused_without_an_echo() {
        for bad in ["", "[]", "null", "secret", "{\"secret\"", "{} secret"] {
            let found = problems(bad);
            assert!(
                found.len() == 1 && found[0].starts_with("not a JSON object: line 1 column "),
                "{found:?}"
            );
        }
    }
}
