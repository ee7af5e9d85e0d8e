//! Full text.

use oip_index::{Condition, Index, LastWord, MatchMode, Query, Text};
use serde_json::{Value, json};

use super::corpus::{document, named, records, upsert, with_data};
use super::{apply, dids, found};

pub(crate) fn records_are_found_by_their_words(index: &dyn Index) {
    let records = records();
    apply(index, &records, 1);
    for op in &records {
        for field in ["name", "description"] {
            let Value::String(text) = &document(op)["data"]["basic"][field] else {
                continue;
            };
            let found = found(index, text);
            assert!(
                found.contains(&op.did().to_owned()),
                "{} by {text:?}",
                op.did()
            );
        }
    }
    // Words of an exercise's instructions, of its muscle groups, and of its description.
    for text in ["lower the back knee", "HAMSTRINGS", "knee quadriceps box"] {
        assert_eq!(
            found(index, text),
            ["did:gun:5b1fd0c7a9e2:exercise-step-lunge"],
            "{text}"
        );
    }
}

pub(crate) fn names_count_more_than_descriptions_and_those_more_than_the_rest(index: &dyn Index) {
    let oip = json!({});
    let filler = |number: usize| named(&format!("did:gun:filler-{number}"), "filler");
    let mut batch: Vec<_> = (0..20).map(filler).collect();
    batch.extend([
        with_data(
            "did:gun:z-rest",
            json!({"post": {"text": "heron"}, "basic": {"name": "z", "description": "z"}}),
            oip.clone(),
        ),
        upsert(
            "did:gun:y-tag",
            json!({"name": "y", "description": "y", "tagItems": ["heron"]}),
            oip.clone(),
        ),
        upsert(
            "did:gun:x-description",
            json!({"name": "x", "description": "heron"}),
            oip.clone(),
        ),
        upsert(
            "did:gun:w-name",
            json!({"name": "heron", "description": "w"}),
            oip,
        ),
    ]);
    apply(index, &batch, 1);
    let page = index.search(&Query::by_text("heron")).unwrap();
    assert_eq!(page.total, 4);
    assert_eq!(page.hits[0].did, "did:gun:w-name");
    let scores: Vec<_> = page
        .hits
        .iter()
        .map(|hit| hit.score.expect("a score"))
        .collect();
    assert!(
        scores.is_sorted_by(|better, worse| better >= worse),
        "{scores:?}"
    );
    assert!(scores[0] > 1.2 * scores[1], "{scores:?}");
}

pub(crate) fn strings_at_any_depth_are_searched(index: &dyn Index) {
    let data = json!({
        "conversationSession": {
            "messages": ["plain", "[\"json\",\"inside\"]", ["nested", ["deeper", {"k": "deepest"}]]],
            "more": {"a": {"b": {"c": [{"d": "bottom"}]}}},
        },
        "unknownTemplate": {"x": "unexpected"},
    });
    apply(index, &[with_data("did:gun:a", data, json!({}))], 1);
    for word in [
        "plain",
        "json",
        "inside",
        "nested",
        "deeper",
        "deepest",
        "bottom",
        "unexpected",
    ] {
        assert_eq!(found(index, word), ["did:gun:a"], "{word}");
    }
    assert_eq!(found(index, "plain bottom deepest"), ["did:gun:a"]);
}

pub(crate) fn case_and_accents_make_no_difference_in_any_script(index: &dyn Index) {
    let cases = [
        (
            "Crème Brûlée",
            vec!["creme brulee", "CRÈME", "cre\u{300}me"],
        ),
        ("Straße nach Łódź", vec!["strasse", "lodz", "STRASSE"]),
        ("Москва зимой", vec!["москва", "ЗИМОЙ"]),
        ("Ελληνικός δρόμος", vec!["ΔΡΌΜΟΣ", "ελληνικός"]),
        ("東京タワーの夜景", vec!["東京", "夜景", "タワー"]),
        ("서울 여행", vec!["서울", "여행"]),
        ("हिन्दी कविता", vec!["हिन्दी", "कविता"]),
        ("قصيدة عربية", vec!["قصيدة", "عربية"]),
        ("שיר עברי", vec!["שיר", "עברי"]),
        ("Tiếng Việt", vec!["tieng viet", "TIẾNG"]),
        ("𐐀𐐁 𝒳 Ｆｕｌｌ", vec!["𐐨𐐩", "x", "full"]),
    ];
    let batch: Vec<_> = cases
        .iter()
        .enumerate()
        .map(|(number, (name, _))| named(&format!("did:gun:{number:02}"), name))
        .collect();
    apply(index, &batch, 1);
    for (number, (name, texts)) in cases.iter().enumerate() {
        for text in texts {
            assert_eq!(
                found(index, text),
                [format!("did:gun:{number:02}")],
                "{name} by {text}"
            );
        }
    }
}

pub(crate) fn all_words_must_occur_unless_any_is_asked_for(index: &dyn Index) {
    let batch = [
        upsert(
            "did:gun:both",
            json!({"name": "red", "description": "boat"}),
            json!({}),
        ),
        named("did:gun:red", "red house"),
        named("did:gun:boat", "blue boat"),
        named("did:gun:none", "green tree"),
    ];
    apply(index, &batch, 1);
    assert_eq!(found(index, "boat RED boat"), ["did:gun:both"]);
    let any = Query::of(Condition::Text(Text {
        mode: MatchMode::Any,
        ..Text::new("boat red purple")
    }));
    let found = dids(index, &any);
    assert_eq!((found.len(), found[0].as_str()), (3, "did:gun:both"));
}

pub(crate) fn no_text_is_an_error(index: &dyn Index) {
    apply(index, &[named("did:gun:a", "the cat (AND) the \"dog\"")], 1);
    for text in [
        "\"",
        "\"\"",
        "\"cat",
        "cat\"dog",
        "+cat -dog",
        "cat AND dog",
        "(cat",
        "cat)",
        "((((",
        "[cat TO dog]",
        "name:cat",
        "na:me:cat",
        "cat~2",
        "cat^3",
        "c*t",
        "ca?",
        "/cat/",
        "\\",
        "\\\\cat",
        "cat\\",
        "{!x}",
        "<>",
        "cat && dog || the",
        "!cat",
        "cat\0dog",
        "🎉 cat",
        "👩\u{200D}👩\u{200D}👧",
        "\u{202E}cat",
        "\u{FEFF}",
        "%00",
        "did:gun:a",
        "' OR 1=1 --",
        "\u{301}",
    ] {
        for match_mode in [MatchMode::All, MatchMode::Any] {
            for last_word in [LastWord::Whole, LastWord::Prefix] {
                let query = Query::of(Condition::Text(Text {
                    mode: match_mode,
                    last_word,
                    ..Text::new(text)
                }));
                let page = index.search(&query).unwrap();
                assert_eq!(page.total, index.count(&query).unwrap(), "{text:?}");
            }
        }
    }
    for text in [
        "\"cat",
        "cat AND dog",
        "(cat",
        "+cat -dog",
        "cat\0dog",
        "THE: \"dog\"!",
    ] {
        assert_eq!(found(index, text), ["did:gun:a"], "{text:?}");
    }
    let page_of_text = "word ".repeat(100_000) + "cat";
    index.search(&Query::by_text(page_of_text)).unwrap();
    let many_words: String = (0..10_000).map(|number| format!("w{number} ")).collect();
    assert_eq!(found(index, &many_words), [""; 0]);
}

pub(crate) fn blank_text_finds_everything_and_text_without_words_nothing(index: &dyn Index) {
    apply(
        index,
        &[named("did:gun:a", "x"), named("did:gun:b", "y")],
        1,
    );
    for text in ["", " ", "\t\n\u{3000}"] {
        assert_eq!(found(index, text), ["did:gun:a", "did:gun:b"], "{text:?}");
    }
    for text in ["?!", "\"\"", "---"] {
        assert_eq!(found(index, text), [""; 0], "{text:?}");
    }
}

pub(crate) fn the_last_word_can_stand_for_its_beginning(index: &dyn Index) {
    let batch = [
        named("did:gun:a", "sea lighthouse"),
        named("did:gun:b", "sea light"),
        named("did:gun:c", "seaside lightning"),
        with_data(
            "did:gun:d",
            json!({"post": {"t": "sea, ligHTning"}}),
            json!({}),
        ),
    ];
    apply(index, &batch, 1);
    let prefix = |text: &str| {
        let query = Query::of(Condition::Text(Text {
            last_word: LastWord::Prefix,
            ..Text::new(text)
        }));
        let mut found = dids(index, &query);
        let first = found.first().cloned();
        found.sort();
        (found, first)
    };
    let (found, first) = prefix("sea ligh");
    assert_eq!(found, ["did:gun:a", "did:gun:b", "did:gun:d"]);
    assert!(first.is_some());
    let (found, first) = prefix("sea light");
    assert_eq!(found, ["did:gun:a", "did:gun:b", "did:gun:d"]);
    assert_eq!(first.as_deref(), Some("did:gun:b"), "the whole word first");
    assert_eq!(
        prefix("sea light ").0,
        ["did:gun:b"],
        "a space completes the word"
    );
    assert_eq!(prefix("l").0, [""; 0], "one letter stands for itself");
}

pub(crate) fn very_long_words_are_found(index: &dyn Index) {
    let long = "k".repeat(70_000);
    let other = "m".repeat(70_000);
    apply(
        index,
        &[
            named("did:gun:a", &long),
            named("did:gun:b", &format!("before {other} after")),
        ],
        1,
    );
    assert_eq!(found(index, &long), ["did:gun:a"]);
    assert_eq!(found(index, &other), ["did:gun:b"]);
    assert_eq!(found(index, "before after"), ["did:gun:b"]);
}

pub(crate) fn keys_and_oip_members_are_not_text(index: &dyn Index) {
    let op = with_data(
        "did:gun:a",
        json!({"templatekey": {"fieldkey": "value"}}),
        json!({"recordType": "oiptype", "signature": "oipsig"}),
    );
    apply(index, &[op], 1);
    for word in ["templatekey", "fieldkey", "oiptype", "oipsig"] {
        assert_eq!(found(index, word), [""; 0], "{word}");
    }
    assert_eq!(found(index, "value"), ["did:gun:a"]);
}
