//! Drives a handshake over a byte stream, with a deadline at each step.

use std::time::{Duration, Instant};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::message::{Challenge, MAX_FRAME, Status};
use super::{Acceptor, Initiator, Inquirer, Offer, Proven, acceptor, initiator, inquirer};
use crate::Step;
use crate::error::{Failure, FailureKind};

/// How TLS begins to say that what it heard is no TLS (RFC 8446, "Record Layer");
/// as the length of a frame it would be far too long.
const TLS_ALERT: [u8; 2] = [21, 3];

/// The bytes of a frame's length in front of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LengthPrefix {
    /// 2, over TCP.
    Short,
    /// 4, over TLS: there OTP uses one framing for handshake and link.
    Long,
}

/// A stream of handshake frames. What was read beyond the handshake belongs to
/// the link: take it with [`into_parts`](Self::into_parts).
pub(crate) struct HandshakeStream<S> {
    stream: S,
    prefix: LengthPrefix,
    buffer: BytesMut,
    limit: Duration,
    begun_at: Instant,
}

impl<S: AsyncRead + AsyncWrite + Unpin> HandshakeStream<S> {
    /// `limit` bounds each step by itself, as OTP's net_setuptime does. The connection
    /// may have begun before it stood.
    pub(crate) fn new(begun_at: Instant, stream: S, prefix: LengthPrefix, limit: Duration) -> Self {
        Self {
            stream,
            prefix,
            buffer: BytesMut::with_capacity(256),
            limit,
            begun_at,
        }
    }

    /// How long ago the connection was begun.
    pub(crate) fn age(&self) -> Duration {
        self.begun_at.elapsed()
    }

    pub(crate) fn into_parts(self) -> (S, BytesMut) {
        (self.stream, self.buffer)
    }

    /// Writes whole frames at once: a length apart from its body would wait for
    /// the peer's delayed acknowledgement.
    async fn send(&mut self, frames: &[Vec<u8>]) -> Result<(), Failure> {
        let mut bytes = Vec::new();
        for frame in frames {
            let len = u16::try_from(frame.len()).map_err(|_| too_long(frame.len()))?;
            if self.prefix == LengthPrefix::Long {
                bytes.extend_from_slice(&[0, 0]);
            }
            bytes.extend_from_slice(&len.to_be_bytes());
            bytes.extend_from_slice(frame);
        }
        let write = async {
            self.stream.write_all(&bytes).await?;
            self.stream.flush().await
        };
        match tokio::time::timeout(self.limit, write).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Failure::io(&error)),
            Err(_) => Err(Failure::new(
                FailureKind::Io,
                "handshake frame not taken in time",
            )),
        }
    }

    async fn receive(&mut self, step: Step) -> Result<BytesMut, Failure> {
        match tokio::time::timeout(self.limit, self.read_frame()).await {
            Ok(result) => result,
            Err(_) => Err(Failure::timeout(step)),
        }
    }

    async fn read_frame(&mut self) -> Result<BytesMut, Failure> {
        loop {
            if let Some(frame) = self.take_frame()? {
                return Ok(frame);
            }
            let read = self.stream.read_buf(&mut self.buffer).await;
            if read.map_err(|error| Failure::io(&error))? == 0 {
                return Err(Failure::closed_by_peer());
            }
        }
    }

    fn take_frame(&mut self) -> Result<Option<BytesMut>, Failure> {
        let Some((length, len)) = self.length()? else {
            return Ok(None);
        };
        if len > MAX_FRAME {
            return Err(too_long(len));
        }
        if self.buffer.len() < length + len {
            return Ok(None);
        }
        self.buffer.advance(length);
        Ok(Some(self.buffer.split_to(len)))
    }

    /// How long the next frame's length is, and the frame.
    fn length(&self) -> Result<Option<(usize, usize)>, Failure> {
        match self.prefix {
            LengthPrefix::Short => match self.buffer.first_chunk() {
                None => Ok(None),
                Some(&TLS_ALERT) => {
                    let detail = "it answers with an alert of TLS";
                    Err(Failure::new(FailureKind::SpeaksTls, detail))
                }
                Some(length) => Ok(Some((length.len(), u16::from_be_bytes(*length).into()))),
            },
            LengthPrefix::Long => Ok(self.buffer.first_chunk().map(|length| {
                let len = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
                (length.len(), len)
            })),
        }
    }
}

fn too_long(len: usize) -> Failure {
    let detail = format!("handshake frame of {len} bytes");
    Failure::new(FailureKind::Malformed, detail)
}

fn already_linked() -> Failure {
    let detail = "the peer has a link to us already";
    Failure::new(FailureKind::AlreadyLinked, detail)
}

/// Dials: `wants_link` is asked when the peer says that it has a link to us, and
/// `may_prove` just before our digest leaves us.
pub(crate) async fn dial<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut HandshakeStream<S>,
    mut handshake: Initiator,
    wants_link: impl Fn() -> bool,
    may_prove: impl Fn() -> Result<(), Failure>,
) -> Result<Proven, Failure> {
    stream.send(&[handshake.first_frame()]).await?;
    loop {
        let frame = match stream.receive(handshake.step()).await {
            Err(failure) if failure.kind == FailureKind::ClosedByPeer => {
                return Err(handshake.on_closed());
            }
            received => received?,
        };
        match handshake.on_frame(&frame)? {
            initiator::Next::Wait => {}
            initiator::Next::Prove(reply) => {
                may_prove()?;
                stream.send(&[reply]).await?;
            }
            initiator::Next::Done(proven) => return Ok(proven),
            initiator::Next::Alive => {
                let wanted = wants_link();
                stream.send(&[handshake.answer_alive(wanted)]).await?;
                if !wanted {
                    return Err(already_linked());
                }
            }
        }
    }
}

/// Dials as far as the peer's challenge: what it says of itself.
pub(crate) async fn inquire<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut HandshakeStream<S>,
    mut handshake: Inquirer,
) -> Result<Challenge, Failure> {
    stream.send(&[handshake.first_frame()]).await?;
    loop {
        let frame = stream.receive(handshake.step()).await?;
        match handshake.on_frame(&frame)? {
            inquirer::Next::Wait => {}
            inquirer::Next::Challenged(challenge, _) => return Ok(challenge),
            inquirer::Next::Alive => {
                stream.send(&[handshake.answer_alive(false)]).await?;
                return Err(already_linked());
            }
        }
    }
}

/// Accepts: `decide` gives the status for a peer that has said its name.
///
/// Returns `None` if the peer gave way to a link that it has.
pub(crate) async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut HandshakeStream<S>,
    mut handshake: Acceptor,
    decide: impl FnOnce(&Offer) -> Status,
) -> Result<Option<Proven>, Failure> {
    let frame = stream.receive(handshake.step()).await?;
    let offer = handshake.on_name(&frame)?;
    let status = decide(&offer);
    stream.send(&handshake.on_decision(&status)).await?;
    match status {
        Status::Nok => {
            let detail = "the peer gave way to our own dial";
            return Err(Failure::new(FailureKind::Simultaneous, detail));
        }
        Status::NotAllowed => {
            let detail = "the peer has our own name, or none that can be used";
            return Err(Failure::new(FailureKind::OwnName, detail));
        }
        _ => {}
    }
    loop {
        let frame = stream.receive(handshake.step()).await?;
        match handshake.on_frame(&frame)? {
            acceptor::Next::Wait => {}
            acceptor::Next::Send(frames) => stream.send(&frames).await?,
            acceptor::Next::GivenUp => return Ok(None),
            acceptor::Next::Done(ack, proven) => {
                stream.send(&[ack]).await?;
                return Ok(Some(proven));
            }
        }
    }
}
