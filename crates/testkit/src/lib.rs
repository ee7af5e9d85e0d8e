//! Test support: real processes and real peers, never mocks of what is under test.
//!
//! * [`attack`]: what strangers do to an open relay
//! * [`honest`]: honest traffic beside it
//! * [`deployed`]: a deployed node of our own making, where the real one can't be had
//! * [`poll`]: waiting for a fact within a deadline
//! * [`process`]: a child process that can't outlive its test
//! * [`mod@interop`]: whether the outside judges (Node.js with the `gun` package) are here
//! * [`relay`]: a real gun.js relay
//! * [`search_server`]: a real Elasticsearch or OpenSearch
//! * [`client`]: a real gun.js client, as in a browser
//! * [`raw`]: a GUN client that sends and shows plain frames
//! * [`recorder`]: a proxy that keeps what passes
//! * [`node`]: the real `oip-gun` binary
//!
//! Refuses fixed ports, and sleeping in place of waiting for a fact.

pub mod attack;
pub mod client;
pub mod deployed;
pub mod honest;
pub mod interop;
pub mod node;
pub mod poll;
pub mod process;
pub mod raw;
pub mod recorder;
pub mod relay;
pub mod search_server;

pub use client::GunClient;
pub use deployed::{DeployedNode, DeployedRecord, Syncer};
pub use interop::{Interop, interop, node_available};
pub use node::{NodeOptions, NodeProcess};
pub use poll::wait_until;
pub use raw::RawGun;
pub use relay::{GunRelay, RelayOptions};
pub use search_server::{SearchOptions, SearchServer, search_servers};
