//! The past as the aggregator reads it: in slices, and the same in as many as there may be.

use std::ops::ControlFlow;

use weir_aggregator::consume::{History, Tenants};
use weir_aggregator::fold::{Past, PastBucket};

use super::quarters::insert_rows;
use super::world::World;

/// 2026-10-30 10:00:00 UTC.
const FROM_MS: i64 = 1_793_354_400_000;
const HOUR_MS: i64 = 3_600_000;
const ROWS: u32 = 600;

/// Everything, by second in the last hour of ten.
const PAST: Past = Past {
    from_ms: FROM_MS,
    by_second_from_ms: FROM_MS + 9 * HOUR_MS,
    until_ms: FROM_MS + 10 * HOUR_MS,
    ids_from_ms: FROM_MS,
};

/// What is read, in its order.
async fn read(history: &History) -> Vec<PastBucket> {
    let mut buckets = Vec::new();
    let take = |bucket: PastBucket| {
        buckets.push(bucket);
        ControlFlow::Continue(())
    };
    history.load(PAST, Tenants::All, take).await.unwrap();
    buckets
}

/// In an order that says nothing of slices.
fn sorted(mut buckets: Vec<PastBucket>) -> Vec<PastBucket> {
    for bucket in &mut buckets {
        bucket.recent_ids.sort_unstable();
    }
    let names = |bucket: &PastBucket| {
        let PastBucket { token, model, provider, user, channel, .. } = bucket;
        [token, model, provider, user, channel].map(Clone::clone)
    };
    buckets.sort_by_key(|bucket| (bucket.start, bucket.scope.clone(), names(bucket)));
    buckets
}

#[tokio::test]
async fn slices_of_the_past_have_every_call_once_and_come_in_order() {
    let world = World::start(&[]).await;
    insert_rows(&world, ("2026-10-30 10:00:00", 60_000), ROWS, 1).await;
    let calls = "SELECT count() FROM logs WHERE kind IN ('consume', 'error')";
    let calls: u64 = world.text(calls).await.parse().unwrap();

    let whole = History::new(world.store.clone());
    let expected = sorted(read(&whole).await);
    assert_eq!(expected.iter().map(|bucket| bucket.figures.sums.requests).sum::<u64>(), calls);
    let mut ids: Vec<_> = expected.iter().flat_map(|bucket| &bucket.recent_ids).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len() as u64, calls);

    // A quarter of an hour has fifteen rows.
    for rows in [1, 40] {
        let buckets = read(&whole.clone().with_slices_of(rows)).await;
        assert!(buckets.is_sorted_by_key(|bucket| bucket.start), "{rows} rows in a slice");
        assert_eq!(sorted(buckets), expected, "{rows} rows in a slice");
    }

    // Whoever has enough is given no more, of no slice.
    let mut taken = 0;
    let take = |_| {
        taken += 1;
        if taken == 100 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    whole.with_slices_of(40).load(PAST, Tenants::All, take).await.unwrap();
    assert_eq!(taken, 100);
}
