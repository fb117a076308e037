//! One connection to an EPMD, until its answer was taken.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, RawFd};

use bytes::Buf as _;
use tokio::time::{Instant, sleep};

use crate::codec::{Incoming, MAX_REQUEST};
use crate::mapper::{Answer, Asker, Mapper, Then};
use crate::names::RegistrationId;
use crate::server::ServerConfig;
use crate::watched::For;

pub(crate) struct Connection {
    stream: TcpStream,
    asker: Asker,
    stage: Stage,
    deadline: Instant,
}

enum Stage {
    Asking(Incoming),
    /// What of it was not said yet.
    Answering(Answer),
}

impl Connection {
    pub(crate) fn new(
        stream: TcpStream,
        peer: SocketAddr,
        config: &ServerConfig,
    ) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        let asker = Asker {
            local: is_local(&stream, peer),
            connection: stream.as_raw_fd(),
        };
        Ok(Self {
            stream,
            asker,
            stage: Stage::Asking(Incoming::default()),
            deadline: Instant::now() + config.packet_timeout,
        })
    }

    pub(crate) fn number(&self) -> RawFd {
        self.asker.connection
    }

    /// Until when its peer must have said, or taken, what is waited for.
    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    pub(crate) fn waits_for(&self) -> For {
        match self.stage {
            Stage::Asking(_) => For::Reading,
            Stage::Answering(_) => For::Writing,
        }
    }

    /// What it was given, and has from now on.
    pub(crate) fn registration(&self) -> Option<RegistrationId> {
        match self.stage {
            Stage::Answering(Answer {
                then: Then::Hold(registration),
                ..
            }) => registration,
            _ => None,
        }
    }

    pub(crate) fn into_stream(self) -> TcpStream {
        self.stream
    }

    /// Goes on as far as its peer lets it; returns what follows once all was said.
    ///
    /// # Errors
    ///
    /// When the connection has failed, or says what is no request.
    pub(crate) async fn go_on(
        &mut self,
        mapper: &mut Mapper,
        config: &ServerConfig,
    ) -> io::Result<Option<Then>> {
        if let Stage::Asking(incoming) = &mut self.stage {
            take(&self.stream, incoming)?;
            let Some(request) = incoming.request() else {
                return Ok(None);
            };
            let answer = mapper.handle(request, self.asker);
            let is_silent = answer.reply.is_empty();
            self.stage = Stage::Answering(answer);
            if !is_silent && !config.delay_write.is_zero() {
                sleep(config.delay_write).await;
            }
            self.deadline = Instant::now() + config.packet_timeout;
        }
        self.say()
    }

    fn say(&mut self) -> io::Result<Option<Then>> {
        let Stage::Answering(Answer { reply, then }) = &mut self.stage else {
            return Ok(None);
        };
        while !reply.is_empty() {
            match (&self.stream).write(reply) {
                Ok(said) => reply.advance(said),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        Ok(Some(*then))
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// Whether somebody on this host asks.
fn is_local(stream: &TcpStream, peer: SocketAddr) -> bool {
    peer.ip().is_loopback() || stream.local_addr().is_ok_and(|own| own.ip() == peer.ip())
}

/// Takes what is there.
fn take(mut stream: &TcpStream, incoming: &mut Incoming) -> io::Result<()> {
    let mut piece = [0; MAX_REQUEST];
    let got = match stream.read(&mut piece[..incoming.room()]) {
        Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(got) => got,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
        Err(error) => return Err(error),
    };
    incoming.push(&piece[..got]).map_err(io::Error::other)?;
    Ok(())
}
