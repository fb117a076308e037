//! What an EPMD said, and how it ended the connection.

use std::fmt;
use std::io::{ErrorKind, Read as _};
use std::net::TcpStream;

pub(crate) struct Outcome {
    pub(crate) said: Vec<u8>,
    pub(crate) end: End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Open,
    Closed,
    Reset,
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} after {:?}",
            self.end,
            String::from_utf8_lossy(&self.said)
        )
    }
}

impl Outcome {
    pub(crate) fn nothing() -> Self {
        Self {
            said: Vec::new(),
            end: End::Open,
        }
    }

    /// Neither answered nor closed, as yet.
    pub(crate) fn is_silent(&self) -> bool {
        self.said.is_empty() && self.end == End::Open
    }

    /// Whether both are the same. A reset may overtake some of what was said.
    pub(crate) fn agrees_with(&self, other: &Self) -> bool {
        let overtaken = self.end == End::Reset
            && (self.said.starts_with(&other.said) || other.said.starts_with(&self.said));
        self.end == other.end && (overtaken || self.said == other.said)
    }

    /// Takes what is there, without waiting longer than the stream's time-out.
    pub(crate) fn read_on(&mut self, stream: &mut TcpStream) {
        let mut buffer = [0; 4096];
        while self.end == End::Open {
            match stream.read(&mut buffer) {
                Ok(0) => self.end = End::Closed,
                Ok(len) => self.said.extend(&buffer[..len]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => self.end = End::Reset,
                Err(_) => return,
            }
        }
    }

    /// Takes away what differs by nature: the own port, creations, descriptors.
    pub(crate) fn mask(&mut self, port: u16) {
        if self.said.starts_with(&u32::from(port).to_be_bytes()) {
            self.said[..4].fill(0);
        }
        match &mut self.said[..] {
            [118, 0, creation @ ..] if creation.len() == 4 => creation.fill(0),
            [121, 0, 0, creation @ 1..=3] => *creation = 0,
            _ => {}
        }
        self.said = without_descriptors(&self.said);
    }
}

fn without_descriptors(said: &[u8]) -> Vec<u8> {
    const MARK: &[u8] = b", fd = ";
    let mut masked = Vec::new();
    let mut rest = said;
    while let Some(at) = rest.windows(MARK.len()).position(|window| window == MARK) {
        let (before, after) = rest.split_at(at + MARK.len());
        masked.extend(before);
        let digits = after
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        rest = &after[digits..];
    }
    masked.extend(rest);
    masked
}
