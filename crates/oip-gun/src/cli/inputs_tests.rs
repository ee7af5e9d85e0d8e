//! How records, their types and their local ids are found in files and folders.

use super::*;

fn in_file(text: &str, naming: &Naming) -> Vec<Result<Input, Unreadable>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("record.json");
    fs::write(&path, text).unwrap();
    let arguments = [path.display().to_string()];
    let sources = sources(&arguments, naming).unwrap();
    sources.iter().flat_map(Source::read).collect()
}

fn whys(text: &str, naming: &Naming) -> Vec<String> {
    in_file(text, naming)
        .into_iter()
        .map(|input| input.unwrap_err().why)
        .collect()
}

#[test]
fn the_type_is_the_only_template_besides_the_shared_ones() {
    let inputs = in_file(
        r#"{"basic":{"name":"x"},"accessControl":{"access_level":"public"},"storage":"gun","post":{}}"#,
        &Naming::default(),
    );
    assert_eq!(inputs[0].as_ref().unwrap().record_type, "post");
}

#[test]
fn a_type_that_does_not_show_is_asked_for() {
    let cases = [
        (r#"{"basic":{}}"#, "no template of its own"),
        (r#"{"basic":{},"recipe":{},"image":{}}"#, "image or recipe"),
        ("[{}]", "is not an object"),
        ("3", "is not an object"),
        ("", "is empty"),
        (
            "{\"basic\":\n  oops}",
            "is not JSON: expected value at line 2",
        ),
    ];
    for (text, expected) in cases {
        let whys = whys(text, &Naming::default());
        assert_eq!(whys.len(), 1);
        assert!(whys[0].contains(expected), "{text}: {}", whys[0]);
    }
}

#[test]
fn the_text_of_a_record_is_passed_on_digit_by_digit() {
    let text = r#"{ "post": {"a": 1.0, "b": 1e2, "c": "\u00e4"} }"#;
    let inputs = in_file(text, &Naming::default());
    assert_eq!(inputs[0].as_ref().unwrap().text, text);
}

#[test]
fn several_records_in_one_file_are_told_apart_and_a_fault_does_not_hide_those_before_it() {
    let inputs = in_file("{\"post\":{}}\n{\"text\":{}}\n{oops}\n", &Naming::default());
    assert_eq!(inputs.len(), 3);
    assert_eq!(inputs[0].as_ref().unwrap().record_type, "post");
    let second = inputs[1].as_ref().unwrap();
    assert_eq!(second.record_type, "text");
    assert!(second.name.ends_with("(record 2)"), "{}", second.name);
    assert!(inputs[2].is_err());
}

#[test]
fn one_local_id_does_not_name_several_records() {
    let naming = Naming {
        local_id: Some("note-1".to_owned()),
        ..Naming::default()
    };
    let whys = whys("{\"post\":{}} {\"post\":{}}", &naming);
    assert!(whys[0].contains("names one record"), "{}", whys[0]);
    let two_files = ["a.json".to_owned(), "b.json".to_owned()];
    let message = sources(&two_files, &naming).unwrap_err().to_string();
    assert!(message.contains("2 files were given"), "{message}");
}

#[test]
fn the_index_of_a_folder_names_types_and_local_ids() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.json"), r#"{"basic":{}}"#).unwrap();
    fs::write(folder.path().join("b.json"), r#"{"post":{}}"#).unwrap();
    fs::write(
        folder.path().join("index.json"),
        r#"[{"file":"b.json"},{"file":"a.json","recordType":"text","localId":"a-1","note":"kept"}]"#,
    )
    .unwrap();
    let arguments = [folder.path().display().to_string()];
    let inputs: Vec<Input> = sources(&arguments, &Naming::default())
        .unwrap()
        .iter()
        .flat_map(Source::read)
        .map(Result::unwrap)
        .collect();
    let found: Vec<(&str, Option<&str>)> = inputs
        .iter()
        .map(|input| (input.record_type.as_str(), input.local_id.as_deref()))
        .collect();
    assert_eq!(found, [("post", None), ("text", Some("a-1"))]);
}

#[test]
fn a_folder_without_index_gives_its_json_files_by_name() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["b.json", "a.json", "notes.txt"] {
        fs::write(folder.path().join(name), r#"{"post":{}}"#).unwrap();
    }
    let arguments = [folder.path().display().to_string()];
    let names: Vec<String> = sources(&arguments, &Naming::default())
        .unwrap()
        .iter()
        .map(Source::name)
        .collect();
    assert_eq!(names.len(), 2);
    assert!(names[0].ends_with("a.json") && names[1].ends_with("b.json"));
}

#[test]
fn a_folder_with_nothing_to_publish_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = [folder.path().display().to_string()];
    let message = sources(&arguments, &Naming::default())
        .unwrap_err()
        .to_string();
    assert!(message.ends_with("holds no .json file"), "{message}");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let inputs = sources(&["nowhere.json".to_owned()], &Naming::default()).unwrap()[0].read();
    let unreadable = inputs[0].as_ref().unwrap_err();
    assert_eq!(unreadable.name, "nowhere.json");
    assert!(unreadable.why.starts_with("can't be read"));
}
