//! Answers on their way: in pieces, so that one is in memory no longer than it must be, and
//! within bounds, so that many who read slowly do not fill it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use axum::http::{Response, StatusCode};
use bytes::{Buf as _, Bytes};
use hyper::body::{Body as _, Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::connections::InUse;

/// What room is counted in, in bytes. Less than one is nothing: answers of which each
/// connection may have one, so that nobody who reads slowly keeps a scrape out.
const UNIT: u64 = 128 * 1024;
/// What all large answers of a listener may hold together: 16 MiB.
const UNITS: u32 = 128;
/// Handed to the connection at a time.
const PIECE: usize = 16 * 1024;

/// The room for answers of one listener.
#[derive(Clone)]
pub(super) struct Room(Arc<Semaphore>);

impl Default for Room {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(UNITS as usize)))
    }
}

impl Room {
    /// The answer while there is room for it, else that there is none.
    pub(super) fn take_in(&self, answer: Response<Body>, in_use: InUse) -> Response<Answer> {
        let size = answer.body().size_hint().exact().unwrap_or_default();
        let units = u32::try_from(size / UNIT).map_or(UNITS, |units| units.min(UNITS));
        let (answer, room) = match self.0.clone().try_acquire_many_owned(units) {
            Ok(room) => (answer, Some(room)),
            Err(_) => (no_room(), None),
        };
        answer.map(|body| Answer {
            body,
            rest: Bytes::new(),
            _room: room,
            _in_use: in_use,
        })
    }
}

fn no_room() -> Response<Body> {
    let text = "too many large answers are being read: ask again later\n";
    let mut answer = Response::new(Body::from(text));
    *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    answer
}

/// An answer. Until its last piece has left, it takes its room, and the connection is in use.
pub(super) struct Answer {
    body: Body,
    /// Of what the body gave last.
    rest: Bytes,
    _room: Option<OwnedSemaphorePermit>,
    _in_use: InUse,
}

impl Answer {
    /// A copy: a part of the whole would keep all of it.
    fn next_piece(&mut self) -> Frame<Bytes> {
        let piece = Bytes::copy_from_slice(&self.rest[..self.rest.len().min(PIECE)]);
        self.rest.advance(piece.len());
        Frame::data(piece)
    }
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.rest.is_empty() {
            let frame = match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => frame,
                end => return Poll::Ready(end),
            };
            match frame.into_data() {
                Ok(data) if data.len() > PIECE => self.rest = data,
                Ok(data) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Err(other) => return Poll::Ready(Some(Ok(other))),
            }
        }
        Poll::Ready(Some(Ok(self.next_piece())))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match self.rest.len() {
            0 => self.body.size_hint(),
            // Asked for only before the first frame.
            _ => SizeHint::default(),
        }
    }
}
