//! What a receipt says.

use weir_event::{TokenBucket as Bucket, Tokens, Units};

use super::*;

fn billable<'a>(tokens: &'a Tokens, units: &'a Units) -> Billable<'a> {
    Billable {
        provider: Some("azure-openai"),
        model: Some("gpt-4o-2024-05-13"),
        model_requested: Some("gpt4o"),
        created_at: "2024-09-30T09:45:41.328Z".parse().unwrap(),
        tokens,
        units,
        service_tier: None,
        cached: false,
        provided_cost: None,
        custom_cost: None,
    }
}

fn seed_tokens() -> Tokens {
    let mut tokens = Tokens::default();
    tokens.set(Bucket::UncachedInput, 15).unwrap();
    tokens.set(Bucket::TextOutput, 354).unwrap();
    tokens
}

#[test]
fn the_seed_record_is_told_to_the_last_digit() {
    let (tokens, units, book) = (seed_tokens(), Units::default(), PriceBook::builtin());
    let text = receipt(&billable(&tokens, &units), &book).to_string();
    let edition = book.edition();
    assert_eq!(
        text,
        format!(
            "azure-openai gpt-4o-2024-05-13 at 2024-09-30T09:45:41.328Z
  uncached_input            15 x 0.000005 = 0.000075
  text_output              354 x 0.000015 = 0.00531
  total 0.005385 USD, computed with openai/gpt-4o-2024-05-13 of weir/openai.toml, book {edition}"
        )
    );
}

#[test]
fn a_provided_cost_does_not_hide_what_the_book_says() {
    let (tokens, units, book) = (seed_tokens(), Units::default(), PriceBook::builtin());
    let provided = Billable { provided_cost: Some("0.1".parse().unwrap()), ..billable(&tokens, &units) };
    let receipt = receipt(&provided, &book);
    assert_eq!((receipt.total, receipt.lines.len()), (provided.provided_cost, 0));
    assert_eq!(receipt.book.unwrap().total.unwrap().to_string(), "0.005385");
}

#[test]
fn json_has_amounts_as_decimal_strings() {
    let (mut tokens, mut units) = (seed_tokens(), Units::default());
    tokens.set(Bucket::Reasoning, 1).unwrap();
    units.set(weir_event::Unit::WebSearches, 2).unwrap();
    let book = PriceBook::parse(&[(
        "mine.toml",
        r#"provider = "azure-openai"
        [[model]]
        id = "m"
        match = [{ prefix = "gpt-4o" }]
        [[model.price]]
        from = "2024-05-13"
        service_tier = "batch"
        per_million = { uncached_input = "2.5", text_output = "7.5" }
        [[model.price.tier]]
        at_least = 10
        per_million = { uncached_input = "5" }"#,
    )])
    .unwrap();
    let batch = Billable { service_tier: Some("Batch"), ..billable(&tokens, &units) };
    let receipt = receipt(&batch, &book);
    let rate = |amount: &str, stand_in: Option<&str>, context: Option<&str>| {
        serde_json::json!({
            "amount": amount, "per": 1, "price_id": "azure-openai/m@2024-05-13+batch", "stand_in": stand_in,
            "context": context, "service_tier": "batch", "from": "2024-05-13"
        })
    };
    let input = rate("0.000005", None, Some("at least 10"));
    let (output, thought) = (rate("0.0000075", None, None), rate("0.0000075", Some("text_output"), None));
    let expected = serde_json::json!({
        "provider": "azure-openai",
        "model": "gpt-4o-2024-05-13",
        "created_at": "2024-09-30T09:45:41.328Z",
        "service_tier": "Batch",
        "lines": [
            { "charge": "uncached_input", "count": 15, "billed": 15, "rate": input, "amount": "0.000075" },
            { "charge": "text_output", "count": 354, "billed": 354, "rate": output, "amount": "0.002655" },
            { "charge": "reasoning", "count": 1, "billed": 1, "rate": thought, "amount": "0.0000075" },
            { "charge": "web_searches", "count": 2, "billed": 2, "rate": null, "amount": null }
        ],
        "price": { "id": "azure-openai/m@2024-05-13+batch", "file": "mine.toml", "edition": book.edition().as_str() },
        "total": "0.0027375",
        "cost_source": "computed",
        "unpriced_reason": null,
        "book": null
    });
    assert_eq!(serde_json::to_value(&receipt).unwrap(), expected);
    let text = receipt.to_string();
    for line in [
        "uncached_input            15 x 0.000005 = 0.000075 (at least 10 input tokens, batch, since 2024-05-13)",
        "reasoning                  1 x 0.0000075 = 0.0000075 (price of text_output, batch, since 2024-05-13)",
        "web_searches               2 not billed",
    ] {
        assert!(text.contains(line), "{text}");
    }
}

#[test]
fn an_unknown_cost_is_told_with_its_reason_and_what_is_known() {
    let (tokens, units, book) = (seed_tokens(), Units::default(), PriceBook::builtin());
    let unknown = Billable { model: Some("gpt-99"), ..billable(&tokens, &units) };
    assert_eq!(
        receipt(&unknown, &book).to_string(),
        "azure-openai gpt-99 at 2024-09-30T09:45:41.328Z\n  total unknown: no_price"
    );
    let hit = Billable { cached: true, ..billable(&tokens, &units) };
    let text = receipt(&hit, &book).to_string();
    assert!(
        text.contains("total 0 USD, cached_zero\n  the book would have said:\n    uncached_input"),
        "{text}"
    );
}
