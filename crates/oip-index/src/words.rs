//! How text becomes words, for documents and queries alike.
//!
//! Words are runs of letters and digits. What separates them, whatever it is, never
//! means anything, so that no query text can be wrong. Case, width, accents on Latin
//! letters and the way an accented letter is encoded make no difference. In scripts
//! written without spaces every character is a word, as Elasticsearch's standard
//! analyzer has it for Han and Hiragana; so are emoji.

use std::borrow::Cow;
use std::ops::Range;

use tantivy::tokenizer::{
    AsciiFoldingFilter, TextAnalyzer, Token, TokenFilter, TokenStream, Tokenizer,
};
use unicode_normalization::char::is_combining_mark;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfkc_quick};

/// The name that the schema knows this analysis by. It changes when the analysis does.
pub(crate) const ANALYZER: &str = "oip_words_1";

/// A word is cut after so many bytes: keys and base64 in strings must not blow up the
/// dictionary, and are still found, since queries are cut alike.
pub(crate) const WORD_BYTES_MAX: usize = 128;

/// The whole analysis: cut into words, then fold Latin letters to ASCII.
pub(crate) fn analyzer() -> TextAnalyzer {
    TextAnalyzer::builder(Words::default())
        .filter(AsciiFoldingFilter)
        .build()
}

/// Cuts many texts, with the analysis of [`analyzer`]; spares the building of one for each.
pub(crate) struct Splitter(<AsciiFoldingFilter as TokenFilter>::Tokenizer<Words>);

impl Default for Splitter {
    fn default() -> Self {
        Self(AsciiFoldingFilter.transform(Words::default()))
    }
}

impl Splitter {
    /// The words of a text in order, with blanks between them.
    pub(crate) fn joined(&mut self, text: &str) -> String {
        let mut stream = self.0.token_stream(text);
        let mut words = String::with_capacity(text.len());
        while stream.advance() {
            if !words.is_empty() {
                words.push(' ');
            }
            words.push_str(&stream.token().text);
        }
        words
    }
}

/// The distinct words of a text in order of appearance, at most `max` of them.
pub(crate) fn distinct(text: &str, max: usize) -> Vec<String> {
    let mut analyzer = analyzer();
    let mut stream = analyzer.token_stream(text);
    let mut words: Vec<String> = Vec::new();
    while words.len() < max && stream.advance() {
        let word = &stream.token().text;
        if !words.contains(word) {
            words.push(word.clone());
        }
    }
    words
}

/// The form of a text that words are cut from: Unicode's compatibility composition.
pub(crate) fn composed(text: &str) -> Cow<'_, str> {
    match text.is_ascii() || is_nfkc_quick(text.chars()) == IsNormalized::Yes {
        true => Cow::Borrowed(text),
        false => Cow::Owned(text.nfkc().collect()),
    }
}

/// All words of a composed text, in order, with where they stand in bytes.
pub(crate) fn placed(composed: &str) -> Vec<(String, Range<usize>)> {
    let mut analyzer = analyzer();
    let mut stream = analyzer.token_stream(composed);
    let mut words = Vec::new();
    while stream.advance() {
        let token = stream.token();
        words.push((token.text.clone(), token.offset_from..token.offset_to));
    }
    words
}

/// All words of a text in order, repeated ones too, at most `max` of them.
pub(crate) fn sequence(text: &str, max: usize) -> Vec<String> {
    let mut analyzer = analyzer();
    let mut stream = analyzer.token_stream(text);
    let mut words = Vec::new();
    while words.len() < max && stream.advance() {
        words.push(stream.token().text.clone());
    }
    words
}

#[derive(Clone, Default)]
struct Words {
    /// The text in Unicode's compatibility composition, when it did not come so.
    composed: String,
    token: Token,
}

impl Tokenizer for Words {
    type TokenStream<'a> = WordStream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> WordStream<'a> {
        self.token.reset();
        let text = if text.is_ascii() || is_nfkc_quick(text.chars()) == IsNormalized::Yes {
            text
        } else {
            self.composed.clear();
            self.composed.extend(text.nfkc());
            &self.composed
        };
        WordStream {
            text,
            next: 0,
            token: &mut self.token,
        }
    }
}

struct WordStream<'a> {
    text: &'a str,
    /// Where the next word may begin, in bytes.
    next: usize,
    token: &'a mut Token,
}

impl TokenStream for WordStream<'_> {
    fn advance(&mut self) -> bool {
        self.token.text.clear();
        let mut begun = None;
        let mut ended = self.text.len();
        for (at, character) in self.text[self.next..].char_indices() {
            let at = self.next + at;
            match (class(character), begun) {
                (Class::Silent, _) | (Class::Separator | Class::Mark, None) => {}
                (Class::Letter, None) => begun = Some((at, Class::Letter)),
                (Class::Alone, None) => begun = Some((at, Class::Alone)),
                (Class::Mark, Some(_)) | (Class::Letter, Some((_, Class::Letter))) => {}
                (Class::Separator | Class::Alone | Class::Letter, Some(_)) => {
                    ended = at;
                    break;
                }
            }
            if begun.is_some() {
                push_folded(&mut self.token.text, character);
            }
        }
        self.next = ended;
        let Some((from, _)) = begun else {
            return false;
        };
        self.token.offset_from = from;
        self.token.offset_to = ended;
        self.token.position = self.token.position.wrapping_add(1);
        true
    }

    fn token(&self) -> &Token {
        self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        self.token
    }
}

/// Adds a character in lower case, without what is folded away, up to the length of a word.
fn push_folded(word: &mut String, character: char) {
    if character.is_ascii() {
        if word.len() < WORD_BYTES_MAX {
            word.push(character.to_ascii_lowercase());
        }
        return;
    }
    for lower in character.to_lowercase() {
        let folded = match lower {
            // Joiners and variation selectors shape glyphs, they don't make other words.
            // Combining diacritics that no composed letter exists for go the way of accents.
            '\u{200C}' | '\u{200D}' | '\u{FE00}'..='\u{FE0F}' | '\u{0300}'..='\u{036F}' => continue,
            // Greek ends words with a sigma of its own.
            'ς' => 'σ',
            other => other,
        };
        if word.len() + folded.len_utf8() > WORD_BYTES_MAX {
            return;
        }
        word.push(folded);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Runs of these are a word.
    Letter,
    /// A word by itself.
    Alone,
    /// Belongs to what stands before it.
    Mark,
    /// Neither part of a word nor a break.
    Silent,
    /// Ends a word.
    Separator,
}

fn class(character: char) -> Class {
    if character.is_ascii() {
        return match character.is_ascii_alphanumeric() {
            true => Class::Letter,
            false => Class::Separator,
        };
    }
    match u32::from(character) {
        0x200C | 0x200D | 0xFE00..=0xFE0F => Class::Silent,
        _ if is_combining_mark(character) => Class::Mark,
        // Thai, Lao, Myanmar, Khmer; Hiragana; Han with its iteration marks.
        0x0E00..=0x0EFF
        | 0x1000..=0x109F
        | 0x1780..=0x17FF
        | 0x3005..=0x3007
        | 0x3040..=0x309F
        | 0x3400..=0x4DBF
        | 0x4E00..=0x9FFF
        | 0xF900..=0xFAFF
        | 0x20000..=0x323AF
            if character.is_alphanumeric() =>
        {
            Class::Alone
        }
        // Symbols and pictographs.
        0x2300..=0x23FF | 0x2600..=0x27BF | 0x2B00..=0x2BFF | 0x1F000..=0x1FAFF => Class::Alone,
        _ if character.is_alphanumeric() => Class::Letter,
        _ => Class::Separator,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        distinct(text, usize::MAX)
    }

    #[test]
    fn text_is_cut_at_everything_that_is_no_letter() {
        for (text, expected) in [
            ("", vec![]),
            ("  \t\n", vec![]),
            ("\"+-&|!(){}[]^~*?:\\/", vec![]),
            ("Hello, World", vec!["hello", "world"]),
            (
                "name:\"x\" AND (y OR z*)",
                vec!["name", "x", "and", "y", "or", "z"],
            ),
            (
                "snake_case moves.example/i.png",
                vec!["snake", "case", "moves", "example", "i", "png"],
            ),
            (
                "did:gun:5b1f:note-1",
                vec!["did", "gun", "5b1f", "note", "1"],
            ),
            ("again Again AGAIN", vec!["again"]),
        ] {
            assert_eq!(words(text), expected, "{text:?}");
        }
    }

    #[test]
    fn case_accents_width_and_encoding_make_no_difference() {
        for (text, expected) in [
            ("Résumé", "resume"),
            ("Re\u{301}sume\u{301}", "resume"),
            ("STRASSE", "strasse"),
            ("Straße", "strasse"),
            ("ŁÓDŹ", "lodz"),
            ("İstanbul", "istanbul"),
            ("ｆｕｌｌ", "full"),
            ("ﬁre", "fire"),
            ("ΟΔΟΣ", "οδοσ"),
            ("οδος", "οδοσ"),
            ("МОСКВА", "москва"),
            ("הָאָרֶץ", "הָאָרֶץ"),
            ("हिन्दी", "हिन्दी"),
            ("می\u{200C}خواهم", "میخواهم"),
            ("q\u{323}\u{307}", "q"),
        ] {
            let expected: String = expected.nfkc().collect();
            assert_eq!(words(text), [expected], "{text:?}");
        }
    }

    #[test]
    fn scripts_without_spaces_and_emoji_give_a_word_per_character() {
        assert_eq!(words("東京タワー"), ["東", "京", "タワー"]);
        assert_eq!(words("ひらがな2026"), ["ひ", "ら", "が", "な", "2026"]);
        assert_eq!(words("run🎉❤️run"), ["run", "🎉", "❤"]);
        assert_eq!(words("น้ำ").len(), 2);
    }

    #[test]
    fn long_words_are_cut_at_a_character() {
        for letter in ["a", "ж", "𝒳𐐀"] {
            let long = letter.repeat(100_000);
            let found = words(&long);
            assert_eq!(found.len(), 1, "{letter}");
            assert!(found[0].len() <= WORD_BYTES_MAX && found[0].len() > WORD_BYTES_MAX - 4);
        }
    }

    #[test]
    fn at_most_so_many_words_are_given() {
        assert_eq!(distinct("a b c d", 2), ["a", "b"]);
    }
}
