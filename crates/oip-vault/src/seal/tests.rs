//! Sealing and opening: the round trip, each fault by its name, sizes, and our own vectors.

use std::convert::Infallible;

use oip_record::publish::{self, Context, Submission};
use oip_record::sealed::SealedForm;
use oip_record::verify::{self, SignaturePolicy};
use oip_record::{CreatorKey, Raw, Reject};
use proptest::prelude::*;
use rand_core::{TryCryptoRng, TryRng};
use serde_json::{Map, json};

use super::*;
use crate::keys::EncryptionKey;

/// 2026-01-20T10:00:00.000Z
const NOW_MS: i64 = 1_768_903_200_000;

/// A source that repeats exactly; compiled into tests only.
struct Seeded([u8; 32]);

impl TryRng for Seeded {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        for chunk in out.chunks_mut(32) {
            self.0 = oip_record::canonical::digest_of(&self.0);
            let next = oip_record::canonical::digest_of(&[&self.0[..], b"out"].concat());
            chunk.copy_from_slice(&next[..chunk.len()]);
        }
        Ok(())
    }
}

impl TryCryptoRng for Seeded {}

fn reader(seed: u8) -> EncryptionKey {
    EncryptionKey::from_scalar([seed; 32]).unwrap()
}

fn ring(seed: u8) -> KeyRing {
    KeyRing::new(reader(seed))
}

fn creator() -> CreatorKey {
    CreatorKey::ed25519([1; 32]).unwrap()
}

fn data() -> Value {
    json!({
        "basic": {"name": "Night watch", "tagItems": ["a", "[1]"]},
        "post": {"n": [0.5, [], {"é": null}]},
        "accessControl": {"access_level": "shared", "shared_with": ["k"]},
    })
}

struct Made {
    draft: publish::Draft,
    form: SealedForm,
    built: publish::Built,
}

impl Made {
    fn place(&self) -> Place<'_> {
        place(&self.draft)
    }
}

fn place(draft: &publish::Draft) -> Place<'_> {
    Place {
        soul: &draft.soul,
        record_type: &draft.record_type,
        indexed_at: &draft.stamp,
        creator: &draft.creator,
    }
}

fn made_with(key: &CreatorKey, data: Value, readers: &[u8]) -> Made {
    let submission = Submission {
        record_type: "post".into(),
        local_id: Some("note-1".into()),
        data,
        params: Map::new(),
    };
    let context = Context {
        key,
        now_ms: NOW_MS,
        newest_known: None,
        random: [9; 16],
        existing: None,
    };
    let draft = publish::draft(&submission, "shared", &context).unwrap();
    let signature = draft.sign_content(key).unwrap();
    let keys: Vec<_> = readers
        .iter()
        .map(|seed| reader(*seed).public().clone())
        .collect();
    let mut random = Seeded([7; 32]);
    let form = seal(
        place(&draft),
        &draft.level,
        &draft.data,
        &signature,
        &keys,
        &mut random,
    )
    .unwrap();
    let built = draft.seal(&form, key).unwrap();
    Made { draft, form, built }
}

fn made(readers: &[u8]) -> Made {
    made_with(&creator(), data(), readers)
}

fn judge(built: &publish::Built) -> Result<verify::Accepted, Reject> {
    let raw = Raw {
        data_text: built.data_text.clone(),
        oip_text: built.oip_text.clone(),
        origin: oip_record::read::TextOrigin::Stored,
        unity: oip_record::read::Unity::SamePut,
        meta: Map::new(),
    };
    verify::accept(&built.soul, raw, SignaturePolicy::Require, NOW_MS)
}

#[test]
fn every_recipient_opens_what_was_sealed_and_nobody_else() {
    let made = made(&[2, 3]);
    for seed in [2, 3] {
        let opened = open(made.place(), &made.form, &ring(seed)).unwrap();
        assert_eq!(opened.data, data());
        assert_eq!(opened.key_id, reader(seed).id());
    }
    assert_eq!(
        open(made.place(), &made.form, &ring(4)),
        Err(OpenError::NotARecipient)
    );
}

#[test]
fn the_sealed_record_verifies_outside_without_being_opened() {
    let made = made(&[2]);
    let accepted = judge(&made.built).unwrap();
    assert_eq!(accepted.sealed(), Some(&made.form));
    assert_eq!(accepted.order, made.built.order);
    assert_eq!(accepted.document, made.built.document);
}

#[test]
fn nothing_of_the_content_shows_outside() {
    let made = made(&[2]);
    let outside = format!("{:?} {}", made.built.entries, made.built.document);
    for canary in ["Night watch", "access_level", "shared_with"] {
        assert!(!outside.contains(canary), "{canary}");
        assert!(data().to_string().contains(canary));
    }
}

#[test]
fn a_retired_key_still_opens() {
    let made = made(&[2]);
    let mut ring = ring(2);
    ring.rotate(reader(5)).unwrap();
    assert_eq!(
        open(made.place(), &made.form, &ring).unwrap().key_id,
        reader(2).id()
    );
}

#[test]
fn ciphertext_that_was_changed_or_moved_does_not_open() {
    let made = made(&[2]);
    let ring = ring(2);
    let good = made.place();
    let flip = |text: &str| {
        let mut bytes = STANDARD.decode(text).unwrap();
        bytes[0] ^= 1;
        STANDARD.encode(bytes)
    };
    let mut form = made.form.clone();
    form.encrypted = flip(&form.encrypted);
    assert_eq!(open(good, &form, &ring), Err(OpenError::Ciphertext));
    let mut form = made.form.clone();
    form.tag = flip(&form.tag);
    assert_eq!(open(good, &form, &ring), Err(OpenError::Ciphertext));
    let mut form = made.form.clone();
    form.iv = flip(&form.iv);
    assert_eq!(open(good, &form, &ring), Err(OpenError::Ciphertext));
    let mut form = made.form.clone();
    form.level = "private".into();
    assert_eq!(open(good, &form, &ring), Err(OpenError::Ciphertext));
    let mut form = made.form.clone();
    form.commitment = flip(&form.commitment);
    assert_eq!(open(good, &form, &ring), Err(OpenError::Commitment));
    let mut form = made.form.clone();
    form.recipients[0].wrapped = flip(&form.recipients[0].wrapped);
    assert_eq!(open(good, &form, &ring), Err(OpenError::Wrap));
    let mut form = made.form.clone();
    let mut bytes = STANDARD.decode(&form.encrypted).unwrap();
    bytes.truncate(bytes.len() - 16);
    form.encrypted = STANDARD.encode(bytes);
    assert_eq!(open(good, &form, &ring), Err(OpenError::Ciphertext));

    let other_soul = Soul::new("0123456789ab:other").unwrap();
    let moved = Place {
        soul: &other_soul,
        ..good
    };
    assert_eq!(open(moved, &made.form, &ring), Err(OpenError::Wrap));
    let retyped = Place {
        record_type: "notes",
        ..good
    };
    assert_eq!(open(retyped, &made.form, &ring), Err(OpenError::Ciphertext));
    let later = Stamp::from_ms(NOW_MS + 1);
    let redated = Place {
        indexed_at: &later,
        ..good
    };
    assert_eq!(open(redated, &made.form, &ring), Err(OpenError::Wrap));
    let other = CreatorKey::ed25519([8; 32]).unwrap();
    let claimed = Place {
        creator: other.creator(),
        ..good
    };
    assert_eq!(open(claimed, &made.form, &ring), Err(OpenError::Ciphertext));
}

#[test]
fn a_wrap_made_for_one_reader_does_not_open_under_anothers_name() {
    let made = made(&[2, 3]);
    let mut form = made.form.clone();
    let (two, three) = (
        form.recipients[0].key.clone(),
        form.recipients[1].key.clone(),
    );
    form.recipients[0].key = three;
    form.recipients[1].key = two;
    assert_eq!(open(made.place(), &form, &ring(2)), Err(OpenError::Wrap));
}

#[test]
fn a_kind_of_wrap_that_is_not_known_is_named() {
    let made = made(&[2]);
    let mut form = made.form.clone();
    form.recipients[0].kem = "X-Wing".into();
    assert_eq!(open(made.place(), &form, &ring(2)), Err(OpenError::Wrap));
}

#[test]
fn what_the_creator_did_not_sign_is_not_shown() {
    // One who may read seals other data, with the signature that he read.
    let made = made(&[2]);
    let signature = made.draft.sign_content(&creator()).unwrap();
    let to = [reader(2).public().clone()];
    let mut random = Seeded([8; 32]);
    let other = json!({"basic": {"name": "Another"}});
    let form = seal(made.place(), "shared", &other, &signature, &to, &mut random).unwrap();
    assert_eq!(
        open(made.place(), &form, &ring(2)),
        Err(OpenError::InnerSignature)
    );
    for content in [json!([]), json!("x"), json!({}), json!({"a": 1})] {
        let form = seal(made.place(), "shared", &content, "", &to, &mut random).unwrap();
        assert_eq!(
            open(made.place(), &form, &ring(2)),
            Err(OpenError::Content),
            "{content}"
        );
    }
}

#[test]
fn a_reader_cannot_publish_the_content_as_public() {
    // The signature inside is of another domain than a public record's.
    let made = made(&[2]);
    let signature = made.draft.sign_content(&creator()).unwrap();
    let public = publish::build(
        &Submission {
            record_type: "post".into(),
            local_id: Some("note-1".into()),
            data: json!({"basic": {"name": "x"}}),
            params: Map::new(),
        },
        &Context {
            key: &creator(),
            now_ms: NOW_MS,
            newest_known: None,
            random: [9; 16],
            existing: None,
        },
    )
    .unwrap();
    let mut forged = public.clone();
    let mut oip: Value = serde_json::from_str(&forged.oip_text).unwrap();
    oip["signature"] = json!(signature);
    oip["level"] = json!("public");
    forged.oip_text = oip.to_string();
    forged.data_text = Some(json!({"basic": {"name": "Night watch"}}).to_string());
    assert_eq!(judge(&forged), Err(Reject::BadSignature));
}

#[test]
fn a_stripped_or_changed_outer_signature_is_refused() {
    let made = made(&[2]);
    let altered = |change: &dyn Fn(&mut Value, &mut Value)| {
        let mut built = made.built.clone();
        let mut oip: Value = serde_json::from_str(&built.oip_text).unwrap();
        let mut data: Value = serde_json::from_str(built.data_text.as_deref().unwrap()).unwrap();
        change(&mut oip, &mut data);
        built.oip_text = oip.to_string();
        built.data_text = Some(data.to_string());
        judge(&built).unwrap_err()
    };
    let gone = |name: &'static str| {
        move |oip: &mut Value, _: &mut Value| {
            oip.as_object_mut().unwrap().shift_remove(name);
        }
    };
    assert_eq!(altered(&gone("signature")), Reject::BadMember("signature"));
    assert_eq!(altered(&gone("scheme")), Reject::Sealed);
    for (member, value) in [
        ("recordType", json!("notes")),
        ("indexedAt", json!("2026-01-20T10:00:00.001Z")),
    ] {
        assert_eq!(
            altered(&|oip, _| oip[member] = value.clone()),
            Reject::BadSignature
        );
    }
    assert_eq!(
        altered(&|_, data| data["seal"]["revision"] = json!(1)),
        Reject::BadSignature
    );
    assert_eq!(
        altered(&|_, data| data["seal"]["level"] = json!("private")),
        Reject::BadSignature
    );
    let twice = |_: &mut Value, data: &mut Value| {
        let list = data["seal"]["recipients"].as_array_mut().unwrap();
        let mut one = list[0].clone();
        one["key"] = json!("0000000000000000");
        list.push(one);
    };
    assert_eq!(altered(&twice), Reject::BadSignature);
}

#[test]
fn a_share_adds_a_wrap_and_keeps_the_rest() {
    let made = made(&[2]);
    let more = [reader(3).public().clone(), reader(2).public().clone()];
    let mut random = Seeded([5; 32]);
    let shared = share(made.place(), &made.form, &ring(2), &more, &mut random)
        .unwrap()
        .unwrap();
    assert_eq!((shared.revision, shared.recipients.len()), (1, 2));
    assert_eq!(shared.recipients[0], made.form.recipients[0]);
    assert_eq!(shared.encrypted, made.form.encrypted);
    assert_eq!(open(made.place(), &shared, &ring(3)).unwrap().data, data());
    let built = publish::sealed_version(
        &made.draft.soul,
        "post",
        &made.draft.creator,
        &made.draft.stamp,
        &shared,
        &creator(),
    )
    .unwrap();
    assert!(judge(&built).unwrap().order > made.built.order);
    // Nothing to add, nothing new; and who can't read can't share.
    let again = share(made.place(), &shared, &ring(2), &more, &mut random);
    assert_eq!(again, Ok(None));
    let outsider = share(made.place(), &shared, &ring(4), &more, &mut random);
    assert_eq!(outsider, Err(ShareError::Open(OpenError::NotARecipient)));
}

#[test]
fn recipients_are_at_least_one_and_bounded() {
    let made = made(&[2]);
    let mut random = Seeded([5; 32]);
    let none = seal(made.place(), "shared", &data(), "", &[], &mut random);
    assert_eq!(none, Err(SealError::NoRecipient));
    let twice = [reader(2).public().clone(), reader(2).public().clone()];
    let form = seal(made.place(), "shared", &data(), "", &twice, &mut random).unwrap();
    assert_eq!(form.recipients.len(), 1);
}

#[test]
fn sizes_stay_within_what_is_promised() {
    let inner = 2 * (STANDARD.encode([0; 64]).len());
    for readers in [&[2][..], &[2, 3, 4, 5]] {
        let made = made(readers);
        let plain = made.draft.data.to_string().len();
        let padded = padme::padded(plain + inner);
        let base64 = padded.div_ceil(3) * 4;
        let whole = made.built.data_text.as_ref().unwrap().len();
        let each = {
            let one = json!(&made.form.to_value()["seal"]["recipients"][0]).to_string();
            // As a GUN value the text is quoted once more.
            one.len() + one.matches('"').count() + 1
        };
        assert!(each <= 200, "{each} bytes a recipient");
        let rest = whole - base64 - each * readers.len();
        assert!(
            rest <= 450,
            "{rest} bytes apart from content and recipients"
        );
    }
}

#[test]
fn a_number_comes_back_as_the_same_number_in_its_shortest_form() {
    let numbers = [
        (json!(0.0), "0"),
        (json!(-0.0), "0"),
        (json!(1.0), "1"),
        (json!(-250.0), "-250"),
        (json!(0.1), "0.1"),
        (json!(1e21), "1e+21"),
        (json!(5e-324), "5e-324"),
        (json!(f64::MAX), "1.7976931348623157e+308"),
        (json!(9_007_199_254_740_991_u64), "9007199254740991"),
    ];
    let list: Vec<Value> = numbers.iter().map(|(number, _)| number.clone()).collect();
    let made = made_with(&creator(), json!({"basic": {"numbers": list}}), &[2]);
    let opened = open(made.place(), &made.form, &ring(2)).unwrap();
    let shown = opened.data["basic"]["numbers"].as_array().unwrap();
    for ((number, text), shown) in numbers.iter().zip(shown) {
        // Equal, as every reader compares numbers who knows doubles; -0 is 0 to them.
        assert_eq!(shown.as_f64(), number.as_f64(), "{number}");
        let written = oip_record::canonical::canonical(shown);
        assert_eq!(written, text.as_bytes(), "{number}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_data_comes_back_as_it_was(name in "\\PC*", number in any::<f64>(), list in prop::collection::vec("\\PC*", 0..4)) {
        prop_assume!(number.is_finite());
        let data = json!({"basic": {"name": name, "n": number, "list": list}});
        let made = made_with(&creator(), data.clone(), &[2]);
        // Canonical JSON writes one zero and no `.0`, as every JavaScript reader would have it.
        let opened = open(made.place(), &made.form, &ring(2)).unwrap().data;
        prop_assert_eq!(canonical(&opened), canonical(&data));
    }

    #[test]
    fn a_flipped_bit_anywhere_in_the_form_is_noticed(at in any::<prop::sample::Index>(), bit in 0..7_u8) {
        let made = made(&[2]);
        let mut text = made.built.data_text.clone().unwrap().into_bytes();
        let at = at.index(text.len());
        text[at] ^= 1 << bit;
        let mut built = made.built.clone();
        if let Ok(text) = String::from_utf8(text) {
            built.data_text = Some(text);
            prop_assert!(judge(&built).is_err());
        }
    }
}

/// The folder of our own vectors.
const VECTORS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../testdata/vectors/own/sealed.json"
);

/// Records with all that is needed to open them, for readers written elsewhere.
fn vectors() -> Value {
    let wallet = include_str!("../../../../testdata/vectors/own/throw-away-wallet.json");
    let keys = [
        ("ed25519", creator()),
        ("p256", CreatorKey::p256([2; 32]).unwrap()),
        ("secp256k1", CreatorKey::secp256k1([3; 32]).unwrap()),
        ("rsa", CreatorKey::from_file_json(wallet).unwrap()),
    ];
    let records: Vec<Value> = keys
        .iter()
        .map(|(name, key)| {
            let made = made_with(key, data(), &[2, 3]);
            json!({
                "creatorKind": name,
                "soul": made.built.soul.as_str(),
                "data": made.built.data_text,
                "oip": made.built.oip_text,
                "opened": made.draft.data,
            })
        })
        .collect();
    let readers: Vec<Value> = [2, 3]
        .map(|seed| serde_json::from_str(&KeyRing::new(reader(seed)).to_file_json()).unwrap())
        .map(|ring: Value| ring["current"].clone())
        .into();
    json!({
        "note": "Sealed records (oip-sealed-1) as they lie in the graph: `data` and `oip` are texts. `readers` are private JWKs, each a recipient of every record; `opened` is what is inside. Throw-away keys.",
        "readers": readers,
        "records": records,
    })
}

#[test]
fn the_vectors_are_what_this_code_opens() {
    if std::env::var_os("OIP_WRITE_VECTORS").is_some() {
        let made = serde_json::to_string_pretty(&vectors()).unwrap() + "\n";
        std::fs::write(VECTORS, made).unwrap();
    }
    let text = std::fs::read_to_string(VECTORS).unwrap();
    let file: Value = serde_json::from_str(&text).unwrap();
    let records = file["records"].as_array().unwrap();
    assert_eq!(records.len(), 4);
    for record in records {
        let soul = Soul::new(record["soul"].as_str().unwrap()).unwrap();
        let raw = Raw {
            data_text: record["data"].as_str().map(str::to_owned),
            oip_text: record["oip"].as_str().unwrap().to_owned(),
            origin: oip_record::read::TextOrigin::Stored,
            unity: oip_record::read::Unity::SamePut,
            meta: Map::new(),
        };
        let accepted = verify::accept(&soul, raw, SignaturePolicy::Require, NOW_MS).unwrap();
        let stamp = accepted.indexed_at.clone().unwrap();
        let place = Place {
            soul: &soul,
            record_type: &accepted.record_type,
            indexed_at: &stamp,
            creator: &accepted.creator,
        };
        for jwk in file["readers"].as_array().unwrap() {
            let ring = KeyRing::new(EncryptionKey::from_text(&jwk.to_string()).unwrap());
            let opened = open(place, accepted.sealed().unwrap(), &ring).unwrap();
            assert_eq!(opened.data, record["opened"]);
        }
    }
}
