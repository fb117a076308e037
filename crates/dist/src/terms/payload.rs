//! What a message is made of.

use bytes::Bytes;
use eetf::Term;

use super::{Encoded, TermError, write};

/// Bytes from here on are sent from where they are.
pub(crate) const LARGE: usize = 16 * 1024;
/// What a frame's length can say, without its control message.
const MAX_MESSAGE: usize = (u32::MAX - 65_536) as usize;

/// What is to be sent: a tree, a term that is encoded already, or a binary.
///
/// Only the first is looked at. Large ones of the others are not copied either, so that
/// the same megabyte can be on its way to a thousand nodes and be there once.
#[derive(Debug)]
pub struct Payload<'a>(Kind<'a>);

#[derive(Debug)]
enum Kind<'a> {
    Term(&'a Term),
    Encoded(Bytes),
    Binary(Bytes),
}

impl<'a> From<&'a Term> for Payload<'a> {
    fn from(term: &'a Term) -> Self {
        Self(Kind::Term(term))
    }
}

impl From<Encoded> for Payload<'_> {
    fn from(term: Encoded) -> Self {
        Self(Kind::Encoded(term.into_bytes()))
    }
}

impl From<&Encoded> for Payload<'_> {
    fn from(term: &Encoded) -> Self {
        term.clone().into()
    }
}

/// As a binary.
impl From<Bytes> for Payload<'_> {
    fn from(binary: Bytes) -> Self {
        Self(Kind::Binary(binary))
    }
}

impl Payload<'_> {
    /// Adds it to a frame; returns what comes behind it without being copied.
    pub(crate) fn write(&self, frame: &mut Vec<u8>) -> Result<Option<Bytes>, TermError> {
        let begun = frame.len();
        let tail = match &self.0 {
            Kind::Term(term) => {
                write(frame, term)?;
                None
            }
            Kind::Encoded(bytes) => add(frame, bytes),
            Kind::Binary(bytes) => {
                let len = u32::try_from(bytes.len()).map_err(|_| TermError::TooMany)?;
                frame.push(109);
                frame.extend_from_slice(&len.to_be_bytes());
                add(frame, bytes)
            }
        };
        let len = frame.len() - begun + tail.as_ref().map_or(0, Bytes::len);
        if len > MAX_MESSAGE {
            return Err(TermError::TooMany);
        }
        Ok(tail)
    }
}

fn add(frame: &mut Vec<u8>, bytes: &Bytes) -> Option<Bytes> {
    if bytes.len() >= LARGE {
        return Some(bytes.clone());
    }
    frame.extend_from_slice(bytes);
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use eetf::Binary;

    fn written(payload: &Payload<'_>) -> (Vec<u8>, Option<Bytes>) {
        let mut frame = Vec::new();
        let tail = payload.write(&mut frame).unwrap();
        (frame, tail)
    }

    #[test]
    fn all_kinds_say_the_same() {
        for len in [3, LARGE] {
            let bytes = Bytes::from(vec![7; len]);
            let tree = Term::from(Binary::from(bytes.to_vec()));
            let (expected, _) = written(&(&tree).into());
            let encoded = Encoded::new(&tree).unwrap();
            for payload in [encoded.into(), bytes.clone().into()] {
                let (frame, tail) = written(&payload);
                assert_eq!(tail.is_some(), len == LARGE, "large ones are not copied");
                assert_eq!(
                    [frame, tail.unwrap_or_default().to_vec()].concat(),
                    expected
                );
            }
        }
    }
}
