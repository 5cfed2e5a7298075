//! What would change, per model and API token: kept while rows are read, and shown before any is written.

use std::collections::BTreeMap;
use std::fmt::Write;

use weir_store::ScaledUsd;

/// Models with API tokens that are told apart; what is beyond is one line.
const GROUPS_MAX: usize = 100_000;
/// Lines that are shown, those with the largest differences.
const LINES_MAX: usize = 200;

/// The difference between what is stored and what the current book says.
#[derive(Debug, Default)]
pub struct Difference {
    /// Rows that were looked at.
    rows: u64,
    /// Rows that this program cannot read; they stay as they are.
    unreadable: u64,
    groups: BTreeMap<(String, String), Group>,
    /// Of what no group was kept for.
    others: Group,
    total: Group,
}

/// The rows of one model and API token that change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Group {
    rows: u64,
    newly_priced: u64,
    newly_unpriced: u64,
    before: ScaledUsd,
    after: ScaledUsd,
}

impl Difference {
    /// A row stays as it is.
    pub(super) fn add_same(&mut self) {
        self.rows += 1;
    }

    /// A row cannot be read.
    pub(super) fn add_unreadable(&mut self) {
        self.rows += 1;
        self.unreadable += 1;
    }

    /// A row of `model` and `token` costs `after` where it did cost `before`.
    pub(super) fn add(
        &mut self,
        (model, token): (&str, &str),
        before: Option<ScaledUsd>,
        after: Option<ScaledUsd>,
    ) {
        self.rows += 1;
        self.total.add(before, after);
        let key = (model.to_owned(), token.to_owned());
        let has_room = self.groups.len() < GROUPS_MAX || self.groups.contains_key(&key);
        let group = if has_room { self.groups.entry(key).or_default() } else { &mut self.others };
        group.add(before, after);
    }

    /// How many rows were looked at.
    #[must_use]
    pub const fn rows(&self) -> u64 {
        self.rows
    }

    /// How many rows change.
    #[must_use]
    pub const fn changed(&self) -> u64 {
        self.total.rows
    }

    /// A table for people.
    #[must_use]
    pub fn table(&self) -> String {
        let mut text = String::new();
        let head = [
            "model",
            "token",
            "rows",
            "now priced",
            "now unpriced",
            "cost before",
            "cost after",
            "difference",
        ];
        let mut lines = vec![head.map(str::to_owned)];
        let mut groups: Vec<_> = self.groups.iter().collect();
        groups.sort_by_key(|(_, group)| std::cmp::Reverse(group.size()));
        lines.extend(
            groups.iter().take(LINES_MAX).map(|((model, token), group)| group.line(name(model), name(token))),
        );
        let mut hidden = self.others;
        groups.iter().skip(LINES_MAX).for_each(|(_, group)| hidden.merge(group));
        if hidden.rows > 0 {
            lines.push(hidden.line("(others)".to_owned(), String::new()));
        }
        lines.push(self.total.line("total".to_owned(), String::new()));
        if self.changed() > 0 {
            write_aligned(&mut text, &lines);
        }
        let (rows, changed) = (self.rows, self.changed());
        let _ = writeln!(text, "{rows} rows looked at, {changed} differ");
        if self.unreadable > 0 {
            let _ = writeln!(
                text,
                "{} rows cannot be read by this program and stay as they are",
                self.unreadable
            );
        }
        text
    }
}

impl Group {
    fn add(&mut self, before: Option<ScaledUsd>, after: Option<ScaledUsd>) {
        self.merge(&Self {
            rows: 1,
            newly_priced: u64::from(before.is_none() && after.is_some()),
            newly_unpriced: u64::from(before.is_some() && after.is_none()),
            before: before.unwrap_or_default(),
            after: after.unwrap_or_default(),
        });
    }

    fn merge(&mut self, other: &Self) {
        self.rows += other.rows;
        self.newly_priced += other.newly_priced;
        self.newly_unpriced += other.newly_unpriced;
        self.before = self.before.saturating_add(other.before);
        self.after = self.after.saturating_add(other.after);
    }

    /// By what it is sorted: the difference in money, either way, then the rows.
    fn size(&self) -> (ScaledUsd, u64) {
        let (up, down) = (self.after.saturating_sub(self.before), self.before.saturating_sub(self.after));
        (up.max(down), self.rows)
    }

    fn line(&self, model: String, token: String) -> [String; 8] {
        let difference = self.after.saturating_sub(self.before);
        let sign = if difference > ScaledUsd::ZERO { "+" } else { "" };
        [
            model,
            token,
            self.rows.to_string(),
            self.newly_priced.to_string(),
            self.newly_unpriced.to_string(),
            self.before.to_string(),
            self.after.to_string(),
            format!("{sign}{difference}"),
        ]
    }
}

/// Names come from outside: nothing in them may move the cursor of a terminal.
fn name(text: &str) -> String {
    if text.is_empty() {
        return "(unknown)".to_owned();
    }
    let shown =
        |char: char| if char.is_control() { char.escape_default().to_string() } else { char.to_string() };
    text.chars().map(shown).collect()
}

fn write_aligned(text: &mut String, lines: &[[String; 8]]) {
    /// The first columns are names, on the left; figures stand on the right.
    const NAMES: usize = 2;
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 8] = std::array::from_fn(width);
    for line in lines {
        let mut row = String::new();
        for (column, (cell, width)) in line.iter().zip(widths).enumerate() {
            let _ = if column < NAMES {
                write!(row, "{cell:<width$}  ")
            } else {
                write!(row, "{cell:>width$}  ")
            };
        }
        let _ = writeln!(text, "{}", row.trim_end());
    }
}

#[cfg(test)]
mod tests {
    use weir_event::Usd;

    use super::*;

    fn usd(text: &str) -> Option<ScaledUsd> {
        text.parse::<Usd>().ok().map(ScaledUsd::from)
    }

    #[test]
    fn the_table_shows_every_group_with_all_digits_and_the_largest_difference_first() {
        let mut difference = Difference::default();
        difference.add_same();
        difference.add_unreadable();
        difference.add(("gpt-4o", "team-a"), usd("1.5"), usd("2"));
        difference.add(("gpt-4o", "team-a"), None, usd("0.000000000000000001"));
        difference.add(("gpt-4o", "team-b"), usd("3"), usd("1.25"));
        difference.add(("", "\u{1b}[2J"), usd("0.25"), None);
        let expected = "\
model      token      rows  now priced  now unpriced  cost before            cost after             difference
gpt-4o     team-b        1           0             0            3                  1.25                  -1.75
gpt-4o     team-a        2           1             0          1.5  2.000000000000000001  +0.500000000000000001
(unknown)  \\u{1b}[2J     1           0             1         0.25                     0                  -0.25
total                    4           1             1         4.75  3.250000000000000001  -1.499999999999999999
6 rows looked at, 4 differ
1 rows cannot be read by this program and stay as they are
";
        assert_eq!(difference.table(), expected, "{}", difference.table());
        assert_eq!(Difference::default().table(), "0 rows looked at, 0 differ\n");
    }

    #[test]
    fn what_is_not_shown_is_summed() {
        let mut difference = Difference::default();
        for token in 0..=LINES_MAX {
            difference.add(("m", &token.to_string()), usd("1"), usd("2"));
        }
        let table = difference.table();
        assert!(table.contains("(others)") && table.lines().count() == LINES_MAX + 4, "{table}");
        assert!(table.contains("+201\n"), "{table}");
    }
}
