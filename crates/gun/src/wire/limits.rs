//! How much one frame may hold. Every bound is checked while parsing, before anything of the
//! frame is stored.

/// Longest frame sent to a peer, in UTF-16 units: a gun.js node peer garbles JSON that takes
/// its parser over 32,768 steps, and a step is at most one character. A message whose excess
/// lies in one long text goes out all the same, alone: a text is two steps at any length.
pub const FRAME_CHARS_MAX: usize = 32_767;

/// Bounds on what is heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of text in a frame.
    pub frame_bytes_max: usize,
    /// Messages in a batch.
    pub messages_max: usize,
    /// Nodes in a message.
    pub nodes_max: usize,
    /// Keys in a message, over all its nodes.
    pub keys_max: usize,
    /// Nesting of the JSON kept as text: `ok` of an ack and the body of an extension.
    pub nesting_max: usize,
    /// What one bad value does to its message.
    pub on_fault: OnFault,
}

/// What one bad value does to the message it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFault {
    /// The message is refused, and its sender told why.
    Refuse,
    /// The value is left out; the others are taken.
    DropValue,
}

impl Limits {
    /// For connections that others opened. 40 MiB holds the largest record, 8 MiB of JSON, as
    /// one text in which every character is escaped (`\"` becomes eight characters), with room
    /// for what stands beside it; the bounds on nodes and keys bound the work of one merge.
    pub const ACCEPTED: Self = Self {
        frame_bytes_max: 40 << 20,
        messages_max: 10_000,
        nodes_max: 10_000,
        keys_max: 20_000,
        nesting_max: 32,
        on_fault: OnFault::Refuse,
    };

    /// For relays the operator named. A gun.js relay answers a whole node in one message: an
    /// index of 5,000 entries is 275 KB, and larger ones exist. It also keeps and passes on
    /// values that nobody should have sent, and one of those must not hide all others.
    pub const DIALLED: Self = Self {
        frame_bytes_max: 64 << 20,
        messages_max: 100_000,
        nodes_max: 100_000,
        keys_max: 500_000,
        nesting_max: 32,
        on_fault: OnFault::DropValue,
    };
}
