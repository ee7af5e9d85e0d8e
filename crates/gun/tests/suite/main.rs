//! The GUN protocol as a whole: recorded traffic, properties, convergence, requests.

mod convergence;
mod facts;
mod large;
mod properties;
mod relay;
mod replays;
mod requests;
mod store;
mod values;
mod vector;
mod wire;
