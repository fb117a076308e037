//! A request as it comes in, piece by piece.

use super::Malformed;

/// The bytes of the longest request that is taken, with its length.
pub const MAX_REQUEST: usize = 3059;
const HEADER: usize = 2;

/// The bytes of a request so far.
///
/// Read no more than [`room`](Self::room) at a time: what OTP's EPMD leaves unread
/// decides whether its peer sees a close or a reset.
#[derive(Debug, Default)]
pub struct Incoming {
    bytes: Vec<u8>,
}

impl Incoming {
    /// How many bytes may be read next.
    pub fn room(&self) -> usize {
        self.len().unwrap_or(MAX_REQUEST) - self.bytes.len()
    }

    /// Takes what was read; returns the request without its length once it is whole.
    ///
    /// # Errors
    ///
    /// When this will be no request: empty, too long, or followed by something.
    pub fn push(&mut self, piece: &[u8]) -> Result<Option<&[u8]>, Malformed> {
        self.bytes.extend_from_slice(piece);
        let Some(len) = self.len() else {
            return Ok(None);
        };
        if !(HEADER + 1..=MAX_REQUEST).contains(&len) || self.bytes.len() > len {
            return Err(Malformed);
        }
        Ok(self.request())
    }

    /// The request without its length, once it is whole.
    pub fn request(&self) -> Option<&[u8]> {
        let is_whole = self.len() == Some(self.bytes.len());
        is_whole.then(|| &self.bytes[HEADER..])
    }

    /// The request's whole length, once it was said.
    fn len(&self) -> Option<usize> {
        let header = self.bytes.first_chunk::<HEADER>()?;
        Some(HEADER + usize::from(u16::from_be_bytes(*header)))
    }
}
