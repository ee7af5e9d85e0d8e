//! Honest traffic beside an attack: at a constant rate, a put and then a get of it, each with its
//! latency. Nothing of it may be refused or lost.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::raw::{RawGun, node};

/// After this a message counts as lost. Latency is the bench's matter.
const LOST: Duration = Duration::from_secs(30);

/// The id of the honest message with that number: nine digits, so that an attacker can use it first.
#[must_use]
pub fn message_id(number: u64) -> String {
    format!("{number:09}")
}

/// Puts and gets until `ends`, `per_second` of each; returns the latencies of both, in the order in
/// which they fell due. A latency counts from when the message was due.
///
/// # Errors
/// When a put is refused, or a message is not answered within half a minute.
pub async fn traffic(relay: &str, per_second: u32, ends: Instant) -> Result<Vec<Duration>> {
    let mut client = RawGun::connect(relay).await?;
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / per_second);
    let mut latencies = Vec::new();
    let mut number = 0;
    while Instant::now() < ends {
        let due = ticks.tick().await.into_std();
        let soul = format!("ba9876543210:honest-{number}");
        let state_ms = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(0));
        let graph = node(
            &soul,
            &[("data", json!("{}")), ("n", json!(number))],
            state_ms,
        );
        let id = message_id(2 * number);
        client.send(&json!({"#": id, "put": graph})).await?;
        let ack = client
            .find(LOST, |message| message["@"] == id.as_str())
            .await
            .with_context(|| format!("put {number} was not answered"))?;
        ensure!(ack["ok"] == true, "put {number} was refused: {ack}");
        latencies.push(due.elapsed());
        let id = message_id(2 * number + 1);
        let asked = Instant::now();
        client.send(&json!({"#": id, "get": {"#": soul}})).await?;
        let answer = client
            .find(LOST, |message| message["@"] == id.as_str())
            .await
            .with_context(|| format!("get {number} was not answered"))?;
        ensure!(
            answer["put"][&soul]["n"] == number,
            "get {number} brought {answer}"
        );
        latencies.push(asked.elapsed());
        number += 1;
    }
    Ok(latencies)
}
