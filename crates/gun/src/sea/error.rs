//! Why a function for applications could not do its work.

/// Why a function for applications failed. What a relay refuses is a [`crate::wire::Reject`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SeaError {
    /// Not 32 bytes in base64url without padding, or not a number below the order of the group.
    #[error("the private key can't be used: give `priv` or `epriv` of a SEA pair")]
    PrivateKey,
    /// Not two coordinates of a point, in base64url without padding.
    #[error("the public key can't be used: give `pub` or `epub` of a SEA pair, `x.y`")]
    PublicKey,
    /// Not a signed or sealed text, or one that lacks a member.
    #[error("the text is not one that SEA wrote: give all of it, from `SEA{{` on")]
    Form,
    /// Another key signed, or the data was changed.
    #[error("the signature does not verify: check whose key it is, and get the data anew")]
    Signature,
    /// Another key sealed, or the data was changed.
    #[error("the data can't be opened: use the key or passphrase that it was sealed with")]
    Sealed,
    /// The cryptographic library refused without saying why.
    #[error("the cryptographic library failed: try again")]
    Library,
}
