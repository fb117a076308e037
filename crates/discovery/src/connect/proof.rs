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
/// For all of it: each step is another that can hang.
const PROOF_LIMIT: Duration = Duration::from_secs(5);

impl Connector {
    /// A session that hears what others say. `door` is where a second connection can
    /// be had; without one there is nothing to prove.
    pub(super) async fn prove(
        &self,
        mut session: Session,
        door: Option<Door>,
    ) -> Result<Session, PostgresError> {
        if let Some(door) = door {
            let proof = self.hear_another(&mut session, &door);
            let proven = timeout(PROOF_LIMIT, proof).await;
            proven.map_err(|_| PostgresError::timeout(PROOF_LIMIT))??;
        }
        Ok(session)
    }

    async fn hear_another(&self, session: &mut Session, door: &Door) -> Result<(), PostgresError> {
        let channel = private_channel();
        session.execute(&format!("LISTEN {channel}")).await?;
        if let Err(error) = self.say_in_time(door, &channel).await {
            // No second connection to be had: the echo has to do.
            tracing::debug!(
                kind = error.kind().as_str(),
                "cannot prove that others are heard: {error}"
            );
            return Ok(());
        }
        if timeout(LIMIT, session.hear_on(&channel)).await.is_err() {
            let detail = "what another session says is not heard: \
                          a pooler in transaction mode is between";
            return Err(PostgresError::new(PostgresErrorKind::Pooler, detail));
        }
        session.execute(&format!("UNLISTEN {channel}")).await
    }

    async fn say_in_time(&self, door: &Door, channel: &str) -> Result<(), PostgresError> {
        let said = timeout(LIMIT, self.say_once(door, channel)).await;
        said.unwrap_or_else(|_| Err(PostgresError::timeout(LIMIT)))
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
