//! The form's shape: what is read, and each thing that is not.

use proptest::prelude::*;

use super::*;

fn form(recipients: usize) -> SealedForm {
    SealedForm {
        level: "private".into(),
        revision: 0,
        encrypted: STANDARD.encode([1; 40]),
        iv: STANDARD.encode([2; IV_BYTES]),
        tag: STANDARD.encode([3; TAG_BYTES]),
        commitment: STANDARD.encode([4; COMMITMENT_BYTES]),
        recipients: (0..recipients)
            .map(|n| Recipient {
                key: format!("{n:016x}"),
                kem: "P-256".into(),
                enc: STANDARD.encode([5; 33]),
                wrapped: STANDARD.encode([6; 48]),
            })
            .collect(),
    }
}

#[test]
fn what_is_written_is_read_back() {
    for form in [form(1), form(3)] {
        assert_eq!(SealedForm::parse(&form.to_value()), Ok(form));
    }
}

#[test]
fn the_nested_layout_holds_lists_as_texts() {
    let form = form(2);
    let mut list_as_text = form.to_value();
    let list = list_as_text["seal"]["recipients"].to_string();
    list_as_text["seal"]["recipients"] = json!(list);
    assert_eq!(SealedForm::parse(&list_as_text).as_ref(), Ok(&form));
    let mut seal_as_text = list_as_text;
    let seal = seal_as_text["seal"].to_string();
    seal_as_text["seal"] = json!(seal);
    assert_eq!(SealedForm::parse(&seal_as_text), Ok(form));
}

#[test]
fn each_fault_is_named() {
    let good = form(2).to_value();
    let cases: [(&str, Value, SealedError); 20] = [
        (
            "/encryptionType",
            json!("oip-sealed-2"),
            SealedError::UnknownForm,
        ),
        ("/seal/v", json!(2), SealedError::UnknownForm),
        ("/seal", json!([]), SealedError::Member("seal")),
        ("/seal", json!("{"), SealedError::Member("seal")),
        ("/seal/level", json!("public"), SealedError::PublicLevel),
        ("/seal/level", json!(""), SealedError::Member("level")),
        ("/seal/level", json!("a b"), SealedError::Member("level")),
        ("/seal/revision", json!(-1), SealedError::Member("revision")),
        (
            "/seal/revision",
            json!(REVISION_MAX + 1),
            SealedError::Member("revision"),
        ),
        (
            "/seal/commitment",
            json!("AAAA"),
            SealedError::Member("commitment"),
        ),
        ("/seal/recipients", json!([]), SealedError::NoRecipient),
        (
            "/seal/recipients",
            json!({}),
            SealedError::Member("recipients"),
        ),
        (
            "/seal/recipients/0",
            json!(1),
            SealedError::Member("recipients"),
        ),
        (
            "/seal/recipients/1/key",
            json!("0000000000000000"),
            SealedError::RecipientTwice,
        ),
        (
            "/seal/recipients/1/key",
            json!("000000000000000G"),
            SealedError::Member("key"),
        ),
        (
            "/seal/recipients/1/enc",
            json!("?"),
            SealedError::Member("enc"),
        ),
        (
            "/seal/recipients/1/wrapped",
            json!(1),
            SealedError::Member("wrapped"),
        ),
        (
            "/iv",
            json!(STANDARD.encode([0; 16])),
            SealedError::Member("iv"),
        ),
        (
            "/tag",
            json!(STANDARD.encode([0; 12])),
            SealedError::Member("tag"),
        ),
        (
            "/encrypted",
            json!("no base64"),
            SealedError::Member("encrypted"),
        ),
    ];
    for (place, value, fault) in cases {
        let mut data = good.clone();
        *data.pointer_mut(place).unwrap() = value.clone();
        assert_eq!(SealedForm::parse(&data), Err(fault), "{place} = {value}");
    }
}

#[test]
fn a_member_without_meaning_is_refused_at_every_level() {
    for place in ["", "/seal", "/seal/recipients/0"] {
        let mut data = form(1).to_value();
        data.pointer_mut(place).unwrap()["more"] = json!(1);
        assert_eq!(SealedForm::parse(&data), Err(SealedError::UnknownMember));
    }
}

#[test]
fn recipients_are_bounded() {
    let at = |n| SealedForm::parse(&form(n).to_value()).map(drop);
    assert_eq!(at(RECIPIENTS_MAX), Ok(()));
    assert_eq!(at(RECIPIENTS_MAX + 1), Err(SealedError::TooManyRecipients));
}

proptest! {
    #[test]
    fn any_json_is_read_or_refused(text in "\\PC*", at in 0..8_usize) {
        let places = ["/encrypted", "/iv", "/seal", "/seal/recipients", "/seal/v",
            "/seal/level", "/seal/recipients/0/enc", "/seal/recipients/0/key"];
        let mut data = form(1).to_value();
        *data.pointer_mut(places[at]).unwrap() =
            serde_json::from_str(&text).unwrap_or(Value::String(text));
        if let Ok(read) = SealedForm::parse(&data) {
            prop_assert_eq!(SealedForm::parse(&read.to_value()), Ok(read));
        }
    }
}

prop_compose! {
    fn any_form()(
        level in "[a-z]{1,32}",
        revision in 0..=REVISION_MAX,
        encrypted in prop::collection::vec(any::<u8>(), 1..200),
        iv in any::<[u8; IV_BYTES]>(),
        tag in any::<[u8; TAG_BYTES]>(),
        commitment in any::<[u8; COMMITMENT_BYTES]>(),
        keys in prop::collection::btree_set("[0-9a-f]{16}", 1..6),
        kem in "[A-Za-z0-9-]{1,16}",
        wrapped in prop::collection::vec(any::<u8>(), 1..100),
    ) -> SealedForm {
        SealedForm {
            level: if level == "public" { "private".to_owned() } else { level },
            revision,
            encrypted: STANDARD.encode(encrypted),
            iv: STANDARD.encode(iv),
            tag: STANDARD.encode(tag),
            commitment: STANDARD.encode(commitment),
            recipients: keys.into_iter().map(|key| Recipient {
                key,
                kem: kem.clone(),
                enc: STANDARD.encode(&wrapped),
                wrapped: STANDARD.encode(&wrapped),
            }).collect(),
        }
    }
}

proptest! {
    #[test]
    fn any_form_is_read_back_from_every_layout(form in any_form()) {
        let mut data = form.to_value();
        prop_assert_eq!(SealedForm::parse(&data), Ok(form.clone()));
        let list = data["seal"]["recipients"].to_string();
        data["seal"]["recipients"] = json!(list);
        prop_assert_eq!(SealedForm::parse(&data), Ok(form.clone()));
        let seal = data["seal"].to_string();
        data["seal"] = json!(seal);
        prop_assert_eq!(SealedForm::parse(&data), Ok(form.clone()));
    }

    #[test]
    fn a_damaged_text_is_refused_or_another_form(
        form in any_form(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>(),
    ) {
        let text = form.to_value().to_string();
        let mut bytes = text.clone().into_bytes();
        let at = at.index(bytes.len());
        match cut {
            true => bytes.truncate(at),
            false => bytes[at] = byte,
        }
        let read = std::str::from_utf8(&bytes).ok().and_then(|text| serde_json::from_str::<Value>(text).ok());
        if let Some(Ok(read)) = read.as_ref().map(SealedForm::parse) {
            // No two texts that differ in more than blanks are one form: the outer signature covers all of it.
            prop_assert_eq!(read == form, bytes == text.as_bytes());
            prop_assert_eq!(SealedForm::parse(&read.to_value()), Ok(read));
        }
    }
}
