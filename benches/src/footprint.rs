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

/// Linux counts a process's time in hundredths of a second, whatever the kernel's own clock.
const TICKS_PER_SECOND: f64 = 100.0;

/// Seconds of processor time that this process has used, in user and kernel mode; NaN where it can't be
/// read. What else runs on the machine changes it far less than it changes rates.
#[must_use]
pub fn cpu_seconds(process_id: Option<u32>) -> f64 {
    let stat = process_id.and_then(|id| std::fs::read_to_string(format!("/proc/{id}/stat")).ok());
    let ticks = || -> Option<f64> {
        // The name, in parentheses, may hold spaces; user and kernel time are fields 14 and 15.
        let (_, fields) = stat.as_deref()?.rsplit_once(')')?;
        let mut fields = fields.split_whitespace().skip(11);
        let user: f64 = fields.next()?.parse().ok()?;
        let kernel: f64 = fields.next()?.parse().ok()?;
        Some(user + kernel)
    };
    ticks().map_or(f64::NAN, |ticks| ticks / TICKS_PER_SECOND)
}

/// The same of this program, which generates the load.
#[must_use]
pub fn own_cpu_seconds() -> f64 {
    cpu_seconds(Some(std::process::id()))
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
