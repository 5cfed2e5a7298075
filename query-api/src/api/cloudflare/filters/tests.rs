//! `filters` as clients were seen to send them.

use proptest::prelude::*;
use weir_filter::Filter;

use super::*;

/// The conditions as text, or what is wrong.
fn read_text(raw: &str) -> Result<String, Vec<(String, String)>> {
    let nodes = read(&QueryString::parse(raw).unwrap(), Caution::Lists).map_err(|issues| {
        let said = |issue: Issue| (serde_json::to_string(&issue.path).unwrap(), issue.message);
        issues.into_iter().map(said).collect::<Vec<_>>()
    })?;
    Ok(Filter::new(Node::And(nodes)).unwrap().to_string())
}

#[track_caller]
fn check(raw: &str, expected: &str) {
    assert_eq!(read_text(raw).as_deref(), Ok(expected), "{raw}");
}

#[track_caller]
fn refused(raw: &str, path: &str, message: &str) {
    assert_eq!(read_text(raw), Err(vec![(path.to_owned(), message.to_owned())]), "{raw}");
}

const THREE: &str = r#"provider in ("openai", "anthropic") and cost > 0.01 and success = true"#;

#[test]
fn every_client_says_the_same_in_its_own_way() {
    // Python, and Go, which sorts by name.
    check(
        "filters.key=provider&filters.key=cost&filters.key=success&filters.operator=eq&filters.operator=gt\
         &filters.operator=eq&filters.value=openai&filters.value=anthropic&filters.value=0.01&filters.value=true",
        THREE,
    );
    // JavaScript.
    check(
        "filters.key=provider&filters.operator=eq&filters.value=openai&filters.value=anthropic&filters.key=cost\
         &filters.operator=gt&filters.value=0.01&filters.key=success&filters.operator=eq&filters.value=true",
        THREE,
    );
    // curl, and JavaScript's URLSearchParams.
    check(
        "filters=%5b%7b%22key%22%3a%22provider%22%2c%22operator%22%3a%22eq%22%2c%22value%22%3a%5b%22openai%22%2c\
         %22anthropic%22%5d%7d%2c%7b%22key%22%3a%22cost%22%2c%22operator%22%3a%22gt%22%2c%22value%22%3a%5b0.01%5d%7d\
         %2c%7b%22key%22:+%22success%22%2c%22operator%22:+%22eq%22%2c%22value%22:+%5btrue%5d%7d%5d",
        THREE,
    );
    // Repeats of one object each, among other parameters.
    check(
        r#"filters={"key":"provider","operator":"eq","value":["openai","anthropic"]}&page=2&filters={"key":"cost","operator":"gt","value":[0.01]}&filters=[{"key":"success","operator":"eq","value":["true"]}]"#,
        THREE,
    );
    check(
        "filters[0][key]=provider&filters[0][operator]=eq&filters[0][value][]=openai&filters[0][value][]=anthropic\
         &filters[10][key]=success&filters[10][operator]=eq&filters[10][value]=true&filters[2][value][0]=0.01\
         &filters[2][key]=cost&filters[2][operator]=gt",
        THREE,
    );
}

#[test]
fn the_parts_of_a_filter_may_come_in_any_order() {
    let two = r#"provider in ("openai", "anthropic") and cost > 0.01"#;
    // Python and JavaScript, from an object that was written value, operator, key.
    check(
        "filters.value=openai&filters.value=anthropic&filters.value=0.01&filters.operator=eq&filters.operator=gt\
         &filters.key=provider&filters.key=cost",
        two,
    );
    check(
        "filters.value=openai&filters.value=anthropic&filters.operator=eq&filters.key=provider&filters.value=0.01\
         &filters.operator=gt&filters.key=cost",
        two,
    );
    check("filters.operator=eq&page=1&filters.key=model&filters.value=x", r#"model = "x""#);
}

#[test]
fn values_are_what_the_field_makes_of_them() {
    let one = |key: &str, operator: &str, value: &str| {
        format!("filters.key={key}&filters.operator={operator}&filters.value={value}")
    };
    check(&one("cost", "gt", "1e-07"), "cost > 0.0000001");
    check(&one("tokens", "lt", "1e%2B21"), "tokens < 1000000000000000000000");
    check(&one("duration", "gt", "1.0"), "duration_ms > 1");
    check(&one("cost", "eq", ""), "not cost exists");
    check(&one("cost", "neq", ""), "cost exists");
    check(&one("provider", "eq", ""), r#"provider = """#);
    // Elsewhere null has a word of its own.
    refused(
        r#"filters=[{"key":"cost","operator":"neq","value":[""]}]"#,
        r#"["query","filters",0,"value"]"#,
        "Expected number of up to 28 digits",
    );
    assert!(read_text("filters[0][key]=cost&filters[0][operator]=neq&filters[0][value]=").is_err());
    refused(
        &one("metadata.value", "neq", ""),
        r#"["query","filters",0,"value"]"#,
        "It cannot be told whether null or \"\" is meant; send filters as one JSON array",
    );
    check(&one("created_at", "gt", "2024-09-30T09:00:00"), r#"created_at > "2024-09-30T09:00:00Z""#);
    check(&one("metadata.value", "contains", "a+b%26c%3Dd%2Ce"), r#"metadata.value contains "a b&c=d,e""#);
    check(&one("model", "eq", "0"), r#"model = "0""#);
    check(
        r#"filters=[{"key":"cost","operator":"eq","value":[null,"0.5"]}]"#,
        "cost = 0.5 or not cost exists",
    );
    check(r#"filters=[{"key":"model","operator":"neq","value":["a","b"]}]"#, r#"not model in ("a", "b")"#);
}

#[test]
fn what_cannot_be_told_apart_is_refused() {
    let grouped = |keys: &[&str], operators: &[&str], values: &[&str]| {
        let of = |name: &'static str, texts: &[&str]| {
            texts.iter().map(|text| format!("filters.{name}={text}")).collect::<Vec<_>>()
        };
        [of("key", keys), of("operator", operators), of("value", values)].concat().join("&")
    };
    let place = r#"["query","filters"]"#;
    refused(
        &grouped(&["provider", "model"], &["eq", "eq"], &["a", "b", "c"]),
        place,
        "It cannot be told which value is of which filter; send filters as one JSON array",
    );
    refused(
        &grouped(&["provider", "model"], &["eq", "eq"], &["a"]),
        place,
        "There are 2 keys and 1 values: every filter takes one",
    );
    refused(
        &grouped(&["provider", "model"], &["eq"], &["a", "b"]),
        place,
        "There are 2 keys and 1 operators",
    );
    refused(
        &grouped(&["cost", "tokens"], &["gt", "lt"], &["1", "2", "3"]),
        place,
        "No way to give each filter its values fits their keys",
    );
    refused("filters=[]&filters.key=model", place, "Filters are given in several forms; send one JSON array");
    refused("filters.key=model", place, "There are 1 keys and 0 operators");
    refused(
        "filters.model=gpt",
        r#"["query","filters.model"]"#,
        "Expected filters.key, filters.operator or filters.value",
    );
    let brackets = "Expected filters[0][key], filters[0][operator] or filters[0][value][]";
    for name in [
        "filters[]",
        "filters[][key]",
        "filters[x][key]",
        "filters[0]key",
        "filters[1000][key]",
        "filters[0][key][]",
    ] {
        refused(&format!("{name}=model"), &format!(r#"["query","{name}"]"#), brackets);
    }
}

/// The conditions of a deletion as text, or the first that is wrong.
fn read_deletion(raw: &str) -> Result<String, String> {
    let nodes = read(&QueryString::parse(raw).unwrap(), Caution::Deletes);
    let nodes = nodes.map_err(|issues| issues[0].message.clone())?;
    Ok(Filter::new(Node::And(nodes)).unwrap().to_string())
}

#[test]
fn a_deletion_is_read_if_no_value_that_was_left_out_could_make_it_another_one() {
    let grouped = |filters: &[(&str, &str, &[&str])]| {
        let keys = filters.iter().map(|(key, _, _)| format!("filters.key={key}"));
        let operators = filters.iter().map(|(_, operator, _)| format!("filters.operator={operator}"));
        let values = filters
            .iter()
            .flat_map(|(_, _, values)| values.iter().map(|value| format!("filters.value={value}")));
        keys.chain(operators).chain(values).collect::<Vec<_>>().join("&")
    };
    let taken = |filters: &[(&str, &str, &[&str])], expected: &str| {
        assert_eq!(read_deletion(&grouped(filters)).as_deref(), Ok(expected), "{filters:?}");
    };
    // `lt` and `gt` have one value for certain, flags are never null, and what is left is the text's.
    taken(
        &[("provider", "eq", &["openai"]), ("cost", "gt", &["0.01"])],
        r#"provider = "openai" and cost > 0.01"#,
    );
    taken(
        &[("created_at", "lt", &["2026-01-01T00:00:00Z"]), ("model", "eq", &["a", "b"])],
        r#"created_at < "2026-01-01T00:00:00Z" and model in ("a", "b")"#,
    );
    taken(&[("tokens", "gt", &["1"]), ("tokens", "lt", &["9"])], "tokens > 1 and tokens < 9");
    taken(&[("success", "eq", &["true"]), ("cost", "gt", &["0.01"])], "success = true and cost > 0.01");
    taken(&[("success", "neq", &["true"])], "success = false");
    taken(&[("id", "eq", &["a", "b", "c"])], r#"id in ("a", "b", "c")"#);
    let doubtful = |filters: &[(&str, &str, &[&str])]| {
        assert!(read_text(&grouped(filters)).is_ok(), "a list takes it: {filters:?}");
        let refusal = read_deletion(&grouped(filters)).unwrap_err();
        assert!(refusal.contains("send filters as one JSON array"), "{filters:?}: {refusal}");
    };
    // Either may have lost an empty text, and both values be the other's.
    doubtful(&[("provider", "eq", &["openai"]), ("model", "eq", &["gpt"])]);
    doubtful(&[("metadata.key", "eq", &["team"]), ("metadata.value", "eq", &["search"])]);
    // Null may have been among them, or the empty text, and what has it would be deleted.
    doubtful(&[("model", "neq", &["a"])]);
    doubtful(&[("cost", "neq", &["0"])]);
    doubtful(&[("cost", "gt", &["1"]), ("metadata.value", "neq", &["a"])]);
    // JavaScript leaves out nothing.
    let interleaved = "filters.key=model&filters.operator=neq&filters.value=a&filters.value=\
        &filters.key=provider&filters.operator=eq&filters.value=x";
    assert_eq!(read_deletion(interleaved).as_deref(), Ok(r#"not model in ("a", "") and provider = "x""#));
    assert!(read_deletion("filters.key=model&filters.operator=eq").is_err());
}

#[test]
fn the_keys_of_rare_facts_are_fields_like_all_others() {
    let json = |key: &str, operator: &str, value: &str| {
        format!(r#"filters=[{{"key":"{key}","operator":"{operator}","value":[{value}]}}]"#)
    };
    check(&json("feedback", "eq", "-1"), "feedback = -1");
    check(&json("feedback", "eq", "null"), "not feedback exists");
    check(&json("feedback", "neq", "1, null"), "not (feedback = 1 or not feedback exists)");
    check("filters.key=feedback&filters.operator=neq&filters.value=", "feedback exists");
    check(&json("authentication", "eq", "true"), "authentication = true");
    check(&json("wholesale", "neq", "true"), "wholesale = false");
    check(&json("compatibilityMode", "eq", "false"), "compatibility_mode = false");
    check(&json("dlp_action", "eq", r#""FLAG", "BLOCK""#), r#"dlp_action in ("FLAG", "BLOCK")"#);
    check(&json("prompts.prompt_id", "contains", r#""p""#), r#"prompt_id contains "p""#);
    check(&json("prompts.version_id", "neq", r#""v""#), r#"prompt_version_id != "v""#);
}

#[test]
fn mistakes_in_json_are_said_as_the_service_says_them() {
    let place = |rest: &str| format!(r#"["query","filters",{rest}]"#);
    refused(
        r#"filters=[{"key":"model","operator":"eq","value":"gpt"}]"#,
        &place(r#"0,"value""#),
        "Expected array, received string",
    );
    refused(r#"filters=[{"key":"model","operator":"eq"}]"#, &place(r#"0,"value""#), "Required");
    refused(
        r#"filters=[{"key":"model","operator":"eq","value":["a"]},{"key":"model","operator":"is","value":["a"]}]"#,
        &place(r#"1,"operator""#),
        "Invalid enum value. Expected 'eq' | 'neq' | 'contains' | 'lt' | 'gt'",
    );
    let said = read_text(r#"filters=[{"key":"metadata.user","operator":"eq","value":["a"]}]"#).unwrap_err();
    assert_eq!(said[0].0, place(r#"0,"key""#));
    assert!(said[0].1.starts_with("Invalid enum value. Expected 'id' | 'created_at' | "), "{said:?}");
    refused(
        r#"filters=[{"key":"success","operator":"gt","value":[true]}]"#,
        &place(r#"0,"operator""#),
        "Invalid enum value. Expected 'eq' | 'neq' for 'success'",
    );
    refused(
        r#"filters=[{"key":"metadata.value","operator":"eq","value":[0]}]"#,
        &place(r#"0,"value""#),
        "Expected string: metadata is compared as text",
    );
    refused(
        r#"filters=[{"key":"model","operator":"eq","value":[]}]"#,
        &place(r#"0,"value""#),
        "Array must contain at least 1 element(s)",
    );
    for broken in [
        "",
        "model",
        "[",
        "[1]",
        "null",
        r#"[{"key":"model"}"#,
        r#"{"key":"model","operator":"eq","value":[["a"]]}"#,
    ] {
        assert!(read_text(&format!("filters={broken}")).is_err(), "{broken}");
    }
}

#[test]
fn a_mistake_is_told_by_the_number_that_the_client_gave() {
    let said =
        read_text("filters[10][key]=x&filters[10][operator]=eq&filters[10][value]=a&filters[7][key]=model");
    assert_eq!(said.unwrap_err()[0].0, r#"["query","filters",7,"operator"]"#);
    let said = read_text("filters[10][key]=x&filters[10][operator]=eq&filters[10][value]=a");
    assert_eq!(said.unwrap_err()[0].0, r#"["query","filters",10,"key"]"#);
}

#[test]
fn what_is_sent_without_end_is_refused_soon_and_in_few_words() {
    let many = |name: &str, value: &str, count| vec![format!("filters.{name}={value}"); count];
    let grouped =
        [many("key", "id", 650), many("operator", "eq", 650), many("value", "a", 3_000)].concat().join("&");
    refused(
        &grouped,
        r#"["query","filters"]"#,
        "There are 650 keys and 3000 values, more than are supported",
    );
    // As many as there may be, with as many ways: two are enough to know.
    let most =
        [many("key", "id", 100), many("operator", "eq", 100), many("value", "a", 1_000)].concat().join("&");
    assert!(read_text(&most).is_err());
    let ones = vec!["1"; 30_000].join(",");
    assert_eq!(read_text(&format!("filters=[{ones}]")).unwrap_err().len(), ISSUES_MAX);
}

#[test]
fn an_empty_array_is_no_filter_and_no_name_alone_is_one() {
    check("filters=[]", "");
    check("page=1", "");
    assert!(!is_part("filtersx") && !is_part("filter") && is_part("filters[") && is_part("filters."));
}

#[test]
fn every_filter_that_is_wrong_is_told() {
    let said = read_text(
        r#"filters=[{"key":"x","operator":"eq","value":["a"]},{"key":"model","operator":"eq","value":["a"]},{"key":"cost","operator":"gt","value":["a"]}]"#,
    );
    let places: Vec<_> = said.unwrap_err().into_iter().map(|(path, _)| path).collect();
    assert_eq!(places, [r#"["query","filters",0,"key"]"#, r#"["query","filters",2,"value"]"#]);
}

/// A filter as a client has it.
fn filter() -> impl Strategy<Value = (&'static str, &'static str, Vec<&'static str>)> {
    let text = proptest::collection::vec(prop::sample::select(vec!["openai", "a b&c", "true", "0.5"]), 1..4);
    let number = prop::sample::select(vec!["0.01", "5", "1e-7"]);
    prop_oneof![
        (
            prop::sample::select(vec!["provider", "model", "metadata.value"]),
            prop::sample::select(vec!["eq", "neq", "contains"]),
            text
        ),
        (
            prop::sample::select(vec!["cost", "tokens"]),
            prop::sample::select(vec!["lt", "gt"]),
            number.prop_map(|value| vec![value])
        ),
    ]
}

proptest! {
    /// However the SDKs order it, what is read is what was meant, or it is refused.
    #[test]
    fn no_form_is_read_as_something_else(filters in proptest::collection::vec(filter(), 1..5)) {
        let escape = |text: &str| text.replace('&', "%26").replace(' ', "+");
        let pair = |name: &str, value: &str| format!("filters.{name}={}", escape(value));
        let json: Vec<_> = filters
            .iter()
            .map(|(key, operator, values)| serde_json::json!({"key": key, "operator": operator, "value": values}).to_string())
            .collect();
        let meant = read_text(&format!("filters=[{}]", escape(&json.join(",")))).unwrap();
        let interleaved: Vec<_> = filters
            .iter()
            .flat_map(|(key, operator, values)| {
                let values = values.iter().map(|value| pair("value", value));
                [pair("key", key), pair("operator", operator)].into_iter().chain(values)
            })
            .collect();
        prop_assert_eq!(read_text(&interleaved.join("&")).unwrap(), meant.clone());
        let keys = filters.iter().map(|(key, _, _)| pair("key", key));
        let operators = filters.iter().map(|(_, operator, _)| pair("operator", operator));
        let values = filters.iter().flat_map(|(_, _, values)| values.iter().map(|value| pair("value", value)));
        let grouped: Vec<_> = keys.chain(operators).chain(values).collect();
        if let Ok(read) = read_text(&grouped.join("&")) {
            prop_assert_eq!(read, meant.clone());
        }
        // Whatever one of them has lost: what is deleted is what was meant, or nothing.
        if let Ok(read) = read_deletion(&grouped.join("&")) {
            prop_assert_eq!(read, meant);
        }
    }

    /// An SDK that leaves values out has a deletion refused, or lets it do less.
    #[test]
    fn no_value_that_was_left_out_has_more_deleted(
        filters in proptest::collection::vec(filter(), 3..6),
        left_out in proptest::collection::vec(proptest::bool::weighted(0.2), 20),
    ) {
        let escape = |text: &str| text.replace('&', "%26").replace(' ', "+");
        let mut left_out = left_out.into_iter();
        let sent: Vec<(_, _, Vec<_>)> = filters
            .iter()
            .map(|(key, operator, values)| {
                let values = values.iter().filter(|_| !left_out.next().unwrap_or_default());
                (key, operator, values.collect())
            })
            .collect();
        let keys = sent.iter().map(|(key, _, _)| format!("filters.key={key}"));
        let operators = sent.iter().map(|(_, operator, _)| format!("filters.operator={operator}"));
        let values = sent.iter().flat_map(|(_, _, values)| values.iter().map(|value| format!("filters.value={}", escape(value))));
        let grouped: Vec<_> = keys.chain(operators).chain(values).collect();
        if let Ok(read) = read_deletion(&grouped.join("&")) {
            let json: Vec<_> = sent
                .iter()
                .map(|(key, operator, values)| serde_json::json!({"key": key, "operator": operator, "value": values}).to_string())
                .collect();
            let meant = read_text(&format!("filters=[{}]", escape(&json.join(","))));
            prop_assert_eq!(Ok(read), meant);
        }
    }

    #[test]
    fn no_query_string_panics(raw in "(filters(\\.key|\\.operator|\\.value|\\[0\\]\\[key\\]|\\[|)=(eq|gt|cost|[\\[\\]{}\":a0,]{0,8})&){0,9}") {
        let _ = read(&QueryString::parse(&raw).unwrap(), Caution::Deletes);
    }
}
