//! Stage 2: from the bytes of a record to what its source says, in the source's own terms.
//!
//! In: one [`RawRecord`](crate::accept::RawRecord), and the [`Form`](crate::accept::Form) that its source writes in. Out: a [`Decoded`], or a [`DecodeError`] that says why the record
//! goes to the dead letters. A log of the AI Gateway may be encrypted in part: it is opened in a second step, with the
//! private keys, and what stays closed says why. Nothing is interpreted here (which provider, how many tokens): that is
//! the next stage. A record never takes its neighbours down, and never panics, whatever its bytes are.

mod ai_gateway;
mod cloud_event;
mod cloudflare_log;
mod console;
mod decrypt;
mod envelope;
mod error;
mod event;
pub(crate) mod figure;
mod headers;
mod keys;
pub(crate) mod lenient;
mod message;
mod new_api_log;
mod record;
mod salvage;
mod trace;

pub use ai_gateway::{AiGatewayLog, Closed, Content};
pub use cloudflare_log::{CloudflareLog, Head};
pub use console::{Console, LoggedBody, MetricsLine};
pub use decrypt::DecryptError;
pub use envelope::{Field, MemberError, Sealed};
pub use error::DecodeError;
pub use event::EventRecord;
pub use headers::TracedHeaders;
pub use keys::{KeyFileError, PrivateKeys};
pub use new_api_log::{NewApiLog, RowIdentity};
pub use record::{Decoded, IgnoreReason, decode};
pub use trace::{Identity, TraceRecord};
