//! P-256 pairs from a scalar, and the low-S form of ECDSA signatures.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use num_bigint::BigUint;

use super::KeyError;

/// Orders of the two curves' groups, big-endian.
pub(super) const P256_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];
pub(super) const SECP256K1_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe,
    0xba, 0xae, 0xdc, 0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41,
];

/// RFC 5915 around a scalar: version 1, the scalar, the curve's name. The library derives the
/// public point.
const SEC1_HEAD: [u8; 7] = [0x30, 0x31, 0x02, 0x01, 0x01, 0x04, 0x20];
const SEC1_TAIL: [u8; 12] = [
    0xa0, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07,
];

/// A P-256 pair and the coordinates of its public point.
pub(super) struct P256Pair {
    pub(super) pair: EcdsaKeyPair,
    pub(super) x: [u8; 32],
    pub(super) y: [u8; 32],
}

impl P256Pair {
    pub(super) fn from_scalar(scalar: &[u8; 32]) -> Result<Self, KeyError> {
        let der = [&SEC1_HEAD[..], scalar, &SEC1_TAIL].concat();
        let pair = EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, &der)
            .map_err(|_| KeyError::Invalid)?;
        let (mut x, mut y) = ([0; 32], [0; 32]);
        // SEC 1: an uncompressed point is 4, x, y.
        match pair.public_key().as_ref() {
            [4, point @ ..] if point.len() == 64 => {
                x.copy_from_slice(&point[..32]);
                y.copy_from_slice(&point[32..]);
            }
            _ => return Err(KeyError::Invalid),
        }
        Ok(Self { pair, x, y })
    }

    /// The compressed point: 2 or 3 by the parity of y, then x.
    pub(super) fn compressed(&self) -> [u8; 33] {
        let mut point = [0; 33];
        point[0] = 2 + (self.y[31] & 1);
        point[1..].copy_from_slice(&self.x);
        point
    }
}

/// Whether `s` of a signature `r || s` lies in the lower half of the group.
pub(super) fn is_low_s(signature: &[u8], order: &[u8; 32]) -> bool {
    let s = BigUint::from_bytes_be(&signature[signature.len() / 2..]);
    s * 2_u8 <= BigUint::from_bytes_be(order)
}

/// Puts a signature `r || s` into low-S form: `n - s` verifies wherever `s` does.
pub(super) fn make_low_s(signature: &mut [u8; 64], order: &[u8; 32]) {
    if is_low_s(signature, order) {
        return;
    }
    let s = BigUint::from_bytes_be(&signature[32..]);
    let low = (BigUint::from_bytes_be(order) - s).to_bytes_be();
    signature[32..].fill(0);
    signature[64 - low.len()..].copy_from_slice(&low);
}
