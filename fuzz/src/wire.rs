//! Frames: what was understood can be said again, and is then understood in the same way.

use gun::wire::{
    Body, Dam, FRAME_CHARS_MAX, FramePacker, Limits, Message, MessageId, encode, parse_frame,
};

/// The bounds on both kinds of connections.
pub(crate) const LIMITS: [Limits; 2] = [Limits::ACCEPTED, Limits::DIALLED];

/// The one message of a text that a writer of ours made.
pub(crate) fn read_again(text: &str) -> Message {
    let mut messages = parse_frame(text, &Limits::DIALLED);
    assert_eq!(messages.len(), 1, "one message was written: {text}");
    match messages.remove(0) {
        Ok(message) => message,
        Err(refused) => panic!("our own text is refused ({refused:?}): {text}"),
    }
}

/// A frame as a peer sends it.
///
/// # Panics
/// Where a rule does not hold.
pub fn frame(input: &str) {
    for limits in LIMITS {
        let heard = parse_frame(input, &limits);
        // A name for metrics and a response stand for every refusal.
        for refused in heard.iter().filter_map(|message| message.as_ref().err()) {
            assert!(!refused.reject.name().is_empty());
            let _ = (refused.reject.response(), refused.reject.to_string());
        }
        let sayable = heard.into_iter().flatten().filter(is_sent).map(with_id);
        say_again(&sayable.collect::<Vec<_>>());
    }
}

/// Some messages are only heard: an answer to nobody knows whom, for one.
fn is_sent(message: &Message) -> bool {
    match &message.body {
        Body::Dam(Dam::Unknown) | Body::Keepalive => false,
        Body::Ack(_) => message.reply_to.is_some(),
        _ => true,
    }
}

/// All that is sent has an id.
fn with_id(mut message: Message) -> Message {
    message.id.get_or_insert(MessageId::from_random(1));
    message
}

fn say_again(messages: &[Message]) {
    let mut packer = FramePacker::new();
    let mut frames = Vec::new();
    for message in messages {
        let text = encode(message);
        let again = read_again(&text);
        assert_eq!(encode(&again), text, "said twice, a message is the same");
        frames.extend(packer.push(message));
    }
    frames.extend(packer.flush());
    let mut heard = 0;
    for frame in frames {
        let inside = parse_frame(&frame, &Limits::DIALLED);
        assert!(inside.iter().all(Result::is_ok), "a packed frame: {frame}");
        assert!(
            inside.len() == 1 || frame.len() <= FRAME_CHARS_MAX,
            "a frame of several messages is short"
        );
        heard += inside.len();
    }
    assert_eq!(heard, messages.len(), "nothing is lost in packing");
}
