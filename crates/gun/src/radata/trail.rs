//! The way from a tree's root to where the reader is: the pieces so far, and what they name.

use super::Reason;
use super::scan::Text;
use crate::graph::{Key, NAME_BYTES_MAX, NameError, Soul};

/// Stands between soul and key in a record key.
const SEPARATOR: u16 = 0x1b;

/// Deepest branch that is followed. Every piece has a unit and every unit takes a byte at least,
/// so that below it no soul and key of the allowed length can be.
pub(super) const DEPTH_MAX: usize = 2 * NAME_BYTES_MAX + 1;

/// Pieces from the root on.
pub(super) struct Trail {
    units: Vec<u16>,
    marks: Vec<Mark>,
}

/// One piece: where the units before it end, and where it leads.
struct Mark {
    before: usize,
    place: Place,
}

/// What the units up to a point are. The soul is made where its separator is met, once for all
/// records below.
#[derive(Clone)]
enum Place {
    /// A soul, or its beginning.
    Soul,
    /// This soul and, from this unit on, a key or its beginning.
    Key { soul: Soul, from: usize },
    /// No name: whatever is below has none either.
    Lost(Reason),
}

impl Trail {
    pub(super) fn new() -> Self {
        Self {
            units: Vec::new(),
            marks: Vec::new(),
        }
    }

    pub(super) fn depth(&self) -> usize {
        self.marks.len()
    }

    /// Goes down by a piece.
    pub(super) fn push(&mut self, piece: Text<'_>) {
        let before = self.units.len();
        let place = match self.place() {
            Place::Lost(reason) => Place::Lost(*reason),
            place => {
                let place = place.clone();
                piece
                    .push_units(&mut self.units)
                    .and_then(|()| place.after(&self.units, before))
                    .unwrap_or_else(Place::Lost)
            }
        };
        if matches!(place, Place::Lost(_)) {
            self.units.truncate(before);
        }
        self.marks.push(Mark { before, place });
    }

    /// Goes up until `depth` pieces are left.
    pub(super) fn truncate(&mut self, depth: usize) {
        if let Some(mark) = self.marks.get(depth) {
            self.units.truncate(mark.before);
            self.marks.truncate(depth);
        }
    }

    fn place(&self) -> &Place {
        self.marks.last().map_or(&Place::Soul, |mark| &mark.place)
    }

    /// The soul and key of a record here.
    pub(super) fn name(&self) -> Result<(Soul, Key), Reason> {
        match self.place() {
            Place::Soul => Err(Reason::BogusSoul),
            Place::Lost(reason) => Err(*reason),
            Place::Key { soul, from } => {
                let key = Key::new(decode(&self.units[*from..])?).map_err(refuse)?;
                Ok((soul.clone(), key))
            }
        }
    }

    /// All pieces as one text.
    pub(super) fn text(&self) -> Option<String> {
        match self.place() {
            Place::Lost(_) => None,
            Place::Soul | Place::Key { .. } => decode(&self.units).ok(),
        }
    }
}

impl Place {
    /// Where one gets to by the units from `before` on.
    fn after(self, units: &[u16], before: usize) -> Result<Self, Reason> {
        let place = match self {
            Self::Soul => match units[before..].iter().position(|u| *u == SEPARATOR) {
                Some(at) => {
                    let soul = Soul::new(decode(&units[..before + at])?).map_err(refuse)?;
                    let from = before + at + 1;
                    Self::Key { soul, from }
                }
                None => Self::Soul,
            },
            place => place,
        };
        let length = match &place {
            Self::Key { from, .. } => units.len() - from,
            _ => units.len(),
        };
        if length > NAME_BYTES_MAX {
            return Err(Reason::BadName);
        }
        Ok(place)
    }
}

fn decode(units: &[u16]) -> Result<String, Reason> {
    String::from_utf16(units).map_err(|_| Reason::LoneSurrogate)
}

fn refuse(error: NameError) -> Reason {
    match error {
        // Nobody can write an empty name: a piece of the tree is missing.
        NameError::Empty => Reason::BogusSoul,
        _ => Reason::BadName,
    }
}
