//! What the benches share: real processes measured from outside, nothing simulated.
//!
//! * [`options`]: the command line of every bench
//! * [`corpus`]: records that are the same on every machine
//! * [`contenders`]: the processes that are measured
//! * [`publishing`]: publishers over HTTP, closed and open loop
//! * [`sightings`]: when a node's search first shows a record
//! * [`load`]: puts and gets over one WebSocket, many in flight
//! * [`message`]: the texts of those puts and gets
//! * [`footprint`]: memory and disk of a process
//! * [`report`]: tables and JSON, [`statistics`] the numbers in them
//!
//! Refuses thresholds: a bench prints what it measured and judges nothing.

pub mod contenders;
pub mod core_relay;
pub mod corpus;
pub mod footprint;
pub mod load;
pub mod message;
pub mod options;
pub mod publishing;
pub mod report;
pub mod sightings;
pub mod statistics;
