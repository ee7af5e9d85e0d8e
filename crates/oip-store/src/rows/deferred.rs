//! Values that wait for their time: the key is their state, in an encoding that sorts as the
//! number does, then the graph row key; the value is that of a key's row.

use gun::{Key, Soul, State};

use super::{Fault, name};

const SIGN: u64 = 1 << 63;

/// The bits of a double so that they sort as unsigned integers: positive numbers get the sign
/// bit set, negative ones are inverted.
fn ordered(state: State) -> [u8; 8] {
    let bits = state.as_f64().to_bits();
    let bits = if bits & SIGN == 0 { bits | SIGN } else { !bits };
    bits.to_be_bytes()
}

fn unordered(bytes: [u8; 8]) -> Result<State, Fault> {
    let bits = u64::from_be_bytes(bytes);
    let bits = if bits & SIGN == 0 {
        !bits
    } else {
        bits & !SIGN
    };
    State::new(f64::from_bits(bits)).ok_or(Fault("its state is not finite"))
}

/// Row key of a deferred value.
pub(crate) fn row(state: State, soul: &Soul, key: &Key) -> Vec<u8> {
    let mut row = ordered(state).to_vec();
    row.extend_from_slice(&name::key_row(soul, key));
    row
}

/// Just behind the last row with a state up to `now`.
pub(crate) fn behind(now: State) -> Vec<u8> {
    let mut row = ordered(now).to_vec();
    // Above any soul's first byte: UTF-8 never holds it.
    row.push(0xff);
    row
}

/// Splits a row key.
pub(crate) fn parse(row: &[u8]) -> Result<(State, Soul, Key), Fault> {
    let (state, rest) = row
        .split_first_chunk()
        .ok_or(Fault("its key has no state"))?;
    match name::parse(rest)? {
        (soul, Some(key)) => Ok((unordered(*state)?, soul, key)),
        (_, None) => Err(Fault("its key names no value")),
    }
}
