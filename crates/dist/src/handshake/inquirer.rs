//! The dialling side up to the peer's challenge: who is there?

use erl_dist::DistributionFlags;
use pgmesh_name::NodeName;

use super::flags::OFFERED;
use super::message::{Challenge, Name, Status, encode_alive_answer, malformed};
use super::{Local, LocalName};
use crate::Step;
use crate::error::{Failure, FailureKind};

/// One dial, from our name to the peer's challenge; nothing secret leaves us.
///
/// Send [`first_frame`](Self::first_frame), then feed every frame received to
/// [`on_frame`](Self::on_frame) until the challenge is there.
#[derive(Debug)]
pub(crate) struct Inquirer {
    pub(super) local: Local,
    state: State,
}

#[derive(Debug)]
enum State {
    AwaitStatus,
    AwaitChallenge { named: Option<(NodeName, u32)> },
    Over,
}

/// What follows from a frame.
#[derive(Debug)]
pub(crate) enum Next {
    /// Wait on.
    Wait,
    /// The peer believes to be linked to us: say whether we want this link
    /// instead, with [`Inquirer::answer_alive`].
    Alive,
    /// What the peer says of itself, and the name and creation that it gave us, if
    /// we had none.
    Challenged(Challenge, Option<(NodeName, u32)>),
}

impl Inquirer {
    pub(crate) fn new(local: Local) -> Self {
        Self {
            local,
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
            State::AwaitChallenge { .. } | State::Over => Step::Challenge,
        }
    }

    pub(crate) fn on_frame(&mut self, frame: &[u8]) -> Result<Next, Failure> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::AwaitStatus => self.on_status(Status::decode(frame)?),
            State::AwaitChallenge { named } => {
                Ok(Next::Challenged(Challenge::decode(frame)?, named))
            }
            State::Over => Err(malformed("frame after the handshake")),
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
            _ => Err(malformed("status for this dial")),
        }
    }
}
