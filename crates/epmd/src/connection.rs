//! One connection to an EPMD: a request, its answer, and perhaps a registration
//! that lasts as long.
//!
//! Most requests are there when their connection is accepted: [`begin`] answers these
//! at once, without a task. What has to be waited for is left to [`serve`].

use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;
use std::os::fd::AsRawFd as _;
use std::sync::Arc;

use bytes::{Buf as _, Bytes};
use socket2::{SockRef, Socket};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};

use crate::codec::{Incoming, MAX_REQUEST, Request};
use crate::mapper::{Asker, Then};
use crate::names::RegistrationId;
use crate::server::Shared;

/// A connection that has to be waited for.
pub(crate) struct Begun {
    stream: TcpStream,
    asker: Asker,
    incoming: Incoming,
    answered: Option<Answered>,
}

/// A request that was answered, as far as its peer has taken the answer.
struct Answered {
    rest: Bytes,
    then: Then,
    held: Option<Held>,
}

/// Does at once what can be done at once; `None` if that was all.
///
/// # Errors
///
/// When the connection has failed, or says what is no request.
pub(crate) fn begin(
    shared: &Arc<Shared>,
    stream: TcpStream,
    peer: SocketAddr,
) -> io::Result<Option<Begun>> {
    let asker = Asker {
        local: is_local(&stream, peer),
        connection: stream.as_raw_fd(),
    };
    let mut incoming = Incoming::default();
    // Past tokio, which does not know yet that there is something.
    let socket = SockRef::from(&stream);
    let read = |piece: &mut [u8]| (&*socket).read(piece);
    take(read, &mut incoming)?;
    let at_once = shared.config.delay_write.is_zero();
    let answered = match incoming.request() {
        Some(request) if at_once && !Request::registers(request) => {
            let mut answered = Answered::new(shared, request, asker);
            answered.say_at_once(&socket)?;
            if answered.rest.is_empty() && answered.then == Then::Close {
                return Ok(None);
            }
            Some(answered)
        }
        _ => None,
    };
    Ok(Some(Begun {
        stream,
        asker,
        incoming,
        answered,
    }))
}

/// Serves a connection to its end. A registration may last for months: what is needed
/// for a moment only is boxed, so that its task stays small.
pub(crate) async fn serve(shared: Arc<Shared>, begun: Box<Begun>) {
    match Box::pin(answer(shared, begun)).await {
        Ok(Some((stream, held))) => hold(stream, held).await,
        Ok(None) => {}
        Err(error) => tracing::debug!("a connection has ended: {error}"),
    }
}

/// Until the answer was said; returns what is to be held then.
async fn answer(
    shared: Arc<Shared>,
    begun: Box<Begun>,
) -> io::Result<Option<(TcpStream, Option<Held>)>> {
    let limit = shared.config.packet_timeout;
    let mut stream = begun.stream;
    let answered = match begun.answered {
        Some(answered) => answered,
        None => {
            let request = read_request(&shared, &stream, begun.incoming, begun.asker);
            timeout(limit, request).await??
        }
    };
    let Answered { rest, then, held } = answered;
    if !rest.is_empty() {
        // A peer that does not take its answer is given up, too.
        timeout(limit, say(&shared, &mut stream, rest)).await??;
    }
    match then {
        Then::Hold(_) => return Ok(Some((stream, held))),
        Then::Close => {}
        Then::CloseHolder(id) => drop(shared.state().holders.remove(&id)),
        Then::End => {
            tracing::info!("told to end");
            drop(stream);
            shared.ended.notify_one();
        }
    }
    Ok(None)
}

/// Whether somebody on this host asks.
fn is_local(stream: &TcpStream, peer: SocketAddr) -> bool {
    peer.ip().is_loopback() || stream.local_addr().is_ok_and(|own| own.ip() == peer.ip())
}

async fn read_request(
    shared: &Arc<Shared>,
    stream: &TcpStream,
    mut incoming: Incoming,
    asker: Asker,
) -> io::Result<Answered> {
    while incoming.request().is_none() {
        stream.readable().await?;
        take(|piece| stream.try_read(piece), &mut incoming)?;
    }
    // Whoever gave a name up before this was asked is gone by then: a node that is
    // started again is not told that it runs. The first time its end is heard, and the
    // second time it has had its turn.
    yield_now().await;
    yield_now().await;
    let request = incoming.request().unwrap_or_default();
    Ok(Answered::new(shared, request, asker))
}

/// Takes what is there.
fn take(
    read: impl FnOnce(&mut [u8]) -> io::Result<usize>,
    incoming: &mut Incoming,
) -> io::Result<()> {
    let mut piece = [0; MAX_REQUEST];
    let got = match read(&mut piece[..incoming.room()]) {
        Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(got) => got,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
        Err(error) => return Err(error),
    };
    incoming.push(&piece[..got]).map_err(io::Error::other)?;
    Ok(())
}

impl Answered {
    fn new(shared: &Arc<Shared>, request: &[u8], asker: Asker) -> Self {
        let answer = shared.state().mapper.handle(request, asker);
        // From here on the name is free again however this ends, and before the close.
        let held = match answer.then {
            Then::Hold(Some(id)) => Some(Held::new(shared.clone(), id)),
            _ => None,
        };
        Self {
            rest: answer.reply,
            then: answer.then,
            held,
        }
    }

    fn say_at_once(&mut self, mut socket: &Socket) -> io::Result<()> {
        if self.rest.is_empty() {
            return Ok(());
        }
        match socket.write(&self.rest) {
            Ok(said) => self.rest.advance(said),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

async fn say(shared: &Shared, stream: &mut TcpStream, reply: Bytes) -> io::Result<()> {
    let delay = shared.config.delay_write;
    if !delay.is_zero() {
        let _busy = shared.busy.lock().await;
        sleep(delay).await;
    }
    stream.write_all(&reply).await
}

/// Waits until the peer closes or says something, or the name is taken away.
async fn hold(stream: TcpStream, mut held: Option<Held>) {
    let evicted = async {
        match &mut held {
            Some(held) => drop((&mut held.evicted).await),
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = evicted => {}
        () = spoken(&stream) => {}
    }
}

async fn spoken(stream: &TcpStream) {
    while stream.readable().await.is_ok() && !has_spoken(stream) {}
}

/// What is not read here makes the close a reset, as with OTP's EPMD.
fn has_spoken(stream: &TcpStream) -> bool {
    let read = stream.try_read(&mut [0; MAX_REQUEST + 1]);
    !matches!(read, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}

/// A registration, gone when this is dropped.
struct Held {
    shared: Arc<Shared>,
    id: RegistrationId,
    evicted: oneshot::Receiver<()>,
}

impl Held {
    fn new(shared: Arc<Shared>, id: RegistrationId) -> Self {
        let (evict, evicted) = oneshot::channel();
        shared.state().holders.insert(id, evict);
        Self {
            shared,
            id,
            evicted,
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.mapper.gone(self.id);
        state.holders.remove(&self.id);
    }
}
