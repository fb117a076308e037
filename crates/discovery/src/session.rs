//! One session that listens and announces, for ever.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use pgmesh_name::{NameError, NodeName};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{AsyncMessage, Client, Notification};

use crate::backoff::Backoff;
use crate::tls::LazyTls;
use crate::{Channel, PostgresError};

/// One deadline for connect, TLS and LISTEN together: each of them can hang.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// Characters of a payload that is no name: enough to find who says it.
const SHOWN: usize = 60;
const LEAST_PATIENCE: Duration = Duration::from_secs(1);
/// What waits between the tasks; beyond it Postgres keeps what it has to say.
const QUEUE: usize = 256;

/// What a session needs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where Postgres is and who we are there.
    pub config: tokio_postgres::Config,
    /// Where names are said.
    pub channel: Channel,
    /// Our own name, whose coming back proves that we hear.
    pub own: NodeName,
    /// How often [`Announcer::announce`] is called; two and a half times that
    /// without an echo means deaf.
    pub announce_interval: Duration,
    /// Whether we never announce ourselves: the echo then comes on a channel of
    /// our own.
    pub silent: bool,
}

impl Settings {
    /// How long no echo may come: two intervals, each as long as jitter makes it,
    /// and never so short that a busy host looks deaf.
    fn patience(&self) -> Duration {
        self.announce_interval.mul_f64(2.5).max(LEAST_PATIENCE)
    }
}

/// What a session tells.
#[derive(Clone, Debug)]
pub enum Event {
    /// It listens.
    Up,
    /// It is gone; another is on its way.
    Down(PostgresError),
    /// Our own words came back: we hear.
    Echo,
    /// A name was said.
    Heard(NodeName),
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
    queue: mpsc::Sender<Vec<NodeName>>,
}

impl Announcer {
    /// Says these names in one transaction, as soon as the session stands. Never
    /// waits: while an earlier announcement is under way another is needless.
    pub fn announce(&self, names: Vec<NodeName>) {
        let _ = self.queue.try_send(names);
    }
}

/// Starts a session that lasts until the [`Announcer`] or the [`Events`] are
/// dropped. Must be called within a tokio runtime.
pub fn spawn(settings: Settings) -> (Announcer, Events) {
    let (queue, announcements) = mpsc::channel(1);
    let (events, receiver) = mpsc::channel(QUEUE);
    tokio::spawn(keep(Keeper {
        echo_channel: settings.silent.then(private_channel),
        settings,
        tls: LazyTls::default(),
        announcements,
        events,
    }));
    (Announcer { queue }, receiver)
}

fn private_channel() -> String {
    format!("pgmesh_echo_{:016x}", rand::random::<u64>())
}

struct Keeper {
    settings: Settings,
    tls: LazyTls,
    /// Where a silent observer hears itself.
    echo_channel: Option<String>,
    announcements: mpsc::Receiver<Vec<NodeName>>,
    events: mpsc::Sender<Event>,
}

/// Why a session is over.
enum End {
    /// Nobody needs it any more.
    Unneeded,
    Failed(PostgresError),
}

/// A host that does not answer must leave time for the next one.
fn per_host(config: &tokio_postgres::Config) -> Duration {
    let hosts = config.get_hosts().len().max(config.get_hostaddrs().len());
    CONNECT_LIMIT / (u32::try_from(hosts).unwrap_or(u32::MAX - 1) + 1)
}

async fn keep(mut keeper: Keeper) {
    let mut backoff = Backoff::default();
    let events = keeper.events.clone();
    loop {
        let end = tokio::select! {
            end = keeper.session(&mut backoff) => end,
            () = events.closed() => return,
        };
        let End::Failed(error) = end else {
            return;
        };
        if keeper.events.send(Event::Down(error)).await.is_err() {
            return;
        }
        sleep(backoff.next_wait()).await;
    }
}

impl Keeper {
    async fn session(&mut self, backoff: &mut Backoff) -> End {
        let connected = timeout(CONNECT_LIMIT, self.connect()).await;
        let mut session = match connected {
            Ok(Ok(session)) => session,
            Ok(Err(error)) => return End::Failed(error),
            Err(_) => return End::Failed(PostgresError::timeout(CONNECT_LIMIT)),
        };
        // What was to be said before is out of date.
        while self.announcements.try_recv().is_ok() {}
        if self.events.send(Event::Up).await.is_err() {
            return End::Unneeded;
        }
        match self.listen(&mut session, backoff).await {
            Ok(()) => End::Unneeded,
            Err(error) => End::Failed(error),
        }
    }

    async fn connect(&self) -> Result<Session, PostgresError> {
        let mut config = self.settings.config.clone();
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(per_host(&config));
        }
        if config.get_application_name().is_none() {
            config.application_name(format!("pgmesh/{}", self.settings.own));
        }
        let (client, connection) = config.connect(self.tls.clone()).await?;
        let (sender, notifications) = mpsc::channel(QUEUE);
        let pump = tokio::spawn(pump(connection, sender));
        let session = Session {
            client: Arc::new(client),
            notifications,
            pump,
        };
        let mut listen = self.settings.channel.listen_statement();
        if let Some(echo) = &self.echo_channel {
            listen.push_str(&format!("; LISTEN {echo}"));
        }
        session.client.batch_execute(&listen).await?;
        Ok(session)
    }

    /// Serves a session that listens, until it fails or is no longer needed.
    ///
    /// What is being said is one more thing to wait for, not a pause: its answer
    /// comes behind the notifications that fill the queue meanwhile.
    async fn listen(
        &mut self,
        session: &mut Session,
        backoff: &mut Backoff,
    ) -> Result<(), PostgresError> {
        let mut ears = Ears::new(self.settings.patience());
        let mut probe_at = Instant::now();
        let mut saying: Option<Saying> = None;
        loop {
            let free = saying.is_none();
            tokio::select! {
                notification = session.notifications.recv() => {
                    let Some(notification) = notification else {
                        return Err(session.failure().await);
                    };
                    let event = self.understand(&notification);
                    if matches!(event, Event::Echo) {
                        ears.on_echo();
                        backoff.reset();
                    }
                    if self.events.send(event).await.is_err() {
                        return Ok(());
                    }
                }
                said = finished(&mut saying), if !free => {
                    saying = None;
                    said?;
                }
                names = self.announcements.recv(), if free => {
                    let Some(names) = names else {
                        return Ok(());
                    };
                    let channel = self.settings.channel.as_str().to_owned();
                    saying = Some(session.say(channel, names));
                }
                () = sleep_until(probe_at), if free && self.echo_channel.is_some() => {
                    // Jittered, so that many observers do not commit in step.
                    let interval = self.settings.announce_interval;
                    probe_at = Instant::now() + interval.mul_f64(0.8 + 0.4 * fastrand::f64());
                    let echo = self.echo_channel.clone().unwrap_or_default();
                    saying = Some(session.say(echo, vec![self.settings.own.clone()]));
                }
                () = sleep_until(ears.deaf_at) => {
                    if !ears.has_second_chance() {
                        return Err(PostgresError::deaf(ears.patience));
                    }
                }
            }
        }
    }

    fn understand(&self, notification: &Notification) -> Event {
        if self.echo_channel.as_deref() == Some(notification.channel()) {
            return Event::Echo;
        }
        match notification.payload().parse::<NodeName>() {
            Ok(name) if name == self.settings.own => Event::Echo,
            Ok(name) => Event::Heard(name),
            Err(error) => Event::BadPayload {
                start: notification.payload().chars().take(SHOWN).collect(),
                error,
            },
        }
    }
}

/// When no echo means that we no longer hear.
struct Ears {
    patience: Duration,
    deaf_at: Instant,
    second_chance: bool,
}

impl Ears {
    fn new(patience: Duration) -> Self {
        Self {
            patience,
            deaf_at: Instant::now() + patience,
            second_chance: true,
        }
    }

    fn on_echo(&mut self) {
        *self = Self::new(self.patience);
    }

    /// After a pause of the whole process the time is over before what waited in
    /// the socket could be read: once, a moment is given for that.
    fn has_second_chance(&mut self) -> bool {
        self.deaf_at = Instant::now() + LEAST_PATIENCE / 4;
        std::mem::take(&mut self.second_chance)
    }
}

/// An announcement under way.
type Saying = Pin<Box<dyn Future<Output = Result<(), PostgresError>> + Send>>;

async fn finished(saying: &mut Option<Saying>) -> Result<(), PostgresError> {
    match saying {
        Some(saying) => saying.await,
        None => std::future::pending().await,
    }
}

struct Session {
    client: Arc<Client>,
    notifications: mpsc::Receiver<Notification>,
    pump: JoinHandle<Result<(), tokio_postgres::Error>>,
}

impl Session {
    /// All names in one statement, hence one transaction: each transaction that
    /// notifies takes a lock over the whole Postgres instance. No statement is
    /// prepared under a name, which poolers would trip over.
    fn say(&self, channel: String, names: Vec<NodeName>) -> Saying {
        let client = Arc::clone(&self.client);
        Box::pin(async move {
            let names: Vec<&str> = names.iter().map(NodeName::as_str).collect();
            let statement = "SELECT pg_notify($1, name) FROM unnest($2) AS name";
            let parameters: &[(&(dyn ToSql + Sync), Type)] =
                &[(&channel, Type::TEXT), (&names, Type::TEXT_ARRAY)];
            client.query_typed(statement, parameters).await?;
            Ok(())
        })
    }

    /// Why the connection has ended.
    async fn failure(&mut self) -> PostgresError {
        match (&mut self.pump).await {
            Ok(Err(error)) => error.into(),
            _ => PostgresError::closed(),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.pump.abort();
    }
}

/// Moves the connection along and passes notifications on.
async fn pump<S, T>(
    mut connection: tokio_postgres::Connection<S, T>,
    notifications: mpsc::Sender<Notification>,
) -> Result<(), tokio_postgres::Error>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    while let Some(message) = poll_fn(|cx| connection.poll_message(cx)).await {
        let message = message?;
        if let AsyncMessage::Notice(notice) = &message {
            tracing::debug!("postgres notice: {notice}");
        }
        if let AsyncMessage::Notification(notification) = message
            && notifications.send(notification).await.is_err()
        {
            break;
        }
    }
    Ok(())
}
