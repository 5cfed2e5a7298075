//! Who is asking, and what for.
//!
//! In: the headers of a request. Out: a [`Principal`], or a reason to answer 401; and from the principal a [`Readable`] or
//! a [`Writable`] place, or a reason to answer 403. The stores take nothing else, so a handler that forgets to ask what its
//! caller may do does not compile.

mod authenticator;
mod place;
mod principal;

pub use authenticator::{AuthError, Authenticator};
pub use place::{AllTenants, Forbidden, Place, Readable, Writable};
pub use principal::{Access, Principal, Reach, Tenants};
