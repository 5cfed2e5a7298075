//! Rows of every kind, priced anew.

use super::*;

const BOOK: &str = r#"
provider = "openai"
[[model]]
id = "m"
match = ["m"]
[[model.price]]
per_million = { uncached_input = "2", text_output = "10" }
per_thousand = { web_searches = "10" }
[[model.price]]
service_tier = "batch"
per_million = { uncached_input = "1", text_output = "5" }
"#;

fn book() -> PriceBook {
    PriceBook::parse(&[("test.toml", BOOK)]).unwrap()
}

fn usd(text: &str) -> Option<ScaledUsd> {
    text.parse::<Usd>().ok().map(ScaledUsd::from)
}

/// 1,000 tokens in and 100 out of a model that nothing is known of yet.
fn row() -> StoredRow<'static> {
    StoredRow {
        account_id: "acc",
        gateway_id: "gw",
        created_at: 1_790_000_000_000,
        id: *b"01JABCDEFGHJKMNPQRSTVWXYZ0",
        provider: "openai",
        model: "m",
        success: true,
        tokens_uncached_input: Some(1_000),
        tokens_text_output: Some(100),
        cost_source: "unpriced",
        unpriced_reason: "no_price",
        ..StoredRow::default()
    }
}

/// The row as it is after the change to `verdict`.
fn changed<'r>(row: &StoredRow<'r>, revision: &CostRevisionRow<'r>) -> StoredRow<'r> {
    StoredRow {
        cost: revision.new_cost,
        cost_source: revision.new_cost_source,
        unpriced_reason: revision.new_unpriced_reason,
        price_id: revision.new_price_id,
        price_book: revision.new_price_book,
        cost_revision: revision.revision,
        quota: revision.new_quota,
        quota_source: revision.new_quota_source,
        ..row.clone()
    }
}

#[test]
fn a_row_becomes_what_the_book_says_and_then_stays_so() {
    let check = |row: StoredRow<'_>, cost: Option<ScaledUsd>, source: &str, quota: (Option<i64>, &str)| {
        let book = book();
        let verdict = row.priced_by(&book).unwrap().expect("it changes");
        let revision = row.revision(&verdict, "run", 3);
        assert_eq!((revision.new_cost, revision.new_cost_source), (cost, source));
        assert_eq!((revision.new_quota, revision.new_quota_source), quota);
        assert_eq!((revision.revision, revision.run, revision.batch), (row.cost_revision + 1, "run", 3));
        assert_eq!((revision.old_cost, revision.old_quota), (row.cost, row.quota));
        let edition = if source == "computed" { book.edition().as_str().to_owned() } else { String::new() };
        assert_eq!(revision.new_price_book, edition);
        assert_eq!(changed(&row, &revision).priced_by(&book), Ok(None));
    };
    check(row(), usd("0.003"), "computed", (Some(1_500), "cost"));
    check(StoredRow { cost_revision: 7, ..row() }, usd("0.003"), "computed", (Some(1_500), "cost"));
    let batch = StoredRow { service_tier: "batch", ..row() };
    check(batch, usd("0.0015"), "computed", (Some(750), "cost"));
    let searched = StoredRow { units: vec![("web_searches", 2)], ..row() };
    check(searched, usd("0.023"), "computed", (Some(11_500), "cost"));
    // The model that answered, or else the one that was asked for.
    let requested = StoredRow { model: "", model_requested: "m", ..row() };
    check(requested, usd("0.003"), "computed", (Some(1_500), "cost"));
    // What has a cost that the book does not have any more.
    let gone = StoredRow {
        model: "other",
        cost: usd("1"),
        cost_source: "computed",
        unpriced_reason: "",
        price_id: "openai/other",
        quota: Some(500_000),
        quota_source: "cost",
        ..row()
    };
    check(gone, None, "unpriced", (None, ""));
    // Units that the source gave stay, whatever the cost; a failed request has none of ours.
    let given = |quota_source| StoredRow { quota: Some(42), quota_source, ..row() };
    check(given("provided"), usd("0.003"), "computed", (Some(42), "provided"));
    check(given("ratios"), usd("0.003"), "computed", (Some(42), "ratios"));
    check(StoredRow { success: false, ..row() }, usd("0.003"), "computed", (None, ""));
}

#[test]
fn what_the_book_does_not_decide_is_never_changed() {
    let same = |row: StoredRow<'_>| assert_eq!(row.priced_by(&book()), Ok(None), "{row:?}");
    same(StoredRow { cost: usd("9"), cost_source: "provided", unpriced_reason: "", ..row() });
    let free =
        StoredRow { cost: usd("0"), quota: Some(0), quota_source: "cost", unpriced_reason: "", ..row() };
    same(StoredRow { cached: true, cost_source: "cached_zero", ..free });
    let custom = StoredRow {
        per_token_in: usd("0.001"),
        per_token_out: usd("0.01"),
        cost: usd("2"),
        cost_source: "custom",
        unpriced_reason: "",
        quota: Some(1_000_000),
        quota_source: "cost",
        ..row()
    };
    same(custom);
    same(StoredRow { model: "other", ..row() });
}

#[test]
fn another_edition_with_the_same_price_changes_nothing() {
    let row = row();
    let verdict = row.priced_by(&book()).unwrap().unwrap();
    let row = changed(&row, &row.revision(&verdict, "run", 0));
    let later = PriceBook::parse(&[("test.toml", &format!("{BOOK}\n# reviewed\n"))]).unwrap();
    assert_ne!(later.edition(), book().edition());
    assert_eq!(row.priced_by(&later), Ok(None));
}

#[test]
fn a_row_with_words_of_another_program_is_left_alone() {
    let unreadable = |row: StoredRow<'_>| assert_eq!(row.priced_by(&book()), Err(Unreadable), "{row:?}");
    unreadable(StoredRow { cost_source: "guessed", ..row() });
    unreadable(StoredRow { quota_source: "guessed", ..row() });
    unreadable(StoredRow { units: vec![("smells", 1)], ..row() });
    unreadable(StoredRow { per_token_in: usd("1"), ..row() });
    unreadable(StoredRow { tokens_text_output: Some(u64::MAX), ..row() });
    unreadable(StoredRow { created_at: 0, ..row() });
}
