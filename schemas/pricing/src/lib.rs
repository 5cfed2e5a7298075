//! The effective-dated price book and the pure function that prices an event.
