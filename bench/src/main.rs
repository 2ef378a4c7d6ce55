//! Trackside measured beside its limits.

fn main() {}
