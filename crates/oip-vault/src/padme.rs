//! Padmé (Nikitin et al., 2019): the length of a ciphertext tells the length of the content only to
//! a few leading bits, for at most 12 % more bytes, and 3 % at a megabyte.

/// The length to pad `length` bytes to.
#[must_use]
pub fn padded(length: usize) -> usize {
    if length < 2 {
        return length;
    }
    let exponent = length.ilog2();
    let kept = exponent.ilog2() + 1;
    let mask = (1_usize << (exponent - kept.min(exponent))) - 1;
    length.saturating_add(mask) & !mask
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_the_paper() {
        for (length, expected) in [
            (0, 0),
            (1, 1),
            (8, 8),
            (9, 10),
            (500, 512),
            (600, 608),
            (1_000, 1_024),
            (9_000, 9_216),
        ] {
            assert_eq!(padded(length), expected, "{length}");
        }
    }

    #[test]
    fn padding_never_shrinks_is_settled_and_costs_at_most_an_eighth() {
        for length in (0..5_000).chain([65_535, 1 << 20, (5 << 20) + 1]) {
            let to = padded(length);
            assert!(to >= length && padded(to) == to, "{length}");
            assert!(to - length <= length / 8, "{length} to {to}");
        }
    }
}
