//! The GUN protocol as a whole: recorded traffic, properties, convergence, requests.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod certificates;
mod convergence;
mod document;
mod facts;
mod forwarding;
mod large;
mod missed;
mod properties;
mod radata;
mod relay;
mod replays;
mod requests;
mod sea;
mod signing;
mod store;
mod values;
mod vector;
mod wire;
