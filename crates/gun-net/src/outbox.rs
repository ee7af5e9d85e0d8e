//! What waits to be sent on one connection: bounded in messages and bytes.
//!
//! When it is full, news is dropped and counted (states make up for it later); an answer or a
//! question can't be dropped without the peer waiting in vain, so the connection is closed.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gun::Value;
use gun::mesh::SendKind;
use gun::wire::{Body, Dam, Message};
use tokio::sync::Notify;

/// Bounds of the outboxes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutboxLimits {
    /// Messages in one outbox. A gun.js client keeps up to 50,000 puts under way, whose acks
    /// may fall due at once.
    pub messages_max: usize,
    /// Bytes in one outbox: six of the largest records, since a node that fetches records asks
    /// for at least four at a time.
    pub bytes_max: usize,
    /// News may fill at most this share, in percent, so that there is room for answers.
    pub push_percent: usize,
    /// Bytes in all outboxes together, beyond which each gets `floor_bytes` only.
    pub total_bytes_max: usize,
    /// What an outbox may hold even when others use up the total: readers that don't read
    /// must not starve those who do.
    pub floor_bytes: usize,
    /// With more bytes than this the outbox is crowded, until it holds less than half of its floor:
    /// enough to keep a fast reader's socket full, little enough that a reader who doesn't read costs
    /// nobody the making of answers that would lie here.
    pub crowded_bytes: usize,
}

impl Default for OutboxLimits {
    fn default() -> Self {
        Self {
            messages_max: 65_536,
            bytes_max: 48 << 20,
            push_percent: 50,
            total_bytes_max: 256 << 20,
            floor_bytes: 256 << 10,
            crowded_bytes: 4 << 20,
        }
    }
}

/// What happened to a message that was offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offer {
    /// It will be sent.
    Queued,
    /// It will be sent, behind much else: [`Taken::Relieved`] tells when that is gone.
    Crowded,
    /// It was news, and there is no room: [`Taken::Relieved`] tells when there is again.
    Dropped,
    /// It was not news, and there is no room: the connection has to be closed.
    Overflow,
    /// The connection is closing.
    Sealed,
}

/// A queue with one reader, the writer of the connection.
#[derive(Debug)]
pub(crate) struct Outbox {
    limits: OutboxLimits,
    queue: Mutex<Queue>,
    ready: Notify,
    /// Bytes in all outboxes of the network.
    total: Arc<AtomicUsize>,
}

#[derive(Debug, Default)]
struct Queue {
    messages: VecDeque<(Message, usize)>,
    bytes: usize,
    sealed: bool,
    crowded: bool,
}

/// What taking messages out did to the outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// There was nothing.
    Nothing,
    /// There were some.
    Some,
    /// And the outbox was crowded, and is so no more.
    Relieved,
}

/// Messages taken out at once: the lock is shared with the task that decides about all peers.
const TAKEN_MAX: usize = 32;

/// Bytes after which no more are taken out at once: what is taken is not counted any more.
const TAKEN_BYTES_MAX: usize = 64 << 10;

impl Outbox {
    pub(crate) fn new(limits: OutboxLimits, total: Arc<AtomicUsize>) -> Self {
        Self {
            limits,
            queue: Mutex::default(),
            ready: Notify::new(),
            total,
        }
    }

    pub(crate) fn offer(&self, message: Message, kind: SendKind) -> Offer {
        let weight = weight(&message);
        let mut queue = self.lock();
        if queue.sealed {
            return Offer::Sealed;
        }
        // What waits keeps the connection open as well.
        if kind == SendKind::Keepalive && !queue.messages.is_empty() {
            return Offer::Queued;
        }
        if !self.fits(&queue, weight, kind) {
            return match kind {
                SendKind::Push | SendKind::Keepalive => {
                    queue.crowded = true;
                    Offer::Dropped
                }
                SendKind::Reply | SendKind::Request => Offer::Overflow,
            };
        }
        queue.messages.push_back((message, weight));
        queue.bytes += weight;
        let total = self.total.fetch_add(weight, Ordering::Relaxed) + weight;
        let crowded_bytes = if total > self.limits.total_bytes_max {
            self.limits.floor_bytes / 2
        } else {
            self.limits.crowded_bytes
        };
        queue.crowded |= queue.bytes > crowded_bytes;
        let crowded = queue.crowded;
        drop(queue);
        self.ready.notify_one();
        if crowded {
            Offer::Crowded
        } else {
            Offer::Queued
        }
    }

    fn fits(&self, queue: &Queue, weight: usize, kind: SendKind) -> bool {
        // A message that alone is over the bound could otherwise never be sent.
        if queue.messages.is_empty() {
            return true;
        }
        let limits = &self.limits;
        let crowded = self.total.load(Ordering::Relaxed) + weight > limits.total_bytes_max;
        let bytes_max = if crowded {
            limits.floor_bytes
        } else {
            limits.bytes_max
        };
        let percent = if kind == SendKind::Push {
            limits.push_percent
        } else {
            100
        };
        queue.messages.len() < limits.messages_max * percent / 100
            && queue.bytes + weight <= bytes_max * percent / 100
    }

    /// Takes the oldest messages, each with about the bytes it occupies.
    pub(crate) fn take(&self, into: &mut Vec<(Message, usize)>) -> Taken {
        let mut queue = self.lock();
        let mut bytes = 0;
        while into.len() < TAKEN_MAX
            && bytes < TAKEN_BYTES_MAX
            && let Some((message, weight)) = queue.messages.pop_front()
        {
            bytes += weight;
            into.push((message, weight));
        }
        if bytes == 0 {
            return Taken::Nothing;
        }
        queue.bytes -= bytes;
        let relieved = queue.crowded && queue.bytes <= self.limits.floor_bytes / 2;
        queue.crowded &= !relieved;
        drop(queue);
        self.total.fetch_sub(bytes, Ordering::Relaxed);
        if relieved {
            Taken::Relieved
        } else {
            Taken::Some
        }
    }

    /// Waits until there may be something to take, or the outbox was sealed.
    pub(crate) async fn ready(&self) {
        self.ready.notified().await;
    }

    /// Takes nothing more; what is queued can still be sent.
    pub(crate) fn seal(&self) {
        self.lock().sealed = true;
        self.ready.notify_one();
    }

    pub(crate) fn is_sealed(&self) -> bool {
        self.lock().sealed
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().messages.len()
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // No code that can panic runs under the lock.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        let bytes = self.lock().bytes;
        self.total.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// A message without texts: ids, enum, queue slot.
const MESSAGE_BYTES: usize = 256;

/// A key with its state and the reference to its value.
const ENTRY_BYTES: usize = 64;

/// About the bytes a message occupies. Pushes of one change share their texts between peers;
/// each counts them in full, which errs on the safe side.
fn weight(message: &Message) -> usize {
    let texts = match &message.body {
        Body::Put(put) => put
            .graph
            .iter()
            .map(|node| {
                let entries = node.entries.iter().map(|entry| {
                    let value = match &entry.value {
                        Value::Text(text) => text.len(),
                        Value::Link(soul) => soul.as_str().len(),
                        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
                    };
                    ENTRY_BYTES + entry.key.as_str().len() + value
                });
                ENTRY_BYTES + node.soul.as_str().len() + entries.sum::<usize>()
            })
            .sum(),
        Body::Ack(ack) => {
            ack.ok.as_ref().map_or(0, |text| text.len())
                + ack.err.as_ref().map_or(0, |text| text.len())
        }
        Body::Dam(Dam::Extension { name, body }) => name.len() + body.len(),
        Body::Dam(Dam::Error { err }) => err.len(),
        Body::Dam(_) | Body::Get(_) | Body::Keepalive => 0,
    };
    MESSAGE_BYTES + texts
}

#[cfg(test)]
mod tests {
    use super::*;
    use gun::graph::Entry;
    use gun::wire::{Ack, MessageId, Put};
    use gun::{Key, Node, Soul, State};

    fn ack() -> Message {
        Message::new(MessageId::from_random(1), Body::Ack(Ack::success()))
    }

    fn news(bytes: usize) -> Message {
        let entry = Entry {
            key: Key::new("k").unwrap(),
            state: State::from_millis(1),
            value: Value::text("x".repeat(bytes)),
        };
        let node = Node {
            soul: Soul::new("s").unwrap(),
            entries: vec![entry],
        };
        Message::new(MessageId::from_random(1), Body::Put(Put::new(vec![node])))
    }

    /// Takes one message, the place of the others being filled.
    fn take_one(outbox: &Outbox, into: &mut Vec<(Message, usize)>) -> Taken {
        into.truncate(TAKEN_MAX - 1);
        while into.len() < TAKEN_MAX - 1 {
            into.push((ack(), 0));
        }
        outbox.take(into)
    }

    fn take(outbox: &Outbox) -> usize {
        let mut taken = Vec::new();
        outbox.take(&mut taken);
        taken.len()
    }

    fn outbox(limits: OutboxLimits) -> Outbox {
        Outbox::new(limits, Arc::default())
    }

    #[test]
    fn news_is_dropped_while_there_is_still_room_for_answers() {
        let limits = OutboxLimits {
            messages_max: 10,
            ..OutboxLimits::default()
        };
        let outbox = outbox(limits);
        for _ in 0..5 {
            assert_eq!(outbox.offer(news(1), SendKind::Push), Offer::Queued);
        }
        assert_eq!(outbox.offer(news(1), SendKind::Push), Offer::Dropped);
        for _ in 0..5 {
            assert_eq!(outbox.offer(ack(), SendKind::Reply), Offer::Crowded);
        }
        assert_eq!(outbox.offer(ack(), SendKind::Reply), Offer::Overflow);
        assert_eq!(outbox.offer(ack(), SendKind::Request), Offer::Overflow);
        assert_eq!(take(&outbox), 10);
        assert_eq!(outbox.offer(ack(), SendKind::Reply), Offer::Queued);
    }

    #[test]
    fn bytes_are_bounded_like_messages() {
        let limits = OutboxLimits {
            bytes_max: 10_000,
            ..OutboxLimits::default()
        };
        let outbox = outbox(limits);
        assert_eq!(outbox.offer(news(4_000), SendKind::Push), Offer::Queued);
        assert_eq!(outbox.offer(news(4_000), SendKind::Push), Offer::Dropped);
        assert_eq!(outbox.offer(news(4_000), SendKind::Reply), Offer::Crowded);
        assert_eq!(outbox.offer(news(4_000), SendKind::Reply), Offer::Overflow);
    }

    #[test]
    fn a_message_larger_than_the_bound_passes_alone() {
        let outbox = outbox(OutboxLimits {
            bytes_max: 100,
            ..OutboxLimits::default()
        });
        assert_eq!(outbox.offer(news(5_000), SendKind::Reply), Offer::Queued);
        assert_eq!(outbox.offer(ack(), SendKind::Reply), Offer::Overflow);
    }

    #[test]
    fn readers_that_do_not_read_leave_each_other_peer_its_floor() {
        let limits = OutboxLimits {
            total_bytes_max: 50_000,
            floor_bytes: 2_000,
            ..OutboxLimits::default()
        };
        let total = Arc::new(AtomicUsize::new(0));
        let greedy = Outbox::new(limits, Arc::clone(&total));
        let modest = Outbox::new(limits, Arc::clone(&total));
        while greedy.offer(news(1_000), SendKind::Reply) == Offer::Queued {}
        assert_eq!(modest.offer(ack(), SendKind::Reply), Offer::Queued);
        assert_eq!(modest.offer(ack(), SendKind::Reply), Offer::Queued);
        assert_eq!(modest.offer(news(4_000), SendKind::Reply), Offer::Overflow);
        drop(greedy);
        assert_eq!(modest.offer(news(4_000), SendKind::Reply), Offer::Queued);
        while take(&modest) > 0 {}
        assert_eq!(total.load(Ordering::Relaxed), 0, "every byte is given back");
    }

    #[test]
    fn a_crowded_outbox_is_relieved_once_it_is_nearly_empty() {
        let outbox = outbox(OutboxLimits {
            crowded_bytes: 10_000,
            floor_bytes: 4_000,
            ..OutboxLimits::default()
        });
        let offer = || outbox.offer(news(1_000), SendKind::Reply);
        let mut queued = 0;
        while offer() == Offer::Queued {
            queued += 1;
        }
        assert!(
            (6..10).contains(&queued),
            "{queued} of over 1,000 bytes each"
        );
        assert_eq!(offer(), Offer::Crowded);
        let mut one = Vec::new();
        while outbox.len() > 2 {
            assert_eq!(take_one(&outbox, &mut one), Taken::Some);
        }
        // Below half of the floor there is room for one.
        assert_eq!(take_one(&outbox, &mut one), Taken::Relieved);
        assert_eq!(take_one(&outbox, &mut one), Taken::Some);
        assert_eq!(take_one(&outbox, &mut one), Taken::Nothing);
        assert_eq!(offer(), Offer::Queued);
    }

    #[test]
    fn who_missed_news_is_relieved_also_where_little_waits() {
        let outbox = outbox(OutboxLimits {
            bytes_max: 4_000,
            ..OutboxLimits::default()
        });
        assert_eq!(outbox.offer(news(1_000), SendKind::Push), Offer::Queued);
        assert_eq!(outbox.offer(news(1_000), SendKind::Push), Offer::Dropped);
        assert_eq!(outbox.take(&mut Vec::new()), Taken::Relieved);
        assert_eq!(outbox.offer(news(1_000), SendKind::Push), Offer::Queued);
    }

    #[test]
    fn a_keepalive_waits_behind_nothing() {
        let outbox = outbox(OutboxLimits::default());
        outbox.offer(ack(), SendKind::Reply);
        outbox.offer(Message::keepalive(), SendKind::Keepalive);
        assert_eq!(outbox.len(), 1);
    }

    #[test]
    fn a_sealed_outbox_gives_what_it_holds_and_takes_nothing() {
        let outbox = outbox(OutboxLimits::default());
        outbox.offer(ack(), SendKind::Reply);
        outbox.seal();
        assert_eq!(outbox.offer(ack(), SendKind::Reply), Offer::Sealed);
        assert_eq!(take(&outbox), 1);
        assert_eq!(take(&outbox), 0);
    }
}
