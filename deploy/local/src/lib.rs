//! Runs the whole of Weir on one machine.
