//! The oip-gun binary.
fn main() {}
