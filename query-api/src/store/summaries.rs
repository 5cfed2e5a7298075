//! What is to be said of whole lists, put together from what is known of the parts that the table is made of.
//!
//! A part of a table never changes: inserts, merges, deletions and mutations make new ones. So what was once counted in a
//! part holds as long as a part with the same content is there, and only what is new has to be read. What was read is
//! believed when its parts were there before and after, for then nothing was missing in between.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex as StdMutex, PoisonError};

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::record::Part;
use crate::sql::Statement;

/// Questions of which answers are kept. The one that was not asked for the longest time goes first.
const QUESTIONS_MAX: usize = 256;
/// A table in more parts than this is in trouble, and nothing is kept of it: some 200 bytes a part and question.
const PARTS_MAX: usize = 1_000;
/// How the names of parts begin that change the rows of others while they are read.
const PATCH: &str = "patch-";

/// What can be said of rows, and put together of what is said of some of them and of the others.
pub(super) trait Summary: Default {
    /// Takes in what is said of other rows.
    fn add(&mut self, other: &Self);
}

/// What is said of the rows of one part; the first row of an answer may have an empty name and say only who answers.
pub(super) struct OfPart<S> {
    pub(super) server: String,
    pub(super) part: String,
    pub(super) summary: S,
}

/// The answers to the questions that were asked lately.
pub(super) struct Summaries<S>(StdMutex<Questions<S>>);

struct Questions<S> {
    asked: u64,
    kept: HashMap<Statement, Question<S>>,
}

struct Question<S> {
    asked: u64,
    answers: Arc<Mutex<Answers<S>>>,
}

/// The answers to one question, by part. Whoever reads parts holds it, so that nobody reads the same.
pub(super) struct Answers<S> {
    /// By the content of the part; `None` where no row of it is meant.
    known: HashMap<u128, Option<Box<S>>>,
    read: Option<Reading<S>>,
}

/// What was read of some parts, and is not believed yet.
struct Reading<S> {
    server: String,
    ended_at: Instant,
    parts: Vec<(Part, Option<Box<S>>)>,
}

/// The parts of the table at some time.
pub(super) struct Parts {
    /// When they were asked for.
    asked_at: Instant,
    parts: Vec<Part>,
}

impl<S> Default for Summaries<S> {
    fn default() -> Self {
        Self(StdMutex::new(Questions { asked: 0, kept: HashMap::new() }))
    }
}

impl<S> Default for Answers<S> {
    fn default() -> Self {
        Self { known: HashMap::new(), read: None }
    }
}

impl<S> Summaries<S> {
    /// What is known of a question.
    pub(super) fn answers(&self, question: &Statement) -> Arc<Mutex<Answers<S>>> {
        let mut questions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Questions { asked, kept } = &mut *questions;
        *asked += 1;
        if let Some(known) = kept.get_mut(question) {
            known.asked = *asked;
            return Arc::clone(&known.answers);
        }
        if kept.len() >= QUESTIONS_MAX {
            let oldest = kept.values().map(|question| question.asked).min();
            kept.retain(|_, question| Some(question.asked) != oldest);
        }
        let answers = Arc::<Mutex<Answers<S>>>::default();
        kept.insert(question.clone(), Question { asked: *asked, answers: Arc::clone(&answers) });
        answers
    }
}

impl Parts {
    /// The parts that were listed when asked for at this time; `None` where nothing can be known by them.
    pub(super) fn new(asked_at: Instant, parts: Vec<Part>) -> Option<Self> {
        let is_whole = |part: &Part| part.content != 0 && !part.name.starts_with(PATCH);
        let usable = (1..=PARTS_MAX).contains(&parts.len()) && parts.iter().all(is_whole);
        usable.then_some(Self { asked_at, parts })
    }
}

impl<S: Summary> Answers<S> {
    /// Believes what was read of the parts that are still there. False where they were listed before the reading ended, or by
    /// another server: then nothing can be said, and they have to be listed again.
    pub(super) fn confirm(&mut self, now: &Parts) -> bool {
        let Some(reading) = &self.read else { return true };
        if now.asked_at < reading.ended_at {
            return false;
        }
        let Some(Reading { server, parts, .. }) = self.read.take() else { return true };
        let there: HashSet<_> = now.parts.iter().collect();
        let confirmed = parts.into_iter().filter(|(part, _)| part.server == server && there.contains(part));
        self.known.extend(confirmed.map(|(part, summary)| (part.content, summary)));
        if self.known.len() > 2 * now.parts.len() {
            let there: HashSet<_> = now.parts.iter().map(|part| part.content).collect();
            self.known.retain(|content, _| there.contains(content));
        }
        true
    }

    /// The parts that have to be read.
    pub(super) fn unknown(&self, now: &Parts) -> Vec<Part> {
        now.parts.iter().filter(|part| !self.known.contains_key(&part.content)).cloned().collect()
    }

    /// Takes what was read of `parts` until now: a row for each that has any, and one that names the server.
    pub(super) fn read(&mut self, parts: Vec<Part>, rows: Vec<OfPart<S>>, ended_at: Instant) {
        let Some(server) = rows.first().map(|row| row.server.clone()) else { return };
        let mut rows: HashMap<_, _> = rows.into_iter().map(|row| (row.part.clone(), row)).collect();
        let parts = parts.into_iter().map(|part| {
            let summary = rows.remove(&part.name).map(|row| Box::new(row.summary));
            (part, summary)
        });
        self.read = Some(Reading { server, ended_at, parts: parts.collect() });
    }

    /// What is to be said of all of these parts, which are known.
    pub(super) fn total(&self, now: &Parts) -> S {
        let known = now.parts.iter().filter_map(|part| self.known.get(&part.content)?.as_deref());
        known.fold(S::default(), |mut total, summary| {
            total.add(summary);
            total
        })
    }
}

#[cfg(test)]
mod tests;
