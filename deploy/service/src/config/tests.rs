//! One table of what goes wrong and how it is told.
