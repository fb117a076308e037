//! The accepting side.

use pgmesh_name::NodeName;

use super::flags::{OFFERED, suffice};
use super::message::{
    Challenge, ChallengeReply, Name, Status, decode_alive_answer, encode_ack, malformed,
};
use super::{Local, LocalName, Proven};
use crate::Step;
use crate::error::{Failure, FailureKind};

/// One accepted connection, from the peer's name to our digest.
///
/// Feed the first frame to [`on_name`](Self::on_name), decide on a status, answer
/// with [`on_decision`](Self::on_decision), then feed every further frame to
/// [`on_frame`](Self::on_frame).
#[derive(Debug)]
pub(crate) struct Acceptor {
    local: Local,
    challenge: u32,
    state: State,
}

#[derive(Debug)]
enum State {
    AwaitName,
    AwaitDecision(Proven),
    AwaitAliveAnswer(Proven),
    AwaitReply(Proven),
    Over,
}

/// Who wants to link, not proven yet.
#[derive(Debug)]
pub(crate) struct Offer {
    pub(crate) peer: NodeName,
}

/// What follows from a frame.
#[derive(Debug)]
pub(crate) enum Next {
    /// Send these and wait on.
    Send(Vec<Vec<u8>>),
    /// The peer gave way; the link it has stays.
    GivenUp,
    /// The cookie is proven: send this, and the link is up.
    Done(Vec<u8>, Proven),
}

impl Acceptor {
    /// `challenge` must be unpredictable.
    pub(crate) fn new(local: Local, challenge: u32) -> Self {
        Self {
            local,
            challenge,
            state: State::AwaitName,
        }
    }

    /// Which step is being waited for.
    pub(crate) fn step(&self) -> Step {
        match self.state {
            State::AwaitName | State::AwaitDecision(_) => Step::Name,
            State::AwaitAliveAnswer(_) => Step::Status,
            State::AwaitReply(_) | State::Over => Step::ChallengeReply,
        }
    }

    /// Reads the peer's name; what becomes of it is the caller's decision.
    pub(crate) fn on_name(&mut self, frame: &[u8]) -> Result<Offer, Failure> {
        let name = Name::decode(frame)?;
        let peer: NodeName = match name.name.parse() {
            Ok(peer) => peer,
            Err(error) => {
                let detail = format!("the dialler's name is none: {error}");
                return Err(Failure::new(FailureKind::Malformed, detail));
            }
        };
        if !suffice(name.flags) {
            let detail = format!("{peer} lacks distribution flags");
            return Err(Failure::new(FailureKind::Flags, detail));
        }
        self.state = State::AwaitDecision(Proven {
            peer: peer.clone(),
            flags: name.flags,
            creation: name.creation,
            named: None,
        });
        Ok(Offer { peer })
    }

    /// The frames that tell the peer of the decision. After `nok` and
    /// `not_allowed` the handshake is over once they are sent.
    pub(crate) fn on_decision(&mut self, status: &Status) -> Vec<Vec<u8>> {
        let mut frames = vec![status.encode()];
        let state = std::mem::replace(&mut self.state, State::Over);
        if let State::AwaitDecision(peer) = state {
            match status {
                Status::Ok | Status::OkSimultaneous => {
                    frames.push(self.challenge_frame());
                    self.state = State::AwaitReply(peer);
                }
                Status::Alive => self.state = State::AwaitAliveAnswer(peer),
                Status::Nok | Status::NotAllowed | Status::Named { .. } => {}
            }
        }
        frames
    }

    pub(crate) fn on_frame(&mut self, frame: &[u8]) -> Result<Next, Failure> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::AwaitAliveAnswer(peer) => {
                if !decode_alive_answer(frame)? {
                    return Ok(Next::GivenUp);
                }
                self.state = State::AwaitReply(peer);
                Ok(Next::Send(vec![self.challenge_frame()]))
            }
            State::AwaitReply(peer) => self.on_reply(&ChallengeReply::decode(frame)?, peer),
            _ => Err(malformed("frame out of turn")),
        }
    }

    fn on_reply(&self, reply: &ChallengeReply, proven: Proven) -> Result<Next, Failure> {
        let cookie = &self.local.cookie;
        if !cookie.proves(self.challenge, &reply.digest) {
            let detail = format!("cookie rejected by us: {} proved another one", proven.peer);
            return Err(Failure::new(FailureKind::CookieRejectedByUs, detail));
        }
        let ack = encode_ack(&cookie.digest(reply.challenge));
        Ok(Next::Done(ack, proven))
    }

    fn challenge_frame(&self) -> Vec<u8> {
        let name = match &self.local.name {
            LocalName::Full(name) => name.to_string(),
            LocalName::Dynamic { host } => host.clone(),
        };
        Challenge {
            flags: OFFERED,
            challenge: self.challenge,
            creation: self.local.creation,
            name,
        }
        .encode()
    }
}
