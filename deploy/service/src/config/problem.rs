//! What is wrong with a configuration, in words that lead to the place.

use std::fmt;
use std::path::PathBuf;

/// Changes between a misspelt name and the one that is offered for it.
const CLOSE_ENOUGH: usize = 2;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nowhere: there is no value.
    Absent,
    /// The key's default.
    Default,
    /// The configuration file.
    File {
        /// The file.
        path: PathBuf,
        /// Line in it, from 1; none where the file as a whole is meant.
        line: Option<usize>,
    },
    /// A variable.
    Environment(String),
    /// A flag, with its dashes.
    Flag(String),
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key, section or variable.
    pub key: String,
    /// Where the value came from.
    pub origin: Origin,
    /// What is wrong; a lowercase fragment that never holds a secret.
    pub reason: String,
}

/// Everything that is wrong, in the order in which it is best put right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigErrors(pub Vec<Problem>);

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("not set"),
            Self::Default => f.write_str("default"),
            Self::File { path, line: Some(line) } => write!(f, "{}:{line}", path.display()),
            Self::File { path, line: None } => write!(f, "{}", path.display()),
            Self::Environment(name) | Self::Flag(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.key, self.origin, self.reason)
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        write!(f, "{count} {} in the configuration", if count == 1 { "problem" } else { "problems" })?;
        self.0.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

/// "; did you mean X?", or nothing when no known name is close.
pub(super) fn did_you_mean<'a>(unknown: &str, known: impl Iterator<Item = &'a str>) -> String {
    known
        .map(|name| (edit_distance(unknown, name), name))
        .min()
        .filter(|(distance, _)| *distance <= CLOSE_ENOUGH)
        .map_or_else(String::new, |(_, name)| format!("; did you mean {name}?"))
}

/// Levenshtein's distance, row by row.
fn edit_distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_close_name_is_offered_and_a_far_one_is_not() {
        let known = ["ingest.listen", "ingest.tokens"];
        assert_eq!(did_you_mean("ingest.lisen", known.into_iter()), "; did you mean ingest.listen?");
        assert_eq!(did_you_mean("ingest.parallelism", known.into_iter()), "");
    }

    #[test]
    fn edit_distance_counts_single_changes() {
        let check = |from, to, expected| assert_eq!(edit_distance(from, to), expected, "{from} {to}");
        check("", "", 0);
        check("abc", "abc", 0);
        check("abc", "ac", 1);
        check("kitten", "sitting", 3);
        check("", "abc", 3);
    }
}
