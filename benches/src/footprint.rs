//! What a process takes of the machine, as the operating system counts it. Owns reading `/proc`
//! and the blocks of a folder; where there is no `/proc`, memory is unknown, not zero.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::{Context, Result};

/// `st_blocks` counts in units of 512 bytes on every Unix.
const BLOCK_BYTES: u64 = 512;

/// Memory of a process in MiB; NaN where it can't be read.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// Resident now (`VmRSS`).
    pub now: f64,
    /// The most that was ever resident (`VmHWM`).
    pub high_water: f64,
}

/// Memory of this process id.
#[must_use]
pub fn memory(process_id: Option<u32>) -> Memory {
    let status =
        process_id.and_then(|id| std::fs::read_to_string(format!("/proc/{id}/status")).ok());
    let field = |name: &str| {
        let status = status.as_deref()?;
        let line = status.lines().find(|line| line.starts_with(name))?;
        let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
        Some(kib / 1024.0)
    };
    Memory {
        now: field("VmRSS:").unwrap_or(f64::NAN),
        high_water: field("VmHWM:").unwrap_or(f64::NAN),
    }
}

/// Bytes of disk that a folder takes: blocks in use, so that holes don't count.
///
/// # Errors
/// When a folder can't be read.
pub fn disk_bytes(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() {
            disk_bytes(&entry.path())?
        } else {
            metadata.blocks() * BLOCK_BYTES
        };
    }
    Ok(bytes)
}
