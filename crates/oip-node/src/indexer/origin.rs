//! The store's name, by which an index on a server knows whose feed its position is in. It is drawn once and
//! lies in the store: another store, on the same folder with the same node id, has another.

use std::fmt::Write as _;

use oip_index::IndexError;
use oip_store::{Op, Store, Transaction};

use crate::{clock, random};

/// The store's named value.
const STORE_ID: &str = "store-id";

/// The name of this store; made at the first call.
///
/// # Errors
/// The store can't be read or written.
pub(crate) async fn store_id(store: &Store) -> Result<String, IndexError> {
    let failed = |source: Box<dyn std::error::Error + Send + Sync>| IndexError::Backend {
        action: "write down from which store it is filled",
        source,
    };
    let held = store
        .cursor(STORE_ID)
        .map_err(|error| failed(error.into()))?;
    if let Some(name) = held.and_then(|name| String::from_utf8(name).ok()) {
        return Ok(name);
    }
    let bytes = random::bytes::<16>().ok_or("the operating system gives no random numbers");
    let mut name = String::new();
    for byte in bytes.map_err(|error| failed(error.into()))? {
        // Writing to a string does not fail.
        let _ = write!(name, "{byte:02x}");
    }
    let op = Op::SetCursor {
        name: STORE_ID.to_owned(),
        value: name.clone().into_bytes(),
    };
    let kept = store.commit(Transaction::from(op), clock::wall_ms()).await;
    kept.map_err(|error| failed(error.into()))?;
    Ok(name)
}
