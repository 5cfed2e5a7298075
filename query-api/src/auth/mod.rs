//! Who is asking, and what for.
//!
//! In: the headers of a request, and the tokens that the table has. Out: a [`Principal`], or a reason to answer 401; and from the principal a [`Readable`] or
//! a [`Writable`] place, or a reason to answer 403. The stores take nothing else, so a handler that forgets to ask what its
//! caller may do does not compile.

mod authenticator;
mod credential;
mod directory;
mod place;
mod principal;
mod token;

pub use authenticator::Authenticator;
pub use credential::{AuthError, Credential};
pub use directory::{Currency, Directory, Keeper};
pub use place::{AllTenants, Forbidden, Place, Readable, Writable};
pub use principal::{Access, NotAGrant, Principal, Reach, Tenants};
pub use token::{KnownToken, NewToken};
