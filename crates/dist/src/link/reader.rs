//! The receiving half of a link.
//!
//! All links of a thread read into one buffer, and small frames are handled where they lie
//! in it: a read brings hundreds of them, and a link that is silent keeps no memory for
//! what may come. The rest of a large frame is read to where it stays, so that its message
//! is passed on without being copied; the memory is used again once the message is gone.

use std::cell::RefCell;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{BufMut as _, BytesMut};
use tokio::io::{AsyncRead, ReadBuf};
use tokio_util::io::poll_read_buf;

use super::frames::{Body, LENGTH, believed, body_len, room_for, split_frame};
use super::traffic::Counting;
use crate::error::Failure;

/// Room for a read.
const READ_SIZE: usize = 64 * 1024;
/// Frames from this size on get memory of their own.
const LARGE: usize = 16 * 1024;
/// After two large frames of one length the next is read as if it were another, up to this.
/// A larger one comes in several pieces in any case, and more of it is there once its head
/// has been read.
const AT_ONCE: usize = 128 * 1024;
/// Enough for the head of a large frame.
const HEAD_SIZE: usize = 512;
/// A buffer for beginnings that has become longer is not kept.
const KEPT: usize = 4 * 1024;
/// Buffers of large frames that are kept to be used again.
const SPARES: usize = 4;
/// Larger ones are given back.
const LARGEST_SPARE: usize = 2 * 1024 * 1024;
/// Bytes of large frames before others have their turn: a message is best taken while it
/// is in the processor's cache.
const TURN: usize = 256 * 1024;

thread_local! {
    // Not even zeroed: pages of it that nothing was read into take no memory.
    static READ_BUFFER: RefCell<Box<[MaybeUninit<u8>]>> =
        RefCell::new(Box::new_uninit_slice(READ_SIZE));
}

/// Puts frames together.
pub(super) struct Reader {
    /// The beginning of a frame whose end has not come yet.
    begun: BytesMut,
    /// What is left of the buffers of large frames, whose messages may be in use yet.
    spares: Vec<BytesMut>,
    /// The length of the last frame, if it was a large one.
    last_large: Option<usize>,
    /// Whether the one before was as long.
    repeats: bool,
    /// Bytes of large frames since others had their turn.
    turn: usize,
    max_frame: usize,
    reads: u64,
}

/// Where frames go to, and what came is counted.
pub(super) struct Sink<'a, H> {
    pub(super) counting: &'a Counting,
    pub(super) handle: H,
}

/// What a read brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    pub(super) bytes: usize,
    pub(super) messages: usize,
    ticks: usize,
    /// Whether more is likely to be there, and others should have their turn before it.
    pub(super) has_more: bool,
}

impl Progress {
    /// Nothing but bytes.
    fn of(bytes: usize) -> Self {
        Self {
            bytes,
            ..Self::default()
        }
    }

    pub(super) fn has_ticks(self) -> bool {
        self.ticks > 0
    }
}

impl Reader {
    /// `received` came with the handshake.
    pub(super) fn new(received: BytesMut, max_frame: usize) -> Self {
        Self {
            begun: received,
            spares: Vec::new(),
            last_large: None,
            repeats: false,
            turn: 0,
            max_frame,
            reads: 0,
        }
    }

    /// How often anything was read.
    pub(super) fn reads(&self) -> u64 {
        self.reads
    }

    /// Handles the frames that are whole already.
    pub(super) fn begin(
        &mut self,
        sink: &mut Sink<'_, impl FnMut(Body<'_>)>,
    ) -> Result<Progress, Failure> {
        let received = std::mem::take(&mut self.begun);
        sink.counting.received_bytes.add(received.len());
        self.take_frames(&received, sink)
    }

    /// Reads once, and handles the frames that are whole then.
    pub(super) fn poll_read<S: AsyncRead>(
        &mut self,
        cx: &mut Context<'_>,
        stream: Pin<&mut S>,
        sink: &mut Sink<'_, impl FnMut(Body<'_>)>,
    ) -> Poll<Result<Progress, Failure>> {
        let begun = body_len(&self.begun, self.max_frame)?.map(|body| LENGTH + body);
        match begun {
            Some(frame) if frame >= LARGE => self.poll_large(cx, stream, frame, sink),
            _ => match self.next_large() {
                Some(frame) => self.poll_next_large(cx, stream, frame, sink),
                None => self.poll_small(cx, stream, sink),
            },
        }
    }

    /// The length of the next frame if it is one like the last ones, and can be read at once.
    fn next_large(&self) -> Option<usize> {
        let is_likely = self.repeats && self.begun.is_empty();
        let last = self.last_large.filter(|_| is_likely)?;
        (last <= AT_ONCE).then_some(last)
    }

    fn note_length(&mut self, frame: usize) {
        let large = (frame >= LARGE).then_some(frame);
        self.repeats = self.last_large == large;
        self.last_large = large;
    }

    fn poll_small<S: AsyncRead>(
        &mut self,
        cx: &mut Context<'_>,
        stream: Pin<&mut S>,
        sink: &mut Sink<'_, impl FnMut(Body<'_>)>,
    ) -> Poll<Result<Progress, Failure>> {
        READ_BUFFER.with_borrow_mut(|buffer| {
            let is_next = self.last_large.is_some() && self.begun.is_empty();
            let room = if is_next { HEAD_SIZE } else { buffer.len() };
            let mut buffer = ReadBuf::uninit(&mut buffer[..room]);
            buffer.put_slice(&self.begun);
            let before = buffer.filled().len();
            ready!(stream.poll_read(cx, &mut buffer)).map_err(|error| Failure::io(&error))?;
            let is_full = buffer.remaining() == 0;
            let bytes = buffer.filled();
            self.count(bytes.len() - before, sink.counting)?;
            self.begun.clear();
            let mut progress = self.take_frames(bytes, sink)?;
            progress.has_more = is_full;
            progress.bytes = bytes.len() - before;
            Poll::Ready(Ok(progress))
        })
    }

    /// Reads as if another frame of this length came: then one read has all of it.
    fn poll_next_large<S: AsyncRead>(
        &mut self,
        cx: &mut Context<'_>,
        stream: Pin<&mut S>,
        frame: usize,
        sink: &mut Sink<'_, impl FnMut(Body<'_>)>,
    ) -> Poll<Result<Progress, Failure>> {
        if self.begun.capacity() < frame {
            let spare = self.spare(frame);
            self.begun = spare.unwrap_or_else(|| BytesMut::with_capacity(frame));
        }
        let read = poll_read_buf(stream, cx, &mut (&mut self.begun).limit(frame));
        let count = ready!(read).map_err(|error| Failure::io(&error))?;
        self.count(count, sink.counting)?;
        let next = body_len(&self.begun, self.max_frame)?.map(|body| LENGTH + body);
        let progress = match next.filter(|next| *next >= LARGE) {
            // Its message keeps all of the buffer.
            Some(next) if next == count && 2 * next >= self.begun.capacity() => {
                self.finish_large(next, count, sink)
            }
            Some(next) if next > count => Progress::of(count),
            _ => self.take_others(count, sink)?,
        };
        Poll::Ready(Ok(progress))
    }

    /// What was read in place of another large frame.
    fn take_others(
        &mut self,
        count: usize,
        sink: &mut Sink<'_, impl FnMut(Body<'_>)>,
    ) -> Result<Progress, Failure> {
        let mut others = std::mem::take(&mut self.begun);
        let progress = self.take_frames(&others, sink)?;
        others.clear();
        self.keep_spare(others);
        Ok(Progress {
            bytes: count,
            ..progress
        })
    }

    /// Reads no further than to the frame's end, so that nothing has to be moved.
    fn poll_large<S: AsyncRead>(
        &mut self,
        cx: &mut Context<'_>,
        stream: Pin<&mut S>,
        frame: usize,
        sink: &mut Sink<'_, impl FnMut(Body<'_>)>,
    ) -> Poll<Result<Progress, Failure>> {
        let missing = frame - self.begun.len();
        if self.begun.capacity() == self.begun.len() {
            let believed = frame.min(believed(self.begun.len()));
            self.begun.reserve(believed - self.begun.len());
        }
        let read = poll_read_buf(stream, cx, &mut (&mut self.begun).limit(missing));
        let count = ready!(read).map_err(|error| Failure::io(&error))?;
        self.count(count, sink.counting)?;
        if count < missing {
            return Poll::Ready(Ok(Progress::of(count)));
        }
        Poll::Ready(Ok(self.finish_large(frame, count, sink)))
    }

    /// The last read brought so many bytes of a frame of this length, which is whole now.
    fn finish_large(
        &mut self,
        frame: usize,
        count: usize,
        sink: &mut Sink<'_, impl FnMut(Body<'_>)>,
    ) -> Progress {
        let mut buffer = std::mem::take(&mut self.begun);
        let body = buffer.split().freeze().slice(LENGTH..);
        (sink.handle)(Body::Whole(&body));
        sink.counting.received_messages.add(1);
        // One that comes alone leaves nothing behind.
        if self.last_large.is_some() && frame <= LARGEST_SPARE {
            self.keep_spare(buffer);
        }
        self.note_length(frame);
        self.turn += frame;
        let has_more = self.turn >= TURN;
        if has_more {
            self.turn = 0;
        }
        Progress {
            messages: 1,
            has_more,
            ..Progress::of(count)
        }
    }

    fn count(&mut self, count: usize, counting: &Counting) -> Result<(), Failure> {
        if count == 0 {
            return Err(Failure::closed_by_peer());
        }
        self.reads += 1;
        counting.received_bytes.add(count);
        Ok(())
    }

    /// Handles what is whole, and keeps the rest.
    fn take_frames(
        &mut self,
        mut bytes: &[u8],
        sink: &mut Sink<'_, impl FnMut(Body<'_>)>,
    ) -> Result<Progress, Failure> {
        let mut progress = Progress::default();
        while let Some((body, rest)) = split_frame(bytes, self.max_frame)? {
            if body.is_empty() {
                progress.ticks += 1;
            } else {
                progress.messages += 1;
                self.note_length(LENGTH + body.len());
                (sink.handle)(Body::Borrowed(body));
            }
            bytes = rest;
        }
        sink.counting.received_messages.add(progress.messages);
        sink.counting.received_ticks.add(progress.ticks);
        self.keep(bytes)?;
        Ok(progress)
    }

    /// Keeps the beginning of a frame, in a buffer for all of it if that is large.
    fn keep(&mut self, begun: &[u8]) -> Result<(), Failure> {
        match body_len(begun, self.max_frame)? {
            Some(body) if LENGTH + body >= LARGE => {
                self.begun = match self.spare(LENGTH + body) {
                    Some(mut spare) => {
                        spare.extend_from_slice(begun);
                        spare
                    }
                    None => room_for(LENGTH + body, begun),
                };
            }
            _ if begun.is_empty() && self.begun.capacity() > KEPT => {
                self.begun = BytesMut::new();
            }
            _ => self.begun.extend_from_slice(begun),
        }
        Ok(())
    }

    fn keep_spare(&mut self, buffer: BytesMut) {
        if self.spares.len() == SPARES {
            self.spares.remove(0);
        }
        self.spares.push(buffer);
    }

    /// A buffer of a frame of about this size, whose message is gone: the one used last, which
    /// is the likeliest to be in the processor's cache.
    fn spare(&mut self, frame: usize) -> Option<BytesMut> {
        let is_free = |spare: &mut BytesMut| {
            spare.try_reclaim(frame) && spare.capacity() <= frame.saturating_mul(2)
        };
        let free = self.spares.iter_mut().rposition(is_free)?;
        Some(self.spares.remove(free))
    }

    /// Gives back what a link does not need while nothing comes.
    pub(super) fn shrink(&mut self) {
        self.last_large = None;
        self.repeats = false;
        self.spares = Vec::new();
        if self.begun.is_empty() {
            self.begun = BytesMut::new();
        }
    }
}

/// Frames in pieces, as a socket gives them.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn fuzz_frames(pieces: &[&[u8]]) {
    let config = super::LinkConfig::bounded(4 * LARGE, 1024);
    let (sender, _) = super::open(&config, &super::TotalQueued::default());
    let mut reader = Reader::new(BytesMut::new(), config.max_frame);
    let mut cx = Context::from_waker(std::task::Waker::noop());
    let (mut received, mut messages) = (0, 0);
    for piece in pieces {
        let mut stream = *piece;
        received += piece.len();
        let mut sink = Sink {
            counting: &sender.shared.counting,
            handle: |body: Body<'_>| {
                assert!(!body.bytes().is_empty(), "a tick is no message");
                messages += body.bytes().len();
            },
        };
        // A slice ends as a stream does that its peer has closed.
        while !stream.is_empty() {
            let read = reader.poll_read(&mut cx, Pin::new(&mut stream), &mut sink);
            let Poll::Ready(Ok(_)) = read else {
                return;
            };
        }
        assert!(reader.begun.capacity() <= believed(received));
    }
    assert!(messages <= received);
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::link::frames::{TICK, frame};
    use crate::link::{LinkConfig, TotalQueued, open};

    /// Reads all of a piece, as a socket gives it; returns how many ticks were in it.
    fn read_all(
        reader: &mut Reader,
        mut piece: &[u8],
        sink: &mut Sink<'_, impl FnMut(Body<'_>)>,
    ) -> usize {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let mut ticks = 0;
        while !piece.is_empty() {
            let read = reader.poll_read(&mut cx, Pin::new(&mut piece), sink);
            let Poll::Ready(Ok(progress)) = read else {
                panic!("{read:?}");
            };
            ticks += progress.ticks;
        }
        ticks
    }

    /// What is handled of these bytes, in reads of so many.
    fn handled(bytes: &[u8], at_once: usize) -> Vec<(Vec<u8>, *const u8)> {
        let config = LinkConfig::bounded(4 * 1024 * 1024, 1024);
        let (sender, _) = open(&config, &TotalQueued::default());
        let mut reader = Reader::new(BytesMut::new(), config.max_frame);
        let mut bodies = Vec::new();
        for piece in bytes.chunks(at_once) {
            let mut sink = Sink {
                counting: &sender.shared.counting,
                handle: |body: Body<'_>| {
                    bodies.push((body.bytes().to_vec(), body.bytes().as_ptr()));
                },
            };
            read_all(&mut reader, piece, &mut sink);
        }
        let traffic = sender.traffic();
        assert_eq!(traffic.received_bytes, bytes.len() as u64);
        assert_eq!(traffic.received_messages, bodies.len() as u64);
        bodies
    }

    #[test]
    fn frames_of_all_sizes_come_out_however_they_are_read() {
        let mut sizes = vec![1, 3, LARGE - 5, LARGE, 7, 100_000, 65_536, 900_000, 2, 40];
        // What comes after two of one length is not always a third.
        for next in [30_000, 20_000, 40_000, 5, 300_000] {
            sizes.extend([30_000, 30_000, next, 9]);
        }
        let bodies: Vec<_> = sizes.iter().map(|size| vec![9; *size]).collect();
        let frames: Vec<_> = bodies.iter().map(|body| frame(&[body])).collect();
        let bytes = frames.concat();
        for at_once in [1_000_000, 4096, 1021, 13] {
            let handled = handled(&bytes, at_once);
            let handled: Vec<_> = handled.iter().map(|(body, _)| &body[1..]).collect();
            assert_eq!(handled, bodies, "in reads of {at_once}");
        }
    }

    #[test]
    fn what_comes_in_place_of_another_large_frame_is_what_it_is() {
        let large = frame(&[&vec![9; 100_000]]);
        let small = frame(&[&[7; 100]]);
        let config = LinkConfig::bounded(4 * 1024 * 1024, 1024);
        let (sender, _) = open(&config, &TotalQueued::default());
        let mut reader = Reader::new(BytesMut::new(), config.max_frame);
        let mut kept = Vec::new();
        let mut sink = Sink {
            counting: &sender.shared.counting,
            // As a mailbox keeps it, which counts what it keeps alone.
            handle: |body: Body<'_>| kept.push(body.keep(body.bytes())),
        };
        let mut ticks = 0;
        for piece in [
            &large,
            &large,
            &small,
            &large,
            &large,
            &Bytes::from_static(&TICK),
        ] {
            ticks += read_all(&mut reader, piece, &mut sink);
        }
        assert_eq!(ticks, 1);
        let lengths: Vec<_> = kept.iter().map(Bytes::len).collect();
        assert_eq!(lengths, [100_001, 100_001, 101, 100_001, 100_001]);
        let small = kept.remove(2);
        assert!(
            small
                .try_into_mut()
                .is_ok_and(|small| small.capacity() < LARGE)
        );
    }

    #[test]
    fn memory_of_a_large_frame_is_used_again() {
        let frames = frame(&[&vec![9; 100_000]]).repeat(4);
        let handled = handled(&frames, 50_000);
        assert!(handled[1..].iter().all(|(_, at)| *at == handled[1].1));
    }
}
