//! The text form of conditions, for people: `lemon "pearl barley" type:recipe recipe.servings:>=4 NOT tag:=draft`.
//!
//! | text | fits |
//! |---|---|
//! | `lemon barley`, `lemon AND barley` | both words, anywhere |
//! | `lemon OR lime` | either; `AND` binds closer |
//! | `NOT lemon`, `-lemon` | what has not got it |
//! | `( … )` | what is inside, first |
//! | `"pearl barley"` | the words next to each other |
//! | `lem*` | words that begin so |
//! | `lemno~` | words written a little differently |
//! | `name:lemon`, `post.webUrl:"…"` | in that field |
//! | `tag:="Boat trip"` | the whole value, case and all |
//! | `date:>=1768000000`, `oip.indexedAt:<2026-02-01` | compared |
//! | `recipe.servings:[2 TO 4}` | from 2, below 4; `*` is an open end |
//! | `post:*` | what has the field, or template |
//! | `storage:gun` | the DID's method |
//! | `*` | everything |
//!
//! A backslash takes the meaning from the character behind it. Reading never panics, is bounded, and every
//! refusal says where and what to do. What is read knows no types; the templates give values their meaning.

mod printing;

use std::ops::Bound;

use crate::condition::{
    CONDITION_DEPTH_MAX, CONDITIONS_MAX, Condition, LastWord, MatchMode, Phrase, Spelling, Text,
};
use crate::field::FieldPath;
use crate::words;

pub use printing::print;

/// Bytes of a text: a page of conditions; whoever needs more has a program to write them.
pub const SYNTAX_BYTES_MAX: usize = 4_096;

/// A text that is no query.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the query is wrong at character {at}: {fault}")]
pub struct SyntaxError {
    /// The place, in characters from 1.
    pub at: usize,
    /// What is wrong there.
    pub fault: SyntaxFault,
}

/// What is wrong with a text, with the cure.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SyntaxFault {
    /// Over [`SYNTAX_BYTES_MAX`].
    #[error("it has more than {SYNTAX_BYTES_MAX} bytes; shorten it")]
    TooLong,
    /// Over [`CONDITION_DEPTH_MAX`].
    #[error(
        "more than {CONDITION_DEPTH_MAX} parentheses and NOTs lie within each other; flatten them"
    )]
    TooDeep,
    /// Over [`CONDITIONS_MAX`].
    #[error("there are more than {CONDITIONS_MAX} conditions; split the query")]
    TooMany,
    /// A parenthesis that is never closed.
    #[error("this parenthesis is never closed; add ), or write \\( to look for one")]
    Unclosed,
    /// A closing one without an opening one.
    #[error("this parenthesis was never opened; leave it out, or write \\) to look for one")]
    Unopened,
    /// A quote that is never closed.
    #[error("this quote is never closed; add a \", or write \\\" to look for one")]
    UnclosedQuote,
    /// `AND`, `OR`, `NOT` or `-` with nothing to join.
    #[error(
        "{0} needs a condition on each side that it joins; write it in lower case to look for the word"
    )]
    Dangling(&'static str),
    /// `()`.
    #[error("there is nothing between these parentheses; leave them out")]
    Empty,
    /// Punctuation only.
    #[error(
        "there is no word in {0:?}; leave it out, or name a field and the whole value, as in field:=\"…\""
    )]
    NoWord(String),
    /// A star or tilde within a word.
    #[error("{0} has a meaning only at a word's end; write \\{0} to look for it")]
    Misplaced(char),
    /// `field:` and nothing behind it.
    #[error(
        "there is no value behind {0}: ; write one, {0}:* for any, or {0}\\: to look for the text"
    )]
    NoValue(String),
    /// The text before the colon names no field.
    #[error("{0}; write \\: where the colon is part of the text")]
    Field(crate::field::FieldError),
    /// A range that can't be read.
    #[error(
        "a range is written [from TO to], with * for an open end and {{ }} to leave a bound out"
    )]
    Range,
}

/// Reads a text. A blank one is [`Condition::Everything`].
///
/// # Errors
/// [`SyntaxError`], with the place.
pub fn parse(text: &str) -> Result<Condition, SyntaxError> {
    if text.len() > SYNTAX_BYTES_MAX {
        let at = text.chars().count();
        let fault = SyntaxFault::TooLong;
        return Err(SyntaxError { at, fault });
    }
    let mut parser = Parser {
        characters: text.chars().collect(),
        at: 0,
        depth: 0,
        conditions: 0,
    };
    parser.skip_blank();
    if parser.peek().is_none() {
        return Ok(Condition::Everything);
    }
    let condition = parser.either()?;
    match parser.peek() {
        None => Ok(condition),
        Some(_) => Err(parser.fault(SyntaxFault::Unopened)),
    }
}

struct Parser {
    characters: Vec<char>,
    at: usize,
    depth: usize,
    conditions: usize,
}

/// A text that was written as one, with what stood at its end.
struct Word {
    text: String,
    quoted: bool,
    /// `*` or `~`.
    mark: Option<char>,
}

impl Parser {
    fn peek(&self) -> Option<char> {
        self.characters.get(self.at).copied()
    }

    fn fault(&self, fault: SyntaxFault) -> SyntaxError {
        self.fault_at(self.at, fault)
    }

    fn fault_at(&self, at: usize, fault: SyntaxFault) -> SyntaxError {
        SyntaxError { at: at + 1, fault }
    }

    fn skip_blank(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
    }

    /// Takes a keyword in capitals, if it stands here as a word of its own.
    fn keyword(&mut self, keyword: &str) -> bool {
        let length = keyword.len();
        let ends = |character: &char| character.is_whitespace() || matches!(character, '(' | ')');
        let here = self.characters[self.at..]
            .iter()
            .take(length)
            .copied()
            .eq(keyword.chars());
        let alone = self.characters.get(self.at + length).is_none_or(ends);
        if here && alone {
            self.at += length;
            self.skip_blank();
        }
        here && alone
    }

    fn at_keyword(&mut self, keyword: &str) -> bool {
        let start = self.at;
        let found = self.keyword(keyword);
        self.at = start;
        found
    }

    fn either(&mut self) -> Result<Condition, SyntaxError> {
        let mut parts = vec![self.each()?];
        while self.keyword("OR") {
            parts.push(self.each()?);
        }
        self.joined(parts, Condition::Any)
    }

    fn each(&mut self) -> Result<Condition, SyntaxError> {
        let mut parts = vec![self.one()?];
        loop {
            let joined = self.keyword("AND");
            match self.peek() {
                None | Some(')') if !joined => break,
                _ if !joined && self.at_keyword("OR") => break,
                _ => parts.push(self.one()?),
            }
        }
        self.joined(parts, Condition::All)
    }

    fn joined(
        &mut self,
        mut parts: Vec<Condition>,
        join: fn(Vec<Condition>) -> Condition,
    ) -> Result<Condition, SyntaxError> {
        match parts.len() {
            1 => Ok(parts.remove(0)),
            _ => {
                self.count()?;
                Ok(join(parts))
            }
        }
    }

    fn count(&mut self) -> Result<(), SyntaxError> {
        self.conditions += 1;
        match self.conditions > CONDITIONS_MAX {
            true => Err(self.fault(SyntaxFault::TooMany)),
            false => Ok(()),
        }
    }

    fn one(&mut self) -> Result<Condition, SyntaxError> {
        let start = self.at;
        for keyword in ["AND", "OR"] {
            if self.at_keyword(keyword) {
                return Err(self.fault(SyntaxFault::Dangling(keyword)));
            }
        }
        match self.peek() {
            None => Err(self.fault(SyntaxFault::Dangling("a joining word"))),
            Some(')') => Err(self.fault(SyntaxFault::Unopened)),
            Some('(') => self.group(),
            Some('-') => {
                self.at += 1;
                match self.peek() {
                    None => Err(self.fault_at(start, SyntaxFault::Dangling("-"))),
                    Some(next) if next.is_whitespace() => {
                        Err(self.fault_at(start, SyntaxFault::Dangling("-")))
                    }
                    Some(_) => self.not(start),
                }
            }
            Some(_) if self.keyword("NOT") => match self.peek() {
                None | Some(')') => Err(self.fault_at(start, SyntaxFault::Dangling("NOT"))),
                Some(_) => self.not(start),
            },
            Some(_) => {
                self.count()?;
                let condition = self.leaf()?;
                self.skip_blank();
                Ok(condition)
            }
        }
    }

    fn not(&mut self, start: usize) -> Result<Condition, SyntaxError> {
        self.count()?;
        let inner = self.deeper(start, Self::one)?;
        Ok(Condition::Not(Box::new(inner)))
    }

    fn group(&mut self) -> Result<Condition, SyntaxError> {
        let start = self.at;
        self.at += 1;
        self.skip_blank();
        if self.peek() == Some(')') {
            return Err(self.fault_at(start, SyntaxFault::Empty));
        }
        let inner = self.deeper(start, Self::either)?;
        if self.peek() != Some(')') {
            return Err(self.fault_at(start, SyntaxFault::Unclosed));
        }
        self.at += 1;
        self.skip_blank();
        Ok(inner)
    }

    /// One level down. A level of the text may hold two of the tree (a choice of several words).
    fn deeper(
        &mut self,
        start: usize,
        read: fn(&mut Self) -> Result<Condition, SyntaxError>,
    ) -> Result<Condition, SyntaxError> {
        self.depth += 1;
        if 2 * self.depth + 2 > CONDITION_DEPTH_MAX {
            return Err(self.fault_at(start, SyntaxFault::TooDeep));
        }
        let inner = read(self)?;
        self.depth -= 1;
        Ok(inner)
    }

    fn leaf(&mut self) -> Result<Condition, SyntaxError> {
        let start = self.at;
        if self.peek() == Some('"') {
            let text = self.quoted()?;
            return self.phrase(start, text, Vec::new());
        }
        let Some(name) = self.field_name() else {
            let word = self.word()?;
            return self.word_condition(start, word, Vec::new());
        };
        if name == "storage" {
            let word = self.value(&name)?;
            return Ok(Condition::Storage(word.text));
        }
        if name == "refers" {
            let word = self.value(&name)?;
            return Ok(Condition::Refers(word.text));
        }
        let field: FieldPath = name
            .parse()
            .map_err(|error| self.fault_at(start, SyntaxFault::Field(error)))?;
        if field == FieldPath::did() {
            return self.did(&name);
        }
        self.field_condition(start, &name, field)
    }

    /// The text before an unescaped colon, which is taken too. A word that begins with a colon has none.
    fn field_name(&mut self) -> Option<String> {
        let mut name = String::new();
        let mut at = self.at;
        loop {
            match *self.characters.get(at)? {
                ':' if name.is_empty() => return None,
                ':' => {
                    self.at = at + 1;
                    return Some(name);
                }
                // Escapes stay: they have their own meaning within a field's name.
                '\\' if self.characters.get(at + 1) == Some(&':') => return None,
                '\\' => {
                    name.push('\\');
                    name.push(*self.characters.get(at + 1)?);
                    at += 2;
                    continue;
                }
                character if character.is_whitespace() || matches!(character, '(' | ')' | '"') => {
                    return None;
                }
                character => name.push(character),
            }
            at += 1;
        }
    }

    fn did(&mut self, name: &str) -> Result<Condition, SyntaxError> {
        if self.peek() == Some('=') {
            self.at += 1;
        }
        let text = self.value(name)?.text;
        Ok(Condition::did(match text.starts_with("did:") {
            true => text,
            false => format!("did:{text}"),
        }))
    }

    fn field_condition(
        &mut self,
        start: usize,
        name: &str,
        field: FieldPath,
    ) -> Result<Condition, SyntaxError> {
        let next = self.characters.get(self.at + 1).copied();
        let or_equal = next == Some('=');
        match self.peek() {
            Some('=') => {
                self.at += 1;
                let text = self.value(name)?.text;
                Ok(Condition::exact(field, [text]))
            }
            Some(sign @ ('<' | '>')) => {
                self.at += if or_equal { 2 } else { 1 };
                let text = self.value(name)?.text;
                let bound = match or_equal {
                    true => Bound::Included(text),
                    false => Bound::Excluded(text),
                };
                let (from, to) = match sign {
                    '>' => (bound, Bound::Unbounded),
                    _ => (Bound::Unbounded, bound),
                };
                Ok(Condition::Range { field, from, to })
            }
            Some('[' | '{') => self.range(field),
            Some('"') => {
                let text = self.quoted()?;
                self.phrase(start, text, vec![field])
            }
            Some('*') if next.is_none_or(ends_word) => {
                self.at += 1;
                Ok(Condition::Exists { field })
            }
            _ => {
                let word = self.value(name)?;
                self.word_condition(start, word, vec![field])
            }
        }
    }

    /// A word or quoted text that must be there.
    fn value(&mut self, name: &str) -> Result<Word, SyntaxError> {
        match self.peek() {
            None | Some('(' | ')') => Err(self.fault(SyntaxFault::NoValue(name.to_owned()))),
            Some(character) if character.is_whitespace() => {
                Err(self.fault(SyntaxFault::NoValue(name.to_owned())))
            }
            Some('"') => Ok(Word {
                text: self.quoted()?,
                quoted: true,
                mark: None,
            }),
            Some(_) => self.word(),
        }
    }

    /// `[from TO to]`.
    fn range(&mut self, field: FieldPath) -> Result<Condition, SyntaxError> {
        let start = self.at;
        let fault = |parser: &Self| parser.fault_at(start, SyntaxFault::Range);
        let from_included = self.peek() == Some('[');
        self.at += 1;
        let from = self.bound(start)?;
        if !self.keyword("TO") {
            return Err(fault(self));
        }
        let to = self.bound(start)?;
        let to_included = match self.peek() {
            Some(']') => true,
            Some('}') => false,
            _ => return Err(fault(self)),
        };
        self.at += 1;
        let bound = |text: Option<String>, included: bool| match (text, included) {
            (None, _) => Bound::Unbounded,
            (Some(text), true) => Bound::Included(text),
            (Some(text), false) => Bound::Excluded(text),
        };
        Ok(Condition::Range {
            field,
            from: bound(from, from_included),
            to: bound(to, to_included),
        })
    }

    /// One end of a range; `None` for a star.
    fn bound(&mut self, start: usize) -> Result<Option<String>, SyntaxError> {
        self.skip_blank();
        let text = match self.peek() {
            Some('"') => Some(self.quoted()?),
            Some('*') => {
                self.at += 1;
                None
            }
            _ => {
                let mut text = String::new();
                while let Some(character) = self.peek() {
                    let character = match character {
                        ']' | '}' => break,
                        blank if blank.is_whitespace() => break,
                        '\\' => self.escaped(),
                        other => other,
                    };
                    text.push(character);
                    self.at += 1;
                }
                if text.is_empty() {
                    return Err(self.fault_at(start, SyntaxFault::Range));
                }
                Some(text)
            }
        };
        self.skip_blank();
        Ok(text)
    }

    /// Behind the backslash here: the character it stands before; itself at the end of the text.
    fn escaped(&mut self) -> char {
        match self.characters.get(self.at + 1) {
            Some(character) => {
                self.at += 1;
                *character
            }
            None => '\\',
        }
    }

    fn quoted(&mut self) -> Result<String, SyntaxError> {
        let start = self.at;
        self.at += 1;
        let mut text = String::new();
        while let Some(character) = self.peek() {
            let character = match character {
                '"' => {
                    self.at += 1;
                    return Ok(text);
                }
                '\\' => self.escaped(),
                other => other,
            };
            text.push(character);
            self.at += 1;
        }
        Err(self.fault_at(start, SyntaxFault::UnclosedQuote))
    }

    /// Up to a blank, a parenthesis or a quote.
    fn word(&mut self) -> Result<Word, SyntaxError> {
        let mut text = String::new();
        while let Some(character) = self.peek() {
            let character = match character {
                end if ends_word(end) => break,
                mark @ ('*' | '~') => {
                    if self
                        .characters
                        .get(self.at + 1)
                        .is_some_and(|next| !ends_word(*next))
                    {
                        return Err(self.fault(SyntaxFault::Misplaced(mark)));
                    }
                    self.at += 1;
                    return Ok(Word {
                        text,
                        quoted: false,
                        mark: Some(mark),
                    });
                }
                '\\' => self.escaped(),
                other => other,
            };
            text.push(character);
            self.at += 1;
        }
        Ok(Word {
            text,
            quoted: false,
            mark: None,
        })
    }

    fn word_condition(
        &self,
        start: usize,
        word: Word,
        fields: Vec<FieldPath>,
    ) -> Result<Condition, SyntaxError> {
        if word.text.is_empty() && word.mark == Some('*') && fields.is_empty() {
            return Ok(Condition::Everything);
        }
        if word.quoted {
            return self.phrase(start, word.text, fields);
        }
        self.has_word(start, &word.text, &fields)?;
        Ok(Condition::Text(Text {
            text: word.text,
            mode: MatchMode::All,
            last_word: match word.mark {
                Some('*') => LastWord::Prefix,
                _ => LastWord::Whole,
            },
            spelling: match word.mark {
                Some('~') => Spelling::Fuzzy,
                _ => Spelling::Exact,
            },
            fields,
        }))
    }

    fn phrase(
        &self,
        start: usize,
        text: String,
        fields: Vec<FieldPath>,
    ) -> Result<Condition, SyntaxError> {
        self.has_word(start, &text, &fields)?;
        Ok(Condition::Phrase(Phrase { text, fields }))
    }

    /// A text without a word finds nothing; in a field it may be a whole value.
    fn has_word(&self, start: usize, text: &str, fields: &[FieldPath]) -> Result<(), SyntaxError> {
        match fields.is_empty() && words::sequence(text, 1).is_empty() {
            true => Err(self.fault_at(start, SyntaxFault::NoWord(text.to_owned()))),
            false => Ok(()),
        }
    }
}

fn ends_word(character: char) -> bool {
    character.is_whitespace() || matches!(character, '(' | ')' | '"')
}

#[cfg(test)]
mod tests;
