//! Rules for names: `or` becomes a list of patterns; `and` with a negative look-ahead becomes a pattern and exceptions.

use regex::Regex;

use super::super::draft::Pattern;
use super::super::json::Json;
use super::Rule;

/// `None` where the rule says something that patterns and exceptions cannot say.
pub(super) fn convert(json: &Json) -> Option<Rule> {
    let [(kind, value)] = entries(json)? else { return None };
    if kind == "and" {
        return conjunction(value.list("and").ok()?);
    }
    if kind != "or" {
        return Some(Rule { patterns: vec![simple(kind, value)?], except: Vec::new() });
    }
    let mut rule = Rule { patterns: Vec::new(), except: Vec::new() };
    for alternative in value.list("or").ok()? {
        let part = convert(alternative)?;
        rule.patterns.extend(part.patterns);
        rule.except.extend(part.except);
    }
    // An exception of a price file is one for all of its patterns; here it was one for an alternative. That is the
    // same where no other alternative is touched by it.
    let excepted = |pattern: &Pattern| match pattern {
        Pattern::Exact(name) => rule.except.iter().any(|except| touches(except, name)),
        Pattern::Prefix(_) | Pattern::Suffix(_) | Pattern::Contains(_) | Pattern::Regex(_) => {
            !rule.except.is_empty() && value.list("or").is_ok_and(|list| !covers(list, pattern))
        }
    };
    (!rule.patterns.iter().any(excepted)).then_some(rule)
}

/// One pattern, and any number of `^(?!.*X)`: not where X is found.
fn conjunction(clauses: &[Json]) -> Option<Rule> {
    let mut rule = Rule { patterns: Vec::new(), except: Vec::new() };
    for clause in clauses {
        let [(kind, value)] = entries(clause)? else { return None };
        match (kind.as_str(), value.text().and_then(look_ahead)) {
            ("regex", Some(except)) => rule.except.push(Pattern::Regex(except.to_owned())),
            (kind, _) => rule.patterns.push(simple(kind, value)?),
        }
    }
    (rule.patterns.len() == 1).then_some(rule)
}

fn simple(kind: &str, value: &Json) -> Option<Pattern> {
    let text = value.text().filter(|text| !text.is_empty())?;
    match kind {
        "equals" => Some(Pattern::Exact(text.to_lowercase())),
        "starts_with" => Some(Pattern::Prefix(text.to_lowercase())),
        "ends_with" => Some(Pattern::Suffix(text.to_lowercase())),
        "contains" => Some(Pattern::Contains(text.to_lowercase())),
        // Rust's regexes have no look-around.
        "regex" if Regex::new(text).is_ok() => Some(Pattern::Regex(text.to_owned())),
        _ => None,
    }
}

/// What `^(?!.*X)` must not find.
fn look_ahead(regex: &str) -> Option<&str> {
    let except = regex.strip_prefix("^(?!.*")?.strip_suffix(')')?;
    let mut depth = 0_i32;
    for byte in except.bytes() {
        depth += i32::from(byte == b'(') - i32::from(byte == b')');
        if depth < 0 {
            return None;
        }
    }
    (depth == 0 && Regex::new(except).is_ok()).then_some(except)
}

/// Whether an exception is about an exact name, or could be.
fn touches(except: &Pattern, name: &str) -> bool {
    match except {
        Pattern::Regex(regex) => Regex::new(regex).is_ok_and(|regex| regex.is_match(name)),
        Pattern::Exact(_) | Pattern::Prefix(_) | Pattern::Suffix(_) | Pattern::Contains(_) => true,
    }
}

/// Whether the pattern is that of an alternative which has the exceptions itself.
fn covers(alternatives: &[Json], pattern: &Pattern) -> bool {
    let rules = alternatives.iter().filter(|json| json.get("and").is_some()).filter_map(convert);
    rules.into_iter().any(|rule| rule.patterns.contains(pattern))
}

fn entries(json: &Json) -> Option<&[(String, Json)]> {
    json.object("match").ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, expected: Option<(&[Pattern], &[Pattern])>) {
        let rule = convert(&Json::parse(json).unwrap());
        let found = rule.as_ref().map(|rule| (rule.patterns.as_slice(), rule.except.as_slice()));
        assert_eq!(found, expected, "{json}");
    }

    #[test]
    fn rules_become_patterns() {
        let exact = |name: &str| Pattern::Exact(name.into());
        let prefix = |name: &str| Pattern::Prefix(name.into());
        check(r#"{"equals": "Kimi-K2"}"#, Some((&[exact("kimi-k2")], &[])));
        check(
            r#"{"or": [{"starts_with": "a"}, {"or": [{"ends_with": "b"}, {"regex": "^c\\d$"}]}, {"contains": "d"}]}"#,
            Some((
                &[
                    prefix("a"),
                    Pattern::Suffix("b".into()),
                    Pattern::Regex(r"^c\d$".into()),
                    Pattern::Contains("d".into()),
                ],
                &[],
            )),
        );
    }

    #[test]
    fn a_look_ahead_becomes_an_exception() {
        let prefix = Pattern::Prefix("gemini-2.5-pro".into());
        let tts = Pattern::Regex("-[tT][tT][sS](?:$|-)".into());
        let and = r#"{"and": [{"starts_with": "gemini-2.5-pro"}, {"regex": "^(?!.*-[tT][tT][sS](?:$|-))"}]}"#;
        check(and, Some((std::slice::from_ref(&prefix), std::slice::from_ref(&tts))));
        let latest = Pattern::Exact("latest".into());
        check(&format!(r#"{{"or": [{and}, {{"equals": "latest"}}]}}"#), Some((&[prefix, latest], &[tts])));
        // The exception would take away what the other alternative gives.
        check(&format!(r#"{{"or": [{and}, {{"equals": "gemini-2.5-pro-tts"}}]}}"#), None);
        check(&format!(r#"{{"or": [{and}, {{"contains": "gemini"}}]}}"#), None);
    }

    #[test]
    fn what_patterns_cannot_say_is_refused() {
        for json in [
            r#"{"and": [{"starts_with": "a"}, {"ends_with": "b"}]}"#,
            r#"{"regex": "^(?!.*x)"}"#,
            r#"{"regex": "a(?=b)"}"#,
            r#"{"equals": ""}"#,
            r#"{"sounds_like": "a"}"#,
            r#"{"equals": "a", "ends_with": "b"}"#,
            r#"{"and": [{"starts_with": "a"}, {"regex": "^(?!.*x)y(?!.*z)"}]}"#,
            "{}",
        ] {
            check(json, None);
        }
    }
}
