//! The accepting side.

use erl_dist::DistributionFlags;
use pgmesh_name::NodeName;

use super::flags::{OFFERED, suffice};
use super::message::{
    Challenge, ChallengeReply, Complement, Name, Status, decode_alive_answer, encode_ack, malformed,
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
    AwaitDecision(Claim),
    AwaitAliveAnswer(Claim),
    AwaitReply(Claim),
    Over,
}

/// What the peer says of itself, not proven yet.
#[derive(Debug)]
struct Claim {
    /// `None` until we have named it.
    peer: Option<NodeName>,
    flags: DistributionFlags,
    /// `None` until the complement of an older name has come.
    creation: Option<u32>,
}

/// Who wants to link, not proven yet.
#[derive(Debug)]
pub(crate) enum Offer {
    /// A node of this name.
    Named(NodeName),
    /// A node on this host that wants us to name it (NAME_ME).
    Nameless { host: String },
}

/// What follows from a frame.
#[derive(Debug)]
pub(crate) enum Next {
    /// Wait on.
    Wait,
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
        let nameless = name.flags.contains(DistributionFlags::NAME_ME);
        let offer = if nameless && !name.name.contains('@') {
            Offer::Nameless { host: name.name }
        } else {
            Offer::Named(parse_name(&name.name)?)
        };
        let peer = match &offer {
            Offer::Named(peer) => Some(peer.clone()),
            Offer::Nameless { .. } => None,
        };
        self.state = State::AwaitDecision(Claim {
            peer,
            flags: name.flags,
            creation: name.creation,
        });
        Ok(offer)
    }

    /// The frames that tell the peer of the decision. After `nok` and
    /// `not_allowed` the handshake is over once they are sent.
    pub(crate) fn on_decision(&mut self, status: &Status) -> Vec<Vec<u8>> {
        let mut frames = vec![status.encode()];
        let state = std::mem::replace(&mut self.state, State::Over);
        let State::AwaitDecision(mut claim) = state else {
            return frames;
        };
        match status {
            Status::Ok | Status::OkSimultaneous => {
                frames.push(self.challenge_frame(OFFERED));
                self.state = State::AwaitReply(claim);
            }
            Status::Named { name, creation } => {
                claim.peer = Some(name.clone());
                claim.creation = Some(*creation);
                // A BEAM takes its new name only from who says this flag back.
                let flags = OFFERED | DistributionFlags::NAME_ME;
                frames.push(self.challenge_frame(flags));
                self.state = State::AwaitReply(claim);
            }
            Status::Alive => self.state = State::AwaitAliveAnswer(claim),
            Status::Nok | Status::NotAllowed => {}
        }
        frames
    }

    pub(crate) fn on_frame(&mut self, frame: &[u8]) -> Result<Next, Failure> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::AwaitAliveAnswer(claim) => {
                if !decode_alive_answer(frame)? {
                    return Ok(Next::GivenUp);
                }
                self.state = State::AwaitReply(claim);
                Ok(Next::Send(vec![self.challenge_frame(OFFERED)]))
            }
            State::AwaitReply(claim) if claim.creation.is_none() => {
                let completed = claim.complete(Complement::decode(frame)?);
                self.state = State::AwaitReply(completed);
                Ok(Next::Wait)
            }
            State::AwaitReply(claim) => self.on_reply(&ChallengeReply::decode(frame)?, claim),
            _ => Err(malformed("frame out of turn")),
        }
    }

    /// The flags are judged here, where an older name's are complete.
    fn on_reply(&self, reply: &ChallengeReply, claim: Claim) -> Result<Next, Failure> {
        let proven = claim.proven()?;
        if !suffice(proven.flags) {
            let detail = format!("{} lacks distribution flags", proven.peer);
            return Err(Failure::new(FailureKind::Flags, detail));
        }
        let cookie = self.local.cookies.of(&proven.peer);
        if !cookie.proves(self.challenge, &reply.digest) {
            let detail = format!("cookie rejected by us: {} proved another one", proven.peer);
            return Err(Failure::new(FailureKind::CookieRejectedByUs, detail));
        }
        let ack = encode_ack(&cookie.digest(reply.challenge));
        Ok(Next::Done(ack, proven))
    }

    fn challenge_frame(&self, flags: DistributionFlags) -> Vec<u8> {
        let name = match &self.local.name {
            LocalName::Full(name) => name.to_string(),
            LocalName::Dynamic { host } => host.clone(),
        };
        Challenge {
            flags,
            challenge: self.challenge,
            creation: self.local.creation,
            name,
        }
        .encode()
    }
}

impl Claim {
    fn complete(self, complement: Complement) -> Self {
        let high = u64::from(complement.flags_high) << 32;
        Self {
            flags: self.flags | DistributionFlags::from_bits_truncate(high),
            creation: Some(complement.creation),
            ..self
        }
    }

    fn proven(self) -> Result<Proven, Failure> {
        match (self.peer, self.creation) {
            (Some(peer), Some(creation)) => Ok(Proven {
                peer,
                flags: self.flags,
                creation,
                named: None,
            }),
            _ => Err(malformed("frame out of turn")),
        }
    }
}

fn parse_name(text: &str) -> Result<NodeName, Failure> {
    text.parse().map_err(|error: pgmesh_name::NameError| {
        let detail = format!("the dialler's name is none: {error}");
        Failure::new(FailureKind::Malformed, detail)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Cookie;
    use crate::cookie::Cookies;
    use std::collections::HashMap;
    use std::sync::Arc;

    fn acceptor() -> Acceptor {
        let peers = HashMap::from([("own@h".parse().unwrap(), Cookie::new("own secret"))]);
        let local = Local {
            name: LocalName::Full("m@h".parse().unwrap()),
            creation: 4,
            cookies: Arc::new(Cookies::new(Cookie::new("secret"), peers)),
        };
        Acceptor::new(local, 77)
    }

    fn reply() -> Vec<u8> {
        reply_with("secret")
    }

    fn reply_with(cookie: &str) -> Vec<u8> {
        let digest = Cookie::new(cookie).digest(77);
        ChallengeReply {
            challenge: 5,
            digest,
        }
        .encode()
    }

    #[test]
    fn older_name_waits_for_its_complement() {
        let mut acceptor = acceptor();
        let name = [&b"n\0\x05\x01\xdf\x7f\xbd"[..], b"a@h"].concat();
        assert!(matches!(acceptor.on_name(&name).unwrap(), Offer::Named(_)));
        assert_eq!(acceptor.on_decision(&Status::Ok).len(), 2);
        let complement = Complement {
            flags_high: 1,
            creation: 9,
        };
        let next = acceptor.on_frame(&complement.encode()).unwrap();
        assert!(matches!(next, Next::Wait));
        let Next::Done(_, proven) = acceptor.on_frame(&reply()).unwrap() else {
            panic!("not done");
        };
        assert_eq!(proven.flags.bits(), 0x1_01df_7fbd);
        assert_eq!(proven.creation, 9);
    }

    #[test]
    fn reply_instead_of_the_complement_is_refused() {
        let mut acceptor = acceptor();
        let name = [&b"n\0\x05\x01\xdf\x7f\xbd"[..], b"a@h"].concat();
        acceptor.on_name(&name).unwrap();
        acceptor.on_decision(&Status::Ok);
        let failure = acceptor.on_frame(&reply()).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Malformed);
    }

    #[test]
    fn nameless_peer_gets_a_name_and_a_creation() {
        let mut acceptor = acceptor();
        let flags = OFFERED | DistributionFlags::NAME_ME;
        let frame = Name {
            flags,
            creation: Some(0),
            name: "10.0.0.7".to_owned(),
        }
        .encode();
        let Offer::Nameless { host } = acceptor.on_name(&frame).unwrap() else {
            panic!("has a name");
        };
        assert_eq!(host, "10.0.0.7");
        let name: NodeName = "X1@10.0.0.7".parse().unwrap();
        let frames = acceptor.on_decision(&Status::Named {
            name: name.clone(),
            creation: 8,
        });
        let challenge = Challenge::decode(&frames[1]).unwrap();
        assert!(challenge.flags.contains(DistributionFlags::NAME_ME));
        let Next::Done(_, proven) = acceptor.on_frame(&reply()).unwrap() else {
            panic!("not done");
        };
        assert_eq!((proven.peer, proven.creation), (name, 8));
    }

    #[test]
    fn peer_with_a_cookie_of_its_own_proves_that_one() {
        let with = |cookie| {
            let mut acceptor = acceptor();
            let frame = Name {
                flags: OFFERED,
                creation: Some(9),
                name: "own@h".to_owned(),
            };
            acceptor.on_name(&frame.encode()).unwrap();
            acceptor.on_decision(&Status::Ok);
            acceptor.on_frame(&reply_with(cookie))
        };
        let failure = with("secret").unwrap_err();
        assert_eq!(failure.kind, FailureKind::CookieRejectedByUs);
        let Next::Done(ack, _) = with("own secret").unwrap() else {
            panic!("not done");
        };
        assert_eq!(ack, encode_ack(&Cookie::new("own secret").digest(5)));
    }
}
