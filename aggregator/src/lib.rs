//! Keeps rolling statistics and rollups.
