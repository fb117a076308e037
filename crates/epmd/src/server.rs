//! An EPMD over sockets: listeners in, and one loop for all connections.

use std::collections::HashMap;
use std::io;
use std::net;
use std::os::fd::{AsRawFd as _, RawFd};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::{Instant, sleep, sleep_until};

use crate::connection::Connection;
use crate::held::Held;
use crate::mapper::{Commands, Mapper, Then};
use crate::names::RegistrationId;
use crate::unfinished::Unfinished;
use crate::watched::{BATCH, For, Watched};

/// How long nobody new is accepted when the system has no descriptor left for it.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Between two words about that.
const WARNING_PAUSE: Duration = Duration::from_secs(60);

/// How an EPMD behaves.
#[derive(Clone, Copy, Debug)]
pub struct ServerConfig {
    /// What local peers may tell it to do.
    pub commands: Commands,
    /// How long a connection may take for its request, and for taking its answer.
    /// A byte now and then makes neither longer, as it does with OTP's EPMD.
    pub packet_timeout: Duration,
    /// Waited before each connection is accepted, to play a busy EPMD.
    pub delay_accept: Duration,
    /// Waited before each answer while all others wait, to play a busy EPMD.
    pub delay_write: Duration,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            commands: Commands::default(),
            packet_timeout: Duration::from_secs(60),
            delay_accept: Duration::ZERO,
            delay_write: Duration::ZERO,
        }
    }
}

/// Serves until a peer ends it, as it may with [`Commands::Safe`] and
/// [`Commands::Relaxed`].
///
/// Cancel safe: dropped, it closes all connections and listeners. Must be called
/// within a tokio runtime.
///
/// # Errors
///
/// When a listener has no address of its own, or the system cannot watch sockets.
pub async fn serve(listeners: Vec<TcpListener>, config: ServerConfig) -> io::Result<()> {
    Server::new(listeners, config)?.run().await
}

/// Sockets are known by their file descriptors.
struct Server {
    config: ServerConfig,
    mapper: Mapper,
    watched: Watched,
    listeners: HashMap<RawFd, net::TcpListener>,
    /// When new connections are accepted again, if they are not now.
    accept_again_at: Option<Instant>,
    /// When it was last told that new ones cannot be.
    warned_at: Option<Instant>,
    unfinished: Unfinished,
    held: HashMap<RawFd, Held>,
}

/// Whose turn it is first, of those that are ready together. Whoever gave a name up
/// before this was asked for is gone by then: a node that is started again is not
/// told that it runs.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    Held,
    Unfinished,
    Listener,
}

impl Server {
    fn new(listeners: Vec<TcpListener>, config: ServerConfig) -> io::Result<Self> {
        let port = match listeners.first() {
            Some(listener) => listener.local_addr()?.port(),
            None => return Err(io::Error::other("EPMD has nothing to listen on")),
        };
        let mut server = Self {
            config,
            mapper: Mapper::new(port, config.commands, rand::random()),
            watched: Watched::new()?,
            listeners: HashMap::new(),
            accept_again_at: None,
            warned_at: None,
            unfinished: Unfinished::default(),
            held: HashMap::new(),
        };
        for listener in listeners {
            let listener = listener.into_std()?;
            server.watched.watch(&listener, None, For::Reading)?;
            server.listeners.insert(listener.as_raw_fd(), listener);
        }
        Ok(server)
    }

    async fn run(mut self) -> io::Result<()> {
        loop {
            let mut ready = self.ready().await?;
            if ready.len() == BATCH {
                // There may be more of the others.
                ready.retain(|number| self.turn(*number) != Turn::Listener);
            }
            ready.sort_by_key(|number| self.turn(*number));
            for number in ready {
                if self.serve(number).await == Some(Then::End) {
                    tracing::info!("told to end");
                    return Ok(());
                }
            }
            self.close_late();
            self.accept_again();
        }
    }

    /// Returns early, with nobody, when a connection is late or new ones are accepted
    /// again.
    async fn ready(&self) -> io::Result<Vec<RawFd>> {
        let deadlines = [self.unfinished.deadline(), self.accept_again_at];
        let deadline = deadlines.into_iter().flatten().min();
        tokio::select! {
            ready = self.watched.ready() => ready,
            () = late(deadline) => Ok(Vec::new()),
        }
    }

    fn turn(&self, number: RawFd) -> Turn {
        if self.held.contains_key(&number) {
            Turn::Held
        } else if self.listeners.contains_key(&number) {
            Turn::Listener
        } else {
            Turn::Unfinished
        }
    }

    async fn serve(&mut self, number: RawFd) -> Option<Then> {
        if let Some(held) = self.held.get(&number) {
            if held.is_over() {
                self.let_go(number);
            }
            return None;
        }
        if let Some(connection) = self.unfinished.remove(number) {
            let before = Some(connection.waits_for());
            return self.go_on(connection, before).await;
        }
        match self.accept(number).await {
            Ok(connection) => self.go_on(connection?, None).await,
            Err(error) => {
                self.pause_accepting(&error);
                None
            }
        }
    }

    /// One at a time: what was said and closed before the next came is heard first.
    async fn accept(&self, number: RawFd) -> io::Result<Option<Connection>> {
        let Some(listener) = self.listeners.get(&number) else {
            return Ok(None);
        };
        if !self.config.delay_accept.is_zero() {
            sleep(self.config.delay_accept).await;
        }
        match listener.accept() {
            Ok((stream, peer)) => Ok(Connection::new(stream, peer, &self.config).ok()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whoever is connected already is served meanwhile.
    fn pause_accepting(&mut self, error: &io::Error) {
        let now = Instant::now();
        if self.warned_at.is_none_or(|at| at + WARNING_PAUSE <= now) {
            self.warned_at = Some(now);
            tracing::warn!("cannot accept connections: {error} (raise the limit of open files)");
        }
        if self.accept_again_at.is_none() {
            self.accept_again_at = Some(now + ACCEPT_PAUSE);
            self.watch_listeners(For::Reading, For::Nothing);
        }
    }

    fn accept_again(&mut self) {
        if self.accept_again_at.is_some_and(|at| at <= Instant::now()) {
            self.accept_again_at = None;
            self.watch_listeners(For::Nothing, For::Reading);
        }
    }

    fn watch_listeners(&self, before: For, what: For) {
        for listener in self.listeners.values() {
            if let Err(error) = self.watched.watch(listener, Some(before), what) {
                tracing::error!("cannot watch a listener: {error}");
            }
        }
    }

    async fn go_on(&mut self, mut connection: Connection, before: Option<For>) -> Option<Then> {
        let gone_on = connection.go_on(&mut self.mapper, &self.config).await;
        let registration = connection.registration();
        let kept = match gone_on {
            Ok(None) => self.wait_for(connection, before),
            Ok(Some(Then::Hold(_))) => self.hold(connection, before),
            Ok(Some(then)) => {
                if let Then::CloseHolder(holder) = then {
                    self.held.remove(&holder);
                }
                return Some(then);
            }
            Err(error) => Err(error),
        };
        if let Err(error) = kept {
            tracing::debug!("a connection has ended: {error}");
            self.gone(registration);
        }
        None
    }

    fn wait_for(&mut self, connection: Connection, before: Option<For>) -> io::Result<()> {
        let what = connection.waits_for();
        self.watched.watch(&connection, before, what)?;
        self.unfinished.insert(connection);
        Ok(())
    }

    fn hold(&mut self, connection: Connection, before: Option<For>) -> io::Result<()> {
        self.watched.watch(&connection, before, For::Reading)?;
        let (number, registration) = (connection.number(), connection.registration());
        let stream = connection.into_stream();
        let held = Held {
            stream,
            registration,
        };
        self.held.insert(number, held);
        Ok(())
    }

    fn let_go(&mut self, number: RawFd) {
        if let Some(held) = self.held.remove(&number) {
            self.gone(held.registration);
        }
    }

    fn gone(&mut self, registration: Option<RegistrationId>) {
        if let Some(registration) = registration {
            self.mapper.gone(registration);
        }
    }

    fn close_late(&mut self) {
        let now = Instant::now();
        while let Some(connection) = self.unfinished.remove_late(now) {
            tracing::debug!("a connection has ended: it was late");
            self.gone(connection.registration());
        }
    }
}

async fn late(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
