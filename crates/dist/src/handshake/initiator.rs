//! The dialling side.

use pgmesh_name::NodeName;

use super::flags::{is_hidden, suffice};
use super::inquirer::{self, Inquirer};
use super::message::{Challenge, ChallengeReply, decode_ack};
use super::{Local, Proven};
use crate::error::{Failure, FailureKind};
use crate::{Cookie, Step};

/// One dial, from our name to the peer's digest.
///
/// Send [`first_frame`](Self::first_frame), then feed every frame received to
/// [`on_frame`](Self::on_frame) until it is done or has failed.
#[derive(Debug)]
pub(crate) struct Initiator {
    inquirer: Inquirer,
    peer: NodeName,
    accept_hidden: bool,
    challenge: u32,
    /// Who is there, once our digest is on its way.
    to_prove: Option<Proven>,
}

/// What follows from a frame.
#[derive(Debug)]
pub(crate) enum Next {
    /// Send this, which holds our digest, and wait on.
    Prove(Vec<u8>),
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
            inquirer: Inquirer::new(local),
            peer,
            accept_hidden,
            challenge,
            to_prove: None,
        }
    }

    pub(crate) fn first_frame(&self) -> Vec<u8> {
        self.inquirer.first_frame()
    }

    /// Which step is being waited for.
    pub(crate) fn step(&self) -> Step {
        match self.to_prove {
            Some(_) => Step::ChallengeAck,
            None => self.inquirer.step(),
        }
    }

    pub(crate) fn on_frame(&mut self, frame: &[u8]) -> Result<Next, Failure> {
        if let Some(proven) = self.to_prove.take() {
            return self.on_ack(frame, proven);
        }
        match self.inquirer.on_frame(frame)? {
            inquirer::Next::Wait => Ok(Next::Wait),
            inquirer::Next::Alive => Ok(Next::Alive),
            inquirer::Next::Challenged(challenge, named) => self.on_challenge(&challenge, named),
        }
    }

    /// Answers [`Next::Alive`]; with `false` the dial is over once this is sent.
    pub(crate) fn answer_alive(&mut self, wanted: bool) -> Vec<u8> {
        self.inquirer.answer_alive(wanted)
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
            digest: self.cookie().digest(challenge.challenge),
        };
        self.to_prove = Some(Proven {
            peer: self.peer.clone(),
            flags: challenge.flags,
            creation: challenge.creation,
            named,
        });
        Ok(Next::Prove(reply.encode()))
    }

    fn cookie(&self) -> &Cookie {
        self.inquirer.local.cookies.of(&self.peer)
    }

    fn on_ack(&self, frame: &[u8], proven: Proven) -> Result<Next, Failure> {
        if self.cookie().proves(self.challenge, &decode_ack(frame)?) {
            return Ok(Next::Done(proven));
        }
        let detail = "cookie rejected by us: the peer proved another one";
        Err(Failure::new(FailureKind::CookieRejectedByUs, detail))
    }

    /// What it means that the peer closed the connection at this point: a BEAM
    /// that rejects our digest says nothing and closes.
    pub(crate) fn on_closed(&self) -> Failure {
        if self.to_prove.is_none() {
            return Failure::closed_by_peer();
        }
        let detail = format!("cookie rejected by {}", self.peer);
        Failure::new(FailureKind::CookieRejectedByPeer, detail)
    }
}
