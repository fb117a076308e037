//! What waits to be sent over a link: frames back to back.
//!
//! Small frames are copied behind each other, so that many go out with one write and
//! none needs memory of its own; large ones stay where they are.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::Bytes;

use crate::terms::LARGE;

/// Small frames behind each other, up to about this many bytes.
const JOINED: usize = 64 * 1024;
/// A buffer that has become longer is not kept when it is written: a thousand links have
/// one each.
const KEPT: usize = 4 * 1024;
/// Buffers of one write.
const SLICES: usize = 16;

/// Frames in the order in which they were sent.
#[derive(Default)]
pub(super) struct Queue {
    chunks: VecDeque<Chunk>,
    /// Behind them: where small frames are added.
    open: Vec<u8>,
    open_frames: usize,
}

struct Chunk {
    bytes: Bytes,
    /// How many frames end in it.
    frames: usize,
}

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.chunks.is_empty() && self.open.is_empty()
    }

    /// Adds a frame: its bytes, behind which those of `tail` belong.
    pub(super) fn push(&mut self, frame: &mut Vec<u8>, tail: Option<Bytes>) {
        match tail {
            Some(tail) => {
                self.open.extend_from_slice(frame);
                self.close();
                self.push_whole(tail);
            }
            None if frame.len() >= LARGE => self.push_whole(std::mem::take(frame).into()),
            None => self.push_small(frame),
        }
    }

    /// Adds the end of a frame.
    pub(super) fn push_bytes(&mut self, frame: Bytes) {
        if frame.len() >= LARGE {
            self.push_whole(frame);
        } else {
            self.push_small(&frame);
        }
    }

    fn push_small(&mut self, frame: &[u8]) {
        self.open.extend_from_slice(frame);
        self.open_frames += 1;
        if self.open.len() >= JOINED {
            self.close();
        }
    }

    fn clear_open(&mut self) {
        if self.open.capacity() > KEPT {
            self.open = Vec::new();
        } else {
            self.open.clear();
        }
    }

    fn push_whole(&mut self, bytes: Bytes) {
        self.close();
        self.chunks.push_back(Chunk { bytes, frames: 1 });
    }

    fn close(&mut self) {
        if !self.open.is_empty() {
            let bytes = std::mem::take(&mut self.open).into();
            let frames = std::mem::take(&mut self.open_frames);
            self.chunks.push_back(Chunk { bytes, frames });
        }
    }
}

/// What the writer has taken off the queue, and how much of it is written.
#[derive(Default)]
pub(super) struct Batch {
    queue: Queue,
    /// Of the first buffer.
    written: usize,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Takes all that waits; leaves the queue the memory of what was written before.
    pub(super) fn take(&mut self, waiting: &mut Queue) {
        std::mem::swap(&mut self.queue, waiting);
    }

    /// A tick, where nothing else is on its way.
    pub(super) fn tick(&mut self) {
        self.queue.open.extend_from_slice(&super::frames::TICK);
    }

    /// Whether there is more than one buffer.
    pub(super) fn has_many(&self) -> bool {
        let open = usize::from(!self.queue.open.is_empty());
        self.queue.chunks.len() + open > 1
    }

    /// The bytes to be written next.
    pub(super) fn first(&self) -> &[u8] {
        let first = self.queue.chunks.front();
        let bytes = first.map_or(&self.queue.open[..], |chunk| &chunk.bytes);
        &bytes[self.written..]
    }

    /// The same as buffers for one write, as many as go into it.
    pub(super) fn slices(&self) -> ([IoSlice<'_>; SLICES], usize) {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let chunks = self.queue.chunks.iter().map(|chunk| &chunk.bytes[..]);
        let all = chunks.chain([&self.queue.open[..]]);
        let mut count = 0;
        let mut written = self.written;
        for (slice, bytes) in slices.iter_mut().zip(all) {
            *slice = IoSlice::new(&bytes[written..]);
            written = 0;
            count += 1;
        }
        (slices, count)
    }

    /// So many bytes are written; returns how many frames with them.
    pub(super) fn advance(&mut self, mut count: usize) -> usize {
        let mut frames = 0;
        while let Some(first) = self.queue.chunks.front() {
            let left = first.bytes.len() - self.written;
            if count < left {
                self.written += count;
                return frames;
            }
            count -= left;
            self.written = 0;
            frames += first.frames;
            self.queue.chunks.pop_front();
        }
        self.written += count;
        if self.written == self.queue.open.len() {
            self.written = 0;
            self.queue.clear_open();
            frames += std::mem::take(&mut self.queue.open_frames);
        }
        frames
    }

    /// Gives memory back that a link does not need while nothing is sent.
    pub(super) fn shrink(&mut self) {
        if self.is_empty() {
            self.queue = Queue::default();
        }
    }
}

impl Queue {
    /// As [`Batch::shrink`].
    pub(super) fn shrink(&mut self) {
        if self.is_empty() {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes all of it, so many bytes at a time.
    fn written(queue: &mut Queue, at_once: usize) -> (Vec<u8>, usize) {
        let (mut batch, mut written, mut frames) = (Batch::default(), Vec::new(), 0);
        batch.take(queue);
        while !batch.is_empty() {
            let (slices, count) = batch.slices();
            let bytes: Vec<_> = slices[..count].iter().map(|slice| &slice[..]).collect();
            let bytes = bytes.concat();
            assert!(bytes.starts_with(batch.first()));
            let some = &bytes[..at_once.min(bytes.len())];
            written.extend_from_slice(some);
            frames += batch.advance(some.len());
        }
        (written, frames)
    }

    #[test]
    fn frames_go_out_in_order_however_much_is_written_at_once() {
        let (large, tail) = (vec![8; LARGE + 1], Bytes::from(vec![9; LARGE]));
        for at_once in [1000, 37, usize::MAX] {
            let mut queue = Queue::default();
            queue.push(&mut b"ab".to_vec(), None);
            queue.push(&mut b"c".to_vec(), None);
            queue.push(&mut large.clone(), None);
            queue.push(&mut b"d".to_vec(), Some(tail.clone()));
            queue.push_bytes(Bytes::from_static(b"e"));
            let expected = [b"abc", &large[..], b"d", &tail, b"e"].concat();
            assert_eq!(written(&mut queue, at_once), (expected, 5));
        }
    }

    #[test]
    fn small_frames_are_joined_and_large_ones_left_alone() {
        let mut queue = Queue::default();
        for _ in 0..2000 {
            queue.push(&mut vec![7; 100], None);
        }
        let large = Bytes::from(vec![9; LARGE]);
        queue.push_bytes(large.clone());
        assert_eq!(queue.chunks.len(), 5);
        assert_eq!(queue.chunks[4].bytes.as_ptr(), large.as_ptr(), "not copied");
        assert_eq!(written(&mut queue, usize::MAX).1, 2001);
    }

    #[test]
    fn more_buffers_than_one_write_takes_are_written_all_the_same() {
        let mut queue = Queue::default();
        for _ in 0..3 * SLICES {
            queue.push_bytes(Bytes::from(vec![9; LARGE]));
        }
        let (bytes, frames) = written(&mut queue, usize::MAX);
        assert_eq!((bytes.len(), frames), (3 * SLICES * LARGE, 3 * SLICES));
    }
}
