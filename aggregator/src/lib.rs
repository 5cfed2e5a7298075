//! Keeps rolling statistics and rollups.

pub mod fold;
