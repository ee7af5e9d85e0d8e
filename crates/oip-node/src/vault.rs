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
use oip_record::{Did, Reject, SealedForm, Stamp, Verification, document};
use oip_store::RecordRow;
use oip_vault::access;
use oip_vault::keys::KeyRing;
use oip_vault::seal::{self, OpenError, Place};
use serde_json::Value;

use crate::config::ForeignSealed;

/// Longest key text that is a reader token as it is; longer ones (RSA moduli) are hashed.
const TOKEN_CHARS_MAX: usize = 128;

/// Opens what may be opened.
pub(crate) struct Vault {
    ring: RwLock<Arc<KeyRing>>,
    foreign: ForeignSealed,
}

/// A row as what callers see of it.
#[derive(Debug)]
pub(crate) enum Shown {
    /// For everyone.
    Public(Value),
    /// For its readers, and for the node's operator.
    Opened(Box<Opened>),
    /// Ciphertext to this node.
    Sealed {
        /// As it lies on the graph.
        document: Value,
        /// Why it is not opened.
        why: Closed,
    },
}

/// An opened record.
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

/// Why a sealed record stays closed here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closed {
    /// The settings say so.
    Setting,
    /// It is for others, or something inside is wrong.
    Open(OpenError),
}

impl Closed {
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Setting => "sealed-kept",
            Self::Open(error) => error.label(),
        }
    }

    /// Whether the record is at fault, and not just for others.
    pub(crate) fn is_fault(self) -> bool {
        !matches!(self, Self::Setting | Self::Open(OpenError::NotARecipient))
    }
}

impl Vault {
    pub(crate) fn new(ring: KeyRing, foreign: ForeignSealed) -> Self {
        Self {
            ring: RwLock::new(Arc::new(ring)),
            foreign,
        }
    }

    /// The ring as it is now.
    pub(crate) fn ring(&self) -> Arc<KeyRing> {
        Arc::clone(&self.ring.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn set_ring(&self, ring: KeyRing) {
        *self.ring.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(ring);
    }

    /// Names what decides which sealed rows are open: when it changes, they are looked at again.
    pub(crate) fn fingerprint(&self) -> Vec<u8> {
        let ring = self.ring();
        let mut ids: Vec<&str> = std::iter::once(ring.current())
            .chain(ring.retired())
            .map(|key| key.id())
            .collect();
        ids.sort_unstable();
        let text = format!("{:?} {}", self.foreign, ids.join(" "));
        digest(&SHA256, text.as_bytes()).as_ref().to_vec()
    }

    /// Decodes a row, and opens it if it is sealed and this node may.
    pub(crate) fn read(&self, row: &RecordRow) -> Result<Shown, Reject> {
        if !is_sealed(row) {
            return crate::document::of_row(row).map(Shown::Public);
        }
        let closed = |why| {
            Ok(Shown::Sealed {
                document: crate::document::of_row(row)?,
                why,
            })
        };
        if !row.own && self.foreign == ForeignSealed::Keep {
            return closed(Closed::Setting);
        }
        match self.open(row)? {
            Ok(opened) => Ok(Shown::Opened(Box::new(opened))),
            Err(error) => closed(Closed::Open(error)),
        }
    }

    /// Whether a row is ciphertext to this node, and so is in no index.
    pub(crate) fn is_closed(&self, row: &RecordRow) -> bool {
        is_sealed(row) && !matches!(self.read(row), Ok(Shown::Opened(_)))
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
        let verification =
            Verification::from_u8(row.verification).unwrap_or(Verification::Unverified);
        let mut document = document::build(&oip, &did, opened.data.clone(), verification);
        document["oip"]["wasEncrypted"] = true.into();
        if !row.own {
            document["oip"]["syncedFromNode"] = row.source.clone().into();
            let seen = i64::try_from(row.first_seen_ms).unwrap_or(i64::MAX);
            document["oip"]["syncedAt"] = Stamp::from_ms(seen).as_str().into();
        }
        Ok(Ok(Opened {
            readers: readers_of(&opened.data, &oip, &form),
            document,
            data: opened.data,
            key_id: opened.key_id,
            form,
            oip,
        }))
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
    let oip = Oip::parse(&serde_json::from_str(&row.oip).map_err(|_| Reject::NotOip)?)?;
    let data = row.data.as_deref().unwrap_or_default();
    let data: Value = serde_json::from_str(data).map_err(|_| Reject::Torn)?;
    Ok((oip, SealedForm::parse(&data)?))
}

/// Who may see an opened record: its owner and creator, whom its access control names, and once it
/// was shared, whoever holds a key that it is wrapped for.
fn readers_of(data: &Value, oip: &Oip, form: &SealedForm) -> BTreeSet<String> {
    let wish = access::wish(data);
    let owners = wish.owner.iter().chain([&oip.creator.public_key]);
    let mut readers: BTreeSet<String> = owners
        .chain(&wish.readers)
        .map(|name| reader_token(name))
        .collect();
    if form.revision > 0 {
        readers.extend(form.recipients.iter().map(|to| key_token(&to.key)));
    }
    readers
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
        }
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
