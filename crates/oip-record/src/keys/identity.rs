//! The node's own identity: a SEA signing pair (P-256), in GUN's form.

use super::KeyError;

/// A SEA pair: `pub` is base64url(x) + "." + base64url(y), `priv` is base64url(d).
pub struct NodeIdentity {
    public: String,
    private: String,
}

impl NodeIdentity {
    /// A pair from 32 random bytes.
    ///
    /// # Errors
    /// [`KeyError::Invalid`] for the few scalars out of range: draw again.
    pub fn from_scalar(scalar: [u8; 32]) -> Result<Self, KeyError> {
        unimplemented!()
    }

    /// The `pub` text.
    #[must_use]
    pub fn public(&self) -> &str {
        &self.public
    }

    /// The first 32 hex digits of SHA-256 over the `pub` text.
    #[must_use]
    pub fn node_id(&self) -> String {
        unimplemented!()
    }

    /// `{"pub":…,"priv":…}`, to be kept in a file of mode 0600.
    #[must_use]
    pub fn to_file_json(&self) -> String {
        unimplemented!()
    }

    /// Reads [`NodeIdentity::to_file_json`] back; the halves must belong together.
    ///
    /// # Errors
    /// [`KeyError`] names the fault.
    pub fn from_file_json(text: &str) -> Result<Self, KeyError> {
        unimplemented!()
    }
}
