//! Folders of gun.js's disk: a recorded one exactly, every known damage, both forms, any tree,
//! any bytes.

use std::collections::BTreeMap;

use gun::radata::{self, Damage, Directory, FileReport, Reason, file_name};
use gun::text::value_text;
use gun::{Key, Soul, State, Value};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use crate::vector;

/// Soul, key, state, and the value's JSON text.
type Found = (String, String, f64, String);

fn read(file: impl AsRef<[u8]>) -> (Vec<Found>, FileReport) {
    let mut found = Vec::new();
    let report = radata::read(file.as_ref(), |soul, entry| {
        found.push((
            soul.to_string(),
            entry.key.to_string(),
            entry.state.as_f64(),
            value_text(&entry.value),
        ));
    });
    assert_eq!(report.values, found.len() as u64);
    (found, report)
}

fn sample() -> Vec<(String, Vec<u8>)> {
    let folder = std::fs::read_dir(vector::folder().join("radata-sample")).unwrap();
    folder
        .map(|file| {
            let file = file.unwrap();
            let name = file.file_name().into_string().unwrap();
            (name, std::fs::read(file.path()).unwrap())
        })
        .collect()
}

fn sample_file(name: &str) -> Vec<u8> {
    let found = sample().into_iter().find(|(file, _)| file == name);
    found.unwrap().1
}

/// The record `s` / `k` with members as given, in a tree of its own.
fn record(members: &str) -> String {
    format!(r#"{{"s\u001bk":{{"":{members}}}}}"#)
}

fn refusals(file: impl AsRef<[u8]>) -> BTreeMap<Reason, u64> {
    let (_, report) = read(file);
    assert_eq!(report.damage, None);
    report.refused
}

#[test]
fn the_recorded_folder_is_read_exactly() {
    let mut expected: Vec<Found> = Vec::new();
    let text = std::fs::read_to_string(vector::folder().join("radata-sample.expected.json"));
    let graph: Json = serde_json::from_str(&text.unwrap()).unwrap();
    for (soul, node) in graph.as_object().unwrap() {
        for (key, value) in node.as_object().unwrap() {
            if key != "_" {
                let state = node["_"][">"][key].as_f64().unwrap();
                expected.push((soul.clone(), key.clone(), state, ecma_text(value)));
            }
        }
    }
    let mut found = Vec::new();
    for (name, file) in sample() {
        let (values, report) = read(file);
        assert_eq!((report.damage, report.repaired), (None, 0), "{name}");
        if name == radata::DIRECTORY_FILE {
            let not_a_record = BTreeMap::from([(Reason::NotARecord, 7)]);
            assert_eq!(report.refused, not_a_record, "its marks are no records");
        } else {
            assert!(report.refused.is_empty(), "{name}");
            found.extend(values);
        }
    }
    assert_eq!(found.len(), 360);
    let order = |left: &Found, right: &Found| left.partial_cmp(right).unwrap();
    expected.sort_by(order);
    found.sort_by(order);
    assert_eq!(found, expected);
}

/// The JSON text of a value as JavaScript writes it.
fn ecma_text(value: &Json) -> String {
    match value.as_f64() {
        Some(number) => value_text(&Value::Number(number)),
        None => value.to_string(),
    }
}

#[test]
fn the_directory_lists_the_files_by_the_names_they_have_on_disk() {
    let directory = Directory::read(&sample_file(radata::DIRECTORY_FILE));
    assert_eq!(directory.damage, None);
    let files = sample().into_iter().map(|(name, _)| name);
    let on_disk = files.filter(|name| name != radata::DIRECTORY_FILE);
    let on_disk: Vec<_> = on_disk.map(|name| file_name(&name).unwrap()).collect();
    assert_eq!(on_disk.len(), 7);
    assert!(on_disk.iter().all(|name| directory.lists(name)));
    assert_eq!(directory.listed().len(), 7);

    let dropped = Directory::read(br#"{"!":{"":1},"a":{"":0,"b":{"":1}}}"#);
    assert_eq!(dropped.listed(), ["!", "ab"]);
    for no_name in ["%", "%4", "%zz", "%ff", "a%"] {
        assert_eq!(file_name(no_name), None, "{no_name}");
    }
}

#[test]
fn every_record_of_the_recorded_folder_is_where_the_directory_says() {
    let directory = Directory::read(&sample_file(radata::DIRECTORY_FILE));
    for (on_disk, file) in sample() {
        let name = file_name(&on_disk).unwrap();
        radata::read(&file, |soul, entry| {
            assert_eq!(directory.file_of(&soul, &entry.key), name, "{soul}");
        });
    }
    // By UTF-16, as JavaScript orders names: U+1F600 comes before U+E000.
    let directory = Directory::read(r#"{"😀":{"":1},"\ue000":{"":1}}"#.as_bytes());
    assert_eq!(directory.listed(), ["😀", "\u{e000}"]);
    let file_of = |soul: &str| {
        let (soul, key) = (Soul::new(soul).unwrap(), Key::new("k").unwrap());
        directory.file_of(&soul, &key).to_owned()
    };
    assert_eq!(file_of("a"), "!");
    assert_eq!(file_of("😁"), "😀");
    assert_eq!(file_of("\u{e001}"), "\u{e000}");
}

#[test]
fn values_and_states_whose_names_were_forgotten_are_put_right() {
    let link = r##"{"#":"other"}"##;
    let cases = [
        (
            r#"{":":"x","undefined":1700000000000}"#.to_owned(),
            r#""x""#,
        ),
        (
            r#"{"undefined":"x",">":1700000000000}"#.to_owned(),
            r#""x""#,
        ),
        (
            r#"{"undefined":1800000000000,">":1700000000000}"#.to_owned(),
            "1800000000000",
        ),
        (
            r##"{":":{"undefined":"other"},">":1700000000000}"##.to_owned(),
            link,
        ),
        (r##"{"#":"other",">":1700000000000}"##.to_owned(), link),
        (
            r##"{"#":"other","undefined":1700000000000}"##.to_owned(),
            link,
        ),
    ];
    for (members, value) in cases {
        let (found, report) = read(record(&members));
        let expected = ("s".into(), "k".into(), 1_700_000_000_000.0, value.into());
        assert_eq!(found, [expected], "{members}");
        assert_eq!((report.repaired, report.refused.len()), (1, 0), "{members}");
    }
}

#[test]
fn a_record_one_level_too_high_is_put_right_beside_branches_of_like_names() {
    let file = concat!(
        r#"{"s\u001b":{"k":{":":"x","more":{"":{":":1,">":2}},">":1700000000000},"#,
        r##""l":{">":3,":":{"#":"other"}},"##,
        r##""m":{":":{"#":{"":{":":true,">":4}}},">":{"":{":":null,">":5}}},"##,
        r#""n":{":":"y","undefined":1700000000001}}}"#
    );
    let (found, report) = read(file);
    let expected = [
        ("kmore", 2.0, "1"),
        ("k", 1_700_000_000_000.0, r#""x""#),
        ("l", 3.0, r##"{"#":"other"}"##),
        ("m:#", 4.0, "true"),
        ("m>", 5.0, "null"),
        ("n", 1_700_000_000_001.0, r#""y""#),
    ];
    let expected = expected
        .map(|(key, state, value)| ("s".to_owned(), key.to_owned(), state, value.to_owned()));
    assert_eq!(found, expected);
    assert_eq!((report.repaired, report.refused.len()), (3, 0));
}

#[test]
fn what_cannot_be_put_right_is_counted_by_its_reason() {
    let deep = |levels: usize| {
        let mut file = r#"{"a":"#.repeat(levels);
        file.push_str(&record(r#"{":":1,">":2}"#));
        file.push_str(&"}".repeat(levels));
        file
    };
    let long = format!(
        r#"{{"{}\u001bk":{{"":{{":":1,">":2}}}}}}"#,
        "s".repeat(2_049)
    );
    let cases = [
        (Reason::BogusSoul, r#"{"soul":{"":{":":1,">":2}}}"#.into()),
        (
            Reason::BogusSoul,
            r#"{"\u001bk":{"":{":":1,">":2}}}"#.into(),
        ),
        (
            Reason::BogusSoul,
            r#"{"s\u001b":{"":{":":1,">":2}}}"#.into(),
        ),
        (Reason::BogusSoul, r#"{":":1,">":2}"#.into()),
        (
            Reason::BadName,
            r#"{"__proto__\u001bk":{"":{":":1,">":2}}}"#.into(),
        ),
        (Reason::BadName, r#"{"s\u001b_":{"":{":":1,">":2}}}"#.into()),
        (
            Reason::BadName,
            r#"{"s\u001bk\u001bl":{"":{":":1,">":2}}}"#.into(),
        ),
        (Reason::BadName, record(r##"{":":{"#":"valueOf"},">":2}"##)),
        (Reason::BadName, long),
        (Reason::MissingValue, record("{}")),
        (Reason::MissingValue, record(r#"{">":2}"#)),
        (
            Reason::MissingValue,
            record(r#"{"undefined":1700000000000}"#),
        ),
        (Reason::MissingState, record(r#"{":":1}"#)),
        (Reason::MissingState, record(r#"{":":1,"undefined":5}"#)),
        (Reason::MissingState, record(r#"{":":1,"undefined":"x"}"#)),
        (Reason::BadValue, record(r#"{":":[1],">":2}"#)),
        (Reason::BadValue, record(r#"{":":{"a":{"b":1}},">":2}"#)),
        (Reason::BadValue, record(r##"{":":{"#":"a","b":1},">":2}"##)),
        (Reason::BadValue, record(r#"{":":1e999,">":2}"#)),
        (Reason::BadState, record(r#"{":":1,">":"2"}"#)),
        (Reason::BadState, record(r#"{":":1,">":null}"#)),
        (Reason::BadState, record(r#"{":":1,">":1e999}"#)),
        (Reason::LoneSurrogate, record(r#"{":":"\ud83d",">":2}"#)),
        (
            Reason::LoneSurrogate,
            r#"{"s\ud83d\u001bk":{"":{":":1,">":2}}}"#.into(),
        ),
        (
            Reason::LoneSurrogate,
            r#"{"s\u001b":{"\ude01":{"":{":":1,">":2}}}}"#.into(),
        ),
        (Reason::BadText, record(r#"{":":"\x",">":2}"#)),
        (Reason::BadText, record(r#"{":":"\u+123",">":2}"#)),
        (Reason::NotARecord, r#"{"s\u001b":{"k":5}}"#.into()),
        (
            Reason::NotARecord,
            r#"{"s\u001b":{"k":[{"":{":":1,">":2}}]}}"#.into(),
        ),
        (Reason::NotARecord, r#"{"s\u001bk":{"":5}}"#.into()),
        (Reason::TooDeep, deep(4_098)),
        (Reason::BadName, deep(4_000)),
    ];
    for (reason, file) in cases {
        assert_eq!(refusals(&file), BTreeMap::from([(reason, 1)]), "{file:.80}");
    }
    let mut broken = record(r#"{":":"?",">":2}"#).into_bytes();
    let at = broken.iter().position(|byte| *byte == b'?').unwrap();
    broken[at] = 0xff;
    assert_eq!(refusals(&broken), BTreeMap::from([(Reason::BadText, 1)]));
}

#[test]
fn names_of_the_greatest_length_are_read_whatever_their_pieces() {
    let (soul, key) = ("s".repeat(2_048), "k".repeat(2_048));
    let pieces = soul.chars().chain(['\u{1b}']).chain(key.chars());
    let mut file = String::new();
    for piece in pieces {
        file.push_str(&format!("{{{}:", json!(piece.to_string())));
    }
    file.push_str(r#"{"":{":":1,">":2}}"#);
    file.push_str(&"}".repeat(4_097));
    let (found, report) = read(&file);
    assert_eq!(found, [(soul, key, 2.0, "1".to_owned())]);
    assert_eq!(report.refused.len(), 0);
}

#[test]
fn a_file_cut_anywhere_gives_what_stands_complete_before_the_cut() {
    for name in ["plain%20%F0%9F%98%81%2F1%1Bgone", "!"] {
        let file = sample_file(name);
        let (whole, _) = read(&file);
        for end in 0..file.len() {
            let (found, report) = read(&file[..end]);
            assert_eq!(report.damage, Some(Damage::Cut), "{end}");
            assert!(report.refused.is_empty(), "{end}");
            assert_eq!(found, whole[..closed_records(&file[..end])], "{end}");
        }
        assert_eq!(closed_records(&file), whole.len());
    }
}

/// Records whose last member, the state, is followed by their brace.
fn closed_records(file: &[u8]) -> usize {
    let text = String::from_utf8_lossy(file);
    let states = text.split("\">\":").skip(1);
    states
        .filter(|rest| {
            let digits = |c: char| c.is_ascii_digit() || c == '.';
            rest.trim_start_matches(digits).starts_with('}')
        })
        .count()
}

#[test]
fn what_was_overwritten_ends_a_file_and_is_named_by_its_place() {
    let file = sample_file("!");
    let (whole, _) = read(&file);
    let mut zeros = file.clone();
    zeros[1_000..1_100].fill(0);
    let (found, report) = read(&zeros);
    assert_eq!(report.damage, Some(Damage::Garbled { at: 1_000 }));
    assert!(found.len() > 5 && found == whole[..found.len()]);

    let (found, report) = read([&file[..], b"{"].concat());
    assert_eq!(report.damage, Some(Damage::Garbled { at: file.len() }));
    assert_eq!(found, whole);

    for (no_file, damage) in [
        ("", Damage::Cut),
        ("hello", Damage::Garbled { at: 0 }),
        ("{x}", Damage::Garbled { at: 1 }),
        (r#"{"a":{}"b":{}}"#, Damage::Garbled { at: 7 }),
        (r#"{"a":tru}"#, Damage::Garbled { at: 5 }),
        (r#"{"a":1-1}"#, Damage::Garbled { at: 5 }),
    ] {
        assert_eq!(read(no_file).1.damage, Some(damage), "{no_file}");
    }
    let huge = vec![b'{'; radata::FILE_BYTES_MAX + 1];
    assert_eq!(read(huge).1.damage, Some(Damage::TooLarge));
}

/// A field in the older form.
fn framed(separator: char, kind: char, content: &str) -> String {
    let inside = content.matches(separator).count();
    let lead = separator.to_string().repeat(inside + 1);
    format!("{lead}{kind}{content}{separator}")
}

fn legacy_line(depth: usize, piece: &str, record: Option<&str>) -> String {
    let depth = framed('\u{1f}', '+', &depth.to_string());
    let piece = framed('\u{1f}', '"', piece);
    let record = record.map_or(String::new(), |r| format!(":{}", framed('\u{1f}', '"', r)));
    format!("{depth}#{piece}{record}\n")
}

fn legacy_record(kind: char, content: &str, state: &str) -> String {
    let (value, state) = (
        framed('\u{1b}', kind, content),
        framed('\u{1b}', '+', state),
    );
    format!("{value}>{state}")
}

#[test]
fn the_older_text_form_is_read() {
    let hard = "a > b\u{1f}\u{1b}\nc";
    let file = [
        legacy_line(0, "so", None),
        legacy_line(1, "ul\u{1b}", None),
        legacy_line(2, "t", Some(&legacy_record('"', hard, "1500000000000.25"))),
        legacy_line(3, "rue", Some(&legacy_record('+', "", "3"))),
        legacy_line(2, "no", Some(&legacy_record('-', "", "4"))),
        legacy_line(2, "nil", Some(&legacy_record(' ', "", "5"))),
        legacy_line(2, "n", Some(&legacy_record('+', "-1.5e3", "6"))),
        legacy_line(1, "x\u{1b}l", Some(&legacy_record('#', "other", "7"))),
    ]
    .concat();
    let (found, report) = read(&file);
    let expected = [
        (
            "soul",
            "t",
            1_500_000_000_000.25,
            value_text(&Value::text(hard)),
        ),
        ("soul", "true", 3.0, "true".into()),
        ("soul", "no", 4.0, "false".into()),
        ("soul", "nil", 5.0, "null".into()),
        ("soul", "n", 6.0, "-1500".into()),
        ("sox", "l", 7.0, r##"{"#":"other"}"##.into()),
    ];
    let expected =
        expected.map(|(soul, key, state, value)| (soul.to_owned(), key.to_owned(), state, value));
    assert_eq!(found, expected);
    assert_eq!((report.damage, report.refused.len()), (None, 0));

    for end in 0..file.len() {
        let (prefix, report) = read(&file[..end]);
        assert_eq!(prefix, found[..prefix.len()], "{end}");
        let ends_a_line = file[..end].ends_with("\u{1f}\n");
        assert!(ends_a_line || report.damage == Some(Damage::Cut), "{end}");
    }

    let directory = "\u{1f}+0\u{1f}#\u{1f}\"!\u{1f}:\u{1f}+1\u{1f}\n";
    assert!(Directory::read(directory.as_bytes()).lists("!"));
}

#[test]
fn damage_of_the_older_text_form_is_counted_too() {
    let record = legacy_record('+', "1", "2");
    let under = |name: &str, record: &str| legacy_line(0, name, Some(record));
    for (reason, file) in [
        (Reason::BogusSoul, under("soul", &record)),
        (Reason::BogusSoul, legacy_line(3, "s\u{1b}k", Some(&record))),
        (
            Reason::TooDeep,
            legacy_line(9_999, "s\u{1b}k", Some(&record)),
        ),
        (Reason::BadName, under("valueOf\u{1b}k", &record)),
        (Reason::MissingState, under("s\u{1b}k", "x")),
        (Reason::MissingState, under("s\u{1b}k", "\u{1b}+1\u{1b}>")),
        (Reason::MissingValue, under("s\u{1b}k", ">\u{1b}+1\u{1b}")),
        (
            Reason::BadState,
            under("s\u{1b}k", "\u{1b}+1\u{1b}>\u{1b}-\u{1b}"),
        ),
        (
            Reason::BadValue,
            under("s\u{1b}k", &legacy_record('?', "", "2")),
        ),
        (
            Reason::BadValue,
            under("s\u{1b}k", &legacy_record('#', "undefined", "2")),
        ),
    ] {
        assert_eq!(refusals(&file), BTreeMap::from([(reason, 1)]), "{file:?}");
    }
    // As gun.js leaves such a record when it writes its file again in the newer form.
    let moved = json!({"s\u{1b}k": {"": legacy_record('"', "x", "2")}}).to_string();
    assert_eq!(
        read(moved).0,
        [("s".into(), "k".into(), 2.0, r#""x""#.into())]
    );
}

/// Writes the tree of some records, apart from the reader: pieces end where names part, and where
/// `cuts` says besides.
fn write_tree(
    records: &[(Vec<u16>, Json)],
    from: usize,
    cuts: &mut dyn Iterator<Item = bool>,
) -> String {
    let mut members = Vec::new();
    let mut rest = records;
    if let Some(((name, record), below)) = rest.split_first()
        && name.len() == from
    {
        members.push(format!("\"\":{record}"));
        rest = below;
    }
    while let Some((first, _)) = rest.first() {
        let alike = rest
            .iter()
            .take_while(|(name, _)| name[from] == first[from]);
        let (branch, others) = rest.split_at(alike.count());
        let mut to = from + 1;
        while branch
            .iter()
            .all(|(name, _)| name.len() > to && name[to] == first[to])
            && !cuts.next().unwrap_or(false)
        {
            to += 1;
        }
        let piece = json_text(&first[from..to]);
        members.push(format!("{piece}:{}", write_tree(branch, to, cuts)));
        rest = others;
    }
    format!("{{{}}}", members.join(","))
}

/// As `JSON.stringify`: half surrogate pairs are escaped, whole ones are not.
fn json_text(units: &[u16]) -> String {
    let parts = char::decode_utf16(units.iter().copied());
    let parts = parts.map(|part| match part {
        Ok(character) => {
            let text = json!(character.to_string()).to_string();
            text[1..text.len() - 1].to_owned()
        }
        Err(half) => format!("\\u{:04x}", half.unpaired_surrogate()),
    });
    format!("\"{}\"", String::from_iter(parts))
}

proptest! {
    #[test]
    fn any_tree_is_read_as_it_was_written(
        graph in prop::collection::btree_map(
            ("[a-c😀😁é]{1,4}", "[a-c:>#😀😂\"\\\\]{1,4}"),
            (crate::properties::value(), crate::properties::state()),
            0..20,
        ),
        cuts in prop::collection::vec(any::<bool>(), 0..200),
    ) {
        let mut records = Vec::new();
        let mut expected = Vec::new();
        for ((soul, key), (value, state)) in &graph {
            let _: Key = Key::new(key.as_str()).unwrap();
            let text = value_text(value);
            let record = format!("{{\":\":{text},\">\":{}}}", value_text(&number(*state)));
            let name: Vec<u16> = format!("{soul}\u{1b}{key}").encode_utf16().collect();
            records.push((name, serde_json::from_str::<Json>(&record).unwrap()));
            expected.push((soul.clone(), key.clone(), state.as_f64(), text));
        }
        records.sort_by(|left, right| left.0.cmp(&right.0));
        let file = write_tree(&records, 0, &mut cuts.into_iter());
        let (mut found, report) = read(&file);
        let order = |left: &Found, right: &Found| left.partial_cmp(right).unwrap();
        found.sort_by(order);
        expected.sort_by(order);
        prop_assert_eq!(found, expected);
        prop_assert_eq!((report.damage, report.repaired, report.refused.len()), (None, 0, 0));
    }

    #[test]
    fn no_bytes_stop_the_reader(
        at in any::<prop::sample::Index>(),
        bytes in prop::collection::vec(any::<u8>(), 1..5),
        legacy in any::<bool>(),
    ) {
        let mut file = if legacy {
            let record = legacy_record('"', "x", "1");
            (0..9).map(|depth| legacy_line(depth, "s\u{1b}k", Some(&record))).collect::<String>().into_bytes()
        } else {
            sample_file("!")
        };
        let at = at.index(file.len());
        let end = file.len().min(at + bytes.len());
        file.splice(at..end, bytes);
        let (found, _) = read(&file);
        let _ = Directory::read(&file);
        prop_assert!(found.len() <= 60);
    }
}

fn number(state: State) -> Value {
    Value::Number(state.as_f64())
}
