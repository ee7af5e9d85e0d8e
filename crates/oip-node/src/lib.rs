//! The OIP node: publishing, registry, discovery, the sync pipeline and health, on top of store,
//! index and network.
//!
//! * [`config`]: what a node is told at start
//! * [`node`]: starts, wires, supervises and drains everything; the handle that the binary uses
//! * `hub`: joins mesh, store and sockets; `loader`, `admission`, `allowance` and `turns` serve it
//! * [`publish`]: from a submission to a durable, registered record
//! * [`relay`]: the graph as the HTTP API of a relay reads and writes it
//! * `vault`: what this node may open, and for whom; `statements`: who can be sealed to; `audit`: what was done
//! * `registry`: the souls by which nodes find each other's records; `deletions`: those by which deployed
//!   nodes say what was deleted
//! * `sync`: discovery of other nodes' records, from a hint to a verified copy
//! * `indexer`: keeps the index in step with the store's feed
//! * [`explain`]: everything that was decided about one record
//! * [`health`], `metrics`, `peers`: what the node says of itself
//! * [`backup`]: what can't be fetched again, while the node serves; and restoring it
//! * [`migrate`]: takes over what other programs stored, while no node runs; `storage` opens the
//!   store for both

mod admission;
mod allowance;
mod audit;
pub mod backup;
mod clock;
pub mod config;
mod deletions;
mod document;
pub mod explain;
pub mod health;
mod hub;
mod indexer;
mod key_owners;
pub mod keyring;
mod loader;
mod metrics;
pub mod migrate;
pub mod node;
mod peers;
pub mod publish;
mod random;
mod registry;
pub mod relay;
mod soul_mark;
mod statements;
mod storage;
mod sync;
mod turns;
mod vault;

pub use audit::AuditReport;
pub use config::{
    Admission, ForeignSealed, LegacyKeys, NodeConfig, PeerToken, PrivacyDefault, PrivateConfig,
    RelayQuotas, SealedMetadata, Sealing, Secret, SyncConfig, SyncMode, TrustedNode, TypeFilter,
};
pub use health::Health;
pub use indexer::verify::{Difference, DifferenceKind, IndexComparison, TypeComparison};
pub use indexer::{RebuildProgress, Replayed};
pub use node::{
    IndexReport, Node, QuarantineKind, QuarantineReplay, ReadError, StartError, SyncOff,
};
pub use oip_record::Submission;
pub use oip_store::QuarantineRow;
pub use publish::{
    AccessChange, AccessChanged, DeleteError, Deleted, Left, Owner, PrivateError, PublishError,
    Published, Reseal, ResealReport,
};
pub use relay::Relay;
pub use statements::{RecipientError, Rival};
pub use sync::sweep::SweepReport;
pub use sync::trust::TrustStanding;
pub use vault::EXPOSED;
