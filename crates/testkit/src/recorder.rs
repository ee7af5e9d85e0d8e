//! A TCP proxy that keeps every byte that passes, in both directions, so that a test can look for what
//! must not have stood on a wire. Takes the mask off WebSocket frames; refuses compressed ones, in
//! which nothing could be found.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// The bytes of one direction of one connection.
type Stream = Arc<Mutex<Vec<u8>>>;

/// A running proxy. It ends with the runtime.
#[derive(Debug)]
pub struct Recorder {
    address: SocketAddr,
    streams: Arc<Mutex<Vec<Stream>>>,
}

impl Recorder {
    /// Starts one in front of `target`, such as `127.0.0.1:8765`.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start(target: impl Into<String>) -> Result<Self> {
        let target: String = target.into();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let streams: Arc<Mutex<Vec<Stream>>> = Arc::default();
        let kept = Arc::clone(&streams);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(&target).await else {
                    continue;
                };
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = server.into_split();
                let directions = [(from_client, to_server), (from_server, to_client)];
                for (from, to) in directions {
                    let stream = Stream::default();
                    kept.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(Arc::clone(&stream));
                    tokio::spawn(pass(from, to, stream));
                }
            }
        });
        Ok(Self { address, streams })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What has passed: each direction of each connection as it was, and the texts of its frames.
    ///
    /// # Errors
    /// When a frame was compressed.
    pub fn recorded(&self) -> Result<Vec<Vec<u8>>> {
        let streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        let mut recorded = Vec::new();
        for stream in streams.iter() {
            let bytes = stream
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone();
            recorded.push(unframed(&bytes)?);
            recorded.push(bytes);
        }
        Ok(recorded)
    }
}

async fn pass(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    stream: Stream,
) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let bytes = &buffer[..read];
        stream
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend_from_slice(bytes);
        if to.write_all(bytes).await.is_err() {
            break;
        }
    }
    // An error means that the other side has closed already.
    let _ = to.shutdown().await;
}

/// The payloads of all frames after the HTTP head, one after the other.
fn unframed(bytes: &[u8]) -> Result<Vec<u8>> {
    let head = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    let Some(mut at) = head.map(|at| at + 4) else {
        return Ok(Vec::new());
    };
    let mut payloads = Vec::new();
    while let Some(&[first, second]) = bytes.get(at..at + 2) {
        anyhow::ensure!(
            first & 0x70 == 0,
            "a compressed frame, in which nothing can be found"
        );
        at += 2;
        let number = |from: usize, length: usize| {
            bytes.get(from..from + length).map(|bytes| {
                bytes
                    .iter()
                    .fold(0_usize, |number, byte| number << 8 | usize::from(*byte))
            })
        };
        let (length, skip) = match second & 0x7f {
            126 => (number(at, 2), 2),
            127 => (number(at, 8), 8),
            short => (Some(usize::from(short)), 0),
        };
        let Some(length) = length else { break };
        at += skip;
        let mask = (second & 0x80 != 0)
            .then(|| bytes.get(at..at + 4))
            .flatten();
        at += mask.map_or(0, <[u8]>::len);
        // The last frame may have been cut by the end of the test.
        let payload = bytes
            .get(at..bytes.len().min(at + length))
            .context("a frame begins")?;
        payloads.extend(payload.iter().enumerate().map(|(n, byte)| match mask {
            Some(mask) => byte ^ mask[n % 4],
            None => *byte,
        }));
        at += length;
    }
    Ok(payloads)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mask_is_taken_off_and_compression_is_refused() {
        let mut bytes = b"GET / HTTP/1.1\r\n\r\n".to_vec();
        bytes.extend([0x81, 0x83, 1, 2, 3, 4, b'a' ^ 1, b'b' ^ 2, b'c' ^ 3]);
        bytes.extend([0x81, 2, b'd', b'e']);
        assert_eq!(unframed(&bytes).unwrap(), b"abcde");
        bytes.extend([0xc1, 1, 0]);
        assert!(unframed(&bytes).is_err());
    }
}
