//! Letters without their case, by one table that does not depend on who compares.
//!
//! A letter stands for all that have its lower-case form. That form is one letter: where Unicode's has several (only that
//! of U+0130), or is an ASCII letter of another alphabet's sign (U+212A, the Kelvin), the letter stands for itself alone. So
//! ASCII and the rest can be searched apart.

use std::collections::HashMap;
use std::sync::LazyLock;

/// The letters that have one lower-case form, by that form, where there are several.
static VARIANTS: LazyLock<HashMap<char, Vec<char>>> = LazyLock::new(|| {
    let mut variants: HashMap<char, Vec<char>> = HashMap::new();
    for letter in '\0'..=char::MAX {
        let lower = fold(letter);
        if lower != letter {
            variants.entry(lower).or_insert_with(|| vec![lower]).push(letter);
        }
    }
    variants
});

/// What a letter is compared by.
#[must_use]
pub fn fold(letter: char) -> char {
    let mut lower = letter.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(lower), None) if letter.is_ascii() || !lower.is_ascii() => lower,
        (_, _) => letter,
    }
}

/// Every letter that [`fold`] makes the same as `letter`, itself among them, in a fixed order.
#[must_use]
pub fn variants(letter: char) -> Vec<char> {
    let lower = fold(letter);
    VARIANTS.get(&lower).cloned().unwrap_or_else(|| vec![lower])
}

/// Whether `text` has `part` in it, whatever the case of their letters.
pub(crate) fn contains(text: &str, part: &str) -> bool {
    folded(text).contains(&folded(part))
}

/// Whether `text` begins with `part`, whatever the case of their letters.
pub(crate) fn starts_with(text: &str, part: &str) -> bool {
    let mut letters = text.chars().map(fold);
    part.chars().map(fold).all(|letter| letters.next() == Some(letter))
}

fn folded(text: &str) -> String {
    text.chars().map(fold).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_of_every_alphabet_are_found_in_either_case() {
        for (text, part) in
            [("GLM-4", "glm"), ("STRASSE ÄÖ", "äö"), ("ΟΔΟΣΑ", "δοσ"), ("Дом", "ДОМ"), ("Ǆ", "ǅ")]
        {
            assert!(contains(text, part), "{text} {part}");
        }
        for (text, part) in [("GLM", "gml"), ("\u{212a}", "k"), ("\u{130}", "i"), ("straße", "SS"), ("", "a")]
        {
            assert!(!contains(text, part), "{text} {part}");
        }
        assert!(starts_with("Äpfel", "äPF") && !starts_with("Äpfel", "pf") && !starts_with("Ä", "äp"));
    }

    #[test]
    fn variants_are_all_that_are_the_same() {
        assert_eq!(variants('g'), ['g', 'G']);
        assert_eq!(variants('Ǆ'), ['ǆ', 'Ǆ', 'ǅ']);
        assert_eq!(variants('5'), ['5']);
        for letter in '\0'..='\u{3000}' {
            let all = variants(letter);
            assert!(all.contains(&letter) && all.iter().all(|one| fold(*one) == fold(letter)), "{letter:?}");
        }
    }
}
