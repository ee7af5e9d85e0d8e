//! What this node may open, and for whom: rows of the store as documents with their readers.
//!
//! Owns the ring of encryption keys and the settings on what is opened. Plaintext leaves here for
//! the index and for entitled callers alone; nothing of it is logged or stored.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oip_index::{Access, Readers};
use oip_record::canonical::SCHEME_SEALED;
use oip_record::oip::Oip;
use oip_record::soul::hex;
use oip_record::{
    Accepted, Did, Reject, SealedForm, SignatureClass, Stamp, Verification, arrays, document,
    privacy, verify,
};
use oip_store::{RecordRow, Store};
use oip_vault::access;
use oip_vault::keys::KeyRing;
use oip_vault::seal::{self, OpenError, Place};
use serde_json::{Map, Value};

use crate::config::{ForeignSealed, PrivateConfig, SealedMetadata};
use crate::key_owners;
use crate::soul_mark::soul_mark;
use crate::statements::Name;

pub(crate) mod legacy;

use legacy::Legacy;

/// Longest key text that is a reader token as it is; longer ones (RSA moduli) are hashed.
const TOKEN_CHARS_MAX: usize = 128;

/// Names the form of what [`Vault::fingerprint`] stands for: another one has every record looked at again.
const FINGERPRINT_FORM: u32 = 2;

/// What `oip.privacy` says in the index of a record that others published in clear.
pub const EXPOSED: &str = "exposed";

/// Opens what may be opened.
pub(crate) struct Vault {
    ring: RwLock<Arc<KeyRing>>,
    foreign: ForeignSealed,
    metadata: SealedMetadata,
    legacy: Legacy,
    /// Where hints to the keys of old records lie.
    store: Store,
}

/// A row as what callers see of it.
#[derive(Debug)]
pub(crate) enum Shown {
    /// For everyone.
    Public(Value),
    /// For its readers, and for the node's operator.
    Guarded(Box<Guarded>),
    /// Not opened here.
    Closed {
        /// As it lies on the graph.
        document: Value,
        /// Why it is not opened.
        why: Closed,
    },
}

/// A record that not everyone may see.
#[derive(Debug)]
pub(crate) struct Guarded {
    /// The index form.
    pub document: Value,
    /// Who may see it.
    pub readers: BTreeSet<String>,
    /// The data alone.
    pub data: Value,
    /// The key that opened it; empty where none was needed.
    pub key_id: String,
    /// How it lies in the graph.
    pub lies: Lies,
}

/// How a private record lies in the graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lies {
    /// Sealed.
    Sealed,
    /// In clear, by whoever published it.
    InClear,
    /// Under a scheme of the past.
    Legacy,
}

/// An opened sealed record.
#[derive(Debug)]
pub(crate) struct Opened {
    /// The index form.
    pub document: Value,
    /// Who may see it.
    pub readers: BTreeSet<String>,
    /// The data alone.
    pub data: Value,
    /// The key that opened it.
    pub key_id: String,
    /// The form it came in.
    pub form: SealedForm,
    /// Its `oip`.
    pub oip: Oip,
}

/// Why a private record stays closed here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closed {
    /// The settings say so.
    Setting,
    /// It is for others, or something inside is wrong.
    Open(OpenError),
    /// No key of its old scheme is known.
    NoLegacyKey,
}

impl Closed {
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Setting => "sealed-kept",
            Self::Open(error) => error.label(),
            Self::NoLegacyKey => "no-legacy-key",
        }
    }

    /// Whether the record is at fault, and not just for others.
    pub(crate) fn is_fault(self) -> bool {
        matches!(self, Self::Open(error) if error != OpenError::NotARecipient)
    }
}

impl Vault {
    pub(crate) fn new(ring: KeyRing, private: &PrivateConfig, store: Store) -> Self {
        Self {
            ring: RwLock::new(Arc::new(ring)),
            foreign: private.foreign,
            metadata: private.sealed_metadata,
            legacy: Legacy::new(private.legacy.clone()),
            store,
        }
    }

    /// The ring as it is now.
    pub(crate) fn ring(&self) -> Arc<KeyRing> {
        Arc::clone(&self.ring.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn set_ring(&self, ring: KeyRing) {
        *self.ring.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(ring);
    }

    /// Names what decides which private rows are open: when it changes, they are looked at again.
    pub(crate) fn fingerprint(&self) -> Vec<u8> {
        let ring = self.ring();
        let mut ids: Vec<&str> = std::iter::once(ring.current())
            .chain(ring.retired())
            .map(|key| key.id())
            .collect();
        ids.sort_unstable();
        let text = format!(
            "{FINGERPRINT_FORM} {:?} {:?} {} {}",
            self.foreign,
            self.metadata,
            ids.join(" "),
            self.legacy.fingerprint()
        );
        digest(&SHA256, text.as_bytes()).as_ref().to_vec()
    }

    /// Whether records that others published in clear though they ask for privacy are kept, for those who
    /// may read them.
    pub(crate) fn keeps_exposed(&self) -> bool {
        self.foreign == ForeignSealed::Open
    }

    /// Decodes a row, and opens it if it is private and this node may.
    pub(crate) fn read(&self, row: &RecordRow) -> Result<Shown, Reject> {
        let is_sealed = is_sealed(row);
        let closed = |document, why| Ok(Shown::Closed { document, why });
        let document = crate::document::of_row(row)?;
        let lies = match () {
            () if is_sealed => Lies::Sealed,
            () if verify::is_legacy(&document["data"]) => Lies::Legacy,
            () if asks_for_privacy(&document["data"]) => Lies::InClear,
            () => return Ok(Shown::Public(document)),
        };
        if !row.own && self.foreign == ForeignSealed::Keep {
            return closed(document, Closed::Setting);
        }
        match lies {
            Lies::Sealed => match self.open(row)? {
                Ok(opened) => Ok(Shown::Guarded(Box::new(Guarded {
                    document: opened.document,
                    readers: opened.readers,
                    data: opened.data,
                    key_id: opened.key_id,
                    lies,
                }))),
                Err(error) => closed(document, Closed::Open(error)),
            },
            Lies::Legacy => match self.open_legacy(row, &document["data"])? {
                Some(opened) => Ok(Shown::Guarded(Box::new(opened))),
                None => closed(document, Closed::NoLegacyKey),
            },
            Lies::InClear => Ok(Shown::Guarded(Box::new(in_clear(row, document)?))),
        }
    }

    /// What the index may hold of a record that stays closed: what lies in clear, if that was asked for.
    pub(crate) fn metadata_of(&self, row: &RecordRow) -> Result<Option<Value>, Reject> {
        if self.metadata == SealedMetadata::LeftOut {
            return Ok(None);
        }
        let oip = oip_of(row)?;
        let nothing = Value::Object(Map::new());
        let mut document =
            document::build(&oip, &Did::from_soul(&row.soul), nothing, verified(row));
        document["oip"]["encrypted"] = true.into();
        Ok(Some(document))
    }

    /// Whether a row is closed to this node, and so is in no index.
    pub(crate) fn is_left_out(&self, row: &RecordRow) -> bool {
        self.metadata == SealedMetadata::LeftOut
            && matches!(self.read(row), Ok(Shown::Closed { .. }))
    }

    /// What is known of the signature of a record of an old scheme: it was made before encrypting. `None` if
    /// it can't be opened.
    pub(crate) fn legacy_signature(
        &self,
        accepted: &Accepted,
        meta: &Map<String, Value>,
    ) -> Option<(SignatureClass, Verification)> {
        if self.foreign == ForeignSealed::Keep {
            return None;
        }
        let data: Value = serde_json::from_str(accepted.data_text.as_deref()?).ok()?;
        let creator = &accepted.creator.public_key;
        let found = self.legacy.open(&data, meta, creator)?;
        let oip = Oip::parse(&serde_json::from_str(&accepted.oip_text).ok()?).ok()?;
        Some(verify::opened_signature(&oip, &found.packed))
    }

    /// Opens a row of an old scheme, whatever the settings.
    fn open_legacy(&self, row: &RecordRow, data: &Value) -> Result<Option<Guarded>, Reject> {
        let oip = oip_of(row)?;
        let meta = self.hints(row);
        let Some(found) = self.legacy.open(data, &meta, &oip.creator.public_key) else {
            return Ok(None);
        };
        let (_, verification) = verify::opened_signature(&oip, &found.packed);
        let data = arrays::unpack_heuristic(found.packed);
        let did = Did::from_soul(&row.soul);
        let mut document = document::build(&oip, &did, data.clone(), verification);
        document["oip"]["wasEncrypted"] = true.into();
        note_origin(row, &mut document);
        let mut readers = readers_of_deployed(&data, &oip);
        for name in ["encryptedBy", "encryptedForOrganization"] {
            readers.extend(meta.get(name).and_then(Value::as_str).map(reader_token));
        }
        Ok(Some(Guarded {
            document,
            readers,
            data,
            key_id: found.scheme.to_owned(),
            lies: Lies::Legacy,
        }))
    }

    /// What lay beside a record of an old scheme when it was kept.
    fn hints(&self, row: &RecordRow) -> Map<String, Value> {
        let noted = self.store.cursor(&hints_mark(&row.soul)).ok().flatten();
        noted
            .and_then(|noted| serde_json::from_slice(&noted).ok())
            .unwrap_or_default()
    }

    /// Opens a sealed row, whatever the settings.
    pub(crate) fn open(&self, row: &RecordRow) -> Result<Result<Opened, OpenError>, Reject> {
        let (oip, form) = form_of(row)?;
        let stamp = oip
            .indexed_at
            .clone()
            .ok_or(Reject::BadMember("indexedAt"))?;
        let place = Place {
            soul: &row.soul,
            record_type: &oip.record_type,
            indexed_at: &stamp,
            creator: &oip.creator,
        };
        let opened = match seal::open(place, &form, &self.ring()) {
            Ok(opened) => opened,
            Err(error) => return Ok(Err(error)),
        };
        let did = Did::from_soul(&row.soul);
        let mut document = document::build(&oip, &did, opened.data.clone(), verified(row));
        document["oip"]["wasEncrypted"] = true.into();
        note_origin(row, &mut document);
        Ok(Ok(Opened {
            readers: self.readers_of(row, &opened.data, &oip, &form),
            document,
            data: opened.data,
            key_id: opened.key_id,
            form,
            oip,
        }))
    }

    /// Who may see an opened record: its owner and creator, whom its access control names, whom this node shared it with
    /// later; and once it was shared, whoever has proven to hold a key that it is wrapped for.
    fn readers_of(
        &self,
        row: &RecordRow,
        data: &Value,
        oip: &Oip,
        form: &SealedForm,
    ) -> BTreeSet<String> {
        let mut readers = named_readers(data, oip);
        if form.revision > 0 {
            let shared = key_owners::shared_with(&self.store, row).unwrap_or_default();
            readers.extend(shared.iter().map(|name| reader_token(name)));
            readers.extend(form.recipients.iter().map(|to| key_token(&to.key)));
        }
        readers
    }
}

/// Whether a row holds ciphertext.
pub(crate) fn is_sealed(row: &RecordRow) -> bool {
    // A look at the text first: nearly all rows are public.
    !row.deleted
        && row.oip.contains(SCHEME_SEALED)
        && serde_json::from_str::<Value>(&row.oip).is_ok_and(|oip| oip["scheme"] == SCHEME_SEALED)
}

/// The `oip` and the sealed form of a row that was verified when it was kept.
pub(crate) fn form_of(row: &RecordRow) -> Result<(Oip, SealedForm), Reject> {
    let oip = oip_of(row)?;
    let data = row.data.as_deref().unwrap_or_default();
    let data: Value = serde_json::from_str(data).map_err(|_| Reject::Torn)?;
    Ok((oip, SealedForm::parse(&data)?))
}

/// Owner, creator, and whom its access control names.
fn named_readers(data: &Value, oip: &Oip) -> BTreeSet<String> {
    let wish = access::wish(data);
    let owners = wish.owner.iter().chain([&oip.creator.public_key]);
    let names = owners.chain(&wish.readers);
    names.map(|name| reader_token(name)).collect()
}

/// The same of a record that a deployed node made, which filled in its own key as owner's beside a user's.
fn readers_of_deployed(data: &Value, oip: &Oip) -> BTreeSet<String> {
    let makers = access::wish(data).makers;
    let mut readers = named_readers(data, oip);
    readers.extend(makers.iter().map(|name| reader_token(name)));
    readers
}

/// A record that somebody published in clear though it asks for privacy.
fn in_clear(row: &RecordRow, mut document: Value) -> Result<Guarded, Reject> {
    let oip = oip_of(row)?;
    document["oip"]["privacy"] = EXPOSED.into();
    note_origin(row, &mut document);
    let data = document["data"].clone();
    Ok(Guarded {
        readers: readers_of_deployed(&data, &oip),
        document,
        data,
        key_id: String::new(),
        lies: Lies::InClear,
    })
}

/// Where a record of others came from, and when.
fn note_origin(row: &RecordRow, document: &mut Value) {
    if !row.own {
        document["oip"]["syncedFromNode"] = row.source.clone().into();
        let seen = i64::try_from(row.first_seen_ms).unwrap_or(i64::MAX);
        document["oip"]["syncedAt"] = Stamp::from_ms(seen).as_str().into();
    }
}

fn asks_for_privacy(data: &Value) -> bool {
    privacy::asks_for_privacy(data, &Map::new()).is_some()
}

/// Whether a row holds what asks for privacy, in clear or under a scheme of the past: such records are
/// not passed on, healed or told, only kept for those who may read them.
pub(crate) fn is_exposed(row: &RecordRow) -> bool {
    !row.deleted
        && !is_sealed(row)
        && crate::document::of_row(row).is_ok_and(|document| asks_for_privacy(&document["data"]))
}

/// Whether a row is of an old scheme.
pub(crate) fn is_legacy(row: &RecordRow) -> bool {
    let data = row.data.as_deref().unwrap_or_default();
    !row.deleted
        && data.contains("\"encrypted\"")
        && serde_json::from_str(data).is_ok_and(|data| verify::is_legacy(&data))
}

/// Names what lay beside a record of an old scheme.
pub(crate) fn hints_mark(soul: &gun::Soul) -> String {
    soul_mark("legacy:", soul)
}

fn oip_of(row: &RecordRow) -> Result<Oip, Reject> {
    Oip::parse(&serde_json::from_str(&row.oip).map_err(|_| Reject::NotOip)?)
}

fn verified(row: &RecordRow) -> Verification {
    Verification::from_u8(row.verification).unwrap_or(Verification::Unverified)
}

/// What a key, or an organization's DID, is called among readers: one name however it is spelled.
pub(crate) fn reader_token(name: &str) -> String {
    let is_hex = name.len() == 66 && name.bytes().all(|b| b.is_ascii_hexdigit());
    if is_hex {
        return format!("reader:{}", name.to_ascii_lowercase());
    }
    match URL_SAFE_NO_PAD.decode(name) {
        Ok(point) if point.len() == 33 => format!("reader:{}", hex(&point)),
        _ if name.len() > TOKEN_CHARS_MAX => {
            format!("reader#{}", hex(digest(&SHA256, name.as_bytes()).as_ref()))
        }
        _ => format!("reader:{name}"),
    }
}

/// The ways in which one key may be written, which all have one token.
pub(crate) fn spellings(key: &str) -> Vec<String> {
    let mut all = vec![key.to_owned()];
    if let Some(hex) = reader_token(key).strip_prefix("reader:")
        && let Some(Name::UserKey(base64)) = Name::read(hex)
    {
        all.extend([hex.to_owned(), hex.to_ascii_uppercase(), base64]);
    }
    all.sort_unstable();
    all.dedup();
    all
}

/// What the holder of an encryption key is called among readers.
pub(crate) fn key_token(key_id: &str) -> String {
    format!("key:{key_id}")
}

/// Whether a caller may see what these readers may.
pub(crate) fn may_see(access: &Access, readers: &BTreeSet<String>) -> bool {
    match access {
        Access::Everything => true,
        Access::Readers(brought) => !brought.is_disjoint(readers),
    }
}

/// Readers as the index takes them.
pub(crate) fn for_index(readers: BTreeSet<String>) -> Readers {
    Readers::Only(readers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_key_has_one_token_however_it_is_spelled() {
        let point = [2; 33];
        let hex = hex(&point);
        let tokens = [
            hex.clone(),
            hex.to_uppercase(),
            URL_SAFE_NO_PAD.encode(point),
        ];
        for text in &tokens {
            assert_eq!(reader_token(text), format!("reader:{hex}"));
            let spelled = spellings(text);
            assert!(
                tokens.iter().all(|other| spelled.contains(other)),
                "{spelled:?}"
            );
        }
        assert_eq!(spellings("alias"), ["alias"]);
        assert_eq!(reader_token("did:gun:x:y"), "reader:did:gun:x:y");
        assert!(reader_token(&"n".repeat(683)).len() < 256);
    }

    #[test]
    fn only_who_is_named_may_see() {
        let readers = BTreeSet::from(["reader:a".to_owned()]);
        let brings =
            |tokens: &[&str]| Access::Readers(tokens.iter().map(|t| (*t).to_owned()).collect());
        assert!(may_see(&Access::Everything, &readers));
        assert!(may_see(&brings(&["reader:a", "reader:b"]), &readers));
        for access in [brings(&[]), brings(&["reader:b"]), Access::public()] {
            assert!(!may_see(&access, &readers));
        }
    }
}
