//! Frames of a link: four bytes of length, then the body; an empty one is a tick.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use erl_dist::message::Message;

use crate::error::{Failure, FailureKind};
use crate::terms::TermError;

const LENGTH: usize = 4;
/// The first byte of every body that has no distribution header.
pub(crate) const PASS_THROUGH: u8 = 112;
/// A tick is a frame without a body.
pub(crate) const TICK: Bytes = Bytes::from_static(&[0; LENGTH]);

/// Takes the next whole frame off the buffer: its body, empty for a tick.
///
/// Nothing is reserved for a length that the peer merely claims.
pub(crate) fn take_frame(buffer: &mut BytesMut, max: usize) -> Result<Option<Bytes>, Failure> {
    let Some(length) = buffer.first_chunk::<LENGTH>() else {
        return Ok(None);
    };
    let len = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
    if len > max {
        let detail = format!("frame of {len} bytes, more than the {max} allowed");
        return Err(Failure::new(FailureKind::FrameTooLarge, detail));
    }
    if buffer.len() < LENGTH + len {
        return Ok(None);
    }
    buffer.advance(LENGTH);
    Ok(Some(buffer.split_to(len).freeze()))
}

/// A frame around these parts of a body.
pub(crate) fn frame(parts: &[&[u8]]) -> Bytes {
    let body: usize = parts.iter().map(|part| part.len()).sum();
    let mut frame = BytesMut::with_capacity(LENGTH + 1 + body);
    // A message of 4 GB is refused where its terms are encoded.
    frame.put_u32(u32::try_from(1 + body).unwrap_or(u32::MAX));
    frame.put_u8(PASS_THROUGH);
    parts.iter().for_each(|part| frame.put_slice(part));
    frame.freeze()
}

/// A frame around one of erl_dist's messages. Not for ticks, which it cannot write.
pub(crate) fn frame_of(message: Message) -> Result<Bytes, TermError> {
    let mut body = Vec::new();
    message
        .write_into(&mut body)
        .map_err(|_| TermError::Undecodable)?;
    if body.len() >= u32::MAX as usize {
        return Err(TermError::TooMany);
    }
    Ok(frame(&[&body]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_whole() {
        let mut buffer = BytesMut::from(&[&TICK[..], &frame(&[b"ab", b"c"])[..3]].concat()[..]);
        assert_eq!(take_frame(&mut buffer, 9).unwrap().unwrap(), "");
        assert!(take_frame(&mut buffer, 9).unwrap().is_none());
        buffer.extend_from_slice(&frame(&[b"abc"])[3..]);
        assert_eq!(take_frame(&mut buffer, 9).unwrap().unwrap(), "pabc");
        assert!(buffer.is_empty());
    }

    #[test]
    fn length_beyond_the_limit_reserves_nothing() {
        let mut buffer = BytesMut::from(&[255, 255, 255, 255][..]);
        let failure = take_frame(&mut buffer, 1024).unwrap_err();
        assert_eq!(failure.kind, FailureKind::FrameTooLarge);
        assert!(buffer.capacity() < 1024);
    }
}
