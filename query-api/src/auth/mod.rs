//! Who is asking.
//!
//! In: the headers of a request. Out: a [`Principal`], or a reason to answer 401. Every principal may read every
//! tenant for now; what it may do is to be asked of the principal, here.

mod bearer;

pub use bearer::{AuthError, Authenticator, Principal};
