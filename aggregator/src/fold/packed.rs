//! Figures as few bytes: most of a bucket's figures are 0 or small, and there are many buckets.
//!
//! First two bytes say which figures follow, those that are not 0. Each is a number of 7 bits to the byte, lowest first, the
//! cost with its sign in the lowest bit; a histogram is the number of its bins, then for each how far it is behind the one
//! before it, and what it counts. A call with tokens, a cost and two times is some 30 bytes.

use weir_event::Histogram;
use weir_store::ScaledUsd;

use super::figures::{Figures, Part};
use super::sums::Sums;

/// The figures that are counts, in their order.
const COUNTS: usize = 9;
const COST: u16 = 1 << COUNTS;
const DURATION: u16 = COST << 1;
const FIRST_TOKEN: u16 = DURATION << 1;

/// Appends `figures`.
pub(super) fn pack(figures: &Figures, out: &mut Vec<u8>) {
    let Figures { sums, duration, time_to_first_token } = figures;
    let start = out.len();
    out.extend_from_slice(&[0, 0]);
    let mut there = 0;
    for (bit, count) in sums.counts().into_iter().enumerate().filter(|(_, count)| *count != 0) {
        there |= 1 << bit;
        push(count, out);
    }
    let cost = sums.cost.units();
    if cost != 0 {
        there |= COST;
        push_wide((cost.unsigned_abs() << 1) | u128::from(cost < 0), out);
    }
    for (bit, histogram) in [(DURATION, duration), (FIRST_TOKEN, time_to_first_token)] {
        if !histogram.is_empty() {
            there |= bit;
            pack_histogram(histogram, out);
        }
    }
    out[start..start + 2].copy_from_slice(&there.to_le_bytes());
}

fn pack_histogram(histogram: &Histogram, out: &mut Vec<u8>) {
    push(histogram.bins().len() as u64, out);
    let mut before = 0;
    for (bin, count) in histogram.bins() {
        push((bin - before).into(), out);
        push(count, out);
        before = bin;
    }
}

/// Adds a part of what was packed to `figures`.
pub(super) fn add_packed(bytes: &[u8], part: Part, figures: &mut Figures) {
    let mut bytes = Bytes(bytes);
    let there = u16::from_le_bytes([bytes.byte(), bytes.byte()]);
    let mut counts = [0; COUNTS];
    for (bit, count) in counts.iter_mut().enumerate().filter(|(bit, _)| there & (1 << bit) != 0) {
        *count = bytes.number_64();
        debug_assert!(*count != 0, "figure {bit} is there and 0");
    }
    let cost = if there & COST == 0 { 0 } else { bytes.signed() };
    if part != Part::Times {
        figures.sums.add(&Sums::from_counts(counts, ScaledUsd::from_units(cost)));
    }
    if part == Part::Sums {
        return;
    }
    for (bit, histogram) in
        [(DURATION, &mut figures.duration), (FIRST_TOKEN, &mut figures.time_to_first_token)]
    {
        if there & bit != 0 {
            histogram.merge(&bytes.histogram());
        }
    }
}

/// Appends a number, 7 bits to the byte.
pub(super) fn push(mut number: u64, out: &mut Vec<u8>) {
    while number > 0x7f {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

fn push_wide(mut number: u128, out: &mut Vec<u8>) {
    while number > 0x7f {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

/// What is left to read. Beyond the end are zeros.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bytes<'b>(pub(super) &'b [u8]);

impl<'b> Bytes<'b> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// The next number.
    pub(super) fn number_64(&mut self) -> u64 {
        let (mut number, mut shift) = (0, 0);
        loop {
            let byte = self.byte();
            number |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            shift += 7;
            if byte & 0x80 == 0 {
                return number;
            }
        }
    }

    fn signed(&mut self) -> i128 {
        let (mut number, mut shift) = (0_u128, 0);
        loop {
            let byte = self.byte();
            number |= u128::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let size = i128::try_from(number >> 1).unwrap_or(i128::MAX);
        if number & 1 == 1 { -size } else { size }
    }

    fn histogram(&mut self) -> Histogram {
        let mut histogram = Histogram::new();
        let mut bin = 0_u16;
        for _ in 0..self.number_64() {
            bin = bin.saturating_add(u16::try_from(self.number_64()).unwrap_or(u16::MAX));
            histogram.add_to_bin(bin, self.number_64());
        }
        histogram
    }

    /// The next so many bytes.
    pub(super) fn take(&mut self, length: usize) -> &'b [u8] {
        let (taken, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        taken
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn figures() -> impl Strategy<Value = Figures> {
        let count = prop_oneof![Just(0_u64), 0_u64..300, any::<u64>()];
        let cost = prop_oneof![Just(0_i128), -1_000_i128..1_000, -(1_i128 << 100)..1 << 100];
        let values = || prop::collection::vec((0_u64..1 << 33, 1_u64..1_000), 0..20);
        (prop::array::uniform9(count), cost, values(), values()).prop_map(
            |(counts, cost, durations, firsts)| {
                let mut figures = Figures {
                    sums: Sums::from_counts(counts, ScaledUsd::from_units(cost)),
                    ..Figures::default()
                };
                for (value, count) in durations {
                    figures.duration.add(value, count);
                }
                for (value, count) in firsts {
                    figures.time_to_first_token.add(value, count);
                }
                figures
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_packed_comes_out_again(figures in figures()) {
            let mut packed = Vec::new();
            pack(&figures, &mut packed);
            let unpacked = |part| {
                let mut unpacked = Figures::default();
                add_packed(&packed, part, &mut unpacked);
                unpacked
            };
            prop_assert_eq!(&unpacked(Part::All), &figures);
            prop_assert_eq!(unpacked(Part::Sums), Figures { sums: figures.sums, ..Figures::default() });
            prop_assert_eq!(unpacked(Part::Times), Figures { sums: Sums::ZERO, ..figures });
        }
    }

    #[test]
    fn a_usual_call_is_small() {
        let mut figures = Figures {
            sums: Sums {
                requests: 1,
                tokens_in: 1_500,
                tokens_out: 300,
                cost: ScaledUsd::from_units(5_385_000_000_000_000),
                ..Sums::ZERO
            },
            ..Figures::default()
        };
        figures.duration.add(1_250, 1);
        figures.time_to_first_token.add(310, 1);
        let mut packed = Vec::new();
        pack(&figures, &mut packed);
        assert_eq!(packed.len(), 23);
    }
}
