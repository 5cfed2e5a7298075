//! Our costs against those of the Python package that the layer `genai-prices` of the book comes from: the same models,
//! the same usages, the same moments, to the last digit. What differs has a reason in a table, and nothing else may.

mod cases;
mod differences;
mod models;

use std::fmt::Write;

use harness::{Client, run_client};
use weir_event::Usd;
use weir_pricing::{PriceBook, price};

use differences::{DIFFERENCES, Question};

const GENAI_PRICES: Client = Client::Python { folder: "genai-prices", script: "genai-prices/price.py" };

#[test]
fn costs_are_those_of_genai_prices_to_the_last_digit() {
    let files = models::price_files();
    let files: Vec<_> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let book = PriceBook::parse(&files).unwrap();
    let cases = cases::all(&models::all(&files));
    let input: Vec<String> = cases.iter().map(|case| case.to_json().to_string()).collect();
    let answers = run_client(GENAI_PRICES, &input.join("\n"));
    let answers: Vec<&str> = answers.lines().collect();
    assert_eq!(answers.len(), cases.len());
    let mut seen = [0_usize; DIFFERENCES.len()];
    let (mut equal, mut unexplained) = (0, String::new());
    for (case, answer) in cases.iter().zip(answers) {
        let cost = price(&case.billable(), &book);
        let theirs: Option<Usd> = answer.parse().ok();
        if cost.amount().is_some() && cost.amount() == theirs {
            equal += 1;
            continue;
        }
        let question = Question { case, cost: &cost, theirs, book: &book };
        match DIFFERENCES.iter().position(|difference| (difference.holds)(&question)) {
            Some(position) => seen[position] += 1,
            None => writeln!(unexplained, "{}\n  we: {cost:?}\n  they: {answer}", case.to_json()).unwrap(),
        }
    }
    println!("{equal} of {} costs are equal", cases.len());
    for (difference, count) in DIFFERENCES.iter().zip(seen) {
        println!("{count}: {}", difference.reason);
        assert_ne!(count, 0, "no cost differs for this reason any more: {}", difference.reason);
    }
    assert!(unexplained.is_empty(), "without a reason:\n{unexplained}");
    assert!(equal > 20_000, "{equal} costs are equal");
}
