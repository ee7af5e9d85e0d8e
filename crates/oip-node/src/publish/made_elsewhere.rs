//! Records that a client made and signed by itself: sealed ones, of which this node sees ciphertext unless it is a
//! recipient, and those by which users name their encryption keys.
//!
//! Owns that their signatures hold and that they are newer than what is held. Whose token the request had is of no
//! account: the signature tells who made them.

use gun::Soul;
use oip_record::publish::Built;
use oip_record::read::{TextOrigin, Unity};
use oip_record::soul::{self, PrefixWidth};
use oip_record::verify::{self, Accepted, SignaturePolicy};
use oip_record::{Did, Raw, Reject, Resolution};
use oip_vault::audit::Action;
use serde_json::Map;

use super::owner::Owner;
use super::private::{PrivateError, event};
use super::{PublishError, Published, Publisher};
use crate::clock;
use crate::statements::{USER_KEY_LOCAL_ID, USER_KEY_TYPE, user_key_of};
use crate::sync::judge::{held_version, signed_ms};

impl Publisher {
    /// Takes a record that its maker sealed himself: this node sees ciphertext, unless it is a recipient.
    pub(crate) async fn publish_sealed(
        &self,
        soul: Soul,
        data: String,
        oip: String,
    ) -> Result<Published, PublishError> {
        let accepted = accept(&soul, data, oip).map_err(PrivateError::Sealed)?;
        if accepted.sealed().is_none() {
            return Err(PrivateError::Sealed(Reject::Sealed).into());
        }
        let (did, document) = (accepted.did.clone(), accepted.document.clone());
        let edited = self
            .keep_made_elsewhere(accepted)
            .await?
            .ok_or(PrivateError::NotNewer)?;
        self.metrics.published.inc();
        let sealed = event(Action::Sealed, &did, "", "client", "sealed by its maker");
        self.audit.note(sealed).await;
        Ok(Published {
            did,
            soul,
            document,
            edited,
            encrypted: true,
        })
    }

    /// Keeps the record by which a user names an encryption key, as if a peer had brought it. One that is held already,
    /// or is older, changes nothing.
    pub(crate) async fn keep_user_key(
        &self,
        did: &Did,
        data: String,
        oip: String,
    ) -> Result<(), PublishError> {
        let refused = |why: &str| PrivateError::UserKey(did.to_string(), why.to_owned());
        let accepted = accept(did.soul(), data, oip)
            .map_err(|reject| refused(&format!("{}: {reject}", reject.label())))?;
        let prefix = soul::prefix(&accepted.creator.public_key, PrefixWidth::Long);
        let place = soul::with_local_id(&prefix, USER_KEY_LOCAL_ID);
        if !place.is_ok_and(|place| place == accepted.soul) {
            return Err(refused("it does not stand where its maker's key belongs").into());
        }
        if accepted.record_type != USER_KEY_TYPE || !accepted.is_public() || accepted.deleted {
            return Err(refused("it is no public record of the type encryptionKey").into());
        }
        if user_key_of(&accepted.document).is_none() {
            return Err(refused("it names no P-256 key").into());
        }
        self.keep_made_elsewhere(accepted).await.map(drop)
    }

    /// Keeps a record that is newer than what is held, and tells whether there was one; `None` if it is not.
    async fn keep_made_elsewhere(&self, accepted: Accepted) -> Result<Option<bool>, PublishError> {
        let soul = accepted.soul.clone();
        let _turn = self.turn(&soul).lock().await;
        let held = self.store.record(&soul)?;
        let claimed = held
            .as_ref()
            .map(|held| held_version(&self.store, held, &accepted))
            .transpose()?;
        let resolved = oip_record::order::resolve(claimed.as_ref(), &accepted.claim());
        if resolved != Resolution::Take {
            return Ok(None);
        }
        let edited = held.as_ref().is_some_and(|row| !row.deleted);
        let text = |text: &str| gun::Value::text(text);
        let key = |name: &'static str| gun::Key::new(name).expect("plain words are names");
        let data = accepted.data_text.as_deref().unwrap_or_default();
        let record = vec![
            (key("data"), text(data)),
            (key("oip"), text(&accepted.oip_text)),
        ];
        let built = Built {
            entries: vec![(soul, record)],
            soul: accepted.soul,
            did: accepted.did,
            record_type: accepted.record_type,
            creator: accepted.creator,
            data_text: accepted.data_text,
            oip_text: accepted.oip_text,
            order: accepted.order,
            deleted: false,
            document: accepted.document,
        };
        match self
            .keep_registered(built, held, &Owner::Anyone, None)
            .await?
        {
            Some(_) => Ok(Some(edited)),
            None => Err(PublishError::Busy),
        }
    }
}

fn accept(soul: &Soul, data: String, oip: String) -> Result<Accepted, Reject> {
    let raw = Raw {
        data_text: Some(data),
        oip_text: oip,
        origin: TextOrigin::Stored,
        unity: Unity::SamePut,
        meta: Map::new(),
    };
    let now_ms = signed_ms(clock::wall_ms());
    verify::accept(soul, raw, SignaturePolicy::Require, now_ms)
}
