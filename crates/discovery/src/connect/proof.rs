//! The proof that we hear others, where something stands between us and Postgres.
//!
//! Behind a pooler in transaction mode LISTEN succeeds, and our own words can come
//! back with the answer to saying them, while what others say is lost. So where
//! the server does not see the port that we come from, a second connection says
//! something, and the session must hear it.

use std::time::Duration;

use tokio::time::timeout;

use super::{Connector, Door};
use crate::session::Session;
use crate::{PostgresError, PostgresErrorKind};

/// For the second connection, and again for the words to come through.
const LIMIT: Duration = Duration::from_secs(2);

impl Connector {
    pub(super) async fn prove(
        &self,
        mut session: Session,
        door: Option<Door>,
    ) -> Result<Session, PostgresError> {
        let Some(door) = door else {
            return Ok(session);
        };
        let channel = private_channel();
        session.execute(&format!("LISTEN {channel}")).await?;
        match timeout(LIMIT, self.say_once(&door, &channel)).await {
            Ok(Ok(())) => {}
            // No second connection to be had: the echo has to do.
            Ok(Err(error)) => {
                tracing::debug!("cannot prove that others are heard: {error}");
                return Ok(session);
            }
            Err(_) => {
                tracing::debug!("cannot prove that others are heard: no second session in time");
                return Ok(session);
            }
        }
        if timeout(LIMIT, session.hear_on(&channel)).await.is_err() {
            return Err(PostgresError::new(
                PostgresErrorKind::Pooler,
                "what another session says is not heard: a pooler in transaction mode is between",
            )
            .at(&door.server));
        }
        session.execute(&format!("UNLISTEN {channel}")).await?;
        Ok(session)
    }

    async fn say_once(&self, door: &Door, channel: &str) -> Result<(), PostgresError> {
        let other = self.enter(door).await?.session;
        other
            .say(channel.to_owned(), vec!["heard".to_owned()])
            .await
    }
}

/// A channel that nobody else listens on.
pub(crate) fn private_channel() -> String {
    format!("pgmesh_echo_{:016x}", rand::random::<u64>())
}
