//! The API of new-api as a process serves it, in front of the real engine.

mod auth;
mod callers;
mod keys;
