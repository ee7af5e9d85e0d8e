//! The folder: locked, half-made, damaged, and a disk that fails.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use oip_store::{Op, OpenError, Store, StoreOptions, WriteError};

use crate::support::{NOW, commit, merge, open, record, text};

#[test]
fn folder_in_use_is_refused_with_the_cure() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let error = Store::open(folder.path(), StoreOptions::default()).unwrap_err();
    assert!(matches!(error, OpenError::Locked(_)), "{error}");
    assert!(
        error
            .to_string()
            .contains("in use by another process: stop that one")
    );
    drop(store);
    open(folder.path());
}

#[test]
fn crash_while_making_the_store_is_made_good_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let unfinished = folder.path().join("db.new");
    fs::create_dir_all(unfinished.join("keyspaces")).unwrap();
    fs::write(unfinished.join("0.jnl"), b"half").unwrap();
    let store = open(folder.path());
    commit(&store, merge("n", "k", 1.0, "v"), NOW).unwrap();
    assert!(!unfinished.exists());
}

#[test]
fn path_that_is_a_file_is_refused_with_the_cure() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, b"").unwrap();
    let error = Store::open(&path, StoreOptions::default()).unwrap_err();
    assert!(matches!(error, OpenError::Io { .. }), "{error}");
    assert!(error.to_string().contains("check its owner, permissions"));
}

/// A store with rows in table files as well as in the journal.
fn filled(path: &Path) {
    let options = StoreOptions {
        memtable_bytes: 4 * 1_024,
        ..StoreOptions::default()
    };
    let store = Store::open(path, options).unwrap();
    for n in 0..300 {
        let name = format!("n{n}");
        commit(&store, merge(&name, "k", 1.0, &"v".repeat(200)), NOW).unwrap();
        commit(&store, Op::PutRecord(record(&name, &"d".repeat(200))), NOW).unwrap();
    }
    store.close().unwrap();
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn copy(from: &Path, to: &Path) {
    for file in files(from) {
        let target = to.join(file.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(&file, &target).unwrap();
    }
}

/// Opens a store that may be damaged and reads all of it; tells what is wrong, if anything.
fn walk(path: &Path) -> Result<(), String> {
    let store = Store::open(path, StoreOptions::default()).map_err(|error| error.to_string())?;
    let mut after = None;
    loop {
        let souls = store
            .souls("", after.as_ref(), 50)
            .map_err(|error| error.to_string())?;
        let Some(last) = souls.last() else { break };
        after = Some(last.clone());
        for soul in &souls {
            store.node(soul).map_err(|error| error.to_string())?;
        }
    }
    for (_, soul) in store
        .feed(0, usize::MAX)
        .map_err(|error| error.to_string())?
    {
        store.record(&soul).map_err(|error| error.to_string())?;
    }
    Ok(())
}

#[test]
fn damaged_files_are_errors_with_a_cure_and_never_panics() {
    let whole = tempfile::tempdir().unwrap();
    filled(whole.path());
    walk(whole.path()).unwrap();
    let names: Vec<PathBuf> = files(&whole.path().join("db"))
        .iter()
        .map(|file| file.strip_prefix(whole.path()).unwrap().to_owned())
        .collect();
    assert!(
        names
            .iter()
            .any(|name| name.to_string_lossy().contains("tables")),
        "{names:?}"
    );
    let mut faults = Vec::new();
    for name in &names {
        for damage in [Damage::Removed, Damage::Cut, Damage::Flipped] {
            let folder = tempfile::tempdir().unwrap();
            copy(whole.path(), folder.path());
            damage.inflict(&folder.path().join(name));
            if let Err(fault) = walk(folder.path()) {
                assert!(
                    fault.contains("restore") || fault.contains("check"),
                    "{} {damage:?}: no cure in: {fault}",
                    name.display()
                );
                faults.push(fault);
            }
        }
    }
    assert!(
        faults.len() > names.len() / 2,
        "{} of {} damages seen",
        faults.len(),
        3 * names.len()
    );
}

#[derive(Debug, Clone, Copy)]
enum Damage {
    Removed,
    Cut,
    Flipped,
}

impl Damage {
    fn inflict(self, path: &Path) {
        let mut bytes = fs::read(path).unwrap();
        match self {
            Self::Removed => return fs::remove_file(path).unwrap(),
            Self::Cut => bytes.truncate(bytes.len() / 2),
            Self::Flipped => {
                for byte in bytes.iter_mut().step_by(97) {
                    *byte ^= 0x55;
                }
            }
        }
        fs::write(path, bytes).unwrap();
    }
}

/// Tells the child which store to fill until the file size limit stops it.
const FOLDER: &str = "OIP_STORE_TEST_FULL_FOLDER";
const CHILD: &str = "folder::child_writes_until_its_disk_fails";

#[test]
fn child_writes_until_its_disk_fails() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let store = open(Path::new(&folder));
    let mut stored = 0;
    let error = loop {
        match commit(
            &store,
            merge(&format!("n{stored}"), "k", 1.0, &"v".repeat(50_000)),
            NOW,
        ) {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
    };
    assert!(stored > 0);
    assert!(matches!(error, WriteError::Poisoned { .. }), "{error}");
    assert!(error.to_string().contains("check the disk, then restart"));
    // No write gets through any more, reads go on.
    let small = commit(&store, merge("small", "k", 1.0, "v"), NOW).unwrap_err();
    assert!(matches!(small, WriteError::Poisoned { .. }));
    assert!(store.stats().poisoned);
    assert_eq!(text(&store, "n0", "k").unwrap().len(), 50_000);
    assert!(matches!(store.close(), Err(WriteError::Poisoned { .. })));
    println!("\nstored {stored}");
}

/// The shell sets a limit on the size of files and has the signal ignored that goes with it,
/// so that a real write of the engine fails with a real error.
#[cfg(unix)]
#[test]
fn failing_disk_ends_writing_but_not_reading_and_loses_nothing_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    open(folder.path()).close().unwrap();
    let output = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 2000; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", CHILD, "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder.path())
        .output()
        .unwrap();
    let out = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{out}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let stored = out
        .lines()
        .find_map(|line| line.strip_prefix("stored "))
        .unwrap();
    let stored: usize = stored.parse().unwrap();
    let store = open(folder.path());
    for n in 0..stored {
        assert_eq!(
            text(&store, &format!("n{n}"), "k").unwrap().len(),
            50_000,
            "n{n}"
        );
    }
    commit(&store, merge("again", "k", 1.0, "v"), NOW).unwrap();
}
