//! What opens a door: API keys by their makers' prefixes, bearer tokens, and JSON Web Tokens.
//!
//! Each is found by a literal that it begins with, all of them in one pass; what follows the literal decides. A decision
//! looks at a bounded number of bytes, and a token that was accepted is not looked at again: the work is linear.

use std::ops::Range;

use aho_corasick::{AhoCorasick, MatchKind};

/// Which rule a credential falls under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// An API key.
    ApiKey,
    /// The token after `Bearer`.
    Bearer,
    /// A JSON Web Token.
    Jwt,
}

/// How a credential is known.
struct Shape {
    /// What it begins with.
    prefix: &'static str,
    kind: Kind,
    /// The bytes that may follow.
    alphabet: fn(u8) -> bool,
    /// How many follow at least.
    least: usize,
    /// Whether that number is also the most: the next byte is no letter and no digit.
    exact: bool,
    /// Whether one of the first bytes is a digit or a capital: where the prefix begins ordinary words as well.
    mixed: bool,
}

/// How far a decision looks.
const LOOKED_AT: usize = 64;
/// A short token after `Bearer` needs a digit; from here on, a capital is enough.
const BEARER_LONG: usize = 24;
/// Spaces between `Bearer` and its token.
const BEARER_SPACES_MAX: usize = 8;

const fn key(prefix: &'static str, alphabet: fn(u8) -> bool, least: usize) -> Shape {
    Shape { prefix, kind: Kind::ApiKey, alphabet, least, exact: false, mixed: false }
}

const fn bearer(prefix: &'static str) -> Shape {
    Shape { prefix, kind: Kind::Bearer, alphabet: is_bearer, least: 8, exact: false, mixed: true }
}

/// Lengths are a little below those that are issued, so that a key whose end was cut off is one as well.
const SHAPES: &[Shape] = &[
    // OpenAI (also sk-proj-, sk-svcacct-), Anthropic (sk-ant-), DeepSeek, OpenRouter (sk-or-), new-api, LiteLLM.
    Shape { mixed: true, ..key("sk-", is_dashed, 16) },
    // Google.
    key("AIza", is_dashed, 30),
    key("ya29.", is_dashed, 20),
    // AWS: the id of an access key. The secret that belongs to it has no shape.
    Shape { exact: true, ..key("AKIA", is_upper, 16) },
    Shape { exact: true, ..key("ASIA", is_upper, 16) },
    // GitHub and GitLab.
    key("ghp_", is_alphanumeric, 30),
    key("gho_", is_alphanumeric, 30),
    key("ghu_", is_alphanumeric, 30),
    key("ghs_", is_alphanumeric, 30),
    key("ghr_", is_alphanumeric, 30),
    key("github_pat_", is_word, 22),
    key("glpat-", is_dashed, 16),
    // Slack.
    Shape { mixed: true, ..key("xoxa-", is_dashed, 10) },
    Shape { mixed: true, ..key("xoxb-", is_dashed, 10) },
    Shape { mixed: true, ..key("xoxe-", is_dashed, 10) },
    Shape { mixed: true, ..key("xoxp-", is_dashed, 10) },
    Shape { mixed: true, ..key("xoxr-", is_dashed, 10) },
    Shape { mixed: true, ..key("xoxs-", is_dashed, 10) },
    Shape { mixed: true, ..key("xapp-", is_dashed, 10) },
    // Other model services: Hugging Face, Groq, xAI, Perplexity, NVIDIA, Cerebras, Replicate.
    key("hf_", is_alphanumeric, 30),
    key("gsk_", is_alphanumeric, 32),
    key("xai-", is_alphanumeric, 32),
    key("pplx-", is_alphanumeric, 32),
    key("nvapi-", is_dashed, 32),
    key("csk-", is_alphanumeric, 32),
    key("r8_", is_alphanumeric, 32),
    // Stripe.
    key("sk_live_", is_word, 16),
    key("rk_live_", is_word, 16),
    key("sk_test_", is_word, 16),
    key("rk_test_", is_word, 16),
    // `{"` in base64, which every header of a token begins with; then a dot.
    Shape { prefix: "eyJ", kind: Kind::Jwt, alphabet: is_dashed, least: 8, exact: false, mixed: false },
    bearer("Bearer"),
    bearer("bearer"),
    bearer("BEARER"),
];

/// Finds credentials.
#[derive(Clone, Debug)]
pub(super) struct Credentials {
    prefixes: AhoCorasick,
    /// The shape of each prefix.
    shapes: Vec<usize>,
}

impl Credentials {
    /// Finds those of the kinds that `is_on` names; `None` if there is none.
    pub(super) fn new(is_on: impl Fn(Kind) -> bool) -> Option<Self> {
        let shapes: Vec<_> = (0..SHAPES.len()).filter(|shape| is_on(SHAPES[*shape].kind)).collect();
        if shapes.is_empty() {
            return None;
        }
        let prefixes = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(shapes.iter().map(|shape| SHAPES[*shape].prefix))
            .expect("a few short prefixes are far below the limits of an automaton");
        Some(Self { prefixes, shapes })
    }

    /// Whether there may be one: a prefix is there.
    pub(super) fn may_be_in(&self, text: &str) -> bool {
        self.prefixes.is_match(text)
    }

    /// Gives every credential to `found`, in the order of their beginnings. They may overlap.
    pub(super) fn find(&self, text: &str, mut found: impl FnMut(Range<usize>, Kind)) {
        let text = text.as_bytes();
        let mut done = [0; SHAPES.len()];
        for candidate in self.prefixes.find_iter(text) {
            let number = self.shapes[candidate.pattern().as_usize()];
            let shape = &SHAPES[number];
            if candidate.start() < done[number] || !begins_token(text, candidate.start()) {
                continue;
            }
            match shape.read(text, candidate.range()) {
                Ok(range) => {
                    done[number] = range.end;
                    found(range, shape.kind);
                }
                Err(none_before) => done[number] = none_before,
            }
        }
    }
}

impl Shape {
    /// The credential whose prefix stands at `prefix`; or where the next one of this shape could begin.
    fn read(&self, text: &[u8], prefix: Range<usize>) -> Result<Range<usize>, usize> {
        let none_before = prefix.end;
        match self.kind {
            Kind::ApiKey => self.read_key(text, prefix).ok_or(none_before),
            Kind::Bearer => self.read_bearer(text, none_before).ok_or(none_before),
            Kind::Jwt => self.read_jwt(text, prefix),
        }
    }

    fn read_key(&self, text: &[u8], prefix: Range<usize>) -> Option<Range<usize>> {
        let (seen, token) = self.begin(text, prefix.end)?;
        if self.exact {
            let ends = text.get(token.start + self.least).is_none_or(|byte| !byte.is_ascii_alphanumeric());
            return ends.then_some(prefix.start..token.start + self.least);
        }
        let fits = !self.mixed || seen.iter().any(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase());
        fits.then(|| prefix.start..self.end(text, token.end))
    }

    /// Only the token: the word before it says what was there.
    fn read_bearer(&self, text: &[u8], after_word: usize) -> Option<Range<usize>> {
        let spaces = spaces(&text[after_word..])?;
        let (seen, token) = self.begin(text, after_word + spaces)?;
        let has_digit = seen.iter().any(u8::is_ascii_digit);
        let has_capital = seen.len() >= BEARER_LONG && seen.iter().any(u8::is_ascii_uppercase);
        (has_digit || has_capital).then(|| token.start..self.end(text, token.end))
    }

    /// Header, payload and signature (an encrypted one has five parts); the signature may be empty.
    fn read_jwt(&self, text: &[u8], prefix: Range<usize>) -> Result<Range<usize>, usize> {
        let (_, token) = self.begin(text, prefix.end).ok_or(prefix.end)?;
        let mut end = self.end(text, token.end);
        let mut dots = 0;
        while dots < 4 && text.get(end) == Some(&b'.') {
            dots += 1;
            end = self.end(text, end + 1);
        }
        // What begins further on in these parts has no more dots before it ends.
        if dots >= 2 { Ok(prefix.start..end) } else { Err(end) }
    }

    /// The first bytes of what follows a prefix, if there are enough of them.
    fn begin<'t>(&self, text: &'t [u8], start: usize) -> Option<(&'t [u8], Range<usize>)> {
        let window = &text[start..text.len().min(start + LOOKED_AT)];
        let length = window.iter().take_while(|byte| (self.alphabet)(**byte)).count();
        (length >= self.least).then(|| (&window[..length], start..start + length))
    }

    fn end(&self, text: &[u8], from: usize) -> usize {
        from + text[from..].iter().take_while(|byte| (self.alphabet)(**byte)).count()
    }
}

/// Whether a token may begin here: not in the middle of a word, but after one that is percent-encoded.
fn begins_token(text: &[u8], at: usize) -> bool {
    match &text[..at] {
        [.., b'%', high, low] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => true,
        [.., before] => !before.is_ascii_alphanumeric(),
        [] => true,
    }
}

fn spaces(text: &[u8]) -> Option<usize> {
    if text.starts_with(b"%20") {
        return Some(3);
    }
    let count = text.iter().take(BEARER_SPACES_MAX).take_while(|byte| byte.is_ascii_whitespace()).count();
    (count > 0).then_some(count)
}

const fn is_alphanumeric(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

const fn is_upper(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit()
}

const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

const fn is_dashed(byte: u8) -> bool {
    is_word(byte) || byte == b'-'
}

const fn is_dotted(byte: u8) -> bool {
    is_dashed(byte) || byte == b'.'
}

const fn is_bearer(byte: u8) -> bool {
    is_dotted(byte) || matches!(byte, b'~' | b'+' | b'/' | b'=')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let mut found = Vec::new();
        Credentials::new(|_| true).unwrap().find(text, |range, _| found.push(&text[range]));
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn keys_are_known_by_their_prefixes() {
        for key in [
            "sk-abcdEFGH1234abcdEFGH1234abcdEFGH1234abcdEFGH1234",
            "sk-proj-Ab_c-1234567890abcdefghijABCDEFGHIJ",
            "sk-ant-api03-AAAA_bbbb-1234567890abcdefghij-AA",
            "sk-or-v1-0123456789abcdef0123456789abcdef",
            "AIzaSyA-1234567890_abcdefghijklmnopqrst",
            "AKIAIOSFODNN7EXAMPLE",
            "ASIAIOSFODNN7EXAMPLE",
            "ghp_0123456789abcdefghijABCDEFGHIJ012345",
            "github_pat_11ABCDEFG0abcdefghij_0123456789abcdef",
            "xoxb-123456789012-abcdefghij",
            "xoxp-1-Mi0yLTEyMzQ1Njc4OTA",
            "hf_abcdefghijklmnopqrstuvwxyzABCDEFGH",
            "gsk_0123456789abcdefghijABCDEFGHIJ0123456789abcdefghij",
            "xai-0123456789abcdefghijABCDEFGHIJ0123456789",
            "sk_live_0123456789abcdefghij",
            "rk_live_0123456789abcdefghij",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P",
            "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxMjM0In0.",
        ] {
            check(key, &[key]);
            check(&format!("key={key}, end"), &[key]);
            check(&format!("(\"{key}\")"), &[key]);
            check(&format!("\u{e9}{key}\u{e9}"), &[key]);
            check(&format!("?q=1%3D{key}"), &[key]);
        }
        check("xoxe.xoxp-1-Mi0yLTEyMzQ1Njc4OTA", &["xoxp-1-Mi0yLTEyMzQ1Njc4OTA"]);
    }

    #[test]
    fn words_that_look_like_keys_are_none() {
        for text in [
            "a risk-free task-management-system-for-2024-with-CAPITALS",
            "sk-learn-style-estimators-are-fine",
            "sk-",
            "sk-abc123",
            "ask sk_live",
            "AKIAIOSFODNN7EXAMPL",
            "AKIAIOSFODNN7EXAMPLES",
            "WAKIAIOSFODNN7EXAMPLE",
            "ghp_short",
            "hf_hub_download(repo_id, filename)",
            "AIza",
            "xoxo-hugs-and-kisses",
            "eyJhbGciOiJIUzI1NiJ9",
            "eyJhbGciOiJIUzI1NiJ9.one",
            "eyJ.a.b",
            "xai-org/grok-1 csk-1",
        ] {
            check(text, &[]);
        }
    }

    #[test]
    fn a_bearers_token_is_found_and_the_word_stays() {
        check("Authorization: Bearer abc.DEF-123~+/==; x", &["abc.DEF-123~+/=="]);
        check("bearer \t a1b2c3d4", &["a1b2c3d4"]);
        check("BEARER%20a1b2c3d4", &["a1b2c3d4"]);
        check("Bearer AbcdefghijklmnopqrstuvwX", &["AbcdefghijklmnopqrstuvwX"]);
        for text in [
            "the bearer of this letter",
            "Bearer authentication is used",
            "Bearer Authentication",
            "Bearer",
            "Bearer ",
            "Bearer a1b2",
            "Forbearer a1b2c3d4",
            "Bearer_a1b2c3d4e5",
            "Bearer [redacted:bearer]",
        ] {
            check(text, &[]);
        }
    }

    #[test]
    fn many_candidates_in_one_token_are_looked_at_once() {
        // Quadratic work on these would take minutes.
        check(&"sk-".repeat(1_000_000), &[]);
        let one = format!("{}A", "sk-".repeat(20));
        check(
            &format!("{one}{}", "-sk-".repeat(500_000)),
            &[format!("{one}{}", "-sk-".repeat(500_000)).as_str()],
        );
        check(&"eyJhbGciOiJI".repeat(100_000), &[]);
        check(&"eyJhbGciOiJI-".repeat(100_000), &[]);
    }
}
