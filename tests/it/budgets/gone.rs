//! What is left of budgets that were taken away.

use std::time::Duration;

use harness::{System, eventually};

const LIMIT: Duration = Duration::from_mins(1);
const EAGER: (&str, &str) = ("WEIR_INGEST_RECONCILE_INTERVAL", "1s");

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_a_deleted_budget_go_after_some_days_and_it_does_not_come_back() {
    let system = System::start_with(|_| vec![(EAGER.0, EAGER.1.to_owned())]).await;
    let write = async |account: &str, id: &str, deleted: bool, days_ago: u32| {
        let statement = format!(
            "INSERT INTO budgets (account_id, gateway_id, id, name, deleted, version) \
             SELECT '{account}', 'gw', '{id}', toString(number), {deleted}, now64(9) - INTERVAL {days_ago} DAY - number \
             FROM numbers(3)"
        );
        system.sql(&statement).await;
    };
    // Each in parts of its own, with versions of before.
    for (account, id, days) in
        [("acc", "long-gone", [90, 31]), ("acc", "lately-gone", [90, 29]), ("b", "long-gone", [90, 60])]
    {
        write(account, id, false, days[0]).await;
        write(account, id, true, days[1]).await;
    }
    // The same id elsewhere is another budget, and one that was written again is there.
    write("other", "long-gone", false, 90).await;
    write("acc", "again", true, 60).await;
    write("acc", "again", false, 50).await;
    let left = async || {
        let keys = "SELECT DISTINCT account_id || '/' || id FROM budgets ORDER BY 1";
        system.sql(keys).await.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let mut expected = ["acc/again", "acc/lately-gone", "other/long-gone"].map(str::to_owned).to_vec();
    expected.sort();
    let in_force = "SELECT DISTINCT account_id || '/' || id FROM budgets FINAL WHERE NOT deleted ORDER BY 1";
    let look = async || {
        assert_eq!(system.sql(in_force).await, "acc/again\nother/long-gone");
        left().await
    };
    eventually(LIMIT, expected, look).await;
}
