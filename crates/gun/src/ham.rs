//! The merge rule of GUN ("HAM"): what becomes of one incoming value.
//!
//! Pure and total: the same inputs give the same verdict on every peer, whatever the order in
//! which values arrive. The caller supplies what it holds **durably**; a peer that compares
//! with its memory only lets older values overwrite newer ones after a restart.

use std::cmp::Ordering;

use crate::graph::{State, Value};
use crate::text;

/// What becomes of an incoming value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Newer, or equally new and the greater text: it replaces what is known.
    Take,
    /// Its state lies ahead of the clock: decide again when `now >= state`.
    Defer,
    /// Older than what is known.
    Historical,
    /// Exactly what is known.
    Same,
    /// Equally new, but the lesser text.
    Lesser,
}

/// Decides on one value (`gun-protocol` 7.2).
///
/// `known` is what this peer holds for the key; `None` counts as a state of minus infinity.
#[must_use]
pub fn decide(known: Option<(State, &Value)>, state: State, value: &Value, now: State) -> Verdict {
    if state > now {
        return Verdict::Defer;
    }
    let Some((known_state, known_value)) = known else {
        return Verdict::Take;
    };
    if state > known_state {
        Verdict::Take
    } else if state < known_state {
        Verdict::Historical
    } else {
        match compare_values(value, known_value) {
            Ordering::Greater => Verdict::Take,
            Ordering::Equal => Verdict::Same,
            Ordering::Less => Verdict::Lesser,
        }
    }
}

/// The order that breaks ties between equal states: that of the JSON texts by UTF-16 code units.
#[must_use]
pub fn compare_values(left: &Value, right: &Value) -> Ordering {
    match (left, right) {
        // Texts of one kind start alike, but escapes (`\n` < `a`) must be compared as written.
        (Value::Text(l), Value::Text(r)) if l == r => Ordering::Equal,
        _ => text::compare_utf16(&text::value_text(left), &text::value_text(right)),
    }
}
