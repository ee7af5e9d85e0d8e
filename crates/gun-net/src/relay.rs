//! The WebSocket endpoint `/gun` of the relay port.
//!
//! Takes the upgrade by itself, so that accepted and dialled connections are of one kind. A
//! query and a slash at the end are allowed. Compression is never agreed to: an inflated frame
//! could be a thousand times its size.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use gun::mesh::Direction;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;
use tokio_tungstenite::tungstenite::protocol::Role;
use tracing::debug;

use crate::connection;
use crate::meter::Metered;
use crate::network::Inner;
use crate::server::Admitted;

/// What a plain HTTP request to `/gun` hears.
const NOT_AN_UPGRADE: &str = "this is a GUN peer: connect with a WebSocket, for instance \
                              Gun({peers: ['http://host:8765/gun']})\n";

pub(crate) fn router(net: Arc<Inner>) -> axum::Router {
    axum::Router::new()
        .route("/gun", any(upgrade))
        .route("/gun/", any(upgrade))
        .with_state(net)
}

async fn upgrade(State(net): State<Arc<Inner>>, mut request: Request) -> Response {
    if net.cancel.is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "this node is stopping\n").into_response();
    }
    let response = match create_response_with_body(&request, Body::empty) {
        Ok(response) => response,
        Err(error) => {
            let text = format!("no WebSocket upgrade ({error}); {NOT_AN_UPGRADE}");
            return (StatusCode::BAD_REQUEST, text).into_response();
        }
    };
    let remote = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let label = remote.map_or_else(|| "unknown".to_owned(), |remote| remote.0.to_string());
    let admitted = request.extensions().get::<Admitted>().cloned();
    if let Some(admitted) = &admitted {
        admitted.upgraded();
    }
    let upgrading = hyper::upgrade::on(&mut request);
    net.tracker
        .spawn(accept(upgrading, label, admitted, Arc::clone(&net)));
    response
}

/// Runs an accepted connection; its place among the admitted ones is held until it ends.
async fn accept(upgrading: OnUpgrade, label: String, admitted: Option<Admitted>, net: Arc<Inner>) {
    let upgraded = match timeout(net.config.timers.upgrade_max, upgrading).await {
        Ok(Ok(upgraded)) => upgraded,
        Ok(Err(error)) => return debug!(label, %error, "an upgrade failed"),
        Err(_) => return debug!(label, "an upgrade timed out"),
    };
    let meters = net.meters(Arc::default());
    let origin = admitted.as_ref().map(Admitted::origin);
    let stream = Metered::new(TokioIo::new(upgraded), meters.clone());
    let (stream, frame) = net.unfinished.of(origin, stream);
    let config = connection::websocket_config(&net.config.accepted);
    let socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await;
    let link = net.open(Direction::Accepted, label, origin, meters, frame);
    connection::run(socket, link, net).await;
    drop(admitted);
}
