//! Serves logs and statistics over HTTP.
