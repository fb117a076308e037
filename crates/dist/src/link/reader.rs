//! The receiving half of a link.

use std::sync::atomic::Ordering;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::Shared;
use super::frames::take_frame;
use crate::error::Failure;

/// Room for a read; many small frames come with one.
const READ_SIZE: usize = 16 * 1024;
/// A buffer that grew beyond this for one large frame is given back after it.
const KEEP_SIZE: usize = 64 * 1024;

/// Reads frames until the stream ends or breaks the rules.
pub(super) async fn read(
    mut stream: impl AsyncRead + Unpin,
    mut buffer: BytesMut,
    shared: &Shared,
    max_frame: usize,
    mut handle: impl FnMut(Bytes),
) -> Failure {
    let counting = &shared.counting;
    counting.received_bytes.add(buffer.len());
    loop {
        loop {
            match take_frame(&mut buffer, max_frame) {
                Ok(Some(body)) if body.is_empty() => {
                    counting.received_ticks.add(1);
                    shared.ticked.notify_one();
                }
                Ok(Some(body)) => {
                    counting.received_messages.add(1);
                    handle(body);
                }
                Ok(None) => break,
                Err(failure) => return failure,
            }
        }
        if buffer.is_empty() && buffer.capacity() > KEEP_SIZE {
            buffer = BytesMut::new();
        }
        buffer.reserve(READ_SIZE);
        match stream.read_buf(&mut buffer).await {
            Ok(0) => return Failure::closed_by_peer(),
            Ok(count) => {
                counting.received_bytes.add(count);
                shared.reads.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => return Failure::io(&error),
        }
    }
}
