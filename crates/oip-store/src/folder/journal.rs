//! The end of the engine's journal after a loss of power.
//!
//! Pages of a batch that was being synced reach the disk in any order, so its end may be there
//! with a hole of zeros before it. The engine then refuses to open at all. Since a batch is
//! synced before the next one is written, only the last can be torn, and nobody was told that
//! it is stored: it is cut off, as the engine itself does with a batch that lacks its end.
//! Refuses to touch a journal in which anything follows the bad batch: that is damage.
//!
//! The layout read here is that of the engine's on-disk format 3; [`FORMAT_MARK`] guards it.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

use crate::rows::Fault;
use crate::rows::field::Reader;

/// Content of the engine's version file for the layout known here.
const FORMAT_MARK: &[u8] = b"FJL\x03";
/// Ends each batch.
const TRAILER: &[u8] = b"FJL\x03";

const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const CLEAR: u8 = 4;

/// Where the cut bytes are kept, for whoever wants to look at them.
const TORN_FILE: &str = "torn-batch";

/// How a journal ends.
#[derive(Debug, PartialEq, Eq)]
enum Tail {
    /// The batch that begins here is bad, and nothing follows it.
    Torn(usize),
    /// Nothing to cut: all batches are good, or the fault is not one of a torn end.
    Other,
}

/// Cuts a torn batch off the newest journal in the engine's folder; the bytes go to a file
/// beside it. Tells how many bytes were cut; `None` if the journal is not of that kind.
pub(super) fn cut_torn_batch(engine: &Path, keep_in: &Path) -> io::Result<Option<usize>> {
    if fs::read(engine.join(super::ENGINE_MARK))? != FORMAT_MARK {
        return Ok(None);
    }
    let Some(path) = newest(engine)? else {
        return Ok(None);
    };
    let journal = fs::read(&path)?;
    let Tail::Torn(start) = tail(&journal) else {
        return Ok(None);
    };
    let mut torn = &journal[start..];
    while let [before @ .., 0] = torn {
        torn = before;
    }
    fs::write(keep_in.join(TORN_FILE), torn)?;
    File::open(keep_in.join(TORN_FILE))?.sync_all()?;
    let file = OpenOptions::new().write(true).open(&path)?;
    file.set_len(start as u64)?;
    file.sync_all()?;
    Ok(Some(torn.len()))
}

/// The journal with the highest number: only that one is written to.
fn newest(engine: &Path) -> io::Result<Option<PathBuf>> {
    let mut newest: Option<(u64, PathBuf)> = None;
    for entry in fs::read_dir(engine)? {
        let path = entry?.path();
        let number = path
            .file_name()
            .and_then(|name| name.to_str())
            .and_then(|name| name.strip_suffix(".jnl"))
            .and_then(|number| number.parse().ok());
        if let Some(number) = number
            && newest.as_ref().is_none_or(|(highest, _)| number > *highest)
        {
            newest = Some((number, path));
        }
    }
    Ok(newest.map(|(_, path)| path))
}

fn tail(journal: &[u8]) -> Tail {
    let mut start = 0;
    while start < journal.len() {
        match batch(&journal[start..]) {
            // What lacks an end, the engine cuts off by itself.
            Err(_) => return Tail::Other,
            Ok((len, true)) => start += len,
            Ok((len, false)) if journal[start + len..].iter().all(|&byte| byte == 0) => {
                return Tail::Torn(start);
            }
            Ok((_, false)) => return Tail::Other,
        }
    }
    Tail::Other
}

/// Steps over one batch: its length, and whether count and checksum are right.
fn batch(bytes: &[u8]) -> Result<(usize, bool), Fault> {
    let mut reader = Reader::new(bytes);
    reader.version(START)?;
    let count = u32::from_le_bytes(reader.array()?);
    let _seqno: [u8; 8] = reader.array()?;
    let mut checksum = Xxh3::new();
    let mut items = 0_u32;
    loop {
        let item_start = bytes.len() - reader.left();
        match reader.byte()? {
            ITEM => {
                let _kind_and_compression: [u8; 2] = reader.array()?;
                let _keyspace: [u8; 8] = reader.array()?;
                let key_len = u16::from_le_bytes(reader.array()?);
                let _value_len: [u8; 4] = reader.array()?;
                let stored_len = u32::from_le_bytes(reader.array()?);
                reader.bytes(usize::from(key_len))?;
                reader.bytes(usize::try_from(stored_len).map_err(|_| Fault("ends too early"))?)?;
            }
            CLEAR => {
                let _keyspace: [u8; 8] = reader.array()?;
            }
            END => {
                let expected = u64::from_le_bytes(reader.array()?);
                if reader.bytes(TRAILER.len())? != TRAILER {
                    return Err(Fault("no trailer"));
                }
                let good = items == count && checksum.digest() == expected;
                return Ok((bytes.len() - reader.left(), good));
            }
            _ => return Err(Fault("unknown entry")),
        }
        items = items.saturating_add(1);
        checksum.update(&bytes[item_start..bytes.len() - reader.left()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Committed;
    use crate::options::StoreOptions;
    use crate::store::Store;
    use crate::transaction::Op;
    use gun::graph::Entry;
    use gun::{Key, Node, Soul, State, Value};

    const NODES: u64 = 60;

    fn soul(round: u64, n: u64) -> Soul {
        Soul::new(format!("round{round}/node{n}")).unwrap()
    }

    /// One transaction of many nodes: several pages of the journal.
    fn put(store: &Store, round: u64) -> Committed {
        let node = |n: u64| Node {
            soul: soul(round, n),
            entries: vec![Entry {
                key: Key::new("k").unwrap(),
                state: State::from_millis(n),
                // Long and short ones: the engine packs the long ones.
                value: Value::text(format!("{n}").repeat(if n % 20 == 7 { 3_000 } else { 100 })),
            }],
        };
        let graph = (0..NODES).map(node).collect();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime
            .block_on(store.commit(Op::Merge { graph }.into(), 1_000))
            .unwrap()
    }

    fn open(path: &Path) -> Store {
        Store::open(path, StoreOptions::default()).unwrap()
    }

    /// A store of three transactions, its journal, and where the last batch begins and ends.
    fn filled(path: &Path) -> (PathBuf, Vec<u8>, std::ops::Range<usize>) {
        let store = open(path);
        (0..3).for_each(|round| drop(put(&store, round)));
        store.close().unwrap();
        let journal = newest(&path.join("db")).unwrap().unwrap();
        let mut bytes = fs::read(&journal).unwrap();
        let mut last = 0..0;
        while let Ok((len, good)) = batch(&bytes[last.end..]) {
            assert!(good, "the engine's own batch at {} is good", last.end);
            last = last.end..last.end + len;
        }
        bytes.truncate(last.end);
        assert!(
            last.len() > 3 * 4_096,
            "the last batch spans pages: {last:?}"
        );
        (journal, bytes, last)
    }

    fn nodes(store: &Store, round: u64) -> u64 {
        (0..NODES)
            .filter(|n| store.node(&soul(round, *n)).unwrap().is_some())
            .count() as u64
    }

    #[test]
    fn store_opens_whatever_part_of_its_last_batch_power_loss_kept_back() {
        let folder = tempfile::tempdir().unwrap();
        let (journal, whole, last) = filled(folder.path());
        let mut cuts = 0;
        let mut holes = Vec::new();
        for page in (0..whole.len().div_ceil(512)).map(|page| page * 512) {
            for pages in [1, 8, 17] {
                let hole = page.max(last.start)..(page + 512 * pages).min(whole.len());
                if !hole.is_empty() {
                    holes.push(hole);
                }
            }
        }
        for hole in holes {
            let mut image = whole.clone();
            image[hole.clone()].fill(0);
            // As in a fresh journal, which has its length before its content.
            image.resize(whole.len() + 8_192, 0);
            fs::write(&journal, &image).unwrap();
            let store = open(folder.path());
            assert_eq!(
                (nodes(&store, 0), nodes(&store, 1)),
                (NODES, NODES),
                "{hole:?}"
            );
            let kept = nodes(&store, 2);
            assert!(
                kept == 0 || kept == NODES,
                "{kept} nodes of a torn batch, {hole:?}"
            );
            // The journal can be written to, and that stands too.
            if cuts % 50 == 0 {
                put(&store, 3);
                store.close().unwrap();
                assert_eq!(nodes(&open(folder.path()), 3), NODES);
            } else {
                store.close().unwrap();
            }
            cuts += 1;
        }
        assert!(
            folder.path().join(TORN_FILE).exists(),
            "some holes are ours to cut, not the engine's"
        );
    }

    #[test]
    fn bad_batch_before_a_good_one_is_damage_and_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (journal, mut bytes, last) = filled(folder.path());
        // In the middle of a short value of the batch before.
        let value = b"5959595959595959";
        let at = bytes[..last.start]
            .windows(value.len())
            .rposition(|seen| seen == value)
            .unwrap();
        bytes[at] ^= 1;
        fs::write(&journal, &bytes).unwrap();
        for _ in 0..2 {
            let error = Store::open(folder.path(), StoreOptions::default()).unwrap_err();
            assert!(matches!(error, crate::OpenError::Damaged { .. }), "{error}");
            assert_eq!(fs::read(&journal).unwrap(), bytes);
        }
    }
}
