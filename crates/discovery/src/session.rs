//! One session with Postgres: what is asked, said and heard on it.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{
    AsyncMessage, Client, Connection, Notification, SimpleQueryMessage, SimpleQueryRow,
};

use crate::PostgresError;

/// What waits between the tasks; beyond it Postgres keeps what it has to say.
pub(crate) const QUEUE: usize = 256;

/// Something that was said or asked, and is not answered yet.
pub(crate) type Asking<T> = Pin<Box<dyn Future<Output = Result<T, PostgresError>> + Send>>;

/// Ends when it is dropped.
pub(crate) struct Session {
    client: Arc<Client>,
    notifications: mpsc::Receiver<Notification>,
    /// Heard while something else was waited for.
    early: VecDeque<Notification>,
    pump: JoinHandle<Result<(), tokio_postgres::Error>>,
}

impl Session {
    pub(crate) fn start<S, T>(client: Client, connection: Connection<S, T>) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, notifications) = mpsc::channel(QUEUE);
        Self {
            client: Arc::new(client),
            notifications,
            early: VecDeque::new(),
            pump: tokio::spawn(pump(connection, sender)),
        }
    }

    /// Runs statements.
    pub(crate) async fn execute(&mut self, statements: &str) -> Result<(), PostgresError> {
        Ok(self.client.batch_execute(statements).await?)
    }

    /// The first row of an answer, as texts.
    pub(crate) async fn query_row(
        &mut self,
        query: &str,
    ) -> Result<Vec<Option<String>>, PostgresError> {
        let row = self.query_rows(query).await?.into_iter().next();
        let row = row.ok_or_else(PostgresError::closed)?;
        let texts = (0..row.len()).map(|index| row.get(index).map(str::to_owned));
        Ok(texts.collect())
    }

    /// The first column of all rows, as texts; NULLs are left out.
    pub(crate) async fn query_column(&mut self, query: &str) -> Result<Vec<String>, PostgresError> {
        let rows = self.query_rows(query).await?;
        let texts = rows.iter().filter_map(|row| row.get(0).map(str::to_owned));
        Ok(texts.collect())
    }

    async fn query_rows(&mut self, query: &str) -> Result<Vec<SimpleQueryRow>, PostgresError> {
        let answer = self.client.simple_query(query).await?;
        let row = |message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        };
        Ok(answer.into_iter().filter_map(row).collect())
    }

    /// Says all payloads in one statement, hence one transaction: each transaction
    /// that notifies takes a lock over the whole Postgres instance. No statement is
    /// prepared under a name, which poolers would trip over.
    pub(crate) fn say(&self, channel: String, payloads: Vec<String>) -> Asking<()> {
        let client = Arc::clone(&self.client);
        Box::pin(async move {
            let statement = "SELECT pg_catalog.pg_notify($1, payload) \
                             FROM pg_catalog.unnest($2) AS payload";
            let parameters: &[(&(dyn ToSql + Sync), Type)] =
                &[(&channel, Type::TEXT), (&payloads, Type::TEXT_ARRAY)];
            client.query_typed(statement, parameters).await?;
            Ok(())
        })
    }

    /// Tries to take the lock of the daemon that leads on this channel. It is held
    /// until the session ends.
    pub(crate) fn try_lock(&self, channel: &str) -> Asking<bool> {
        let client = Arc::clone(&self.client);
        let name = format!("pgmesh/{channel}");
        Box::pin(async move {
            let statement = "SELECT pg_catalog.pg_try_advisory_lock(\
                             pg_catalog.hashtextextended($1, 0))";
            let parameters: &[(&(dyn ToSql + Sync), Type)] = &[(&name, Type::TEXT)];
            let rows = client.query_typed(statement, parameters).await?;
            Ok(rows.first().is_some_and(|row| row.get(0)))
        })
    }

    /// What is heard next. Cancel safe.
    ///
    /// # Errors
    ///
    /// Why the session is over.
    pub(crate) async fn hear(&mut self) -> Result<Notification, PostgresError> {
        if let Some(notification) = self.early.pop_front() {
            return Ok(notification);
        }
        match self.notifications.recv().await {
            Some(notification) => Ok(notification),
            None => Err(self.failure().await),
        }
    }

    /// Waits for something on one channel; what is heard on others is kept. Returns
    /// at the session's end, too, which [`hear`](Self::hear) will tell.
    pub(crate) async fn hear_on(&mut self, channel: &str) {
        while let Some(notification) = self.notifications.recv().await {
            if notification.channel() == channel {
                return;
            }
            self.early.push_back(notification);
        }
    }

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
    mut connection: Connection<S, T>,
    notifications: mpsc::Sender<Notification>,
) -> Result<(), tokio_postgres::Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
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
