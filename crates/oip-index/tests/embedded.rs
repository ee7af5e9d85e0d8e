//! The embedded backend: the suite every backend passes, and what is its own: folders.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod suite;

use std::fs;
use std::path::{Path, PathBuf};

use oip_index::{EmbeddedIndex, Index, IndexError, IndexOp, Query, Readers};
use suite::corpus::{delete, named, records};
use suite::{apply, found};

mod every_backend {
    crate::suite::index_suite!(crate::with_index);
}

fn with_index(case: fn(&dyn Index)) {
    let home = tempfile::tempdir().expect("a folder");
    let index = EmbeddedIndex::open(&home.path().join("index")).expect("an index");
    case(&index);
}

#[test]
fn a_restart_keeps_content_and_cursor() {
    let home = tempfile::tempdir().unwrap();
    let mut before = Vec::new();
    for round in 0..3_u64 {
        let index = EmbeddedIndex::open(home.path()).unwrap();
        assert_eq!(index.cursor().unwrap(), round * 40);
        let all = Query {
            limit: 1_000,
            ..Query::default()
        };
        assert_eq!(index.search(&all).unwrap().hits, before);
        apply(&index, &records(), round * 40 + 1);
        // Enough commits that segments are merged: merging must not lose the cursor.
        for number in 2..=40 {
            apply(
                &index,
                &[named(&format!("did:gun:{}", number % 20), "again")],
                round * 40 + number,
            );
        }
        before = index.search(&all).unwrap().hits;
        assert_eq!(before.len(), records().len() + 20);
    }
}

#[test]
fn a_second_process_is_told_who_is_in_the_way() {
    let home = tempfile::tempdir().unwrap();
    let held = EmbeddedIndex::open(home.path()).unwrap();
    let error = EmbeddedIndex::open(home.path())
        .err()
        .expect("the folder is held");
    assert!(matches!(error, IndexError::Locked { .. }));
    assert!(
        error.to_string().contains("another process uses it"),
        "{error}"
    );
    apply(&held, &[named("did:gun:a", "still works")], 1);
    drop(held);
    assert_eq!(
        EmbeddedIndex::open(home.path()).unwrap().cursor().unwrap(),
        1
    );
}

/// Whether any file below a folder holds these bytes. A segment of a few small documents shows each word once as it is.
fn holds(folder: &Path, word: &str) -> bool {
    fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => holds(&path, word),
            false => {
                let bytes = fs::read(&path).unwrap();
                bytes.windows(word.len()).any(|at| at == word.as_bytes())
            }
        }
    })
}

fn closed(did: &str, word: &str) -> IndexOp {
    let mut op = named(did, word);
    if let IndexOp::Upsert { envelope, .. } = &mut op {
        envelope.readers = Readers::Only(["alice".to_owned()].into());
    }
    op
}

#[test]
fn what_was_closed_and_is_taken_out_leaves_the_files_and_what_was_public_waits_for_a_merge() {
    let home = tempfile::tempdir().unwrap();
    let index = EmbeddedIndex::open(home.path()).unwrap();
    let batch = [
        named("did:gun:a", "harbour"),
        closed("did:gun:b", "zephyrine"),
        named("did:gun:c", "quixotry"),
    ];
    // Few are deleted of many: no merge comes by itself.
    let more = (0..40).map(|number| named(&format!("did:gun:{number}"), "lemon"));
    let batch: Vec<IndexOp> = batch.into_iter().chain(more).collect();
    apply(&index, &batch, 1);
    assert!(!index.tidy().unwrap(), "nothing was taken out");
    apply(&index, &[delete("did:gun:c")], 2);
    assert!(!index.tidy().unwrap());
    assert!(
        holds(home.path(), "quixotry"),
        "public, and not worth a merge"
    );

    apply(&index, &[delete("did:gun:b")], 3);
    assert!(holds(home.path(), "zephyrine"));
    index.tidy().unwrap();
    assert!(!holds(home.path(), "zephyrine"));
    assert_eq!(found(&index, "harbour"), ["did:gun:a"]);
    assert_eq!(index.cursor().unwrap(), 3);

    // An edit leaves the version before; one that was alone in its segment leaves a file.
    apply(&index, &[closed("did:gun:d", "murmuration")], 4);
    apply(&index, &[closed("did:gun:d", "petrichor")], 5);
    drop(index);
    let index = EmbeddedIndex::open(home.path()).unwrap();
    index.tidy().unwrap();
    assert!(!holds(home.path(), "murmuration"));
    assert!(holds(home.path(), "petrichor"));
}

/// Fills an index, lets `damage` at its folder, and opens it again.
fn reopened_after(damage: impl Fn(&Path)) -> (tempfile::TempDir, EmbeddedIndex) {
    let home = tempfile::tempdir().unwrap();
    let index = EmbeddedIndex::open(home.path()).unwrap();
    apply(&index, &records(), 42);
    drop(index);
    damage(home.path());
    let index = EmbeddedIndex::open(home.path()).unwrap();
    (home, index)
}

fn is_empty_and_works(index: &EmbeddedIndex) {
    assert_eq!(index.cursor().unwrap(), 0);
    assert_eq!(index.count(&Query::default()).unwrap(), 0);
    apply(index, &records(), 42);
    assert_eq!(
        index.count(&Query::default()).unwrap(),
        records().len() as u64
    );
}

fn generation(home: &Path) -> PathBuf {
    let mut generations = fs::read_dir(home)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir());
    let generation = generations.next().expect("a generation");
    assert_eq!(generations.next(), None, "old ones are swept");
    generation
}

fn damage_each(home: &Path, extension: &str, damage: impl Fn(&Path)) {
    let mut found = 0;
    for entry in fs::read_dir(generation(home)).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|found| found == extension) {
            damage(&path);
            found += 1;
        }
    }
    assert!(found > 0, "there are files of this kind");
}

/// What it is, and what it does to a folder.
type Damage<'a> = (&'a str, &'a dyn Fn(&Path));

#[test]
fn a_broken_index_is_replaced_by_an_empty_one() {
    let truncate = |path: &Path| fs::write(path, b"").unwrap();
    let garble = |path: &Path| fs::write(path, vec![0xA5; 300]).unwrap();
    let damages: [Damage<'_>; 8] = [
        ("no meta", &|home| {
            fs::remove_file(generation(home).join("meta.json")).unwrap()
        }),
        ("empty meta", &|home| {
            truncate(&generation(home).join("meta.json"))
        }),
        ("garbled meta", &|home| {
            garble(&generation(home).join("meta.json"))
        }),
        ("no folder", &|home| {
            fs::remove_dir_all(generation(home)).unwrap()
        }),
        ("empty terms", &|home| damage_each(home, "term", truncate)),
        ("garbled columns", &|home| damage_each(home, "fast", garble)),
        ("no documents", &|home| {
            damage_each(home, "store", |path| fs::remove_file(path).unwrap())
        }),
        ("garbled pointer", &|home| {
            garble(&home.join("current.json"))
        }),
    ];
    for (name, damage) in damages {
        println!("{name}");
        let (home, index) = reopened_after(damage);
        is_empty_and_works(&index);
        drop(index);
        generation(home.path());
        assert_eq!(
            EmbeddedIndex::open(home.path()).unwrap().cursor().unwrap(),
            42
        );
    }
}

#[test]
fn an_index_of_another_format_is_replaced_by_an_empty_one() {
    for format in [0, 2, 1_000] {
        let (_home, index) = reopened_after(|home| {
            let text = fs::read_to_string(home.join("current.json")).unwrap();
            let mut current: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_ne!(current["format"], format);
            current["format"] = format.into();
            fs::write(home.join("current.json"), current.to_string()).unwrap();
        });
        is_empty_and_works(&index);
    }
}

#[test]
fn an_index_with_a_cursor_that_is_no_number_is_replaced() {
    let (_home, index) = reopened_after(|home| {
        let meta = generation(home).join("meta.json");
        let text = fs::read_to_string(&meta).unwrap();
        let other = text.replace("\"payload\": \"42\"", "\"payload\": \"many\"");
        assert_ne!(text, other);
        fs::write(meta, other).unwrap();
    });
    is_empty_and_works(&index);
}

#[test]
fn a_folder_that_can_t_be_made_is_an_error_with_its_path() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("file");
    fs::write(&file, "in the way").unwrap();
    let error = EmbeddedIndex::open(&file)
        .err()
        .expect("a file is no folder");
    assert!(
        error.to_string().starts_with("create the folder"),
        "{error}"
    );
    assert!(error.to_string().contains("file"), "{error}");
}

#[test]
fn a_batch_that_failed_can_be_applied_again() {
    let home = tempfile::tempdir().unwrap();
    let index = EmbeddedIndex::open(home.path()).unwrap();
    apply(&index, &records(), 1);
    let (here, away) = (generation(home.path()), home.path().join("away"));
    let batch: Vec<_> = records()
        .into_iter()
        .chain([named("did:gun:new", "new")])
        .collect();
    for _ in 0..3 {
        fs::rename(&here, &away).unwrap();
        let error = index
            .apply(&batch, 2)
            .expect_err("there is nowhere to write");
        assert!(matches!(error, IndexError::Backend { .. }), "{error}");
        assert_eq!(index.cursor().unwrap(), 1);
        fs::rename(&away, &here).unwrap();
        assert_eq!(found(&index, "new"), [""; 0]);
    }
    apply(&index, &batch, 2);
    assert_eq!(index.cursor().unwrap(), 2);
    assert_eq!(index.count(&Query::default()).unwrap(), batch.len() as u64);
}

#[test]
fn clearing_cures_an_index_whose_files_are_lost() {
    let home = tempfile::tempdir().unwrap();
    let index = EmbeddedIndex::open(home.path()).unwrap();
    apply(&index, &records(), 1);
    fs::remove_dir_all(generation(home.path())).unwrap();
    assert!(index.apply(&records(), 2).is_err());
    index.clear().unwrap();
    is_empty_and_works(&index);
}

#[test]
fn searches_run_while_batches_are_applied() {
    let home = tempfile::tempdir().unwrap();
    let index = EmbeddedIndex::open(home.path()).unwrap();
    apply(&index, &[named("did:gun:fixed", "fixed")], 1);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for number in 0..80_u64 {
                let did = format!("did:gun:{}", number % 10);
                apply(&index, &[named(&did, "moving")], number + 2);
                if number % 20 == 19 {
                    apply(&index, &[delete(&did)], number + 2);
                    apply(&index, &[named(&did, "moving")], number + 2);
                }
            }
        });
        while !writer.is_finished() {
            assert_eq!(found(&index, "fixed"), ["did:gun:fixed"]);
            let page = index.search(&Query::by_text("moving")).unwrap();
            assert_eq!(
                page.total,
                page.hits.len() as u64,
                "a search sees one state"
            );
            assert!(page.total <= 10);
        }
    });
    assert_eq!(index.count(&Query::by_text("moving")).unwrap(), 10);
}
