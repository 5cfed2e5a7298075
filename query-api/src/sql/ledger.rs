//! What the ledger says of an account's records by hour, beside the rows that there are.

use std::ops::Range;

use weir_event::{AccountId, Source, Timestamp};
use weir_sql::{Bind, Statement};
use weir_store::removal::absorbed;

/// The sums of every hour and source, in order. `hours` begins and ends with an hour.
#[must_use]
pub fn ledger(account_id: &AccountId, hours: &Range<Timestamp>, source: Option<Source>) -> Statement {
    const SUMS: &str = "SELECT hour_ms, source, sum(received) AS received, sum(stored) AS stored, \
        sum(duplicates) AS duplicates, sum(dead_lettered) AS dead_lettered, sum(ignored) AS ignored, \
        sum(deleted) AS deleted, sum(deleting) AS deleting, sum(rows) AS rows";
    // FINAL: the ledger has a row per write, and those of a month are few.
    const ENTERED: &str = "SELECT toInt64(toUnixTimestamp(hour)) * 1000 AS hour_ms, source, received, stored, \
        duplicates, dead_lettered, ignored, deleted, \
        if(version < 2 * deleted, deleted, toInt64(0)) AS deleting, toInt64(0) AS rows FROM ledger FINAL";
    // What an entry of many rows says again.
    const ABSORBED: &str = "toInt64(toUnixTimestamp(hour)) * 1000, source, toInt64(0), -stored, -duplicates, toInt64(0), \
        toInt64(0), -deleted, if(version < 2 * deleted, -deleted, toInt64(0)), toInt64(0)";
    const COUNTED: &str = "SELECT toInt64(toUnixTimestamp(toStartOfHour(ingested_at))) * 1000 AS hour_ms, source, \
        toInt64(0), toInt64(0), toInt64(0), toInt64(0), toInt64(0), toInt64(0), toInt64(0), toInt64(count()) FROM logs";
    let bounds = |column: &str| {
        let of_source = if source.is_some() { " AND source = {source:String}" } else { "" };
        format!(
            "account_id = {{account_id:String}} \
             AND {column} >= fromUnixTimestamp64Milli({{from:Int64}}, 'UTC') \
             AND {column} < fromUnixTimestamp64Milli({{to:Int64}}, 'UTC'){of_source}"
        )
    };
    let text = format!(
        "{SUMS} FROM ({ENTERED} WHERE {} UNION ALL {} UNION ALL {COUNTED} WHERE {} GROUP BY hour_ms, source) \
         GROUP BY hour_ms, source ORDER BY hour_ms, source",
        bounds("hour"),
        absorbed(ABSORBED, &bounds("hour")),
        bounds("ingested_at"),
    );
    let mut binds = vec![
        ("account_id".to_owned(), Bind::Text(account_id.to_string())),
        ("from".to_owned(), Bind::Millis(hours.start.millis())),
        ("to".to_owned(), Bind::Millis(hours.end.millis())),
    ];
    binds.extend(source.map(|source| ("source".to_owned(), Bind::Text(source.as_str().to_owned()))));
    Statement::new(text, binds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_of_the_account_and_what_is_asked_is_bound() {
        let hours = Timestamp::MIN..Timestamp::MAX;
        let account_id = "acc".parse().unwrap();
        let all = ledger(&account_id, &hours, None);
        assert_eq!(all.text().matches("account_id = {account_id:String}").count(), 4);
        assert!(!all.text().contains("{source:String}"));
        let one = ledger(&account_id, &hours, Some(Source::Kafka));
        assert_eq!(one.text().matches("source = {source:String}").count(), 4);
        let binds: Vec<_> = one.binds().map(|(name, bind)| (name, bind.clone())).collect();
        assert_eq!(
            binds,
            [
                ("account_id", Bind::Text("acc".to_owned())),
                ("from", Bind::Millis(Timestamp::MIN.millis())),
                ("to", Bind::Millis(Timestamp::MAX.millis())),
                ("source", Bind::Text("kafka".to_owned())),
            ]
        );
    }
}
