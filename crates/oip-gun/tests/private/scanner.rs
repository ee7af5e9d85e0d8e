//! The scan itself can fail: what is planted is found, in every form and in compressed files.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde_json::json;
use testkit::wait_until;

use crate::actors::{Node, PATIENCE};
use crate::needles::{Needles, canary};

#[test]
fn a_canary_is_found_in_every_form() {
    let word = canary("self");
    let in_json = serde_json::to_string(&json!({"a": word})).unwrap();
    let twice = serde_json::to_string(&in_json).unwrap();
    let texts = [
        word.clone(),
        in_json.clone(),
        twice.clone(),
        in_json.replace('é', "\\u00e9"),
        STANDARD.encode(format!("a{word}b")),
        STANDARD.encode(format!("ab{word}c")),
        URL_SAFE.encode(format!("abc{word}")),
        STANDARD.encode(format!("a{in_json}")),
        STANDARD.encode(format!("ab{twice}")),
        URL_SAFE.encode(format!("abc{in_json}")),
        word.bytes().map(|byte| format!("{byte:02x}")).collect(),
        in_json.bytes().map(|byte| format!("{byte:02X}")).collect(),
        word.bytes().map(|byte| format!("%{byte:02x}")).collect(),
        format!(
            "?search={}",
            word.replace('"', "%22").replace('é', "%C3%A9")
        ),
    ];
    let needles = Needles::new([&word]);
    for text in texts {
        let surrounded = format!("before {text} after");
        assert!(!needles.found(surrounded.as_bytes()).is_empty(), "{text}");
        let mut letters: Vec<char> = surrounded.chars().collect();
        letters.remove(letters.len() / 2);
        let damaged: String = letters.into_iter().collect();
        assert!(needles.found(damaged.as_bytes()).is_empty(), "{damaged}");
    }
    assert!(needles.found(b"something else").is_empty());
}

/// A text in which a word occurs in parts before it does whole, so that a compressor cuts it; longer than what the
/// store's journal leaves uncompressed.
fn cut_by_a_compressor(word: &str) -> String {
    let letters: Vec<char> = word.chars().collect();
    let parts: Vec<String> = letters
        .chunks(7)
        .map(|part| part.iter().collect())
        .collect();
    format!("{} {word} {}", parts.join(" "), "and so on ".repeat(1_000))
}

#[test]
fn a_canary_is_found_in_compressed_blocks_of_every_frame() {
    let word = canary("block");
    let needles = Needles::new([&word]);
    let text = cut_by_a_compressor(&word).into_bytes();
    let block = lz4_flex::block::compress(&text);
    let length = u32::try_from(text.len()).unwrap().to_le_bytes();
    let stored = u32::try_from(block.len()).unwrap().to_le_bytes();
    let head = [&b"junk LSM\x03\x01"[..], &[7; 16]].concat();
    let table = [&head[..], &stored, &length, &[7; 4], &block].concat();
    let head = [&b"junk\x02\x00\x01"[..], &[0; 8], &[3, 0]].concat();
    let item = [&head[..], &length, &stored, b"key", &block, b"more"].concat();
    let documents = [&length[..], &block, &length, &block, b"footer"].concat();
    for file in [&table, &item, &documents] {
        let plain = needles.found(file);
        assert!(plain.is_empty(), "the compressor did not cut it: {plain:?}");
        assert!(!needles.found_in_file(file).is_empty());
        let cut = &file[..block.len() / 2];
        assert!(needles.found_in_file(cut).is_empty());
    }
}

/// What a look at the bytes of all files finds, without unpacking.
fn plain(needles: &Needles, folder: &Path) -> usize {
    let mut found = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        found += match path.is_dir() {
            true => plain(needles, &path),
            false => needles.found(&std::fs::read(&path).unwrap()).len(),
        };
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_is_found_in_the_files_of_a_real_node_which_compresses_them() {
    let mut node = Node::start("planted", &[]).await;
    let word = canary("planted");
    let needles = Needles::new([&word]);
    let data =
        json!({"basic": {"name": "Planted"}, "post": {"articleText": cut_by_a_compressor(&word)}});
    let published = node.try_publish("post", "planted", &data).await;
    assert_eq!(published.status, 200, "{}", published.body);
    wait_until(PATIENCE, "the index holds it", || async {
        match node.search("Planted", "none").await.len() {
            1 => Ok(()),
            found => Err(format!("{found} found")),
        }
    })
    .await;
    node.process.terminate().await.unwrap();
    let data = node.process.folder().join("data");
    let (store, index) = (data.join("store"), data.join("index"));
    assert_eq!(
        plain(&needles, &store),
        0,
        "the store compresses nothing: unpacking proves nothing"
    );
    assert!(!needles.found_in(&store, None).is_empty(), "in the store");
    assert!(!needles.found_in(&index, None).is_empty(), "in the index");
    assert!(needles.found_in(&data, Some(&store)).len() < needles.found_in(&data, None).len());
}
