//! System tests: one binary, a module per behaviour.
