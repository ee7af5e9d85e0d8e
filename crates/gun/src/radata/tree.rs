//! A radix tree as JSON, walked without recursion: its depth costs memory of ours, not stack.

use super::record::{Fields, Form, Given, Record};
use super::scan::Scanner;
use super::trail::{DEPTH_MAX, Trail};
use super::{Damage, Reason, legacy};

/// What a tree holds at one point.
pub(super) enum Leaf {
    /// An object under the member `""`: a record.
    Record(Fields),
    /// Members of a record in the branch itself, one level too high.
    High(Fields),
    /// Anything else under `""`: an entry of the directory, or a record in the older text form.
    Plain(Given),
    /// Nothing that can be read.
    Lost(Reason),
}

impl Leaf {
    /// The record it is.
    pub(super) fn into_record(self) -> Result<Record, Reason> {
        match self {
            Self::Record(fields) => fields.join(),
            Self::High(fields) => fields.join().map(|record| Record {
                form: Form::Repaired,
                ..record
            }),
            Self::Plain(Given::Text(text)) => legacy::record(text?.as_bytes()),
            Self::Plain(_) => Err(Reason::NotARecord),
            Self::Lost(reason) => Err(reason),
        }
    }
}

/// Visits every leaf; what stands before damage is visited.
pub(super) fn walk(file: &[u8], visit: &mut impl FnMut(&Trail, Leaf)) -> Result<(), Damage> {
    let mut scan = Scanner::new(file);
    let mut trail = Trail::new();
    // The open branches, each with the members of a record that stand in it by mistake.
    let mut open = vec![Fields::default()];
    scan.open()?;
    while let Some(high) = open.last_mut() {
        let Some(name) = scan.member()? else {
            let high = std::mem::take(high);
            if !high.is_empty() {
                visit(&trail, Leaf::High(high));
            }
            open.pop();
            trail.truncate(open.len().saturating_sub(1));
            continue;
        };
        let is_object = scan.peek()? == b'{';
        if name.is("") {
            let leaf = if is_object {
                Leaf::Record(Fields::read(&mut scan)?)
            } else {
                Leaf::Plain(Given::read(&mut scan)?)
            };
            visit(&trail, leaf);
        } else if is_object && !(name.is(":") && Given::is_link(scan)?) {
            if trail.depth() == DEPTH_MAX {
                scan.skip_nested()?;
                visit(&trail, Leaf::Lost(Reason::TooDeep));
                continue;
            }
            scan.open()?;
            trail.push(name);
            open.push(Fields::default());
        } else if !high.set(name, Given::read(&mut scan)?) {
            visit(&trail, Leaf::Lost(Reason::NotARecord));
        } else if high.is_whole() {
            // At once, so that a cut further on does not lose it.
            let high = std::mem::take(high);
            visit(&trail, Leaf::High(high));
        }
    }
    scan.end()
}
