//! The rules and the policies together: what the pipeline calls.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use weir_event::{AccountId, Flags, GatewayId, Scope};
use weir_pricing::PricedEvent;

use super::rules::{Reach, Text};
use super::tally::Outcome;
use super::zones::Form;
use super::{BuiltIn, Policies, Policy, RedactError, Rules, Tally, attributes, event, headers};
use crate::accept::Attributes;

/// What stands in the place of a text that is not stored, where a reader has to see that there was one.
pub(crate) const WITHHELD: &str = "[withheld]";

/// Applies the gateways' policies.
#[derive(Clone, Debug)]
pub struct Redactor {
    policies: Policies,
    rules: Rules,
    head_characters: usize,
}

/// A record that could not be read, or not in full.
#[derive(Clone, Copy, Debug)]
pub struct Letter<'a> {
    /// Whose it is.
    pub account_id: &'a AccountId,
    /// Which of their gateways', where that is known.
    pub gateway_id: Option<&'a GatewayId>,
    /// Its bytes.
    pub record: &'a [u8],
    /// Places in it, in order and not overlapping, that stay as they are as long as any of it is kept: what is encrypted.
    pub sealed: &'a [Range<usize>],
    /// What came beside it.
    pub attributes: Option<&'a Attributes>,
}

/// What is kept of a letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Of its bytes.
    pub record: Vec<u8>,
    /// Of what came beside it.
    pub attributes: Option<Attributes>,
}

/// The rules for one record, and where their finds are counted.
pub(super) struct Pass<'r> {
    rules: &'r Rules,
    policy: Policy,
    tally: &'r mut Tally,
    /// How many characters are left of a body.
    pub(super) head_characters: usize,
    /// Whether anything was found.
    pub(super) redacted: bool,
}

impl Redactor {
    /// How much of each body [`Policy::Heads`] keeps where nothing else is said, in characters.
    pub const HEAD_CHARACTERS: usize = 1_024;

    /// Of a body of which only the beginning is kept, `head_characters` are.
    #[must_use]
    pub const fn new(policies: Policies, rules: Rules, head_characters: usize) -> Self {
        Self { policies, rules, head_characters }
    }

    /// The rules.
    #[must_use]
    pub const fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The policy of a gateway.
    #[must_use]
    pub fn policy_of(&self, scope: &Scope) -> Policy {
        self.policies.of(scope)
    }

    /// Leaves of an event's texts what its gateway's policy has. Never panics: where the rules fail, the texts are gone.
    pub fn apply(&self, priced: &mut PricedEvent, tally: &mut Tally) {
        let policy = self.policies.of(&priced.event().scope);
        let mut outcome = Outcome::Untouched;
        if policy != Policy::Store {
            let mut texts = priced.texts_mut();
            let mut flags = Flags::default();
            event::apply(&mut texts, &mut self.pass(policy, tally), &mut flags);
            flags.iter().for_each(|flag| texts.flags.raise(flag));
            outcome = Outcome::of(flags);
        }
        tally.record(policy, outcome);
    }

    /// What is kept of a record that could not be read: headers' secrets are blanked whatever the policy is. Never panics.
    #[must_use]
    pub fn letter(&self, letter: Letter<'_>, tally: &mut Tally) -> Kept {
        let policy = self.policies.of_letter(letter.account_id, letter.gateway_id);
        let (record, sealed) = headers::blank_around(letter.record, letter.sealed);
        let mut pass = self.pass(policy, tally);
        let left = guarded(|| {
            let attributes =
                letter.attributes.map(|came| attributes::left_of(came, &mut pass)).transpose()?;
            let record = match policy {
                Policy::Store => record,
                Policy::None => WITHHELD.as_bytes().to_vec(),
                Policy::Redact | Policy::Heads => pass.bytes(&record, &sealed)?,
            };
            Ok(Kept { record, attributes })
        });
        let found = if pass.redacted { Outcome::Redacted } else { Outcome::Untouched };
        let (kept, outcome) = match (left, policy) {
            (Ok(kept), Policy::Store | Policy::Redact) => (kept, found),
            (Ok(Kept { record, attributes }), Policy::Heads) => {
                let (record, outcome) = head_of(record, self.head_characters, found);
                (Kept { record, attributes }, outcome)
            }
            (Ok(kept), Policy::None) => (kept, Outcome::Withheld),
            (Err(_), _) => (Kept { record: WITHHELD.as_bytes().to_vec(), attributes: None }, Outcome::Failed),
        };
        tally.record(policy, outcome);
        kept
    }

    fn pass<'r>(&'r self, policy: Policy, tally: &'r mut Tally) -> Pass<'r> {
        Pass { rules: &self.rules, policy, tally, head_characters: self.head_characters, redacted: false }
    }
}

impl Default for Redactor {
    /// What holds where nothing is configured: every gateway's texts are put through every rule that Weir brings.
    fn default() -> Self {
        let rules = Rules::new(&BuiltIn::ALL, Vec::new()).expect("no pattern is too much");
        Self::new(Policies::default(), rules, Self::HEAD_CHARACTERS)
    }
}

impl Pass<'_> {
    pub(super) const fn policy(&self) -> Policy {
        self.policy
    }

    /// A body without what the rules find.
    pub(super) fn body(&mut self, body: String) -> Result<String, RedactError> {
        let form = Form::of_body(&body);
        Ok(self.redact(&Text { raw: &body, form, reach: Reach::All, sealed: &[] })?.unwrap_or(body))
    }

    /// The same for another text.
    pub(super) fn text(&mut self, text: String) -> Result<String, RedactError> {
        Ok(self.found(&text)?.unwrap_or(text))
    }

    /// The same for a name: only what opens a door is blanked.
    pub(super) fn name(&mut self, name: String) -> Result<String, RedactError> {
        let text = Text { raw: &name, form: Form::Plain, reach: Reach::Credentials, sealed: &[] };
        Ok(self.redact(&text)?.unwrap_or(name))
    }

    /// What is left of a text, if anything was found.
    pub(super) fn found(&mut self, text: &str) -> Result<Option<String>, RedactError> {
        self.redact(&Text { raw: text, form: Form::of(text), reach: Reach::All, sealed: &[] })
    }

    fn redact(&mut self, text: &Text<'_>) -> Result<Option<String>, RedactError> {
        let (policy, tally) = (self.policy, &mut *self.tally);
        let redacted = self.rules.redact(text, |rule| tally.place(rule, policy))?;
        self.redacted |= redacted.is_some();
        Ok(redacted)
    }

    /// Bytes that may be no text: what is text between them is redacted. Nothing is sealed in what is no text.
    fn bytes(&mut self, bytes: &[u8], sealed: &[Range<usize>]) -> Result<Vec<u8>, RedactError> {
        if let Ok(raw) = str::from_utf8(bytes) {
            let text = Text { raw, form: Form::of(raw), reach: Reach::All, sealed };
            return Ok(self.redact(&text)?.map_or_else(|| bytes.to_vec(), String::into_bytes));
        }
        let mut out = Vec::with_capacity(bytes.len());
        for chunk in bytes.utf8_chunks() {
            match self.found(chunk.valid())? {
                Some(text) => out.extend_from_slice(text.as_bytes()),
                None => out.extend_from_slice(chunk.valid().as_bytes()),
            }
            out.extend_from_slice(chunk.invalid());
        }
        Ok(out)
    }
}

/// Does what may fail, and fails where it would panic.
pub(super) fn guarded<T>(work: impl FnOnce() -> Result<T, RedactError>) -> Result<T, RedactError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(RedactError::Defect))
}

/// The beginning of a record, in characters where it is text.
fn head_of(mut record: Vec<u8>, characters: usize, outcome: Outcome) -> (Vec<u8>, Outcome) {
    let begins_character = |byte: &u8| byte & 0b1100_0000 != 0b1000_0000;
    let mut begins = record.iter().enumerate().filter(|(_, byte)| begins_character(byte));
    match begins.nth(characters).map(|(at, _)| at) {
        Some(end) => {
            record.truncate(end);
            (record, Outcome::Cut)
        }
        None => (record, outcome),
    }
}

#[cfg(test)]
mod tests;
