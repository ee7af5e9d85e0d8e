//! The GUN protocol as a whole: recorded traffic, properties, convergence, requests.

mod facts;
mod relay;
mod replays;
mod store;
mod vector;
