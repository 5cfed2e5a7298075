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
