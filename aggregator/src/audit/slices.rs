//! Parts of the time of which a statement reads a bounded number of rows.

use std::ops::Range;

use super::request::QUARTER_MS;

/// Rows that are looked at by one statement, unless a quarter of an hour has more: at some 200 bytes a row, what it may take
/// of the server's memory.
const ROWS_MAX: u64 = 500_000;

/// Ranges that have all of `quarters`, which are in order and by their start in milliseconds, each with its number of rows.
pub(super) fn slices(quarters: &[(i64, u64)]) -> Vec<Range<i64>> {
    let mut slices: Vec<(Range<i64>, u64)> = Vec::new();
    for (start, rows) in quarters {
        let end = start + QUARTER_MS;
        match slices.last_mut() {
            Some((slice, of_slice)) if of_slice.saturating_add(*rows) <= ROWS_MAX => {
                (slice.end, *of_slice) = (end, *of_slice + rows);
            }
            _ => slices.push((*start..end, *rows)),
        }
    }
    slices.into_iter().map(|(slice, _)| slice).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_have_every_quarter_once_and_are_as_few_as_may_be() {
        let of = |quarters: &[(i64, u64)]| {
            let quarters: Vec<_> = quarters.iter().map(|(start, rows)| (start * QUARTER_MS, *rows)).collect();
            let slices = slices(&quarters);
            slices.iter().map(|slice| (slice.start / QUARTER_MS, slice.end / QUARTER_MS)).collect::<Vec<_>>()
        };
        assert_eq!(of(&[]), []);
        assert_eq!(of(&[(1, 10), (2, 10), (5, 10)]), [(1, 6)]);
        assert_eq!(of(&[(1, ROWS_MAX - 1), (2, 1), (3, 1)]), [(1, 3), (3, 4)]);
        assert_eq!(of(&[(1, u64::MAX), (2, 1), (9, ROWS_MAX - 1)]), [(1, 2), (2, 10)]);
    }
}
