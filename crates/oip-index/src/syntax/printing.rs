//! Conditions as texts: the way back from a tree to what people write.

use std::ops::Bound;

use crate::condition::{Condition, LastWord, MatchMode, Phrase, Spelling, Text};
use crate::field::FieldPath;

/// A condition as a text. One that was read from a text is read back from this as the same. Tags, lists of values,
/// texts of several words and counted alternatives, which no text gives, are written as what fits the same.
#[must_use]
pub fn print(condition: &Condition) -> String {
    let mut out = String::new();
    print_into(&mut out, condition);
    out
}

fn print_into(out: &mut String, condition: &Condition) {
    match condition {
        Condition::Everything => out.push('*'),
        Condition::Text(text) => print_each(out, &text.fields, |out| {
            push_word(out, &text.text);
            match (text.last_word, text.spelling) {
                (LastWord::Prefix, _) => out.push('*'),
                (_, Spelling::Fuzzy) => out.push('~'),
                _ => {}
            }
        }),
        Condition::Phrase(phrase) => {
            print_each(out, &phrase.fields, |out| push_quoted(out, &phrase.text));
        }
        Condition::Exact { field, any_of } => print_exact(out, field, any_of, " OR "),
        Condition::Range { field, from, to } => {
            push_field(out, field);
            let excluded = |bound: &Bound<String>| matches!(bound, Bound::Excluded(_));
            out.push(if excluded(from) { '{' } else { '[' });
            push_bound(out, from);
            out.push_str(" TO ");
            push_bound(out, to);
            out.push(if excluded(to) { '}' } else { ']' });
        }
        Condition::Tags { tags, mode } => {
            let between = match mode {
                MatchMode::All => " ",
                MatchMode::Any => " OR ",
            };
            print_exact(out, &FieldPath::tags(), tags, between);
        }
        Condition::Exists { field } => {
            push_field(out, field);
            out.push('*');
        }
        Condition::Storage(method) => {
            out.push_str("storage:");
            push_quoted(out, method);
        }
        Condition::Refers(start) => {
            out.push_str("refers:");
            push_quoted(out, start);
        }
        Condition::All(parts) => print_joined(out, parts, " ", "*"),
        Condition::Any(parts) | Condition::Most(parts) => print_joined(out, parts, " OR ", "NOT *"),
        Condition::Not(part) => {
            out.push_str("NOT ");
            print_part(out, part);
        }
    }
}

fn print_joined(out: &mut String, parts: &[Condition], between: &str, none: &str) {
    if parts.is_empty() {
        out.push_str(none);
    }
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            out.push_str(between);
        }
        print_part(out, part);
    }
}

/// In parentheses where it would fall apart.
fn print_part(out: &mut String, part: &Condition) {
    let joins = match part {
        Condition::All(_) | Condition::Any(_) | Condition::Most(_) => true,
        Condition::Exact { any_of, .. } => any_of.len() != 1,
        Condition::Tags { tags, .. } => tags.len() != 1,
        Condition::Text(Text { fields, .. }) | Condition::Phrase(Phrase { fields, .. }) => {
            fields.len() > 1
        }
        _ => false,
    };
    if joins {
        out.push('(');
    }
    print_into(out, part);
    if joins {
        out.push(')');
    }
}

fn print_each(out: &mut String, fields: &[FieldPath], print: impl Fn(&mut String)) {
    if fields.is_empty() {
        print(out);
    }
    for (at, field) in fields.iter().enumerate() {
        if at > 0 {
            out.push_str(" OR ");
        }
        push_field(out, field);
        print(out);
    }
}

fn print_exact(out: &mut String, field: &FieldPath, any_of: &[String], between: &str) {
    if any_of.is_empty() {
        out.push_str("NOT *");
    }
    for (at, value) in any_of.iter().enumerate() {
        if at > 0 {
            out.push_str(between);
        }
        push_field(out, field);
        out.push('=');
        push_quoted(out, value);
    }
}

fn push_field(out: &mut String, field: &FieldPath) {
    for character in field.to_string().chars() {
        if character.is_whitespace() || matches!(character, '(' | ')' | '"' | ':') {
            out.push('\\');
        }
        out.push(character);
    }
    out.push(':');
}

fn push_quoted(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        if matches!(character, '"' | '\\') {
            out.push('\\');
        }
        out.push(character);
    }
    out.push('"');
}

fn push_bound(out: &mut String, bound: &Bound<String>) {
    match bound {
        Bound::Unbounded => out.push('*'),
        Bound::Included(text) | Bound::Excluded(text) => push_quoted(out, text),
    }
}

fn push_word(out: &mut String, text: &str) {
    let is_keyword = matches!(text, "AND" | "OR" | "NOT");
    for (at, character) in text.chars().enumerate() {
        let has_meaning = character.is_whitespace()
            || matches!(character, '(' | ')' | '"' | ':' | '\\' | '*' | '~');
        let leads =
            at == 0 && (is_keyword || matches!(character, '-' | '=' | '<' | '>' | '[' | '{'));
        if has_meaning || leads {
            out.push('\\');
        }
        out.push(character);
    }
}
