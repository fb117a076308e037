//! The dialling side.

use erl_dist::DistributionFlags;
use pgmesh_name::NodeName;

use super::flags::{OFFERED, is_hidden, suffice};
use super::message::{Challenge, ChallengeReply, Name, Status, decode_ack, encode_alive_answer};
use super::{Local, LocalName, Proven};
use crate::Step;
use crate::error::{Failure, FailureKind};

/// One dial, from our name to the peer's digest.
///
/// Send [`first_frame`](Self::first_frame), then feed every frame received to
/// [`on_frame`](Self::on_frame) until it is done or has failed.
#[derive(Debug)]
pub(crate) struct Initiator {
    local: Local,
    peer: NodeName,
    accept_hidden: bool,
    challenge: u32,
    state: State,
}

#[derive(Debug)]
enum State {
    AwaitStatus,
    AwaitChallenge { named: Option<(NodeName, u32)> },
    AwaitAck(Proven),
    Over,
}

/// What follows from a frame.
#[derive(Debug)]
pub(crate) enum Next {
    /// Send this and wait on.
    Send(Vec<u8>),
    /// Wait on.
    Wait,
    /// The peer believes to be linked to us: say whether we want this link
    /// instead, with [`Initiator::answer_alive`].
    Alive,
    /// Both sides have proven the cookie.
    Done(Proven),
}

impl Initiator {
    /// `challenge` must be unpredictable. Unless `accept_hidden`, a hidden peer
    /// is turned away before a digest leaves us.
    pub(crate) fn new(local: Local, peer: NodeName, accept_hidden: bool, challenge: u32) -> Self {
        Self {
            local,
            peer,
            accept_hidden,
            challenge,
            state: State::AwaitStatus,
        }
    }

    pub(crate) fn first_frame(&self) -> Vec<u8> {
        let (name, flags) = match &self.local.name {
            LocalName::Full(name) => (name.to_string(), OFFERED),
            LocalName::Dynamic { host } => (host.clone(), OFFERED | DistributionFlags::NAME_ME),
        };
        let creation = Some(self.local.creation);
        Name {
            flags,
            creation,
            name,
        }
        .encode()
    }

    /// Which step is being waited for.
    pub(crate) fn step(&self) -> Step {
        match self.state {
            State::AwaitStatus => Step::Status,
            State::AwaitChallenge { .. } => Step::Challenge,
            State::AwaitAck(_) | State::Over => Step::ChallengeAck,
        }
    }

    pub(crate) fn on_frame(&mut self, frame: &[u8]) -> Result<Next, Failure> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::AwaitStatus => self.on_status(Status::decode(frame)?),
            State::AwaitChallenge { named } => self.on_challenge(&Challenge::decode(frame)?, named),
            State::AwaitAck(proven) => self.on_ack(frame, proven),
            State::Over => Err(super::message::malformed("frame after the handshake")),
        }
    }

    /// Answers [`Next::Alive`]; with `false` the dial is over once this is sent.
    pub(crate) fn answer_alive(&mut self, wanted: bool) -> Vec<u8> {
        if wanted {
            self.state = State::AwaitChallenge { named: None };
        }
        encode_alive_answer(wanted)
    }

    fn on_status(&mut self, status: Status) -> Result<Next, Failure> {
        let is_dynamic = matches!(self.local.name, LocalName::Dynamic { .. });
        match status {
            Status::Ok | Status::OkSimultaneous if !is_dynamic => {
                self.state = State::AwaitChallenge { named: None };
                Ok(Next::Wait)
            }
            Status::Alive if !is_dynamic => Ok(Next::Alive),
            Status::Named { name, creation } if is_dynamic => {
                let named = Some((name, creation));
                self.state = State::AwaitChallenge { named };
                Ok(Next::Wait)
            }
            Status::Nok => Err(Failure::new(
                FailureKind::Simultaneous,
                "the peer is dialling us at the same time",
            )),
            Status::NotAllowed => Err(Failure::new(
                FailureKind::NotAllowed,
                "the peer answered not_allowed",
            )),
            _ => Err(super::message::malformed("status for this dial")),
        }
    }

    /// Judges the peer by its challenge, before our digest leaves us.
    fn on_challenge(
        &mut self,
        challenge: &Challenge,
        named: Option<(NodeName, u32)>,
    ) -> Result<Next, Failure> {
        if challenge.name != self.peer.as_str() {
            let detail = format!("another node answered, {:?}", challenge.name);
            return Err(Failure::new(FailureKind::NameMismatch, detail));
        }
        if !suffice(challenge.flags) {
            let detail = "the peer lacks distribution flags";
            return Err(Failure::new(FailureKind::Flags, detail));
        }
        if is_hidden(challenge.flags) && !self.accept_hidden {
            let detail = "the peer is a hidden node";
            return Err(Failure::new(FailureKind::NotPublic, detail));
        }
        let reply = ChallengeReply {
            challenge: self.challenge,
            digest: self.local.cookie.digest(challenge.challenge),
        };
        self.state = State::AwaitAck(Proven {
            peer: self.peer.clone(),
            flags: challenge.flags,
            creation: challenge.creation,
            named,
        });
        Ok(Next::Send(reply.encode()))
    }

    fn on_ack(&self, frame: &[u8], proven: Proven) -> Result<Next, Failure> {
        if self
            .local
            .cookie
            .proves(self.challenge, &decode_ack(frame)?)
        {
            return Ok(Next::Done(proven));
        }
        let detail = "cookie rejected by us: the peer proved another one";
        Err(Failure::new(FailureKind::CookieRejectedByUs, detail))
    }

    /// What it means that the peer closed the connection at this point: a BEAM
    /// that rejects our digest says nothing and closes.
    pub(crate) fn on_closed(&self) -> Failure {
        match self.state {
            State::AwaitAck(_) => {
                let detail = format!("cookie rejected by {}", self.peer);
                Failure::new(FailureKind::CookieRejectedByPeer, detail)
            }
            _ => Failure::closed_by_peer(),
        }
    }
}
