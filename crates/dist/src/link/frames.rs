//! Frames of a link: four bytes of length, then the body; an empty one is a tick.

use bytes::{Bytes, BytesMut};

use crate::error::{Failure, FailureKind};

/// Bytes of the length in front of a body.
pub(crate) const LENGTH: usize = 4;
/// The first byte of every body that has no distribution header.
pub(crate) const PASS_THROUGH: u8 = 112;
/// A tick is a frame without a body.
pub(crate) const TICK: [u8; LENGTH] = [0; LENGTH];

/// How many bytes the body has whose frame begins here; `None` if that is not all there yet.
pub(crate) fn body_len(bytes: &[u8], max: usize) -> Result<Option<usize>, Failure> {
    let Some(length) = bytes.first_chunk::<LENGTH>() else {
        return Ok(None);
    };
    let len = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
    if len > max {
        let detail = format!("frame of {len} bytes, more than the {max} allowed");
        return Err(Failure::new(FailureKind::FrameTooLarge, detail));
    }
    Ok(Some(len))
}

/// A body, and what comes behind its frame.
type Split<'a> = (&'a [u8], &'a [u8]);

/// The next whole frame, whose body is empty if it is a tick.
pub(crate) fn split_frame(bytes: &[u8], max: usize) -> Result<Option<Split<'_>>, Failure> {
    let Some(len) = body_len(bytes, max)? else {
        return Ok(None);
    };
    Ok(bytes[LENGTH..].split_at_checked(len))
}

/// The body of a frame: as part of what was read, or as bytes of its own.
#[derive(Clone, Copy)]
pub(crate) enum Body<'a> {
    Borrowed(&'a [u8]),
    Whole(&'a Bytes),
}

impl<'a> Body<'a> {
    pub(crate) fn bytes(self) -> &'a [u8] {
        match self {
            Self::Borrowed(bytes) => bytes,
            Self::Whole(bytes) => bytes,
        }
    }

    /// A part of the body, to be kept. Shared where that pins little else: who keeps it
    /// counts its length alone.
    pub(crate) fn keep(self, part: &[u8]) -> Bytes {
        match self {
            Self::Whole(whole) if 2 * part.len() >= whole.len() => whole.slice_ref(part),
            _ => Bytes::copy_from_slice(part),
        }
    }
}

/// Begins a frame whose length is not known yet.
pub(crate) fn begin(frame: &mut Vec<u8>) {
    frame.clear();
    frame.extend_from_slice(&TICK);
    frame.push(PASS_THROUGH);
}

/// Writes the length of a frame that was begun, of which `more` bytes come from elsewhere.
/// A message of 4 GB is refused where its terms are encoded.
pub(crate) fn finish(frame: &mut [u8], more: usize) {
    let len = (frame.len() + more).saturating_sub(LENGTH);
    if let Some(length) = frame.first_chunk_mut::<LENGTH>() {
        *length = u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes();
    }
}

/// A frame around these parts of a body.
pub(crate) fn frame(parts: &[&[u8]]) -> Bytes {
    let body: usize = parts.iter().map(|part| part.len()).sum();
    let mut frame = Vec::with_capacity(LENGTH + 1 + body);
    begin(&mut frame);
    parts.iter().for_each(|part| frame.extend_from_slice(part));
    finish(&mut frame, 0);
    Bytes::from(frame)
}

/// The body of the one frame in `frame`, for tests.
#[cfg(test)]
pub(crate) fn body_of(frame: &[u8]) -> &[u8] {
    let (body, rest) = split_frame(frame, 999).unwrap().unwrap();
    assert!(rest.is_empty());
    body
}

/// Room for a frame of so many bytes, of which some are there: no more than a little is
/// reserved for a length that the peer merely claims.
pub(crate) fn room_for(frame: usize, received: &[u8]) -> BytesMut {
    let mut room = BytesMut::with_capacity(frame.min(believed(received.len())));
    room.extend_from_slice(received);
    room
}

/// Up to which length a peer is believed that has sent so many bytes of a frame.
pub(crate) fn believed(received: usize) -> usize {
    const AT_ONCE: usize = 256 * 1024;
    AT_ONCE.max(8 * received)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_whole() {
        let bytes = [&TICK[..], &frame(&[b"ab", b"c"])].concat();
        let (tick, rest) = split_frame(&bytes, 9).unwrap().unwrap();
        assert!(tick.is_empty());
        assert_eq!(split_frame(&rest[..3], 9).unwrap(), None);
        assert_eq!(split_frame(&rest[..7], 9).unwrap(), None);
        assert_eq!(split_frame(rest, 9).unwrap(), Some((&b"pabc"[..], &[][..])));
    }

    #[test]
    fn length_beyond_the_limit_is_refused_and_below_it_hardly_believed() {
        let failure = body_len(&[255, 255, 255, 255], 1024).unwrap_err();
        assert_eq!(failure.kind, FailureKind::FrameTooLarge);
        let room = room_for(64 * 1024 * 1024, &[1; 100]);
        assert!(room.capacity() < 512 * 1024 && room.len() == 100);
    }

    #[test]
    fn what_is_kept_pins_little_else() {
        let whole = Bytes::from(vec![7; 100]);
        let kept = Body::Whole(&whole).keep(&whole[10..]);
        assert_eq!(kept.as_ptr(), whole[10..].as_ptr(), "not copied");
        let small = Body::Whole(&whole).keep(&whole[60..]);
        assert_ne!(small.as_ptr(), whole[60..].as_ptr());
        assert_eq!(small, whole[60..]);
    }
}
