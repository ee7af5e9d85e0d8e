//! Folders that this program did not write, or not like this.

use super::*;
use crate::error::ReadError;
use crate::rows::{name, record, wanted};
use crate::store::Store;
use crate::transaction::{Op, Transaction};
use gun::graph::Entry;
use gun::{Key, Node, Soul, State, Value};

/// Makes a store and replaces or removes one of its rows behind its back.
fn store_with(table: Table, key: &[u8], value: Option<&[u8]>) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    drop(Store::open(folder.path(), StoreOptions::default()).unwrap());
    let (open, _) = open(folder.path(), &StoreOptions::default()).unwrap();
    let row = RowWrite {
        table,
        key: key.to_vec(),
        value: value.map(Into::into),
    };
    open.tables.commit(std::iter::once(row)).unwrap();
    folder
}

fn open_error(folder: &tempfile::TempDir) -> OpenError {
    Store::open(folder.path(), StoreOptions::default()).unwrap_err()
}

#[test]
fn newer_format_is_refused_and_told_apart_from_damage() {
    let folder = store_with(Table::Meta, FORMAT_ROW, Some(&[2]));
    let error = open_error(&folder);
    assert!(
        matches!(
            error,
            OpenError::NewerFormat {
                found: 2,
                supported: FORMAT_VERSION,
                ..
            }
        ),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .contains("start the newer version of the program")
    );
}

#[test]
fn missing_or_broken_rows_of_the_store_itself_are_damage() {
    let cases: [(&[u8], Option<&[u8]>); 5] = [
        (FORMAT_ROW, None),
        (FORMAT_ROW, Some(&[])),
        (FORMAT_ROW, Some(&[0])),
        (COUNTERS_ROW, None),
        (COUNTERS_ROW, Some(&[1, 0xff])),
    ];
    for (key, value) in cases {
        let folder = store_with(Table::Meta, key, value);
        let error = open_error(&folder);
        assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
        assert!(
            error
                .to_string()
                .contains("restore the folder from a backup"),
            "{error}"
        );
    }
}

#[test]
fn broken_row_fails_its_own_reads_and_writes_only() {
    let soul = Soul::new("n").unwrap();
    let cases: [(Table, Vec<u8>); 3] = [
        (Table::Graph, name::node_row(&soul)),
        (Table::Records, soul.as_str().as_bytes().to_vec()),
        (Table::Wanted, wanted::soul_row(&soul)),
    ];
    for (table, key) in cases {
        let folder = store_with(table, &key, Some(&[0xee, 1, 2]));
        let store = Store::open(folder.path(), StoreOptions::default()).unwrap();
        let error = match table {
            Table::Graph => store.node(&soul).unwrap_err(),
            Table::Records => store.record(&soul).unwrap_err(),
            _ => store.wanted(&soul).unwrap_err(),
        };
        assert!(
            matches!(&error, ReadError::Damaged { table: named, .. } if *named == table.name())
        );
        assert!(
            error
                .to_string()
                .contains("restore the data folder from a backup"),
            "{error}"
        );

        let merge = |name: &str| {
            let entry = Entry {
                key: Key::new("k").unwrap(),
                state: State::from_millis(1),
                value: Value::Null,
            };
            let node = Node {
                soul: Soul::new(name).unwrap(),
                entries: vec![entry],
            };
            Transaction::from(Op::Merge { graph: vec![node] })
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let mine = runtime.block_on(store.commit(merge("n"), 5));
        assert_eq!(mine.is_err(), table == Table::Graph, "{mine:?}");
        runtime.block_on(store.commit(merge("other"), 5)).unwrap();
    }
}

#[test]
fn row_of_due_times_without_its_soul_is_damage() {
    let soul = Soul::new("n").unwrap();
    let folder = store_with(Table::Wanted, &wanted::due_row(5, &soul), Some(&[]));
    let store = Store::open(folder.path(), StoreOptions::default()).unwrap();
    assert!(matches!(
        store.wanted_due(5, 10),
        Err(ReadError::Damaged { .. })
    ));
    assert_eq!(store.wanted_due(4, 10).unwrap(), []);
}

#[test]
fn feed_row_that_names_no_soul_is_damage() {
    let folder = store_with(Table::Feed, &1_u64.to_be_bytes(), Some(&[0xff]));
    let store = Store::open(folder.path(), StoreOptions::default()).unwrap();
    assert!(matches!(store.feed(0, 1), Err(ReadError::Damaged { .. })));
    assert!(record::decode_feed_key(&[1, 2]).is_err());
}

#[test]
fn folder_without_the_mark_of_the_engine_is_damage_and_not_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    drop(Store::open(folder.path(), StoreOptions::default()).unwrap());
    fs::remove_file(folder.path().join("db").join(ENGINE_MARK)).unwrap();
    for _ in 0..2 {
        assert!(matches!(open_error(&folder), OpenError::Damaged { .. }));
    }
}
