//! By what nodes of this kind know each other: the extension message `oip:hello` (`docs/wire.md`).
//!
//! Owns who has greeted whom. Refuses ids that are too long, in silence: a greeting is a courtesy.

use gun::mesh::{Input, PeerId};

use super::{HubEvent, Running};

/// The extension message by which nodes of this kind know each other.
const GREETING: &str = "oip:hello";

/// Ids are 32 hex digits; aliases are names that people chose.
const NODE_ID_BYTES_MAX: usize = 128;

impl Running {
    pub(super) fn greet(&mut self, peer: PeerId) {
        if self.greeted.insert(peer) {
            let body = format!(
                "{{\"v\":1,\"node\":{}}}",
                serde_json::Value::from(&*self.hub.node_id)
            );
            self.feed(Input::Announce {
                peer,
                name: GREETING.into(),
                body: body.into(),
            });
        }
    }

    pub(super) fn extension(&mut self, peer: PeerId, name: &str, body: &str) {
        if name != GREETING {
            return;
        }
        let greeting: Option<serde_json::Value> = serde_json::from_str(body).ok();
        let node_id = greeting
            .as_ref()
            .and_then(|g| g["node"].as_str())
            .filter(|id| id.len() <= NODE_ID_BYTES_MAX);
        if let (Some(node_id), true) = (node_id, self.greeted_by.insert(peer)) {
            let _ = self.hub.events.send(HubEvent::Greeted {
                peer,
                node_id: node_id.into(),
            });
            self.greet(peer);
        }
    }
}
