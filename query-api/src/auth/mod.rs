//! Who is asking, and what for.
//!
//! In: the headers of a request, and the secrets that the tables know. Out: a [`Principal`], a [`User`] or a [`KnownKey`], or
//! a reason to answer 401; and from each of these a [`Readable`] or a [`Writable`] place, or a reason to answer 403. The
//! stores take nothing else, so a handler that forgets to ask what its caller may do does not compile.

mod authenticator;
mod credential;
mod directory;
mod place;
mod principal;
mod relay_key;
mod token;
mod user;

pub use authenticator::Authenticator;
pub use credential::{AuthError, Credential};
pub use directory::{Currency, Directory, Entry, Keeper};
pub use place::{AllTenants, Forbidden, KeyLogs, OwnLogs, Place, Readable, Writable};
pub use principal::{Access, NotAGrant, Principal, Reach, Tenants};
pub use relay_key::{KnownKey, ShownKey};
pub use token::{KnownToken, NewToken};
pub use user::{KnownUser, Role, User};
