//! What was found, shown in its surroundings.
//!
//! Made here from the documents of a page and the query's words, the same for all backends, instead of by
//! each backend from its own index: a page is small, and servers cut words a little differently.

use std::ops::Range;

use serde_json::Value;

use crate::condition::{Condition, LastWord, Spelling, WORDS_MAX};
use crate::facts;
use crate::field::FieldPath;
use crate::query::Highlight;
use crate::templates::{FieldType, Templates};
use crate::words;

/// Fields of one document that are shown: more than a result list has room for.
const FIELDS_MAX: usize = 16;

/// Bytes of one value that are looked through: a page of a thousand long articles must not take minutes.
const VALUE_BYTES_MAX: usize = 64 * 1024;

/// The fragments of one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fragments {
    /// Where.
    pub field: FieldPath,
    /// Those with most in them, in the order in which they stand.
    pub fragments: Vec<Fragment>,
}

/// A piece of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fragment {
    /// The piece, as it stands in the document, in Unicode's compatibility composition.
    pub text: String,
    /// What was found in it, in bytes, ascending and apart.
    pub marks: Vec<Range<usize>>,
}

/// Finds a query's words in documents.
pub struct Highlighter<'a> {
    sought: Vec<Sought<'a>>,
    highlight: &'a Highlight,
    templates: &'a Templates,
}

struct Sought<'a> {
    fields: &'a [FieldPath],
    words: Vec<SoughtWord>,
    kind: Kind,
    /// For fields that are compared as a whole.
    text: &'a str,
}

struct SoughtWord {
    word: String,
    role: LastWord,
    spelling: Spelling,
}

#[derive(PartialEq)]
enum Kind {
    /// Each word by itself.
    Words,
    /// All of them next to each other.
    Phrase,
}

impl<'a> Highlighter<'a> {
    /// For the words of a condition; what must not hold is not shown.
    #[must_use]
    pub fn new(
        condition: &'a Condition,
        highlight: &'a Highlight,
        templates: &'a Templates,
    ) -> Self {
        let mut sought = Vec::new();
        collect(condition, &mut sought);
        Self {
            sought,
            highlight,
            templates,
        }
    }

    /// The fragments of a document, field by field in the order of the document.
    #[must_use]
    pub fn highlight(&self, document: &Value) -> Vec<Fragments> {
        let mut shown: Vec<Fragments> = Vec::new();
        for found in facts::values_of(document) {
            let Value::String(text) = found.value else {
                continue;
            };
            let Ok(field) = found.path.parse::<FieldPath>() else {
                continue;
            };
            let wanted = match self.highlight.fields.as_slice() {
                [] => found.path.starts_with("data."),
                fields => fields.contains(&field),
            };
            if !wanted {
                continue;
            }
            let composed = words::composed(head(text));
            let marks = self.marks(&field, &composed);
            if marks.is_empty() {
                continue;
            }
            let fragments = fragments(&composed, &marks, self.highlight);
            match shown.iter().position(|one| one.field == field) {
                Some(at) => shown[at].fragments.extend(fragments),
                None if shown.len() < FIELDS_MAX => shown.push(Fragments { field, fragments }),
                None => {}
            }
        }
        for one in &mut shown {
            keep_best(&mut one.fragments, self.highlight.fragments);
        }
        shown
    }

    fn marks(&self, field: &FieldPath, composed: &str) -> Vec<Range<usize>> {
        let placed = words::placed(composed);
        let mut marks: Vec<Range<usize>> = Vec::new();
        for sought in &self.sought {
            let anywhere = sought.fields.is_empty() && field.names().next() == Some("data");
            if !anywhere && !sought.fields.contains(field) {
                continue;
            }
            let by_words = anywhere
                || self
                    .templates
                    .field_type(field)
                    .is_some_and(FieldType::has_words);
            match (by_words, &sought.kind) {
                (false, _) if composed == sought.text.trim() => marks.push(0..composed.len()),
                (false, _) => {}
                (true, Kind::Words) => marks.extend(
                    placed
                        .iter()
                        .filter(|(word, _)| sought.words.iter().any(|one| one.fits(word)))
                        .map(|(_, place)| place.clone()),
                ),
                (true, Kind::Phrase) => {
                    marks.extend(phrases(&placed, &sought.words));
                }
            }
        }
        joined(marks)
    }
}

fn collect<'a>(condition: &'a Condition, sought: &mut Vec<Sought<'a>>) {
    match condition {
        Condition::Text(text) => {
            let words = words::distinct(&text.text, WORDS_MAX);
            let last = words.len().saturating_sub(1);
            let open =
                text.last_word == LastWord::Prefix && !text.text.ends_with(char::is_whitespace);
            let words = words.into_iter().enumerate().map(|(at, word)| SoughtWord {
                role: match open && at == last {
                    true => LastWord::Prefix,
                    false => LastWord::Whole,
                },
                spelling: text.spelling,
                word,
            });
            sought.push(Sought {
                fields: &text.fields,
                words: words.collect(),
                kind: Kind::Words,
                text: &text.text,
            });
        }
        Condition::Phrase(phrase) => {
            let words = words::sequence(&phrase.text, WORDS_MAX).into_iter();
            let words = words.map(|word| SoughtWord {
                role: LastWord::Whole,
                spelling: Spelling::Exact,
                word,
            });
            sought.push(Sought {
                fields: &phrase.fields,
                words: words.collect(),
                kind: Kind::Phrase,
                text: &phrase.text,
            });
        }
        Condition::All(parts) | Condition::Any(parts) | Condition::Most(parts) => {
            for part in parts {
                collect(part, sought);
            }
        }
        _ => {}
    }
}

impl SoughtWord {
    fn fits(&self, word: &str) -> bool {
        if word == self.word || self.role == LastWord::Prefix && word.starts_with(&self.word) {
            return true;
        }
        let slips = self.spelling.slips(self.word.chars().count());
        slips > 0 && distance(&self.word, word) <= usize::from(slips)
    }
}

/// Slips between two words: characters more, less, changed, and neighbours swapped.
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().collect();
    let right: Vec<char> = right.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=right.len()).collect();
    for (row, one) in left.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, other) in right.iter().enumerate() {
            let changed = above[column] + usize::from(one != other);
            let mut least = changed.min(above[column + 1] + 1).min(current[column] + 1);
            let swapped =
                row > 0 && column > 0 && left[row - 1] == *other && right[column - 1] == *one;
            if swapped {
                least = least.min(before[column - 1] + 1);
            }
            current.push(least);
        }
        before = std::mem::replace(&mut above, current);
    }
    above[right.len()]
}

/// Where the words stand one behind the other.
fn phrases(placed: &[(String, Range<usize>)], words: &[SoughtWord]) -> Vec<Range<usize>> {
    if words.is_empty() {
        return Vec::new();
    }
    placed
        .windows(words.len())
        .filter(|window| {
            let pairs = window.iter().zip(words);
            pairs.into_iter().all(|((word, _), one)| *word == one.word)
        })
        .map(|window| window[0].1.start..window[window.len() - 1].1.end)
        .collect()
}

/// In order, and those that overlap as one.
fn joined(mut marks: Vec<Range<usize>>) -> Vec<Range<usize>> {
    marks.sort_unstable_by_key(|mark| (mark.start, mark.end));
    let mut apart: Vec<Range<usize>> = Vec::new();
    for mark in marks {
        match apart.last_mut() {
            Some(last) if mark.start < last.end => last.end = last.end.max(mark.end),
            _ => apart.push(mark),
        }
    }
    apart
}

/// A value's beginning.
fn head(text: &str) -> &str {
    let mut end = text.len().min(VALUE_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Pieces around marks, as many marks in one as it has room for.
fn fragments(text: &str, marks: &[Range<usize>], highlight: &Highlight) -> Vec<Fragment> {
    let mut fragments = Vec::new();
    let mut rest = marks;
    while let Some(first) = rest.first() {
        let width = |piece: &Range<usize>| text[piece.clone()].chars().count();
        let fitting = rest
            .iter()
            .take_while(|mark| width(&(first.start..mark.end)) <= highlight.fragment_chars)
            .count()
            .max(1);
        let (inside, behind) = rest.split_at(fitting);
        let core = first.start..inside[inside.len() - 1].end;
        let room = highlight.fragment_chars.saturating_sub(width(&core));
        let piece = widened(text, core, room);
        fragments.push(Fragment {
            text: text[piece.clone()].to_owned(),
            marks: inside
                .iter()
                .map(|mark| mark.start - piece.start..mark.end - piece.start)
                .collect(),
        });
        rest = behind;
    }
    fragments
}

/// A piece with up to half the room before it and the rest behind it, cut between words.
fn widened(text: &str, core: Range<usize>, room: usize) -> Range<usize> {
    let before = &text[..core.start];
    let mut start = match before.char_indices().rev().nth(room / 2) {
        None => 0,
        // The word that is cut stays out.
        Some((at, _)) => before[at..]
            .find(char::is_whitespace)
            .map_or(core.start, |space| at + space),
    };
    while text[start..core.start].starts_with(char::is_whitespace) {
        start += text[start..].chars().next().map_or(1, char::len_utf8);
    }
    let left = room.saturating_sub(text[start..core.start].chars().count());
    let after = &text[core.end..];
    let end = match after.char_indices().nth(left) {
        None => text.len(),
        Some((at, _)) => after[..at]
            .rfind(char::is_whitespace)
            .map_or(core.end, |space| core.end + space),
    };
    let kept = text[start..end].trim_end().len();
    start..(start + kept).max(core.end)
}

/// Those with most marks, in the order in which they stand.
fn keep_best(fragments: &mut Vec<Fragment>, max: usize) {
    if fragments.len() <= max {
        return;
    }
    let mut places: Vec<usize> = (0..fragments.len()).collect();
    places.sort_by_key(|at| std::cmp::Reverse(fragments[*at].marks.len()));
    places.truncate(max);
    let mut at = 0;
    fragments.retain(|_| {
        at += 1;
        places.contains(&(at - 1))
    });
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Phrase, Text};

    fn shown(condition: &Condition, highlight: &Highlight, document: &Value) -> Vec<String> {
        let templates = Templates::known();
        Highlighter::new(condition, highlight, &templates)
            .highlight(document)
            .into_iter()
            .flat_map(|one| {
                one.fragments.into_iter().map(move |fragment| {
                    let mut text = fragment.text;
                    for mark in fragment.marks.iter().rev() {
                        text.insert(mark.end, ']');
                        text.insert(mark.start, '[');
                    }
                    format!("{}: {text}", one.field)
                })
            })
            .collect()
    }

    #[test]
    fn words_phrases_beginnings_and_slips_are_marked_where_they_stand() {
        let document = json!({"data": {
            "basic": {"name": "Crème brûlée", "tagItems": ["lemon tart", "Lemon"]},
            "post": {"articleText": "A lemon, a lemonade and a melon."},
        }});
        let all = Highlight::default();
        let text = |text: &str| Text::new(text);
        for (condition, expected) in [
            (
                Condition::Text(text("BRULEE")),
                vec!["data.basic.name: Crème [brûlée]"],
            ),
            (
                Condition::Text(text("lemon")),
                vec![
                    "data.basic.tagItems: [lemon] tart",
                    "data.basic.tagItems: [Lemon]",
                    "data.post.articleText: A [lemon], a lemonade and a melon.",
                ],
            ),
            (
                Condition::Text(Text {
                    last_word: LastWord::Prefix,
                    fields: vec!["post.articleText".parse().unwrap()],
                    ..text("lemon")
                }),
                vec!["data.post.articleText: A [lemon], a [lemonade] and a melon."],
            ),
            (
                Condition::Text(Text {
                    spelling: Spelling::Fuzzy,
                    fields: vec!["post.articleText".parse().unwrap()],
                    ..text("lemno")
                }),
                vec!["data.post.articleText: A [lemon], a lemonade and a melon."],
            ),
            (
                Condition::Phrase(Phrase {
                    text: "lemon tart".into(),
                    fields: Vec::new(),
                }),
                vec!["data.basic.tagItems: [lemon tart]"],
            ),
            (
                Condition::Not(Box::new(Condition::Text(text("lemon")))),
                vec![],
            ),
            (Condition::Everything, vec![]),
        ] {
            assert_eq!(
                shown(&condition, &all, &document),
                expected,
                "{condition:?}"
            );
        }
    }

    #[test]
    fn long_texts_are_cut_between_words_and_the_fullest_pieces_are_kept() {
        let filler = "one two three four five six seven eight nine ten ".repeat(20);
        let article = format!("{filler}heron {filler}heron and heron again {filler}heron");
        let document = json!({"data": {"post": {"articleText": article}}});
        let highlight = Highlight {
            fragments: 1,
            fragment_chars: 40,
            ..Highlight::default()
        };
        let condition = Condition::text("heron");
        let shown = shown(&condition, &highlight, &document);
        assert_eq!(
            shown,
            ["data.post.articleText: nine ten [heron] and [heron] again one two"]
        );
    }

    #[test]
    fn odd_texts_don_t_disturb() {
        let highlight = Highlight {
            fragments: 10,
            fragment_chars: 3,
            ..Highlight::default()
        };
        for text in [
            "",
            "é",
            "é é é",
            "ﬁ ﬁ",
            "🎉a🎉",
            "\u{301}a",
            "a\u{200D}b",
            &"x".repeat(100_000),
        ] {
            let document = json!({"data": {"post": {"t": text}}});
            for words in ["a", "é", "fi", "🎉", "x"] {
                shown(&Condition::text(words), &highlight, &document);
            }
        }
    }

    #[test]
    fn slips_are_counted() {
        for (left, right, expected) in [
            ("lemon", "lemon", 0),
            ("lemon", "lemno", 1),
            ("lemon", "lemons", 1),
            ("lemon", "melon", 2),
            ("", "ab", 2),
        ] {
            assert_eq!(distance(left, right), expected, "{left} {right}");
        }
    }
}
