//! Patterns of `like`: `%` stands for any characters or none, `_` for any one, and `\` before either of them or before
//! another `\` takes its meaning away. Whatever else there is stands for itself.

/// A piece of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Any characters, or none.
    Any,
    /// Any one character.
    One,
    /// This character.
    Same(char),
}

/// The pieces of a pattern.
#[must_use]
pub fn pieces(pattern: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut letters = pattern.chars().peekable();
    while let Some(letter) = letters.next() {
        pieces.push(match letter {
            '%' => Piece::Any,
            '_' => Piece::One,
            '\\' => Piece::Same(letters.next_if(|next| matches!(next, '%' | '_' | '\\')).unwrap_or('\\')),
            letter => Piece::Same(letter),
        });
    }
    pieces
}

/// The pattern that is met by `text` alone.
#[must_use]
pub fn literally(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut pattern, letter| {
        if matches!(letter, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(letter);
        pattern
    })
}

/// Whether all of `text` is like `pattern`.
pub(crate) fn is_like(text: &str, pattern: &str) -> bool {
    let (text, pieces): (Vec<char>, _) = (text.chars().collect(), pieces(pattern));
    let (mut at, mut piece) = (0, 0);
    // Where to go on if what follows the last `%` does not fit: it takes one character more.
    let mut retry = None;
    while at < text.len() {
        match pieces.get(piece) {
            Some(Piece::Any) => {
                retry = Some((at, piece + 1));
                piece += 1;
            }
            Some(Piece::One) => (at, piece) = (at + 1, piece + 1),
            Some(Piece::Same(letter)) if *letter == text[at] => (at, piece) = (at + 1, piece + 1),
            _ => {
                let Some((from, behind)) = retry else { return false };
                retry = Some((from + 1, behind));
                (at, piece) = (from + 1, behind);
            }
        }
    }
    pieces[piece..].iter().all(|piece| *piece == Piece::Any)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_met_by_the_whole_text() {
        let check = |pattern: &str, expected: &[&str]| {
            let texts = ["", "a", "ab", "a%b", "a_b", r"a\b", "äb", "abcab", "A\nb"];
            let met: Vec<_> = texts.into_iter().filter(|text| is_like(text, pattern)).collect();
            assert_eq!(met, expected, "{pattern}");
        };
        check("a", &["a"]);
        check("%", &["", "a", "ab", "a%b", "a_b", r"a\b", "äb", "abcab", "A\nb"]);
        check("a%b", &["ab", "a%b", "a_b", r"a\b", "abcab"]);
        check("_b", &["ab", "äb"]);
        check("%_b", &["ab", "a%b", "a_b", r"a\b", "äb", "abcab", "A\nb"]);
        check(r"a\%b", &["a%b"]);
        check(r"a\_%", &["a_b"]);
        check(r"a\\b", &[r"a\b"]);
        check(r"a\b", &[r"a\b"]);
        check("%ab%", &["ab", "abcab"]);
        check("%c%b%", &["abcab"]);
    }

    #[test]
    fn a_literal_pattern_is_met_by_its_text_alone() {
        for text in [r"50%_\", "", r"\%"] {
            assert!(is_like(text, &literally(text)), "{text}");
        }
        assert!(!is_like("50a", &literally("50%")) && !is_like("a", &literally("_")));
    }
}
