//! The sealed form: what is read is written and read again as the same, and nothing that was not made
//! for a key opens with it.

use gun::Soul;
use oip_record::{Creator, SealedForm, Stamp};
use oip_vault::keys::{EncryptionKey, KeyRing};
use oip_vault::seal::{self, OpenError, Place};
use oip_vault::{access, legacy};
use serde_json::Value;

/// The JSON text of a record's `data`.
///
/// # Panics
/// Where a rule does not hold.
pub fn sealed(input: &str) {
    let Ok(data) = serde_json::from_str::<Value>(input) else {
        return;
    };
    // Neither may panic, whatever it makes of it.
    let _ = access::wish(&data);
    for scheme in legacy::candidates(&data, "AQ") {
        let _ = legacy::fits(&data, &scheme);
        let _ = legacy::open(&data, &scheme, &[0; 32]);
    }
    let Ok(form) = SealedForm::parse(&data) else {
        return;
    };
    assert!(form.level != "public", "a sealed form is never public");
    assert_eq!(
        SealedForm::parse(&form.to_value()).as_ref(),
        Ok(&form),
        "read again"
    );
    let soul = Soul::new("0123456789ab:x").expect("a plain name");
    let creator = Creator {
        did_address: "did:key:z1".to_owned(),
        public_key: "AQ".to_owned(),
    };
    let stamp = Stamp::from_ms(0);
    let place = Place {
        soul: &soul,
        record_type: "post",
        indexed_at: &stamp,
        creator: &creator,
    };
    let key = EncryptionKey::from_scalar([2; 32]).expect("within the group's order");
    let opened = seal::open(place, &form, &KeyRing::new(key));
    assert!(
        matches!(opened, Err(OpenError::NotARecipient | OpenError::Wrap)),
        "nothing was sealed for this place"
    );
}
