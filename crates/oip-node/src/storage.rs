//! The store of a data folder, opened with the rules that note announced records, and charge what is
//! stored, inside the commit that brings it. Whoever writes foreign values opens it here, so that none comes in unseen.

use std::sync::Arc;

use oip_store::{Store, StoreOptions};

use crate::admission;
use crate::config::{NodeConfig, SyncMode};
use crate::node::StartError;
use crate::registry::Registry;
use crate::sync;

/// Longest registry root, in bytes: it stands in every registry soul, and souls are bounded.
const ROOT_BYTES_MAX: usize = 128;

/// Opens the store of `config`'s data folder, making both if they are not there. With
/// [`SyncMode::Off`] nothing becomes wanted.
pub(crate) fn open(
    config: &NodeConfig,
    mode: SyncMode,
) -> Result<(Store, Arc<Registry>), StartError> {
    check_root(&config.registry_root)?;
    std::fs::create_dir_all(&config.data_dir).map_err(|source| StartError::DataDir {
        path: config.data_dir.clone(),
        source,
    })?;
    let registry = Arc::new(Registry::new(&config.registry_root));
    let (accounts, quotas) = (Arc::clone(&registry), config.quotas);
    let options = StoreOptions {
        accounts: Box::new(move |soul| Some(admission::account(&accounts, &quotas, soul.as_str()))),
        watch: sync::watch_rule(Arc::clone(&registry), config.types.clone(), mode),
        own_lag_ms: crate::random::state_lag_ms(),
        ..StoreOptions::default()
    };
    let store = Store::open(&config.data_dir.join("store"), options)?;
    Ok((store, registry))
}

fn check_root(root: &str) -> Result<(), StartError> {
    let fits = !root.is_empty()
        && root.len() <= ROOT_BYTES_MAX
        && root
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b':' | b'-' | b'_'));
    if fits {
        Ok(())
    } else {
        Err(StartError::RegistryRoot(root.to_owned()))
    }
}
