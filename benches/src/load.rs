//! Puts and gets over one WebSocket with many in flight. Owns the windows and the clock of each
//! message; frames are fed in groups and flushed once. Refuses to wait for ever: what is not
//! answered in time is counted.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{FutureExt, SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use crate::message::{self, PutText, WHOLE};
use crate::statistics::Latencies;

/// Frames fed before the socket is read again, so that neither side waits for the other to read.
const FEED_MAX: usize = 256;

/// An answer that takes longer than this counts as missing; a gun.js relay under load was seen
/// to take 9 s for an ack.
const ANSWER_MAX: Duration = Duration::from_secs(20);

/// Frames read before sending goes on.
const READ_MAX: usize = 1_024;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A connection under load.
#[derive(Debug)]
pub struct Load {
    sink: SplitSink<Socket, Message>,
    stream: SplitStream<Socket>,
    puts: PutText,
    next_put: u32,
    next_get: u32,
}

/// How puts went.
#[derive(Debug, Default)]
pub struct PutOutcome {
    /// From the moment a put was due to its ack.
    pub latencies: Latencies,
    /// Numbers of the acknowledged.
    pub acked: Vec<u32>,
    /// Answered with an error.
    pub refused: usize,
    /// Not answered in time.
    pub unanswered: usize,
    /// From the first put to the last ack.
    pub seconds: f64,
}

/// How gets went.
#[derive(Debug, Default)]
pub struct GetOutcome {
    /// From the get to the answer that made the node whole.
    pub latencies: Latencies,
    /// Numbers of nodes that did not come whole.
    pub missing: Vec<u32>,
    /// From the first get to the last answer.
    pub seconds: f64,
}

/// Requests under way, by number from `first` on.
struct Flight<T> {
    first: u32,
    requests: Vec<Option<T>>,
    open: usize,
}

impl<T> Flight<T> {
    fn new(first: u32) -> Self {
        Self {
            first,
            requests: Vec::new(),
            open: 0,
        }
    }

    fn send(&mut self, request: T) {
        self.requests.push(Some(request));
        self.open += 1;
    }

    fn slot(&mut self, number: u32) -> Option<&mut Option<T>> {
        let position = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.requests.get_mut(position)
    }

    /// Ends a request; `None` if it had ended.
    fn end(&mut self, number: u32) -> Option<T> {
        let request = self.slot(number)?.take()?;
        self.open -= 1;
        Some(request)
    }
}

impl Load {
    /// Connects to `ws://…`; puts will bear this state.
    ///
    /// # Errors
    /// When the peer does not accept.
    pub async fn connect(url: &str, state_ms: u64) -> Result<Self> {
        // Without Nagle's algorithm, which would hold back the last frame of a group.
        let (socket, _) = connect_async_with_config(url, None, true)
            .await
            .with_context(|| format!("connect to {url}"))?;
        let (sink, stream) = socket.split();
        Ok(Self {
            sink,
            stream,
            puts: PutText::new(state_ms),
            next_put: 0,
            next_get: 0,
        })
    }

    /// Connects anew after the peer was restarted; numbers go on.
    ///
    /// # Errors
    /// When the peer does not accept.
    pub async fn reconnect(&mut self, url: &str) -> Result<()> {
        let (socket, _) = connect_async_with_config(url, None, true).await?;
        (self.sink, self.stream) = socket.split();
        Ok(())
    }

    /// Puts for a time with `window` unacknowledged, then waits for the rest (closed loop).
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn put_closed(&mut self, window: usize, time: Duration) -> Result<PutOutcome> {
        let started = Instant::now();
        self.put(|sent, open| {
            let may_send = started.elapsed() < time && open < window;
            let _ = sent;
            may_send.then(Instant::now)
        })
        .await
    }

    /// Puts this many with `window` unacknowledged.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn put_count(&mut self, count: usize, window: usize) -> Result<PutOutcome> {
        self.put(|sent, open| (sent < count && open < window).then(Instant::now))
            .await
    }

    /// Puts this many as fast as the socket takes them, waits for no ack, and reads the last one until
    /// it comes: for relays that acknowledge nothing. Returns the seconds until then.
    ///
    /// # Errors
    /// When the connection breaks, or the last node does not come in time.
    pub async fn put_blind(&mut self, count: u32) -> Result<f64> {
        let started = Instant::now();
        let last = self.next_put + count - 1;
        while self.next_put <= last {
            let group = u32::try_from(FEED_MAX).unwrap_or(u32::MAX);
            for _ in 0..group.min(last + 1 - self.next_put) {
                let text = self.puts.of(self.next_put);
                self.next_put += 1;
                self.sink.feed(Message::text(text)).await?;
            }
            // Acks of relays that do acknowledge are read, so that neither side blocks.
            tokio::select! {
                flushed = self.sink.flush() => flushed?,
                heard = self.stream.next() => { heard.context("the connection is closed")??; }
            }
            while self.stream.next().now_or_never().is_some() {}
        }
        self.sink.flush().await?;
        while started.elapsed() < BLIND_MAX {
            let outcome = self.get_all(&[last], 1).await?;
            if outcome.missing.is_empty() {
                return Ok(started.elapsed().as_secs_f64());
            }
        }
        bail!("the last of {count} puts can't be read after {BLIND_MAX:?}")
    }

    /// Puts at a constant rate for a time, whatever is unacknowledged (open loop). Latency counts
    /// from the moment a put was due, also if it left later.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn put_open(&mut self, per_second: u32, time: Duration) -> Result<PutOutcome> {
        let started = Instant::now();
        let gap = Duration::from_secs(1) / per_second.max(1);
        self.put(|sent, _| {
            let due = gap * u32::try_from(sent).unwrap_or(u32::MAX);
            (due <= started.elapsed() && due < time).then_some(started + due)
        })
        .await
    }

    /// Puts whenever `due` (of the number sent and the number unacknowledged) gives the moment at
    /// which the next was due. Ends when it gives none and everything is answered, and, because a
    /// gap of an open loop looks the same, at least [`ANSWER_MAX`] after silence.
    async fn put(
        &mut self,
        mut due: impl FnMut(usize, usize) -> Option<Instant>,
    ) -> Result<PutOutcome> {
        let mut outcome = PutOutcome::default();
        let mut flight = Flight::new(self.next_put);
        let started = Instant::now();
        let (mut last_answer, mut last_sent) = (started, started);
        loop {
            let mut fed = 0;
            while fed < FEED_MAX
                && let Some(at) = due(flight.requests.len(), flight.open)
            {
                let text = self.puts.of(self.next_put);
                self.next_put += 1;
                self.sink.feed(Message::text(text)).await?;
                flight.send(at);
                fed += 1;
            }
            if fed > 0 {
                last_sent = Instant::now();
                self.sink.flush().await?;
            }
            // An open loop is due again within milliseconds; a closed one ends at once.
            if flight.open == 0 && fed == 0 && last_sent.elapsed() > SEND_GAP_MAX {
                break;
            }
            let heard = self
                .receive(|message| {
                    let Some(number) = message::answered(message, 'p') else {
                        return;
                    };
                    if let Some(at) = flight.end(number) {
                        if message::is_refusal(message) {
                            outcome.refused += 1;
                        } else {
                            outcome.latencies.add(at.elapsed());
                            outcome.acked.push(number);
                        }
                    }
                })
                .await?;
            if heard {
                last_answer = Instant::now();
            } else if last_answer.max(last_sent).elapsed() > ANSWER_MAX {
                break;
            }
        }
        outcome.unanswered = flight.open;
        outcome.seconds = (last_answer - started).as_secs_f64();
        Ok(outcome)
    }

    /// Gets the nodes of these numbers once each.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn get_all(&mut self, numbers: &[u32], window: usize) -> Result<GetOutcome> {
        self.get(numbers.iter().copied(), window).await
    }

    /// Gets the nodes of these numbers over and over for a time.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn get_for(
        &mut self,
        numbers: &[u32],
        window: usize,
        time: Duration,
    ) -> Result<GetOutcome> {
        let started = Instant::now();
        let numbers = numbers.iter().copied().cycle();
        self.get(numbers.take_while(|_| started.elapsed() < time), window)
            .await
    }

    async fn get(
        &mut self,
        numbers: impl Iterator<Item = u32>,
        window: usize,
    ) -> Result<GetOutcome> {
        struct Request {
            number: u32,
            sent: Instant,
            keys: u8,
        }
        let mut numbers = numbers.fuse();
        let mut outcome = GetOutcome::default();
        let mut flight: Flight<Request> = Flight::new(self.next_get);
        // Those that were sent first, to find what is not answered in time.
        let mut oldest: VecDeque<(u32, Instant)> = VecDeque::new();
        let started = Instant::now();
        let mut last_answer = started;
        loop {
            let mut fed = 0;
            while fed < FEED_MAX
                && flight.open < window
                && let Some(number) = numbers.next()
            {
                let text = message::get_text(self.next_get, number);
                self.sink.feed(Message::text(text)).await?;
                let sent = Instant::now();
                flight.send(Request {
                    number,
                    sent,
                    keys: 0,
                });
                oldest.push_back((self.next_get, sent));
                self.next_get += 1;
                fed += 1;
            }
            if fed > 0 {
                self.sink.flush().await?;
            } else if flight.open == 0 {
                break;
            }
            let latencies = &mut outcome.latencies;
            self.receive(|message| {
                let Some(request) = message::answered(message, 'g') else {
                    return;
                };
                let keys = message::keys_of(message);
                let Some(Some(known)) = flight.slot(request) else {
                    return;
                };
                known.keys |= keys;
                if known.keys == WHOLE {
                    latencies.add(known.sent.elapsed());
                    last_answer = Instant::now();
                    flight.end(request);
                }
            })
            .await?;
            while let Some((request, sent)) = oldest.front() {
                let is_open = flight.slot(*request).is_some_and(|slot| slot.is_some());
                // A relay may say "not found" before it has looked on its disk: only time tells.
                if is_open && sent.elapsed() < GET_MAX {
                    break;
                }
                if let Some(late) = flight.end(*request) {
                    outcome.missing.push(late.number);
                }
                oldest.pop_front();
            }
        }
        outcome.seconds = (last_answer - started).as_secs_f64();
        Ok(outcome)
    }

    /// Hands all messages that are there to `each`, waiting a moment for the first; whether any came.
    async fn receive(&mut self, mut each: impl FnMut(&str)) -> Result<bool> {
        let Ok(first) = tokio::time::timeout(RECEIVE_MAX, self.stream.next()).await else {
            return Ok(false);
        };
        let mut next = Some(first);
        let mut read = 0;
        while let Some(frame) = next {
            match frame {
                Some(Ok(Message::Text(frame))) => message::each_message(&frame, &mut each),
                Some(Ok(Message::Close(reason))) => bail!("the peer closed: {reason:?}"),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error).context("the connection broke"),
                None => bail!("the connection is closed"),
            }
            read += 1;
            // Only what is handled is taken out.
            next = (read < READ_MAX)
                .then(|| self.stream.next().now_or_never())
                .flatten();
        }
        Ok(true)
    }
}

/// Longest time of puts that nobody acknowledges.
const BLIND_MAX: Duration = Duration::from_secs(120);

/// Longest wait for a message before sending is looked at again: the step of an open loop.
const RECEIVE_MAX: Duration = Duration::from_millis(1);

/// The longest gap between two puts of an open loop.
const SEND_GAP_MAX: Duration = Duration::from_millis(200);

/// A get that takes longer than this counts as missing; it is asked again at the end.
const GET_MAX: Duration = Duration::from_secs(5);
