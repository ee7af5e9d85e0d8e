//! Puts per second.
fn main() {}
