//! Stage 5: what is left of the texts when they are stored: all, all but secrets, their beginnings, or nothing.
//!
//! In: a [`PricedEvent`](weir_pricing::PricedEvent), or the bytes of a dead letter and the attributes beside them. Out: the same with its texts as the
//! [`Policy`] of its gateway has them, and a [`Flag`](weir_event::Flag) on the row for each thing that was done. It comes
//! after pricing and gets at texts alone, so it cannot change a count or a cost.
//!
//! This is the one place that knows what a secret looks like. It fails closed: where the rules cannot be applied to the
//! end, the texts are not stored. The rules look at text as its reader sees it, with JSON's escapes decoded at any depth
//! of quoting, and what they find is replaced in the text as it came, so that JSON stays JSON. A rule's work is linear in
//! the text's length.
//!
//! What rules cannot find: secrets without a shape (a password, an AWS secret key, a name or a street), and secrets in
//! another coding (base64, percent-encoding but for `@`, pictures, an escape of an escape such as `\u005cn`). A secret that
//! a model streamed in pieces is put together again only from the members that streams carry text in, see `stream`. Of JSON
//! in a string of JSON, the outer one stays well-formed: a number in the inner one is replaced by words without quotes.

mod attributes;
mod card;
mod config;
mod credential;
mod email;
mod error;
mod event;
mod headers;
mod pattern;
mod policy;
mod redactor;
mod rules;
mod stream;
mod tally;
mod text;
mod view;
mod zones;

pub use config::{KEYS, read};
pub use error::RedactError;
pub use pattern::{InvalidPattern, Pattern};
pub use policy::{Policies, Policy, PolicyEntry};
pub(crate) use redactor::WITHHELD;
pub use redactor::{Kept, Letter, Redactor};
pub use rules::{BuiltIn, Rules};
pub use tally::{Outcome, Tally};
