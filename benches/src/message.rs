//! The texts of puts and gets, made before they are needed as far as possible, and reading of
//! what comes back at the least cost: the load generator shares two cores with what it measures.

use serde_json::value::RawValue;

/// Bytes of one put: what the figures of `gun.js` relays were measured with.
pub const PUT_BYTES: usize = 978;

/// All four keys of a node were seen.
pub const WHOLE: u8 = 0b1111;

/// How each key stands in a node, apart from its state.
const KEY_MARKS: [&str; 4] = [
    r#""name":""#,
    r#""text":""#,
    r#""live":true"#,
    r#""kind":""#,
];

/// Digits of a number within a text; fixed, so that they can be written over.
const DIGITS: usize = 8;

/// Makes puts of one node with 4 keys, each of a soul of its own.
#[derive(Debug, Clone)]
pub struct PutText {
    template: Vec<u8>,
    /// Where the number stands: in the message id and twice in the soul.
    places: Vec<usize>,
}

impl PutText {
    /// All values get this state, which has 13 digits until the year 2286.
    #[must_use]
    pub fn new(state_ms: u64) -> Self {
        let text = |filling: &str| {
            let zeros = "0".repeat(DIGITS);
            let soul = format!("bench{zeros}");
            let states: Vec<String> = ["name", "text", "live", "kind"]
                .iter()
                .map(|key| format!("\"{key}\":{state_ms}"))
                .collect();
            format!(
                r##"{{"#":"p{zeros}","put":{{"{soul}":{{"_":{{"#":"{soul}",">":{{{}}}}},"name":"a node of the bench","text":"{filling}","live":true,"kind":"measurement"}}}}}}"##,
                states.join(",")
            )
        };
        let missing = PUT_BYTES.saturating_sub(text("").len());
        let filling: String = "plain words of some length "
            .chars()
            .cycle()
            .take(missing)
            .collect();
        let template = text(&filling);
        let zeros = "0".repeat(DIGITS);
        let places = template.match_indices(&zeros).map(|(at, _)| at).collect();
        Self {
            template: template.into_bytes(),
            places,
        }
    }

    /// The put of this number; its message id is `p` and the number.
    #[must_use]
    pub fn of(&self, number: u32) -> String {
        let mut bytes = self.template.clone();
        let digits = format!("{number:0DIGITS$}");
        for place in &self.places {
            bytes[*place..place + DIGITS].copy_from_slice(digits.as_bytes());
        }
        String::from_utf8(bytes).expect("digits replace digits")
    }
}

/// A get of the node of a number; its message id is `g` and the request's number.
#[must_use]
pub fn get_text(request: u32, number: u32) -> String {
    format!(r##"{{"#":"g{request:0DIGITS$}","get":{{"#":"bench{number:0DIGITS$}"}}}}"##)
}

/// Calls `each` with every message of a frame: one object, or an array of objects or of texts.
pub fn each_message(frame: &str, mut each: impl FnMut(&str)) {
    if frame.starts_with('{') {
        return each(frame);
    }
    let Ok(messages) = serde_json::from_str::<Vec<&RawValue>>(frame) else {
        return;
    };
    for message in messages {
        match serde_json::from_str::<String>(message.get()) {
            Ok(text) => each(&text),
            Err(_) => each(message.get()),
        }
    }
}

/// The number that an answer is for, if it is for a message of this kind (`p` or `g`).
#[must_use]
pub fn answered(message: &str, kind: char) -> Option<u32> {
    let (_, rest) = message.split_once("\"@\":\"")?;
    let digits = rest.strip_prefix(kind)?.get(..DIGITS)?;
    digits.parse().ok()
}

/// Whether an ack says that the put failed.
#[must_use]
pub fn is_refusal(message: &str) -> bool {
    message.contains("\"err\":\"")
}

/// Which keys of the node an answer holds, as bits; 0 is "not found".
#[must_use]
pub fn keys_of(message: &str) -> u8 {
    if !message.contains("\"put\":{") {
        return 0;
    }
    let bits = KEY_MARKS.iter().enumerate();
    bits.map(|(bit, mark)| u8::from(message.contains(mark)) << bit)
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_put_has_the_measured_size_and_its_own_soul() {
        let put = PutText::new(1_700_000_000_000).of(42);
        assert_eq!(put.len(), PUT_BYTES);
        let value: serde_json::Value = serde_json::from_str(&put).expect("a put is JSON");
        assert_eq!(value["#"], "p00000042");
        let node = &value["put"]["bench00000042"];
        assert_eq!(node["_"]["#"], "bench00000042");
        assert_eq!(node.as_object().map(|node| node.len()), Some(5));
        assert_eq!(keys_of(&put), WHOLE);
    }

    #[test]
    fn answers_are_found_in_every_form_of_frame() {
        let ack = r##"{"@":"p00000007","ok":{"":1},"#":"x"}"##;
        let as_text = serde_json::to_string(ack).expect("a text");
        for (frame, count) in [
            (ack.to_owned(), 1),
            (format!("[{ack},{ack}]"), 2),
            (format!("[{as_text}]"), 1),
            ("[]".to_owned(), 0),
        ] {
            let mut found = Vec::new();
            each_message(&frame, |message| found.extend(answered(message, 'p')));
            assert_eq!(found, vec![7; count], "{frame}");
        }
        assert_eq!(answered(ack, 'g'), None);
        assert_eq!(answered(r#"{"dam":"?","pid":"x"}"#, 'p'), None);
    }

    #[test]
    fn parts_of_a_node_are_told_from_the_whole() {
        assert_eq!(keys_of(r#"{"@":"g00000001","put":null}"#), 0);
        let part = r#"{"put":{"s":{"_":{">":{"name":1,"text":1}},"name":"x"}}}"#;
        assert_eq!(keys_of(part), 0b0001);
    }
}
