//! What a book takes, refuses and finds.

use super::*;

/// An error with its sources, as logs print it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

const ONE: &str = r#"provider = "p"
[[model]]
id = "a"
match = ["m"]
[[model.price]]
from = "2024-01-01"
per_million = { uncached_input = "1" }
"#;

#[test]
fn a_wrong_book_is_refused_by_name() {
    let check = |text: &str, expected: &str| {
        let error = PriceBook::parse(&[("mine.toml", text)]).unwrap_err();
        assert_eq!(chain(&error), format!("price file mine.toml: {expected}"), "{text}");
    };
    let swap = |from: &str, to: &str| {
        assert!(ONE.contains(from));
        ONE.replace(from, to)
    };
    let model = ONE.split_once('\n').unwrap().1;
    check(&format!("{ONE}{model}"), "p/a: the id is there twice");
    let date = "p/a: from is not a date (YYYY-MM-DD) of the years 2000 to 2099";
    check(&swap("2024-01-01", "2024-13-01"), date);
    check(&swap("2024-01-01", "24-1-1"), date);
    check(&swap("[\"m\"]", "[]"), "p/a: match is empty");
    check(&swap("[\"m\"]", "[\"\"]"), "p/a: a rule of match or except is empty");
    check(&swap("provider = \"p\"", "provider = \"\""), ": the name of a provider is empty");
    check(&swap("id = \"a\"", "id = \"\""), "p/: id is empty");
    let amount = "p/a: uncached_input is not a decimal from 0 to below 100,000, with at most 12 decimals";
    check(&swap("\"1\"", "\"-1\""), amount);
    check(&swap("\"1\"", "\"1e3\""), amount);
    check(&format!("{ONE}until = \"2024-01-01\"\n"), "p/a: until is not after from");
    check(&format!("{ONE}service_tier = \"\"\n"), "p/a: service_tier is empty");
    check(&swap("uncached_input", "input"), "p/a: a charge: unknown charge \"input\"");
    check(
        &swap("per_million", "per_hour"),
        "p/a: uncached_input is not counted in milliseconds, so it has no price per hour",
    );
    check(
        &format!("{ONE}per_thousand = {{ uncached_input = \"1\" }}\n"),
        "p/a: uncached_input has two prices",
    );
    check(&swap("per_million = { uncached_input = \"1\" }", ""), "p/a: a price is empty");
    let hours = "p/a: hours_utc takes spans like \"16:30-00:30\", which are not empty";
    for spans in [
        "[]",
        "[\"\"]",
        "[\"1:00-2:00\"]",
        "[\"10:00-10:00\"]",
        "[\"24:00-01:00\"]",
        "[\"00:00-24:01\"]",
        "[\"10:60-11:00\"]",
    ] {
        check(&format!("{ONE}hours_utc = {spans}\n"), hours);
    }
    for days in ["[]", "[\"monday\"]", "[\"Mon\"]"] {
        check(
            &format!("{ONE}weekdays = {days}\n"),
            "p/a: weekdays takes mon, tue, wed, thu, fri, sat and sun, at least one",
        );
    }
    let tier = |bounds: &str| {
        format!("{ONE}[[model.price.tier]]\n{bounds}\nper_million = {{ uncached_input = \"2\" }}\n")
    };
    let bound = "p/a: a tier takes exactly one of over and at_least, and no two tiers begin at the same size";
    check(&tier(""), bound);
    check(&tier("over = 1\nat_least = 2"), bound);
    check(&(tier("over = 1") + &tier("at_least = 2")[ONE.len()..]), bound);
}

#[test]
fn what_is_not_a_price_file_is_refused_with_its_place() {
    for text in [
        "",
        "provider = 1",
        &format!("{ONE}note = \"x\"\n"),
        &ONE.replace("[\"m\"]", "[{}]"),
        &ONE.replace("[\"m\"]", "[{ prefix = \"a\", suffix = \"b\" }]"),
        &ONE.replace("[\"m\"]", "[{ glob = \"a*\" }]"),
        &ONE.replace("\"1\"", "1"),
    ] {
        let error = PriceBook::parse(&[("mine.toml", text)]).unwrap_err();
        assert!(matches!(error, BookError::File { .. }), "{text}: {error:?}");
        assert_eq!(error.to_string(), "price file mine.toml");
    }
}

#[test]
fn the_built_in_book_is_sound() {
    let book = PriceBook::builtin();
    assert!(book.knows("openai", "gpt-4o"));
    assert!(book.edition().as_str().bytes().all(|digit| digit.is_ascii_hexdigit()));
}
