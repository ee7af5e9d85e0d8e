//! Whose a soul is: which of the rules on signed data apply to it, read from its name alone
//! (`gun-protocol` 12.2 and 11.1).
//!
//! Owns the order in which kinds of souls are tried, which is gun.js': two peers that read a
//! name differently would not agree on who may write there.

use crate::graph::{Graph, State};

/// The kind of a soul. What may stand in it is decided by [`super::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Space {
    /// The soul `~@`: the list of aliases.
    Aliases,
    /// `~@name`: the accounts that go by a name. Anybody may add one.
    Alias,
    /// A user's space, with the public key (`x.y`) of the user. Only its owner writes there,
    /// and those whom he certified.
    Owned(String),
    /// A soul with `#`: each key names the hash of its value, which therefore never changes.
    Content,
    /// Everything else: open to all.
    Free,
}

/// The kind of a soul.
#[must_use]
pub fn space(soul: &str) -> Space {
    if soul == "~@" {
        Space::Aliases
    } else if soul.starts_with("~@") {
        Space::Alias
    } else if let Some(owner) = named_owner(soul) {
        Space::Owned(owner)
    } else if soul.contains('#') {
        Space::Content
    } else {
        Space::Free
    }
}

/// The public key (`x.y`) of the user whose space a soul lies in.
#[must_use]
pub fn owner(soul: &str) -> Option<String> {
    match space(soul) {
        Space::Owned(owner) => Some(owner),
        _ => None,
    }
}

/// The first two parts of what stands between the first two `~`. They need not be a key: nobody
/// can sign for a space whose owner is none.
fn named_owner(soul: &str) -> Option<String> {
    let (_, after) = soul.split_once('~')?;
    let named = after.split('~').next().unwrap_or(after);
    let is_separator = |c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-');
    let separator_at = named.find(is_separator)?;
    let (x, rest) = named.split_at(separator_at);
    let mut rest = rest.chars();
    // JavaScript splits between UTF-16 units: of two units, the second ends an empty part.
    let y = match rest.next() {
        Some(separator) if separator.len_utf16() == 1 => {
            rest.as_str().split(is_separator).next().unwrap_or_default()
        }
        _ => "",
    };
    Some(format!("{x}.{y}"))
}

/// How long the values of a soul are kept: `N` seconds for a soul with `<?N`.
#[must_use]
pub fn kept_seconds(soul: &str) -> Option<f64> {
    let (_, after) = soul.split_once("<?")?;
    leading_number(after.split("<?").next().unwrap_or(after)).filter(|seconds| *seconds != 0.0)
}

/// Whether a value of this state is too old for its soul.
#[must_use]
pub fn is_expired(soul: &str, state: State, now: State) -> bool {
    kept_seconds(soul).is_some_and(|seconds| state.as_f64() < now.as_f64() - seconds * 1_000.0)
}

/// Takes out of a put what is too old for its soul. To be called before [`super::verify`]: such
/// values are dropped without an error, whatever they hold.
pub fn drop_expired(graph: &mut Graph, now: State) {
    graph.retain_mut(|node| {
        if kept_seconds(node.soul.as_str()).is_none() {
            return true;
        }
        let soul = &node.soul;
        node.entries
            .retain(|entry| !is_expired(soul.as_str(), entry.state, now));
        !node.entries.is_empty()
    });
}

/// The number at the start of a text, as ECMAScript's `parseFloat` reads it.
fn leading_number(text: &str) -> Option<f64> {
    let text = text.trim_start();
    let digits = |from: usize| {
        text.bytes()
            .skip(from)
            .take_while(u8::is_ascii_digit)
            .count()
    };
    let sign = usize::from(text.starts_with(['+', '-']));
    let whole = digits(sign);
    let mut end = sign + whole;
    if text[end..].starts_with('.') {
        let fraction = digits(end + 1);
        if whole + fraction == 0 {
            return None;
        }
        end += 1 + fraction;
    } else if whole == 0 {
        return None;
    }
    if let Some(exponent) = text[end..].strip_prefix(['e', 'E']) {
        let from = end + 1 + usize::from(exponent.starts_with(['+', '-']));
        let power = digits(from);
        if power > 0 {
            end = from + power;
        }
    }
    text[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Entry, Key, Node, Soul, Value};

    #[test]
    fn the_kind_of_a_soul_is_read_from_its_name() {
        let owned = |owner: &str| Space::Owned(owner.to_owned());
        for (soul, expected) in [
            ("~@", Space::Aliases),
            ("~@alice", Space::Alias),
            ("~@alice#x", Space::Alias),
            ("~a.b", owned("a.b")),
            ("~a.b/c/d", owned("a.b")),
            ("~a.b#c", owned("a.b")),
            ("~a.b.", owned("a.b")),
            ("chat~a.b/x", owned("a.b")),
            ("a~b c", owned("b.c")),
            ("~a-b_1.c-d_2", owned("a-b_1.c-d_2")),
            // Nobody can sign for these.
            ("x~@alice", owned(".alice")),
            ("~.b", owned(".b")),
            ("~a.", owned("a.")),
            ("~a😀b", owned("a.")),
            ("~aéb", owned("a.b")),
            ("~notakey", Space::Free),
            ("x~", Space::Free),
            ("~~a.b", Space::Free),
            ("~notakey#x", owned("notakey.x")),
            ("~notakey~#x", Space::Content),
            ("#", Space::Content),
            ("posts#x", Space::Content),
            ("plain", Space::Free),
        ] {
            assert_eq!(space(soul), expected, "{soul}");
        }
    }

    #[test]
    fn the_seconds_a_soul_keeps_are_read_as_javascript_reads_numbers() {
        for (soul, expected) in [
            ("plain", None),
            ("a<?9", Some(9.0)),
            ("a<?1.5x", Some(1.5)),
            ("a<? 7/b", Some(7.0)),
            ("a<?.5", Some(0.5)),
            ("a<?5.", Some(5.0)),
            ("a<?1e2", Some(100.0)),
            ("a<?1e+2x", Some(100.0)),
            ("a<?1e+x", Some(1.0)),
            ("a<?-3", Some(-3.0)),
            ("a<?9<?8", Some(9.0)),
            ("a<?", None),
            ("a<?.", None),
            ("a<?-", None),
            ("a<?0", None),
            ("a<?é", None),
            ("a<?e5", None),
            ("a<?<?8", None),
        ] {
            assert_eq!(kept_seconds(soul), expected, "{soul}");
        }
    }

    #[test]
    fn only_what_is_too_old_for_its_soul_is_dropped() {
        let now = State::from_millis(1_000_000);
        let node = |soul: &str, states: &[u64]| Node {
            soul: Soul::new(soul).unwrap(),
            entries: states
                .iter()
                .map(|state| Entry {
                    key: Key::new(format!("k{state}")).unwrap(),
                    state: State::from_millis(*state),
                    value: Value::Null,
                })
                .collect(),
        };
        let mut graph = vec![
            node("a<?10", &[989_999, 990_000, 1_000_000]),
            node("b<?10", &[1]),
            node("c", &[1]),
        ];
        drop_expired(&mut graph, now);
        let expected = vec![node("a<?10", &[990_000, 1_000_000]), node("c", &[1])];
        assert_eq!(graph, expected);
    }
}
