//! GUN over WebSockets: server, dialer, bounded outboxes, keepalive and reconnect.
