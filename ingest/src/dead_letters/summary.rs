//! What became of the letters of a replay, counted.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Write};

use super::again::Stays;
use super::print::{DIGEST_SHOWN, printable, write_table};
use super::table::Letter;
use crate::sink::Outcome;

const TITLES: [&str; 4] = ["stays", "letters", "for example", "why"];

/// The account of a replay.
#[derive(Debug, Default)]
pub(super) struct Summary {
    letters: u64,
    stored: u64,
    duplicates: u64,
    ignored: u64,
    opened: u64,
    /// Of those stored or there already: with fields that stay closed.
    closed: u64,
    /// Letters that stay, by their reason.
    stay: BTreeMap<Cow<'static, str>, Staying>,
}

/// Letters that stay for the same reason.
#[derive(Debug)]
struct Staying {
    letters: u64,
    digest: String,
    detail: String,
}

impl Summary {
    /// A letter is settled, or would be. What of its event stays closed is kept in a letter of its own.
    pub(super) fn settled(&mut self, outcome: Outcome, has_closed: bool) {
        self.letters += 1;
        self.closed += u64::from(has_closed);
        match outcome {
            Outcome::Stored => self.stored += 1,
            Outcome::Duplicate => self.duplicates += 1,
            Outcome::Ignored => self.ignored += 1,
            Outcome::Opened => self.opened += 1,
            Outcome::OpenedInPart | Outcome::Closed | Outcome::Gone => {}
        }
    }

    /// A letter is not.
    pub(super) fn stays(&mut self, letter: &Letter, why: Stays) {
        self.letters += 1;
        let Stays { reason, detail } = why;
        let digest = || letter.digest.chars().take(DIGEST_SHOWN).collect();
        let staying = self.stay.entry(reason);
        staying.or_insert_with(|| Staying { letters: 0, digest: digest(), detail }).letters += 1;
    }

    /// Whether there is no letter that is not settled.
    pub(super) fn is_complete(&self) -> bool {
        self.stay.is_empty()
    }

    pub(super) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        if self.letters == 0 {
            return writeln!(out, "no letters to replay");
        }
        let stay: u64 = self.stay.values().map(|staying| staying.letters).sum();
        let Self { letters, stored, duplicates, ignored, opened, closed, .. } = self;
        writeln!(
            out,
            "{letters} letters: {stored} stored, {duplicates} duplicates, {ignored} ignored, {opened} opened, {stay} stay"
        )?;
        if *closed > 0 {
            writeln!(
                out,
                "{closed} of the events have fields that no private key opens, and a letter with them"
            )?;
        }
        if self.stay.is_empty() {
            return Ok(());
        }
        let row = |(reason, staying): (&Cow<'_, str>, &Staying)| {
            let Staying { letters, digest, detail } = staying;
            [printable(reason), letters.to_string(), printable(digest), printable(detail)]
        };
        write_table(TITLES, &self.stay.iter().map(row).collect::<Vec<_>>(), out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dead_letters::testing::letter;

    fn written(summary: &Summary) -> String {
        let mut out = Vec::new();
        summary.write(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_stays_is_told_by_its_reason_with_an_example() {
        let mut summary = Summary::default();
        assert_eq!(written(&summary), "no letters to replay\n");
        summary.settled(Outcome::Stored, true);
        summary.settled(Outcome::Duplicate, false);
        assert!(summary.is_complete());
        let expected = "2 letters: 1 stored, 1 duplicates, 0 ignored, 0 opened, 0 stay\n\
            1 of the events have fields that no private key opens, and a letter with them\n";
        assert_eq!(written(&summary), expected);
        let mut summary = Summary::default();
        for (reason, detail) in [("no_gateway", "neither"), ("line_too_long", "cut"), ("no_gateway", "nor")] {
            summary.stays(&letter(b"{}"), Stays::new(reason, detail));
        }
        assert!(!summary.is_complete());
        let expected = "\
3 letters: 0 stored, 0 duplicates, 0 ignored, 0 opened, 3 stay
stays          letters  for example   why
line_too_long  1        abababababab  cut
no_gateway     2        abababababab  neither
";
        assert_eq!(written(&summary), expected, "{}", written(&summary));
    }
}
