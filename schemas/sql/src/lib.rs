//! What a filter is in SQL, for whoever asks `logs` by one, and what budgets sum up.
//!
//! In: a scope and a filter. Out: a [`Statement`], which is text with placeholders and the values for them. Text of a user
//! is only ever a value; every identifier is ours. No statement can be begun without a scope, so that none can read another
//! tenant's rows. No I/O: who has a client sends it.

mod annotated;
mod condition;
mod number;
mod spent;
mod statement;

pub use annotated::{ANNOTATIONS, Annotated, AnnotatedField, asks_for_annotated};
pub use condition::{Side, attribute, column};
pub use number::{TOTAL_TOKENS, expression};
pub use spent::{Steps, Sum, spent, spent_by_step};
pub use statement::{BODIES, Bind, LOGS, OF_TENANT, PAYLOADS_FINAL, Select, Statement};
