//! Which version of a record stands: precedence by signature, then one total order, the same
//! on every node, so that all nodes end with the same version whatever arrives first.
//!
//! An owner's tombstone (`trust-and-privacy` 3.8) has its place by its time too, and counts only against versions
//! that name him: his right comes from them.

use crate::owner::{Owned, OwnerKey};

/// How a record is vouched for. A soul that once held a higher class never takes a lower one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SignatureClass {
    /// No signature, or none that could be checked.
    None,
    /// The deployed scheme: RSA-PSS over the data text alone.
    Deployed,
    /// Our scheme: soul, type, time, creator and data are covered.
    Ours,
}

impl SignatureClass {
    /// The number under which a store keeps the class.
    #[must_use]
    pub fn to_u8(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Deployed => 1,
            Self::Ours => 2,
        }
    }

    /// Reads [`SignatureClass::to_u8`] back.
    #[must_use]
    pub fn from_u8(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::None),
            1 => Some(Self::Deployed),
            2 => Some(Self::Ours),
            _ => None,
        }
    }
}

/// Where a version stands among versions of equal precedence: compared field by field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Order {
    /// `oip.indexedAt` in milliseconds since 1970; 0 if an old record has none.
    pub at_ms: i64,
    /// Counts changes that keep the time (a share); 0 for deployed records.
    pub revision: u64,
    /// SHA-256 of the signed body without signatures.
    pub digest: [u8; 32],
}

/// What this node holds for a soul.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Its place in the order; of a tombstone too.
    pub order: Order,
    /// How it is vouched for.
    pub class: SignatureClass,
    /// The creator's `didAddress`.
    pub creator: String,
    /// Whether it is a tombstone.
    pub deleted: bool,
    /// The last version that named an owner: this one, or that which its owner deleted by this one. `None` if the
    /// creator deleted it.
    pub owned: Option<Owned>,
}

/// What the new version claims, as [`crate::verify::accept`] found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim<'a> {
    /// Its place in the order.
    pub order: Order,
    /// How it is vouched for.
    pub class: SignatureClass,
    /// The creator's `didAddress`.
    pub creator: &'a str,
    /// The owner who signed the tombstone in the creator's place.
    pub deleted_by: Option<&'a OwnerKey>,
    /// The owner that the version names.
    pub owner: Option<&'a OwnerKey>,
}

/// What becomes of a new version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// It replaces what is held.
    Take,
    /// What is held is newer.
    Older,
    /// It is what is held.
    Same,
    /// What is held is better vouched for.
    LowerClass,
    /// Another key whose hash fits the same prefix: the first verified key keeps the soul.
    Contested,
    /// An owner's tombstone, by a key that what is held does not name.
    NotOwner,
    /// An owner's tombstone where nothing is held that tells whose the record is.
    OwnerUnknown,
}

impl Resolution {
    /// The name of the outcome, for counters.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Take => "take",
            Self::Older => "older",
            Self::Same => "same",
            Self::LowerClass => "lower-class",
            Self::Contested => "contested",
            Self::NotOwner => "not-owner",
            Self::OwnerUnknown => "owner-unknown",
        }
    }
}

/// Decides between what is held and a new version (`trust-and-privacy` 3.2 to 3.5).
#[must_use]
pub fn resolve(held: Option<&Held>, new: &Claim<'_>) -> Resolution {
    let Some(held) = held else {
        return match new.deleted_by {
            Some(_) => Resolution::OwnerUnknown,
            None => Resolution::Take,
        };
    };
    if new.class < held.class {
        return Resolution::LowerClass;
    }
    if held.class > SignatureClass::None && held.creator != new.creator {
        return Resolution::Contested;
    }
    if let Some(by) = new.deleted_by {
        return match &held.owned {
            _ if new.order == held.order => Resolution::Same,
            _ if new.order < held.order => Resolution::Older,
            Some(owned) if owned.by == *by && new.class == SignatureClass::Ours => Resolution::Take,
            _ => Resolution::NotOwner,
        };
    }
    if new.class > held.class {
        return Resolution::Take;
    }
    // He could delete what names him, and no version after it that does not.
    if held.deleted
        && let Some(owned) = &held.owned
        && new.owner != Some(&owned.by)
        && new.order > owned.order
    {
        return Resolution::Take;
    }
    match new.order.cmp(&held.order) {
        std::cmp::Ordering::Greater => Resolution::Take,
        std::cmp::Ordering::Equal => Resolution::Same,
        std::cmp::Ordering::Less => Resolution::Older,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(at_ms: i64, revision: u64, digest: u8) -> Order {
        Order {
            at_ms,
            revision,
            digest: [digest; 32],
        }
    }

    fn held(class: SignatureClass, order: Order) -> Held {
        Held {
            order,
            class,
            creator: "a".into(),
            deleted: false,
            owned: None,
        }
    }

    #[test]
    fn the_first_version_is_taken() {
        let claim = Claim {
            order: order(1, 0, 0),
            class: SignatureClass::None,
            creator: "a",
            deleted_by: None,
            owner: None,
        };
        assert_eq!(resolve(None, &claim), Resolution::Take);
    }

    #[test]
    fn time_then_revision_then_digest_decide() {
        let held = held(SignatureClass::Ours, order(10, 5, 5));
        for (new, expected) in [
            (order(11, 0, 0), Resolution::Take),
            (order(9, 9, 9), Resolution::Older),
            (order(10, 6, 0), Resolution::Take),
            (order(10, 4, 9), Resolution::Older),
            (order(10, 5, 6), Resolution::Take),
            (order(10, 5, 4), Resolution::Older),
            (order(10, 5, 5), Resolution::Same),
        ] {
            let claim = Claim {
                order: new,
                class: SignatureClass::Ours,
                creator: "a",
                deleted_by: None,
                owner: None,
            };
            assert_eq!(resolve(Some(&held), &claim), expected, "{new:?}");
        }
    }

    #[test]
    fn precedence_is_never_lowered_by_a_later_time() {
        let classes = [
            SignatureClass::None,
            SignatureClass::Deployed,
            SignatureClass::Ours,
        ];
        for held_class in classes {
            for new_class in classes {
                let claim = Claim {
                    order: order(99, 0, 0),
                    class: new_class,
                    creator: "a",
                    deleted_by: None,
                    owner: None,
                };
                let early = Claim {
                    order: order(1, 0, 0),
                    ..claim
                };
                let held = held(held_class, order(10, 0, 0));
                let (late_is, early_is) = match new_class.cmp(&held_class) {
                    std::cmp::Ordering::Less => (Resolution::LowerClass, Resolution::LowerClass),
                    std::cmp::Ordering::Equal => (Resolution::Take, Resolution::Older),
                    std::cmp::Ordering::Greater => (Resolution::Take, Resolution::Take),
                };
                assert_eq!(resolve(Some(&held), &claim), late_is);
                assert_eq!(resolve(Some(&held), &early), early_is);
            }
        }
    }

    #[test]
    fn a_second_key_that_fits_the_prefix_is_contested() {
        let claim = |class| Claim {
            order: order(99, 0, 0),
            class,
            creator: "b",
            deleted_by: None,
            owner: None,
        };
        let deployed = held(SignatureClass::Deployed, order(1, 0, 0));
        assert_eq!(
            resolve(Some(&deployed), &claim(SignatureClass::Deployed)),
            Resolution::Contested
        );
        assert_eq!(
            resolve(Some(&deployed), &claim(SignatureClass::Ours)),
            Resolution::Contested
        );
        assert_eq!(
            resolve(Some(&deployed), &claim(SignatureClass::None)),
            Resolution::LowerClass
        );
        let unsigned = held(SignatureClass::None, order(1, 0, 0));
        assert_eq!(
            resolve(Some(&unsigned), &claim(SignatureClass::Ours)),
            Resolution::Take
        );
    }

    #[test]
    fn a_tombstone_is_revived_only_by_a_later_version() {
        let tombstone = Held {
            deleted: true,
            ..held(SignatureClass::Ours, order(10, 0, 0))
        };
        let claim = |at_ms| Claim {
            order: order(at_ms, 0, 9),
            class: SignatureClass::Ours,
            creator: "a",
            deleted_by: None,
            owner: None,
        };
        assert_eq!(resolve(Some(&tombstone), &claim(9)), Resolution::Older);
        assert_eq!(resolve(Some(&tombstone), &claim(11)), Resolution::Take);
    }

    #[test]
    fn an_owner_deletes_what_names_him_and_nothing_else() {
        let [owner, other] = ["02", "03"]
            .map(|n| crate::owner::OwnerKey::read(&format!("{n}{}", "ab".repeat(32))).unwrap());
        let live = |at_ms, by: Option<&OwnerKey>| Held {
            owned: by.map(|by| Owned {
                by: by.clone(),
                order: order(at_ms, 0, 0),
            }),
            ..held(SignatureClass::Ours, order(at_ms, 0, 0))
        };
        let deletion = Claim {
            order: order(10, 0, 0),
            class: SignatureClass::Ours,
            creator: "a",
            deleted_by: Some(&owner),
            owner: None,
        };
        for (held, expected) in [
            (None, Resolution::OwnerUnknown),
            (Some(live(9, Some(&owner))), Resolution::Take),
            (Some(live(11, Some(&owner))), Resolution::Older),
            (Some(live(9, Some(&other))), Resolution::NotOwner),
            (Some(live(9, None)), Resolution::NotOwner),
            (
                Some(held(SignatureClass::None, order(9, 0, 0))),
                Resolution::NotOwner,
            ),
            (
                Some(held(SignatureClass::Deployed, order(9, 0, 0))),
                Resolution::NotOwner,
            ),
        ] {
            assert_eq!(resolve(held.as_ref(), &deletion), expected, "{held:?}");
        }
        let in_a_foreign_name = Claim {
            creator: "b",
            ..deletion
        };
        let held_now = live(9, Some(&owner));
        assert_eq!(
            resolve(Some(&held_now), &in_a_foreign_name),
            Resolution::Contested
        );
        // A signature that was not found to hold, where signatures are off.
        let unsigned = Claim {
            class: SignatureClass::None,
            ..deletion
        };
        assert_eq!(resolve(Some(&held_now), &unsigned), Resolution::LowerClass);
    }

    #[test]
    fn what_an_owner_deleted_comes_back_by_a_later_version_or_one_that_took_it_from_him() {
        let [owner, other] = ["02", "03"]
            .map(|n| crate::owner::OwnerKey::read(&format!("{n}{}", "ab".repeat(32))).unwrap());
        // The version of time 5 named him; he deleted it at 10.
        let deleted = Held {
            deleted: true,
            owned: Some(Owned {
                by: owner.clone(),
                order: order(5, 0, 0),
            }),
            ..held(SignatureClass::Ours, order(10, 0, 0))
        };
        for (at_ms, by, expected) in [
            (4, Some(&owner), Resolution::Older),
            (4, Some(&other), Resolution::Older),
            (4, None, Resolution::Older),
            (7, Some(&owner), Resolution::Older),
            (7, Some(&other), Resolution::Take),
            (7, None, Resolution::Take),
            (11, Some(&owner), Resolution::Take),
            (11, None, Resolution::Take),
        ] {
            let claim = Claim {
                order: order(at_ms, 0, 9),
                class: SignatureClass::Ours,
                creator: "a",
                deleted_by: None,
                owner: by,
            };
            assert_eq!(resolve(Some(&deleted), &claim), expected, "{at_ms} {by:?}");
        }
    }

    #[test]
    fn classes_survive_the_store() {
        for class in [
            SignatureClass::None,
            SignatureClass::Deployed,
            SignatureClass::Ours,
        ] {
            assert_eq!(SignatureClass::from_u8(class.to_u8()), Some(class));
        }
        assert_eq!(SignatureClass::from_u8(3), None);
    }
}
