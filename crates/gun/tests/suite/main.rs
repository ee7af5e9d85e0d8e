//! The GUN protocol as a whole: recorded traffic, properties, convergence, requests.

mod facts;
mod large;
mod relay;
mod replays;
mod requests;
mod store;
mod vector;
mod wire;
