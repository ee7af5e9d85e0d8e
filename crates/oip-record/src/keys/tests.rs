//! Keys, addresses and signatures, against vectors of others where there are any.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RSA_PSS_SHA256, RsaKeyPair, RsaPssSaltLength};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use num_bigint::BigUint;
use serde_json::{Value, json};

use super::*;
use crate::creator::Creator;
use crate::fixtures::{every_key, wallet};

fn deployed_vector() -> Value {
    let file = include_str!("../../../../testdata/vectors/oip/signature-vector.json");
    serde_json::from_str(file).unwrap()
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap()
}

#[test]
fn the_deployed_signature_verifies_and_changed_data_does_not() {
    let vector = deployed_vector();
    let creator = Creator {
        did_address: text(&vector, "didAddress").into(),
        public_key: text(&vector, "publicKey_n").into(),
    };
    let (message, signature) = (
        text(&vector, "signedMessageUtf8"),
        text(&vector, "signatureBase64Standard"),
    );
    verify_deployed(&creator, message, signature).unwrap();
    let changed = message.replace("Vector", "Sector");
    assert_eq!(
        verify_deployed(&creator, &changed, signature),
        Err(SignatureError::Mismatch)
    );
    let spaced = format!("{message} ");
    assert_eq!(
        verify_deployed(&creator, &spaced, signature),
        Err(SignatureError::Mismatch)
    );
    let mut bytes = STANDARD.decode(signature).unwrap();
    bytes[100] ^= 1;
    let flipped = STANDARD.encode(&bytes);
    assert_eq!(
        verify_deployed(&creator, message, &flipped),
        Err(SignatureError::Mismatch)
    );
    assert_eq!(
        crate::soul::prefix(&creator.public_key, crate::soul::PrefixWidth::Deployed),
        text(&vector, "soulPrefix")
    );
}

#[test]
fn every_known_salt_length_verifies_and_others_do_not() {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let public = aws_lc_rs::signature::RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
    let key = PublicKey::Rsa(public.n);
    let sign = |encoding: &'static _| {
        let mut signature = vec![0; 256];
        pair.sign(encoding, &SystemRandom::new(), b"text", &mut signature)
            .unwrap();
        STANDARD.encode(signature)
    };
    let max = sign(&const { RSA_PSS_SHA256.with_pss_salt_length(RsaPssSaltLength::Max) });
    let none = sign(&const { RSA_PSS_SHA256.with_pss_salt_length(RsaPssSaltLength::Custom(0)) });
    let odd = sign(&const { RSA_PSS_SHA256.with_pss_salt_length(RsaPssSaltLength::Custom(20)) });
    for signature in [sign(&RSA_PSS_SHA256), max, none] {
        key.verify(b"text", &signature).unwrap();
        assert_eq!(
            key.verify(b"test", &signature),
            Err(SignatureError::Mismatch)
        );
    }
    assert_eq!(key.verify(b"text", &odd), Err(SignatureError::Mismatch));
}

#[test]
fn every_kind_of_key_signs_what_it_verifies() {
    let keys = every_key();
    for key in &keys {
        let signature = key.sign(b"message").unwrap();
        verify(key.creator(), b"message", &signature).unwrap();
        assert_eq!(
            verify(key.creator(), b"massage", &signature),
            Err(SignatureError::Mismatch)
        );
        for other in keys.iter().filter(|other| other.creator() != key.creator()) {
            assert!(verify(other.creator(), b"message", &signature).is_err());
        }
    }
}

#[test]
fn only_a_wallet_has_deployed_signatures() {
    for key in every_key() {
        let signature = key.sign(b"{}").unwrap();
        let is_wallet = key.creator().did_address.starts_with("did:arweave:");
        assert_eq!(
            verify_deployed(key.creator(), "{}", &signature).is_ok(),
            is_wallet
        );
    }
}

#[test]
fn an_address_that_is_not_its_keys_verifies_nothing() {
    let [one, other, ..] = every_key();
    let swapped = Creator {
        did_address: other.creator().did_address.clone(),
        public_key: one.creator().public_key.clone(),
    };
    assert_eq!(PublicKey::of_creator(&swapped), None);
    let signature = one.sign(b"message").unwrap();
    assert_eq!(
        verify(&swapped, b"message", &signature),
        Err(SignatureError::Mismatch)
    );
    for public_key in [
        "",
        "PK",
        "not base64!",
        &format!("{}=", one.creator().public_key),
    ] {
        let creator = Creator {
            public_key: public_key.into(),
            ..one.creator().clone()
        };
        assert_eq!(PublicKey::of_creator(&creator), None, "{public_key}");
    }
}

#[test]
fn addresses_are_those_of_the_did_key_method() {
    let ed25519 = CreatorKey::ed25519([0; 32]).unwrap();
    assert_eq!(
        ed25519.creator().did_address,
        "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp"
    );
    let seed = "9085d2bef69286a6cbb51623c8fa258629945cd55ca705cc4e66700396894e0c";
    let seed = BigUint::parse_bytes(seed.as_bytes(), 16)
        .unwrap()
        .to_bytes_be();
    let secp256k1 = CreatorKey::secp256k1(seed.try_into().unwrap()).unwrap();
    assert_eq!(
        secp256k1.creator().did_address,
        "did:key:zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBme"
    );
    let x = URL_SAFE_NO_PAD
        .decode("igrFmi0whuihKnj9R3Om1SoMph72wUGeFaBbzG2vzns")
        .unwrap();
    let p256 = PublicKey::P256([&[3], x.as_slice()].concat().try_into().unwrap());
    assert_eq!(
        p256.did_address(),
        "did:key:zDnaerx9CtbPJ1q36T5Ln5wYt3MQYeGRG5ehnPAmxcf5mDZpv"
    );
    for key in every_key() {
        let public = PublicKey::of_creator(key.creator()).unwrap();
        assert_eq!(public.creator(), *key.creator());
    }
}

#[test]
fn ecdsa_signatures_are_low_s_and_their_twins_are_refused() {
    let [_, p256, secp256k1, _] = every_key();
    for (key, order) in [(p256, pair::P256_ORDER), (secp256k1, pair::SECP256K1_ORDER)] {
        for round in 0..32_u8 {
            let signature = key.sign(&[round]).unwrap();
            let mut bytes = STANDARD.decode(&signature).unwrap();
            assert!(pair::is_low_s(&bytes, &order));
            let s = BigUint::from_bytes_be(&bytes[32..]);
            let twin = (BigUint::from_bytes_be(&order) - s).to_bytes_be();
            bytes[32..].copy_from_slice(&twin);
            let error = verify(key.creator(), &[round], &STANDARD.encode(&bytes)).unwrap_err();
            assert_eq!(error, SignatureError::HighS);
            assert_eq!(error.to_string(), "the signature is not in low-S form");
        }
    }
}

#[test]
fn making_low_s_keeps_the_length() {
    for order in [pair::P256_ORDER, pair::SECP256K1_ORDER] {
        // s = n - 1 becomes 1, with 31 leading zeros.
        let mut signature = [7; 64];
        signature[32..].copy_from_slice(&order);
        signature[63] -= 1;
        pair::make_low_s(&mut signature, &order);
        assert_eq!(signature[..32], [7; 32]);
        assert_eq!(signature[32..63], [0; 31]);
        assert_eq!(signature[63], 1);
    }
}

#[test]
fn malformed_signatures_are_told_apart() {
    for key in every_key() {
        let good = STANDARD.decode(key.sign(b"m").unwrap()).unwrap();
        let check = |signature: &str| verify(key.creator(), b"m", signature);
        assert_eq!(check("***"), Err(SignatureError::Encoding));
        assert_eq!(
            check(&URL_SAFE_NO_PAD.encode([255; 65])),
            Err(SignatureError::Encoding)
        );
        assert_eq!(check(""), Err(SignatureError::Length));
        assert_eq!(
            check(&STANDARD.encode(&good[1..])),
            Err(SignatureError::Length)
        );
        assert_eq!(
            check(&STANDARD.encode([good.as_slice(), &[0]].concat())),
            Err(SignatureError::Length)
        );
        assert!(check(&STANDARD.encode(vec![0; good.len()])).is_err());
    }
}

#[test]
fn deterministic_schemes_sign_alike_twice() {
    let [ed25519, _, secp256k1, _] = every_key();
    for key in [ed25519, secp256k1] {
        assert_eq!(key.sign(b"m").unwrap(), key.sign(b"m").unwrap());
    }
}

#[test]
fn a_key_file_brings_the_same_key_back() {
    for key in every_key() {
        let again = CreatorKey::from_file_json(&key.to_file_json()).unwrap();
        assert_eq!(again.creator(), key.creator());
        assert_eq!(again.soul_prefix(), key.soul_prefix());
        verify(key.creator(), b"m", &again.sign(b"m").unwrap()).unwrap();
    }
}

#[test]
fn each_fault_of_a_key_file_is_named() {
    let file = |key: &CreatorKey| serde_json::from_str::<Value>(&key.to_file_json()).unwrap();
    let faulty = |mut jwk: Value, name: &str, member: Value| {
        jwk[name] = member;
        CreatorKey::from_jwk(&jwk).unwrap_err()
    };
    let [ed25519, p256, secp256k1, rsa] = every_key();
    assert_eq!(
        CreatorKey::from_file_json("{").unwrap_err(),
        KeyError::NotJson
    );
    for jwk in [
        json!({}),
        json!([]),
        json!({"kty": "oct"}),
        json!({"kty": "EC", "crv": "P-384"}),
    ] {
        let error = CreatorKey::from_jwk(&jwk).unwrap_err();
        assert_eq!(error, KeyError::UnknownKind);
        assert_eq!(
            error.to_string(),
            "the key is of no known kind: use an RSA, Ed25519, P-256 or secp256k1 JWK"
        );
    }
    for key in [&ed25519, &p256, &secp256k1] {
        assert_eq!(faulty(file(key), "d", Value::Null), KeyError::Member("d"));
        assert_eq!(faulty(file(key), "d", "AAAA".into()), KeyError::Member("d"));
        assert_eq!(faulty(file(key), "x", "AAAA".into()), KeyError::Invalid);
    }
    for member in ["n", "e", "d", "p", "q", "dp", "dq", "qi"] {
        assert_eq!(
            faulty(file(&rsa), member, Value::Null),
            KeyError::Member(member)
        );
    }
    assert_eq!(faulty(file(&rsa), "e", "Aw".into()), KeyError::Exponent);
    assert_eq!(faulty(file(&rsa), "dp", "Aw".into()), KeyError::Invalid);
    assert_eq!(CreatorKey::p256([0; 32]).unwrap_err(), KeyError::Invalid);
    assert_eq!(CreatorKey::p256([255; 32]).unwrap_err(), KeyError::Invalid);
    assert_eq!(
        CreatorKey::secp256k1([0; 32]).unwrap_err(),
        KeyError::Invalid
    );
    assert_eq!(
        NodeIdentity::from_scalar([255; 32]).unwrap_err(),
        KeyError::Invalid
    );
}

#[test]
fn printing_a_key_shows_nothing_private() {
    for key in every_key() {
        let jwk: Value = serde_json::from_str(&key.to_file_json()).unwrap();
        let shown = format!("{key:?}");
        assert!(!shown.contains(text(&jwk, "d")) && shown.contains(&key.creator().did_address));
    }
    let identity = NodeIdentity::from_scalar([4; 32]).unwrap();
    let file: Value = serde_json::from_str(&identity.to_file_json()).unwrap();
    assert!(!format!("{identity:?}").contains(text(&file, "priv")));
}

#[test]
fn a_node_identity_is_a_sea_pair() {
    let file = include_str!("../../../../testdata/vectors/gun/51-sea-vectors.json");
    let vectors: Value = serde_json::from_str(file).unwrap();
    let pair = &vectors["alice"];
    let identity = NodeIdentity::from_file_json(&pair.to_string()).unwrap();
    assert_eq!(identity.public(), text(pair, "pub"));
    let again = NodeIdentity::from_file_json(&identity.to_file_json()).unwrap();
    assert_eq!(again, identity);
    assert_eq!(identity.node_id().len(), 32);

    let mut foreign = pair.clone();
    foreign["pub"] = NodeIdentity::from_scalar([4; 32]).unwrap().public().into();
    let read = |value: &Value| NodeIdentity::from_file_json(&value.to_string()).unwrap_err();
    assert_eq!(read(&foreign), KeyError::Invalid);
    assert_eq!(read(&json!({"pub": "x"})), KeyError::Member("priv"));
    assert_eq!(read(&json!({"priv": "x"})), KeyError::Member("pub"));
    assert_eq!(
        NodeIdentity::from_file_json("").unwrap_err(),
        KeyError::NotJson
    );
}

#[test]
fn the_node_id_is_a_hash_of_the_public_text() {
    let identity = NodeIdentity::from_scalar([4; 32]).unwrap();
    let hash = crate::canonical::digest_of(identity.public().as_bytes());
    assert_eq!(identity.node_id(), crate::soul::hex(&hash)[..32]);
}

#[test]
fn a_wallets_address_is_the_hash_of_its_modulus() {
    let key = wallet();
    let modulus = URL_SAFE_NO_PAD.decode(&key.creator().public_key).unwrap();
    let hash = crate::canonical::digest_of(&modulus);
    assert_eq!(
        key.creator().did_address,
        format!("did:arweave:{}", URL_SAFE_NO_PAD.encode(hash))
    );
}
