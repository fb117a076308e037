//! What an EPMD answers: requests in, answers out, no socket and no clock.

use bytes::Bytes;

use crate::codec::{self, Alive2Reply, NodeInfo, Request};
use crate::names::{Names, RegistrationId};

/// The longest name in characters, which is that of an atom.
const MAX_NAME_CHARS: usize = 255;
/// The longest extra field, in bytes.
const MAX_EXTRA: usize = 1020;

/// What local peers may tell EPMD to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Commands {
    /// Neither to end nor to take names away: an EPMD within another program.
    Refused,
    /// To end while no name is registered.
    #[default]
    Safe,
    /// To end at any time, and to take names away (`-relaxed_command_check`).
    Relaxed,
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub struct Asker {
    /// Whether it is on this host: others may look names up, and nothing else.
    pub local: bool,
    /// Its number, which dumps show: OTP's EPMD shows its file descriptor.
    pub connection: i32,
}

/// What is said, and what happens then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// May be empty.
    pub reply: Bytes,
    /// Once that was said.
    pub then: Then,
}

/// What happens to a connection after its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// It is closed.
    Close,
    /// It is closed, and so is this one, whose registration was taken away.
    CloseHolder(i32),
    /// It is held until its peer closes or says something, and this registration as
    /// long: tell [`Mapper::gone`] of its end. One that was refused is held, too.
    Hold(Option<RegistrationId>),
    /// EPMD ends.
    End,
}

/// An EPMD without its sockets.
#[derive(Debug)]
pub struct Mapper {
    names: Names,
    port: u16,
    commands: Commands,
}

impl Mapper {
    /// An EPMD that listens at `port`. Choose `first_creation` at random: after a
    /// restart no node should meet its old creation.
    pub fn new(port: u16, commands: Commands, first_creation: u32) -> Self {
        Self {
            names: Names::new(first_creation),
            port,
            commands,
        }
    }

    /// Answers a request, which begins behind its length.
    pub fn handle(&mut self, request: &[u8], asker: Asker) -> Answer {
        let Ok(request) = Request::decode(request) else {
            return Answer::silence();
        };
        match request {
            Request::PortPlease2(name) => Answer::close(self.port_of(name)),
            Request::Names => Answer::close(self.names.listing(self.port)),
            _ if !asker.local => Answer::silence(),
            Request::Alive2(info) => self.register(&info, asker),
            Request::Dump => Answer::close(self.names.dump(self.port)),
            Request::Kill => self.kill(),
            Request::Stop(name) => self.stop(name),
        }
    }

    /// The connection that held a registration is gone, and so is the registration.
    pub fn gone(&mut self, registration: RegistrationId) {
        self.names.unregister(registration);
    }

    fn port_of(&self, name: &str) -> Bytes {
        let known = self.names.lookup(name.as_bytes());
        known.unwrap_or_else(codec::encode_unknown)
    }

    fn register(&mut self, info: &NodeInfo<'_>, asker: Asker) -> Answer {
        let registered = is_acceptable(info)
            .then(|| self.names.register(info, asker.connection))
            .flatten();
        let name = String::from_utf8_lossy(info.name);
        let (reply, id) = match registered {
            Some((id, creation)) => {
                tracing::debug!(port = info.port, creation, "registered {name}");
                (Alive2Reply::Registered { creation }, Some(id))
            }
            None => {
                tracing::info!("refused to register {name}: taken, or no name");
                (Alive2Reply::Refused, None)
            }
        };
        Answer {
            reply: reply.encode(info.highest_version),
            then: Then::Hold(id),
        }
    }

    fn kill(&self) -> Answer {
        let may = match self.commands {
            Commands::Refused => false,
            Commands::Safe => self.names.is_empty(),
            Commands::Relaxed => true,
        };
        if !may {
            tracing::info!("refused to end: there are names");
            return Answer::close(Bytes::from_static(b"NO"));
        }
        Answer {
            reply: Bytes::from_static(b"OK"),
            then: Then::End,
        }
    }

    fn stop(&mut self, name: &[u8]) -> Answer {
        if self.commands != Commands::Relaxed {
            tracing::info!("refused to take a name away: not with the relaxed check");
            return Answer::silence();
        }
        match self.names.unregister_name(name) {
            Some(holder) => Answer {
                reply: Bytes::from_static(b"STOPPED"),
                then: Then::CloseHolder(holder),
            },
            // OTP's EPMD says both; who asks reads seven bytes.
            None => Answer::close(Bytes::from_static(b"NOEXISTSTOPPED")),
        }
    }
}

impl Answer {
    pub(crate) fn silence() -> Self {
        Self::close(Bytes::new())
    }

    fn close(reply: Bytes) -> Self {
        Self {
            reply,
            then: Then::Close,
        }
    }
}

fn is_acceptable(info: &NodeInfo<'_>) -> bool {
    let name = str::from_utf8(info.name);
    name.is_ok_and(|name| name.chars().count() <= MAX_NAME_CHARS) && info.extra.len() <= MAX_EXTRA
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{HIDDEN_NODE, TCP_IPV4};

    const LOCAL: Asker = Asker {
        local: true,
        connection: 5,
    };

    fn mapper(commands: Commands) -> Mapper {
        Mapper::new(4369, commands, 77)
    }

    fn ask(mapper: &mut Mapper, request: Request<'_>, asker: Asker) -> Answer {
        mapper.handle(&request.encode()[2..], asker)
    }

    fn alive2(name: &str) -> Request<'_> {
        Request::Alive2(NodeInfo {
            name: name.as_bytes(),
            port: 0x1234,
            node_type: HIDDEN_NODE,
            protocol: TCP_IPV4,
            highest_version: 6,
            lowest_version: 5,
            extra: b"",
        })
    }

    #[test]
    fn others_may_look_up_and_nothing_else() {
        let mut mapper = mapper(Commands::Relaxed);
        ask(&mut mapper, alive2("a"), LOCAL);
        let stranger = Asker {
            local: false,
            connection: 6,
        };
        for request in [
            alive2("b"),
            Request::Dump,
            Request::Kill,
            Request::Stop(b"a"),
        ] {
            assert_eq!(ask(&mut mapper, request, stranger), Answer::silence());
        }
        let names = ask(&mut mapper, Request::Names, stranger).reply;
        assert_eq!(names, &b"\0\0\x11\x11name a at port 4660\n"[..]);
        let port = ask(&mut mapper, Request::PortPlease2("a"), stranger).reply;
        assert_eq!(codec::decode_port2(&port), Ok(Some(0x1234)));
    }

    #[test]
    fn ends_only_without_names_or_when_told_to() {
        let then = |commands, names: &[&str]| {
            let mut mapper = mapper(commands);
            for name in names {
                ask(&mut mapper, alive2(name), LOCAL);
            }
            ask(&mut mapper, Request::Kill, LOCAL).then
        };
        assert_eq!(then(Commands::Safe, &["a"]), Then::Close);
        assert_eq!(then(Commands::Safe, &[]), Then::End);
        assert_eq!(then(Commands::Relaxed, &["a"]), Then::End);
        assert_eq!(then(Commands::Refused, &[]), Then::Close);
    }

    #[test]
    fn names_are_taken_away_only_by_the_relaxed() {
        for commands in [Commands::Refused, Commands::Safe] {
            let mut mapper = mapper(commands);
            ask(&mut mapper, alive2("a"), LOCAL);
            assert_eq!(
                ask(&mut mapper, Request::Stop(b"a"), LOCAL),
                Answer::silence()
            );
            assert!(!mapper.names.is_empty());
        }
        let mut mapper = mapper(Commands::Relaxed);
        ask(&mut mapper, alive2("a"), LOCAL);
        let stopped = ask(&mut mapper, Request::Stop(b"a"), LOCAL);
        assert_eq!(stopped.then, Then::CloseHolder(LOCAL.connection));
        assert!(mapper.names.is_empty());
    }
}
