//! Payment card numbers: 13 to 19 digits of a card network's range whose check digit is right.
//!
//! They stand in one piece, or in groups as cards print them (4-4-4-4, 4-4-4-4-3, 4-6-5, 4-6-4) between single spaces or
//! dashes. One in ten numbers has a right check digit by chance, so what belongs to no network, continues a word or a
//! fraction, or is a telephone number is left alone.

use std::ops::Range;

/// The fewest and the most digits of a card.
const DIGITS_MIN: usize = 13;
const DIGITS_MAX: usize = 19;
/// Groups of a card that is printed in groups.
const GROUPS_MAX: usize = 5;

/// Whether there may be one: so many digits and separators are there in a row.
pub(super) fn may_be_in(text: &str) -> bool {
    let mut any = false;
    runs(text.as_bytes(), |_| {
        any = true;
        false
    });
    any
}

/// Gives every card number to `found`, in order. They do not overlap.
pub(super) fn find(text: &str, mut found: impl FnMut(Range<usize>)) {
    let text = text.as_bytes();
    runs(text, |run| {
        let mut at = run.start;
        while let Some(start) = (at..run.end).find(|index| text[*index].is_ascii_digit()) {
            at = match card_at(text, start) {
                Some(end) => {
                    found(start..end);
                    end
                }
                None => start + digits(text, start),
            };
        }
        true
    });
}

/// Gives runs of digits and separators that are long enough, until `visit` says to stop. A run of 13 has a byte in each
/// stretch of 13, so text without digits is passed over in steps of that.
fn runs(text: &[u8], mut visit: impl FnMut(Range<usize>) -> bool) {
    let is_part = |index: &usize| matches!(text[*index], b'0'..=b'9' | b' ' | b'-');
    let mut from = 0;
    while from + DIGITS_MIN <= text.len() {
        let probe = from + DIGITS_MIN - 1;
        if !is_part(&probe) {
            from = probe + 1;
            continue;
        }
        let start = probe - (from..probe).rev().take_while(is_part).count();
        let end = probe + (probe..text.len()).take_while(is_part).count();
        if end - start >= DIGITS_MIN && !visit(start..end) {
            return;
        }
        from = end + 1;
    }
}

/// Where the card that begins at this group of digits ends.
fn card_at(text: &[u8], start: usize) -> Option<usize> {
    if !may_begin(text, start) {
        return None;
    }
    let mut lengths = [0; GROUPS_MAX];
    let mut number = [0_u8; DIGITS_MAX];
    let (mut at, mut count, mut separator, mut end) = (start, 0, None, None);
    for group in 0..GROUPS_MAX {
        let length = digits(text, at);
        if length == 0 || count + length > DIGITS_MAX {
            break;
        }
        number[count..count + length].copy_from_slice(&text[at..at + length]);
        (lengths[group], at, count) = (length, at + length, count + length);
        let is_card = is_layout(&lengths[..=group]) && is_issued(&number[..count]) && may_end(text, at);
        if is_card && has_check_digit(&number[..count]) {
            end = Some(at);
        }
        let next = text.get(at).copied().filter(|byte| matches!(byte, b' ' | b'-'));
        if next.is_none() || (group > 0 && next != separator) {
            break;
        }
        (separator, at) = (next, at + 1);
    }
    end
}

/// How many digits stand here.
fn digits(text: &[u8], at: usize) -> usize {
    text[at..].iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// Not in a word, a fraction (`0.4111…`) or a telephone number (`+49…`).
fn may_begin(text: &[u8], start: usize) -> bool {
    match &text[..start] {
        [.., before, b'.'] => !before.is_ascii_digit(),
        [.., before] => !before.is_ascii_alphanumeric() && *before != b'+',
        [] => true,
    }
}

/// Not in a word or a number with a fraction.
fn may_end(text: &[u8], end: usize) -> bool {
    match &text[end..] {
        [b'.', after, ..] => !after.is_ascii_digit(),
        [after, ..] => !after.is_ascii_alphanumeric(),
        [] => true,
    }
}

fn is_layout(lengths: &[usize]) -> bool {
    match lengths {
        [length] => (DIGITS_MIN..=DIGITS_MAX).contains(length),
        [4, 4, 4, last] => (1..=4).contains(last),
        [4, 6, last] => (4..=5).contains(last),
        [4, 4, 4, 4, last] => (1..=3).contains(last),
        // No card is printed like this.
        _ => false,
    }
}

/// Whether a card network gives out numbers of this length that begin like this.
fn is_issued(number: &[u8]) -> bool {
    let leading = number[..4].iter().fold(0_u16, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    match leading {
        // Visa, Mastercard, American Express.
        4000..=4999 => matches!(number.len(), 13 | 16 | 19),
        5100..=5599 | 2221..=2720 => number.len() == 16,
        3400..=3499 | 3700..=3799 => number.len() == 15,
        // Diners Club; JCB and Mir.
        3000..=3059 | 3095..=3099 | 3600..=3699 | 3800..=3999 => number.len() >= 14,
        3528..=3589 | 2200..=2204 => number.len() >= 16,
        // Maestro; Discover, UnionPay, Maestro and RuPay.
        5000..=5099 | 5600..=5899 | 6000..=6999 => true,
        // Nobody's.
        _ => false,
    }
}

/// The check of Luhn: every second digit from the right counts twice, and the sum ends in 0.
fn has_check_digit(number: &[u8]) -> bool {
    let sum: u32 = number
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let value = u32::from(digit - b'0') << (place % 2);
            if value > 9 { value - 9 } else { value }
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let mut found = Vec::new();
        find(text, |range| found.push(&text[range]));
        assert_eq!(found, expected, "{text}");
        assert!(expected.is_empty() || may_be_in(text));
    }

    #[test]
    fn the_networks_test_numbers_are_found() {
        for card in [
            "4111111111111111",
            "4111 1111 1111 1111",
            "4111-1111-1111-1111",
            "4222222222222",
            "4222 2222 2222 2",
            "5555555555554444",
            "2223003122003222",
            "378282246310005",
            "3782 822463 10005",
            "6011111111111117",
            "3530111333300000",
            "30569309025904",
            "3056 930902 5904",
            "6304000000000000",
            "6200000000000000000",
            "6200 0000 0000 0000 000",
        ] {
            check(card, &[card]);
            check(&format!("card:{card}."), &[card]);
            check(&format!("{{\"n\":{card},\"m\":1}}"), &[card]);
            check(&format!("\u{5361}{card}\u{5361}"), &[card]);
        }
        check("4111 1111 1111 1111 12/27 123", &["4111 1111 1111 1111"]);
        check("1234 4111 1111 1111 1111", &["4111 1111 1111 1111"]);
        check("4111111111111111 5555555555554444", &["4111111111111111", "5555555555554444"]);
        check("-4111111111111111-", &["4111111111111111"]);
    }

    #[test]
    fn other_numbers_are_none() {
        for text in [
            // A wrong check digit; too few and too many digits.
            "4111111111111112",
            "4111 1111 1111 1112",
            "411111111111",
            "41111111111111111111111111",
            // A time in milliseconds and in nanoseconds, a fraction, a telephone number.
            "1727689541123",
            "1727689541123000005",
            "0.4111111111111111",
            "4111111111111111.5",
            "+4111111111111111",
            // Parts of names.
            "x4111111111111111",
            "4111111111111111x",
            "550e8400-e29b-41d4-a716-446655440000",
            // Lists of numbers.
            "41 11 11 11 11 11 11 11",
            "411 111 111 111 1111",
            "4111  1111  1111  1111",
            "4111-1111 1111-1111",
            "2019 2020 2021 2022 2023",
            "2024-09-30 11-22-33-44",
            "no digits in this sentence at all",
            "----------------------------------",
        ] {
            check(text, &[]);
        }
    }

    #[test]
    fn a_number_without_end_is_read_once() {
        check(&"4".repeat(1_000_000), &[]);
        check(&"4 ".repeat(500_000), &[]);
        check(&"4444 ".repeat(200_000), &[]);
    }
}
