//! The API of new-api as a process serves it, in front of the real engine.

mod auth;
mod callers;
mod hostile;
mod hours;
mod keys;
mod logs;
mod long;
mod matrix;
mod meanwhile;
mod model;
mod random;
mod round_trip;

/// The names of the versions.
const DIALECTS: [&str; 3] = ["documented", "upstream-0.9", "upstream-1.0"];
