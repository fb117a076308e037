//! Keeps a session for ever: connect, listen, say, notice deafness, start over.

use std::time::Duration;

use pgmesh_name::{NameError, NodeName};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_postgres::Notification;

use crate::backoff::Backoff;
use crate::connect::{Connector, private_channel};
use crate::ears::Ears;
use crate::payload::{self, Payload};
use crate::session::{Asking, QUEUE, Session};
use crate::{Channel, Conninfo, Dialect, PostgresError};

/// What may wait to be said: an announcement, and goodbyes.
const SAID_AHEAD: usize = 4;
/// Characters of a payload that is no name: enough to find who says it.
const SHOWN: usize = 60;

/// What a session needs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where Postgres is and who we are there.
    pub conninfo: Conninfo,
    /// Where names are said.
    pub channel: Channel,
    /// Our own name, whose coming back proves that we hear.
    pub own: NodeName,
    /// How often [`Announcer::announce`] is called; two intervals without an echo
    /// mean deaf.
    pub announce_interval: Duration,
    /// Whether we never announce ourselves: the echo then comes on a channel of
    /// our own.
    pub silent: bool,
    /// How names are said.
    pub dialect: Dialect,
    /// Whether to stand for the one of all daemons on this channel that leads.
    pub elect: bool,
}

/// What of [`Settings`] can change while a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Role {
    /// See [`Settings::announce_interval`].
    pub announce_interval: Duration,
    /// See [`Settings::silent`].
    pub silent: bool,
    /// See [`Settings::elect`].
    pub elect: bool,
}

impl Settings {
    fn role(&self) -> Role {
        Role {
            announce_interval: self.announce_interval,
            silent: self.silent,
            elect: self.elect,
        }
    }
}

/// What a session tells.
#[derive(Clone, Debug)]
pub enum Event {
    /// It listens, and leads no longer if the one before it did. Comes without an
    /// [`Event::Down`] where a new [`Role`] asked for a new session.
    Up,
    /// It is gone; another is on its way.
    Down(PostgresError),
    /// What was to be said has been said, in one transaction.
    Said {
        /// How many names.
        names: usize,
    },
    /// Our own words came back: we hear.
    Echo {
        /// How long after they were said; unknown if it was not we who said them.
        after: Option<Duration>,
    },
    /// We lead, until the session is gone: no other daemon on this channel that
    /// stands for it does.
    Leads,
    /// A name was said.
    Heard(NodeName),
    /// A node said that it leaves.
    Goodbye(NodeName),
    /// Something else was said.
    BadPayload {
        /// How it begins.
        start: String,
        /// Why it is no name.
        error: NameError,
    },
}

/// The events of a session, in order. Postgres waits while it is full.
pub type Events = mpsc::Receiver<Event>;

/// Says names. Dropped, it ends the session.
#[derive(Debug)]
pub struct Announcer {
    queue: mpsc::Sender<Vec<String>>,
    dialect: Dialect,
    roles: watch::Sender<Role>,
    keeper: JoinHandle<()>,
}

impl Announcer {
    /// Says these names in one transaction, as soon as the session stands. Never
    /// waits: while an earlier announcement is under way another is needless.
    pub fn announce(&self, names: &[NodeName]) {
        let say = |name| self.dialect.announcement(name);
        let _ = self.queue.try_send(names.iter().map(say).collect());
    }

    /// Says that these names leave, if the dialect has a word for it. Never waits.
    pub fn goodbye(&self, names: &[NodeName]) {
        let said: Vec<_> = names
            .iter()
            .filter_map(|name| self.dialect.goodbye(name))
            .collect();
        if !said.is_empty() {
            let _ = self.queue.try_send(said);
        }
    }

    /// Takes another role. Never waits. Another interval is minded at once, and we
    /// stand for leader from the next echo on; to become silent or not, and to give up
    /// the lead, takes a new session.
    pub fn take_role(&self, role: Role) {
        self.roles.send_if_modified(|current| {
            let differs = *current != role;
            *current = role;
            differs
        });
    }

    /// Ends the session once what is to be said has been said, or after `limit`.
    pub async fn finish(self, limit: Duration) {
        let Self { queue, keeper, .. } = self;
        drop(queue);
        // Whatever it says, it is over.
        let _ = timeout(limit, keeper).await;
    }
}

/// Starts a session that lasts until the [`Announcer`] or the [`Events`] are
/// dropped. Must be called within a tokio runtime.
pub fn spawn(settings: Settings) -> (Announcer, Events) {
    let (queue, announcements) = mpsc::channel(SAID_AHEAD);
    let (events, receiver) = mpsc::channel(QUEUE);
    let application_name = format!("pgmesh/{}", settings.own);
    let dialect = settings.dialect;
    let (roles, role) = watch::channel(settings.role());
    let keeper = tokio::spawn(keep(Keeper {
        connector: Connector::new(settings.conninfo.clone(), &application_name),
        echo_channel: settings.silent.then(private_channel),
        settings,
        role,
        announcements,
        events,
    }));
    let announcer = Announcer {
        queue,
        dialect,
        roles,
        keeper,
    };
    (announcer, receiver)
}

struct Keeper {
    settings: Settings,
    role: watch::Receiver<Role>,
    connector: Connector,
    /// Where a silent observer hears itself.
    echo_channel: Option<String>,
    announcements: mpsc::Receiver<Vec<String>>,
    events: mpsc::Sender<Event>,
}

/// Why a session is over.
enum End {
    /// Nobody needs it any more.
    Unneeded,
    /// By the role that was taken there has to be another.
    Outdated,
    Failed(PostgresError),
}

async fn keep(mut keeper: Keeper) {
    let mut backoff = Backoff::default();
    let events = keeper.events.clone();
    loop {
        let end = tokio::select! {
            end = keeper.session(&mut backoff) => end,
            () = events.closed() => return,
        };
        let error = match end {
            End::Unneeded => return,
            End::Outdated => continue,
            End::Failed(error) => error,
        };
        let wait = backoff.next_wait(error.trouble());
        if keeper.events.send(Event::Down(error)).await.is_err() {
            return;
        }
        sleep(wait).await;
    }
}

impl Keeper {
    async fn session(&mut self, backoff: &mut Backoff) -> End {
        self.take_role();
        let mut listen = self.settings.channel.listen_statement();
        if let Some(echo) = &self.echo_channel {
            listen.push_str(&format!("; LISTEN {echo}"));
        }
        let mut session = match self.connector.connect(&listen).await {
            Ok(session) => session,
            Err(error) => return End::Failed(error),
        };
        // What was to be said before is out of date.
        while self.announcements.try_recv().is_ok() {}
        if self.events.send(Event::Up).await.is_err() {
            return End::Unneeded;
        }
        match self.listen(&mut session, backoff).await {
            Ok(end) => end,
            Err(error) => End::Failed(error),
        }
    }

    /// Whether a session that stands can no longer be used.
    fn take_role(&mut self) -> bool {
        let role = *self.role.borrow_and_update();
        let settings = &mut self.settings;
        // What a session has locked stays locked until its end.
        let resigns = settings.elect && !role.elect;
        let outdated = resigns || role.silent != settings.silent;
        settings.announce_interval = role.announce_interval;
        settings.silent = role.silent;
        settings.elect = role.elect;
        if role.silent != self.echo_channel.is_some() {
            self.echo_channel = role.silent.then(private_channel);
        }
        outdated
    }

    /// Serves a session that listens, until it fails or is no longer needed.
    ///
    /// What is being said is one more thing to wait for, not a pause: its answer
    /// comes behind the notifications that fill the queue meanwhile.
    async fn listen(
        &mut self,
        session: &mut Session,
        backoff: &mut Backoff,
    ) -> Result<End, PostgresError> {
        let mut ears = Ears::new(self.settings.announce_interval);
        let mut probe_at = Instant::now();
        let mut saying: Option<Asking<()>> = None;
        let mut names_being_said = 0;
        let mut election: Option<Asking<bool>> = None;
        let mut leads = false;
        let mut stands = self.settings.elect;
        loop {
            let free = saying.is_none();
            tokio::select! {
                Ok(()) = self.role.changed() => {
                    let stood = self.settings.elect;
                    if self.take_role() {
                        return Ok(End::Outdated);
                    }
                    stands |= self.settings.elect && !stood;
                    ears = Ears::new(self.settings.announce_interval);
                    // The next one may be further away than the new patience.
                    probe_at = Instant::now();
                }
                notification = session.hear() => {
                    let mut event = self.understand(&notification?);
                    if let Event::Echo { after } = &mut event {
                        *after = ears.on_echo();
                        backoff.reset();
                        if stands && !leads && election.is_none() {
                            election = Some(session.try_lock(self.settings.channel.as_str()));
                        }
                    }
                    if self.events.send(event).await.is_err() {
                        return Ok(End::Unneeded);
                    }
                }
                said = finished(&mut saying), if !free => {
                    saying = None;
                    said?;
                    let names = std::mem::take(&mut names_being_said);
                    if names > 0 && self.events.send(Event::Said { names }).await.is_err() {
                        return Ok(End::Unneeded);
                    }
                }
                elected = finished(&mut election), if election.is_some() => {
                    election = None;
                    leads = match elected {
                        Ok(elected) => elected,
                        // The lock saves work, and is no condition for anything.
                        Err(error) if error.said_by_server() => {
                            tracing::warn!(
                                kind = error.kind().as_str(),
                                "cannot stand for leader in this session: {error}"
                            );
                            stands = false;
                            false
                        }
                        Err(error) => return Err(error),
                    };
                    if leads && self.events.send(Event::Leads).await.is_err() {
                        return Ok(End::Unneeded);
                    }
                }
                payloads = self.announcements.recv(), if free => {
                    let Some(payloads) = payloads else {
                        return Ok(End::Unneeded);
                    };
                    names_being_said = payloads.len();
                    if self.has_own_name(&payloads) {
                        ears.on_said();
                    }
                    let channel = self.settings.channel.as_str().to_owned();
                    saying = Some(session.say(channel, payloads));
                }
                () = sleep_until(probe_at), if free && self.echo_channel.is_some() => {
                    // Jittered, so that many observers do not commit in step.
                    let interval = self.settings.announce_interval;
                    probe_at = Instant::now() + interval.mul_f64(0.8 + 0.4 * fastrand::f64());
                    ears.on_said();
                    let echo = self.echo_channel.clone().unwrap_or_default();
                    saying = Some(session.say(echo, vec![self.settings.own.to_string()]));
                }
                () = sleep_until(ears.deaf_at()) => {
                    if ears.is_deaf() {
                        return Err(PostgresError::deaf(ears.patience()));
                    }
                }
            }
        }
    }

    fn has_own_name(&self, payloads: &[String]) -> bool {
        payloads.contains(&self.settings.dialect.announcement(&self.settings.own))
    }

    fn understand(&self, notification: &Notification) -> Event {
        let echo = Event::Echo { after: None };
        if self.echo_channel.as_deref() == Some(notification.channel()) {
            return echo;
        }
        match payload::parse(notification.payload()) {
            Ok(Payload::Name(name)) if name == self.settings.own => echo,
            Ok(Payload::Name(name)) => Event::Heard(name),
            Ok(Payload::Goodbye(name)) => Event::Goodbye(name),
            Err(error) => Event::BadPayload {
                start: notification.payload().chars().take(SHOWN).collect(),
                error,
            },
        }
    }
}

async fn finished<T>(asking: &mut Option<Asking<T>>) -> Result<T, PostgresError> {
    match asking {
        Some(asking) => asking.await,
        None => std::future::pending().await,
    }
}
