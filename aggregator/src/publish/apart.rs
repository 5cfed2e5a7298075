//! Minutes that are computed apart from the others, since a statement that had them failed: together with the others they would
//! keep these from being written. Pure.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::window::ScopeWindow;

/// A minute that fails alone rests for so many times what its statement took, and for so long at least: the others have most
/// of the time.
const REST_FACTOR: u32 = 9;
const REST_MIN: Duration = Duration::from_secs(10);

/// Groups of minutes, each for a statement of its own.
#[derive(Debug, Default)]
pub(super) struct Apart {
    /// What waits longest comes first.
    groups: VecDeque<Group>,
}

#[derive(Debug)]
struct Group {
    minutes: Vec<ScopeWindow>,
    /// Until when it rests.
    rests_until: Option<Instant>,
}

impl Apart {
    /// The statement of these failed at `now`, and took so long: each half comes into one of its own, and a minute that was
    /// alone rests.
    pub(super) fn put(&mut self, mut minutes: Vec<ScopeWindow>, took: Duration, now: Instant) {
        self.remove(&minutes);
        let rest = (took * REST_FACTOR).max(REST_MIN);
        let rests_until = (minutes.len() == 1).then(|| now + rest);
        let second = minutes.split_off(minutes.len().div_ceil(2));
        let halves = [minutes, second].into_iter().filter(|half| !half.is_empty());
        self.groups.extend(halves.map(|minutes| Group { minutes, rests_until }));
    }

    /// These are written.
    pub(super) fn remove(&mut self, minutes: &[ScopeWindow]) {
        self.groups.retain(|group| group.minutes != minutes);
    }

    /// Forgets minutes that are not to be written any more.
    pub(super) fn keep(&mut self, is_dirty: impl Fn(&ScopeWindow) -> bool) {
        for group in &mut self.groups {
            group.minutes.retain(&is_dirty);
        }
        self.groups.retain(|group| !group.minutes.is_empty());
    }

    /// The first group that does not rest at `now`. It stays here.
    pub(super) fn next(&self, now: Instant) -> Option<Vec<ScopeWindow>> {
        let group = self.groups.iter().find(|group| group.rests_until.is_none_or(|until| until <= now))?;
        Some(group.minutes.clone())
    }

    /// All of them.
    pub(super) fn minutes(&self) -> BTreeSet<&ScopeWindow> {
        self.groups.iter().flat_map(|group| &group.minutes).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use weir_event::{Scope, Timestamp};

    use super::*;

    fn minutes(starts: std::ops::Range<u64>) -> Vec<ScopeWindow> {
        let scope = Scope::parse("acc", "gw").unwrap();
        let minute = |start: u64| Timestamp::MIN.saturating_add_millis(start * 60_000);
        starts.map(|start| ScopeWindow { scope: scope.clone(), start: minute(start) }).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn the_minute_that_is_to_blame_is_alone_in_the_end_and_rests() {
        const BAD: usize = 42;
        let (all, now) = (minutes(0..100), Instant::now());
        let (mut apart, mut written, mut failures) = (Apart::default(), 0, 1);
        apart.put(all.clone(), Duration::from_secs(55), now);
        assert_eq!(apart.minutes().len(), 100);
        while let Some(group) = apart.next(now) {
            if group.contains(&all[BAD]) {
                failures += 1;
                apart.put(group, Duration::from_secs(55), now);
            } else {
                written += group.len();
                apart.remove(&group);
            }
        }
        assert_eq!((written, failures), (99, 8));
        assert_eq!(apart.minutes(), BTreeSet::from([&all[BAD]]));
        let rest = Duration::from_secs(9 * 55);
        assert_eq!(apart.next(now + rest.saturating_sub(Duration::from_millis(1))), None);
        assert_eq!(apart.next(now + rest), Some(vec![all[BAD].clone()]));
        apart.remove(&all[BAD..=BAD]);
        assert!(apart.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn what_fails_at_once_rests_for_a_moment_and_comes_after_what_waits() {
        let (mut apart, now) = (Apart::default(), Instant::now());
        apart.put(minutes(0..1), Duration::ZERO, now);
        apart.put(minutes(1..3), Duration::ZERO, now);
        assert_eq!(apart.next(now), Some(minutes(1..2)));
        assert_eq!(apart.next(now + REST_MIN), Some(minutes(0..1)));
        // A minute of a shard that is somebody else's is theirs.
        apart.keep(|minute| *minute != minutes(0..1)[0]);
        assert_eq!(apart.next(now + REST_MIN), Some(minutes(1..2)));
        apart.put(minutes(1..2), Duration::ZERO, now);
        assert_eq!(apart.next(now), Some(minutes(2..3)));
        assert_eq!(apart.minutes().len(), 2);
    }
}
