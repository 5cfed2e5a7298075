//! Starts the real services for the system tests.
